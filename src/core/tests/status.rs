//! What the machine tells of itself: where it is, whether it is ready and why not, what became of its processes.

use super::litestream::{slow, world_in};
use super::plan::{Fault, Plan, Replica, policy, secs};
use super::world::World;
use crate::core::status::{AppEnd, Lost, Standing, State, Unready, WhyEnded};
use crate::core::{BackoffPolicy, Db, Ended, Event, OnLag, Phase, Policy, Status};

fn status(world: &World) -> Status {
    world.machine.status(world.now)
}

fn standing(world: &World, db: Db) -> Standing {
    world.machine.standing(world.now, db)
}

fn running(policy: Policy) -> World {
    let mut world = World::new(policy, Plan::default());
    world.until(Phase::Running).pass(secs(3));
    world
}

#[test]
fn each_phase_has_a_word_and_a_sentence_of_its_own() {
    for one in Phase::ALL {
        let is_alone = |said: fn(Phase) -> &'static str| {
            Phase::ALL.into_iter().filter(|other| said(*other) == said(one)).count() == 1
        };
        assert!(is_alone(Phase::word) && is_alone(Phase::told), "{one:?}");
    }
}

#[test]
fn a_state_is_known_by_its_word() {
    for (state, word) in [(State::Lagging, "lagging"), (State::Replaced, "replaced")] {
        assert_eq!((state.word(), State::of(word)), (word, Some(state)));
    }
    assert_eq!(State::of("well"), None);
}

#[test]
fn only_a_unit_whose_app_runs_is_ready() {
    for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Exited) {
        let world = world_in(phase, slow());
        let status = status(&world);
        assert_eq!((status.phase, status.told), (phase.word(), phase.told()));
        assert_eq!(status.ready, phase == Phase::Running, "{phase:?}");
        assert_eq!(status.reasons, [], "{phase:?}");
        assert_eq!(status.behind, 0, "{phase:?}");
        assert_eq!(status.undrained > 0, phase == Phase::Draining, "{phase:?}");
        assert_eq!(status.is_limited, !matches!(phase, Phase::Before | Phase::Running), "{phase:?}");
    }
}

#[test]
fn a_lag_is_the_reason_and_its_age_goes_on() {
    let mut world = running(Policy { on_lag: OnLag::Unready, ..policy() });
    assert_eq!(standing(&world, Db(0)).state, State::Replicated);
    world.suffer(Fault::Replica(Replica::Away));
    world.until_true("unready", |world| !status(world).ready);
    let age = |world: &World| {
        status(world).reasons.into_iter().find_map(|reason| match reason {
            Unready::Lagging(Db(0), age) => Some(age),
            Unready::Lagging(..) | Unready::Missing(..) | Unready::Replaced(_) => None,
        })
    };
    world.until_true("a lag of the first", |world| age(world).is_some());
    let before = age(&world).expect("it lags");
    assert!(before >= policy().max_lag, "{before:?}");
    world.pass(secs(10));
    assert!(age(&world).expect("it lags") >= before + secs(9));
    let Standing { state, lag } = standing(&world, Db(0));
    assert_eq!((state, lag), (State::Lagging, age(&world)));
    world.suffer(Fault::Replica(Replica::Answers));
    world.until_true("ready", |world| status(world).ready);
    assert_eq!(status(&world).reasons, []);
}

#[test]
fn a_lag_that_is_only_told_is_none_of_the_reasons() {
    let mut world = running(Policy { on_lag: OnLag::Warn, ..policy() });
    world.suffer(Fault::Replica(Replica::Away));
    world.until_true("a lag", |world| standing(world, Db(0)).state == State::Lagging);
    assert!(status(&world).ready && status(&world).reasons.is_empty());
}

#[test]
fn a_file_that_is_missing_or_another_is_told_as_that() {
    let mut world = running(Policy { on_lag: OnLag::Unready, ..policy() });
    world.tell(Event::Missing(Db(0)));
    world.tell(Event::Replaced(Db(1)));
    assert_eq!(standing(&world, Db(0)).state, State::Missing);
    assert_eq!(standing(&world, Db(1)).state, State::Replaced);
    let is_told = |world: &World, wanted: fn(&Unready) -> bool| status(world).reasons.iter().any(wanted);
    world.until_true("a replaced one", |world| {
        is_told(world, |reason| matches!(reason, Unready::Replaced(Db(1))))
    });
    assert!(!is_told(&world, |reason| matches!(reason, Unready::Lagging(Db(1), _))), "once");
}

#[test]
fn nobody_tells_of_a_database_while_there_is_no_litestream_to_ask() {
    for phase in [Phase::Preparing, Phase::Launching, Phase::Gating] {
        assert_eq!(standing(&world_in(phase, slow()), Db(0)).state, State::Unknown, "{phase:?}");
    }
    let world = running(policy());
    assert_eq!(standing(&world, Db(7)), Standing { state: State::Unknown, lag: None });
    let mut awaited = running(policy());
    awaited.tell(Event::Awaited(Db(7)));
    assert_eq!(standing(&awaited, Db(7)), Standing { state: State::Unknown, lag: None });
    awaited.tell(Event::Changed(Db(7)));
    awaited.pass(secs(2));
    assert_eq!(standing(&awaited, Db(7)).lag, Some(secs(2)), "it is a lag all the same");
}

#[test]
fn each_life_of_the_app_counts_and_how_the_last_one_ended() {
    let lives = [(secs(2), Ended::Code(3)), (secs(2), Ended::Signal(11))].into();
    let backoff = BackoffPolicy { initial: secs(1), ..BackoffPolicy::default() };
    let mut world = World::new(Policy { backoff, ..policy() }, Plan { lives, ..Plan::default() });
    world.until(Phase::Running);
    let app = |world: &World| (status(world).app.restarts(), status(world).app.last());
    let ended = |how, why| Some(AppEnd { how, why });
    assert_eq!(app(&world), (0, None));
    world.until_true("a restart", |world| app(world).0 == 1);
    assert_eq!(app(&world).1, ended(Ended::Code(3), WhyEnded::Itself));
    world.until_true("another", |world| app(world).0 == 2);
    assert_eq!(app(&world).1, ended(Ended::Signal(11), WhyEnded::Itself));
    assert_eq!((status(&world).litestream.restarts(), status(&world).litestream.last()), (0, None));
    world.suffer(Fault::Stop(15));
    world.end();
    assert!(app(&world).1.is_some_and(|end| end.why == WhyEnded::Stopped), "{:?}", app(&world));
}

#[test]
fn a_lost_litestream_counts_for_both() {
    for (fault, why) in [(Fault::LitestreamDies, Lost::Died), (Fault::ShimDies, Lost::ShimDied)] {
        let mut world = running(policy());
        world.suffer(fault);
        world.until_true("the next one", |world| status(world).litestream.restarts() == 1);
        assert_eq!(status(&world).litestream.last(), Some(why), "{fault:?}");
        world.until(Phase::Running);
        assert_eq!(status(&world).app.restarts(), 1, "{fault:?}");
        let last = status(&world).app.last().map(|end| end.why);
        assert_eq!(last, Some(WhyEnded::Litestream), "{fault:?}");
    }
    let mut world = running(policy());
    world.tell(Event::Diverged(Db(0)));
    world.until_true("the next one", |world| status(world).litestream.restarts() == 1);
    assert_eq!(status(&world).litestream.last(), Some(Lost::Diverged));
}

#[test]
fn a_one_shot_command_is_no_life_of_the_app() {
    let mut world = World::new(policy(), slow());
    world.until(Phase::Before);
    assert_eq!(status(&world).app.last(), None);
    world.until(Phase::Running);
    assert_eq!((status(&world).app.restarts(), status(&world).app.last()), (0, None));
}
