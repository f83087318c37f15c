//! Deaths, relaunches and stops, while databases come, go and move.

use super::reconcile::{COMING, here, moving, moving_for};
use super::town::{Town, said};
use crate::core::machine::Membership;
use crate::core::{Db, Event, Phase, Step, Why};

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
