//! What appears in a folder, what is looked at late, and who is named in the gate.

use super::reconcile::{COMING, here};
use super::town::{Said, Town, own, said};
use crate::core::machine::Membership;
use crate::core::{Db, Event, Moment, Phase, Reconciliation, Step, Turn};

#[test]
fn what_appears_in_a_folder_is_litestreams_at_once() {
    let mut town = Town::new(&[]);
    town.find(1, true);
    assert_eq!(town.membership(1), Membership::Coming { awaited: false });
    town.answer(&[], false);
    assert_eq!(town.membership(1), Membership::Coming { awaited: false }, "no answer names it");
    town.register(1, true);
    town.answer(&[(1, 1)], false);
    assert_eq!((town.here(), town.all.under_way().count()), (here(&[(1, own(1))]), 0), "it stays there");
}

#[test]
fn what_appears_and_fails_counts_until_it_is_taken_in_or_gone() {
    let mut town = Town::new(&[(2, own(1))]);
    // Another has its place; then another keeper has it; then Litestream refuses.
    town.find(1, true);
    let db = town.at(1);
    assert_eq!(town.membership(1), Membership::Outside);
    town.answer(&[], false);
    town.all_go_well();
    town.is_anothers = true;
    town.find(1, true);
    assert_eq!(town.membership(1), Membership::Outside);
    town.find(1, true);
    town.register(1, false);
    assert_eq!(
        (town.membership(1), town.at(1), town.locked.len()),
        (Membership::Outside, db, 0),
        "it lags since then"
    );
    town.find(1, true);
    town.all_go_well();
    assert_eq!((town.here(), town.at(1)), (here(&[(1, own(1))]), db));
    for refused in [true, false] {
        let mut town = Town::new(&[]);
        town.is_anothers = refused;
        town.find(1, true);
        if !refused {
            town.register(1, false);
        }
        assert_eq!(town.membership(1), Membership::Outside);
        assert_eq!(town.end(), 74);
    }
}

#[test]
fn what_appeared_when_litestream_died_is_launched_and_drained_with_the_rest() {
    let mut town = Town::new(&[]);
    town.find(1, true);
    town.die();
    town.find(2, true);
    town.up();
    assert_eq!(town.here(), here(&[(1, own(1)), (2, own(2))]));
    town.find(3, true);
    town.die();
    assert_eq!((town.end(), town.here().len()), (0, 3));
}

#[test]
fn what_cannot_be_replicated_in_its_folder_counts_until_it_is_gone() {
    let mut town = Town::new(&[]);
    town.find(1, false);
    town.find(1, false);
    assert_eq!((town.membership(1), town.all.known().count()), (Membership::Outside, 1));
    town.answer(&[], false);
    assert_eq!(town.membership(1), Membership::Outside);
    town.vanish(1);
    assert_eq!(town.all.known().count(), 0);
    town.find(1, false);
    town.find(1, true);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, own(1))]));
    town.find(2, false);
    assert_eq!(town.end(), 74);
}

#[test]
fn what_is_named_and_appears_in_a_folder_is_taken_there() {
    let mut town = Town::new(&[]);
    town.answer(&[(1, 1)], false);
    town.find(1, true);
    assert_eq!((town.looks.len(), town.membership(1)), (0, COMING));
    town.answer(&[(2, 2)], false);
    town.stop();
    town.find(2, true);
    assert_eq!(
        (town.looks.len(), town.membership(2)),
        (1, Membership::Outside),
        "at the end it stays as it is"
    );
}

#[test]
fn a_late_look_at_one_that_is_gone_gives_its_lock_back() {
    let mut all: Reconciliation<Said> = Reconciliation::new(0);
    let runs = Moment { runs: true, ..Moment::default() };
    all.handle(runs, Turn::Answered { wanted: vec![said((1, 1))], by_hand: false });
    all.handle(runs, Turn::Answered { wanted: Vec::new(), by_hand: false });
    all.handle(runs, Turn::LookedAt { db: Db(0), number: 1, result: Ok(7) });
    let steps: Vec<_> = std::iter::from_fn(|| all.poll_step()).collect();
    assert_eq!(steps.last(), Some(&Step::Release(7)));
}

#[test]
fn a_late_look_that_found_nothing_good_is_not_told() {
    let mut town = Town::new(&[]);
    town.answer(&[(1, 1)], false);
    let number = *town.looks.keys().next().unwrap();
    town.answer(&[(1, 2)], false);
    let late = Turn::LookedAt { db: Db(1), number, result: Err("look") };
    town.all.handle(Moment { runs: true, ..Moment::default() }, late);
    assert!(town.all.poll_step().is_none(), "it was of the other place");
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 2)]));
}

#[test]
fn what_appeared_and_was_drained_at_the_end_is_not_refused() {
    let mut town = Town::new(&[]);
    town.find(1, true);
    let db = town.at(1);
    town.stop();
    while town.machine.phase() != Phase::Closing {
        town.go_on();
    }
    town.registered(db, false);
    let refused = |step: &&Step<Said>| matches!(step, Step::Refuse(..));
    assert_eq!((town.steps.iter().filter(refused).count(), town.all.known().count()), (0, 0));
}

#[test]
fn who_was_refused_before_the_stop_is_looked_at_once_more_in_the_drain() {
    for looks_well in [true, false] {
        let mut town = Town::new(&[(1, 1)]);
        town.answer(&[(1, 1), (2, 2)], false);
        town.look(2, false);
        assert_eq!(town.membership(2), Membership::Outside);
        town.stop();
        town.go_on();
        assert_eq!((town.machine.phase(), town.looks.len()), (Phase::Draining, 1));
        town.look(2, looks_well);
        if looks_well {
            town.register(2, true);
        } else {
            assert!(town.looks.is_empty(), "it is looked at without end");
        }
        assert_eq!(town.end(), if looks_well { 0 } else { 74 });
    }
}

#[test]
fn a_look_that_had_begun_before_the_drain_is_waited_for_and_begun_again_if_it_fails() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 1), (2, 2)], false);
    town.stop();
    town.go_on();
    town.look(2, false);
    assert_eq!((town.machine.phase(), town.looks.len()), (Phase::Draining, 1));
    town.look(2, true);
    town.register(2, true);
    assert_eq!(town.end(), 0);
}

#[test]
fn a_drain_waits_for_no_look_that_never_ends() {
    let mut town = Town::new(&[]);
    town.answer(&[(1, 1)], false);
    town.stop();
    town.go_on();
    town.go_on();
    assert_eq!((town.machine.phase(), town.drains.len()), (Phase::Draining, 0), "there is time for it");
    town.pass();
    assert_eq!(town.machine.phase(), Phase::Closing);
    assert_eq!(town.end(), 74);
}

/// A running town whose Litestream has died, and whose app waits at the gate.
fn gating(named: &[(u8, u8)]) -> Town {
    let mut town = Town::new(named);
    town.die();
    while town.machine.phase() != Phase::Gating {
        town.go_on();
    }
    town
}

#[test]
fn an_answer_in_the_gate_lets_go_and_takes_nobody_in() {
    let mut town = gating(&[(1, 1), (2, 2)]);
    town.answer(&[(1, 1), (3, 3)], false);
    assert_eq!((town.membership(2), town.all.known().count(), town.looks.len()), (Membership::Going, 3, 0));
    assert_eq!(town.machine.gated().collect::<Vec<_>>(), [Db(0), town.at(1)]);
    town.unregister(2, false);
    assert_eq!(town.machine.gated().count(), 2, "it is not wanted, whatever becomes of it");
    town.up();
    town.answer(&[(1, 1), (3, 3)], false);
    town.all_go_well();
    assert_eq!((town.here(), town.end()), (here(&[(1, 1), (3, 3)]), 0));
}

#[test]
fn who_is_named_in_the_gate_counts_from_then_on() {
    for looks_well in [true, false] {
        let mut town = gating(&[(1, 1)]);
        town.answer(&[(1, 1), (2, 2)], false);
        assert_eq!((town.membership(2), town.looks.len()), (Membership::Outside, 0));
        assert_eq!(town.all.under_way().collect::<Vec<_>>(), [town.at(2)], "whoever asked waits for it");
        town.stop();
        assert_eq!((town.machine.phase(), town.looks.len()), (Phase::Draining, 1));
        town.look(2, looks_well);
        if looks_well {
            town.register(2, true);
        }
        assert_eq!(town.end(), if looks_well { 143 } else { 74 });
    }
}

#[test]
fn who_is_named_with_another_place_in_the_gate_goes_there_and_holds_up_nobody() {
    let mut town = gating(&[(1, 1), (2, 2)]);
    town.answer(&[(1, 1), (2, 3)], false);
    assert_eq!(town.machine.gated().count(), 3, "its new place is looked at first");
    town.look(2, true);
    assert!(town.all.moves(town.at(2)));
    assert_eq!(town.machine.gated().count(), 2);
    town.unregister(2, true);
    town.look(2, true);
    assert_eq!(town.membership(2), Membership::Outside, "nobody comes in the gate");
    town.up();
    town.answer(&[(1, 1), (2, 3)], false);
    town.all_go_well();
    assert_eq!((town.here(), town.end()), (here(&[(1, 1), (2, 3)]), 0));
}

#[test]
fn a_litestream_that_dies_in_the_drain_takes_nobody_along_who_was_on_its_way() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 1), (2, 2)], false);
    town.stop();
    town.go_on();
    while !town.drains.is_empty() {
        town.go_on();
    }
    assert_eq!(town.machine.phase(), Phase::Draining, "of what it has all is confirmed");
    town.tell(Event::LitestreamEnded { clean: false });
    town.go_on();
    assert_eq!(town.machine.phase(), Phase::Draining, "by a fresh one");
    town.look(2, true);
    town.register(2, true);
    assert_eq!(town.end(), 0);
}

#[test]
fn who_was_drained_before_its_coming_was_told_is_not_left() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 1), (2, 2)], false);
    town.look(2, true);
    town.stop();
    while town.machine.phase() != Phase::Closing {
        town.go_on();
    }
    town.register(2, false);
    assert_eq!((town.end(), town.all.known().count()), (0, 1));
}
