//! An app that is killed while SQLite commits: the frame is in the WAL, where Litestream reads it, and not in the
//! wal-index, by which the next app goes.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::support::app::App;
use crate::support::litestream::{Backup, LATEST};
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

const INSERT: &str = "INSERT INTO t (v) VALUES (hex(randomblob(3000)))";

/// Every row, with the beginning of what is in it.
fn rows(database: &Connection) -> Vec<(i64, String)> {
    let mut statement = database.prepare("SELECT id, substr(v, 1, 16) FROM t ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The header of the wal-index, both copies.
fn header(index: &File) -> [u8; 96] {
    let mut header = [0; 96];
    index.read_exact_at(&mut header, 0).unwrap();
    header
}

#[track_caller]
fn wait_replicated(world: &World, id: i64) {
    let mut tries = 0;
    wait_until("the row on the replica", DEADLINE, || {
        tries += 1;
        let out = world.path(&format!("try-{id}-{tries}.db"));
        let found = Backup::Url(&world.replica_url()).try_restore(world, LATEST, &out);
        found.status.success() && rows(&Connection::open(out).unwrap()).iter().any(|(found, _)| *found == id)
    });
}

#[test]
fn a_commit_that_only_the_wal_knows_counts_for_the_next_app_as_well() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_exit("TERM", 0).insert(&db, 1).wait();
    let unit = unit::keeper(&world).args(["--restart-delay", "10ms"]).app(app).start();
    trace.wait_acked(1);

    let database = Connection::open(&db).unwrap();
    database.execute(INSERT, []).unwrap();
    // Litestream's first checkpoint is over.
    wait_replicated(&world, database.last_insert_rowid());
    database.execute(INSERT, []).unwrap();
    let index = File::options().read(true).write(true).open(world.path("app.db-shm")).unwrap();
    let before = header(&index);
    database.execute(INSERT, []).unwrap();
    let (last, after) = (database.last_insert_rowid(), header(&index));
    assert_eq!(before[32..40], after[32..40], "the same generation of the WAL");
    drop(database);
    wait_replicated(&world, last);
    // As it is when the app dies while it waits for its flush.
    index.write_all_at(&before, 0).unwrap();
    let app = unit.app();
    unit.kill(&app, Signal::SIGKILL);
    unit::wait_successor(&trace, app.pid);
    unit.stop(0);

    let local = rows(&Connection::open(&db).unwrap());
    let restored = Connection::open(Backup::Url(&world.replica_url()).restore(&world, LATEST)).unwrap();
    assert!(
        local.iter().any(|(id, _)| *id == last),
        "the row that the replica had is gone: {:?}",
        local.len()
    );
    assert_eq!(rows(&restored), local);
}
