//! The app ends: restart policies, backoff, limit, the terminal, what it leaves.

use std::time::Duration;

use super::plan::{Fault, Plan, ms, policy, secs};
use super::world::World;
use crate::core::{Action, Cause, Ended, ExitCode, Note, Phase, Policy, Restart};

fn lives(times: usize, life: Duration, how: Ended) -> Plan {
    Plan { lives: vec![(life, how); times].into(), ..Plan::default() }
}

#[test]
fn a_crash_restarts_the_app_and_leaves_litestream_alone() {
    let mut world = World::new(policy(), lives(1, secs(40), Ended::Signal(11)));
    world.until(Phase::Backoff).until(Phase::Running);
    assert_eq!(world.did(&Action::Launch), 1);
    let crash = secs(40);
    let restart = world.times(&Action::StartApp)[1] - world.times(&Action::StartApp)[0] - crash;
    assert!(restart >= ms(100) && restart < ms(150), "{restart:?}");
    assert_eq!(world.did(&Action::Ready(false)), 1);
    assert_eq!(world.did(&Action::Ready(true)), 2);
}

#[test]
fn the_restart_policy_decides() {
    let zero = Ended::Code(0);
    let one = Ended::Code(1);
    let cases = [
        (Restart::Never, one, false),
        (Restart::Never, zero, false),
        (Restart::OnFailure, zero, false),
        (Restart::OnFailure, one, true),
        (Restart::OnFailure, Ended::Signal(15), true),
        (Restart::Always, zero, true),
        (Restart::Always, one, true),
    ];
    for (restart, how, again) in cases {
        let mut world = World::new(Policy { restart, ..policy() }, lives(1, secs(1), how));
        if again {
            world.until(Phase::Backoff).until(Phase::Running);
        } else {
            assert_eq!(world.end(), how.exit_code().get(), "{restart:?} {how:?}");
        }
        assert_eq!(world.did(&Action::StartApp), 1 + usize::from(again), "{restart:?} {how:?}");
    }
}

#[test]
fn a_crash_loop_backs_off_and_gives_up_with_the_apps_code() {
    let mut world = World::new(policy(), lives(20, ms(50), Ended::Code(3)));
    assert_eq!(world.end(), 3);
    let starts = world.times(&Action::StartApp);
    assert_eq!(starts.len(), 11, "the first and ten restarts");
    let gaps: Vec<Duration> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.windows(2).all(|pair| pair[0] < pair[1] || pair[1] >= secs(30)), "{gaps:?}");
    assert_eq!(world.noted(Note::AppGivenUp(Ended::Code(3))), 1);
    assert_eq!(world.noted(Note::Drained), 1);
}

#[test]
fn a_long_life_starts_the_backoff_anew() {
    let mut world = World::new(policy(), lives(40, secs(31), Ended::Code(1)));
    world.pass(secs(40 * 32));
    let starts = world.times(&Action::StartApp);
    assert_eq!(starts.len(), 41, "it never gives up");
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] < secs(31) + ms(150)));
}

#[test]
fn ctrl_c_in_a_terminal_is_a_stop() {
    for (terminal, how, again) in [
        (true, Ended::Code(130), false),
        (true, Ended::Signal(2), false),
        (true, Ended::Code(1), true),
        (false, Ended::Code(130), true),
    ] {
        let mut world = World::new(Policy { terminal, ..policy() }, lives(1, secs(1), how));
        world.until_true("the app's end", |world| matches!(world.phase(), Phase::Backoff | Phase::Closing));
        assert_eq!(world.phase() == Phase::Backoff, again, "{terminal} {how:?}");
    }
}

#[test]
fn what_a_crash_leaves_is_killed_before_the_next_start() {
    let mut world = World::new(policy(), Plan { leaves: true, ..lives(1, secs(1), Ended::Code(1)) });
    world.until(Phase::Backoff).until(Phase::Running).pass(secs(10));
    assert_eq!(world.did(&Action::KillTree), 1);
    assert_eq!(world.did(&Action::StartApp), 2);
}

#[test]
fn what_the_app_leaves_at_its_end_gets_the_signal_and_its_time() {
    for (leftovers_stop, kills) in [(Some(ms(500)), 0), (None, 1)] {
        let plan = Plan { leaves: true, leftovers_stop, ..lives(1, secs(1), Ended::Code(0)) };
        let mut world = World::new(policy(), plan);
        assert_eq!(world.end(), 0);
        assert_eq!(world.did(&Action::SignalTree(15)), 1);
        assert_eq!(world.did(&Action::KillTree), kills);
        assert_eq!(world.noted(Note::LeftBehind(1, Ended::Code(0))), 1);
    }
}

#[test]
fn the_end_says_whose_code_it_is() {
    let code = ExitCode::UNAVAILABLE;
    let how = Ended::Code(code.get());
    let mut world = World::new(Policy { restart: Restart::Never, ..policy() }, lives(1, secs(1), how));
    assert_eq!(world.end(), code.get());
    assert_eq!(world.did(&Action::Exit(code, Cause::App)), 1);
}

#[test]
fn what_is_left_is_told_of_an_end_that_nobody_asked_for() {
    let mut world = World::new(policy(), Plan { leaves: true, ..lives(1, secs(1), Ended::Code(1)) });
    world.until(Phase::Backoff).until(Phase::Running).suffer(Fault::Stop(15));
    world.end();
    assert_eq!(world.noted(Note::LeftBehind(1, Ended::Code(1))), 1);
    let told = world.count(|action| matches!(action, Action::Note(Note::LeftBehind(..))));
    assert_eq!(told, 1, "a stop leaves some as well");
}

#[test]
fn other_signals_reach_the_app_and_nobody_else() {
    let mut world = World::new(policy(), Plan::default());
    world.suffer(Fault::Signal(1));
    world.until(Phase::Running).suffer(Fault::Signal(10));
    world.pass(secs(1)).suffer(Fault::Stop(2));
    world.end();
    assert_eq!(world.did(&Action::SignalApp(1)), 0, "there was no app");
    assert_eq!(world.did(&Action::SignalApp(10)), 1);
    assert_eq!(world.did(&Action::SignalApp(15)), 1, "the stop signal, whichever came");
}
