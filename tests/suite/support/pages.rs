//! A whole database compared with its backup: every page, not only the rows that an app was told to be committed.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::litestream::{Backup, LATEST};
use super::process::Ended;
use super::world::World;

/// How a restored backup differs from the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Litestream cannot restore it, or SQLite cannot read what it restored.
    Malformed(String),
    /// It has these pages otherwise; pages that one of both lacks included.
    Pages(Vec<usize>),
}

/// Restores the backup and compares it with the database, which nobody may have open.
#[track_caller]
pub fn compare(world: &World) -> Option<Difference> {
    let number = world.list("").iter().filter(|name| name.starts_with("compared-")).count();
    let out = world.path(&format!("compared-{number}.db"));
    let restored = Backup::Url(&world.replica_url()).try_restore(world, LATEST, &out);
    if !restored.status.success() {
        return Some(Difference::Malformed(restored.log + &restored.stdout));
    }
    let backup = fs::read(&out).expect("a restore that succeeded leaves a file");
    if let Err(why) = integrity(&out) {
        return Some(Difference::Malformed(why));
    }
    let database = emptied(world, &world.path(&format!("emptied-{number}.db")));
    let size = page_size(&database);
    assert_eq!(size, page_size(&backup));
    let (mut ours, mut theirs) = (database.chunks(size), backup.chunks(size));
    let mut pages = Vec::new();
    for page in 1.. {
        match (ours.next(), theirs.next()) {
            (None, None) => break,
            (ours, theirs) if ours != theirs => pages.push(page),
            _ => {}
        }
    }
    (!pages.is_empty()).then_some(Difference::Pages(pages))
}

/// Asserts that a unit ended with all on the replica, and that backup and database are the same indeed.
#[track_caller]
pub fn assert_same(world: &World, ended: Ended) {
    let ended = ended.expect_log("everything is on the replica");
    let difference = compare(world);
    assert_eq!(difference, None, "the backup is not the database; the log:\n{}", ended.log);
}

fn integrity(path: &Path) -> Result<(), String> {
    let look = || -> rusqlite::Result<String> {
        let database = Connection::open(path)?;
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0))
    };
    match look() {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(verdict),
        Err(error) => Err(error.to_string()),
    }
}

/// The bytes of a copy of the database, after SQLite has brought what is in its WAL into the file.
fn emptied(world: &World, copy: &Path) -> Vec<u8> {
    let wal = |path: &Path| path.with_extension("db-wal");
    fs::copy(world.db(), copy).expect("there is a database");
    if wal(&world.db()).exists() {
        fs::copy(wal(&world.db()), wal(copy)).expect("the WAL can be read");
    }
    let database = Connection::open(copy).expect("the copy can be opened");
    let busy: i64 = database
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .expect("the copy is a database");
    assert_eq!(busy, 0, "nobody else has the copy");
    drop(database);
    integrity(copy).expect("the database itself is sound");
    fs::read(copy).expect("the copy can be read")
}

/// As the header says it (https://sqlite.org/fileformat2.html).
fn page_size(database: &[u8]) -> usize {
    match u16::from_be_bytes([database[16], database[17]]) {
        1 => 65536,
        size => size.into(),
    }
}
