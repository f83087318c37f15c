//! A database of one row, to be written to a replica on trial.

use std::path::Path;

use rusqlite::Connection;

/// Makes it. What it is worth is over soon, so nobody waits for a disk.
pub(super) fn make(path: &Path, row: &str) -> Result<(), String> {
    let make = || {
        let database = Connection::open(path)?;
        database.execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; CREATE TABLE litekeeper_check (x TEXT)",
        )?;
        database.execute("INSERT INTO litekeeper_check VALUES (?1)", [row])
    };
    make().map(drop).map_err(|error| format!("{}: {error}", path.display()))
}
