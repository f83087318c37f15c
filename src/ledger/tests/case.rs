//! A database, and a Litestream that copies what it is told to.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::super::answer::{Answer, FileState, Task};
use super::super::command::answer;
use super::super::look::{BOUNDS, Bounds};
use crate::litestream::database::with_suffix;
use crate::litestream::ltx;
use crate::sqlite::wal::{self, Run};

pub(super) struct Case {
    _folder: tempfile::TempDir,
    pub(super) path: PathBuf,
    pub(super) meta: PathBuf,
    pub(super) database: Connection,
    pub(super) page_size: u32,
    pub(super) txid: u64,
    /// The salt and end of what was copied last, and how many pages there were.
    copied: ([u8; 8], u64, u32),
    pub(super) bounds: Bounds,
}

pub(super) fn open(path: &std::path::Path) -> Connection {
    let database = Connection::open(path).unwrap();
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    database.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    database
}

impl Case {
    pub(super) fn new(page_size: u32) -> Self {
        Self::new_with(page_size, "NONE")
    }

    pub(super) fn new_with(page_size: u32, vacuum: &str) -> Self {
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

    pub(super) fn insert(&self, rows: usize) {
        for _ in 0..rows {
            self.database.execute("INSERT INTO t VALUES (hex(randomblob(400)))", []).unwrap();
        }
    }

    pub(super) fn update(&self) {
        self.database.execute("UPDATE t SET x = hex(randomblob(400)) WHERE rowid = 1", []).unwrap();
    }

    /// As Litestream's own: the next commit begins the WAL anew.
    pub(super) fn checkpoint(&self) {
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
    pub(super) fn frames(&self) -> (Run, Vec<wal::Frame>) {
        let run = Run::open(&self.path).unwrap().unwrap();
        let frames = run.frames(wal::HEADER).unwrap();
        (run, frames)
    }

    /// Copies what the WAL has behind the last copy.
    pub(super) fn copy(&mut self) {
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

    pub(super) fn copy_whole(&mut self) {
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
    pub(super) fn damage(&self, nth: usize) -> bool {
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

    pub(super) fn page(&self, number: u32) -> Vec<u8> {
        let size = self.page_size as usize;
        let file = fs::read(&self.path).unwrap();
        let at = (number as usize - 1) * size;
        file.get(at..at + size).map_or_else(|| vec![0; size], <[u8]>::to_vec)
    }

    pub(super) fn write(
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

    pub(super) fn ask(&self, task: Task) -> Answer {
        answer(self.bounds, task, Duration::from_secs(10), &self.path, &self.meta).unwrap()
    }

    /// Whether a restore of what was copied gives what the database has, page by page.
    pub(super) fn restores(&self) -> bool {
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
    pub(super) fn assert_same(&self) {
        for task in [Task::Look, Task::All, Task::Last, Task::Background] {
            assert_eq!(self.ask(task), Answer::Equal { due: false }, "{task:?}");
        }
    }

    #[track_caller]
    pub(super) fn assert_diverged(&self) {
        for task in [Task::Look, Task::All, Task::Last, Task::Background] {
            let answer = self.ask(task);
            assert!(matches!(answer, Answer::Diverged { .. }), "{task:?}: {answer:?}");
        }
    }

    pub(super) fn freshness(&self) -> FileState {
        match self.ask(Task::Inspect) {
            Answer::Stands(freshness) => freshness,
            other => panic!("{other:?}"),
        }
    }

    /// Adds rows whose commit got no further than to the log, and copies them; then the next one begins the
    /// log anew, as Litestream itself sees to.
    pub(super) fn orphan(&mut self, rows: usize) {
        let index = fs::read(with_suffix(&self.path, "-shm")).unwrap();
        self.database.execute_batch("BEGIN").unwrap();
        self.insert(rows);
        self.database.execute_batch("COMMIT").unwrap();
        self.copy();
        let file = fs::File::options().write(true).open(with_suffix(&self.path, "-shm")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &index[..136], 0).unwrap();
    }
}

/// Sizes of pages.
pub(super) const SIZES: [u32; 3] = [512, 4096, 65536];
