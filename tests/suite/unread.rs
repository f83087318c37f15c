//! Somebody does not read what is written to him: nobody waits for that.

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::unit::{self, start_writing};
use crate::support::wait::{DEADLINE, wait_until};

use crate::support::world::World;

/// The keeper was stopped for long, much was logged meanwhile, and then it was killed.
#[test]
fn litestreams_log_is_full_and_its_reader_dies() {
    let world = World::new();
    let trace = world.trace();
    let unit = start_writing(&world, unit::keeper(&world));
    let litestream = unit.litestream();
    unit.signal(Signal::SIGSTOP);
    litestream.fill(1);
    litestream.fill(2);
    // Its next line is under way, and waits.
    let rows = trace.acked().len();
    trace.wait_acked(rows + 10);
    unit.signal(Signal::SIGKILL);
    unit.finish();
    assert_eq!(trace.signals(), [15], "the app was stopped in order");
    unit::assert_nothing_lost(&world, &trace);
}

/// The same keeper goes on.
#[test]
fn litestreams_log_is_full_and_its_reader_comes_back() {
    let world = World::new();
    let trace = world.trace();
    let unit = start_writing(&world, unit::keeper(&world));
    let litestream = unit.litestream();
    unit.signal(Signal::SIGSTOP);
    litestream.fill(1);
    litestream.fill(2);
    let rows = trace.acked().len();
    trace.wait_acked(rows + 10);
    unit.signal(Signal::SIGCONT);
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

/// More is passed on to the shim than fits into its socket.
#[test]
fn a_shim_that_is_stopped_reads_nothing() {
    let world = World::new();
    let trace = world.trace();
    let app = App::new(&trace).ignore("USR1").on_last("TERM", &world.db(), 0).insert_forever(&world.db(), 3);
    let keeper = unit::keeper(&world).args(["--stop-timeout", "60s", "--log-level", "debug"]);
    let unit = keeper.app(app).start();
    trace.wait_acked(10);
    let shim = unit.shim();
    shim.signal(Signal::SIGSTOP);
    // A socket takes some three hundred packets.
    wait_until("a thousand signals to be passed on", DEADLINE, || {
        (0..50).for_each(|_| unit.signal(Signal::SIGUSR1));
        unit.log().matches("SIGUSR1 from").count() > 1000
    });
    unit.signal(Signal::SIGTERM);
    unit.wait_log(1, "SIGTERM from");
    shim.signal(Signal::SIGCONT);
    unit.finish().expect_code(0);
    let signals = trace.signals();
    assert!(signals.contains(&10) && signals.last() == Some(&15), "all in order: {signals:?}");
    unit::assert_nothing_lost(&world, &trace);
}
