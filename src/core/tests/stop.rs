//! The end: one, two and three signals in each phase, the drain, the budget.

use super::litestream::{slow, world_in};
use super::plan::{Fault, Plan, Replica, ms, policy, secs};
use super::world::World;
use crate::core::{Action, Cause, Db, Ended, Event, ExitCode, Gate, Machine, Note, Phase, Policy};

pub(super) const BEFORE_THE_END: [Phase; 11] = [
    Phase::Preparing,
    Phase::Restoring,
    Phase::Resolving,
    Phase::Launching,
    Phase::Gating,
    Phase::Before,
    Phase::Running,
    Phase::Stopping,
    Phase::Draining,
    Phase::Closing,
    Phase::Backoff,
];

#[test]
fn one_signal_ends_in_order_from_each_phase() {
    for phase in BEFORE_THE_END {
        let mut world = world_in(phase, slow());
        let (asked, ran) = (world.time(), world.did(&Action::StartApp) > 0);
        world.suffer(Fault::Stop(15));
        let code = match phase {
            Phase::Running | Phase::Stopping | Phase::Draining | Phase::Closing => 0,
            Phase::Preparing
            | Phase::Restoring
            | Phase::Resolving
            | Phase::Launching
            | Phase::Gating
            | Phase::Before
            | Phase::Backoff
            | Phase::Exited => 143,
        };
        assert_eq!(world.end(), code, "{phase:?}: the app's code, or the signal's");
        assert!(world.time() - asked <= secs(10), "{phase:?} took {:?}", world.time() - asked);
        assert!(!ran || world.noted(Note::Drained) == 1, "{phase:?}");
        let is_up = ran || phase == Phase::Before;
        assert_eq!(world.noted(Note::NotUp), usize::from(!is_up), "{phase:?}");
        assert!(!world.app_lives());
    }
}

/// Rows of an earlier run are confirmed as the app's are, where there is a Litestream to do it; else they are named.
#[test]
fn a_stop_before_the_app_answers_for_what_an_earlier_run_left() {
    let both = vec![Db(0), Db(1)];
    use Phase::{Backoff, Gating, Launching, Preparing, Resolving, Restoring};
    for phase in [Preparing, Restoring, Resolving, Launching, Gating, Backoff] {
        let mut world = world_in(phase, Plan { owed: 3, ..slow() });
        world.pass(ms(5)).suffer(Fault::Stop(15));
        let is_drained = matches!(phase, Phase::Launching | Phase::Gating | Phase::Backoff);
        assert_eq!(world.end(), if is_drained { 143 } else { 74 }, "{phase:?}");
        assert_eq!(world.noted(Note::NotDrained(both.clone())), usize::from(!is_drained), "{phase:?}");
        assert_eq!(world.noted(Note::NotUp), 0, "{phase:?}: it is known");
        assert!(world.dbs.is_safe() || !is_drained, "{phase:?}");
        assert!(world.did(&Action::Drain) > 0 || !is_drained, "{phase:?}");
    }
}

/// Nobody waits for a Litestream that has nothing to do, and whoever has comes up first.
#[test]
fn a_stop_during_a_launch_ends_it_where_nothing_is_left() {
    for (owed, killed, code) in [(0, 1, 143), (3, 0, 143)] {
        let mut world = World::new(policy(), Plan { launch: Some(secs(5)), owed, ..Plan::default() });
        world.until(Phase::Launching).pass(secs(1)).suffer(Fault::Stop(15));
        let asked = world.time();
        assert_eq!(world.end(), code);
        assert_eq!(world.did(&Action::KillLitestream), killed, "{owed}");
        assert_eq!(world.time() - asked < secs(1), killed == 1, "{owed}");
        assert_eq!(world.did(&Action::Launch), 1, "{owed}");
    }
}

#[test]
fn a_launch_that_is_to_drain_and_does_not_come_up_has_the_budget_and_no_more() {
    let mut world = World::new(policy(), Plan { launch: None, owed: 3, ..Plan::default() });
    world.until(Phase::Launching).pass(secs(1)).suffer(Fault::Stop(15));
    let asked = world.time();
    assert_eq!(world.end(), 74, "{}", world.story());
    assert_eq!(world.noted(Note::LaunchTimeout), 1);
    assert!(world.time() - asked < secs(10), "{:?}", world.time() - asked);
}

#[test]
fn what_an_earlier_run_left_and_no_replica_takes_is_74_with_its_names() {
    for (phase, gate) in [
        (Phase::Launching, Gate::Replicated),
        (Phase::Gating, Gate::Replicated),
        (Phase::Running, Gate::None),
        (Phase::Backoff, Gate::None),
    ] {
        let policy = Policy { gate, ..policy() };
        let mut world = World::new(policy, Plan { owed: 3, writes: secs(3600), ..Plan::default() });
        world.suffer(Fault::Replica(Replica::Away));
        if phase == Phase::Backoff {
            world.until(Phase::Running).suffer(Fault::LitestreamDies);
        }
        let asked = world.until(phase).time();
        world.suffer(Fault::Stop(15));
        assert_eq!(world.end(), 74, "{phase:?}");
        assert_eq!(world.noted(Note::NotDrained(vec![Db(0), Db(1)])), 1, "{phase:?}: {}", world.story());
        assert!(world.time() - asked <= secs(10), "{phase:?}");
    }
    // A start that fails by itself has said why.
    let mut world = World::new(policy(), Plan { owed: 3, ..Plan::default() });
    world.suffer(Fault::Replica(Replica::Refuses));
    assert_eq!(world.end(), 69);
    assert!(world.time() < secs(1));
}

#[test]
fn what_an_earlier_run_left_is_nobodys_concern_once_the_gate_was_open() {
    let mut world = World::new(policy(), Plan { owed: 3, ..Plan::default() });
    world.until(Phase::Running).pass(secs(2)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert!(world.dbs.is_safe());
}

#[test]
fn what_is_said_of_an_earlier_run_once_all_was_confirmed_comes_too_late() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).tell(Event::Owed(Db(0)));
    world.suffer(Fault::LockLost(Db(1)));
    assert_eq!(world.end(), 75);
    assert_eq!(world.noted(Note::StillOwed(vec![Db(0)])), 0);
}

#[test]
fn a_start_that_comes_to_nothing_tells_what_an_earlier_run_left() {
    let mut machine = Machine::new(policy(), 1);
    let now = std::time::Instant::now();
    machine.handle(now, Event::Start);
    machine.handle(now, Event::Owed(Db(0)));
    machine.handle(now, Event::PrepareFailed(ExitCode::UNAVAILABLE));
    let actions: Vec<Action> = std::iter::from_fn(|| machine.poll_action()).collect();
    assert!(actions.contains(&Action::Note(Note::StillOwed(vec![Db(0)]))), "{actions:?}");
    assert_eq!(actions.last(), Some(&Action::Exit(ExitCode::UNAVAILABLE, Cause::Start)));
}

#[test]
fn an_interrupt_before_the_app_is_130() {
    for phase in [Phase::Preparing, Phase::Restoring, Phase::Resolving, Phase::Launching, Phase::Gating] {
        let mut world = world_in(phase, slow());
        world.suffer(Fault::Stop(2));
        assert_eq!(world.end(), 130, "{phase:?}");
        assert_eq!(world.did(&Action::StartApp), 0);
    }
}

#[test]
fn an_abort_that_hangs_has_the_budget_and_no_more() {
    for phase in [Phase::Preparing, Phase::Restoring, Phase::Resolving] {
        let mut world = world_in(phase, Plan { abort_hangs: true, ..slow() });
        world.suffer(Fault::Stop(15));
        assert_eq!(world.end(), 143, "{phase:?}");
        assert!(world.time() <= secs(13));
    }
}

#[test]
fn a_second_signal_skips_the_grace_and_never_the_drain() {
    let plan = Plan { stops: None, leaves: true, ..Plan::default() };
    let mut world = World::new(policy(), plan);
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Stop(15));
    world.pass(secs(1)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 137);
    assert_eq!(world.noted(Note::GraceSkipped), 1);
    assert_eq!(world.noted(Note::Drained), 1);
    assert!(world.time() < secs(3));
}

/// `timeout` sends its TERM to the keeper, and to the group that the keeper is in.
#[test]
fn signals_in_one_breath_are_one() {
    for between in [ms(0), ms(1), ms(50), ms(400), ms(999)] {
        let mut world =
            World::new(policy(), Plan { stops: Some((secs(3), Ended::Code(0))), ..Plan::default() });
        world.until(Phase::Running).pass(secs(1)).suffer(Fault::Stop(15));
        world.suffer_in(between, Fault::Stop(15));
        world.suffer_in(between, Fault::Stop(2));
        assert_eq!(world.end(), 0, "{between:?}: the app ended as it likes:\n{}", world.story());
        assert_eq!(world.noted(Note::GraceSkipped), 0);
    }
}

/// Nobody is more patient with the second word than with the first.
#[test]
fn a_second_word_in_two_breaths_is_no_third() {
    let mut world = World::new(policy(), Plan { stops: None, drain: secs(3), ..Plan::default() });
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Stop(15));
    for after in [ms(1), ms(900), ms(1100), ms(1101), ms(2000)] {
        world.suffer_in(after, Fault::Stop(15));
    }
    assert_eq!(world.end(), 137, "{}", world.story());
    assert_eq!((world.noted(Note::GraceSkipped), world.noted(Note::Drained)), (1, 1));
}

#[test]
fn impatience_counts_from_the_last_word_that_counted() {
    let mut world = World::new(policy(), Plan { stops: None, drain: secs(5), ..Plan::default() });
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Stop(15));
    for tenth in 1..=30 {
        world.suffer_in(ms(100) * tenth, Fault::Stop(2));
    }
    let asked = world.time();
    assert_eq!(world.end(), 74, "{}", world.story());
    assert_eq!(world.time() - asked, secs(2), "the second after one second, the third after two");
}

#[test]
fn a_third_signal_ends_all_and_names_what_is_not_safe() {
    for phase in BEFORE_THE_END {
        // Each phase takes its time, so that it is still the same at the third.
        let long = Plan { abort_hangs: true, stops: None, ..slow() };
        let long = if phase == Phase::Closing {
            Plan { close: secs(60), ..slow() }
        } else if matches!(phase, Phase::Draining | Phase::Backoff) {
            Plan { drain: secs(60), ..slow() }
        } else {
            long
        };
        let mut world = world_in(phase, long);
        world.suffer(Fault::Stop(15));
        world.pass(secs(1)).suffer(Fault::Stop(15));
        world.pass(secs(1)).suffer(Fault::Stop(15));
        let asked = world.time();
        let code = world.end();
        assert_eq!(world.time(), asked, "{phase:?}");
        assert!(!world.times(&Action::KillTree).contains(&asked), "{phase:?}: the second has killed it");
        let ran = world.dbs.rows[0].written > 0;
        match phase {
            Phase::Preparing | Phase::Restoring | Phase::Resolving | Phase::Launching | Phase::Gating => {
                assert_eq!(code, 143)
            }
            Phase::Before | Phase::Running | Phase::Stopping | Phase::Draining | Phase::Backoff => {
                assert!(ran);
                assert_eq!(code, 74, "{phase:?}");
                assert_eq!(world.noted(Note::EndingNow(vec![Db(0), Db(1)])), 1, "{phase:?}");
            }
            Phase::Closing => assert_eq!(code, 0, "it was drained"),
            Phase::Exited => {}
        }
    }
}

#[test]
fn a_third_signal_leaves_no_app_behind() {
    let mut world = World::new(policy(), Plan { tree_unkillable: true, stops: None, ..Plan::default() });
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Stop(15));
    world.pass(secs(1)).suffer(Fault::Stop(15));
    world.pass(secs(1)).suffer(Fault::Stop(15));
    let asked = world.time();
    assert_eq!(world.end(), 74);
    assert!(world.times(&Action::KillTree).contains(&asked), "{}", world.story());
}

#[test]
fn an_app_that_ignores_the_signal_leaves_the_drain_its_reserve() {
    let mut world =
        World::new(policy(), Plan { stops: None, leaves: true, drain: secs(3), ..Plan::default() });
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Stop(15));
    let asked = world.until(Phase::Stopping).time();
    assert_eq!(world.end(), 137);
    assert_eq!(world.noted(Note::GraceOver(secs(6))), 1);
    assert_eq!(world.times(&Action::KillTree)[0] - asked, secs(6));
    assert!(world.time() - asked < secs(10));
}

#[test]
fn a_tree_that_cannot_be_killed_does_not_hold_up_the_drain() {
    let mut world = World::new(policy(), Plan { tree_unkillable: true, stops: None, ..Plan::default() });
    world.until(Phase::Running).suffer(Fault::Stop(15));
    world.until_true("the shim's end", |world| world.did(&Action::KillShim) == 1);
    assert_eq!(world.machine.poll_timeout(), Some(world.now + secs(1)), "nor does the shim's");
    world.until(Phase::Draining);
    assert_eq!(world.noted(Note::TreeStuck), 1);
    world.until_true("the end", |world| world.code().is_some() || world.phase() == Phase::Closing);
    assert!(world.time() < secs(9));
    assert_eq!(world.end(), 74, "it may go on writing:\n{}", world.story());
    assert_eq!((world.noted(Note::Drained), world.noted(Note::NotDrained(vec![Db(0), Db(1)]))), (0, 1));
}

/// Whoever the shim runs as can stop it: it hears of no order, and its app goes on writing.
#[test]
fn a_shim_that_is_stopped_is_killed_with_its_app_and_all_is_drained() {
    for leaves in [false, true] {
        let mut world = World::new(policy(), Plan { leaves, ..Plan::default() });
        world.until(Phase::Running).pass(secs(3)).suffer(Fault::ShimStops);
        world.pass(secs(3)).suffer(Fault::Stop(15));
        assert_eq!(world.end(), 143, "{}", world.story());
        assert_eq!(world.did(&Action::KillShim), 1);
        assert_eq!(world.noted(Note::TreeStuck), 0);
        assert!(world.dbs.is_safe() && !world.app_lives(), "{}", world.story());
        assert!(world.time() < secs(17));
    }
}

#[test]
fn a_shim_that_is_stopped_at_a_relaunch_is_killed_as_well() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::ShimStops);
    world.suffer_in(secs(1), Fault::Parts(Db(0)));
    world.until_true("another launch", |world| world.did(&Action::Launch) == 2).until(Phase::Running);
    assert_eq!(world.did(&Action::KillShim), 1);
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
}

#[test]
fn a_lock_that_another_keeper_has_is_75_and_what_was_written_is_drained() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::LockLost(Db(1)));
    assert_eq!(world.end(), 75);
    assert_eq!(world.noted(Note::LockLost(Db(1))), 1);
    assert!(world.dbs.is_safe());
}

#[test]
fn another_litestream_is_75_and_what_was_written_is_drained() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::Doubled(Db(1)));
    world.suffer(Fault::Doubled(Db(0)));
    assert_eq!(world.end(), 75);
    assert_eq!((world.noted(Note::Doubled(Db(1))), world.noted(Note::Doubled(Db(0)))), (1, 0));
    assert!(world.dbs.is_safe());
}
