//! Litestream hangs: found by the age of the oldest unconfirmed change, and what then happens is the user's choice.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::manager::Manager;
use crate::support::process::Running;
use crate::support::procfs::Process;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// Hangs Litestream, but not in the moment in which it holds the database's lock: then the app would hang with it.
#[track_caller]
fn hang(unit: &Running, world: &World) -> Process {
    let litestream = unit.litestream();
    wait_until("litestream to hang without the lock", DEADLINE, || {
        litestream.signal(Signal::SIGSTOP);
        let hangs = sqlite::is_writable(&world.db());
        if !hangs {
            litestream.signal(Signal::SIGCONT);
        }
        hangs
    });
    litestream
}

#[test]
fn with_stop_the_app_is_stopped() {
    let world = World::new();
    let trace = world.trace();
    sqlite::create(&world.db(), 1);
    // It writes only once litestream hangs: before, no lag can be the machine's fault and stop it.
    let app = App::new(&trace).on_last("TERM", &world.db(), 0).ready().words(["line"]);
    let keeper = unit::keeper(&world).args(["--max-lag", "1s", "--on-lag", "stop", "--stop-timeout", "8s"]);
    let mut unit = keeper.piped_stdin().app(app.insert_forever(&world.db(), 3)).start();
    trace.wait("ready");
    hang(&unit, &world);
    let start = Instant::now();
    unit.feed(b"write\n");
    trace.wait("exit");
    println!("the app was stopped {:.1?} after litestream hung", start.elapsed());
    let db = world.db().display().to_string();
    let ended =
        unit.finish().expect_code(74).expect_log(&format!("{db}: ")).expect_log("has not confirmed a change");
    ended.expect_log("not everything is on the replica");
    assert_eq!(trace.signals(), [15], "the app was stopped in order");
    // The next start brings up the rest.
    unit::keeper(&world).app(["true"]).run().expect_code(0);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn with_unready_the_service_manager_hears_of_it_until_the_replica_has_caught_up() {
    let world = World::new();
    let trace = world.trace();
    let manager = Manager::listen(&world);
    let keeper = unit::keeper(&world).args(["--max-lag", "1s", "--on-lag", "unready"]);
    let unit = unit::start_writing(&world, keeper.env("NOTIFY_SOCKET", manager.address()));
    manager.wait("READY=1");
    let app = unit.app();
    let litestream = hang(&unit, &world);
    manager.wait("STATUS=not ready: ");
    unit.wait_log(1, "not ready until it has caught up");
    let rows = trace.acked().len();
    trace.wait_acked(rows + 10);
    litestream.signal(Signal::SIGCONT);
    manager.wait("READY=1");
    unit.wait_log(1, "has caught up");
    assert_eq!((unit.app().pid, unit.litestream().pid), (app.pid, litestream.pid), "nothing was restarted");
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn with_warn_only_the_log_says_so() {
    let world = World::new();
    let trace = world.trace();
    let manager = Manager::listen(&world);
    let keeper = unit::keeper(&world).args(["--max-lag", "1s", "--on-lag", "warn"]);
    let unit = unit::start_writing(&world, keeper.env("NOTIFY_SOCKET", manager.address()));
    manager.wait("READY=1");
    let litestream = hang(&unit, &world);
    unit.wait_log(1, "only this line says so");
    litestream.signal(Signal::SIGCONT);
    unit.wait_log(1, "has caught up");
    assert!(!manager.heard().iter().any(|line| line.contains("not ready") || line == "READY=1"));
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn a_hung_litestream_at_the_stop_is_killed_within_the_budget() {
    let world = World::new();
    let trace = world.trace();
    let unit = unit::start_writing(&world, unit::keeper(&world).args(["--stop-timeout", "2s"]));
    hang(&unit, &world);
    let ended = unit.stop(74);
    let at = |said: &str| -> jiff::Timestamp {
        let line =
            ended.log.lines().find(|line| line.contains(said)).unwrap_or_else(|| panic!("{}", ended.log));
        line.split(' ').next().and_then(|time| time.parse().ok()).expect("each line begins with its time")
    };
    let took = at("not everything is on the replica").duration_since(at("SIGTERM"));
    assert!(took.as_millis() < 9_000, "without the option it is 10 s: {took}");
    ended.expect_log(&world.db().display().to_string());
    unit::keeper(&world).app(["true"]).run().expect_code(0);
    unit::assert_nothing_lost(&world, &trace);
}
