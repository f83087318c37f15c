//! When the app comes back, and when it does not.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::unit;
use crate::support::world::World;

#[test]
fn a_crash_loop_backs_off_and_gives_up_with_the_apps_code() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).insert(&db, 1).exit(42);
    let keeper = unit::keeper(&world).args(["--restart-delay", "100ms", "--start-limit", "3"]);
    let start = Instant::now();
    let ended = keeper.app(app).run().expect_code(42).expect_log("too often: giving up");
    assert!(start.elapsed() >= Duration::from_millis(700), "100, 200 and 400 ms: {:?}", start.elapsed());
    assert_eq!(trace.all("start").len(), 4, "one start and three restarts");
    assert_eq!(ended.log.matches("ended with code 42: starting it again in").count(), 3);
    assert_eq!(unit::assert_nothing_lost(&world, &trace), 4);
}

#[test]
fn a_crash_loop_by_a_signal_gives_up_with_128_and_its_number() {
    let world = World::new();
    let keeper = unit::keeper(&world).args(["--restart-delay", "10ms", "--start-limit", "2"]);
    let ended = keeper.app(["sh", "-c", "kill -SEGV $$"]).run().expect_code(139);
    assert_eq!(ended.log.matches("was ended by SIGSEGV: starting it again").count(), 2);
}

#[test]
fn an_app_that_recovers_runs_on() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let inner = unit::writer(&trace, &db, 0).line();
    let script = format!("n=$(cat n 2>/dev/null); echo x$n > n; [ \"$n\" = xx ] || exit 1; exec {inner}");
    let keeper = unit::keeper(&world).args(["--restart-delay", "10ms"]);
    let unit = keeper.app(["sh", "-c", &script]).start();
    trace.wait_acked(3);
    let ended = unit.stop(0);
    assert_eq!(ended.log.matches("starting it again").count(), 2);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn by_default_an_end_with_0_is_the_end() {
    let world = World::new();
    let trace = world.trace();
    unit::keeper(&world).app(App::new(&trace).exit(0)).run().expect_code(0);
    assert_eq!(trace.all("start").len(), 1);
}

#[test]
fn never_means_never() {
    let world = World::new();
    let trace = world.trace();
    unit::keeper(&world).args(["--restart", "never"]).app(App::new(&trace).exit(5)).run().expect_code(5);
    assert_eq!(trace.all("start").len(), 1);
}

#[test]
fn always_means_after_a_good_end_as_well() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).insert(&db, 1).exit(0);
    let keeper =
        unit::keeper(&world).args(["--restart", "always", "--restart-delay", "10ms", "--start-limit", "4"]);
    keeper.app(app).run().expect_code(0);
    assert_eq!(trace.all("start").len(), 5);
    assert_eq!(unit::assert_nothing_lost(&world, &trace), 5);
}

/// A stop while it is always restarted is a stop.
#[test]
fn always_ends_with_a_stop() {
    let world = World::new();
    let unit = unit::start_writing(&world, unit::keeper(&world).args(["--restart", "always"]));
    unit.stop(0);
    assert_eq!(world.trace().all("start").len(), 1);
}

/// A Litestream that dies again and again is given up, and so is the app.
#[test]
fn litestream_that_keeps_failing_is_given_up() {
    let world = World::new();
    let trace = world.trace();
    let keeper = unit::keeper(&world).args(["--restart-delay", "10ms", "--start-limit", "2"]);
    let unit = unit::start_writing(&world, keeper);
    for life in 1..=3 {
        let app = trace.wait_nth(life, "start").pid;
        unit.litestream().signal(Signal::SIGKILL);
        unit::time_to_death(app);
    }
    unit.finish().expect_code(70).expect_log("litestream failed too often");
}
