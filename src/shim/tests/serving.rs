//! With a keeper and a Litestream: the keeper says what is done, and is told what became of it.

use nix::libc;

use super::rig::{APP, LIMITS, Rig, STOP, ms, plain, stop};
use crate::core::{Ended, ExitCode};
use crate::shim::action::{Action, To};
use crate::shim::event::Event;
use crate::shim::stage::Stage;
use crate::shim::wire::{Target, ToKeeper};

#[test]
fn an_app_is_started_when_the_keeper_says_so_and_nothing_of_another_lives() {
    let mut rig = Rig::new(LIMITS);
    assert_eq!((rig.sleeps(), rig.leader()), (None, None));
    assert_eq!(rig.sees(Event::Start), [Action::Start]);
    assert_eq!(rig.sees(Event::Start), [], "while one is being started");
    for mut rig in [Rig::becoming(LIMITS), Rig::led(LIMITS), Rig::left(LIMITS)] {
        assert_eq!(rig.sees(Event::Start), []);
    }
    let mut rig = Rig::led(LIMITS);
    assert_eq!((rig.sleeps(), rig.leader()), (None, Some(APP)));
    rig.sees(Event::LeaderEnded(Ended::Code(1), 0));
    assert_eq!((rig.sees(Event::Start), rig.leader()), (vec![Action::Start], None));
}

#[test]
fn a_signal_goes_to_whom_the_keeper_says() {
    for (target, to) in
        [(Target::Leader, To::Leader(APP)), (Target::Group, To::Group(APP)), (Target::Tree, To::Tree)]
    {
        let mut rig = Rig::led(LIMITS);
        assert_eq!(rig.sees(Event::Signal(target, libc::SIGHUP)), [plain(to, libc::SIGHUP)]);
    }
}

/// What came by a key went to a group that a terminal continues itself.
#[test]
fn the_signal_to_stop_wakes_whoever_is_stopped_but_for_a_group() {
    let mut rig = Rig::led(LIMITS);
    assert_eq!(rig.sees(Event::Signal(Target::Leader, STOP)), [stop(To::Leader(APP))]);
    assert_eq!(rig.sees(Event::Signal(Target::Tree, STOP)), [stop(To::Tree)]);
    assert_eq!(rig.sees(Event::Signal(Target::Group, STOP)), [plain(To::Group(APP), STOP)]);
}

#[test]
fn without_a_leader_a_signal_to_it_reaches_nobody() {
    for mut rig in [Rig::new(LIMITS), Rig::left(LIMITS)] {
        for target in [Target::Leader, Target::Group] {
            assert_eq!(rig.sees(Event::Signal(target, STOP)), [], "{target:?}");
        }
    }
    assert_eq!(Rig::left(LIMITS).sees(Event::Signal(Target::Tree, STOP)), [stop(To::Tree)]);
}

#[test]
fn what_is_killed_is_killed_at_each_look_until_nothing_is_left() {
    let mut rig = Rig::led(LIMITS);
    assert_eq!((rig.sees(Event::KillTree), rig.sleeps()), (vec![], Some(ms(0))));
    assert_eq!(rig.passes(ms(0)), [Action::KillTree, Action::Reap]);
    assert_eq!(rig.sleeps(), Some(ms(10)));
    // Something else happened meanwhile.
    assert_eq!(rig.passes(ms(1)), [Action::KillTree, Action::Reap]);
    assert_eq!(rig.sleeps(), Some(ms(10)));
    assert_eq!(
        rig.sees(Event::LeaderEnded(Ended::Signal(libc::SIGKILL), 1)),
        [Action::Tell(ToKeeper::Signaled { number: libc::SIGKILL, left: 1 })]
    );
    assert_eq!(rig.passes(ms(10)), [Action::KillTree, Action::Reap]);
    assert_eq!(rig.sees(Event::Childless), [Action::Tell(ToKeeper::TreeGone)]);
    assert_eq!((rig.passes(ms(10)), rig.sleeps()), (vec![], None));
    // The next one has done nothing.
    rig.sees(Event::Start);
    rig.sees(Event::Born(APP + 1));
    assert_eq!(rig.passes(ms(10)), []);
}

#[test]
fn nothing_is_killed_where_nothing_is() {
    let mut rig = Rig::new(LIMITS);
    assert_eq!((rig.sees(Event::KillTree), rig.passes(ms(10)), rig.sleeps()), (vec![], vec![], None));
}

#[test]
fn only_the_signals_that_litestream_passes_on_are_told() {
    let mut rig = Rig::led(LIMITS);
    for number in [libc::SIGTERM, libc::SIGINT] {
        assert_eq!(rig.sees(Event::Received(number)), [Action::Tell(ToKeeper::Asked(number))]);
    }
    for number in [libc::SIGHUP, libc::SIGUSR1, libc::SIGWINCH] {
        assert_eq!(rig.sees(Event::Received(number)), [], "{number}");
    }
}

#[test]
fn the_leaders_end_is_told_with_what_it_left() {
    for (how, left, message) in [
        (Ended::Code(3), 0, ToKeeper::Exited { code: 3, left: 0 }),
        (Ended::Code(0), 2, ToKeeper::Exited { code: 0, left: 2 }),
        (Ended::Signal(11), 0, ToKeeper::Signaled { number: 11, left: 0 }),
        (Ended::Signal(9), 1, ToKeeper::Signaled { number: 9, left: 1 }),
    ] {
        let mut rig = Rig::led(LIMITS);
        assert_eq!(rig.sees(Event::LeaderEnded(how, left)), [Action::Tell(message)]);
        assert_eq!(rig.leader(), None);
        let gone = if left > 0 { vec![Action::Tell(ToKeeper::TreeGone)] } else { vec![] };
        assert_eq!(rig.sees(Event::Childless), gone);
        assert_eq!((rig.sees(Event::Childless), rig.stage()), (vec![], Stage::Serving));
    }
}

#[test]
fn a_living_leader_is_somebodys_child() {
    let mut rig = Rig::led(LIMITS);
    assert_eq!((rig.sees(Event::Childless), rig.leader()), (vec![], Some(APP)));
}

#[test]
fn a_stop_of_the_leader_is_told_and_nobody_elses() {
    let mut rig = Rig::led(LIMITS);
    for number in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGSTOP] {
        assert_eq!(rig.sees(Event::Stopped(APP, number)), [Action::Tell(ToKeeper::Stopped(number))]);
        assert_eq!(rig.sees(Event::Stopped(APP + 1, number)), []);
    }
    assert_eq!(Rig::left(LIMITS).sees(Event::Stopped(APP, libc::SIGTSTP)), []);
}

/// What the keeper could not end is its business: it has counted that.
#[test]
fn a_release_is_the_end_whatever_lives() {
    for mut rig in [Rig::new(LIMITS), Rig::becoming(LIMITS), Rig::led(LIMITS), Rig::left(LIMITS)] {
        rig.sees(Event::KillTree);
        assert_eq!(rig.sees(Event::Release), [Action::Exit(ExitCode::OK)]);
        assert_eq!((rig.stage(), rig.sleeps()), (Stage::Over, None));
    }
}

#[test]
fn nothing_follows_after_the_end() {
    let mut rig = Rig::becoming(LIMITS);
    rig.sees(Event::Release);
    for event in [
        Event::Start,
        Event::Became,
        Event::NotBecome(2),
        Event::LeaderEnded(Ended::Code(0), 0),
        Event::KeeperGone,
        Event::LitestreamGone,
        Event::Received(libc::SIGTERM),
        Event::Release,
    ] {
        assert_eq!(rig.sees(event), [], "{event:?}");
        assert_eq!(rig.passes(ms(60_000)), [], "{event:?}");
    }
    assert_eq!(rig.stage(), Stage::Over);
}

#[test]
fn nobody_is_drained_whom_nobody_asked() {
    let mut rig = Rig::led(LIMITS);
    assert_eq!(rig.sees(Event::Drained { confirmed: 1, asked: 1 }), []);
    assert_eq!(rig.stage(), Stage::Serving);
}
