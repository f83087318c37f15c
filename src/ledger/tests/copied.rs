//! What Litestream copied, and what it missed.

use std::fs;

use super::super::answer::{Answer, FileState, Task};
use super::case::{Case, SIZES};
use crate::litestream::ltx;

#[test]
fn what_is_copied_in_order_is_the_same() {
    for size in SIZES {
        let mut case = Case::new(size);
        case.assert_same();
        for round in 0..5 {
            case.insert(30);
            if round % 2 == 0 {
                case.copy();
            }
            case.assert_same();
            case.copy();
            case.checkpoint();
            case.assert_same();
            case.copy();
            case.update();
            case.assert_same();
        }
        case.database.execute("DELETE FROM t WHERE rowid % 3 > 0", []).unwrap();
        case.copy();
        case.database.execute_batch("VACUUM").unwrap();
        case.assert_same();
        case.copy();
        case.assert_same();
        case.checkpoint();
        case.copy();
        case.assert_same();
        assert_eq!(case.ask(Task::Leave), Answer::Equal { due: false });
        assert_eq!(case.freshness(), FileState::Current);
    }
}

#[test]
fn what_was_checkpointed_before_it_was_copied_is_missed() {
    for size in SIZES {
        let mut case = Case::new(size);
        case.assert_same();
        case.insert(20);
        // Nobody reads, so the log begins anew.
        case.checkpoint();
        case.copy();
        assert!(!case.restores());
        case.assert_diverged();
        case.copy_whole();
        case.assert_same();
    }
}

#[test]
fn an_orphan_counts_as_long_as_nobody_has_written_over_it() {
    for (size, rows) in SIZES.into_iter().flat_map(|size| [(size, 1), (size, 90)]) {
        let mut case = Case::new(size);
        case.assert_same();
        case.orphan(rows);
        case.assert_same();
        let found: isize = case.database.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(found, 10 + rows as isize);
    }
}

#[test]
fn an_orphan_that_is_passed_over_is_found_whenever_the_log_begins_anew() {
    let mut missed = 0;
    for (size, rows) in SIZES.into_iter().flat_map(|size| [(size, 1), (size, 90)]) {
        for later in [0, 3] {
            let mut case = Case::new(size);
            case.assert_same();
            case.orphan(rows);
            case.checkpoint();
            case.copy();
            for _ in 0..later {
                case.update();
                case.copy();
            }
            // With pages that large one row may have replaced all that was wrong.
            if case.restores() {
                case.assert_same();
            } else {
                missed += 1;
                case.assert_diverged();
            }
            case.copy_whole();
            case.assert_same();
            assert!(case.restores());
        }
    }
    assert!(missed >= 10, "{missed} of 12");
}

#[test]
fn files_that_are_gone_are_missed_only_if_nobody_took_them_in() {
    let mut case = Case::new(4096);
    case.assert_same();
    for file in fs::read_dir(ltx::folder(&case.meta)).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    case.insert(1);
    case.copy();
    case.assert_same();
    case.insert(1);
    case.copy();
    fs::remove_file(ltx::folder(&case.meta).join(ltx::name(case.txid))).unwrap();
    case.insert(1);
    case.copy();
    fs::remove_file(ltx::folder(&case.meta).join(ltx::name(case.txid - 2))).unwrap();
    assert_eq!(case.ask(Task::Look), Answer::Unfounded);
    assert_eq!(case.freshness(), FileState::Unfounded);
    case.copy_whole();
    case.assert_same();
    fs::remove_dir_all(ltx::folder(&case.meta)).unwrap();
    assert_eq!(case.ask(Task::All), Answer::New);
}

/// Three bits of it make billions of pages.
#[test]
fn a_number_of_pages_that_is_broken_is_told_at_once() {
    let mut case = Case::new(512);
    case.insert(10);
    case.copy();
    let last = ltx::folder(&case.meta).join(ltx::name(case.txid));
    let mut bytes = fs::read(&last).unwrap();
    bytes[12] ^= 0xe0;
    fs::write(&last, bytes).unwrap();
    case.assert_diverged();
}

#[test]
fn pages_of_another_size_behind_those_of_a_backup_are_no_copy() {
    for is_known in [true, false] {
        let mut case = Case::new(4096);
        if is_known {
            assert!(matches!(case.ask(Task::Look), Answer::Equal { .. }));
        } else {
            case.insert(1);
            case.copy();
        }
        let script =
            "PRAGMA journal_mode = DELETE; PRAGMA page_size = 8192; VACUUM; PRAGMA journal_mode = WAL";
        case.database.execute_batch(script).unwrap();
        case.page_size = 8192;
        case.update();
        assert_eq!(
            case.ask(Task::Inspect),
            Answer::Stands(FileState::Resized { was: 4096, now: 8192, other: None })
        );
        assert_eq!(case.ask(Task::All), Answer::Resized { was: 4096, now: 8192 });
        if !is_known {
            // As Litestream fetches it of its replica: without what was before.
            fs::remove_file(ltx::folder(&case.meta).join(ltx::name(1))).unwrap();
        }
        // All of it, and no restore gets there.
        case.copy_whole();
        for task in [Task::Look, Task::Last, Task::Background, Task::Leave] {
            let Answer::Broken(why) = case.ask(task) else { panic!("{task:?}") };
            assert!(why.contains("another size than those of the backup (8192 bytes, not 4096)"), "{why}");
        }
        // Once the older ones are gone, too.
        fs::remove_file(ltx::folder(&case.meta).join(ltx::name(case.txid - 1))).unwrap();
        if is_known {
            assert!(matches!(case.ask(Task::Look), Answer::Broken(_)));
        }
    }
}
