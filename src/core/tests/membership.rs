//! Databases that come and go: at the start, while the app runs, in the middle of everything else.

use super::plan::{Fault, Plan, Replica, ms, policy, secs};
use super::world::World;
use crate::core::machine::Membership;
use crate::core::{Action, Db, Ended, Event, ExitCode, Note, Phase, Policy};

const TENANT: Db = Db(2);

fn asking() -> Policy {
    Policy { resolves: true, resolve_interval: Some(secs(30)), ..policy() }
}

/// A world whose source names one more, and is asked about it.
fn asked(plan: Plan) -> World {
    let mut world = World::new(asking(), plan);
    world.until(Phase::Running).suffer(Fault::Names(1));
    world.suffer(Fault::Reload);
    world
}

/// A running unit whose source has named a tenant just now.
fn named(plan: Plan) -> World {
    let mut world = World::new(asking(), plan);
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::Names(1));
    world.suffer(Fault::Reload);
    world.until_true("its coming", |world| world.did(&Action::Register(TENANT)) == 1);
    world
}

fn here(plan: Plan) -> World {
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
fn slow_and_other(plan: Plan) -> World {
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
fn abandoned() -> World {
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

#[test]
fn nobody_whom_the_drain_does_not_wait_for_is_taken_in_by_it() {
    let mut world = named(Plan::default());
    world.suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Stop(15));
    world.until(Phase::Draining);
    let db = world.dbs.add();
    world.tell(Event::Awaited(db));
    world.tell(Event::Drained(db));
    world.tell(Event::Named(db));
    assert_eq!(world.phase(), Phase::Draining);
    assert_eq!((world.did(&Action::Register(db)), world.did(&Action::PutOff(db))), (0, 1));
}

#[test]
fn nothing_is_let_go_at_a_stop_or_without_a_socket() {
    let mut world = here(Plan::default());
    world.suffer(Fault::Stop(15));
    world.until(Phase::Stopping).tell(Event::Dropped(TENANT));
    assert_eq!(world.machine.membership(TENANT), Some(Membership::Here));
    assert_eq!((world.did(&Action::Unregister(TENANT)), world.end()), (0, 0));

    let mut world = World::new(asking(), Plan { confirms: false, ..Plan::default() });
    world.suffer(Fault::Names(1));
    world.until(Phase::Running).tell(Event::Dropped(TENANT));
    assert_eq!(world.machine.membership(TENANT), Some(Membership::Here));
    assert_eq!(world.did(&Action::Unregister(TENANT)), 0);
}

#[test]
fn one_that_goes_at_a_stop_makes_nothing_ready_and_is_waited_for_no_more() {
    let mut world =
        here(Plan { register: secs(3), stops: Some((secs(1), Ended::Code(0))), ..Plan::default() });
    world.pass(secs(3));
    world.dbs.rows[TENANT.0].away = true;
    world.pass(secs(80)).suffer(Fault::Drops(1));
    world.suffer(Fault::Reload);
    world.until_true("its going", |world| world.did(&Action::Unregister(TENANT)) == 1);
    assert_eq!((world.did(&Action::Ready(false)), world.did(&Action::Ready(true))), (1, 1));
    world.suffer(Fault::Stop(15));
    world.until(Phase::Stopping);
    let mut other = world.machine.clone();
    other.handle(world.now, Event::Unregistered { db: TENANT, ok: true });
    let actions: Vec<Action> = std::iter::from_fn(|| other.poll_action()).collect();
    assert!(actions.is_empty(), "{actions:?}");

    world.until(Phase::Draining).pass(secs(1));
    assert_eq!(world.phase(), Phase::Draining, "all others are drained");
    world.forget(TENANT);
    world.tell(Event::Unregistered { db: TENANT, ok: true });
    assert_eq!((world.phase(), world.noted(Note::Drained)), (Phase::Closing, 1));
}

#[test]
fn a_gate_is_opened_anew_without_one_that_goes_meanwhile() {
    let mut world = here(Plan { gate: secs(2), ..Plan::default() });
    world.suffer(Fault::LitestreamDies);
    world.until(Phase::Gating).pass(secs(1));
    assert_eq!((world.did(&Action::OpenGate), world.did(&Action::CloseGate)), (2, 1));
    world.forget(TENANT);
    world.tell(Event::Unregistered { db: TENANT, ok: true });
    assert_eq!((world.did(&Action::OpenGate), world.did(&Action::CloseGate)), (3, 2));
    world.until(Phase::Running);
}

#[test]
fn what_was_not_confirmed_of_one_that_goes_while_litestream_is_away_is_lost() {
    for is_behind in [false, true] {
        let mut world = here(Plan { gate: secs(2), ..Plan::default() });
        // Nothing more is written to it, and the rest confirmed.
        world.dbs.rows[TENANT.0].made = false;
        world.pass(secs(90));
        if is_behind {
            world.tell(Event::Changed(TENANT));
        }
        world.suffer(Fault::LitestreamDies);
        world.until(Phase::Gating);
        let asked = world.did(&Action::Resolve);
        world.forget(TENANT);
        world.tell(Event::Removed(TENANT));
        world.until(Phase::Running);
        assert_eq!(world.did(&Action::Resolve), asked + 1, "about whether it is still named");
        world.tell(Event::Removed(Db(0)));
        assert_eq!(
            world.machine.membership(Db(0)),
            Some(Membership::Here),
            "while all run nothing is let go of like that"
        );
        world.suffer(Fault::Stop(15));
        assert_eq!(world.end(), if is_behind { 74 } else { 0 });
        assert_eq!(world.noted(Note::NotReplicated(vec![TENANT])), usize::from(is_behind));
    }
}

#[test]
fn who_is_coming_when_litestream_dies_at_a_stop_is_launched_and_drained_with_the_rest() {
    let mut world =
        named(Plan { register: secs(2), stops: Some((secs(1), Ended::Code(0))), ..Plan::default() });
    world.suffer(Fault::Stop(15));
    world.until(Phase::Stopping).suffer(Fault::LitestreamDies);
    world.until_true("the next launch", |world| world.did(&Action::Launch) == 2);
    assert_eq!(world.machine.membership(TENANT), Some(Membership::Here));
    world.end();
    assert_eq!((world.did(&Action::PutOff(TENANT)), world.noted(Note::Drained)), (0, 1));
    assert!(world.dbs.is_safe());
}

#[test]
fn nobody_is_asked_where_there_is_no_source() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).suffer(Fault::Reload);
    world.pass(secs(1));
    assert_eq!(world.did(&Action::Resolve), 0);
}

#[test]
fn who_asks_when_nobody_can_be_let_go_is_heard_as_soon_as_that_is_possible() {
    let mut world = World::new(asking(), Plan { launch: Some(secs(2)), gate: secs(2), ..Plan::default() });
    world.until(Phase::Launching).suffer(Fault::Reload);
    world.pass(secs(1));
    assert_eq!((world.phase(), world.did(&Action::Resolve)), (Phase::Launching, 1), "at the start");
    world.until(Phase::Gating).pass(ms(1));
    assert_eq!(world.did(&Action::Resolve), 2, "who goes");
    world.until(Phase::Running).pass(ms(1));
    assert_eq!(world.did(&Action::Resolve), 3, "who comes");
}

#[test]
fn a_gate_that_waits_for_long_asks_who_is_still_named() {
    let mut world = World::new(asking(), Plan { gate: secs(40), ..Plan::default() });
    world.until(Phase::Gating);
    assert_eq!(world.did(&Action::Resolve), 1, "at the start");
    world.pass(secs(31));
    assert_eq!((world.phase(), world.did(&Action::Resolve)), (Phase::Gating, 2));
}

#[test]
fn one_that_is_named_no_more_holds_up_no_gate_and_what_is_in_it_counts_all_the_same() {
    for comes_back in [false, true] {
        let mut world = here(Plan::default());
        world.dbs.rows[TENANT.0].away = true;
        world.pass(secs(2)).suffer(Fault::LitestreamDies);
        world.until(Phase::Gating).pass(secs(2));
        assert_eq!(world.phase(), Phase::Gating, "it waits for all that is named");
        world.suffer(Fault::Drops(1));
        world.suffer(Fault::Reload);
        world.until(Phase::Running).pass(secs(1));
        assert_eq!(world.machine.membership(TENANT), Some(Membership::Going));
        world.dbs.rows[TENANT.0].away = !comes_back;
        world.suffer(Fault::Stop(15));
        assert_eq!((world.end(), world.dbs.is_safe()), if comes_back { (0, true) } else { (74, false) });
    }
}

/// All that is known is told with the names of those, and no list without a name stands for all.
#[test]
fn a_drain_that_only_one_outside_keeps_open_names_that_one() {
    let mut world = named(Plan::default());
    world.suffer(Fault::Stop(15));
    world.until(Phase::Draining);
    let db = world.dbs.add();
    world.tell(Event::Awaited(db));
    world.tell(Event::Changed(db));
    assert_eq!(world.end(), 74);
    assert_eq!(world.noted(Note::NotTakenIn(vec![db])), 1, "{}", world.story());
    assert_eq!(world.count(|action| matches!(action, Action::Note(Note::NotDrained(_)))), 0);
}
