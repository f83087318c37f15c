//! Litestream or its shim dies, or Litestream is asked to stop, in each phase.

use super::plan::{Fault, Plan, Replica, ms, policy, secs};
use super::world::World;
use crate::core::{Action, BackoffPolicy, Db, Ended, Event, Gate, Note, Phase, Policy};

/// Every phase takes a while, so that something can happen in it.
pub(super) fn slow() -> Plan {
    Plan {
        restore: Some(secs(1)),
        prepare: secs(1),
        launch: Some(secs(1)),
        gate: secs(1),
        before: vec![(secs(1), Ended::Code(0))],
        lives: [(secs(60), Ended::Code(1))].into(),
        stops: Some((secs(1), Ended::Code(0))),
        leaves: true,
        leftovers_stop: Some(ms(500)),
        resolve: secs(1),
        drain: secs(1),
        close: secs(1),
        ..Plan::default()
    }
}

/// A world that is in this phase.
pub(super) fn world_in(phase: Phase, plan: Plan) -> World {
    // The one crash comes early enough to see a backoff that is long enough.
    let backoff = BackoffPolicy { initial: secs(2), ..BackoffPolicy::default() };
    let resolves = phase == Phase::Resolving;
    let mut world = World::new(Policy { backoff, resolves, ..policy() }, plan);
    match phase {
        Phase::Stopping | Phase::Draining | Phase::Closing => {
            world.until(Phase::Running).pass(secs(3)).suffer(Fault::Stop(15));
        }
        Phase::Preparing
        | Phase::Restoring
        | Phase::Resolving
        | Phase::Launching
        | Phase::Gating
        | Phase::Before
        | Phase::Running
        | Phase::Backoff
        | Phase::Exited => {}
    }
    world.until(phase).pass(ms(100));
    assert_eq!(world.phase(), phase);
    world
}

const WITH_LITESTREAM: [Phase; 5] =
    [Phase::Gating, Phase::Before, Phase::Running, Phase::Backoff, Phase::Launching];

#[test]
fn both_come_back_when_litestream_or_its_shim_dies() {
    for phase in WITH_LITESTREAM {
        for fault in [Fault::LitestreamDies, Fault::ShimDies] {
            for shim_gone_first in [false, true] {
                if phase == Phase::Launching && fault == Fault::LitestreamDies {
                    continue;
                }
                let mut world = world_in(phase, Plan { shim_gone_first, ..slow() });
                let starts = world.did(&Action::StartApp);
                world.suffer(fault);
                if phase == Phase::Launching {
                    assert!(world.did(&Action::Launch) == 1, "there is no shim yet");
                    continue;
                }
                world.pass(ms(200));
                assert!(!world.app_lives(), "{fault:?} in {phase:?}");
                world.until_true("the next launch", |world| world.did(&Action::Launch) == 2);
                world.until(Phase::Running).pass(secs(2)).suffer(Fault::Stop(15));
                assert_eq!(world.end(), 0, "{fault:?} in {phase:?}");
                assert_eq!(world.did(&Action::StartApp), starts + 1);
                assert!(world.dbs.is_safe());
            }
        }
    }
}

#[test]
fn its_death_is_told_in_each_phase_with_an_app() {
    for phase in [Phase::Gating, Phase::Before, Phase::Running, Phase::Backoff] {
        let mut world = world_in(phase, slow());
        world.suffer(Fault::LitestreamDies);
        world.pass(secs(1));
        assert_eq!(world.noted(Note::LitestreamDied), 1, "{phase:?}");
    }
}

#[test]
fn the_app_is_dead_within_milliseconds_of_litestream() {
    let mut world = World::new(policy(), Plan { leaves: true, ..Plan::default() });
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::LitestreamDies);
    world.pass(ms(5));
    assert!(!world.app_lives());
}

#[test]
fn an_orphan_has_the_grace_that_it_was_given_and_no_more() {
    let policy = Policy { orphan_grace: secs(3), ..policy() };
    for stops in [Some((secs(1), Ended::Code(0))), None] {
        let mut world = World::new(policy.clone(), Plan { stops, ..Plan::default() });
        world.until(Phase::Running).pass(secs(1)).suffer(Fault::LitestreamDies);
        world.pass(ms(500));
        assert!(world.app_lives());
        let died = world.time();
        if stops.is_none() {
            assert!(world.pass(ms(2400)).app_lives(), "to the last moment");
        }
        world.until(Phase::Backoff);
        assert!(!world.app_lives());
        assert!(world.time() - died < secs(3));
        world.until(Phase::Running);
    }
}

#[test]
fn a_litestream_whose_shim_died_before_its_first_word_has_half_a_minute_to_end() {
    let mut world = World::new(policy(), Plan { launch: None, ..Plan::default() });
    world.until(Phase::Launching).tell(Event::ShimGone);
    world.pass(secs(29));
    assert_eq!(world.did(&Action::KillLitestream), 0);
    world.pass(secs(2));
    assert_eq!(world.did(&Action::KillLitestream), 1);
}

#[test]
fn what_a_dead_shim_leaves_is_swept() {
    for shim_gone_first in [false, true] {
        let mut world = World::new(policy(), Plan { leaves: true, shim_gone_first, ..Plan::default() });
        world.until(Phase::Running).pass(secs(1)).suffer(Fault::ShimDies);
        world.until(Phase::Backoff);
        assert!(!world.app_lives());
        assert!(world.did(&Action::KillTree) >= 1);
        world.until(Phase::Running);
    }
}

#[test]
fn a_litestream_that_keeps_dying_is_given_up() {
    let mut world = World::new(policy(), Plan::default());
    for life in 1..=11 {
        world.until_true("the gate", |world| world.did(&Action::StartApp) == life);
        world.suffer(Fault::LitestreamDies);
        world.pass(ms(50));
    }
    assert_eq!(world.end(), 70);
    assert_eq!(world.noted(Note::LitestreamGivenUp), 1);
    let launches = world.times(&Action::Launch);
    let gaps: Vec<_> = launches.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.windows(2).all(|pair| pair[0] < pair[1] || pair[1] >= secs(30)), "{gaps:?}");
}

#[test]
fn a_litestream_that_lived_long_starts_the_backoff_anew() {
    let mut world = World::new(policy(), Plan::default());
    for life in 1..=20 {
        world.until_true("the gate", |world| world.did(&Action::StartApp) == life);
        world.pass(secs(31)).suffer(Fault::LitestreamDies);
        world.pass(ms(50));
        let before = world.time();
        world.until(Phase::Running);
        assert!(world.time() - before < ms(300), "life {life}");
    }
}

#[test]
fn a_life_ends_when_it_is_lost_and_not_when_its_end_was_waited_for() {
    // Each Litestream is asked to stop after a second and takes 29 s more to end.
    let mut world = World::new(policy(), Plan { close: secs(29), ..Plan::default() });
    for life in 1..=11 {
        world.until_true("the gate", |world| world.did(&Action::StartApp) == life);
        world.pass(secs(2)).suffer(Fault::LitestreamAsked);
        world.pass(ms(50));
    }
    let closed = world.times(&Action::Release);
    let launches = world.times(&Action::Launch);
    let waits: Vec<_> = launches[1..].iter().zip(&closed).map(|(launch, closed)| *launch - *closed).collect();
    assert!(waits[5] > waits[0] + secs(2), "the backoff grows: {waits:?}");
}

#[test]
fn a_litestream_that_was_asked_to_stop_stops_in_order_and_comes_back() {
    for phase in [Phase::Gating, Phase::Before, Phase::Running, Phase::Backoff] {
        let mut world = world_in(phase, slow());
        let starts = world.did(&Action::StartApp);
        world.suffer(Fault::LitestreamAsked);
        world.pass(ms(5));
        assert_eq!(world.noted(Note::LitestreamAsked), 1, "{phase:?}");
        world.until_true("the next launch", |world| world.did(&Action::Launch) == 2);
        assert!(world.dbs.is_safe(), "{phase:?}");
        assert_eq!(world.did(&Action::KillLitestream), 0);
        assert_eq!(world.did(&Action::StartApp), starts, "not under one that is on its way out: {phase:?}");
        world.until(Phase::Running);
    }
}

#[test]
fn a_diverged_copy_is_made_again_by_a_fresh_litestream() {
    for phase in [Phase::Before, Phase::Running, Phase::Stopping, Phase::Draining] {
        let mut world = world_in(phase, slow());
        world.suffer(Fault::Parts(Db(1)));
        world.until_true("the next launch", |world| world.did(&Action::Launch) == 2);
        assert_eq!(world.noted(Note::Diverged(Db(1))), 1, "{phase:?}");
        assert_eq!(world.did(&Action::KillLitestream), 0, "{phase:?}");
        if matches!(phase, Phase::Before | Phase::Running) {
            world.until(Phase::Running).suffer(Fault::Stop(15));
        }
        world.end();
        assert!(world.dbs.is_safe(), "{phase:?}");
    }
}

#[test]
fn what_is_said_of_a_copy_that_has_diverged_confirms_nothing() {
    let mut world = world_in(Phase::Running, Plan::default());
    world.tell(Event::Diverged(Db(1)));
    world.until(Phase::Backoff);
    assert_eq!(world.noted(Note::Drained), 0, "{}", world.story());
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 143);
    assert_eq!((world.did(&Action::Launch), world.noted(Note::Drained)), (2, 1), "a fresh one drains");
}

#[test]
fn a_damaged_database_ends_the_unit() {
    let mut world = World::new(policy(), Plan { damaged: Some(1), ..Plan::default() });
    assert_eq!(world.end(), 69);
    assert_eq!(world.did(&Action::StartApp), 0);
    for phase in [Phase::Running, Phase::Draining] {
        let mut world = world_in(phase, Plan { damaged: Some(2), ..slow() });
        world.suffer(Fault::Parts(Db(1)));
        assert_eq!(world.end(), 74, "what was not confirmed is nowhere else: {phase:?}\n{}", world.story());
        assert_eq!((world.did(&Action::Launch), world.did(&Action::StartApp)), (2, 1), "{phase:?}");
        assert_eq!(world.count(|action| matches!(action, Action::Note(Note::NotDrained(_)))), 1);
    }
}

#[test]
fn an_app_that_ignores_the_stop_cannot_keep_an_asked_litestream() {
    let mut world = World::new(policy(), Plan { stops: None, ..Plan::default() });
    world.until(Phase::Running).suffer(Fault::LitestreamAsked);
    world.until(Phase::Backoff);
    assert_eq!(world.noted(Note::GraceOver(secs(10))), 1);
    assert!(world.time() < secs(11));
    assert!(world.dbs.is_safe());
}

#[test]
fn a_drain_for_a_relaunch_that_fails_is_no_end() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::LitestreamAsked);
    world.until(Phase::Backoff);
    assert_eq!(world.noted(Note::NotDrained(vec![Db(0), Db(1)])), 1);
    world.suffer(Fault::Replica(Replica::Answers));
    world.until(Phase::Running).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
}

#[test]
fn a_relaxed_gate_forgets_no_lag() {
    for gate in [Gate::None, Gate::Reachable] {
        // One write at the start, and then never again.
        let plan = Plan { writes: secs(100_000), ..Plan::default() };
        let mut world = World::new(Policy { gate, ..policy() }, plan);
        world.until(Phase::Running).pass(ms(500)).suffer(Fault::Replica(Replica::Away));
        world.suffer(Fault::LitestreamHangs);
        world.pass(secs(90));
        assert_eq!(world.did(&Action::Ready(true)), 1);
        assert_eq!(world.did(&Action::Ready(false)), 1, "{}", world.story());
    }
}
