//! The log and its index as SQLite itself makes them, and as others may.

use std::path::PathBuf;

use rusqlite::Connection;

use super::*;

fn database() -> (tempfile::TempDir, PathBuf, Connection) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.db");
    let database = Connection::open(&path).expect("a database");
    database.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").expect("a table");
    (folder, path, database)
}

fn count(database: &Connection) -> i64 {
    database.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("a table")
}

/// Adds a row whose commit got no further than to the log.
fn orphan(path: &Path, database: &Connection) {
    let index = beside(path, "-shm", true).expect("an index").expect("an index");
    let mut before = [0; INDEX_HEADER];
    index.read_exact_at(&mut before, 0).expect("a header");
    database.execute_batch("INSERT INTO t VALUES (1)").expect("a row");
    index.write_all_at(&before, 0).expect("ours");
    assert_eq!(count(database), 0);
}

fn made(path: &Path) -> Index {
    match settled_index(path).expect("ours") {
        State::Made(index) => index,
        state => panic!("{state:?}"),
    }
}

#[test]
fn the_index_says_how_far_the_log_reaches() {
    let (_folder, path, database) = database();
    let log = || beside(&path, "-wal", false).expect("a log").expect("a log");
    let first = made(&path);
    assert_eq!(log().metadata().expect("ours").len(), first.end);
    assert_eq!(header(&path).expect("ours"), Some(Header { page_size: 4096, salt: first.salt }));
    let run = Run::open(&path).expect("ours").expect("a WAL");
    assert_eq!(run.frames(first.end).expect("ours"), []);
    database.execute_batch("INSERT INTO t VALUES (1)").expect("a row");
    let second = made(&path);
    assert_eq!(second, Index { end: first.end + bytes_of(1, 4096), ..first });
    let frames = run.frames(HEADER).expect("ours");
    assert_eq!(frames.last().map(|frame| (frame.page, frame.commit)), Some((2, 2)));
    let mut page = [0; 4096];
    assert!(run.read(frames[0].content, &mut page).expect("ours") && page.starts_with(b"SQLite"));
    assert!(!run.read(second.end, &mut page).expect("ours"), "there is none");
    assert!(run.goes_on(&path).expect("ours"));
    database.execute_batch("BEGIN IMMEDIATE").expect("SQL");
    assert_eq!(settled_index(&path).expect("ours"), State::Unknown, "somebody writes");
    assert_eq!(index(&path).expect("ours"), State::Made(second));
}

#[test]
fn the_largest_page_has_a_size_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.db");
    let database = Connection::open(&path).expect("a database");
    let sql = "PRAGMA page_size = 65536; PRAGMA journal_mode = WAL; CREATE TABLE t (x)";
    database.execute_batch(sql).expect("a table");
    let index = made(&path);
    assert_eq!((index.end - HEADER) % bytes_of(1, 65536), 0);
    assert!(index.end > HEADER);
}

/// As SQLite itself takes them: neither log nor index.
#[test]
fn what_sqlite_does_not_believe_is_not_believed() {
    let (folder, _, database) = database();
    database.execute_batch("INSERT INTO t VALUES (1)").expect("a row");
    let file = |suffix: &str| folder.path().join(format!("a.db{suffix}"));
    let whole = [std::fs::read(file("-wal")).expect("a log"), std::fs::read(file("-shm")).expect("an index")];
    let other = folder.path().join("b.db");
    let write = |log: &[u8], index: &[u8]| {
        std::fs::write(&other, "").expect("a file");
        std::fs::write(folder.path().join("b.db-wal"), log).expect("a log");
        std::fs::write(folder.path().join("b.db-shm"), index).expect("an index");
    };
    write(&whole[0], &whole[1]);
    assert!(header(&other).expect("ours").is_some() && matches!(index(&other), Ok(State::Made(_))));
    let all = Run::open(&other).expect("ours").expect("a log").frames(HEADER).expect("ours").len();
    for at in 0..HEADER as usize {
        let mut log = whole[0].clone();
        log[at] ^= 0x40;
        write(&log, &whole[1]);
        assert_eq!(header(&other).expect("ours"), None, "byte {at} of the log");
    }
    for at in 0..INDEX_HEADER / 2 {
        let mut index = whole[1].clone();
        (index[at], index[INDEX_HEADER / 2 + at]) = (index[at] ^ 0x40, index[at] ^ 0x40);
        write(&whole[0], &index);
        assert_eq!(super::index(&other).expect("ours"), State::Unmade, "byte {at} of the index");
    }
    // A hole has a page 0 without end, with the same salt where that is made of zeros.
    let mut log = whole[0].clone();
    for frame in log[HEADER as usize..].chunks_mut(bytes_of(1, 4096) as usize).skip(1) {
        frame[..4].fill(0);
    }
    write(&log, &whole[1]);
    let frames = Run::open(&other).expect("ours").expect("a log").frames(HEADER).expect("ours");
    assert!(frames.len() == 1 && all > 1, "{all}");
}

#[test]
fn what_is_in_the_log_counts_again() {
    let (_folder, path, database) = database();
    assert!(!may_have_orphan(&path).expect("ours"));
    orphan(&path, &database);
    assert!(may_have_orphan(&path).expect("ours"));
    assert!(try_clear(&path).expect("ours"));
    assert!(may_have_orphan(&path).expect("ours"), "nobody has recovered it yet");
    assert_eq!(settled_index(&path).expect("ours"), State::Unmade);
    assert_eq!(count(&database), 1);
    assert!(!may_have_orphan(&path).expect("ours"));
}

/// Whoever can write to the database's folder decides what stands in the index' place.
#[test]
fn what_is_not_the_databases_own_index_is_not_written_to() {
    let (folder, path, database) = database();
    let index = folder.path().join("a.db-shm");
    drop(database);
    let _ = std::fs::remove_file(&index);
    let victim = folder.path().join("victim");
    let precious = [7; 4096];
    std::fs::write(&victim, precious).expect("a file");
    std::os::unix::fs::symlink(&victim, &index).expect("a link");
    assert!(try_clear(&path).is_err() && Guard::open(&path).is_err());
    std::fs::remove_file(&index).expect("ours");
    std::fs::hard_link(&victim, &index).expect("another name");
    assert!(try_clear(&path).is_err() && Guard::open(&path).is_err() && clear(&path).is_err());
    std::fs::remove_file(&index).expect("ours");
    std::fs::rename(&victim, &index).expect("ours");
    assert!(try_clear(&path).expect("ours"), "there is nothing to clear");
    assert_eq!(std::fs::read(&index).expect("ours"), precious);
}

#[test]
fn frames_of_an_earlier_run_are_no_orphans() {
    let (_folder, path, database) = database();
    let (before, run) = (made(&path), Run::open(&path).expect("ours").expect("a WAL"));
    database.execute_batch("PRAGMA wal_checkpoint(RESTART); INSERT INTO t VALUES (1)").expect("SQL");
    assert!(!may_have_orphan(&path).expect("ours"));
    assert_ne!(made(&path).salt, before.salt);
    assert!(!run.goes_on(&path).expect("ours"));
}

#[test]
fn a_writer_is_waited_for_and_no_index_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.db");
    assert!(try_clear(&path).expect("nothing to do"));
    assert!(!may_have_orphan(&path).expect("nothing there"));
    let database = Connection::open(&path).expect("a database");
    assert!(try_clear(&path).expect("nothing to do"), "no WAL");
    database.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); BEGIN IMMEDIATE").expect("SQL");
    assert!(!try_clear(&path).expect("ours"), "the writer has the lock");
    database.execute_batch("INSERT INTO t VALUES (1); COMMIT").expect("SQL");
    assert!(try_clear(&path).expect("ours"));
    assert_eq!(count(&database), 1);
    assert!(!folder.path().join("b.db-shm").exists());
}
