//! An app that writes more than SQLite's automatic checkpoint lets the WAL hold (1000 pages): the WAL
//! starts anew under Litestream, and nothing between its last sync and that moment may be missing.

use rusqlite::Connection;

use crate::support::unit::{self, start_writing};
use crate::support::world::World;

/// Each commit takes one page of the WAL at least, so the WAL starts anew once or twice a life.
const ROWS: usize = 1700;

#[test]
fn nothing_is_lost_when_the_wal_starts_anew() {
    let world = World::new();
    let trace = world.trace();
    // Rows so long that a page is full, and not written again, after a few of them.
    let database = Connection::open(world.db()).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, long BLOB DEFAULT (randomblob(400)));",
        )
        .unwrap();
    drop(database);
    for life in 1..=2 {
        let unit = start_writing(&world, unit::keeper(&world));
        trace.wait_acked(ROWS * life);
        unit.stop(0);
        unit::assert_nothing_lost(&world, &trace);
    }
}
