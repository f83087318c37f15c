//! Databases that come and go: at the start, while the app runs, in the middle of everything else.

use super::plan::{Fault, Plan, Replica, ms, policy, secs};
use super::world::World;
use crate::core::machine::Membership;
use crate::core::{Action, Db, Ended, Event, ExitCode, Note, Phase, Policy};

pub(super) const TENANT: Db = Db(2);

pub(super) fn asking() -> Policy {
    Policy { resolves: true, resolve_interval: Some(secs(30)), ..policy() }
}

/// A world whose source names one more, and is asked about it.
pub(super) fn asked(plan: Plan) -> World {
    let mut world = World::new(asking(), plan);
    world.until(Phase::Running).suffer(Fault::Names(1));
    world.suffer(Fault::Reload);
    world
}

/// A running unit whose source has named a tenant just now.
pub(super) fn named(plan: Plan) -> World {
    let mut world = World::new(asking(), plan);
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Names(1));
    world.suffer(Fault::Reload);
    world.until_true("its coming", |world| world.did(&Action::Register(TENANT)) == 1);
    world
}

pub(super) fn here(plan: Plan) -> World {
    let mut world = named(plan);
    world.pass(secs(1));
    assert!(world.dbs.rows[TENANT.0].replicated > 0);
    world
}

#[test]
fn sources_are_asked_after_the_restore_and_before_the_launch() {
    let mut world =
        World::new(asking(), Plan { restore: Some(secs(1)), resolve_restores: true, ..Plan::default() });
    world.suffer(Fault::Names(1));
    world.until(Phase::Running);
    use Phase::*;
    assert_eq!(world.phases(), [Restoring, Resolving, Restoring, Launching, Gating, Running]);
    assert_eq!(world.did(&Action::Register(TENANT)), 0, "it is launched with the rest");
    world.pass(secs(5)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert!(world.dbs.rows[TENANT.0].replicated > 0);
}

#[test]
fn nothing_starts_when_the_sources_fail() {
    for code in [ExitCode::UNAVAILABLE, ExitCode::CONFIG] {
        let mut world = World::new(asking(), Plan { resolve_fails: Some(code), ..Plan::default() });
        assert_eq!(world.end(), code.get());
        assert_eq!(world.did(&Action::Launch), 0);
    }
}

#[test]
fn sources_are_asked_each_interval_and_when_somebody_wants_it() {
    let mut world = World::new(asking(), Plan::default());
    world.until(Phase::Running).pass(secs(95));
    assert_eq!(world.did(&Action::Resolve), 1 + 3);
    world.suffer(Fault::Reload);
    world.suffer(Fault::Reload);
    world.pass(secs(1));
    assert_eq!(world.did(&Action::Resolve), 1 + 3 + 2, "what came in between is asked once more");
    world.plan.resolve_fails = Some(ExitCode::UNAVAILABLE);
    world.pass(secs(60));
    assert_eq!(world.phase(), Phase::Running);
    assert_eq!(world.did(&Action::Resolve), 1 + 3 + 2 + 2);
}

#[test]
fn a_tenant_that_came_is_watched_and_drained_like_the_rest() {
    let mut world = here(Plan::default());
    world.pass(secs(30));
    assert!(world.did(&Action::Confirm(TENANT)) > 0);
    world.dbs.rows[TENANT.0].away = true;
    world.pass(secs(80));
    assert_eq!(world.count(|action| matches!(action, Action::Note(Note::Lagging(TENANT, _)))), 1);
    assert_eq!(world.did(&Action::Ready(false)), 1);
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 74);
    assert_eq!(world.noted(Note::NotDrained(vec![TENANT])), 1);
}

#[test]
fn a_tenant_whose_replica_refuses_does_not_stop_the_app() {
    let mut world = World::new(asking(), Plan::default());
    world.until(Phase::Running).suffer(Fault::Replica(Replica::Refuses));
    world.suffer(Fault::Names(1));
    world.suffer(Fault::Reload);
    world.pass(secs(1));
    assert_eq!((world.phase(), world.did(&Action::Register(TENANT))), (Phase::Running, 1));
    world.suffer(Fault::Replica(Replica::Answers));
    world.pass(secs(31));
    assert_eq!(world.did(&Action::Register(TENANT)), 2, "tried again");
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
}

#[test]
fn a_tenant_that_goes_is_drained_and_counted_no_more() {
    let mut world = here(Plan::default());
    world.suffer(Fault::Drops(1));
    world.suffer(Fault::Reload);
    world.pass(secs(1));
    assert_eq!((world.did(&Action::Unregister(TENANT)), world.did(&Action::OpenGate)), (1, 1));
    let rows = world.dbs.rows[TENANT.0];
    assert!(!rows.here && rows.replicated >= rows.written);
    world.suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 74);
    assert_eq!(world.noted(Note::NotDrained(vec![Db(0), Db(1)])), 1);
}

#[test]
fn a_tenant_that_cannot_be_drained_is_kept_and_tried_again() {
    let mut world = here(Plan::default());
    world.dbs.rows[TENANT.0].away = true;
    world.suffer(Fault::Drops(1));
    world.suffer(Fault::Reload);
    world.pass(secs(15));
    assert!(world.dbs.rows[TENANT.0].here);
    world.dbs.rows[TENANT.0].away = false;
    world.pass(secs(30));
    assert_eq!(world.did(&Action::Unregister(TENANT)), 2);
    assert!(!world.dbs.rows[TENANT.0].here);
}

#[test]
fn a_lag_is_over_when_its_tenant_has_gone() {
    let mut world = here(Plan::default());
    world.dbs.rows[TENANT.0].away = true;
    world.pass(secs(80));
    assert_eq!(world.did(&Action::Ready(false)), 1);
    world.dbs.rows[TENANT.0].away = false;
    world.suffer(Fault::Drops(1));
    world.suffer(Fault::Reload);
    world.pass(secs(20));
    assert_eq!(world.did(&Action::Ready(true)), 2);
}

#[test]
fn a_stop_in_the_middle_of_a_coming_or_going_drains_it() {
    let slow = || Plan { register: secs(1), stops: Some((ms(10), Ended::Code(0))), ..Plan::default() };
    let mut world = named(slow());
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    let rows = world.dbs.rows[TENANT.0];
    assert!(rows.here && rows.replicated >= rows.written && rows.written > 0);

    let mut world = here(Plan::default());
    world.plan = slow();
    world.suffer(Fault::Drops(1));
    world.suffer(Fault::Reload);
    world.until_true("its going", |world| world.did(&Action::Unregister(TENANT)) == 1);
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    let rows = world.dbs.rows[TENANT.0];
    assert!(rows.replicated >= rows.written);
}

#[test]
fn a_fresh_litestream_has_what_was_here_and_not_what_was_coming() {
    let mut world = here(Plan::default());
    world.suffer(Fault::Names(2));
    world.plan.register = secs(2);
    world.suffer(Fault::Reload);
    world.until_true("its coming", |world| world.did(&Action::Register(Db(3))) == 1);
    world.suffer(Fault::LitestreamHangs);
    world.suffer(Fault::ShimDies);
    world.suffer(Fault::LitestreamDies);
    world.until_true("the app's return", |world| world.did(&Action::StartApp) == 2);
    assert_eq!(world.did(&Action::PutOff(Db(3))), 1);
    assert!(world.dbs.rows[TENANT.0].known && !world.dbs.rows[3].known);
    world.pass(secs(40));
    assert_eq!(world.did(&Action::Register(Db(3))), 2, "it is named again");
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
}

#[test]
fn what_is_named_too_late_is_let_go() {
    let mut world = asked(Plan { resolve: secs(2), ..Plan::default() });
    world.pass(secs(1)).suffer(Fault::AppDies(Ended::Code(1)));
    world.plan.stops = None;
    world.suffer(Fault::Stop(15));
    world.pass(secs(3));
    assert_eq!(world.did(&Action::Register(TENANT)), 0);
}

#[test]
fn without_a_socket_nothing_comes_or_goes_while_it_runs() {
    let mut world = asked(Plan { confirms: false, ..Plan::default() });
    world.pass(secs(100));
    assert_eq!(world.did(&Action::Resolve), 1);
}

/// Looking at `TENANT` takes ever so long, and the other's look is over at once.
pub(super) fn slow_and_other(plan: Plan) -> World {
    let mut world = World::new(asking(), Plan { admit: secs(600), ..plan });
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Names(1));
    world.suffer(Fault::Reload);
    world.pass(secs(1));
    world.plan.admit = ms(10);
    world.suffer(Fault::Names(2));
    world.suffer(Fault::Reload);
    world
}

#[test]
fn who_takes_long_holds_up_neither_the_others_nor_the_next_answer() {
    let mut world = slow_and_other(Plan::default());
    world.pass(secs(1));
    assert_eq!(world.did(&Action::Register(Db(3))), 1);
    assert_eq!(world.did(&Action::Register(TENANT)), 0);
    assert!(world.dbs.rows[3].replicated > 0);
    world.pass(secs(70));
    assert_eq!(world.count(|action| matches!(action, Action::Note(Note::Lagging(TENANT, _)))), 1);
    assert_eq!(world.did(&Action::Ready(false)), 1, "nobody confirms what is in it");
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 74);
    assert_eq!(world.noted(Note::NotTakenIn(vec![TENANT])), 1);
    assert_eq!(world.noted(Note::Drained), 0);
}

#[test]
fn the_drain_waits_for_what_goes_back_to_its_old_place() {
    for is_taken_in in [true, false] {
        let mut world = named(Plan::default());
        world.suffer(Fault::Replica(Replica::Away));
        world.suffer(Fault::Stop(15));
        world.until(Phase::Draining);
        let db = world.dbs.add();
        world.tell(Event::Awaited(db));
        world.tell(Event::Changed(db));
        world.suffer(Fault::Replica(Replica::Answers));
        world.pass(secs(2));
        assert_eq!(world.phase(), Phase::Draining, "all others are drained");
        if is_taken_in {
            world.tell(Event::Named(db));
            world.until_true("its coming", |world| world.did(&Action::Register(db)) == 1);
            world.pass(secs(1));
        }
        world.tell(Event::Drained(db));
        assert_eq!(world.end(), if is_taken_in { 0 } else { 74 });
        assert_eq!(world.noted(Note::NotTakenIn(vec![db])), usize::from(!is_taken_in));
    }
}

#[test]
fn what_is_named_no_more_is_given_up_and_lags_no_more() {
    let mut world = slow_and_other(Plan::default());
    world.pass(secs(80));
    assert_eq!(world.did(&Action::Ready(false)), 1);
    world.suffer(Fault::Drops(1));
    world.suffer(Fault::Reload);
    world.pass(secs(1));
    assert_eq!(world.did(&Action::Ready(true)), 2);
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
}

#[test]
fn a_coming_that_nobody_wants_any_more_is_given_up() {
    let mut world = named(Plan::default());
    world.plan.register = secs(1);
    world.suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Drops(1));
    world.suffer(Fault::Reload);
    world.pass(secs(2));
    assert_eq!(world.did(&Action::Cancel(TENANT)), 1);
    world.suffer(Fault::Replica(Replica::Answers));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
}

#[test]
fn a_lag_goes_on_through_each_try_and_ends_when_it_is_taken_in() {
    let mut world = asked(Plan::default());
    world.until_true("its look", |world| world.did(&Action::Resolve) == 2);
    world.until_true("its coming", |world| world.dbs.rows.len() == 3);
    world.dbs.rows[TENANT.0].away = true;
    world.pass(secs(70));
    assert_eq!(world.count(|action| matches!(action, Action::Note(Note::Lagging(TENANT, _)))), 1);
    world.dbs.rows[TENANT.0].away = false;
    world.pass(secs(35));
    assert_eq!((world.noted(Note::CaughtUp(TENANT)), world.did(&Action::Ready(true))), (1, 2));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
}

#[test]
fn what_was_never_made_is_nothing_that_is_left() {
    let mut world = asked(Plan { admit: secs(600), ..Plan::default() });
    world.until_true("its coming", |world| world.dbs.rows.len() == 3);
    world.dbs.rows[TENANT.0].made = false;
    world.pass(secs(90)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!(world.did(&Action::Ready(false)), 1, "at the end");
}

/// One that was let go, and whose file the app was seen to write to since.
pub(super) fn abandoned() -> World {
    let mut world = here(Plan::default());
    world.suffer(Fault::Drops(1));
    world.suffer(Fault::Reload);
    world.pass(secs(1));
    world.tell(Event::Abandoned(TENANT));
    world
}

#[test]
fn what_is_written_to_one_that_nobody_has_any_more_is_a_lag_and_a_loss() {
    let mut world = abandoned();
    world.pass(secs(59));
    assert_eq!(world.did(&Action::Ready(false)), 0);
    world.tell(Event::Abandoned(TENANT));
    world.pass(secs(2));
    assert_eq!(world.count(|action| matches!(action, Action::Note(Note::Lagging(TENANT, _)))), 1);
    assert_eq!(world.did(&Action::Ready(false)), 1);
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 74);
    assert_eq!((world.noted(Note::NotReplicated(vec![TENANT])), world.noted(Note::Drained)), (1, 0));
}

#[test]
fn one_that_is_found_again_lags_no_more() {
    let mut world = abandoned();
    world.pass(secs(61)).tell(Event::FoundAgain(TENANT));
    assert_eq!((world.did(&Action::Ready(false)), world.did(&Action::Ready(true))), (1, 2));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!(world.noted(Note::Drained), 1);

    // At a stop nothing makes it ready.
    let mut world = abandoned();
    world.pass(secs(61)).suffer(Fault::Stop(15));
    world.until(Phase::Stopping).tell(Event::FoundAgain(TENANT));
    assert_eq!((world.did(&Action::Ready(true)), world.end()), (1, 0));

    // And what nobody has lost is not found.
    let mut world = here(Plan::default());
    world.dbs.rows[TENANT.0].away = true;
    world.pass(secs(80)).tell(Event::FoundAgain(TENANT));
    assert_eq!((world.did(&Action::Ready(false)), world.did(&Action::Ready(true))), (1, 1));
}

#[test]
fn one_that_is_here_is_not_abandoned() {
    let mut world = here(Plan::default());
    world.tell(Event::Abandoned(TENANT));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!(world.noted(Note::NotReplicated(vec![TENANT])), 0);
}

#[test]
fn what_is_outside_is_not_missed_and_is_nothing_that_litestream_lets_go_or_has_again() {
    let mut world = slow_and_other(Plan::default());
    world.tell(Event::Missing(TENANT));
    for ok in [true, false] {
        world.tell(Event::Unregistered { db: TENANT, ok });
        assert_eq!(world.machine.membership(TENANT), Some(Membership::Outside));
    }
    world.tell(Event::Returned(TENANT));
    assert_eq!(world.machine.membership(TENANT), Some(Membership::Outside), "nothing is being launched");
    assert_eq!(world.did(&Action::PutOff(TENANT)), 1);
    world.suffer(Fault::Stop(15));
    world.end();
    assert_eq!(world.count(|action| matches!(action, Action::Note(Note::NeverMade { .. }))), 0);
}
