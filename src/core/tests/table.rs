//! The table of transitions.

use crate::core::Phase;

#[test]
fn the_end_is_the_end_and_never_passes_over_a_living_app() {
    for phase in Phase::ALL {
        assert!(!Phase::Exited.may_become(phase));
        let ends = !matches!(phase, Phase::Before | Phase::Running | Phase::Exited);
        assert_eq!(phase.may_become(Phase::Exited), ends, "{phase:?}");
    }
}

#[test]
fn the_app_starts_only_behind_the_gate_and_comes_back_only_to_a_living_litestream() {
    let before = |next: Phase| Phase::ALL.into_iter().filter(move |phase| phase.may_become(next));
    let running: Vec<Phase> = before(Phase::Running).collect();
    assert_eq!(running, [Phase::Gating, Phase::Backoff]);
    let gating: Vec<Phase> = before(Phase::Gating).collect();
    assert_eq!(gating, [Phase::Launching, Phase::Before]);
}

#[test]
fn nothing_but_a_teardown_leaves_a_running_app() {
    let next: Vec<Phase> = Phase::ALL.into_iter().filter(|next| Phase::Running.may_become(*next)).collect();
    assert_eq!(next, [Phase::Stopping]);
}

#[test]
fn wrong_transitions_are_refused() {
    use Phase::*;
    for (from, to) in [
        (Preparing, Running),
        (Preparing, Gating),
        (Restoring, Gating),
        (Launching, Running),
        (Launching, Stopping),
        (Running, Draining),
        (Running, Closing),
        (Running, Launching),
        (Stopping, Running),
        (Draining, Running),
        (Draining, Stopping),
        (Closing, Running),
        (Closing, Draining),
        (Backoff, Gating),
        (Backoff, Stopping),
    ] {
        assert!(!from.may_become(to), "{from:?} to {to:?}");
    }
}
