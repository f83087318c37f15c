//! From nothing to a running app: prepare, restore, launch, gate, one-shot commands.

use super::plan::{Fault, Plan, Replica, ms, policy, secs};
use super::world::World;
use crate::core::{Action, Cause, Ended, Event, ExitCode, Gate, NotStarted, Note, Phase, Policy};

#[test]
fn a_life_without_faults() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(5)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0, "the app's own code");
    use Phase::*;
    assert_eq!(world.phases(), [Launching, Gating, Running, Stopping, Draining, Closing, Exited]);
    assert_eq!(world.noted(Note::Drained), 1);
    assert_eq!(world.did(&Action::KillLitestream), 0);
    assert_eq!(world.did(&Action::KillTree), 0);
    assert_eq!(world.did(&Action::Ready(true)), 1);
    assert_eq!(world.did(&Action::Ready(false)), 1);
    assert_eq!((world.did(&Action::OpenGate), world.did(&Action::CloseGate)), (1, 1));
    assert_eq!((world.did(&Action::Drain), world.did(&Action::CloseDrain)), (1, 1));
    assert_eq!(world.count(|action| matches!(action, Action::Note(Note::StillOwed(_)))), 0);
}

#[test]
fn what_is_missing_is_restored_before_anything_runs() {
    let mut world = World::new(policy(), Plan { restore: Some(secs(30)), ..Plan::default() });
    world.until(Phase::Running);
    assert_eq!(world.phases()[..2], [Phase::Restoring, Phase::Launching]);
    assert!(world.times(&Action::Launch)[0] >= secs(30));
}

#[test]
fn nothing_starts_when_the_look_or_the_restore_fails() {
    let wrong = Plan { prepare_fails: Some(ExitCode::CONFIG), ..Plan::default() };
    let away = Plan { restore: Some(secs(1)), restore_fails: Some(ExitCode::UNAVAILABLE), ..Plan::default() };
    for (plan, code) in [(wrong, 78), (away, 69)] {
        let mut world = World::new(policy(), plan);
        assert_eq!(world.end(), code);
        assert_eq!(world.did(&Action::Launch), 0);
    }
}

#[test]
fn without_databases_nothing_is_drained() {
    let mut world = World::new(Policy { databases: 0, ..policy() }, Plan::default());
    world.until(Phase::Running).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!(world.did(&Action::Drain), 0);
}

#[test]
fn a_litestream_that_ends_at_once_is_the_end_of_the_first_start() {
    let plan = Plan { launch: None, launch_dies: Some(ms(10)), ..Plan::default() };
    let mut world = World::new(policy(), plan);
    assert_eq!(world.end(), 70);
    assert_eq!(world.noted(Note::LitestreamNotStarted), 1);
}

#[test]
fn a_litestream_that_never_comes_up_is_killed() {
    for litestream_unkillable in [false, true] {
        let mut world = World::new(policy(), Plan { launch: None, litestream_unkillable, ..Plan::default() });
        assert_eq!(world.end(), 70);
        assert_eq!(world.noted(Note::LaunchTimeout), 1);
        assert_eq!(world.did(&Action::KillLitestream), 1);
        assert!(world.time() <= secs(62));
    }
}

#[test]
fn the_word_of_a_litestream_that_was_killed_opens_no_gate() {
    let plan = Plan { launch: None, litestream_unkillable: true, ..Plan::default() };
    let mut world = World::new(policy(), plan);
    world.until_true("its end", |world| world.did(&Action::KillLitestream) == 1);
    world.tell(Event::ShimReady);
    assert_eq!((world.phase(), world.did(&Action::OpenGate)), (Phase::Launching, 0));
    assert_eq!(world.end(), 70);
}

#[test]
fn the_app_waits_for_the_gate() {
    let mut world = World::new(policy(), Plan { gate: secs(35), ..Plan::default() });
    world.until(Phase::Running);
    assert!(world.times(&Action::StartApp)[0] >= secs(35));
    for tenth in [10, 20, 30] {
        assert_eq!(world.noted(Note::GateWaiting(secs(tenth))), 1);
    }
    assert_eq!(world.count(|action| matches!(action, Action::Note(Note::GateWaiting(_)))), 3);
}

#[test]
fn a_gate_without_progress_ends_the_first_start() {
    let mut world = World::new(policy(), Plan { gate: secs(61), ..Plan::default() });
    assert_eq!(world.end(), 69);
    assert_eq!(world.noted(Note::GateTimeout), 1);
    assert_eq!(world.did(&Action::StartApp), 0);
}

#[test]
fn a_gate_that_moves_may_take_hours() {
    let plan = Plan { gate: secs(7200), gate_moves: Some(secs(59)), ..Plan::default() };
    let mut world = World::new(policy(), plan);
    world.until(Phase::Running);
    assert!(world.time() >= secs(7200));
}

#[test]
fn a_replica_that_refuses_ends_the_first_start_at_once() {
    let mut world = World::new(policy(), Plan::default());
    world.suffer(Fault::Replica(Replica::Refuses));
    assert_eq!(world.end(), 69);
    assert!(world.time() < secs(1));
    assert_eq!(world.did(&Action::StartApp), 0);
}

#[test]
fn once_the_gate_was_open_a_closed_one_is_an_outage() {
    for (replica, note) in [(Replica::Refuses, Note::GateRefused), (Replica::Away, Note::GateTimeout)] {
        let mut world = World::new(policy(), Plan::default());
        world.until(Phase::Running).suffer(Fault::Replica(replica));
        world.suffer(Fault::LitestreamDies);
        world.until_true("a gate that fails", |world| world.noted(note.clone()) == 2);
        assert_eq!(world.did(&Action::StartApp), 1);
        world.suffer(Fault::Replica(Replica::Answers));
        world.until(Phase::Running);
        assert_eq!(world.did(&Action::StartApp), 2);
    }
}

#[test]
fn no_gate_asks_nobody() {
    let mut world = World::new(Policy { gate: Gate::None, ..policy() }, Plan::default());
    world.suffer(Fault::Replica(Replica::Away));
    world.until(Phase::Running);
    assert_eq!(world.did(&Action::OpenGate) + world.did(&Action::CloseGate), 0);
}

#[test]
fn one_shot_commands_run_one_by_one_between_two_gates() {
    let before = vec![(secs(1), Ended::Code(0)), (secs(2), Ended::Code(0))];
    let mut world = World::new(policy(), Plan { before, ..Plan::default() });
    world.until(Phase::Running);
    assert_eq!(world.did(&Action::OpenGate), 2, "what they wrote is confirmed as well");
    let [first, second] = [0, 1].map(|place| world.times(&Action::StartBefore(place))[0]);
    assert!(first + secs(1) <= second && second + secs(2) <= world.times(&Action::StartApp)[0]);
}

#[test]
fn what_a_one_shot_command_leaves_is_killed_and_the_app_is_not() {
    let plan = Plan { before: vec![(secs(1), Ended::Code(0))], leaves: true, ..Plan::default() };
    let mut world = World::new(policy(), plan);
    world.until(Phase::Running).pass(secs(60));
    assert_eq!(world.phase(), Phase::Running);
    assert_eq!(world.did(&Action::KillTree), 1);
    assert_eq!(world.noted(Note::TreeStuck), 0);
}

#[test]
fn a_one_shot_command_that_fails_is_the_end() {
    // One that is a reason of the keeper's as well is still the command's.
    let code = ExitCode::UNAVAILABLE;
    let failed = Ended::Code(code.get());
    let before = vec![(secs(1), failed), (secs(1), Ended::Code(0))];
    let mut world = World::new(policy(), Plan { before, ..Plan::default() });
    assert_eq!(world.end(), code.get());
    assert_eq!(world.did(&Action::Exit(code, Cause::Before)), 1);
    assert_eq!(world.noted(Note::BeforeFailed(0, failed)), 1);
    assert_eq!(world.did(&Action::StartBefore(1)) + world.did(&Action::StartApp), 0);
}

#[test]
fn a_one_shot_command_that_litestreams_death_cut_short_runs_again() {
    let mut world = World::new(policy(), Plan { before: vec![(secs(5), Ended::Code(0))], ..Plan::default() });
    world.until(Phase::Before).pass(secs(1)).suffer(Fault::LitestreamDies);
    world.until(Phase::Running);
    assert_eq!(world.did(&Action::StartBefore(0)), 2);
}

#[test]
fn a_command_that_cannot_be_executed_is_not_tried_again() {
    for (why, code) in
        [(NotStarted::NotFound, 127), (NotStarted::NotExecutable, 126), (NotStarted::WithoutDatabase, 69)]
    {
        let mut world = World::new(policy(), Plan { not_started: Some(why), ..Plan::default() });
        assert_eq!(world.end(), code);
        assert_eq!(world.did(&Action::StartApp), 1);
    }
}
