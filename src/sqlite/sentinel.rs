//! The command `__sentinel`: a row that `verify` puts into a database, looks for in what was restored, and takes away again; and
//! how many rows each table has meanwhile.
//!
//! The table is of Litekeeper's own: the wrappers' `_litestream_verification` has other columns in each of them, and none looks at
//! this one. It goes with its last row, so that no tool that compares schemas finds it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use serde::{Deserialize, Serialize};

use super::{check, fit};

/// Its name.
pub const TABLE: &str = "_litekeeper_verify";
/// What Litestream writes to by itself.
const LITESTREAMS: [&str; 2] = ["_litestream_seq", "_litestream_lock"];
/// Before the words where no row was put in for certain.
pub const UNPUT: &str = "it is in use: ";
/// How long to wait for somebody else's lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// A row that is older, in seconds, was left by somebody who was killed.
const LEFT: u32 = 24 * 3600;

/// What is found in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The row is in it.
    pub found: bool,
    /// How many rows each table has that can be counted.
    pub tables: BTreeMap<String, u64>,
}

impl Rows {
    /// How many all tables have.
    pub fn all(&self) -> u64 {
        self.tables.values().fold(0, |all, rows| all.saturating_add(*rows))
    }
}

/// Does one of `put|look|count|take`, and prints [`Rows`]: `__sentinel WORD DATABASE CODE`; the exit code is for the process.
pub fn main(word: &str, database: &Path, code: &str) -> u8 {
    let done = match word {
        "put" => put(database, code),
        "look" => look(database, code),
        "count" => open(database).and_then(|mut connection| count(&mut connection, code)),
        "take" => take(database, code),
        _ => Err("this command is litekeeper's own, and is started by it".to_owned()),
    };
    match done.and_then(|rows| serde_json::to_string(&rows).map_err(|error| error.to_string())) {
        Ok(text) => {
            println!("{text}");
            0
        }
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

/// Puts the row in, and counts.
fn put(database: &Path, code: &str) -> Result<Rows, String> {
    let mut connection = open(database)?;
    let put = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY, code TEXT NOT NULL, made INTEGER NOT NULL);
             DELETE FROM {TABLE} WHERE made < unixepoch() - {LEFT};"
        ))?;
        let insert = format!("INSERT INTO {TABLE} (code, made) VALUES (?1, unixepoch())");
        transaction.execute(&insert, [code])?;
        transaction.commit()
    };
    put(&mut connection).map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!("{UNPUT}{error}"),
        Some(_) | None => error.to_string(),
    })?;
    count(&mut connection, code)
}

/// Counts in a file that nobody has open.
fn look(file: &Path, code: &str) -> Result<Rows, String> {
    fit::check(file)?;
    let mut connection = check::alone(file).map_err(|error| error.to_string())?;
    count(&mut connection, code)
}

/// Takes the row away.
fn take(database: &Path, code: &str) -> Result<Rows, String> {
    let mut connection = open(database)?;
    let take = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut found = false;
        if has_table(&transaction)? {
            found = 0 < transaction.execute(&format!("DELETE FROM {TABLE} WHERE code = ?1"), [code])?;
            let others: i64 =
                transaction.query_row(&format!("SELECT count(*) FROM {TABLE}"), [], |row| row.get(0))?;
            if others == 0 {
                transaction.execute_batch(&format!("DROP TABLE {TABLE}"))?;
            }
        }
        transaction.commit()?;
        Ok(Rows { found, ..Rows::default() })
    };
    take(&mut connection).map_err(|error: rusqlite::Error| error.to_string())
}

fn open(database: &Path) -> Result<Connection, String> {
    fit::check(database)?;
    let open = || {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let connection = check::as_guest(connection, PATIENCE)?;
        connection.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = OFF")?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| error.to_string())
}

fn has_table(connection: &Connection) -> rusqlite::Result<bool> {
    let select = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    connection.query_row(select, [TABLE], |row| row.get(0))
}

/// Counts at one moment.
fn count(connection: &mut Connection, code: &str) -> Result<Rows, String> {
    let count = |connection: &mut Connection| {
        let moment = connection.transaction()?;
        let names: Vec<String> = {
            let select = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0";
            let mut select = moment.prepare(select)?;
            select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        let has_table = names.iter().any(|name| name == TABLE);
        let is_others = |name: &String| {
            name != TABLE && !LITESTREAMS.contains(&name.as_str()) && !name.starts_with("sqlite_")
        };
        let mut tables = BTreeMap::new();
        for name in names.into_iter().filter(is_others) {
            let select = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
            // What needs a collation or a module of the app's own cannot be counted here.
            match moment.query_row(&select, [], |row| row.get::<_, i64>(0)) {
                Ok(rows) => drop(tables.insert(name, rows.unsigned_abs())),
                Err(error) if check::is_said_of_damage(&error.to_string()) => return Err(error),
                Err(_) => {}
            }
        }
        let found = has_table && {
            let select = format!("SELECT count(*) FROM {TABLE} WHERE code = ?1");
            moment.query_row(&select, [code], |row| row.get::<_, i64>(0))? > 0
        };
        Ok(Rows { found, tables })
    };
    count(connection).map_err(|error: rusqlite::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_and_goes_and_takes_its_table_along() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let database = Connection::open(&path).expect("a database");
        let sql = "PRAGMA journal_mode = WAL; CREATE TABLE \"a \"\"b\" (x); INSERT INTO \"a \"\"b\" VALUES (1), (2);
            CREATE TABLE _litestream_verification (code TEXT, created TEXT);";
        database.execute_batch(sql).expect("SQL");
        let rows = put(&path, "one").expect("it is put in");
        assert!(rows.found && rows.tables.get("a \"b") == Some(&2) && rows.tables.len() == 2, "{rows:?}");
        assert!(put(&path, "two").expect("another's").found);
        assert!(take(&path, "one").expect("it is taken").found);
        assert!(has_table(&database).expect("SQL"), "another's row is in it");
        assert!(!take(&path, "one").expect("it is gone").found);
        assert!(take(&path, "two").expect("it is taken").found);
        assert!(!has_table(&database).expect("SQL"));
        assert!(!take(&path, "two").expect("nothing is left").found);
    }

    #[test]
    fn what_a_killed_one_left_goes_with_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let database = Connection::open(&path).expect("a database");
        database.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").expect("SQL");
        put(&path, "left").expect("it is put in");
        database.execute_batch(&format!("UPDATE {TABLE} SET made = made - 2 * {LEFT}")).expect("SQL");
        put(&path, "next").expect("it is put in");
        assert!(!take(&path, "left").expect("nothing is there").found);
        take(&path, "next").expect("it is taken");
        assert!(!has_table(&database).expect("SQL"));
    }

    #[test]
    fn who_has_the_table_for_something_else_keeps_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let database = Connection::open(&path).expect("a database");
        database
            .execute_batch(&format!("CREATE TABLE {TABLE} (x); INSERT INTO {TABLE} VALUES (1)"))
            .expect("SQL");
        assert!(put(&path, "one").is_err());
        assert!(has_table(&database).expect("SQL"));
    }
}
