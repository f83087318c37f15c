//! A process of the app that is killed while SQLite commits: the frame is in the WAL, where Litestream reads it, and
//! not in the wal-index, by which the next writer goes.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::support::app::App;
use crate::support::litestream::{Backup, LATEST};
use crate::support::process::Running;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

const INSERT: &str = "INSERT INTO t (v) VALUES (hex(randomblob(3000)))";
const LOST_TRACK: &str = "litestream has lost track of the WAL";

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

/// The number of frames that a header says, and the salt of their run.
fn reach(header: &[u8; 96]) -> (&[u8], &[u8]) {
    (&header[16..20], &header[32..40])
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

#[track_caller]
fn assert_same_on_the_replica(world: &World) -> Vec<(i64, String)> {
    let local = rows(&Connection::open(world.db()).unwrap());
    let restored = Connection::open(Backup::Url(&world.replica_url()).restore(world, LATEST)).unwrap();
    assert_eq!(rows(&restored), local);
    local
}

/// An app whose database has a commit that is on the replica already.
struct Replicated {
    unit: Running,
    app: i32,
    /// That of another process of the app.
    database: Connection,
    index: File,
    /// What the index said before the commit.
    before: [u8; 96],
    /// The commit's row.
    last: i64,
}

impl Replicated {
    fn new(world: &World, restart_delay: &str) -> Self {
        let trace = world.trace();
        let app = App::new(&trace).on_exit("TERM", 0).insert(&world.db(), 1).wait();
        let unit = unit::keeper(world).args(["--restart-delay", restart_delay]).app(app).start();
        trace.wait_acked(1);

        let database = Connection::open(world.db()).unwrap();
        database.busy_timeout(DEADLINE).unwrap();
        database.execute(INSERT, []).unwrap();
        // Litestream's first checkpoint is over.
        wait_replicated(world, database.last_insert_rowid());
        database.execute(INSERT, []).unwrap();
        let index = File::options().read(true).write(true).open(world.path("app.db-shm")).unwrap();
        let before = header(&index);
        database.execute(INSERT, []).unwrap();
        let (last, after) = (database.last_insert_rowid(), header(&index));
        assert_eq!(reach(&before).1, reach(&after).1, "the same run of the WAL");
        wait_replicated(world, last);
        let app = trace.events().iter().find(|event| event.name == "acked").unwrap().pid;
        Self { unit, app, database, index, before, last }
    }

    /// As it is when a process dies while it waits for its flush.
    fn forget_the_commit(&self) {
        self.index.write_all_at(&self.before, 0).unwrap();
    }
}

#[test]
fn a_commit_that_only_the_wal_knows_counts_for_the_next_app_as_well() {
    let world = World::new();
    let replicated = Replicated::new(&world, "10ms");
    replicated.forget_the_commit();
    let Replicated { unit, app, database, last, .. } = replicated;
    drop(database);
    let killed = unit.app();
    unit.kill(&killed, Signal::SIGKILL);
    unit::wait_successor(&world.trace(), app);
    unit.stop(0);
    let local = assert_same_on_the_replica(&world);
    assert!(local.iter().any(|(id, _)| *id == last), "the row that the replica had is gone: {local:?}");
}

#[test]
fn an_index_is_made_anew_for_a_sqlite_that_cannot() {
    let world = World::new();
    // The app does not come back to do it itself: before 3.33 SQLite cannot while Litestream reads.
    let replicated = Replicated::new(&world, "1h");
    let after = header(&replicated.index);
    replicated.forget_the_commit();
    let killed = replicated.unit.app();
    replicated.unit.kill(&killed, Signal::SIGKILL);
    wait_until("the index", DEADLINE, || reach(&header(&replicated.index)) == reach(&after));
    replicated.unit.stop(143);
}

#[test]
fn what_a_killed_process_left_counts_while_others_go_on() {
    let world = World::new();
    let replicated = Replicated::new(&world, "10ms");
    let after = header(&replicated.index);
    replicated.forget_the_commit();
    wait_until("the index", DEADLINE, || reach(&header(&replicated.index)) == reach(&after));
    replicated.database.execute(INSERT, []).unwrap();
    let ended = replicated.unit.stop(0);
    assert!(!ended.log.contains(LOST_TRACK), "{}", ended.log);
    let local = assert_same_on_the_replica(&world);
    assert!(local.iter().any(|(id, _)| *id == replicated.last), "{local:?}");
}

/// What Litestream took for a commit is overwritten by `commits` others; `whole` says whether the database file has
/// all pages, so that Litestream goes wrong without a word.
#[track_caller]
fn copied_anew(commits: usize, whole: bool) {
    let world = World::new();
    let replicated = Replicated::new(&world, "10ms");
    if whole {
        let done: bool =
            replicated.database.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(0)).unwrap();
        assert!(!done, "nobody was in the way");
    }
    replicated.forget_the_commit();
    for _ in 0..commits {
        replicated.database.execute(INSERT, []).unwrap();
    }
    replicated.unit.wait_log(1, LOST_TRACK);
    unit::wait_successor(&world.trace(), replicated.app);
    replicated.database.execute(INSERT, []).unwrap();
    let id = replicated.database.last_insert_rowid();
    replicated.unit.stop(0).expect_log("it is copied as a whole");
    let local = assert_same_on_the_replica(&world);
    assert_eq!(local.last().unwrap().0, id);
}

#[test]
fn a_copy_that_lacks_a_part_of_the_wal_is_made_anew() {
    copied_anew(1, true);
}

#[test]
fn a_copy_that_cannot_be_made_is_made_anew() {
    copied_anew(3, false);
}

#[test]
fn what_was_written_over_at_the_end_is_on_the_replica_all_the_same() {
    let world = World::new();
    let replicated = Replicated::new(&world, "10ms");
    replicated.forget_the_commit();
    replicated.database.execute("UPDATE t SET v = 'short' WHERE id = 1", []).unwrap();
    replicated.unit.stop(0);
    let local = assert_same_on_the_replica(&world);
    assert_eq!(local[0].1, "short");
}
