//! A child that is stopped between its fork and its exec: keeper and shim go on.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::birth::{stop_any, stop_next, until_caught};
use crate::support::process::Running;
use crate::support::procfs::{self, Process};
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// How long a child may keep a test waiting; one that came too late is tried again.
const SOON: Duration = Duration::from_secs(10);

/// A keeper one of whose first children was just stopped.
fn caught_at_the_start() -> (World, Running, Process) {
    until_caught(|| {
        let world = World::new();
        let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
        let unit = unit::keeper(&world).args(unit::BUDGET).app(app).start();
        let child = stop_any(unit.pid(), SOON)?;
        Some((world, unit, child))
    })
}

/// Ends it, and returns how long that took.
#[track_caller]
fn stop(unit: Running, code: i32) -> Duration {
    let start = Instant::now();
    unit.stop(code);
    start.elapsed()
}

#[test]
fn a_keeper_whose_child_is_stopped_at_the_start_can_be_told_to_stop() {
    let (_world, unit, child) = caught_at_the_start();
    let took = stop(unit, 143);
    println!("it ended {took:.1?} after it was told");
    assert!(!procfs::alive(child.pid));
    assert!(took < Duration::from_secs(8), "within its budget, and not {took:?}");
}

#[test]
fn a_child_that_goes_on_is_as_good_as_any_other() {
    let (world, unit, child) = caught_at_the_start();
    child.signal(Signal::SIGCONT);
    world.trace().wait("ready");
    unit.stop(0);
}

/// Litestream itself, when it comes back: without a database nobody else is started before it.
fn caught_litestream() -> (World, Running, Process) {
    until_caught(|| {
        let world = World::new();
        let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
        let unit = unit::keeper(&world).args(unit::BUDGET).app(app).start();
        world.trace().wait("ready");
        let before = unit.litestream();
        let child = std::thread::scope(|scope| {
            // Some seconds later others are started, which look for the database.
            let child = scope.spawn(|| stop_any(unit.pid(), Duration::from_secs(2)));
            before.signal(Signal::SIGKILL);
            child.join().expect("it does not panic")
        })?;
        Some((world, unit, child))
    })
}

#[test]
fn a_keeper_whose_litestream_is_stopped_before_it_is_one_can_be_told_to_stop() {
    let (_world, unit, child) = caught_litestream();
    // What its predecessor did not confirm is drained by it, or by nobody.
    let took = stop(unit, 74);
    println!("it ended {took:.1?} after it was told");
    assert!(!procfs::alive(child.pid));
    assert!(took < Duration::from_secs(10), "within its budget, and not {took:?}");
}

#[test]
fn a_litestream_that_goes_on_is_as_good_as_any_other() {
    let (world, unit, child) = caught_litestream();
    child.signal(Signal::SIGCONT);
    assert_eq!(unit.litestream().pid, child.pid);
    wait_until("the app's successor", DEADLINE, || {
        world.trace().events().iter().filter(|event| event.name == "ready").count() == 2
    });
    unit.stop(0);
}

/// A shim whose app is stopped before it is one. The app's database is there, so that there is something to lose.
fn caught_app() -> (World, Running, Process, Process) {
    until_caught(|| {
        let world = World::new();
        sqlite::create(&world.db(), 3);
        let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
        let unit = unit::keeper(&world).args(unit::BUDGET).app(app).start();
        let shim = unit.shim();
        let child = stop_next(shim.pid, SOON)?;
        Some((world, unit, shim, child))
    })
}

#[test]
fn an_app_that_is_stopped_before_it_is_one_hears_of_a_stop_in_its_time() {
    let (_world, unit, shim, child) = caught_app();
    assert!(procfs::alive(shim.pid) && procfs::alive(child.pid));
    let start = Instant::now();
    unit.signal(Signal::SIGTERM);
    let ended = unit.finish();
    println!("{} {:.1?} after it was told", ended.status, start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(8), "within its budget");
    // It is continued like every stopped process, and has no handler yet.
    ended.expect_code(143);
}

#[test]
fn the_shim_sees_litestream_die_over_an_app_that_is_stopped_before_it_is_one() {
    let (world, unit, _, child) = caught_app();
    unit.litestream().signal(Signal::SIGKILL);
    let took = unit::time_to_death(child.pid);
    assert!(took < Duration::from_secs(2), "it outlived litestream by {took:?}");
    world.trace().wait("ready");
    unit.stop(0);
}

#[test]
fn the_shim_sees_the_keeper_die_over_an_app_that_is_stopped_before_it_is_one() {
    let (_world, unit, ..) = caught_app();
    unit.signal(Signal::SIGKILL);
    unit.finish();
}

#[test]
fn an_app_that_goes_on_is_as_good_as_any_other() {
    let (world, unit, _, child) = caught_app();
    child.signal(Signal::SIGCONT);
    world.trace().wait("ready");
    assert_eq!(unit.app().pid, child.pid);
    unit.stop(0);
}

/// Nobody tells it to stop, and it ends by itself.
#[test]
fn a_child_that_never_becomes_its_program_is_given_up() {
    let (_world, unit, _) = caught_at_the_start();
    unit.finish().expect_log("cannot be started: its process had not become the program after");
}

#[test]
fn an_app_that_never_becomes_one_is_given_up() {
    let (_world, unit, ..) = caught_app();
    unit.finish().expect_code(126).expect_log("its process had not become it after 30 s");
}
