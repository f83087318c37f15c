//! Who comes and goes at a stop, in a gate, and while Litestream is away.

use super::membership::{TENANT, asking, here, named};
use super::plan::{Fault, Plan, Replica, ms, policy, secs};
use super::world::World;
use crate::core::machine::Membership;
use crate::core::{Action, Db, Ended, Event, Note, Phase};

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
