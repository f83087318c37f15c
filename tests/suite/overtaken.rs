//! Litestream's read transaction keeps the app from beginning the WAL anew before Litestream has read it. Litestream
//! loses it at its own orderly end, before its last sync, and with the request on the control socket in which it was
//! begun. What is committed, checkpointed and followed by a new run of the WAL in between is in no LTX file.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::pages;
use crate::support::procfs;
use crate::support::sqlite;
use crate::support::unit::BUDGET;
use crate::support::wait::{DEADLINE, wait_for, wait_until};
use crate::support::world::World;

/// Old pages and new ones, behind what Litestream has read; then all of it goes to the file, and a short commit to the
/// beginning of a new run.
const OVERTAKE: [&str; 3] = [
    "UPDATE t SET v = hex(randomblob(1499)) WHERE id <= 5; INSERT INTO t (v) SELECT hex(randomblob(1500)) FROM t LIMIT 20;",
    "PRAGMA wal_checkpoint(PASSIVE);",
    "INSERT INTO t (v) VALUES ('short');",
];

/// A Litestream that does not look by itself in the meantime.
fn keeper(world: &World) -> Keeper {
    let (db, replica) = (world.db(), world.path("replica"));
    let (db, replica) = (db.display(), replica.display());
    let config = format!(
        "dbs:\n  - path: {db}\n    monitor-interval: 30s\n    replica: {{type: file, path: {replica}}}\n"
    );
    Keeper::new(world)
        .config(&world.write("litestream.yml", &config))
        .args(["--restart-delay", "10ms"])
        .args(BUDGET)
        .args(["--max-lag", "1s"])
}

/// Litestream's snapshot, which it makes a moment after its start, holds what was missing before.
fn wait_snapshot(world: &World) {
    wait_until("the first snapshot", DEADLINE, || !world.list("replica/ltx/9").is_empty());
}

fn wait_replicated(world: &World, rows: usize) {
    let mut tries = 0;
    wait_until("the rows on the replica", DEADLINE, || {
        tries += 1;
        let out = world.path(&format!("try-{rows}-{tries}.db"));
        let restored = Backup::Url(&world.replica_url()).try_restore(world, LATEST, &out);
        restored.status.success() && sqlite::count(&out) >= rows
    });
}

/// Whether a process has a read mark in the wal-index (https://sqlite.org/walformat.html: bytes 123 to 127).
fn reads(process: i32, shm: &Path) -> bool {
    let Ok(inode) = fs::metadata(shm).map(|file| file.ino()) else { return false };
    let locks = fs::read_to_string("/proc/locks").expect("procfs is mounted");
    locks.lines().any(|line| {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        let [_, "POSIX", _, _, pid, file, first, ..] = words[..] else { return false };
        pid.parse() == Ok(process)
            && file.ends_with(&format!(":{inode}"))
            && first.parse().is_ok_and(|first: u32| (123..=127).contains(&first))
    })
}

/// Litestream's control socket, wherever the keeper has put it.
fn socket(world: &World) -> PathBuf {
    wait_for("litestream's socket", DEADLINE, || {
        let mut folders = vec![world.runtime_dir()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.ends_with("litestream.sock") {
                    return Some(path);
                }
            }
        }
        None
    })
}

/// Whether Litestream is in the middle of a sync.
fn is_busy(socket: &Path) -> bool {
    let mut stream = UnixStream::connect(socket).expect("litestream listens");
    let request = b"GET /debug/sync-status HTTP/1.0\r\n\r\n";
    stream.write_all(request).expect("litestream reads requests");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("litestream ends its answer");
    assert!(answer.contains("\"active\":"), "{answer}");
    answer.contains("\"active\":true")
}

/// The shim is killed. Litestream ends in order, for which it takes five seconds as long as somebody has connected and
/// says nothing, and something of the app still writes, for the keeper is not scheduled.
#[test]
fn what_is_written_while_litestream_ends_without_its_shim() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let go = world.path("go");
    let worker = App::new(&trace).ignore("all").until(&go);
    let worker = worker.sql(&db, &OVERTAKE.concat()).wait();
    let app = App::new(&trace).on_exit("TERM", 0).once(&world.path("once"));
    let app = app.spawn("setsid", &worker).insert(&db, 10).ready().wait();
    let unit = keeper(&world).app(app).start();
    trace.wait("ready");
    wait_snapshot(&world);
    wait_replicated(&world, 10);

    let silent = UnixStream::connect(socket(&world)).expect("litestream listens");
    let (litestream, shim) = (unit.litestream(), unit.shim());
    unit.signal(Signal::SIGSTOP);
    unit.kill(&shim, Signal::SIGKILL);
    let shm = world.path("app.db-shm");
    wait_until("the end of the read transaction", DEADLINE, || !reads(litestream.pid, &shm));
    assert!(procfs::alive(litestream.pid), "its last sync is still to come");
    world.write("go", "");
    trace.wait("done");
    drop(silent);
    wait_until("the end of litestream", DEADLINE, || !procfs::alive(litestream.pid));
    unit.signal(Signal::SIGCONT);
    trace.wait("again");
    pages::assert_same(&world, unit.stop(0));
}

/// Nobody dies here. While somebody reads, a checkpoint cannot take place in the half of the sync that has no limit, and
/// is tried again in the half that waits, so that Litestream's new read transaction ends with that request.
#[test]
fn what_is_written_after_a_confirmation_that_checkpointed() {
    let world = World::new();
    let trace = world.trace();
    let app = App::new(&trace).on_exit("TERM", 0).insert(&world.db(), 1).ready().wait();
    let unit = keeper(&world).app(app).start();
    trace.wait("ready");
    wait_snapshot(&world);
    wait_replicated(&world, 1);

    let (reader, writer) = (sqlite::open(&world.db()), sqlite::open(&world.db()));
    reader.execute_batch("BEGIN; SELECT count(*) FROM t;").unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
                INSERT INTO t (v) SELECT hex(randomblob(1500)) FROM n";
    let (litestream, shm) = (unit.litestream().pid, world.path("app.db-shm"));
    let mut rows = 1;
    // Litestream's own upload can be as fast as the request, which then is none.
    for _ in 0..3 {
        writer.execute(many, []).unwrap();
        rows += 1200;
        wait_replicated(&world, rows);
        let start = Instant::now();
        wait_until("the end of litestream's read transaction, or that it is kept", DEADLINE, || {
            !reads(litestream, &shm) || start.elapsed() > Duration::from_secs(2)
        });
        if !reads(litestream, &shm) {
            break;
        }
    }
    reader.execute_batch("COMMIT").unwrap();
    for _ in 0..9 {
        writer.execute("INSERT INTO t (v) VALUES (hex(randomblob(1500)))", []).unwrap();
    }
    wait_replicated(&world, rows + 9);
    // No request of the keeper's is under way, and none comes.
    unit.signal(Signal::SIGSTOP);
    let socket = socket(&world);
    wait_until("the end of the confirmation", DEADLINE, || !is_busy(&socket));
    writer.execute_batch(&OVERTAKE.concat()).unwrap();
    unit.signal(Signal::SIGCONT);
    drop((reader, writer));
    pages::assert_same(&world, unit.stop(0));
}
