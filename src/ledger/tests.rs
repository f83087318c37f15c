//! A database, and a Litestream that copies what it is told to.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::answer::{Answer, FileState, Task};
use super::command::{BOUNDS, Bounds, answer};
use crate::litestream::database::with_suffix;
use crate::litestream::ltx;
use crate::sqlite::wal::{self, Run};

struct Case {
    _folder: tempfile::TempDir,
    path: PathBuf,
    meta: PathBuf,
    database: Connection,
    page_size: u32,
    txid: u64,
    /// The salt and end of what was copied last, and how many pages there were.
    copied: ([u8; 8], u64, u32),
    bounds: Bounds,
}

fn open(path: &std::path::Path) -> Connection {
    let database = Connection::open(path).unwrap();
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    database.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    database
}

impl Case {
    fn new(page_size: u32) -> Self {
        Self::new_with(page_size, "NONE")
    }

    fn new_with(page_size: u32, vacuum: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let meta = folder.path().join(".a.db-litestream");
        fs::create_dir_all(ltx::folder(&meta)).unwrap();
        let database = open(&path);
        database
            .execute_batch(&format!(
                "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {vacuum}; PRAGMA journal_mode = WAL;
                 CREATE TABLE t (x); CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
                 INSERT INTO _litestream_seq VALUES (1, 1)"
            ))
            .unwrap();
        let mut case = Self {
            _folder: folder,
            path,
            meta,
            database,
            page_size,
            txid: 0,
            copied: ([0; 8], 0, 0),
            bounds: BOUNDS,
        };
        case.insert(10);
        case.copy_whole();
        case
    }

    fn insert(&self, rows: usize) {
        for _ in 0..rows {
            self.database.execute("INSERT INTO t VALUES (hex(randomblob(400)))", []).unwrap();
        }
    }

    fn update(&self) {
        self.database.execute("UPDATE t SET x = hex(randomblob(400)) WHERE rowid = 1", []).unwrap();
    }

    /// As Litestream's own: the next commit begins the WAL anew.
    fn checkpoint(&self) {
        let (busy, log, done): (i64, i64, i64) = self
            .database
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!((busy, log), (0, done));
        self.database.execute("UPDATE _litestream_seq SET seq = seq + 1", []).unwrap();
    }

    /// All frames of the WAL up to the end, whatever the index says of them.
    fn frames(&self) -> (Run, Vec<wal::Frame>) {
        let run = Run::open(&self.path).unwrap().unwrap();
        let frames = run.frames(wal::HEADER).unwrap();
        (run, frames)
    }

    /// Copies what the WAL has behind the last copy.
    fn copy(&mut self) {
        let (run, frames) = self.frames();
        let (salt, end, before) = self.copied;
        let start = if salt == run.header.salt { end } else { wal::HEADER };
        let new: Vec<_> = frames.iter().filter(|frame| frame.content >= start).collect();
        let Some(last) = new.last() else { return };
        let mut pages = BTreeMap::new();
        for frame in &new {
            let mut page = vec![0; self.page_size as usize];
            assert!(run.read(frame.content, &mut page).unwrap());
            pages.insert(frame.page, page);
        }
        let commit = new.iter().rfind(|frame| frame.commit > 0).unwrap().commit;
        for grown in before + 1..=commit {
            pages.entry(grown).or_insert_with(|| self.page(grown));
        }
        // `pageMap` in Litestream's wal_reader.go: a vacuum leaves frames of pages that are gone.
        pages.retain(|number, _| *number <= commit);
        let end = last.content + u64::from(self.page_size);
        self.write(commit, pages, start..end, run.header.salt);
    }

    fn copy_whole(&mut self) {
        let (run, frames) = self.frames();
        let last = frames.last().unwrap();
        let commit = frames.iter().rfind(|frame| frame.commit > 0).unwrap().commit;
        let mut pages: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for number in 1..=commit {
            pages.insert(number, self.page(number));
        }
        for frame in &frames {
            let mut page = vec![0; self.page_size as usize];
            assert!(run.read(frame.content, &mut page).unwrap());
            pages.insert(frame.page, page);
        }
        pages.retain(|number, _| *number <= commit);
        let end = last.content + u64::from(self.page_size);
        self.write(commit, pages, wal::HEADER..end, run.header.salt);
    }

    /// Changes what the file has of a page that no frame of the log has, as a disk does; whether there is one.
    fn damage(&self, nth: usize) -> bool {
        let (run, frames) = self.frames();
        let size = u64::from(self.page_size);
        let file = fs::File::options().read(true).write(true).open(&self.path).unwrap();
        let pages = (file.metadata().unwrap().len() / size).min(u64::from(self.copied.2)) as u32;
        let unlogged: Vec<u32> =
            (2..=pages).filter(|page| frames.iter().all(|frame| frame.page != *page)).collect();
        drop(run);
        let Some(page) = unlogged.get(nth % unlogged.len().max(1)) else { return false };
        let at = u64::from(page - 1) * size + size / 2;
        let mut bytes = [0; 16];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, at).unwrap();
        let times = file.metadata().unwrap().modified().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes.map(|byte| byte ^ 0x5a), at).unwrap();
        file.set_modified(times).unwrap();
        true
    }

    fn page(&self, number: u32) -> Vec<u8> {
        let size = self.page_size as usize;
        let file = fs::read(&self.path).unwrap();
        let at = (number as usize - 1) * size;
        file.get(at..at + size).map_or_else(|| vec![0; size], <[u8]>::to_vec)
    }

    fn write(
        &mut self,
        commit: u32,
        pages: BTreeMap<u32, Vec<u8>>,
        piece: std::ops::Range<u64>,
        salt: [u8; 8],
    ) {
        self.txid += 1;
        let mut bytes = vec![0; 100];
        bytes[..4].copy_from_slice(b"LTX1");
        bytes[8..12].copy_from_slice(&self.page_size.to_be_bytes());
        bytes[12..16].copy_from_slice(&commit.to_be_bytes());
        bytes[32..40].copy_from_slice(&(1000 + self.txid).to_be_bytes());
        bytes[48..56].copy_from_slice(&piece.start.to_be_bytes());
        bytes[56..64].copy_from_slice(&(piece.end - piece.start).to_be_bytes());
        bytes[64..72].copy_from_slice(&salt);
        let mut list = Vec::new();
        let number = |list: &mut Vec<u8>, mut number: u64| {
            while number >= 0x80 {
                list.push(number as u8 | 0x80);
                number >>= 7;
            }
            list.push(number as u8);
        };
        for (page, content) in pages {
            let at = bytes.len() as u64;
            let packed = lz4_flex::block::compress(&content);
            bytes.extend(page.to_be_bytes());
            bytes.extend(1_u16.to_be_bytes());
            bytes.extend((packed.len() as u32).to_be_bytes());
            bytes.extend(packed);
            number(&mut list, page.into());
            number(&mut list, at);
            number(&mut list, bytes.len() as u64 - at);
        }
        list.push(0);
        bytes.extend(&list);
        bytes.extend((list.len() as u64).to_be_bytes());
        bytes.extend([0; 16]);
        fs::write(ltx::folder(&self.meta).join(ltx::name(self.txid)), bytes).unwrap();
        self.copied = (salt, piece.end, commit);
    }

    fn ask(&self, task: Task) -> Answer {
        answer(self.bounds, task, Duration::from_secs(10), &self.path, &self.meta).unwrap()
    }

    /// Whether a restore of what was copied gives what the database has, page by page.
    fn restores(&self) -> bool {
        let mut pages = BTreeMap::new();
        let mut commit = 0;
        for txid in 1..=self.txid {
            let Ok(Some(ltx)) = ltx::Ltx::open(&ltx::folder(&self.meta).join(ltx::name(txid))) else {
                continue;
            };
            for page in ltx.pages().unwrap() {
                let mut content = vec![0; self.page_size as usize];
                ltx.read(&page, &mut content).unwrap();
                pages.insert(page.number, content);
            }
            commit = ltx.commit;
        }
        pages.retain(|number, _| *number <= commit);
        let restored: Vec<u8> = pages.into_values().flatten().collect();
        let copy = self.path.with_file_name("restored.db");
        for suffix in ["", "-wal"] {
            fs::copy(with_suffix(&self.path, suffix), with_suffix(&copy, suffix)).unwrap();
        }
        // Only what the index counts is in the database: the copy has none, and would count all.
        let wal::State::Made(index) = wal::index(&self.path).unwrap() else { panic!() };
        fs::File::options().write(true).open(with_suffix(&copy, "-wal")).unwrap().set_len(index.end).unwrap();
        let database = Connection::open(&copy).unwrap();
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        fs::read(&copy).unwrap() == restored
    }

    #[track_caller]
    fn assert_same(&self) {
        for task in [Task::Look, Task::All, Task::Last, Task::Background] {
            assert_eq!(self.ask(task), Answer::Equal { due: false }, "{task:?}");
        }
    }

    #[track_caller]
    fn assert_diverged(&self) {
        for task in [Task::Look, Task::All, Task::Last, Task::Background] {
            let answer = self.ask(task);
            assert!(matches!(answer, Answer::Diverged { .. }), "{task:?}: {answer:?}");
        }
    }

    fn freshness(&self) -> FileState {
        match self.ask(Task::Inspect) {
            Answer::Stands(freshness) => freshness,
            other => panic!("{other:?}"),
        }
    }

    /// Adds rows whose commit got no further than to the log, and copies them; then the next one begins the
    /// log anew, as Litestream itself sees to.
    fn orphan(&mut self, rows: usize) {
        let index = fs::read(with_suffix(&self.path, "-shm")).unwrap();
        self.database.execute_batch("BEGIN").unwrap();
        self.insert(rows);
        self.database.execute_batch("COMMIT").unwrap();
        self.copy();
        let file = fs::File::options().write(true).open(with_suffix(&self.path, "-shm")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &index[..136], 0).unwrap();
    }
}

const SIZES: [u32; 3] = [512, 4096, 65536];

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
