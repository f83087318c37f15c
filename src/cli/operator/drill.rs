//! `litekeeper drill`: a whole recovery in another place, with a record for those who must prove that it works.
//!
//! Each database is restored as `restore` does it, and looked at: by SQLite, by its tables' rows, and by a sum of all its bytes. What runs
//! meanwhile is not asked, and what is replicated is not written to.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use indicatif::MultiProgress;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::args;
use super::asker::Asker;
use super::candidate::Candidate;
use super::folders;
use super::opened::{self, Opened};
use super::private_file::Pending;
use super::reach;
use super::shown::{self, Lines};
use super::target::{self, Over, Place};
use super::verdict::{Bad, Verdict};
use super::verifier;
use crate::backup::{self, Brought, Errand, Manner, Restorer};
use crate::cli::{one_shot, process};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder::Users;
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::os::dir;
use crate::os::here::Here;
use crate::os::screen;
use crate::printer::{self, Format};
use crate::sqlite::check;
use crate::sqlite::sentinel::Rows;

/// Recovers all databases in another place.
///
/// # Errors
/// One of them could not be; all are reported, and recorded.
pub(in crate::cli) fn drill(args: &args::Drill) -> Result<ExitCode, Failure> {
    printer::start(Format::Text, tracing::Level::INFO);
    let cwd = process::current_dir()?;
    let record = args.record.as_ref().map(|file| cwd.join(file));
    record.iter().try_for_each(|file| refuse_there(file, args.force))?;
    dir::keep_to_ourselves();
    let opened = opened::open(&args.given, None)?;
    record.iter().try_for_each(|file| target::refuse_ours(&opened, file))?;
    let inventory = opened.inventory();
    let chosen = folders::choose(&args.dbs, &opened, &inventory, args.timeout)?;
    let targets = match &args.to_dir {
        Some(folder) => targets(&opened, &chosen, cwd.join(folder))?.into_iter().map(Some).collect(),
        None => vec![None; chosen.len()],
    };
    let pending = match &record {
        Some(file) => Some(Pending::begin(file).map_err(|error| unwritten(file, &error))?),
        None => None,
    };
    let began = Timestamp::now();
    let (litestream, databases) = one_shot::block_on(async |children| {
        let asker = Asker::start(&opened, children).await.map_err(Verdict::of_setup)?;
        let apart = asker.apart(&inventory, &chosen).map_err(Verdict::of_setup)?;
        let settings = &opened.said.layers.args;
        let options = if asker.version.plans() { vec!["-json".into()] } else { Vec::new() };
        let manner = Manner { options, point: Vec::new(), depth: args.integrity_check.depth() };
        let restorer = Restorer { manner: manner.into(), ..asker.restorer(settings, apart, args.timeout) };
        let parallel = args.parallel.unwrap_or(settings.restore_parallel);
        let drill = Drill { asker: &asker, restorer, users: Users::now() };
        Ok::<_, Failure>((asker.version.to_string(), drill.all(&chosen, &targets, parallel).await))
    })??;
    let report = Report { began, ended: Timestamp::now(), litestream, databases };
    let recorded = match (pending, &record) {
        (Some(pending), Some(file)) => pending
            .put(&format!("{:#}\n", report.json()), args.force)
            .map_err(|error| unwritten(file, &error)),
        (Some(_), None) | (None, _) => Ok(()),
    };
    report.print(args)?;
    report.end(recorded.err())
}

/// A record that is there is somebody's proof.
fn refuse_there(file: &Path, force: bool) -> Result<(), Failure> {
    let hint = "--force writes over a file, --record names another one";
    match file.symlink_metadata() {
        Ok(found) if found.is_dir() => {
            Err(Failure::new(ExitCode::USAGE, format!("{} is a folder", file.display())).hint(hint))
        }
        Ok(found) if !found.is_file() => {
            Err(Failure::new(ExitCode::USAGE, format!("{} is no ordinary file", file.display())).hint(hint))
        }
        Ok(_) if !force => {
            let message = format!("{} is there already, and was left as it is", file.display());
            Err(Failure::new(ExitCode::USAGE, message).hint(hint))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// It says nothing of the backups.
fn unwritten(file: &Path, error: &std::io::Error) -> Failure {
    let message = format!("{}: the record cannot be written: {error}", file.display());
    Failure::new(Verdict::Inconclusive.exit(), message).hint("--record names another file, --json prints it")
}

/// Where each is to be; nowhere where a database is, or would be.
fn targets(opened: &Opened, chosen: &[Candidate], folder: PathBuf) -> Result<Vec<Database>, Failure> {
    let targets = Place::Folder(folder).targets(chosen);
    targets.iter().try_for_each(|target| target::refuse_inside(opened, &target.path))?;
    match targets.iter().find(|target| target::is_live(opened, &target.path)) {
        None => Ok(targets),
        Some(target) => {
            let message =
                format!("{}: that is where a database of this configuration is", target.path.display());
            Err(Failure::new(ExitCode::USAGE, message)
                .hint("a drill is done beside them: name another folder with --to-dir; `litekeeper restore` puts one in its place"))
        }
    }
}

/// How it is done.
struct Drill<'a> {
    asker: &'a Asker,
    restorer: Restorer,
    users: Users,
}

impl Drill<'_> {
    /// Recovers each; one that fails stops no other.
    async fn all(&self, chosen: &[Candidate], targets: &[Option<Database>], parallel: usize) -> Vec<Drilled> {
        let bars = screen::bars();
        let each =
            chosen.iter().zip(targets).map(|(one, target)| self.one(one, target.as_ref(), bars.as_ref()));
        stream::iter(each).buffered(parallel.max(1)).collect().await
    }

    async fn one(&self, one: &Candidate, target: Option<&Database>, bars: Option<&MultiProgress>) -> Drilled {
        let mut drilled = Drilled::new(one, target);
        let judged = self.recover(one, target, bars, &mut drilled).await;
        drilled.bad = judged.err();
        drilled
    }

    async fn recover(
        &self,
        one: &Candidate,
        target: Option<&Database>,
        bars: Option<&MultiProgress>,
        drilled: &mut Drilled,
    ) -> Result<(), Bad> {
        let db = &one.db;
        // It goes at the end, whatever that is.
        let (target, _private) = match target {
            Some(target) => (self.free(target)?, None),
            None => {
                let private = verifier::private(db)?;
                (backup::target(private.path("restored.db"), db), Some(private))
            }
        };
        let errand = Errand { db: db.clone(), target, replaces: false };
        let began = Instant::now();
        let brought = match self.restorer.bring_one(&errand, bars).await {
            Ok(Some(brought)) => brought,
            Ok(None) => return Err(nothing(db)),
            Err(error) => return Err(verifier::of_error(&error)),
        };
        drilled.took = Some(began.elapsed());
        drilled.brought = Some(brought);
        drilled.depth = Some(self.restorer.manner.depth.word());
        let file = &errand.target.path;
        drilled.rows = Some(self.rows(db, file).await?);
        drilled.sha256 = Some(self.sum(db, file).await?);
        drilled.window = self.window(one).await;
        Ok(())
    }

    /// A place where nothing stands.
    fn free(&self, target: &Database) -> Result<Database, Bad> {
        let over = Over { if_missing: false, force: false };
        match target::look(target, over, &self.users) {
            Ok(_) => Ok(target.clone()),
            Err(failure) => {
                let is_taken = failure.exit == ExitCode::UNAVAILABLE;
                let other = failure.hint.as_deref().filter(|_| !is_taken);
                let hint = other.unwrap_or("name a folder with --to-dir that is empty");
                Err(Verdict::Inconclusive.because(&failure.message, hint))
            }
        }
    }

    /// The rows of each of its tables.
    async fn rows(&self, db: &Database, file: &Path) -> Result<Rows, Bad> {
        let args = ["__sentinel".into(), "look".into(), file.into(), "".into()];
        let counted = self.asker.runner.ask_own_busy(&args, Vec::new(), self.restorer.timeout).await;
        let rows = counted.and_then(|printed| {
            serde_json::from_str(&printed).map_err(|error| format!("no answer: {error}"))
        });
        rows.map_err(|why| {
            let is_spoiled = check::is_said_of_damage(&why);
            let verdict = if is_spoiled { Verdict::NotRestorable } else { Verdict::Inconclusive };
            let what = format!("{}: what was restored cannot be counted: {why}", db.path.display());
            verdict.because(what, "`--integrity-check full` says more of what is in it")
        })
    }

    /// The SHA-256 of all its bytes.
    async fn sum(&self, db: &Database, file: &Path) -> Result<String, Bad> {
        let args = ["__digest".into(), file.into()];
        let sum = self.asker.runner.ask_own_busy(&args, Vec::new(), self.restorer.timeout).await;
        sum.map(|printed| printed.trim().to_owned()).map_err(|why| {
            let what = format!("{}: what was restored cannot be read: {why}", db.path.display());
            Verdict::Inconclusive.because(what, "see what stands in the way of reading it")
        })
    }

    /// Which times can be restored, as the replica lists its files; that it does not is no fault of what was restored.
    async fn window(&self, one: &Candidate) -> Option<(String, String)> {
        let (config, env) = self.restorer.apart.get(&one.db.path)?;
        let runner = Runner { env: env.clone(), ..self.asker.runner.clone() };
        match reach::backup_of(self.asker.version, &runner, config, one, self.restorer.timeout).await {
            Ok(found) => found.window,
            Err(why) => {
                printer::note(&format!(
                    "{}: which times can be restored is not known: {why}",
                    one.db.path.display()
                ));
                None
            }
        }
    }
}

fn nothing(db: &Database) -> Bad {
    let what = format!("{}: {} holds no backup", db.path.display(), db.replica);
    Verdict::NotRestorable
        .because(what, "if there should be one, the place is wrong; `litekeeper databases` shows it")
}

/// What came of one.
struct Drilled {
    path: PathBuf,
    alias: Option<String>,
    replica: String,
    /// Where it was left.
    output: Option<PathBuf>,
    brought: Option<Brought>,
    took: Option<Duration>,
    depth: Option<&'static str>,
    rows: Option<Rows>,
    sha256: Option<String>,
    window: Option<(String, String)>,
    bad: Option<Bad>,
}

impl Drilled {
    /// One that was not looked at yet.
    fn new(one: &Candidate, target: Option<&Database>) -> Self {
        Self {
            path: one.db.path.clone(),
            alias: one.aliases.first().cloned(),
            replica: one.db.replica.clone(),
            output: target.map(|target| target.path.clone()),
            brought: None,
            took: None,
            depth: None,
            rows: None,
            sha256: None,
            window: None,
            bad: None,
        }
    }

    fn verdict(&self) -> Verdict {
        self.bad.as_ref().map_or(Verdict::InSync, |bad| bad.verdict)
    }

    fn txid(&self) -> Option<String> {
        self.brought.as_ref()?.txid.map(argv::txid_text)
    }

    fn bytes(&self) -> Option<u64> {
        self.brought.as_ref().map(|brought| brought.size)
    }

    fn tables(&self) -> Option<usize> {
        self.rows.as_ref().map(|rows| rows.tables.len())
    }

    fn json(&self) -> Value {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let said = |brought: &Brought| brought.said.clone().unwrap_or_else(|| "ok".to_owned());
        json!({
            "path": text(&self.path),
            "alias": self.alias,
            "replica": self.replica,
            "output": self.brought.as_ref().and(self.output.as_ref()).map(text),
            "verdict": word(self.verdict()),
            "txid": self.txid(),
            "duration_ms": self.took.map(shown::milliseconds),
            "bytes": self.bytes(),
            "sha256": self.sha256,
            "integrity": self.depth,
            "integrity_result": self.brought.as_ref().map(said),
            "tables": self.tables(),
            "rows": self.rows.as_ref().map(Rows::all),
            "restorable": self.window.as_ref().map(|(from, to)| json!({"from": from, "to": to})),
            "error": self.bad.as_ref().map(|bad| &bad.failure.message),
        })
    }

    fn add_to(&self, lines: &mut Lines) {
        let window = self.window.as_ref().map(|(from, to)| format!("{from} to {to}"));
        let first = [self.path.to_string_lossy().into_owned(), word(self.verdict()).to_owned()];
        let rest = [
            shown::known(self.txid()),
            shown::size(self.bytes()),
            shown::took(self.took),
            shown::known(self.depth),
            shown::number(self.tables()),
            shown::number(self.rows.as_ref().map(Rows::all)),
            shown::known(window),
        ];
        lines.add(self.verdict().paint(), first.into_iter().chain(rest));
    }
}

/// As it is called here, where nothing is compared.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::InSync => "restorable",
        Verdict::Inconclusive | Verdict::OutOfSync | Verdict::NotRestorable => verdict.word(),
    }
}

/// What is written down.
struct Report {
    began: Timestamp,
    ended: Timestamp,
    litestream: String,
    databases: Vec<Drilled>,
}

impl Report {
    fn verdict(&self) -> Verdict {
        self.databases.iter().map(Drilled::verdict).max().unwrap_or(Verdict::InSync)
    }

    fn json(&self) -> Value {
        json!({
            "started_at": self.began.to_string(),
            "ended_at": self.ended.to_string(),
            "host": Here::now().host,
            "litekeeper": env!("CARGO_PKG_VERSION"),
            "litestream": self.litestream,
            "verdict": word(self.verdict()),
            "databases": self.databases.iter().map(Drilled::json).collect::<Vec<_>>(),
        })
    }

    fn print(&self, args: &args::Drill) -> Result<(), Failure> {
        if args.json {
            return shown::json(&self.json());
        }
        let mut lines = Lines::new([
            "DATABASE",
            "VERDICT",
            "TXID",
            ">SIZE",
            ">TIME",
            "INTEGRITY",
            ">TABLES",
            ">ROWS",
            "RESTORABLE",
        ]);
        self.databases.iter().for_each(|one| one.add_to(&mut lines));
        lines.print("no database")
    }

    /// Ends with the worst of it.
    fn end(&self, unrecorded: Option<Failure>) -> Result<ExitCode, Failure> {
        let bad = self.databases.iter().filter_map(|one| one.bad.as_ref()).map(|bad| &bad.failure);
        let all: Vec<&Failure> = bad.chain(&unrecorded).collect();
        if all.is_empty() {
            return Ok(ExitCode::OK);
        }
        Err(Failure::all(self.verdict().max(Verdict::Inconclusive).exit(), all))
    }
}
