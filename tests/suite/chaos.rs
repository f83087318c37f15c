//! Whatever dies, in whatever order and at whatever moment: no acknowledged row is lost.

use nix::sys::signal::Signal;

use crate::support::process::Running;
use crate::support::procfs::Process;
use crate::support::unit::{self, start_writing};
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// The keeper's part of the tree, the shim before what it started; without the keeper itself.
fn below_keeper(unit: &Running) -> Vec<Process> {
    let keeper = unit.keeper().pid;
    unit.tree().into_iter().filter(|process| process.pid != keeper).collect()
}

/// Kills one process after the other, the next one while the unit is still getting over the last:
/// `seed` decides which, and how many rows are written in between.
fn survives(seed: u64) {
    let world = World::new();
    let trace = world.trace();
    let keeper = unit::keeper(&world).args(["--start-limit", "1000", "--restart-delay", "20ms"]);
    let unit = start_writing(&world, keeper.args(["--restart-reset", "0s"]));
    let mut random = seed;
    for round in 0..25 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choice = (random >> 33) as usize;
        let victims = below_keeper(&unit);
        if let Some(victim) = victims.get(choice % victims.len().max(1)) {
            victim.signal(Signal::SIGKILL);
        }
        if choice & 0x100 != 0 {
            let rows = trace.acked().len() + choice % 7;
            wait_until(&format!("rows after round {round}"), DEADLINE, || trace.acked().len() > rows);
        }
    }
    unit.signal(Signal::SIGTERM);
    let ended = unit.finish();
    // The last death may still be on its way when the stop begins, and is then how the app ended.
    let code = ended.status.code();
    assert!(matches!(code, Some(0 | 137 | 143)), "{:?}\n{}", ended.status, ended.log);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn any_order_of_deaths_1() {
    survives(1);
}

#[test]
fn any_order_of_deaths_2() {
    survives(20_261_121);
}

#[test]
fn any_order_of_deaths_3() {
    survives(0x5eed);
}
