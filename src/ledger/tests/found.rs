//! What is found at a start in the place of what was left.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use super::super::answer::{Answer, FileState, Task};
use super::super::command::answer;
use super::super::look::Bounds;
use super::case::{Case, open};
use crate::litestream::database::with_suffix;

/// A copy of the database as it is, without its log.
fn saved(case: &Case) -> PathBuf {
    let copy = case.path.with_file_name("copy.db");
    case.database.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    copy
}

/// As it is in the file after all is checkpointed.
fn saved_file(case: &Case) -> PathBuf {
    let copy = case.path.with_file_name("copy.db");
    case.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    fs::copy(&case.path, &copy).unwrap();
    copy
}

fn put_back(case: &Case, copy: &std::path::Path, in_place: bool) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(with_suffix(&case.path, suffix));
    }
    if in_place {
        fs::write(&case.path, fs::read(copy).unwrap()).unwrap();
    } else {
        fs::rename(copy, &case.path).unwrap();
    }
}

/// A database that was left in order, with a copy of an earlier time.
fn left(with_checkpoint: bool, copy: fn(&Case) -> PathBuf) -> (Case, PathBuf) {
    let mut case = Case::new(4096);
    case.assert_same();
    let copy = copy(&case);
    case.insert(20);
    case.update();
    case.copy();
    case.assert_same();
    if with_checkpoint {
        case.checkpoint();
        case.copy();
        case.assert_same();
    }
    case.database = Connection::open_in_memory().unwrap();
    assert_eq!(case.ask(Task::Leave), Answer::Equal { due: false });
    (case, copy)
}

#[test]
fn an_older_copy_is_told_however_it_came_there() {
    for with_checkpoint in [false, true] {
        for in_place in [false, true] {
            let (case, copy) = left(with_checkpoint, saved_file);
            put_back(&case, &copy, in_place);
            let freshness = case.freshness();
            assert!(matches!(freshness, FileState::Older(_)), "{with_checkpoint} {in_place}: {freshness:?}");
            assert_eq!(case.freshness(), freshness, "it stays so");
        }
    }
}

#[test]
fn what_was_written_without_litestream_is_told_from_an_older_copy() {
    let (case, _) = left(false, saved);
    let database = Connection::open(&case.path).unwrap();
    database.execute("UPDATE t SET x = 'by hand' WHERE rowid = 3", []).unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(database);
    let freshness = case.freshness();
    assert!(matches!(freshness, FileState::Written { .. }), "{freshness:?}");
}

#[test]
fn an_older_copy_that_was_written_to_is_another_file() {
    let (case, copy) = left(true, saved_file);
    put_back(&case, &copy, false);
    let database = Connection::open(&case.path).unwrap();
    database.execute("UPDATE t SET x = 'by hand' WHERE rowid = 3", []).unwrap();
    drop(database);
    let freshness = case.freshness();
    assert!(matches!(freshness, FileState::Other { .. }), "{freshness:?}");
}

#[test]
fn a_new_database_in_the_place_of_one_that_was_left_is_another_file() {
    let (case, copy) = left(true, saved_file);
    fs::remove_file(&copy).unwrap();
    let database = Connection::open(&copy).unwrap();
    database.execute_batch("CREATE TABLE other (x); INSERT INTO other VALUES (1)").unwrap();
    drop(database);
    for in_place in [true, false] {
        put_back(&case, &copy, in_place);
        let freshness = case.freshness();
        assert!(matches!(freshness, FileState::Other { .. }), "{freshness:?}");
    }
}

#[test]
fn after_a_crash_the_same_file_is_never_refused() {
    let mut case = Case::new(4096);
    case.assert_same();
    case.orphan(90);
    case.checkpoint();
    case.update();
    case.copy();
    assert!(!case.restores());
    let freshness = case.freshness();
    assert!(matches!(freshness, FileState::Diverged { .. }), "{freshness:?}");
}

/// What the disk does while nobody runs shows in no time and no size.
#[test]
fn bytes_that_changed_while_nobody_ran_are_found() {
    let (mut case, _) = left(true, saved);
    let FileState::Current = case.freshness() else { panic!() };
    assert!(case.damage(3));
    let freshness = case.freshness();
    assert!(matches!(freshness, FileState::Damaged { pages: 1, .. }), "{freshness:?}");
    // A large one is compared once the app is up, and no proof of an earlier run counts until then.
    case.bounds = Bounds { cheap: 0, moderate: 0 };
    assert_eq!(case.freshness(), FileState::Current);
    for task in [Task::Last, Task::Background] {
        let answer = case.ask(task);
        assert!(matches!(answer, Answer::Diverged { .. }), "{task:?}: {answer:?}");
    }
}

#[test]
fn a_start_proves_nothing_of_a_large_file_and_the_background_does() {
    let (mut case, _) = left(true, saved);
    case.bounds = Bounds { cheap: 0, moderate: 0 };
    assert_eq!(case.ask(Task::Look), Answer::Equal { due: false }, "as the end left it");
    case.ask(Task::Leave);
    assert_eq!(case.freshness(), FileState::Current);
    assert_eq!(case.ask(Task::Look), Answer::Equal { due: true });
    assert_eq!(case.ask(Task::Background), Answer::Equal { due: false });
    assert_eq!(case.ask(Task::Look), Answer::Equal { due: false });
}

#[test]
fn an_end_without_the_time_confirms_only_what_was_proved_in_this_run() {
    let (mut case, _) = left(true, saved);
    case.bounds = Bounds { cheap: 0, moderate: 0 };
    // Enough pages that the clock is looked at.
    case.database = open(&case.path);
    case.insert(1500);
    case.copy();
    case.checkpoint();
    case.copy();
    let last = |case: &Case| answer(case.bounds, Task::Last, Duration::ZERO, &case.path, &case.meta).unwrap();
    assert!(matches!(last(&case), Answer::Unfinished(_)), "the log has begun anew");
    case.assert_same();
    assert_eq!(last(&case), Answer::Equal { due: false });
}

#[test]
fn a_page_that_is_not_readable_any_more_is_told_before_it_is_copied() {
    for keeps_time in [true, false] {
        let (case, _) = left(true, saved_file);
        assert!(matches!(case.ask(Task::Check), Answer::Whole));
        let file = fs::File::options().write(true).open(&case.path).unwrap();
        let times = file.metadata().unwrap().modified().unwrap();
        // A leaf of the table that no frame of the log has.
        let leaf = (4..).find(|page| case.frames().1.iter().all(|frame| frame.page != *page)).unwrap();
        let at = u64::from(leaf - 1) * 4096;
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 4096], at).unwrap();
        if keeps_time {
            file.set_modified(times).unwrap();
        }
        let freshness = case.freshness();
        assert!(matches!(freshness, FileState::Malformed { .. }), "{keeps_time}: {freshness:?}");
        assert!(matches!(case.ask(Task::Check), Answer::Malformed(_)));
    }
}
