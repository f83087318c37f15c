//! Somebody does not read what is written to him: nobody waits for that.

use nix::sys::signal::Signal;

use crate::support::unit::{self, start_writing};

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
