//! The usual unit of a test: a keeper on the world's one database with a folder as its replica.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::app::{App, Trace};
use super::keeper::Keeper;
use super::litestream::{Backup, LATEST};
use super::process::Running;
use super::procfs;
use super::wait::DEADLINE;
use super::world::World;

/// A budget whose grace a test can sit out, and which leaves the drain time enough on a busy machine.
pub const BUDGET: [&str; 2] = ["--stop-timeout", "8s"];

/// `litekeeper run` on [`World::db`] and [`World::replica`].
pub fn keeper(world: &World) -> Keeper {
    Keeper::new(world).db(&world.db()).replica(&world.replica_url())
}

/// An app that writes all the time, and one row more when it is told to stop; then it ends with `code`.
pub fn writer(trace: &Trace, db: &Path, code: i32) -> App {
    App::new(trace).on_last("TERM", db, code).insert_forever(db, 3)
}

/// Starts `keeper` with a [`writer`] that ends with 0, and waits for its first rows.
#[track_caller]
pub fn start_writing(world: &World, keeper: Keeper) -> Running {
    let trace = world.trace();
    let running = keeper.app(writer(&trace, &world.db(), 0)).start();
    trace.wait_acked(10);
    running
}

/// Sends TERM again and again, as somebody does who is losing patience, until the log says `heard`.
#[track_caller]
pub fn insist(unit: &Running, heard: &str) {
    super::wait::wait_until(heard, DEADLINE, || {
        unit.signal(Signal::SIGTERM);
        unit.log().contains(heard)
    });
}

/// Asserts that every acknowledged row is on the replica; returns the number of rows there.
#[track_caller]
pub fn assert_nothing_lost(world: &World, trace: &Trace) -> usize {
    Backup::Url(&world.replica_url()).assert_holds_acked(world, LATEST, trace)
}

/// Waits until the app of process `before` has a successor, and that one has written a row.
#[track_caller]
pub fn wait_successor(trace: &Trace, before: i32) -> i32 {
    let mut pid = 0;
    super::wait::wait_until("a row of the app's successor", DEADLINE, || {
        let events = trace.events();
        let successor = events.iter().rev().find(|event| event.name == "acked" && event.pid != before);
        pid = successor.map_or(0, |event| event.pid);
        pid != 0
    });
    pid
}

/// How long a process lives on from now; watched without a pause, so that milliseconds can be told.
#[track_caller]
pub fn time_to_death(pid: i32) -> Duration {
    let start = Instant::now();
    while procfs::alive(pid) {
        assert!(start.elapsed() < DEADLINE, "process {pid} lives on");
        std::thread::yield_now();
    }
    start.elapsed()
}
