//! The drain: what it waits for, who is launched for it, and what it leaves.

use super::litestream::{slow, world_in};
use super::plan::{Fault, Plan, Replica, ms, policy, secs};
use super::stop::BEFORE_THE_END;
use super::world::World;
use crate::core::{Action, Db, Ended, Event, Note, OnLag, Phase, Policy};

#[test]
fn a_drain_that_fails_is_74_and_names_what_is_behind() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Stop(15));
    let asked = world.time();
    assert_eq!(world.end(), 74);
    assert_eq!(world.noted(Note::NotDrained(vec![Db(0), Db(1)])), 1);
    assert!(world.time() - asked <= secs(10));
}

#[test]
fn a_drain_names_only_what_is_behind() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::Stop(15));
    world.until(Phase::Draining).dbs.rows[1].away = true;
    assert_eq!(world.end(), 74);
    assert_eq!(world.noted(Note::NotDrained(vec![Db(1)])), 1);
}

#[test]
fn a_litestream_that_hangs_at_the_end_is_killed_in_time() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).suffer(Fault::LitestreamHangs);
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 74);
    assert_eq!(world.noted(Note::CloseTimeout), 1);
    assert!(world.time() <= secs(11), "{:?}", world.time());
}

/// A job that was stopped with Ctrl-Z in the middle of its stop.
#[test]
fn a_litestream_has_its_time_to_end_also_where_the_keeper_was_away() {
    let mut world = World::new(policy(), Plan { drain: secs(60), close: ms(400), ..Plan::default() });
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Stop(15));
    world.until(Phase::Draining).sleep(secs(3600));
    assert_eq!(world.end(), 74);
    assert_eq!(
        (world.did(&Action::Release), world.did(&Action::KillLitestream)),
        (1, 0),
        "{}",
        world.story()
    );
}

#[test]
fn a_litestream_whose_own_end_hangs_after_the_drain_costs_no_code() {
    for litestream_unkillable in [false, true] {
        let mut world =
            World::new(policy(), Plan { close: secs(1000), litestream_unkillable, ..Plan::default() });
        world.until(Phase::Running).suffer(Fault::Stop(15));
        assert_eq!(world.end(), 0);
        assert_eq!(world.did(&Action::KillLitestream), 1);
        assert!(world.time() <= secs(12), "{:?}", world.time());
    }
}

#[test]
fn a_litestream_that_dies_during_the_stop_comes_back_to_drain() {
    for phase in [Phase::Stopping, Phase::Draining] {
        for fault in [Fault::LitestreamDies, Fault::ShimDies] {
            for shim_gone_first in [false, true] {
                let mut world = world_in(phase, Plan { shim_gone_first, launch: Some(ms(30)), ..slow() });
                world.suffer(fault);
                // An app that was killed for Litestream's death gave no answer: the signal's code stands.
                let code = if phase == Phase::Draining { 0 } else { 143 };
                assert_eq!(world.end(), code, "{fault:?} in {phase:?}");
                assert_eq!(world.noted(Note::DrainRelaunch), 1, "{fault:?} in {phase:?}");
                assert_eq!(world.did(&Action::StartApp), 1, "it comes back only to drain");
                assert_eq!(world.noted(Note::Drained), 1);
            }
        }
    }
}

#[test]
fn a_litestream_that_does_not_go_on_is_replaced_and_the_app_stopped_for_it() {
    for (on_lag, launches) in [(OnLag::Unready, 2), (OnLag::Warn, 1)] {
        let plan = Plan { notices: Some(secs(2)), ..Plan::default() };
        let mut world = World::new(Policy { on_lag, ..policy() }, plan);
        world.until(Phase::Running).suffer(Fault::Stalled(Db(0)));
        assert_eq!(world.noted(Note::Stalled(Db(0))), 0, "it is not behind");
        world.suffer(Fault::LitestreamHangs);
        world.pass(policy().max_lag + secs(5)).suffer(Fault::Stalled(Db(0)));
        world.pass(secs(20));
        assert_eq!((world.noted(Note::Stalled(Db(0))), world.did(&Action::Launch)), (1, launches));
        assert_eq!(world.phase(), Phase::Running, "{}", world.story());
        assert_eq!(world.did(&Action::StartApp), launches);
        world.suffer(Fault::Stop(15));
        world.end();
        assert!(world.dbs.is_safe());
    }
}

#[test]
fn a_litestream_that_sleeps_while_its_replica_answers_is_replaced_to_drain() {
    for shim_gone_first in [false, true] {
        let plan = Plan { notices: Some(secs(2)), shim_gone_first, ..Plan::default() };
        let mut world = World::new(policy(), plan);
        world.until(Phase::Running).pass(secs(1)).suffer(Fault::Replica(Replica::Away));
        world.suffer(Fault::LitestreamHangs);
        world.pass(secs(1)).suffer(Fault::Stop(15));
        world.until(Phase::Draining).pass(secs(4));
        assert_eq!(world.noted(Note::DrainAfresh), 0, "nothing answers yet");
        world.suffer(Fault::Replica(Replica::Answers));
        assert_eq!(world.end(), 0, "{}", world.story());
        assert_eq!((world.noted(Note::DrainAfresh), world.noted(Note::Drained)), (1, 1));
        assert!(world.dbs.is_safe());
    }
    // With nobody to notice it, the budget ends first.
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(secs(1)).suffer(Fault::LitestreamHangs);
    world.pass(secs(1)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 74);
}

#[test]
fn silence_is_no_reason_to_end_a_litestream_outside_of_the_last_drain() {
    for phase in BEFORE_THE_END {
        let mut world = world_in(phase, slow());
        world.suffer(Fault::Silent);
        world.pass(ms(1));
        let killed = world.did(&Action::KillLitestream);
        assert_eq!(killed, usize::from(phase == Phase::Draining), "{phase:?}");
    }
}

#[test]
fn a_litestream_that_dies_in_each_drain_is_not_launched_in_a_busy_loop() {
    let mut world = world_in(Phase::Draining, Plan { launch: Some(ms(10)), ..slow() });
    while world.code().is_none() {
        world.until_true("a drain", |world| world.phase() == Phase::Draining || world.code().is_some());
        world.suffer(Fault::LitestreamDies);
        world.until_true("its end", |world| world.phase() != Phase::Draining);
    }
    assert_eq!(world.code(), Some(74));
    let launches = world.did(&Action::Launch);
    assert!((10..60).contains(&launches), "{launches}");
}

#[test]
fn a_litestream_that_does_not_come_back_to_drain_has_the_budget_and_no_more() {
    let mut world = world_in(Phase::Running, slow());
    world.plan.launch = None;
    world.suffer(Fault::LitestreamDies);
    world.until(Phase::Backoff).suffer(Fault::Stop(15));
    let asked = world.time();
    assert_eq!(world.end(), 74);
    assert!(world.time() - asked <= secs(10) + ms(100), "{:?}", world.time() - asked);
}

#[test]
fn a_signal_while_litestream_is_away_brings_it_back_to_drain() {
    let mut world = World::new(policy(), Plan::default());
    world.until(Phase::Running).pass(ms(700)).suffer(Fault::LitestreamDies);
    world.until(Phase::Backoff).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 143);
    assert_eq!(world.noted(Note::DrainRelaunch), 1);
    assert!(world.dbs.is_safe());
}

#[test]
fn a_signal_cannot_lengthen_what_was_running_out_already() {
    let policy = Policy { orphan_grace: secs(60), ..policy() };
    let mut world = World::new(policy, Plan { stops: None, ..Plan::default() });
    world.until(Phase::Running).suffer(Fault::LitestreamDies);
    world.pass(secs(1)).suffer(Fault::Stop(15));
    let asked = world.time();
    assert_eq!(world.end(), 137);
    assert!(world.time() - asked <= secs(10), "{:?}", world.time() - asked);

    let mut world = World::new(super::plan::policy(), Plan { stops: None, ..Plan::default() });
    world.until(Phase::Running).suffer(Fault::LitestreamAsked);
    world.pass(secs(9)).suffer(Fault::Stop(15));
    world.until(Phase::Draining);
    assert!(world.time() < secs(11), "the grace began with the first of the two");
}

#[test]
fn without_a_socket_litestreams_own_clean_end_is_the_drain() {
    let mut world = World::new(policy(), Plan { confirms: false, ..Plan::default() });
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 0);
    assert_eq!(world.noted(Note::Drained), 0, "nobody confirmed anything");
    assert_eq!(world.did(&Action::Launch), 1);
}

#[test]
fn without_a_socket_an_unclean_end_is_tried_again_and_then_74() {
    let mut world = World::new(policy(), Plan { confirms: false, ..Plan::default() });
    world.until(Phase::Running).pass(secs(3)).suffer(Fault::Replica(Replica::Away));
    world.suffer(Fault::Stop(15));
    let asked = world.time();
    assert_eq!(world.end(), 74);
    assert!(world.did(&Action::Launch) > 1);
    assert!(world.time() - asked <= secs(10));
}

#[test]
fn without_a_socket_a_short_life_is_replicated_as_well() {
    let lives = [(ms(50), Ended::Code(0))].into();
    let mut world = World::new(policy(), Plan { confirms: false, lives, ..Plan::default() });
    assert_eq!(world.end(), 0);
    assert!(world.dbs.is_safe());
}

#[test]
fn without_a_socket_a_signal_during_the_backoff_ends_in_order() {
    let lives = [(secs(2), Ended::Code(1))].into();
    let mut world = World::new(policy(), Plan { confirms: false, lives, ..Plan::default() });
    world.until(Phase::Backoff).suffer(Fault::Stop(15));
    assert_eq!(world.end(), 143);
}

#[test]
fn a_replaced_file_is_never_called_drained() {
    for confirms in [true, false] {
        let mut world = World::new(policy(), Plan { confirms, ..Plan::default() });
        world.until(Phase::Running).pass(secs(2)).suffer(Fault::Replaced(Db(0)));
        world.pass(secs(2)).suffer(Fault::Stop(15));
        assert_eq!(world.end(), 74);
        assert_eq!(world.noted(Note::NotReplicated(vec![Db(0)])), 1);
        assert_eq!(world.noted(Note::Drained), 0);
    }
}

/// Whether it may take the place of its backup is for a start to find out.
#[test]
fn no_litestream_and_no_app_is_started_on_a_replaced_file() {
    for fault in
        [Fault::LitestreamDies, Fault::LitestreamAsked, Fault::ShimDies, Fault::AppDies(Ended::Code(1))]
    {
        for stop in [false, true] {
            let mut world = World::new(policy(), Plan { close: secs(1), ..Plan::default() });
            world.until(Phase::Running).pass(secs(2)).suffer(Fault::Replaced(Db(0)));
            world.pass(secs(1)).suffer(fault);
            if stop {
                world.pass(ms(100)).suffer(Fault::Stop(15));
            }
            assert_eq!(world.end(), 74, "{fault:?} {stop}: {}", world.story());
            assert_eq!(
                (world.did(&Action::Launch), world.did(&Action::StartApp)),
                (1, 1),
                "{fault:?} {stop}"
            );
            assert_eq!(world.noted(Note::Drained), 0, "{fault:?} {stop}");
        }
    }
}

#[test]
fn nothing_waits_when_nothing_is_left() {
    let lives = [(secs(1), Ended::Code(0))].into();
    let mut world = World::new(policy(), Plan { lives, ..Plan::default() });
    assert_eq!(world.end(), 0);
    assert!(world.time() < ms(1500), "{:?}", world.time());
}

#[test]
fn without_a_socket_a_litestream_that_never_looked_drains_nothing() {
    // It comes back without having synced, and its replica refuses until the stop.
    let plan = Plan { confirms: false, gate: ms(110), close: ms(130), ..Plan::default() };
    let mut world = World::new(policy(), plan);
    world.until(Phase::Running).suffer(Fault::Replica(Replica::Refuses));
    world.pass(secs(2)).suffer(Fault::LitestreamDies);
    world.until_true("a gate that fails", |world| world.noted(Note::GateRefused) == 1);
    world.suffer(Fault::Replica(Replica::Answers));
    world.suffer(Fault::Stop(15));
    assert_eq!(world.end(), 143);
    assert_eq!(world.noted(Note::DrainRelaunch), 1);
}

#[test]
fn a_one_shot_command_that_is_stopped_is_no_app_that_ended_well() {
    for (how, code) in [(Ended::Code(0), 143), (Ended::Code(5), 5)] {
        let before = vec![(secs(60), Ended::Code(0))];
        let mut world = World::new(policy(), Plan { before, stops: Some((ms(10), how)), ..Plan::default() });
        world.until(Phase::Before).pass(secs(1)).suffer(Fault::Stop(15));
        assert_eq!(world.end(), code);
        assert_eq!(world.did(&Action::StartApp), 0);
    }
}

/// Its files would be among the other machine's: nothing more is uploaded, in whatever phase.
#[test]
fn a_place_that_another_machine_has_is_75_at_once_and_nothing_is_drained() {
    for phase in [Phase::Gating, Phase::Running, Phase::Stopping, Phase::Draining] {
        let mut world = World::new(policy(), Plan::default());
        world.until(Phase::Running);
        if phase != Phase::Running {
            world.pass(secs(3)).tell(Event::StopSignal(15));
        }
        if phase == Phase::Gating {
            world = World::new(policy(), Plan::default());
        }
        world.until(phase);
        world.suffer(Fault::LeaseLost(Db(1)));
        assert_eq!(world.end(), 75, "{phase:?}");
        assert_eq!(world.noted(Note::Drained), 0, "{phase:?}");
    }
}
