//! The app: a leader and its writing processes, all of them this binary.
//!
//! ```text
//! soak __leader FILE              starts the writers that FILE names
//! soak __writer FILE NUMBER TH    one of them; TH: how often it was started before
//! ```
//!
//! Each transaction of a writer, whatever else it does, adds the row (writer, n) to `acked`; when its COMMIT has returned,
//! the writer appends the line `writer n databases` to the trace (a bit for each database). So a row that is missing
//! was acknowledged and got lost.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use crate::dying;
use crate::pause;
use crate::plan::{App, Database, OnDeath, OnTerm, Shape, Writer};
use crate::random::Random;

/// A database that has grown to this size gets smaller again.
const LARGE: u64 = 16 << 20;
/// The largest transaction.
const MOST: u64 = 5 << 20;
/// For how long a database may be held by somebody else before that is a fault.
const LONGEST_HELD: Duration = Duration::from_secs(30);

/// What the processes of an app read.
#[derive(Serialize, Deserialize)]
pub struct Orders {
    /// The databases.
    pub databases: Vec<PathBuf>,
    /// Where acknowledgements go, what went wrong (`! …`), and how writers ended (`- …`).
    pub trace: PathBuf,
    /// When this file is there the app ends by itself.
    pub end: PathBuf,
    /// Who writes what.
    pub app: App,
}

impl Orders {
    fn read(path: &str) -> Self {
        let file = File::open(path).expect("the soak has written it");
        serde_json::from_reader(file).expect("the soak has written it")
    }

    fn trace(&self) -> File {
        OpenOptions::new().append(true).create(true).open(&self.trace).expect("the world can be written")
    }
}

/// Makes an empty database with the tables that the writers need.
pub fn create(path: &Path, how: &Database) {
    let database = Connection::open(path).expect("the world can be written");
    let without = if how.rowid { "" } else { "WITHOUT ROWID" };
    database
        .execute_batch(&format!(
            "PRAGMA page_size = {}; PRAGMA auto_vacuum = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
             CREATE TABLE acked (writer INTEGER, n INTEGER, v BLOB, PRIMARY KEY (writer, n)) {without};
             CREATE TABLE rows (id INTEGER PRIMARY KEY, k INTEGER, v BLOB);
             CREATE INDEX rows_k ON rows (k);
             CREATE TABLE named (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;",
            how.page_size, how.auto_vacuum
        ))
        .expect("the statements are good");
}

/// Starts the writers, and those again that are killed, until it is told to stop.
pub fn lead(file: &str) -> ExitCode {
    let orders = Orders::read(file);
    let stop = on_term();
    let start = |number: usize, before: u32| {
        let myself = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(myself);
        command.args(["__writer", file, &number.to_string(), &before.to_string()]).stdin(Stdio::null());
        command.spawn().expect("this program can be started")
    };
    let mut writers: Vec<(Child, u32)> =
        (0..orders.app.writers.len()).map(|number| (start(number, 0), 0)).collect();
    let _ = writeln!(orders.trace(), "up");
    loop {
        let told = stop.load(Relaxed) && orders.app.on_term != OnTerm::Ignores;
        if told && orders.app.on_term == OnTerm::Leaves {
            break;
        }
        if told || orders.end.exists() {
            for (writer, _) in &mut writers {
                let _ = kill(Pid::from_raw(writer.id().cast_signed()), Signal::SIGTERM);
            }
            writers.iter_mut().for_each(|(writer, _)| drop(writer.wait()));
            break;
        }
        for (number, (writer, before)) in writers.iter_mut().enumerate() {
            let Ok(Some(status)) = writer.try_wait() else { continue };
            match orders.app.on_death {
                OnDeath::GoesOn if *before > 0 => continue,
                OnDeath::GoesOn => (),
                OnDeath::Replaces => *writer = start(number, *before + 1),
                OnDeath::Ends => return ExitCode::from(3),
            }
            *before += 1;
            // In one piece: others write behind it.
            let _ = orders.trace().write_all(format!("- writer {number}: {status}\n").as_bytes());
        }
        pause(Duration::from_millis(10));
    }
    ExitCode::from(orders.app.code as u8)
}

pub fn on_term() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop)).expect("TERM can be caught");
    stop
}

/// Writes until it is told to stop.
pub fn write(file: &str, number: usize, before: u64) -> ExitCode {
    let orders = Orders::read(file);
    let plan = &orders.app.writers[number];
    let stop = if plan.rude { Arc::default() } else { on_term() };
    if let Some(commit) = plan.dies_at.filter(|_| before == 0) {
        dying::in_commit(commit);
    }
    let mut trace = orders.trace();
    let (main, attached) = plan.databases;
    let databases = 1 << main | attached.map_or(0, |attached| 1 << attached);
    let begun = Instant::now();
    let mut writing = loop {
        match Writing::open(&orders, plan, before) {
            Ok(writing) => break writing,
            // Whoever closes or recovers a file holds it for itself meanwhile.
            Err(error) if is_passing(&error) && begun.elapsed() < LONGEST_HELD => {
                if stop.load(Relaxed) {
                    return ExitCode::SUCCESS;
                }
            }
            Err(error) => {
                let _ = writeln!(trace, "! writer {number} cannot open its database: {error}");
                return ExitCode::from(4);
            }
        }
    };
    while !stop.load(Relaxed) {
        match writing.step() {
            Ok(Some(n)) => {
                // One write, so that a line is there or not.
                let _ = trace.write_all(format!("{} {n} {databases}\n", plan.number).as_bytes());
            }
            Ok(None) => (),
            Err(error) if is_passing(&error) => writing.look_again(),
            Err(error) => {
                let _ = writeln!(trace, "! writer {number}: {error}");
                return ExitCode::from(5);
            }
        }
        let pause_for = writing.random.between(0, plan.pause);
        if pause_for > 0 {
            pause(Duration::from_millis(pause_for));
        }
    }
    ExitCode::SUCCESS
}

/// Somebody else has it at the moment, or was faster.
fn is_passing(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(
        code,
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ConstraintViolation
                | ErrorCode::SchemaChanged
        )
    )
}

/// A writer at work.
struct Writing<'a> {
    plan: &'a Writer,
    database: Connection,
    schemas: &'static [&'static str],
    random: Random,
    page_size: u64,
    next: i64,
}

impl<'a> Writing<'a> {
    fn open(orders: &Orders, plan: &'a Writer, before: u64) -> rusqlite::Result<Self> {
        let (main, attached) = plan.databases;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(&orders.databases[main], flags)?;
        database.busy_timeout(Duration::from_secs(2))?;
        let mut schemas: &[&str] = &["main"];
        if let Some(attached) = attached {
            let path = orders.databases[attached].to_string_lossy().into_owned();
            database.execute("ATTACH ? AS other", [path])?;
            schemas = &["main", "other"];
        }
        for schema in schemas {
            database.execute_batch(&format!(
                "PRAGMA {schema}.synchronous = {}; PRAGMA {schema}.cache_size = {};",
                plan.synchronous,
                if plan.spills { "10" } else { "-2000" }
            ))?;
        }
        database.execute_batch(&format!("PRAGMA wal_autocheckpoint = {}", plan.autocheckpoint))?;
        let page_size: i64 = database.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let random = Random::new(plan.seed, &[before]);
        let mut writing = Self { plan, database, schemas, random, page_size: page_size as u64, next: 1 };
        writing.look_again();
        Ok(writing)
    }

    /// Goes on behind whatever an earlier process of this writer has committed.
    fn look_again(&mut self) {
        for schema in self.schemas {
            let sql = format!("SELECT coalesce(max(n), 0) FROM {schema}.acked WHERE writer = ?");
            let last: i64 =
                self.database.query_row(&sql, [self.plan.number as i64], |row| row.get(0)).unwrap_or(0);
            self.next = self.next.max(last + 1);
        }
    }

    /// One transaction; returns the number of its acknowledgement.
    fn step(&mut self) -> rusqlite::Result<Option<i64>> {
        if self.plan.shape == Shape::Vacuum && self.random.one_in(15) {
            let statement =
                self.random.of(&["VACUUM", "PRAGMA incremental_vacuum(7)", "PRAGMA incremental_vacuum"]);
            self.database.execute_batch(statement)?;
            return Ok(None);
        }
        let n = self.next;
        let acked = [self.plan.number as i64, n];
        let single = self.plan.shape == Shape::Autocommit && self.schemas.len() == 1;
        if single {
            let length = self.random.between(1, 300) as usize;
            let sql = "INSERT INTO acked (writer, n, v) VALUES (?, ?, ?)";
            self.database.execute(sql, params![acked[0], acked[1], self.random.bytes(length)])?;
        } else {
            let transaction =
                rusqlite::Transaction::new_unchecked(&self.database, TransactionBehavior::Immediate)?;
            for schema in self.schemas {
                change(&transaction, schema, self.plan.shape, self.page_size, &mut self.random)?;
                transaction
                    .execute(&format!("INSERT INTO {schema}.acked (writer, n) VALUES (?, ?)"), acked)?;
            }
            transaction.commit()?;
        }
        self.next = n + 1;
        Ok(Some(n))
    }
}

/// What a transaction does beside its acknowledgement.
fn change(
    database: &Connection,
    schema: &str,
    shape: Shape,
    page_size: u64,
    random: &mut Random,
) -> rusqlite::Result<()> {
    let pages: i64 = database.query_row(&format!("PRAGMA {schema}.page_count"), [], |row| row.get(0))?;
    if pages as u64 * page_size > LARGE {
        let rest = random.between(0, 1) as i64;
        database.execute(&format!("DELETE FROM {schema}.rows WHERE id % 2 = ?"), [rest])?;
        database.execute(&format!("DELETE FROM {schema}.named WHERE length(v) % 2 = ?"), [rest])?;
        return Ok(());
    }
    match shape {
        Shape::Autocommit => insert(database, schema, 1, random.between(1, 300), random),
        Shape::Big => {
            let bytes = (random.between(1, 3000) * page_size).min(random.between(1, MOST));
            let size = random.between(20, 3 * page_size.min(4096));
            insert(database, schema, bytes / size + 1, size, random)
        }
        Shape::Blobs => {
            let size = random.between(1, 600_000);
            if random.one_in(2) {
                return insert(database, schema, 1, size, random);
            }
            let sql = format!(
                "UPDATE {schema}.rows SET v = ? WHERE id = (SELECT id FROM {schema}.rows WHERE k >= ? ORDER BY k LIMIT 1)"
            );
            database.execute(&sql, params![random.bytes(size as usize), random.between(0, 999) as i64])?;
            Ok(())
        }
        Shape::Churn | Shape::Vacuum => churn(database, schema, random),
    }
}

fn insert(
    database: &Connection,
    schema: &str,
    rows: u64,
    size: u64,
    random: &mut Random,
) -> rusqlite::Result<()> {
    let mut insert = database.prepare(&format!("INSERT INTO {schema}.rows (k, v) VALUES (?, ?)"))?;
    for _ in 0..rows {
        insert.execute(params![random.between(0, 999) as i64, random.bytes(size as usize)])?;
    }
    Ok(())
}

fn churn(database: &Connection, schema: &str, random: &mut Random) -> rusqlite::Result<()> {
    let k = random.between(0, 999) as i64;
    for _ in 0..random.between(1, 8) {
        let value = {
            let length = random.between(0, 3000);
            random.bytes(length as usize)
        };
        match random.between(0, 9) {
            0..=2 => {
                database
                    .execute(&format!("INSERT INTO {schema}.rows (k, v) VALUES (?, ?)"), params![k, value])?;
            }
            3..=5 => {
                let name = format!("name {}", random.between(0, 5000));
                let sql = format!("INSERT OR REPLACE INTO {schema}.named (k, v) VALUES (?, ?)");
                database.execute(&sql, params![name, value])?;
            }
            6 => {
                let sql = format!("UPDATE {schema}.rows SET v = ?, k = k + 1 WHERE k BETWEEN ? AND ? + 5");
                database.execute(&sql, params![value, k, k])?;
            }
            7 | 8 => {
                let limit = random.between(1, 40) as i64;
                let sql = format!(
                    "DELETE FROM {schema}.rows WHERE id IN (SELECT id FROM {schema}.rows WHERE k >= ? LIMIT ?)"
                );
                database.execute(&sql, params![k, limit])?;
            }
            _ => {
                database
                    .execute(&format!("DELETE FROM {schema}.named WHERE k > ?"), [format!("name {k}")])?;
            }
        }
    }
    Ok(())
}
