//! What each answer, look and word of Litestream's leads to.

use std::collections::BTreeMap;

use super::town::{Said, Town, own, said};
use crate::core::machine::Membership;
use crate::core::{Db, Event, Moment, Note, Phase, Reconciliation, Step, Turn, Why};

const COMING: Membership = Membership::Coming { awaited: true };

fn here(all: &[(u8, u8)]) -> BTreeMap<u8, u8> {
    all.iter().copied().collect()
}

/// One that is replicated to 1 is named with 2, and the look there was good: it is let go.
fn moving() -> Town {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 2)], false);
    town.look(1, true);
    assert_eq!(town.membership(1), Membership::Going);
    town
}

/// The same, when it has got so far: let go, looked at.
fn moving_for(far: usize) -> Town {
    let mut town = moving();
    if far > 0 {
        town.unregister(1, true);
    }
    if far > 1 {
        town.look(1, true);
    }
    town
}

/// Litestream dies, and all comes up again.
fn die_and_come_back(town: &mut Town) {
    town.die();
    town.up();
}

#[test]
fn who_was_moving_when_litestream_died_is_where_it_was_and_the_sources_are_asked_at_once() {
    for far in 0..4 {
        let mut town = moving_for(far);
        if far > 2 {
            // On its way back.
            town.register(1, false);
        }
        die_and_come_back(&mut town);
        assert_eq!((town.here(), town.asked), (here(&[(1, 1)]), 2), "{far}");
        let told = town.did(&Step::GoBack { from: said((1, 2)), to: said((1, 1)), why: Why::Ended });
        assert_eq!(told, usize::from(far == 1 || far == 2), "{far}");
        // The answer moves it again, unless it has failed there.
        town.answer(&[(1, 2)], false);
        town.all_go_well();
        assert_eq!(town.here(), here(&[(1, if far > 2 { 1 } else { 2 })]), "{far}");
        assert_eq!(town.end(), 0);
    }
}

#[test]
fn who_swap_their_places_are_where_they_were_after_a_death() {
    let mut town = Town::new(&[(1, 1), (2, 2)]);
    town.answer(&[(1, 2), (2, 1)], false);
    town.look(1, true);
    town.look(2, true);
    town.unregister(1, true);
    town.unregister(2, true);
    town.look(1, true);
    die_and_come_back(&mut town);
    assert_eq!(town.here(), here(&[(1, 1), (2, 2)]));
    assert_eq!(town.end(), 0);
}

#[test]
fn who_was_moving_and_is_another_keepers_by_now_counts_as_named() {
    let mut town = moving();
    town.unregister(1, true);
    town.is_anothers = true;
    die_and_come_back(&mut town);
    assert_eq!(
        (town.membership(1), town.did(&Step::Refuse(said((1, 1)), Why::Told("another's")))),
        (Membership::Outside, 1)
    );
    town.answer(&[(1, 1)], false);
    town.all_go_well();
    assert_eq!((town.here(), town.did(&Step::Added(said((1, 1)))), town.end()), (here(&[(1, 1)]), 0, 0));
}

#[test]
fn who_was_new_when_litestream_died_is_asked_about_at_once() {
    let mut town = Town::new(&[(1, 1)]);
    let asked = town.asked;
    die_and_come_back(&mut town);
    assert_eq!(town.asked, asked, "all is as it should be");
    town.answer(&[(1, 1), (2, 2)], false);
    town.look(2, true);
    die_and_come_back(&mut town);
    assert_eq!((town.here(), town.asked), (here(&[(1, 1)]), asked + 1));
}

#[test]
fn what_is_named_at_the_start_is_there_and_numbers_are_never_used_twice() {
    let mut town = Town::new(&[(1, 1), (2, 2)]);
    assert_eq!(town.here(), here(&[(1, 1), (2, 2)]));
    town.answer(&[(1, 1)], false);
    town.unregister(2, true);
    town.answer(&[(1, 1), (2, 2)], false);
    assert_eq!((town.at(1), town.at(2)), (Db(1), Db(3)));
}

#[test]
fn a_new_one_is_looked_at_locked_and_registered() {
    let mut town = Town::new(&[]);
    town.answer(&[(1, 1)], false);
    assert_eq!((town.membership(1), town.all.under_way().count()), (Membership::Outside, 1));
    town.look(1, true);
    assert_eq!((town.membership(1), town.all.under_way().count()), (COMING, 1));
    assert!(!town.all.comes_back(town.at(1)), "it was never anywhere");
    town.register(1, true);
    assert_eq!((town.here(), town.all.under_way().count()), (here(&[(1, 1)]), 0));
    assert_eq!((town.did(&Step::Added(said((1, 1)))), town.end()), (1, 0));
}

#[test]
fn who_is_refused_is_tried_again_after_each_answer_that_names_it() {
    let mut town = Town::new(&[]);
    town.answer(&[(1, 1)], false);
    town.look(1, false);
    assert_eq!(town.did(&Step::Refuse(said((1, 1)), Why::Told("look"))), 1);
    assert_eq!((town.looks.len(), town.all.under_way().count()), (0, 0));
    town.answer(&[(1, 1)], false);
    town.look(1, true);
    town.register(1, false);
    assert_eq!(town.membership(1), Membership::Outside);
    assert_eq!(town.did(&Step::Refuse(said((1, 1)), Why::Told("register"))), 1);
    town.answer(&[(1, 1)], false);
    assert_eq!(town.looks.len(), 1);
    town.answer(&[(1, 1)], false);
    assert_eq!(town.looks.len(), 1, "one look at a time");
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 1)]));
}

#[test]
fn who_is_named_no_more_is_let_go_wherever_it_has_got_to() {
    // Looked at, refused, coming, there, moving.
    let mut town = Town::new(&[(4, 4), (5, 5)]);
    town.answer(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 6)], false);
    town.look(2, false);
    town.look(3, true);
    let looks = (town.looks.len(), town.probes.len());
    town.answer(&[], false);
    assert_eq!((looks, town.looks.len(), town.probes.len()), ((1, 1), 0, 0));
    assert_eq!(town.did(&Step::Dropped(said((1, 1)))) + town.did(&Step::Dropped(said((2, 2)))), 2);
    assert_eq!(town.membership(3), Membership::Leaving);
    assert_eq!((town.membership(4), town.membership(5)), (Membership::Going, Membership::Going));
    town.all_go_well();
    assert_eq!((town.all.known().count(), town.locked.len()), (0, 0));
    assert_eq!(town.did(&Step::Removed(said((5, 5)))), 1);
}

#[test]
fn who_cannot_be_drained_is_kept_and_let_go_with_a_later_answer() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[], false);
    town.unregister(1, false);
    assert_eq!(town.here(), here(&[(1, 1)]));
    assert_eq!(town.did(&Step::Hold(Db(1), "unregister")), 1);
    town.answer(&[], false);
    town.unregister(1, true);
    assert!(town.here().is_empty());
}

#[test]
fn who_is_named_again_on_its_way_out_comes_again() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[], false);
    town.answer(&[(1, 1)], false);
    assert_eq!((town.membership(1), town.looks.len()), (Membership::Going, 0));
    town.unregister(1, true);
    assert_eq!(town.did(&Step::Removed(said((1, 1)))), 1, "it may take long to come again");
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 1)]));
    assert_eq!(town.did(&Step::Removed(said((1, 1)))), 1);
}

#[test]
fn a_new_place_is_looked_at_before_the_old_one_is_given_up() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 2)], false);
    assert_eq!((town.here(), town.probes.len()), (here(&[(1, 1)]), 1));
    let probes = town.probes.clone();
    town.answer(&[(1, 2)], false);
    assert_eq!(town.probes, probes, "it goes on");
    town.look(1, true);
    town.unregister(1, true);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 2)]));
    let told = (town.did(&Step::Removed(said((1, 2)))), town.did(&Step::Added(said((1, 2)))));
    assert_eq!(told, (1, 1), "once it is over");
}

#[test]
fn who_cannot_have_its_new_place_keeps_the_old_one() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 2)], false);
    town.look(1, false);
    assert_eq!((town.here(), town.did(&Step::Keep(Db(1), "probe"))), (here(&[(1, 1)]), 1));
    assert_eq!(town.all.under_way().count(), 0);
    // Nothing has failed there yet: it was never let go.
    town.answer(&[(1, 2)], false);
    assert_eq!(town.probes.len(), 1);
    town.answer(&[(1, 1)], false);
    assert_eq!((town.probes.len(), town.all.under_way().count()), (0, 0), "it is where it is wanted");
}

#[test]
fn a_third_place_takes_the_second_ones_turn() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 2)], false);
    let number = *town.probes.keys().next().unwrap();
    town.answer(&[(1, 3)], false);
    assert_eq!(town.did(&Step::Stop(number)), 1);
    let late = Turn::Probed { db: Db(1), number, result: Ok(()) };
    town.all.handle(Moment { runs: true, ..Moment::default() }, late);
    assert!(town.all.poll_step().is_none(), "what was asked before is void");
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 3)]));
}

#[test]
fn a_move_that_is_refused_later_goes_back_and_is_tried_again_when_somebody_asks() {
    for is_looked_at in [false, true] {
        let mut town = moving();
        town.unregister(1, true);
        town.look(1, is_looked_at);
        if is_looked_at {
            town.register(1, false);
        }
        let why = Why::Told(if is_looked_at { "register" } else { "look" });
        assert_eq!(town.did(&Step::GoBack { from: said((1, 2)), to: said((1, 1)), why }), 1);
        town.all_go_well();
        assert_eq!(town.here(), here(&[(1, 1)]));
        let told = |step: &&Step<Said>| matches!(step, Step::Added(_) | Step::Removed(_));
        assert_eq!(town.steps.iter().filter(told).count(), 0, "it neither came nor went");
        town.answer(&[(1, 2)], false);
        assert_eq!(town.all.under_way().count(), 0, "it has failed there");
        town.answer(&[(1, 2)], true);
        town.all_go_well();
        assert_eq!(town.here(), here(&[(1, 2)]));
    }
}

#[test]
fn what_has_failed_is_forgotten_when_it_is_named_no_more_or_as_it_is() {
    for named in [&[][..], &[(1, 1)]] {
        let mut town = moving();
        town.unregister(1, true);
        town.look(1, false);
        town.all_go_well();
        for named in [named, &[(1, 1)]] {
            town.answer(named, false);
            town.all_go_well();
        }
        town.answer(&[(1, 2)], false);
        assert_eq!(town.probes.len(), 1, "{named:?}");
    }
}

#[test]
fn who_is_on_its_way_back_is_not_sent_there_again() {
    let mut town = moving();
    town.unregister(1, true);
    town.look(1, false);
    town.answer(&[(1, 2)], false);
    assert_eq!((town.looks.len(), town.all.comes_back(town.at(1))), (1, false));
    town.look(1, true);
    town.answer(&[(1, 2)], false);
    assert_eq!((town.membership(1), town.all.comes_back(town.at(1))), (COMING, true));
    town.register(1, true);
    assert_eq!((town.here(), town.all.comes_back(town.at(1))), (here(&[(1, 1)]), false));
}

#[test]
fn another_place_for_who_is_only_coming_is_taken_at_once() {
    let mut town = Town::new(&[]);
    town.answer(&[(1, 1)], false);
    town.answer(&[(1, 2)], false);
    assert_eq!(town.looks.len(), 1, "the first is for nothing");
    town.look(1, true);
    town.answer(&[(1, 3)], false);
    assert_eq!(town.membership(1), Membership::Leaving);
    town.unregister(1, true);
    assert_eq!(town.did(&Step::Went { db: Db(1), given_up: true }), 1);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 3)]));
}

#[test]
fn what_litestream_says_of_one_that_is_given_up_comes_too_late() {
    let mut town = Town::new(&[]);
    town.answer(&[(1, 1)], false);
    town.look(1, true);
    town.answer(&[], false);
    for result in [Ok(()), Err("register")] {
        town.all.handle(Moment { runs: true, ..Moment::default() }, Turn::Registered { db: Db(1), result });
        assert!(town.all.poll_step().is_none());
    }
    town.all_go_well();
    assert!(town.locked.is_empty());
}

#[test]
fn another_spelling_of_its_path_changes_nothing() {
    let mut town = Town::new(&[(1, 1)]);
    // A link has another name for its folder since the last answer.
    town.all.refile(|said| said.file = 9);
    town.locked.values_mut().for_each(|said| said.file = 9);
    let steps = town.steps.len();
    town.answer(&[(9, 1)], false);
    assert_eq!((town.steps.len(), town.here()), (steps, here(&[(9, 1)])));
}

#[test]
fn the_same_in_other_words_is_no_move_and_is_what_the_next_litestream_reads() {
    let mut town = Town::new(&[(1, 1)]);
    let (db, again) = (town.at(1), Said { words: 1, ..said((1, 1)) });
    for _ in 0..2 {
        town.turn(Turn::Answered { wanted: vec![again], by_hand: false });
        assert_eq!((town.did(&Step::Respell(db)), town.all.get(db)), (1, Some(&again)));
    }
    assert_eq!((town.probes.len(), town.here()), (0, here(&[(1, 1)])));
}

#[test]
fn who_wants_the_place_of_one_that_goes_waits_for_that() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(2, 1)], false);
    assert_eq!((town.looks.len(), town.all.under_way().count()), (0, 2));
    town.unregister(1, true);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(2, 1)]));
}

#[test]
fn who_wants_the_place_of_one_that_is_kept_is_refused_until_that_goes() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(2, 1)], false);
    town.unregister(1, false);
    let refused = Step::Refuse(said((2, 1)), Why::Occupied(said((1, 1))));
    assert_eq!((town.did(&refused), town.all.under_way().count()), (1, 0));
    town.answer(&[(2, 1)], false);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(2, 1)]));
}

#[test]
fn two_may_swap_their_places() {
    let mut town = Town::new(&[(1, 1), (2, 2)]);
    town.answer(&[(1, 2), (2, 1)], false);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 2), (2, 1)]));
}

#[test]
fn who_goes_back_to_a_place_that_another_has_taken_meanwhile_waits() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 2), (2, 1)], false);
    town.look(1, true);
    town.unregister(1, true);
    // Both look at the first place now.
    town.look(1, false);
    town.look(2, true);
    town.look(1, true);
    let refused = Step::Refuse(said((1, 1)), Why::Occupied(said((2, 1))));
    assert_eq!((town.did(&refused), town.membership(1)), (1, Membership::Outside));
    town.all_go_well();
    assert_eq!(town.here(), here(&[(2, 1)]));
    assert_eq!(town.end(), 74);
    assert_eq!(town.notes.iter().filter(|note| matches!(note, Note::NotTakenIn(_))).count(), 1);
}

#[test]
fn a_relaunch_makes_void_what_was_under_way_with_litestream() {
    // Coming, moving, probed, going, looked at, refused.
    let mut town = Town::new(&[(2, 2), (3, 3), (4, 4)]);
    town.answer(&[(1, 1), (2, 12), (3, 13), (5, 5), (6, 6)], false);
    town.look(1, true);
    town.look(2, true);
    town.look(6, false);
    assert_eq!((town.membership(1), town.membership(4)), (COMING, Membership::Going));
    town.die();
    town.up();
    assert_eq!(town.here(), here(&[(2, 2), (3, 3), (4, 4)]));
    assert_eq!((town.membership(1), town.membership(6)), (Membership::Outside, Membership::Outside));
    assert_eq!((town.probes.len(), town.looks.len()), (0, 1), "only who is looked at is not Litestream's");
    town.answer(&[(1, 1), (2, 12), (3, 13), (5, 5), (6, 6)], false);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 1), (2, 12), (3, 13), (5, 5), (6, 6)]));
}

#[test]
fn who_was_coming_to_its_new_place_when_litestream_died_still_goes_back() {
    let mut town = moving();
    town.unregister(1, true);
    town.look(1, true);
    town.die();
    town.up();
    town.answer(&[(1, 2)], false);
    town.look(1, false);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 1)]));
}

#[test]
fn nothing_is_let_go_while_the_app_does_not_run() {
    let mut town = Town::new(&[(1, 1), (2, 2)]);
    town.answer(&[(1, 11), (2, 2)], false);
    town.die();
    town.answer(&[(1, 11), (3, 3)], false);
    assert_eq!((town.membership(1), town.membership(2)), (Membership::Here, Membership::Here));
    town.look(1, true);
    assert_eq!((town.membership(1), town.all.under_way().count()), (Membership::Here, 1));
    town.look(3, true);
    assert_eq!(
        town.membership(3),
        if town.machine.phase() == Phase::Stopping { COMING } else { Membership::Outside }
    );
}

#[test]
fn what_is_let_go_when_all_is_drained_is_nothing_that_is_left() {
    let mut town = moving();
    town.stop();
    town.go_on();
    while town.machine.phase() == Phase::Draining {
        town.go_on();
    }
    town.unregister(1, true);
    assert_eq!((town.all.known().count(), town.end()), (0, 0));
}

#[test]
fn the_drain_of_a_relaunch_gives_up_no_move() {
    let mut town = moving();
    town.unregister(1, true);
    town.tell(Event::LitestreamAsked);
    town.go_on();
    assert_eq!((town.machine.phase(), town.machine.moment().ends), (Phase::Draining, false));
    town.up();
    town.answer(&[(1, 2)], false);
    town.all_go_well();
    assert_eq!(town.here(), here(&[(1, 2)]));
}

#[test]
fn who_is_on_its_way_back_may_be_named_with_a_third_place() {
    let mut town = moving();
    town.unregister(1, true);
    town.look(1, false);
    town.answer(&[(1, 3)], false);
    town.all_go_well();
    assert_eq!((town.here(), town.did(&Step::Added(said((1, 3))))), (here(&[(1, 3)]), 1));
}

#[test]
fn a_stop_sends_back_what_no_new_place_has_confirmed() {
    // On its way out, looked at, coming.
    for far in 0..3 {
        let mut town = moving_for(far);
        town.stop();
        if far == 0 {
            town.unregister(1, true);
        }
        if far < 2 {
            town.look(1, true);
        } else {
            assert_eq!(town.did(&Step::RegisterAgain(Db(2), said((1, 1)))), 1);
        }
        assert_eq!((town.membership(1), town.locked[&town.at(1)]), (COMING, said((1, 1))), "{far}");
        town.register(1, true);
        assert_eq!(town.end(), 0, "{far}");
        let back = Step::GoBack { from: said((1, 2)), to: said((1, 1)), why: Why::Unconfirmed };
        assert_eq!(town.did(&back), 1, "{far}");
    }
}

#[test]
fn the_drain_waits_for_who_goes_back_and_drains_it() {
    for is_gone in [true, false] {
        let mut town = moving();
        if is_gone {
            town.unregister(1, true);
        }
        town.stop();
        town.go_on();
        assert_eq!(town.machine.phase(), Phase::Draining);
        if !is_gone {
            town.unregister(1, true);
        }
        town.go_on();
        town.go_on();
        assert_eq!((town.machine.phase(), town.drains.len()), (Phase::Draining, 0));
        let db = town.at(1);
        town.look(1, true);
        town.register(1, true);
        assert_eq!((town.did(&Step::Drain(db)), town.end()), (1, 0));
    }
}

#[test]
fn a_stop_sends_nobody_where_another_is() {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 2), (2, 1)], false);
    town.look(1, true);
    town.unregister(1, true);
    town.look(1, true);
    town.look(2, true);
    town.register(2, true);
    town.stop();
    assert_eq!(town.locked[&town.at(1)], said((1, 2)), "its old place is the other's");
    town.register(1, true);
    assert_eq!(town.end(), 0);
}

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
