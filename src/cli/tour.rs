//! `litekeeper demo --tour`: the operator's commands, one after the other, on a keeper of the demo's own.
//!
//! Each is run as anybody would run it, and shown with what it says. All of it lies in a private folder, which goes with the tour.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use tempfile::TempDir;

use super::app_env;
use super::args;
use super::demo;
use super::process::{current_dir, variable};
use crate::core::ExitCode;
use crate::demo::plan::{self, DemoPlan, Wanted};
use crate::error::Failure;
use crate::foreign;
use crate::litestream::install::oneshot;
use crate::os::{dir, interrupt, open, signal};
use crate::printer;

/// How long the guest book has to answer, and each command to end: they take a second or two elsewhere.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the keeper has for its end, which takes a second.
const STOP: Duration = Duration::from_secs(30);
/// How often is looked whether something happened, or whether the tour was left.
const POLL: Duration = Duration::from_millis(50);
/// Where the keeper's own words go.
const LOG: &str = "keeper.log";
/// The database, as the commands name it.
const DATABASE: &str = "guestbook.db";
/// What is restored.
const COPY: &str = "before.db";

/// Walks through them.
///
/// # Errors
/// Something did not go as it should; or it was left by a signal.
pub(super) fn tour(args: &args::Demo) -> Result<ExitCode, Failure> {
    demo::need_litestream(&current_dir()?)?;
    let cancel = interrupt::hear().unwrap_or_default();
    let walked = Tour::start(args, cancel).and_then(Tour::walk);
    match interrupt::done() {
        Some(number) => Err(Failure::new(ExitCode::of_signal(number), "the tour was left")
            .hint("`litekeeper demo --tour` begins anew: nothing of it is there any more")),
        None => walked.map(|()| ExitCode::OK),
    }
}

/// A guest book under a keeper, in a folder of its own.
struct Tour {
    keeper: Keeper,
    plan: DemoPlan,
    cancel: Arc<AtomicBool>,
    program: PathBuf,
    /// Goes last.
    folder: TempDir,
}

impl Tour {
    fn start(args: &args::Demo, cancel: Arc<AtomicBool>) -> Result<Self, Failure> {
        let program = demo::own_program()?;
        let folder = dir::temporary("litekeeper-tour-").tempdir().map_err(unwritten)?;
        // Any port: several may be on a tour.
        let wanted = Wanted { dir: Some(folder.path().to_owned()), port: Some(args.port.unwrap_or(0)) };
        let plan =
            plan::plan(&wanted, variable, folder.path(), &program).map_err(|error| demo::failure(&error))?;
        // JSON is YAML, whatever is in the paths.
        let config = serde_json::json!({
            "dbs": [{"path": plan.db.to_string_lossy(), "replica": {"path": plan.replica.to_string_lossy()}}],
        });
        open::make(&folder.path().join("litestream.yml"))
            .and_then(|mut file| file.write_all(config.to_string().as_bytes()))
            .map_err(unwritten)?;
        let log = open::make(&folder.path().join(LOG)).map_err(unwritten)?;
        let mut command = Command::new(&program);
        command.arg("run").arg("--").args(&plan.app);
        settle(&mut command, folder.path());
        let keeper = Keeper::start(command, &log).map_err(|error| {
            Failure::new(ExitCode::LITESTREAM, format!("litekeeper cannot start itself: {error}"))
                .hint("is its program still where it was?")
        })?;
        let mut tour = Self { keeper, plan, cancel, program, folder };
        say("A guest book starts under a keeper, in a folder of its own that goes with this tour.");
        tour.await_guest_book()?;
        Ok(tour)
    }

    fn await_guest_book(&mut self) -> Result<(), Failure> {
        let health = format!("{}healthz", self.plan.url());
        let began = Instant::now();
        while ureq::get(&health).call().is_err() {
            self.refuse_left()?;
            if let Some(ended) = self.keeper.ended() {
                return Err(
                    self.failed(&format!("the keeper ended with {ended} before the guest book answered"))
                );
            }
            if began.elapsed() > PATIENCE {
                return Err(self.failed("the guest book does not answer"));
            }
            std::thread::park_timeout(POLL);
        }
        Ok(())
    }

    fn walk(self) -> Result<(), Failure> {
        self.write("Ada", "hello")?;
        self.write("Grace", "good morning")?;
        self.run(
            "Both rows are copied within a second; this does it now, and waits for the replica.",
            &["sync", "--wait"],
        )?;
        self.run("Is everything on the replica, and how far back can it be restored?", &["status"])?;
        self.run(
            "Does the backup restore to this database? A row goes the whole way, and all pages are compared.",
            &["verify"],
        )?;
        let before = now();
        self.write("Mallory", "a row that nobody wanted")?;
        self.run("It is on the replica as well: a backup keeps mistakes, too.", &["sync", "--wait"])?;
        self.run(
            "So the database is restored as it was before that row, beside the one in use.",
            &["restore", "-o", COPY, "--timestamp", &before, DATABASE],
        )?;
        self.show_rows()?;
        self.query(&before)?;
        self.run(
            "What is in the backup? Each file holds the transactions between two numbers.",
            &["ltx", DATABASE],
        )?;
        self.end()
    }

    /// Writes a row as a visitor would.
    fn write(&self, name: &str, message: &str) -> Result<(), Failure> {
        self.refuse_left()?;
        let form = format!("name={name}&message={}", message.replace(' ', "+"));
        let url = self.plan.url();
        say(&format!("{name} writes into the guest book."));
        show(&format!("curl -d '{form}' {url}"))?;
        ureq::post(&url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .send(&form)
            .map(drop)
            .map_err(|error| self.failed(&format!("the guest book did not take a row: {error}")))
    }

    /// Runs one of our commands, and shows what it says.
    fn run(&self, why: &str, words: &[&str]) -> Result<(), Failure> {
        self.refuse_left()?;
        say(why);
        let typed = shlex::try_join(words.iter().copied()).unwrap_or_else(|_| words.join(" "));
        show(&format!("litekeeper {typed}"))?;
        let mut command = Command::new(&self.program);
        command.args(words);
        settle(&mut command, self.folder.path());
        let done = oneshot::run(&mut command, self.folder.path(), &self.cancel, Some(PATIENCE))
            .map_err(|error| self.failed(&format!("`litekeeper {typed}`: {error}")))?;
        printer::data(&done.stderr)?;
        printer::data(&done.stdout)?;
        match done.status.success() {
            true => Ok(()),
            false => Err(self.failed(&format!("`litekeeper {typed}` ended with {}", done.status))),
        }
    }

    /// Asks the past without a restore, where there is what that needs.
    fn query(&self, before: &str) -> Result<(), Failure> {
        match app_env::extension(None, self.folder.path(), None) {
            Ok(_) => self.run(
                "The replica can be asked where it is as well, at any time that it goes back to: nothing is restored.",
                &["query", DATABASE, "--at", before, "SELECT name, message FROM entries"],
            ),
            Err(_) => {
                say(
                    "`litekeeper query` asks the same of the replica in SQL, without a restore, once `litekeeper install --vfs` has got Litestream's extension of SQLite.",
                );
                Ok(())
            }
        }
    }

    fn show_rows(&self) -> Result<(), Failure> {
        show(&format!("sqlite3 {COPY} 'SELECT name, message FROM entries'"))?;
        let rows = rows(&self.folder.path().join(COPY));
        let rows = rows.map_err(|error| self.failed(&format!("{COPY} cannot be read: {error}")))?;
        rows.iter().try_for_each(|row| printer::data(&format!("{row}\n")))
    }

    fn end(mut self) -> Result<(), Failure> {
        self.refuse_left()?;
        say(
            "Stopped with TERM, the keeper stops the app first, and ends once the last row is on the replica.",
        );
        show(&format!("kill {}", self.keeper.0.id()))?;
        match self.keeper.stop() {
            Some(ended) if ended.success() => {}
            ended => {
                let how = ended.map_or("no end".to_owned(), |ended| ended.to_string());
                return Err(self.failed(&format!("the keeper was stopped, with {how}")));
            }
        }
        say(
            "Nothing of this is left. `litekeeper demo` is the same to play with, `litekeeper init` is for your own app.",
        );
        Ok(())
    }

    fn refuse_left(&self) -> Result<(), Failure> {
        match self.cancel.load(Ordering::Relaxed) {
            true => Err(self.failed("the tour was left")),
            false => Ok(()),
        }
    }

    /// A failure with what the keeper said last, which goes with the folder.
    fn failed(&self, what: &str) -> Failure {
        let mut said = String::new();
        let log = open::file(&self.folder.path().join(LOG));
        // Without it, there is nothing more to say.
        let _ = log.and_then(|file| file.take(1 << 20).read_to_string(&mut said));
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        let lines = std::iter::once(what).chain(last.into_iter().rev());
        Failure::lines(ExitCode::UNAVAILABLE, lines)
            .hinted(Some("`litekeeper check` says what is wrong with this machine; the tour needs Litestream 0.5.9 or later, which `litekeeper install` gets"))
    }
}

/// The keeper, which is stopped in order whatever happens.
struct Keeper(Child);

impl Keeper {
    /// In a group of its own: a Ctrl-C is the tour's.
    fn start(mut command: Command, log: &File) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?).process_group(0);
        command.spawn().map(Self)
    }

    fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Stops it, and says how it ended; killed if it does not.
    fn stop(&mut self) -> Option<std::process::ExitStatus> {
        if let Some(ended) = self.ended() {
            return Some(ended);
        }
        signal::send(self.0.id().cast_signed(), nix::libc::SIGTERM);
        let began = Instant::now();
        while began.elapsed() < STOP {
            if let Some(ended) = self.ended() {
                return Some(ended);
            }
            std::thread::park_timeout(POLL);
        }
        // It is gone already, else.
        let _ = self.0.kill();
        self.0.wait().ok()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Has a command start in the tour's folder, with the configuration there and no other.
fn settle(command: &mut Command, folder: &Path) {
    command.current_dir(folder).env("LITEKEEPER_CONFIG", folder.join("litestream.yml"));
    command.env("LITEKEEPER_NO_EXPAND_ENV", "true");
    // What a verification leaves for later goes with the tour.
    command.env("STATE_DIRECTORY", folder);
}

fn rows(database: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut rows = connection.prepare("SELECT name, message FROM entries ORDER BY id")?;
    rows.query_map([], |row| Ok(format!("{}|{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
        .collect()
}

/// Now, as `--timestamp` takes it, in whole milliseconds: as Litestream's files have it.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Tells what comes.
fn say(text: &str) {
    // What a full disk does not take, the next command says.
    let _ = printer::data(&format!("\n{text}\n"));
}

/// Shows what is typed.
fn show(line: &str) -> Result<(), Failure> {
    printer::data(&format!("$ {}\n", foreign::line(line)))
}

fn unwritten(error: io::Error) -> Failure {
    Failure::new(ExitCode::UNAVAILABLE, format!("no private folder for the tour: {error}"))
        .hint("set TMPDIR to a folder that this user may write to")
}
