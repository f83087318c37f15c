//! The table of stages.

use crate::shim::stage::Stage;

#[test]
fn the_end_is_the_end_and_needs_the_keepers_word_or_a_dead_litestream_or_a_drain() {
    for stage in Stage::ALL {
        assert!(!Stage::Over.may_become(stage), "{stage:?}");
        assert_eq!(
            stage.may_become(Stage::Over),
            stage != Stage::Over && stage != Stage::WithoutKeeper,
            "{stage:?}"
        );
    }
}

#[test]
fn nobody_comes_back() {
    for from in Stage::ALL {
        for to in Stage::ALL.into_iter().filter(|to| from.may_become(*to)) {
            assert!(from.has_keeper() || !to.has_keeper(), "{from:?} to {to:?}");
            assert!(from.has_litestream() || !to.has_litestream(), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn who_is_there_is_what_a_stage_says() {
    let there = Stage::ALL.map(|stage| (stage.has_keeper(), stage.has_litestream()));
    let (yes, no) = (true, false);
    assert_eq!(there, [(yes, yes), (no, yes), (yes, no), (no, no), (no, yes), (no, no)]);
}

#[test]
fn wrong_transitions_are_refused() {
    use Stage::*;
    for (from, to) in [
        (Serving, Serving),
        (Serving, WithoutBoth),
        (WithoutKeeper, Over),
        (WithoutKeeper, WithoutLitestream),
        (WithoutLitestream, WithoutKeeper),
        (WithoutLitestream, Draining),
        (WithoutBoth, Draining),
        (Draining, WithoutBoth),
        (Draining, Serving),
    ] {
        assert!(!from.may_become(to), "{from:?} to {to:?}");
    }
}
