//! What each answer, look and word of Litestream's leads to.

use std::collections::BTreeMap;

use super::town::{Said, Town, said};
use crate::core::machine::Membership;
use crate::core::{Db, Moment, Note, Step, Turn, Why};

pub(super) const COMING: Membership = Membership::Coming { awaited: true };

pub(super) fn here(all: &[(u8, u8)]) -> BTreeMap<u8, u8> {
    all.iter().copied().collect()
}

/// One that is replicated to 1 is named with 2, and the look there was good: it is let go.
pub(super) fn moving() -> Town {
    let mut town = Town::new(&[(1, 1)]);
    town.answer(&[(1, 2)], false);
    town.look(1, true);
    assert_eq!(town.membership(1), Membership::Going);
    town
}

/// The same, when it has got so far: let go, looked at.
pub(super) fn moving_for(far: usize) -> Town {
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
pub(super) fn die_and_come_back(town: &mut Town) {
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
