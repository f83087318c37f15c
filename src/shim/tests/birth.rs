//! From the order to the app, or to the reason why there is none.

use nix::libc;

use super::rig::{APP, LIMITS, Rig, ms, plain};
use crate::core::Ended;
use crate::shim::action::{Action, To};
use crate::shim::event::Event;
use crate::shim::wire::ToKeeper;

const KILL: [Action; 1] = [Action::Signal { to: To::Leader(APP), number: libc::SIGKILL, wakes: false }];

#[test]
fn an_app_that_cannot_be_started_is_told_and_another_may_be() {
    let mut rig = Rig::new(LIMITS);
    rig.sees(Event::Start);
    assert_eq!(rig.sees(Event::NotBorn(libc::EAGAIN)), [Action::Tell(ToKeeper::NotStarted(libc::EAGAIN))]);
    assert_eq!(rig.sees(Event::NotBorn(libc::EAGAIN)), [], "nobody wanted one");
    assert_eq!(rig.sees(Event::Start), [Action::Start]);
}

#[test]
fn a_child_that_will_not_become_the_app_is_killed_and_its_end_tells_why() {
    let mut rig = Rig::becoming(LIMITS);
    assert_eq!(rig.sees(Event::NotBecome(libc::ENOENT)), KILL);
    assert_eq!(rig.sleeps(), None, "it has said all that it had to say");
    assert_eq!(rig.sees(Event::NotBecome(libc::EACCES)), []);
    assert_eq!(rig.sees(Event::Became), [], "who has failed has failed");
    assert_eq!(rig.leader(), Some(APP));
    let ended = Event::LeaderEnded(Ended::Signal(libc::SIGKILL), 0);
    assert_eq!(rig.sees(ended), [Action::Tell(ToKeeper::NotStarted(libc::ENOENT))]);
    assert_eq!(rig.sees(Event::Start), [Action::Start]);
}

#[test]
fn a_child_that_is_late_is_killed() {
    let mut rig = Rig::becoming(LIMITS);
    assert_eq!(rig.sleeps(), Some(LIMITS.birth));
    assert_eq!(rig.passes(LIMITS.birth - ms(1)), []);
    assert_eq!(rig.sleeps(), Some(ms(1)));
    assert_eq!(rig.passes(ms(1)), KILL);
    assert_eq!((rig.passes(LIMITS.birth), rig.sleeps()), (vec![], None), "once");
    assert_eq!(
        rig.sees(Event::LeaderEnded(Ended::Signal(libc::SIGKILL), 0)),
        [Action::Tell(ToKeeper::NotStarted(libc::ETIME))]
    );
}

#[test]
fn a_child_that_died_before_it_said_anything_has_not_failed() {
    let mut rig = Rig::becoming(LIMITS);
    assert_eq!(
        rig.sees(Event::LeaderEnded(Ended::Signal(libc::SIGSEGV), 0)),
        [Action::Tell(ToKeeper::Signaled { number: libc::SIGSEGV, left: 0 })]
    );
}

#[test]
fn the_app_is_told_once_and_has_no_limit_of_time() {
    let mut rig = Rig::led(LIMITS);
    assert_eq!((rig.sees(Event::Became), rig.sees(Event::NotBecome(2))), (vec![], vec![]));
    assert_eq!((rig.passes(LIMITS.birth * 2), rig.sleeps()), (vec![], None));
}

/// No terminal's job yet: nobody would continue it.
#[test]
fn a_child_that_is_stopped_goes_on_unless_somebody_wished_it() {
    let mut failed = Rig::becoming(LIMITS);
    failed.sees(Event::NotBecome(libc::ENOENT));
    for mut rig in [Rig::becoming(LIMITS), failed] {
        for number in [libc::SIGTSTP, libc::SIGTTOU] {
            assert_eq!(rig.sees(Event::Stopped(APP, number)), [plain(To::Leader(APP), libc::SIGCONT)]);
            assert_eq!(rig.sees(Event::Stopped(APP + 1, number)), []);
        }
        assert_eq!(rig.sees(Event::Stopped(APP, libc::SIGSTOP)), []);
    }
}

#[test]
fn a_child_that_nobody_wanted_is_no_app() {
    let mut rig = Rig::new(LIMITS);
    assert_eq!((rig.sees(Event::Born(APP)), rig.leader()), (vec![], None));
    let mut rig = Rig::led(LIMITS);
    assert_eq!((rig.sees(Event::Born(APP + 1)), rig.leader()), (vec![], Some(APP)));
}

/// It was not there to be asked.
#[test]
fn a_child_that_is_born_into_an_end_is_killed() {
    for (gone, is_asked) in [(Event::KeeperGone, true), (Event::LitestreamGone, false)] {
        let mut rig = Rig::new(LIMITS);
        rig.sees(Event::Start);
        rig.sees(gone);
        assert_eq!(rig.sleeps() == Some(LIMITS.grace), is_asked);
        assert_eq!(rig.sees(Event::Born(APP)), []);
        assert_eq!(rig.passes(ms(0)), [Action::KillTree, Action::Reap], "{gone:?}");
    }
}
