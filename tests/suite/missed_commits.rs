//! What was committed while Litestream did not have a database, in a WAL that SQLite has begun anew since.

use rusqlite::Connection;

use crate::support::app::App;
use crate::support::litestream::{Backup, LATEST};
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

const WHOLE: &str = "it is copied as a whole";

/// One row behind what Litestream has read, with pages of its own, and one at the beginning of the next WAL;
/// the connection keeps the WAL where it is.
pub fn write_unseen(path: &std::path::Path) -> Connection {
    let database = sqlite::open(path);
    let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
    database.execute("INSERT INTO t (v) VALUES (hex(randomblob(10000)))", []).unwrap();
    let (busy, _, _): (i64, i64, i64) =
        database.query_row(checkpoint, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(busy, 0);
    database.execute("INSERT INTO t (v) VALUES ('seen')", []).unwrap();
    database
}

#[test]
fn a_commit_before_the_start_that_litestream_would_pass_over_is_replicated() {
    let world = World::new();
    sqlite::create(&world.db(), 9);
    let app = || App::new(&world.trace()).ready().wait();
    let keep_wal = Connection::open(world.db()).unwrap();
    keep_wal.execute_batch("SELECT 1 FROM t").unwrap();
    let running = unit::keeper(&world).app(app()).start();
    world.trace().wait("ready");
    let ended = running.stop(143);
    assert!(!ended.log.contains(WHOLE), "{}", ended.log);

    let unseen = write_unseen(&world.db());
    let running = unit::keeper(&world).app(app()).start();
    world.trace().wait_nth(2, "ready");
    let backup = Backup::Url(&world.replica_url()).restore(&world, LATEST);
    sqlite::assert_sound(&backup);
    assert_eq!(sqlite::count(&backup), 11);
    drop((unseen, keep_wal));
    running.stop(143).expect_log(WHOLE);
}

#[test]
fn a_start_waits_for_nobody_who_keeps_the_wal_for_ever() {
    let world = World::new();
    sqlite::create(&world.db(), 9);
    let keep_wal = Connection::open(world.db()).unwrap();
    keep_wal.execute_batch("SELECT 1 FROM t").unwrap();
    unit::keeper(&world).app(App::new(&world.trace()).exit(0)).run().expect_code(0);
    let unseen = write_unseen(&world.db());
    keep_wal.execute_batch("BEGIN; SELECT * FROM t").unwrap();
    unseen.execute("INSERT INTO t (v) VALUES ('later')", []).unwrap();
    let ended = unit::keeper(&world).app(App::new(&world.trace()).ready().exit(0)).run();
    assert!(world.trace().all("ready").is_empty(), "{}", ended.log);
    ended.expect_code(70).expect_log("somebody else has it open").expect_log("hint: end whoever");
}
