//! Code that others have written for SQLite, in this process; and what SQLite says of SQL that nobody has run.

use std::ffi::CString;
use std::path::Path;

use rusqlite::{Connection, LoadExtensionGuard, ffi};

/// Loads an extension, which stays for as long as this process: for a process that has nothing else to lose.
///
/// # Errors
/// In SQLite's words, or in the extension's own.
pub fn load(connection: &Connection, library: &Path, entry: &str) -> rusqlite::Result<()> {
    // SAFETY: no SQL is run while the guard lives, so none can load anything.
    let _guard = unsafe { LoadExtensionGuard::new(connection)? };
    // SAFETY: whoever runs this program has named the file, or has installed it where nobody else writes; what it does is as
    // trusted as Litestream itself, and the process is there for it alone.
    unsafe { connection.load_extension(library, Some(entry)) }
}

/// Whether a text ends with the end of a statement (`sqlite3_complete`).
pub fn is_complete(sql: &str) -> bool {
    // A NUL ends SQL as well.
    let text = CString::new(sql.split('\0').next().unwrap_or_default()).unwrap_or_default();
    // SAFETY: the text is a C string that outlives the call, which reads it and keeps nothing.
    unsafe { ffi::sqlite3_complete(text.as_ptr()) != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_where_sqlite_says_so() {
        for sql in ["SELECT 1;", "SELECT ';' ; -- what\n", ";"] {
            assert!(is_complete(sql), "{sql}");
        }
        for sql in ["", "SELECT 1", "SELECT ';", "SELECT 1 -- ;", "/* ;"] {
            assert!(!is_complete(sql), "{sql}");
        }
    }

    #[test]
    fn what_is_no_extension_is_refused_and_sql_loads_none() {
        let connection = Connection::open_in_memory().expect("SQLite");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.so");
        std::fs::write(&file, "no library").expect("ours");
        assert!(load(&connection, &file, "sqlite3_x_init").is_err());
        let by_sql = connection.query_row("SELECT load_extension(?1)", [file.to_str()], |_| Ok(()));
        assert!(by_sql.is_err_and(|error| error.to_string().contains("not authorized")));
    }
}
