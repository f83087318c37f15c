//! Any order of what may happen.

use super::super::answer::{Answer, Task};
use super::super::look::Bounds;
use super::case::{Case, SIZES};

/// What may happen to a database, in any order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(usize),
    Update,
    Delete,
    Vacuum,
    Copy,
    CopyWhole,
    Checkpoint,
    Orphan(usize),
    Ask(Task),
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    use proptest::prelude::*;
    prop_oneof![
        4 => (1_usize..40).prop_map(Step::Insert),
        3 => Just(Step::Update),
        1 => Just(Step::Delete),
        1 => Just(Step::Vacuum),
        6 => Just(Step::Copy),
        1 => Just(Step::CopyWhole),
        3 => Just(Step::Checkpoint),
        2 => (1_usize..30).prop_map(Step::Orphan),
        4 => proptest::sample::select(&[Task::Look, Task::All, Task::Last, Task::Background][..]).prop_map(Step::Ask),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(60))]

    /// The rule: the answer is "equal" if a restore gives the database, page by page, and only then.
    #[test]
    fn equal_means_that_a_restore_is_the_database(
        size in proptest::sample::select(&SIZES[..]),
        vacuum in proptest::sample::select(&["NONE", "FULL", "INCREMENTAL"][..]),
        is_large in proptest::bool::ANY,
        damaged in proptest::option::of(0_usize..1000),
        steps in proptest::collection::vec(step(), 1..25),
    ) {
        let mut case = Case::new_with(size, vacuum);
        case.assert_same();
        if is_large {
            case.bounds = Bounds { cheap: 0, moderate: 0 };
        }
        for step in steps {
            match step {
                Step::Insert(rows) => case.insert(rows),
                Step::Update => case.update(),
                Step::Delete => {
                    case.database.execute("DELETE FROM t WHERE rowid % 3 > 0", []).unwrap();
                }
                Step::Vacuum => case.database.execute_batch("VACUUM").unwrap(),
                Step::Copy => case.copy(),
                Step::CopyWhole => case.copy_whole(),
                Step::Checkpoint => case.checkpoint(),
                Step::Orphan(rows) => case.orphan(rows),
                Step::Ask(task) => {
                    case.ask(task);
                }
            }
        }
        // What the index does not count yet is counted by the first question.
        case.ask(Task::Look);
        case.copy();
        let restores = case.restores();
        match case.ask(Task::Look) {
            Answer::Equal { due } => proptest::prop_assert!(restores || due && is_large),
            answer => proptest::prop_assert!(!restores, "{:?}", answer),
        }
        let answer = case.ask(Task::All);
        proptest::prop_assert_eq!(matches!(answer, Answer::Equal { .. }), restores, "{:?}", answer);
        // Whatever was proved before.
        let restores = restores && !damaged.is_some_and(|page| case.damage(page));
        let answer = case.ask(Task::Last);
        proptest::prop_assert_eq!(matches!(answer, Answer::Equal { .. }), restores, "{:?}", answer);
        proptest::prop_assert_eq!(case.ask(Task::Background) == Answer::Equal { due: false }, restores);
        // As the keeper sees to it before Litestream copies all.
        case.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        case.database.execute("UPDATE _litestream_seq SET seq = seq + 1", []).unwrap();
        case.copy_whole();
        case.assert_same();
        proptest::prop_assert!(case.restores());
    }
}
