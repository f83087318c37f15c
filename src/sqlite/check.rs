//! Whether a file is a database as SQLite wants it; the command `__check` for one that nobody uses.
//!
//! By a SQLite of our own and not by Litestream's `-integrity-check`, which only 0.5.10 and later have, which
//! removes the file where it did not look to the end, and which takes a broken rule of the schema, or an
//! extension that it does not have, for damage.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use super::{fit, with_suffix};
use crate::os::open;

/// So much of what SQLite says is looked through.
const MOST_WORDS: u32 = 100;

/// How long to wait for somebody else's lock.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `PRAGMA quick_check` says of pages that do not fit together (`sqlite3BtreeIntegrityCheck` in its btree.c,
/// `PragTyp_INTEGRITY_CHECK` in its pragma.c). All else are rows against the schema's rules, and virtual tables
/// against their own, as the app may have made them itself.
const STRUCTURE: &[&str] = &[
    "*** in database ",
    "database disk image is malformed",
    "row not in PRIMARY KEY order",
    "rowid not at end-of-record",
];

/// What is said beside it of indexes that are not what their tables are; how many entries one has `PRAGMA quick_check` counts as well.
const INDEXES: &[&str] = &["wrong # of entries in index ", "non-unique entry in index "];
/// The same in the middle of what it says of a row.
const MISSING: &str = " missing from index ";

/// How closely a file is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// It can be opened, and its schema read.
    Opens,
    /// Its pages fit together.
    #[default]
    Quick,
    /// So do its indexes.
    Full,
}

impl Depth {
    /// The word for it on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Opens => "none",
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    /// Reads that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Opens, Self::Quick, Self::Full].into_iter().find(|depth| depth.word() == word)
    }

    fn pragma(self) -> &'static str {
        match self {
            Self::Opens | Self::Quick => "quick_check",
            Self::Full => "integrity_check",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is whole, as far as SQLite can see.
    Whole,
    /// It is whole, and SQLite has something to say about what is in it.
    Odd(String),
    /// It is not, in SQLite's words.
    Malformed(String),
}

impl Verdict {
    /// Reads what the command printed.
    pub fn parse(printed: &str) -> Option<Self> {
        let (word, rest) = printed.split_once('\n')?;
        let rest = rest.trim_end().to_owned();
        match word {
            "whole" => Some(Self::Whole),
            "odd" => Some(Self::Odd(rest)),
            "malformed" => Some(Self::Malformed(rest)),
            _ => None,
        }
    }

    fn print(&self) {
        match self {
            Self::Whole => println!("whole"),
            Self::Odd(words) => println!("odd\n{words}"),
            Self::Malformed(words) => println!("malformed\n{words}"),
        }
    }
}

/// Looks at a file, and prints a [`Verdict`]: `__check FILE [none|quick|full]`; the exit code is for the process, and says
/// whether there is a verdict.
pub fn main(file: &Path, depth: &str) -> u8 {
    match look(file, Depth::parse(depth).unwrap_or_default()) {
        Ok(verdict) => {
            verdict.print();
            0
        }
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

/// Looks at a database that somebody may have open, with what is in its log, for no longer than `limit`.
///
/// # Errors
/// Why nobody can tell.
pub fn of_used(database: &Path, limit: Duration) -> Result<Verdict, String> {
    judge(database, |connection| {
        let (done, over) = mpsc::channel::<()>();
        let interrupt = connection.get_interrupt_handle();
        thread::spawn(move || {
            if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let verdict = examine(connection, Depth::Quick);
        drop(done);
        verdict
    })
}

/// As [`of_used`], but only whether SQLite can open it at all, which takes no time.
///
/// # Errors
/// Why nobody can tell.
pub fn schema_of_used(database: &Path) -> Result<Verdict, String> {
    judge(database, |connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(Verdict::Whole))
    })
}

fn judge(
    database: &Path,
    ask: impl FnOnce(&Connection) -> rusqlite::Result<Verdict>,
) -> Result<Verdict, String> {
    fit::check(database)?;
    match used(database).and_then(|connection| ask(&connection)) {
        Err(error) if is_damage(&error) => Ok(Verdict::Malformed(words(&error))),
        verdict => verdict.map_err(|error| words(&error)),
    }
}

/// A connection to a database that somebody may have open, with what is in its log: to read, whoever writes. Before it comes
/// [`fit::check`].
///
/// # Errors
/// What SQLite says.
pub fn used(database: &Path) -> rusqlite::Result<Connection> {
    let has_log = with_suffix(database, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let connection = if has_log {
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?
    } else {
        // Nobody has it open, and nothing is to be left beside it.
        alone(database)?
    };
    as_guest(connection, PATIENCE)
}

/// Waits for others' locks for so long, and keeps from what only Litestream may do: to put the log into the database.
pub(super) fn as_guest(connection: Connection, patience: Duration) -> rusqlite::Result<Connection> {
    connection.busy_timeout(patience)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Whether these are SQLite's words for a database that it cannot read (`sqlite3ErrStr` in its main.c).
pub fn is_said_of_damage(words: &str) -> bool {
    ["database disk image is malformed", "file is not a database"].iter().any(|said| words.contains(said))
}

/// Looks at a database that nobody uses.
///
/// # Errors
/// Why nobody can tell.
pub fn look(file: &Path, depth: Depth) -> Result<Verdict, String> {
    let size = open::file(file).and_then(|file| file.metadata()).map_err(|error| error.to_string())?.len();
    if size == 0 {
        // To SQLite that is a database without tables.
        return Ok(Verdict::Malformed("the file is empty".to_owned()));
    }
    match alone(file).and_then(|database| examine(&database, depth)) {
        Ok(verdict) => Ok(verdict),
        Err(error) if is_damage(&error) => Ok(Verdict::Malformed(words(&error))),
        Err(error) => Err(words(&error)),
    }
}

/// Immutable: no lock, no log and no index beside it, although its header says WAL.
pub(super) fn alone(file: &Path) -> rusqlite::Result<Connection> {
    let uri = format!("file:{}?immutable=1", percent_encode(file.as_os_str().as_bytes(), NON_ALPHANUMERIC));
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

fn examine(database: &Connection, depth: Depth) -> rusqlite::Result<Verdict> {
    // They may call functions that only the app has.
    database.execute_batch("PRAGMA ignore_check_constraints = ON")?;
    database.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    if depth == Depth::Opens {
        return Ok(Verdict::Whole);
    }
    match ask(database, depth, &MOST_WORDS.to_string()) {
        Err(error) if !is_damage(&error) && !is_trouble(&error) => by_table(database, depth, &words(&error)),
        said => said,
    }
}

/// One table after the other, where something in one keeps SQLite from looking at all: a collation, a tokenizer
/// or a function of the app's own.
fn by_table(database: &Connection, depth: Depth, because: &str) -> rusqlite::Result<Verdict> {
    let mut select =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?;
    let tables: Vec<String> = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    // With its name the free pages are looked at.
    for table in tables.iter().map(String::as_str).chain(["sqlite_schema"]) {
        let table = table.replace('\'', "''");
        match ask(database, depth, &format!("'{table}'")) {
            Ok(Verdict::Malformed(words)) => return Ok(Verdict::Malformed(words)),
            Err(error) if is_damage(&error) || is_trouble(&error) => return Err(error),
            Ok(Verdict::Whole | Verdict::Odd(_)) | Err(_) => {}
        }
    }
    Ok(Verdict::Odd(because.to_owned()))
}

fn ask(database: &Connection, depth: Depth, of: &str) -> rusqlite::Result<Verdict> {
    let mut odd = None;
    let mut statement = database.prepare(&format!("PRAGMA {}({of})", depth.pragma()))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // It names what may have any name.
        let said = String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?);
        let is_one = |of: &[&str]| of.iter().any(|words| said.starts_with(words));
        let is_of_index = || is_one(INDEXES) || said.starts_with("row ") && said.contains(MISSING);
        if is_one(STRUCTURE) || depth == Depth::Full && is_of_index() {
            return Ok(Verdict::Malformed(one_line(&said)));
        }
        if said != "ok" {
            odd.get_or_insert(one_line(&said));
        }
    }
    Ok(odd.map_or(Verdict::Whole, Verdict::Odd))
}

/// `*** in database main ***` is a line of its own, and there may be a hundred more.
fn one_line(said: &str) -> String {
    let mut lines = said.lines().filter(|line| !line.starts_with("*** in database"));
    lines.next().unwrap_or(said).to_owned()
}

fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether it is this machine's fault.
fn is_trouble(error: &Error) -> bool {
    error.sqlite_error_code() != Some(ErrorCode::Unknown)
}

fn words(error: &Error) -> String {
    one_line(&error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt;

    use super::*;

    const PAGE: u64 = 4096;

    fn look(path: &Path) -> Result<Verdict, String> {
        super::look(path, Depth::Quick)
    }

    fn made(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a ?#%41é.db");
        let database = Connection::open(&path).expect("a database");
        database.execute_batch("PRAGMA journal_mode = WAL").expect("SQL");
        database.execute_batch(sql).expect("SQL");
        drop(database);
        (folder, path)
    }

    const ROWS: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
        INSERT INTO t (v) SELECT hex(randomblob(900)) FROM n;";

    fn reason(path: &Path) -> String {
        match look(path) {
            Ok(Verdict::Malformed(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_file_is_whole_and_nothing_is_left_beside_it() {
        let (folder, path) = made(ROWS);
        assert_eq!(look(&path), Ok(Verdict::Whole));
        assert_eq!(fs::read_dir(folder.path()).expect("ours").count(), 1);
    }

    #[test]
    fn an_index_that_lacks_a_row_is_told_by_the_full_look_alone() {
        let (_folder, path) =
            made("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('a')");
        let database = Connection::open(&path).expect("a database");
        let forged = "PRAGMA writable_schema = ON; CREATE INDEX i ON t (v);
             UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (v) WHERE v > 1' WHERE name = 'i';";
        database.execute_batch(forged).expect("SQL");
        drop(database);
        let database = Connection::open(&path).expect("a database");
        database
            .execute_batch(
                "INSERT INTO t (id, v) VALUES (7, 0); PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t (v)' WHERE name = 'i';",
            )
            .expect("SQL");
        drop(database);
        assert!(matches!(look(&path), Ok(Verdict::Odd(_))));
        assert_eq!(super::look(&path, Depth::Opens), Ok(Verdict::Whole));
        assert!(matches!(super::look(&path, Depth::Full), Ok(Verdict::Malformed(_))));
    }

    #[test]
    fn a_page_in_the_place_of_another_a_cut_file_and_no_database_are_told() {
        let (folder, path) = made(ROWS);
        let whole = fs::read(&path).expect("ours");
        let file = File::options().write(true).open(&path).expect("ours");
        // The first leaf once more, where the second was.
        file.write_all_at(&whole[2 * 4096..3 * 4096], 3 * PAGE).expect("ours");
        assert!(!reason(&path).contains('\n'), "{}", reason(&path));
        fs::write(&path, &whole).expect("ours");
        file.set_len(5 * PAGE).expect("ours");
        assert_eq!(reason(&path), "database disk image is malformed");
        fs::write(&path, b"no database, but long enough to be one".repeat(200)).expect("ours");
        assert_eq!(reason(&path), "file is not a database");
        fs::write(&path, "").expect("ours");
        assert_eq!(reason(&path), "the file is empty");
        fs::remove_file(&path).expect("ours");
        assert!(look(&path).is_err());
        assert_eq!(fs::read_dir(folder.path()).expect("ours").count(), 0);
    }

    #[test]
    fn what_the_app_itself_may_have_made_is_no_damage() {
        let (_folder, path) = made(&format!(
            "{ROWS} CREATE TABLE c (x CHECK (x > 1), y);
             PRAGMA ignore_check_constraints = ON; INSERT INTO c VALUES (0, NULL);
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE TABLE c (x CHECK (own(x)), y NOT NULL)' WHERE name = 'c';"
        ));
        assert_eq!(look(&path), Ok(Verdict::Odd("NULL value in c.y".to_owned())));
    }

    #[test]
    fn a_collation_of_the_apps_own_keeps_nobody_from_looking_at_the_rest() {
        let (_folder, path) = made(&format!(
            "CREATE TABLE c (x TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO c VALUES ('a');
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, 'TEXT', 'TEXT COLLATE own') WHERE name = 'c';
             {ROWS}"
        ));
        let Ok(Verdict::Odd(words)) = look(&path) else { panic!("{:?}", look(&path)) };
        assert!(words.contains("own"), "{words}");
        let whole = fs::read(&path).expect("ours");
        let pages = whole.len() as u64 / PAGE;
        let file = File::options().write(true).open(&path).expect("ours");
        file.write_all_at(&whole[5 * 4096..6 * 4096], (pages - 2) * PAGE).expect("ours");
        reason(&path);
    }

    #[test]
    fn a_verdict_is_read_as_it_is_printed() {
        assert_eq!(Verdict::parse("whole\n"), Some(Verdict::Whole));
        assert_eq!(Verdict::parse("odd\nx y\n"), Some(Verdict::Odd("x y".into())));
        assert_eq!(Verdict::parse("malformed\nx\n"), Some(Verdict::Malformed("x".into())));
        assert_eq!(Verdict::parse(""), None);
    }
}
