//! The process that loads the extension, opens the replica, and asks.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use super::job::{Job, Report, Step, Wrong};
use super::rows::Output;
use super::statements::Statements;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::os::{extension, fd, watchdog};
use crate::printer;

/// The function by which the extension is loaded (`src/litestream-vfs.c` in its source), whatever its file is called.
pub const ENTRY: &str = "sqlite3_litestreamvfs_init";
/// A name is needed, and says nothing: the extension knows one replica.
const DATABASE: &str = "file:replica?vfs=litestream&mode=ro";
/// A PRAGMA of the extension's own that has it write.
const WRITE_ENABLED: &str = "litestream_write_enabled";
/// Functions of the extension's that have it look at another time, or at the newest again.
const TRAVELS: [&str; 2] = ["litestream_set_time", "litestream_time"];

const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name";
const SCHEMA: &str = "SELECT sql || ';' AS sql FROM sqlite_schema WHERE sql IS NOT NULL AND (?1 IS NULL OR tbl_name = ?1) ORDER BY tbl_name, type DESC, name";

/// Carries out `__query JOB REPORT`, two numbers of descriptors; 0 if all was asked.
pub fn main(job: Option<&str>, report: Option<&str>) -> u8 {
    let adopted = |number: Option<&str>| number.and_then(|number| fd::adopt(number.parse().ok()?).ok());
    let read = |job: OwnedFd| serde_json::from_slice(&fd::read_memory(job).ok()?).ok();
    let (Some(job), Some(report)) = (adopted(job).and_then(read), adopted(report)) else {
        eprintln!("`__query` is for litekeeper itself: `litekeeper query --help`");
        return 2;
    };
    let mut session = Session::new(job, report.into());
    let ended = session.run();
    let wrong = ended.err().and_then(End::wrong);
    let is_good = wrong.is_none();
    session.report.wrong = wrong;
    if is_good {
        session.report.step = Step::Done;
    }
    session.tell();
    u8::from(!is_good)
}

/// Why it was not loaded: what it says of the replica's URL and keys is no fault of its file's.
fn unloaded(words: &str) -> Wrong {
    match words.split_once("replica client: ") {
        Some((_, words)) => Wrong::Replica(words.to_owned()),
        None => Wrong::Library(words.to_owned()),
    }
}

/// Carries out `__extension FILE`: loads it, and does nothing with it; 0 if that went well.
pub fn try_it(library: &Path) -> u8 {
    let loaded = Connection::open_in_memory().and_then(|first| extension::load(&first, library, ENTRY));
    match loaded {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

/// Why it ends before all was asked.
enum End {
    Wrong(Wrong),
    /// Nobody reads any more.
    Unread,
    /// Whoever types has said so.
    Quit,
}

impl End {
    fn wrong(self) -> Option<Wrong> {
        match self {
            Self::Wrong(wrong) => Some(wrong),
            Self::Unread | Self::Quit => None,
        }
    }
}

impl From<Wrong> for End {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

struct Session {
    job: Job,
    report: Report,
    file: File,
    opened: Instant,
    /// It looks at one time, and asks the replica nothing meanwhile.
    is_past: bool,
}

impl Session {
    fn new(job: Job, file: File) -> Self {
        let is_past = job.at.is_some();
        Self { job, report: Report::new(), file, opened: Instant::now(), is_past }
    }

    fn tell(&self) {
        // Without it the end alone is told.
        let _ = self.report.write(&self.file);
    }

    fn step(&mut self, step: Step) {
        self.report.step = step;
        self.tell();
        watchdog::arm(self.job.limit);
    }

    fn run(&mut self) -> Result<(), End> {
        self.step(Step::Loading);
        let library = |error: Error| unloaded(&error.to_string());
        // The extension is there for as long as the process; this is only what it came by.
        let first = Connection::open_in_memory().map_err(library)?;
        extension::load(&first, &self.job.library, ENTRY).map_err(library)?;
        self.step(Step::Opening);
        let replica = self.open().map_err(|error| Wrong::Replica(error.to_string()))?;
        if let Some(at) = self.job.at.clone() {
            self.step(Step::GoingBack);
            let gone = replica.query_row("SELECT litestream_set_time(?1)", [at], |_| Ok(()));
            gone.map_err(|error| Wrong::Past(error.to_string()))?;
        }
        self.step(Step::Asking);
        watchdog::disarm();
        match self.job.sql.take() {
            Some(sql) => self.script(&replica, sql.as_bytes()),
            None if io::stdin().is_terminal() => self.shell(&replica),
            None => self.script(&replica, io::stdin().lock()),
        }
    }

    fn open(&mut self) -> rusqlite::Result<Connection> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut replica = Connection::open_with_flags(DATABASE, flags)?;
        self.opened = Instant::now();
        replica.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        replica.authorizer(Some(authorize))?;
        Ok(replica)
    }

    /// Statements one after the other, up to the first that fails.
    fn script(&mut self, replica: &Connection, from: impl BufRead) -> Result<(), End> {
        let mut statements = Statements::of(from);
        loop {
            while let Some(sql) = statements.ready() {
                self.ask(replica, &sql)?;
            }
            let more = statements.read_line().map_err(|error| Wrong::Input(error.to_string()))?;
            if !more {
                return statements.last().map_or(Ok(()), |sql| self.ask(replica, &sql));
            }
        }
    }

    /// The same on a terminal, where one that fails is said, and no end.
    fn shell(&mut self, replica: &Connection) -> Result<(), End> {
        printer::note(&format!("{}, to be read; `.help` says more", self.job.place));
        let mut statements = Statements::of(io::stdin().lock());
        loop {
            while let Some(sql) = statements.ready() {
                self.try_one(|session| session.ask(replica, &sql))?;
            }
            prompt(if statements.has_begun() { "   ...> " } else { "replica> " });
            let had_begun = statements.has_begun();
            match statements.read_line() {
                Ok(true) => {}
                Ok(false) => {
                    printer::note("");
                    return Ok(());
                }
                Err(error) => {
                    say(&Wrong::Input(error.to_string()));
                    statements.forget();
                }
            }
            if !had_begun && let Some(command) = statements.dot_command() {
                self.try_one(|session| session.command(replica, &command))?;
            }
        }
    }

    fn try_one(&mut self, ask: impl FnOnce(&mut Self) -> Result<(), End>) -> Result<(), End> {
        match ask(self) {
            // A replica that does not answer now may do so again.
            Err(End::Wrong(wrong @ (Wrong::Sql(_) | Wrong::Writes | Wrong::Replica(_)))) => {
                say(&wrong);
                Ok(())
            }
            ended => ended,
        }
    }

    fn command(&mut self, replica: &Connection, line: &str) -> Result<(), End> {
        let mut words = line.split_whitespace();
        let command = words.next().unwrap_or_default();
        match command {
            ".quit" | ".exit" => Err(End::Quit),
            ".tables" => self.print(replica, TABLES, None),
            ".schema" => self.print(replica, SCHEMA, words.next()),
            ".help" => {
                printer::notes(
                    "SQL ends with `;`\n.tables          the tables and views\n.schema [TABLE]  what they were made by\n.quit            the end; so is Ctrl-D",
                );
                Ok(())
            }
            other => {
                let wrong = format!("no such command: {other}; `.help` lists them");
                say(&Wrong::Sql(wrong));
                Ok(())
            }
        }
    }

    /// Runs one text of SQL, with whatever statements are in it.
    fn ask(&mut self, replica: &Connection, sql: &str) -> Result<(), End> {
        self.is_past |= TRAVELS.iter().any(|name| sql.contains(name));
        self.print(replica, sql, None)?;
        self.look_at_lag(replica)
    }

    fn print(&mut self, replica: &Connection, sql: &str, parameter: Option<&str>) -> Result<(), End> {
        watchdog::arm(self.job.limit);
        let wrong = |error: Error| End::Wrong(judge(&error));
        let mut statement = match replica.prepare(sql) {
            Ok(statement) => statement,
            // A comment, or a `;` by itself.
            Err(_) if is_nothing(sql) => return Ok(()),
            Err(error) => return Err(wrong(error)),
        };
        if !statement.readonly() {
            return Err(Wrong::Writes.into());
        }
        let count = statement.column_count();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if statement.parameter_count() > 0 {
            statement.raw_bind_parameter(1, parameter).map_err(wrong)?;
        }
        let mut rows = statement.raw_query();
        if count == 0 {
            while rows.next().map_err(wrong)?.is_some() {}
            watchdog::disarm();
            return Ok(());
        }
        let mut output = Output::new(self.job.format, &names);
        while let Some(row) = rows.next().map_err(wrong)? {
            let values: rusqlite::Result<Vec<ValueRef<'_>>> =
                (0..count).map(|place| row.get_ref(place)).collect();
            output.row(&values.map_err(wrong)?).map_err(unwritten)?;
            watchdog::arm(self.job.limit);
        }
        output.end().map_err(unwritten)?;
        watchdog::disarm();
        Ok(())
    }

    /// Says so once when the replica has not answered for too long: what is shown may be old.
    fn look_at_lag(&mut self, replica: &Connection) -> Result<(), End> {
        let Some(most) = self.job.max_lag.filter(|_| !self.is_past) else { return Ok(()) };
        let asked = replica.query_row("SELECT litestream_lag()", [], |row| row.get::<_, i64>(0));
        let said = asked.map_err(|error| End::Wrong(judge(&error)))?;
        // Until it has asked again for the first time, it is as old as its opening.
        let lag = u64::try_from(said).unwrap_or_else(|_| self.opened.elapsed().as_secs());
        if lag > most {
            if self.report.lag.is_none() {
                let place = &self.job.place;
                printer::note(&format!(
                    "warning: {place} has not answered for {lag} s, which is more than {most} s: what is shown may be old"
                ));
            }
            self.report.lag = self.report.lag.max(Some(lag));
            self.tell();
        }
        Ok(())
    }
}

/// Only this replica, and only to be read. SQLite itself refuses to write to it; these would write elsewhere, or have the
/// extension write.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => Authorization::Deny,
        AuthAction::Pragma { pragma_name, pragma_value: Some(_) }
            if pragma_name.eq_ignore_ascii_case(WRITE_ENABLED) =>
        {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }
}

fn judge(error: &Error) -> Wrong {
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied) => Wrong::Writes,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::DatabaseBusy,
        ) => Wrong::Replica(error.to_string()),
        _ => Wrong::Sql(error.to_string()),
    }
}

/// Whether SQL has no statement in it.
fn is_nothing(sql: &str) -> bool {
    let mut rest = sql.trim_start_matches(|c: char| c == ';' || c.is_whitespace());
    loop {
        let after = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n').map_or("", |(_, after)| after),
            (None, Some(comment)) => comment.split_once("*/").map_or("", |(_, after)| after),
            (None, None) => return rest.is_empty(),
        };
        rest = after.trim_start_matches(|c: char| c == ';' || c.is_whitespace());
    }
}

fn unwritten(error: io::Error) -> End {
    match error.kind() {
        io::ErrorKind::BrokenPipe => End::Unread,
        _ => Wrong::Output(error.to_string()).into(),
    }
}

fn say(wrong: &Wrong) {
    let (message, hint) = wrong.words();
    let failure = Failure::new(ExitCode::USAGE, message).hinted(hint);
    printer::failure(&failure, printer::Format::Text);
}

/// Where no data goes.
fn prompt(text: &str) {
    // Whoever cannot see it may type all the same.
    let _ = io::stderr().write_all(text.as_bytes());
}

impl Wrong {
    /// What is said of it, and the next step.
    pub fn words(&self) -> (String, Option<&'static str>) {
        match self {
            Self::Library(words) => (
                format!("the extension cannot be loaded: {words}"),
                Some("`litekeeper install --vfs` gets one that runs with glibc 2.35 or later"),
            ),
            Self::Replica(words) => (
                format!("it cannot be read: {words}"),
                Some("`litekeeper ltx` says what is there, or why nobody can tell"),
            ),
            Self::Past(words) => (
                format!("it holds no state of that time: {words}"),
                Some("`litekeeper ltx` lists the times that can be had"),
            ),
            Self::Sql(words) => (
                words.clone(),
                Some("SQL of SQLite is meant; `.tables` and `.schema` in the shell show what there is"),
            ),
            Self::Writes => (
                "the statement writes, or opens another database, and a replica can only be read".to_owned(),
                Some("write to the database itself, beside its app: `litekeeper exec`"),
            ),
            Self::Input(words) => {
                (format!("standard input cannot be read: {words}"), Some("SQL as UTF-8 is meant"))
            }
            Self::Output(words) => (
                format!("standard output cannot be written: {words}"),
                Some("send it elsewhere, or free some space there"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_statement_is_nothing() {
        for sql in ["", ";", " ;; ", "-- a", "-- a\n;", "/* a */ ;", "/* a"] {
            assert!(is_nothing(sql), "{sql}");
        }
        for sql in ["x", "-- a\nSELECT", "/* a */ ( "] {
            assert!(!is_nothing(sql), "{sql}");
        }
    }

    #[test]
    fn a_database_that_is_opened_to_be_read_refuses_each_way_to_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        Connection::open(&path).and_then(|db| db.execute_batch("CREATE TABLE t (x)")).expect("SQL");
        let mut db =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("it is there");
        db.authorizer(Some(authorize)).expect("SQLite");
        let other = folder.path().join("b.db").display().to_string();
        for sql in [
            "INSERT INTO t VALUES (1)".to_owned(),
            "DROP TABLE t".to_owned(),
            format!("ATTACH '{other}' AS b"),
            format!("VACUUM INTO '{other}'"),
            "PRAGMA litestream_write_enabled = 1".to_owned(),
        ] {
            let refused = match db.prepare(&sql) {
                Err(error) => judge(&error) == Wrong::Writes,
                Ok(mut statement) if statement.readonly() => {
                    statement.raw_execute().is_err_and(|error| judge(&error) == Wrong::Writes)
                }
                Ok(_) => true,
            };
            assert!(refused, "{sql}");
        }
        assert!(!std::path::Path::new(&other).exists());
    }
}
