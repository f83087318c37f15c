//! Two database files, compared as a whole: page by page, and where these differ, row by row.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// What is wrong: of which kind, and how it looks.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its kind, for the summary.
    pub kind: &'static str,
    /// All that is known.
    pub text: String,
}

impl Failure {
    /// A failure of `kind`.
    pub fn new(kind: &'static str, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}

/// Copies a database that nobody has open, with its WAL, and empties the copy's WAL into it.
///
/// Without the index: SQLite makes one anew, as the next program that opens the database will.
pub fn copy(database: &Path, to: &Path) -> Result<(), String> {
    let wal = |path: &Path| path.with_extension("db-wal");
    remove(to);
    fs::copy(database, to).map_err(|error| format!("{}: {error}", database.display()))?;
    if wal(database).exists() {
        fs::copy(wal(database), wal(to)).map_err(|error| format!("{}: {error}", wal(database).display()))?;
    }
    let open = open(to).map_err(|error| error.to_string())?;
    let busy: i64 = open
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(|error| format!("cannot empty the WAL: {error}"))?;
    if busy != 0 {
        return Err("nobody else has the copy, but its WAL cannot be emptied".to_owned());
    }
    open.close().map_err(|(_, error)| error.to_string())
}

/// Removes a database with all that belongs to it.
pub fn remove(path: &Path) {
    for extension in ["db", "db-wal", "db-shm"] {
        let _ = fs::remove_file(path.with_extension(extension));
    }
}

/// What SQLite finds wrong in a file.
pub fn integrity(path: &Path) -> Result<(), String> {
    let check = || -> rusqlite::Result<Vec<String>> {
        let database = open(path)?;
        let mut check = database.prepare("PRAGMA integrity_check(5)")?;
        check.query_map([], |row| row.get(0))?.collect()
    };
    match check() {
        Ok(found) if found == ["ok"] => Ok(()),
        Ok(found) => Err(found.join("; ")),
        Err(error) => Err(error.to_string()),
    }
}

/// Compares a database (a copy of it, [`copy`]) with a restore that was never opened; returns the number of rows.
pub fn whole(database: &Path, restore: &Path) -> Result<u64, Vec<Failure>> {
    let read = |path: &Path| {
        fs::read(path)
            .map_err(|error| vec![Failure::new("unreadable", format!("{}: {error}", path.display()))])
    };
    let mut failures = Vec::new();
    let integrity = integrity(restore);
    if integrity.is_ok() {
        // What cannot be done shows in the comparison.
        let _ = count_on(database, restore);
    }
    let pages = different_pages(&read(database)?, &read(restore)?);
    if let Err(why) = integrity {
        failures.push(Failure::new("malformed", format!("the restore: {why}")));
    }
    let mut rows = 0;
    match (contents(database), contents(restore)) {
        (Ok(ours), Ok(theirs)) => {
            rows = ours.values().map(|table| table.rows.len() as u64).sum();
            failures.extend(different_rows(&ours, &theirs));
        }
        (Err(why), _) => failures.push(Failure::new("database-damaged", why)),
        (_, Err(why)) => {
            failures.push(Failure::new("malformed", format!("the restore cannot be read: {why}")))
        }
    }
    if let Some(pages) = pages {
        let kind = if failures.is_empty() { "other-pages" } else { "pages-too" };
        failures.push(Failure::new(kind, pages));
    }
    if failures.is_empty() { Ok(rows) } else { Err(failures) }
}

/// The pages that differ, in words.
/// Litestream counts its checkpoints in the database, by a write of its own after its last copy: one that ends right
/// then leaves the count one ahead. Nothing of the app's is in it, so the restore is counted on as Litestream would.
fn count_on(database: &Path, restore: &Path) -> rusqlite::Result<()> {
    let seq = |path: &Path| -> rusqlite::Result<i64> {
        open(path)?.query_row("SELECT seq FROM _litestream_seq WHERE id = 1", [], |row| row.get(0))
    };
    let (ours, theirs) = (seq(database)?, seq(restore)?);
    if ours == theirs + 1 {
        let restore = Connection::open(restore)?;
        restore.execute("UPDATE _litestream_seq SET seq = ?1 WHERE id = 1", [ours])?;
        restore.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    Ok(())
}

fn different_pages(ours: &[u8], theirs: &[u8]) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let size = match ours.get(16..18).map(|size| u16::from_be_bytes([size[0], size[1]])) {
        Some(1) => 65536,
        Some(size) if size >= 512 => usize::from(size),
        _ => return Some(format!("no database: {} bytes, the restore has {}", ours.len(), theirs.len())),
    };
    let count = (ours.len() / size, theirs.len() / size);
    let free = free_leaves(ours, size);
    let differ = |number: &usize| ours.chunks(size).nth(*number) != theirs.chunks(size).nth(*number);
    let pages: Vec<usize> = (0..count.0.max(count.1)).filter(differ).collect();
    let describe = |number: &usize| {
        let bytes = |file: &[u8]| {
            let page = file.chunks(size).nth(*number).unwrap_or_default();
            let header = if *number == 0 { page.get(100) } else { page.first() };
            match (page.iter().any(|byte| *byte != 0), header) {
                (_, None) => "missing".to_owned(),
                (false, _) => "zeros".to_owned(),
                (true, Some(kind)) => format!("kind {kind}"),
            }
        };
        let leaf = if free.contains(number) { ", free" } else { "" };
        let different =
            |page: (&[u8], &[u8])| page.0.iter().zip(page.1).filter(|(one, other)| one != other).count();
        let at = number * size;
        let both = ours.get(at..at + size).zip(theirs.get(at..at + size));
        let bytes_differ = both.map_or(String::new(), |both| format!(", {} bytes", different(both)));
        format!("{} ({}/{}{bytes_differ}{leaf})", number + 1, bytes(ours), bytes(theirs))
    };
    let shown: Vec<String> = pages.iter().take(12).map(describe).collect();
    let free_ones = pages.iter().filter(|number| free.contains(number)).count();
    Some(format!(
        "{} of {} pages of {size} bytes differ ({free_ones} of them free; the restore has {} pages), database/restore: {}",
        pages.len(),
        count.0,
        count.1,
        shown.join(", ")
    ))
}

/// The pages (from 0) that the free list has, its trunks left out: nobody reads them.
fn free_leaves(file: &[u8], size: usize) -> BTreeSet<usize> {
    let number = |at: usize| {
        file.get(at..at + 4)
            .map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    };
    let mut leaves = BTreeSet::new();
    let mut trunks = BTreeSet::new();
    let mut trunk = number(32).unwrap_or(0);
    while trunk != 0 && trunks.insert(trunk) {
        let at = (trunk - 1) * size;
        let count = number(at + 4).unwrap_or(0).min(size / 4);
        leaves.extend(
            (0..count)
                .filter_map(|leaf| number(at + 8 + 4 * leaf))
                .filter(|page| *page > 0)
                .map(|page| page - 1),
        );
        trunk = number(at).unwrap_or(0);
    }
    leaves
}

/// A table: each row under its key, as the sum of all its values.
struct Table {
    sql: String,
    rows: BTreeMap<String, u64>,
}

/// All that a database says.
fn contents(path: &Path) -> Result<BTreeMap<String, Table>, String> {
    let read = || -> rusqlite::Result<BTreeMap<String, Table>> {
        let database = open(path)?;
        let mut schema = database
            .prepare("SELECT type || ' ' || name, type, name, coalesce(sql, '') FROM sqlite_schema")?;
        let all: Vec<[String; 4]> = schema
            .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?
            .collect::<Result<_, _>>()?;
        let mut tables = BTreeMap::new();
        for [key, kind, name, sql] in all {
            let rows = if kind == "table" { rows(&database, &name)? } else { BTreeMap::new() };
            tables.insert(key, Table { sql, rows });
        }
        Ok(tables)
    };
    read().map_err(|error| error.to_string())
}

/// The rows of a table by their rowid, or by the first columns where it has none.
fn rows(database: &Connection, table: &str) -> rusqlite::Result<BTreeMap<String, u64>> {
    let without: bool =
        database.query_row("SELECT wr FROM pragma_table_list(?)", [table], |row| row.get(0))?;
    let keys: u32 = if without {
        database
            .query_row("SELECT count(*) FROM pragma_table_info(?) WHERE pk > 0", [table], |row| row.get(0))?
    } else {
        1
    };
    let name = table.replace('"', "\"\"");
    // NOT INDEXED: the table itself is read, not what an index says of it.
    let what = if without { "*" } else { "rowid, *" };
    let mut select = database.prepare(&format!("SELECT {what} FROM \"{name}\" NOT INDEXED"))?;
    let columns = select.column_count();
    let mut found = BTreeMap::new();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let mut hasher = DefaultHasher::new();
        let mut key = Vec::new();
        for column in 0..columns {
            let value = row.get_ref(column)?;
            if column < keys as usize {
                key.push(match value {
                    ValueRef::Integer(number) => number.to_string(),
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    other => format!("{other:?}"),
                });
            }
            format!("{:?}", value.data_type()).hash(&mut hasher);
            match value {
                ValueRef::Null => (),
                ValueRef::Integer(number) => number.hash(&mut hasher),
                ValueRef::Real(number) => number.to_bits().hash(&mut hasher),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.hash(&mut hasher),
            }
        }
        found.insert(key.join(" "), hasher.finish());
    }
    Ok(found)
}

fn different_rows(ours: &BTreeMap<String, Table>, theirs: &BTreeMap<String, Table>) -> Vec<Failure> {
    let mut failures = Vec::new();
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        let (Some(one), Some(other)) = (ours.get(name), theirs.get(name)) else {
            let who = if ours.contains_key(name) { "database" } else { "restore" };
            failures.push(Failure::new("schema-differs", format!("only the {who} has {name}")));
            continue;
        };
        if one.sql != other.sql {
            failures.push(Failure::new(
                "schema-differs",
                format!("{name}: {:?}, the restore: {:?}", one.sql, other.sql),
            ));
        }
        let missing: Vec<&str> = keys(&one.rows, |key, _| !other.rows.contains_key(key));
        let never: Vec<&str> = keys(&other.rows, |key, _| !one.rows.contains_key(key));
        let changed: Vec<&str> =
            keys(&one.rows, |key, sum| other.rows.get(key).is_some_and(|theirs| theirs != sum));
        if !missing.is_empty() || !never.is_empty() || !changed.is_empty() {
            failures.push(Failure::new(
                "rows-differ",
                format!(
                    "{name} has {} rows, the restore {}: it lacks {}, has {} that the database has not, and {} that differ",
                    one.rows.len(),
                    other.rows.len(),
                    some(&missing),
                    some(&never),
                    some(&changed)
                ),
            ));
        }
    }
    failures
}

fn keys(rows: &BTreeMap<String, u64>, wanted: impl Fn(&str, &u64) -> bool) -> Vec<&str> {
    rows.iter().filter(|(key, sum)| wanted(key, sum)).map(|(key, _)| key.as_str()).collect()
}

/// A number of keys and the first and last of them.
fn some(keys: &[&str]) -> String {
    match keys {
        [] => "0".to_owned(),
        [one] => format!("1 ({one})"),
        [first, .., last] => format!("{} ({first} … {last})", keys.len()),
    }
}

/// The acknowledged rows that a database has not, as `writer n`.
pub fn unacked(path: &Path, acked: &BTreeSet<(i64, i64)>) -> Result<Vec<String>, String> {
    let read = || -> rusqlite::Result<BTreeSet<(i64, i64)>> {
        let database = open(path)?;
        let mut select = database.prepare("SELECT writer, n FROM acked")?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let found = read().map_err(|error| error.to_string())?;
    Ok(acked.difference(&found).map(|(writer, n)| format!("{writer} {n}")).collect())
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}
