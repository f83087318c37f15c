//! The watch over a running app: lag, recovery, a replaced file.

use super::plan::{Fault, Plan, Replica, policy, secs};
use super::world::World;
use crate::core::{Action, Db, Note, OnLag, Phase, Policy};

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

#[test]
fn a_replaced_file_is_named_once_and_is_a_lag() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(5)).suffer(Fault::Replaced(Db(1)));
    world.pass(secs(90));
    assert_eq!(world.noted(Note::Replaced(Db(1))), 1);
    assert_eq!(reports(&world), 1);
    assert_eq!(world.did(&Action::Ready(false)), 1);
}
