//! The watch over a running app: lag, recovery, a replaced file.

use super::plan::{Fault, Plan, Replica, policy, secs};
use super::world::World;
use crate::core::{Action, BackoffPolicy, Db, Ended, Event, Gate, Note, OnLag, Phase, Policy};

fn lagging(on_lag: OnLag) -> World {
    let mut world = World::new(Policy { on_lag, ..policy() }, Plan::default());
    world.until(Phase::Running).pass(secs(30)).suffer(Fault::Replica(Replica::Away));
    world
}

fn reports(world: &World) -> usize {
    world.count(|action| matches!(action, Action::Note(Note::Lagging(..))))
}

#[test]
fn a_replica_that_answers_never_lags() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(600));
    assert_eq!(reports(&world), 0);
    let asked = world.did(&Action::Confirm(Db(0)));
    assert!((38..=41).contains(&asked), "one question each quarter of max-lag: {asked}");
}

#[test]
fn a_lag_is_told_and_changes_nothing() {
    let mut world = lagging(OnLag::Warn);
    world.pass(secs(100));
    assert_eq!((world.phase(), reports(&world)), (Phase::Running, 2));
    assert_eq!(world.did(&Action::Ready(false)), 0);
}

#[test]
fn a_lag_makes_unready_until_the_replica_has_caught_up() {
    let mut world = lagging(OnLag::Unready);
    world.pass(secs(100));
    assert_eq!((reports(&world), world.did(&Action::Ready(false))), (2, 1));
    world.suffer(Fault::Replica(Replica::Answers));
    world.pass(secs(20));
    assert_eq!(world.did(&Action::Ready(true)), 2);
    assert_eq!(world.noted(Note::CaughtUp(Db(0))) + world.noted(Note::CaughtUp(Db(1))), 2);
    assert_eq!(world.did(&Action::StartApp), 1);
}

#[test]
fn a_lag_stops_the_unit() {
    let mut world = lagging(OnLag::Stop);
    assert_eq!(world.end(), 74, "the drain fails as well");
    assert!(world.time() <= secs(30 + 60 + 15 + 11), "{:?}", world.time());
    let mut world = lagging(OnLag::Stop);
    world.until(Phase::Stopping).suffer(Fault::Replica(Replica::Answers));
    assert_eq!(world.end(), 70, "the drain did not, but the lag was the reason");
}

#[test]
fn a_litestream_that_hangs_is_a_lag() {
    let mut world = World::new(Policy { on_lag: OnLag::Stop, ..policy() }, Plan::default());
    world.until(Phase::Running).suffer(Fault::LitestreamHangs);
    assert_eq!(world.end(), 74);
    assert_eq!(world.did(&Action::KillLitestream), 1);
}

/// An app that wrote, crashed, and is started again after longer than `--max-lag`.
fn crashing(on_lag: OnLag, max_lag: u64, delay: u64) -> World {
    let backoff = BackoffPolicy { initial: secs(delay), ..BackoffPolicy::default() };
    let lives = [(secs(2), Ended::Code(1))].into();
    let policy = Policy { on_lag, max_lag: secs(max_lag), backoff, ..policy() };
    World::new(policy, Plan { lives, ..Plan::default() })
}

#[test]
fn what_a_crashed_app_left_is_confirmed_while_its_restart_is_waited_for() {
    let mut world = crashing(OnLag::Stop, 3, 4);
    world.until(Phase::Backoff);
    let asked = world.did(&Action::Confirm(Db(0)));
    world.pass(secs(2));
    assert_eq!(world.did(&Action::Confirm(Db(0))), asked + 1, "{}", world.story());
    world.until(Phase::Running).pass(secs(30));
    assert_eq!((world.phase(), reports(&world)), (Phase::Running, 0), "{}", world.story());
}

/// Nobody can ask a Litestream that is away: that it is so is told otherwise.
#[test]
fn no_lag_counts_while_litestream_is_away() {
    for gate in [Gate::Replicated, Gate::Reachable, Gate::None] {
        let mut world = crashing(OnLag::Stop, 3, 4);
        world.policy.gate = gate;
        let mut world = World::new(world.policy.clone(), Plan::default());
        world.until(Phase::Running).pass(secs(2)).suffer(Fault::LitestreamDies);
        world.until(Phase::Backoff).until(Phase::Running).pass(secs(30));
        assert_eq!((world.phase(), reports(&world)), (Phase::Running, 0), "{gate:?}:\n{}", world.story());
    }
}

#[test]
fn a_replica_that_is_away_during_a_backoff_lags() {
    let mut world = crashing(OnLag::Stop, 3, 20);
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Replica(Replica::Away));
    world.until(Phase::Backoff).until_true("a report", |world| reports(world) > 0);
    assert!(world.time() < secs(7), "{}", world.story());
    world.suffer(Fault::Replica(Replica::Answers));
    assert_eq!(world.end(), 70, "{}", world.story());
    assert_eq!((world.did(&Action::StartApp), world.noted(Note::Drained)), (1, 1));
    assert!(world.dbs.is_safe());

    let mut world = crashing(OnLag::Unready, 3, 20);
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Replica(Replica::Away));
    world.until(Phase::Backoff).until(Phase::Running).pass(secs(2));
    assert_eq!((reports(&world), world.did(&Action::Ready(true))), (2, 1), "it comes back, and is not ready");
}

/// Only a line in the log says so, also when the app comes back, or is there at last.
#[test]
fn with_warn_a_lag_makes_nothing_unready() {
    let mut world = crashing(OnLag::Warn, 3, 20);
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Replica(Replica::Away));
    world.until(Phase::Backoff).until(Phase::Running).pass(secs(2));
    assert!(reports(&world) > 0, "{}", world.story());
    assert_eq!(world.did(&Action::Ready(true)), 2, "it comes back, and is ready");
}

/// A job that was stopped with Ctrl-Z goes on where it was.
#[test]
fn time_in_which_the_keeper_was_not_there_is_no_lag() {
    let mut world = World::new(Policy { on_lag: OnLag::Stop, ..policy() }, Plan::default());
    world.until(Phase::Running).pass(secs(5));
    for _ in 0..3 {
        // All waits, Litestream's next answer as well.
        world.sleep(secs(3600));
        world.pass(secs(5));
    }
    assert_eq!((world.phase(), reports(&world)), (Phase::Running, 0), "{}", world.story());
    world.suffer(Fault::Replica(Replica::Away));
    assert_eq!(world.end(), 74, "it counts from then on");
}

/// Where Litestream is away as well, its absence is not taken off twice.
#[test]
fn time_in_which_neither_was_there_is_taken_off_once() {
    let mut world = World::new(Policy { gate: Gate::None, ..policy() }, Plan::default());
    world.until(Phase::Running).pass(secs(5)).suffer(Fault::Replica(Replica::Away));
    world.pass(secs(10)).suffer(Fault::LitestreamDies);
    world.until(Phase::Backoff).sleep(secs(3600));
    world.until(Phase::Running).pass(secs(40));
    assert_eq!(reports(&world), 0, "{}", world.story());
    world.pass(secs(20));
    assert_eq!(reports(&world), 2, "{}", world.story());
}

#[test]
fn a_litestream_that_does_not_go_on_is_not_replaced_while_the_app_is_away() {
    let mut world = crashing(OnLag::Unready, 3, 20);
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Replica(Replica::Away));
    world.until(Phase::Backoff).until_true("a report", |world| reports(world) == 2);
    world.tell(Event::Stalled(Db(0)));
    assert_eq!((world.phase(), world.noted(Note::Stalled(Db(0)))), (Phase::Backoff, 0));
}

#[test]
fn a_replaced_file_is_named_once_and_is_a_lag() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(5)).suffer(Fault::Replaced(Db(1)));
    world.pass(secs(90));
    assert_eq!(world.noted(Note::Replaced(Db(1))), 1);
    assert_eq!(reports(&world), 1);
    assert_eq!(world.did(&Action::Ready(false)), 1);
}

/// A unit whose second database the app never makes.
fn without_a_file(on_lag: OnLag) -> World {
    let mut world = World::new(Policy { on_lag, ..policy() }, Plan::default());
    world.suffer(Fault::Makes(Db(1), false));
    world.until(Phase::Running);
    world
}

fn never_made(world: &World, rest: bool) -> usize {
    world.noted(Note::NeverMade { dbs: vec![Db(1)], rest })
}

#[test]
fn a_file_that_never_appears_is_told_lags_and_is_named_at_the_end() {
    let mut world = without_a_file(OnLag::Unready);
    world.pass(secs(4));
    assert_eq!(world.noted(Note::Missing(Db(1))), 0, "apps take their time");
    world.pass(secs(2));
    assert_eq!((world.noted(Note::Missing(Db(1))), world.did(&Action::Ready(false))), (1, 0));
    world.pass(secs(100));
    let lags = world.count(|action| matches!(action, Action::Note(Note::StillMissing(Db(1), _))));
    assert_eq!((lags, reports(&world), world.did(&Action::Ready(false))), (1, 0, 1));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!((world.noted(Note::Drained), never_made(&world, true)), (0, 1), "{}", world.story());
}

#[test]
fn a_file_that_never_appears_stops_the_unit_if_a_lag_does() {
    let mut world = without_a_file(OnLag::Stop);
    assert_eq!(world.end(), 70);
    assert!(world.time() < secs(62), "{:?}", world.time());
    assert_eq!((world.noted(Note::Drained), never_made(&world, true)), (0, 1));
}

#[test]
fn a_file_that_appears_late_is_said_to_be_replicated_once_it_is() {
    let mut world = without_a_file(OnLag::Unready);
    world.pass(secs(70)).suffer(Fault::Makes(Db(1), true));
    // Long before a change is asked about.
    world.pass(secs(3));
    assert_eq!((world.noted(Note::Made(Db(1))), world.did(&Action::Ready(true))), (1, 2));
    world.pass(secs(100)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!((world.noted(Note::Drained), never_made(&world, true)), (1, 0));
    assert_eq!(world.noted(Note::Missing(Db(1))), 1);
}

#[test]
fn a_file_that_is_not_there_is_not_among_what_was_not_drained() {
    let mut world = without_a_file(OnLag::Warn);
    world.pass(secs(3)).suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 74);
    assert_eq!(world.noted(Note::NotDrained(vec![Db(0)])), 1, "{}", world.story());
    assert_eq!(never_made(&world, false), 1);
}

/// A list without a name would say that all is lost, and not of what.
#[test]
fn where_no_file_is_there_nothing_is_called_not_drained() {
    let mut world = World::new(policy(), Plan::default());
    world.suffer(Fault::Makes(Db(0), false));
    world.suffer(Fault::Makes(Db(1), false));
    world.until(Phase::Running);
    world.pass(secs(3)).suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Stop(15));
    world.end();
    let is_told = |note: Note| world.noted(note);
    let not_drained = world.count(|action| matches!(action, Action::Note(Note::NotDrained(_))));
    assert_eq!(not_drained, 0, "{}", world.story());
    assert_eq!(is_told(Note::NeverMade { dbs: vec![Db(0), Db(1)], rest: false }), 1, "{}", world.story());
}

#[test]
fn what_was_replaced_and_what_was_never_made_are_told_as_that_and_not_as_behind() {
    let mut world = without_a_file(OnLag::Warn);
    world.pass(secs(3)).suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Replaced(Db(0)));
    world.pass(secs(1)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 74);
    assert_eq!((world.noted(Note::NotReplicated(vec![Db(0)])), never_made(&world, false)), (1, 1));
    let not_drained = world.count(|action| matches!(action, Action::Note(Note::NotDrained(_))));
    assert_eq!(not_drained, 0, "{}", world.story());
}

#[test]
fn where_no_file_was_ever_made_there_is_no_rest_that_is_confirmed() {
    let mut world = World::new(policy(), Plan::default());
    world.suffer(Fault::Makes(Db(0), false));
    world.suffer(Fault::Makes(Db(1), false));
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!(world.noted(Note::NeverMade { dbs: vec![Db(0), Db(1)], rest: false }), 1, "{}", world.story());
}

#[test]
fn a_file_that_appears_is_on_its_replica_when_that_says_so_of_this_file() {
    let mut world = without_a_file(OnLag::Unready);
    world.pass(secs(10)).suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Makes(Db(1), true));
    world.pass(secs(30));
    assert!(world.did(&Action::Confirm(Db(1))) > 0);
    assert_eq!(world.noted(Note::Made(Db(1))), 0, "nothing answers");
    world.tell(Event::Replaced(Db(1)));
    world.tell(Event::Confirmed { db: Db(1), ok: true });
    assert_eq!(world.noted(Note::Made(Db(1))), 0, "it is said of another");
}

#[test]
fn an_app_that_is_away_is_not_ready_when_its_replica_catches_up() {
    let mut world = crashing(OnLag::Unready, 3, 20);
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Replica(Replica::Away));
    world.until(Phase::Backoff).until_true("a report", |world| reports(world) == 2);
    world.suffer(Fault::Replica(Replica::Answers));
    world.pass(secs(5));
    assert_eq!((world.phase(), world.noted(Note::CaughtUp(Db(0)))), (Phase::Backoff, 1));
    assert_eq!(world.did(&Action::Ready(true)), 1);
    world.until(Phase::Running);
    assert_eq!(world.did(&Action::Ready(true)), 2);
}

#[test]
fn a_gate_that_has_all_confirmed_ends_a_lag_and_no_other_does() {
    for (gate, ready) in [(Gate::Replicated, 2), (Gate::Reachable, 1), (Gate::None, 1)] {
        let mut world = World::new(Policy { gate, ..policy() }, Plan::default());
        world.until(Phase::Running).pass(secs(5)).suffer(Fault::Replica(Replica::Away));
        world.pass(secs(70)).suffer(Fault::Replica(Replica::Answers));
        world.suffer(Fault::LitestreamDies);
        world.until(Phase::Backoff).until(Phase::Running);
        assert_eq!(world.did(&Action::Ready(true)), ready, "{gate:?}: {}", world.story());
    }
}

#[test]
fn without_a_socket_nobody_is_asked() {
    let mut world = World::new(policy(), Plan { confirms: false, ..Plan::default() });
    world.until(Phase::Running).pass(secs(100));
    assert_eq!((world.did(&Action::Confirm(Db(0))), reports(&world)), (0, 0));
}

#[test]
fn a_file_is_replaced_only_below_an_app_and_a_litestream_that_has_the_other() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Gating).tell(Event::Replaced(Db(0)));
    world.until(Phase::Running).suffer(Fault::LitestreamDies);
    world.until(Phase::Stopping).tell(Event::Replaced(Db(0)));
    world.until(Phase::Running).pass(secs(1));
    assert_eq!((world.noted(Note::Replaced(Db(0))), world.did(&Action::StartApp)), (0, 2));
}

#[test]
fn what_a_source_names_may_wait_for_its_first_visitor() {
    let asking = Policy { resolves: true, ..policy() };
    let mut world = World::new(asking, Plan::default());
    world.suffer(Fault::Names(1));
    world.until_true("its name", |world| world.dbs.rows.len() > 2).suffer(Fault::Makes(Db(2), false));
    world.until(Phase::Running).pass(secs(100));
    assert_eq!((world.noted(Note::Missing(Db(2))), world.did(&Action::Ready(false))), (0, 0));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!(world.noted(Note::NeverMade { dbs: vec![Db(2)], rest: true }), 1);
}
