//! Without a keeper, a Litestream, or both: nobody says what is to be done, and there is an end.

use nix::libc;

use super::rig::{APP, LIMITS, Rig, STOP, ms, plain, stop};
use crate::core::{Ended, ExitCode};
use crate::shim::action::{Action, Note, Remains, To};
use crate::shim::event::Event;
use crate::shim::policy::Limits;
use crate::shim::stage::Stage;
use crate::shim::wire::{Target, ToKeeper};

/// With a grace for an orphan.
const PATIENT: Limits = Limits { orphan_grace: ms(2000), ..LIMITS };

const LITESTREAM_FAILED: Action = Action::Exit(ExitCode::LITESTREAM);
const TOLD: Action = Action::Tell(ToKeeper::LitestreamGone);
const SAID: Action = Action::Say(Note::LitestreamDied);

fn died(remains: Remains) -> Action {
    Action::Say(Note::KeeperDied(remains, LIMITS.grace))
}

fn ended(how: Ended, unborn: Option<i32>, left: u32) -> Action {
    Action::Say(Note::Ended { how, unborn, left })
}

fn kill() -> Vec<Action> {
    vec![Action::KillTree, Action::Reap]
}

fn without_keeper(mut rig: Rig) -> Rig {
    rig.sees(Event::KeeperGone);
    assert_eq!(rig.stage(), Stage::WithoutKeeper);
    rig
}

fn without_litestream(mut rig: Rig) -> Rig {
    rig.sees(Event::LitestreamGone);
    assert_eq!(rig.stage(), Stage::WithoutLitestream);
    rig
}

// The keeper dies.

#[test]
fn when_the_keeper_dies_the_app_is_asked_to_stop_and_then_all_is_drained() {
    let mut rig = Rig::led(LIMITS);
    assert_eq!(rig.sees(Event::KeeperGone), [Action::TakeOver, died(Remains::App), stop(To::Leader(APP))]);
    assert_eq!((rig.stage(), rig.sleeps()), (Stage::WithoutKeeper, Some(LIMITS.grace)));
    let code = Ended::Code(0);
    assert_eq!(rig.sees(Event::LeaderEnded(code, 0)), [ended(code, None, 0), Action::Drain]);
    assert_eq!((rig.stage(), rig.sleeps()), (Stage::Draining, None));
    let (confirmed, asked) = (1, 2);
    assert_eq!(
        rig.sees(Event::Drained { confirmed, asked }),
        [Action::Say(Note::Drained { confirmed, asked }), Action::Exit(ExitCode::OK)]
    );
    assert_eq!(rig.stage(), Stage::Over);
}

#[test]
fn when_the_keeper_dies_what_an_app_left_is_asked_to_stop() {
    let mut rig = Rig::left(LIMITS);
    assert_eq!(rig.sees(Event::KeeperGone), [Action::TakeOver, died(Remains::Leftovers), stop(To::Tree)]);
    assert_eq!(rig.sees(Event::Childless), [Action::Drain]);
}

#[test]
fn when_the_keeper_dies_over_nothing_all_is_drained_at_once() {
    let mut rig = Rig::new(LIMITS);
    assert_eq!(rig.sees(Event::KeeperGone), [Action::TakeOver, died(Remains::Nothing), Action::Drain]);
    assert_eq!(rig.stage(), Stage::Draining);
}

#[test]
fn what_the_leader_leaves_without_a_keeper_is_asked_to_stop_as_well() {
    let mut rig = without_keeper(Rig::led(LIMITS));
    let how = Ended::Signal(libc::SIGQUIT);
    assert_eq!(rig.sees(Event::LeaderEnded(how, 3)), [stop(To::Tree), ended(how, None, 3)]);
    assert_eq!(rig.sleeps(), Some(LIMITS.grace), "it is the same grace");
    assert_eq!(rig.sees(Event::Childless), [Action::Drain]);
}

#[test]
fn who_does_not_stop_without_a_keeper_is_killed_until_nothing_is_left() {
    let mut rig = without_keeper(Rig::led(LIMITS));
    assert_eq!(rig.passes(LIMITS.grace - ms(1)), []);
    assert_eq!(rig.passes(ms(1)), [Action::Say(Note::GraceOver), Action::KillTree, Action::Reap]);
    assert_eq!((rig.sleeps(), rig.passes(ms(10))), (Some(ms(10)), kill()));
    assert_eq!(rig.stage(), Stage::WithoutKeeper);
    let how = Ended::Signal(libc::SIGKILL);
    assert_eq!(rig.sees(Event::LeaderEnded(how, 0)), [ended(how, None, 0), Action::Drain]);
    assert_eq!(rig.passes(ms(10)), []);
}

#[test]
fn what_was_being_killed_when_the_keeper_died_still_is() {
    let mut rig = Rig::left(LIMITS);
    rig.sees(Event::KillTree);
    let mut rig = without_keeper(rig);
    assert_eq!(rig.passes(ms(10)), kill());
}

#[test]
fn an_app_on_its_way_is_stopped_too_and_its_end_tells_why_there_is_none() {
    let mut rig = Rig::becoming(LIMITS);
    assert_eq!(rig.sees(Event::KeeperGone), [Action::TakeOver, died(Remains::App), stop(To::Leader(APP))]);
    assert_eq!(rig.sees(Event::NotBecome(libc::ENOENT)), [plain(To::Leader(APP), libc::SIGKILL)]);
    let how = Ended::Signal(libc::SIGKILL);
    assert_eq!(rig.sees(Event::LeaderEnded(how, 0)), [ended(how, Some(libc::ENOENT), 0), Action::Drain]);
}

#[test]
fn an_app_that_becomes_one_without_a_keeper_is_the_leader_all_the_same() {
    let mut rig = without_keeper(Rig::becoming(LIMITS));
    assert_eq!(rig.sees(Event::Became), []);
    assert_eq!((rig.leader(), rig.sleeps()), (Some(APP), Some(LIMITS.grace)));
    assert_eq!(rig.sees(Event::Stopped(APP, libc::SIGTSTP)), [], "nobody is told");
}

#[test]
fn a_start_that_fails_without_a_keeper_is_followed_by_the_drain() {
    let mut rig = Rig::new(LIMITS);
    rig.sees(Event::Start);
    let mut rig = without_keeper(rig);
    assert_eq!(rig.sees(Event::NotBorn(libc::ENOMEM)), [Action::Drain]);
}

#[test]
fn a_dead_keeper_has_no_orders_and_is_told_nothing() {
    let both = |mut rig: Rig| {
        rig.sees(Event::LitestreamGone);
        rig
    };
    for mut rig in [without_keeper(Rig::led(PATIENT)), both(without_keeper(Rig::led(PATIENT)))] {
        let (stage, sleeps) = (rig.stage(), rig.sleeps());
        for event in [
            Event::Start,
            Event::Signal(Target::Tree, STOP),
            Event::KillTree,
            Event::Release,
            Event::Received(libc::SIGTERM),
            Event::KeeperGone,
        ] {
            assert_eq!(rig.sees(event), [], "{event:?}");
            assert_eq!((rig.stage(), rig.sleeps()), (stage, sleeps), "{event:?}");
        }
    }
}

#[test]
fn a_drain_has_no_orders_either() {
    let mut rig = Rig::new(LIMITS);
    rig.sees(Event::KeeperGone);
    for event in [Event::Start, Event::KeeperGone, Event::Childless, Event::Release] {
        assert_eq!((rig.sees(event), rig.stage()), (vec![], Stage::Draining), "{event:?}");
    }
}

/// Its end came with the app's: the loop looks before it asks.
#[test]
fn a_litestream_that_is_dead_before_the_drain_has_failed() {
    let mut rig = Rig::new(LIMITS);
    rig.sees(Event::KeeperGone);
    assert_eq!(rig.sees(Event::LitestreamGone), [SAID, LITESTREAM_FAILED]);
    assert_eq!(rig.stage(), Stage::Over);
}

// Litestream dies.

#[test]
fn when_litestream_dies_the_app_is_killed_before_the_keeper_is_told() {
    for mut rig in [Rig::becoming(LIMITS), Rig::led(LIMITS), Rig::left(LIMITS)] {
        assert_eq!(rig.sees(Event::LitestreamGone), [Action::KillTree, TOLD, Action::Reap]);
        assert_eq!((rig.stage(), rig.sleeps()), (Stage::WithoutLitestream, Some(ms(10))));
        assert_eq!(rig.passes(ms(10)), kill());
    }
}

#[test]
fn when_litestream_dies_over_nothing_that_is_the_end() {
    let mut rig = Rig::new(LIMITS);
    assert_eq!(rig.sees(Event::LitestreamGone), [TOLD, LITESTREAM_FAILED]);
    assert_eq!((rig.stage(), rig.sleeps()), (Stage::Over, None));
}

#[test]
fn the_end_after_litestreams_is_told_first() {
    let mut rig = without_litestream(Rig::led(LIMITS));
    let (number, left) = (libc::SIGKILL, 1);
    assert_eq!(
        rig.sees(Event::LeaderEnded(Ended::Signal(number), left)),
        [Action::Tell(ToKeeper::Signaled { number, left })]
    );
    assert_eq!(rig.sees(Event::Childless), [Action::Tell(ToKeeper::TreeGone), LITESTREAM_FAILED]);
    assert_eq!((rig.stage(), rig.sleeps()), (Stage::Over, None));
}

#[test]
fn with_a_grace_for_orphans_the_app_is_asked_first() {
    let mut rig = Rig::led(PATIENT);
    assert_eq!(rig.sees(Event::LitestreamGone), [stop(To::Leader(APP)), TOLD, Action::Reap]);
    assert_eq!(rig.sleeps(), Some(PATIENT.orphan_grace));
    assert_eq!(rig.passes(PATIENT.orphan_grace), kill(), "the keeper says itself that it is over");
    let mut rig = Rig::left(PATIENT);
    assert_eq!(rig.sees(Event::LitestreamGone), [TOLD, Action::Reap], "there is no leader to be asked");
    assert_eq!(rig.passes(PATIENT.orphan_grace), kill());
}

#[test]
fn a_keeper_without_litestream_starts_nothing_but_may_signal_kill_and_release() {
    let mut rig = without_litestream(Rig::led(PATIENT));
    assert_eq!(rig.sees(Event::Start), []);
    assert_eq!(rig.sees(Event::Received(libc::SIGINT)), [Action::Tell(ToKeeper::Asked(libc::SIGINT))]);
    assert_eq!(rig.sees(Event::Signal(Target::Leader, STOP)), [stop(To::Leader(APP))]);
    rig.sees(Event::KillTree);
    assert_eq!(rig.passes(ms(0)), kill());
    assert_eq!(rig.sees(Event::LitestreamGone), [], "it dies once");
    assert_eq!(rig.sees(Event::Release), [Action::Exit(ExitCode::OK)]);
}

#[test]
fn an_app_may_become_one_and_be_stopped_without_litestream_and_that_is_told() {
    let mut rig = without_litestream(Rig::becoming(PATIENT));
    let started = Action::Tell(ToKeeper::Started(APP));
    assert_eq!(rig.sees(Event::Became), [started]);
    let stopped = Action::Tell(ToKeeper::Stopped(libc::SIGTSTP));
    assert_eq!(rig.sees(Event::Stopped(APP, libc::SIGTSTP)), [stopped]);
}

// Both die.

#[test]
fn without_both_the_app_is_killed_and_nothing_is_drained() {
    let mut first = without_keeper(Rig::led(LIMITS));
    assert_eq!(first.sees(Event::LitestreamGone), [Action::KillTree, SAID, Action::Reap]);
    let mut second = without_litestream(Rig::led(LIMITS));
    assert_eq!(second.sees(Event::KeeperGone), [Action::TakeOver], "all is being done");
    for mut rig in [first, second] {
        assert_eq!((rig.stage(), rig.sleeps()), (Stage::WithoutBoth, Some(ms(10))));
        assert_eq!((rig.sees(Event::KeeperGone), rig.sees(Event::LitestreamGone)), (vec![], vec![]));
        assert_eq!(rig.passes(ms(10)), kill());
        let how = Ended::Signal(libc::SIGKILL);
        assert_eq!(rig.sees(Event::LeaderEnded(how, 1)), [stop(To::Tree), ended(how, None, 1)]);
        assert_eq!(rig.sees(Event::Childless), [LITESTREAM_FAILED]);
        assert_eq!(rig.stage(), Stage::Over);
    }
}

#[test]
fn the_grace_of_an_orphan_takes_the_place_of_a_keepers() {
    let mut rig = without_keeper(Rig::led(PATIENT));
    rig.passes(ms(8000));
    assert_eq!(rig.sees(Event::LitestreamGone), [stop(To::Leader(APP)), SAID, Action::Reap]);
    assert_eq!(rig.sleeps(), Some(PATIENT.orphan_grace));
    let over = [Action::Say(Note::GraceOver), Action::KillTree, Action::Reap];
    assert_eq!(rig.passes(PATIENT.orphan_grace), over);
    let how = Ended::Signal(libc::SIGKILL);
    assert_eq!(rig.sees(Event::LeaderEnded(how, 0)), [ended(how, None, 0), LITESTREAM_FAILED]);
}

#[test]
fn a_keeper_that_dies_in_the_grace_of_an_orphan_does_not_lengthen_it() {
    let mut rig = without_litestream(Rig::led(PATIENT));
    rig.passes(ms(500));
    assert_eq!(rig.sees(Event::KeeperGone), [Action::TakeOver]);
    assert_eq!(rig.sleeps(), Some(ms(1500)));
    assert_eq!(rig.passes(ms(1500))[0], Action::Say(Note::GraceOver));
}

// The lease is over.

#[test]
fn when_the_lease_is_over_litestream_and_the_app_are_killed_at_once_whoever_is_there() {
    let mut rig = Rig::led(PATIENT);
    let over = Action::Tell(ToKeeper::LeaseOver);
    assert_eq!(rig.sees(Event::LeaseOver), [Action::KillLitestream, over]);
    assert_eq!(rig.passes(ms(0)), kill());
    let mut rig = without_keeper(Rig::led(PATIENT));
    assert_eq!(rig.sees(Event::LeaseOver), [Action::KillLitestream, Action::Say(Note::LeaseOver)]);
    assert_eq!(rig.passes(ms(0)), kill());
    let mut rig = without_litestream(Rig::led(PATIENT));
    assert_eq!(rig.sees(Event::LeaseOver), [Action::Tell(ToKeeper::LeaseOver)]);
    assert_eq!(rig.passes(ms(0)), kill(), "it has no grace left");
}

/// Its last sync would be an upload as well.
#[test]
fn a_drain_ends_with_the_lease_and_not_in_order() {
    let mut rig = Rig::new(LIMITS);
    rig.sees(Event::KeeperGone);
    assert_eq!(rig.stage(), Stage::Draining);
    assert_eq!(rig.sees(Event::LeaseOver), [Action::KillLitestream, Action::Say(Note::LeaseOver)]);
    assert_eq!(rig.sees(Event::LitestreamGone), [SAID, LITESTREAM_FAILED]);
}
