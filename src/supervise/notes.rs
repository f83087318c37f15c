//! The machine's decisions in an operator's words: what happened, to what, what is done now.

use std::time::Duration;

use crate::core::{Db, Ended, ExitCode, NotStarted, Note, OnLag};
use crate::error::Failure;
use crate::litestream::database::Database;
use crate::litestream::replica_error::ReplicaError;
use crate::os::signal;

/// How many databases are named at once.
const SHOWN: usize = 3;

/// What the words need to know.
pub(super) struct Names<'a> {
    /// The databases.
    pub(super) dbs: &'a [(Db, Database)],
    /// Those that are not there, where that matters.
    pub(super) absent: Vec<Db>,
    /// The app's program.
    pub(super) app: String,
    /// The program that was started last: the app's or a one-shot command's.
    pub(super) started: String,
    /// The one-shot commands.
    pub(super) before: Vec<String>,
    /// What may still bring databases: folders that are watched, and a resolver.
    pub(super) sources: Vec<String>,
    /// The latest reason that anybody gave.
    pub(super) reason: Option<String>,
    /// The whole stop budget.
    pub(super) stop_timeout: Duration,
    /// How long the gate waits for an answer.
    pub(super) gate_timeout: Duration,
    /// The policy for a lag.
    pub(super) on_lag: OnLag,
    /// Why something was killed, behind the word that it was.
    pub(super) why_killed: &'static str,
}

/// Whether a note tells that SIGKILL ended the app.
pub(super) fn tells_of_sigkill(note: &Note) -> bool {
    let killed = Ended::Signal(nix::libc::SIGKILL);
    matches!(note, Note::AppEnded(how) | Note::AppRestart(how, _) | Note::AppGivenUp(how) | Note::BeforeFailed(_, how) if *how == killed)
}

/// Whether a note may tell of databases that Litestream does not have, or has no more.
pub(super) fn tells_of_others(note: &Note) -> bool {
    matches!(note, Note::NotTakenIn(_) | Note::NotReplicated(_) | Note::Lagging(..) | Note::EndingNow(_))
}

/// Whether a note says which databases are not there.
pub(super) fn tells_of_absent(note: &Note) -> bool {
    matches!(note, Note::GateOpened | Note::GateTimeout | Note::NotUp)
}

impl Names<'_> {
    fn database(&self, db: Db) -> Option<&Database> {
        self.dbs.iter().find(|(other, _)| *other == db).map(|(_, database)| database)
    }

    fn of(&self, db: Db) -> (String, &str) {
        match self.database(db) {
            Some(database) => (database.path.display().to_string(), &database.replica),
            None => ("a database that is gone".to_owned(), "its replica"),
        }
    }
}

/// Writes one line.
#[expect(clippy::too_many_lines, reason = "one table of words")]
pub(super) fn log(note: &Note, names: &Names<'_>) {
    let app = &names.app;
    match note {
        Note::AppEnded(how) => tracing::info!("{app} {}{}", ended(*how), names.why_killed),
        Note::AppRestart(how, delay) => {
            tracing::warn!(
                "{app} {}{}: starting it again in {}",
                ended(*how),
                names.why_killed,
                millis(*delay)
            );
        }
        Note::AppGivenUp(how) => {
            tracing::error!(
                "{app} {}{}, too often: giving up (--start-limit, --start-window)",
                ended(*how),
                names.why_killed
            );
        }
        Note::LeftBehind(count, how) => left_behind(*count, *how, names),
        Note::AppNotStarted(why) => {
            let what = match why {
                // With the database that it would begin anew.
                NotStarted::WithoutDatabase => "is not started",
                NotStarted::NotFound => "command not found",
                NotStarted::NotExecutable => "cannot be executed",
            };
            let reason = names.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            tracing::error!("{}: {what}{reason}", names.started);
        }
        Note::BeforeFailed(place, how) => {
            let command = names.before.get(*place).map_or("", String::as_str);
            tracing::error!("--before {command} {}{}: {app} is not started", ended(*how), names.why_killed);
        }
        Note::LitestreamDied => {
            tracing::error!("litestream ended{}: {app} is stopped until it is back", because(names))
        }
        Note::ShimDied => tracing::error!("the shim was killed, and {app} with it: starting all again"),
        Note::LitestreamAsked => {
            tracing::warn!("somebody told litestream to stop: stopping {app}, then starting both again");
        }
        Note::Diverged(db) => tracing::warn!(
            "{}: litestream has lost track of the WAL{}: it has to start again with a new snapshot, and so has {app} if it runs",
            names.of(*db).0,
            because(names)
        ),
        Note::Stalled(db) => {
            let then = match names.on_lag {
                OnLag::Warn => "only this line says so (--on-lag)".to_owned(),
                OnLag::Unready | OnLag::Stop => format!("stopping {app}, then starting both again"),
            };
            let (path, replica) = names.of(*db);
            tracing::error!("{path}: {replica} answers, and litestream does not go on with it: {then}");
        }
        Note::LitestreamRestart(delay) => {
            tracing::warn!("starting litestream and {app} again in {}", millis(*delay))
        }
        Note::LitestreamNotStarted => tracing::error!("litestream could not be started{}", because(names)),
        Note::LitestreamGivenUp => tracing::error!(
            "litestream failed too often{}: giving up; what was written since the last confirmation may not be on the replica",
            because(names)
        ),
        Note::DrainRelaunch => {
            tracing::warn!(
                "litestream has ended with changes that no replica confirmed: starting it again to drain them"
            );
        }
        Note::DrainAfresh => tracing::warn!(
            "the replica answers, and litestream does not go on: ending it for a fresh one to drain"
        ),
        Note::LaunchTimeout => tracing::error!("litestream did not come up in time: killing it"),
        Note::GateOpened => tracing::info!("{}", replicating(names)),
        Note::GateWaiting(since) => tracing::info!(
            "{app} is waiting: the first sync to the replica has taken {} s so far{}",
            since.as_secs(),
            because(names)
        ),
        Note::GateTimeout => {
            tracing::error!("no replica confirmed in time (--gate-timeout){}", because(names))
        }
        Note::GateRefused => tracing::error!("the replica refuses{}", because(names)),
        Note::Lagging(db, age) => lagging(*db, *age, names),
        // It takes a look at what the app has open, see `missing::tell`.
        Note::Missing(_) => {}
        Note::StillMissing(db, age) => tracing::error!(
            "{} has not been there for {} s, so nothing is replicated of it: {} (--on-lag)",
            names.of(*db).0,
            age.as_secs(),
            consequence(names)
        ),
        Note::Made(db) => {
            let (path, replica) = names.of(*db);
            tracing::info!("{path} is there now: replicating it -> {replica}");
        }
        Note::CaughtUp(db) => {
            let (path, replica) = names.of(*db);
            tracing::info!("{path}: {replica} has caught up");
        }
        Note::Replaced(db) => tracing::error!(
            "{}: the file was deleted or replaced, and litestream does not replicate the new one: restart litekeeper",
            names.of(*db).0
        ),
        Note::Stopping => {}
        Note::NotUp if names.absent.len() == names.dbs.len() => {}
        Note::NotUp => tracing::warn!(
            "stopped before it was confirmed that everything is there: {}; what an earlier run did not get to its replica \
             is on this machine alone, until a start gets that far",
            all(names)
        ),
        Note::GraceOver(share) => tracing::warn!(
            "{app} did not stop within its share of --stop-timeout ({} s), which is {} s: killing it",
            names.stop_timeout.as_secs_f32(),
            share.as_secs_f32()
        ),
        Note::GraceSkipped => tracing::warn!("told to stop again: killing {app}; the drain still happens"),
        Note::LockLost(db) => tracing::error!(
            "{}: another keeper has its lock, which somebody had removed: stopping {app}",
            names.of(*db).0
        ),
        Note::Doubled(db) => {
            tracing::error!("{}: another litestream replicates it as well: stopping {app}", names.of(*db).0);
        }
        Note::LeaseLost(db, left) => {
            let place = db.map_or_else(
                || "another machine has taken over a place that several databases have in common".to_owned(),
                |db| {
                    let (path, replica) = names.of(db);
                    format!("{path}: another machine has taken over {replica}")
                },
            );
            let left = on_this_machine(left, names);
            tracing::error!(
                "{place}: {app} and litestream are ended at once, and nothing more is uploaded{left}"
            );
        }
        Note::LeaseOver(left) => {
            let left = on_this_machine(left, names);
            tracing::error!(
                "the time of the lease is over without a word of the server, and another machine may have its place: {app} and litestream are ended \
                 at once, and nothing more is uploaded{left}"
            );
        }
        Note::ShimStuck => {
            tracing::warn!("{app} does not die, perhaps because its shim is stopped: killing both")
        }
        Note::TreeStuck => tracing::error!(
            "some process of {app} cannot be killed, and may go on writing after the last confirmation"
        ),
        Note::Drained => tracing::info!("everything is on the replica"),
        Note::NeverMade { dbs, rest } => {
            let rest = if *rest { "; all other databases are on their replicas" } else { "" };
            let paths: Vec<_> = dbs.iter().take(SHOWN).map(|db| names.of(*db).0).collect();
            let (paths, were) = match dbs.len() {
                1 => (paths.join(""), "was"),
                n if n <= SHOWN => (paths.join(", "), "were"),
                n => (format!("{} and {} more", paths.join(", "), n - SHOWN), "were"),
            };
            tracing::warn!("{paths} {were} never made: nothing was replicated{rest}");
        }
        Note::NotDrained(dbs) => {
            let is_gone = |db: &&Db| names.database(**db).is_some_and(|database| !database.exists());
            let gone: Vec<Db> = dbs.iter().filter(is_gone).copied().collect();
            let rest = match gone.len() {
                0 => "the local files have it, and the next start that gets as far as its replica uploads it".to_owned(),
                all if all == dbs.len() => {
                    "the database is not there any more, so what is missing there is lost unless the file is put back; the next start restores the backup".to_owned()
                }
                _ => format!(
                    "the local files have it but for what is not there any more ({}); the next start uploads it, and restores the rest",
                    listed(&gone, names)
                ),
            };
            tracing::error!(
                "not everything is on the replica{}: {}; {rest}",
                because(names),
                listed(dbs, names)
            );
        }
        Note::NotTakenIn(dbs) => tracing::error!(
            "not everything is on the replica: {}: litestream could not take in what a source named, and what was written there \
             since is on this machine alone",
            listed(dbs, names)
        ),
        Note::NotReplicated(dbs) => tracing::error!(
            "deleted or replaced while {app} ran, so what was written last is not on the replica: {}",
            listed(dbs, names)
        ),
        Note::StillOwed(dbs) => tracing::error!(
            "what an earlier run wrote is still on this machine alone: {}; the next start that gets as far as its replica uploads it",
            listed(dbs, names)
        ),
        Note::CloseTimeout => tracing::warn!("litestream did not end in time: killing it"),
        Note::EndingNow(dbs) if dbs.is_empty() => {
            tracing::warn!("told to stop a third time: ending everything")
        }
        Note::EndingNow(dbs) => tracing::error!(
            "told to stop a third time: ending everything; not confirmed on the replica: {}",
            listed(dbs, names)
        ),
    }
}

/// What may be nowhere else, as the end of a line.
fn on_this_machine(left: &[Db], names: &Names<'_>) -> String {
    if left.is_empty() {
        return String::new();
    }
    format!("; on this machine alone may be the last rows of {}", listed(left, names))
}

/// A daemon's first process ends at once, and with it the unit: without this line nobody knows why.
fn left_behind(count: u32, how: Ended, names: &Names<'_>) {
    let (what, are) =
        if count == 1 { ("one process".to_owned(), "is") } else { (format!("{count} processes"), "are") };
    let advice = match how {
        Ended::Code(0) => {
            ": run it in the foreground, so that its end is the end of all (no `--daemon`, no `&`)"
        }
        Ended::Code(_) | Ended::Signal(_) => "",
    };
    tracing::warn!("{} left {what} behind, which {are} stopped{advice}", names.started);
}

/// The end of a start whose gate got no answer, neither a good one nor a refusal.
pub(super) fn not_confirmed(names: &Names<'_>) -> Failure {
    let kind = names.reason.as_deref().map_or(ReplicaError::Unreachable, ReplicaError::of);
    let message =
        format!("{}: not confirmed within {}{}", all(names), millis(names.gate_timeout), because(names));
    let is_s3 = names.dbs.iter().any(|(_, database)| database.replica.starts_with("s3:"));
    Failure::new(ExitCode::UNAVAILABLE, message).hint(kind.asked_of(is_s3).hint())
}

/// What a lag leads to.
fn consequence(names: &Names<'_>) -> &'static str {
    use crate::core::OnLag;
    match names.on_lag {
        OnLag::Warn => "only this line says so",
        OnLag::Unready => "not ready until it has caught up",
        OnLag::Stop => "stopping",
    }
}

/// What is replicated from now on, and what is not there yet.
fn replicating(names: &Names<'_>) -> String {
    let missing: Vec<_> = names.absent.iter().take(SHOWN).map(|db| names.of(*db).0).collect();
    let missing = match names.absent.len() {
        0 => return format!("replicating {}", all(names)),
        n if n <= SHOWN => missing.join(", "),
        n => format!("{} and {} more", missing.join(", "), n - SHOWN),
    };
    if names.absent.len() == names.dbs.len() {
        return format!("nothing to replicate yet: waiting for the app to make {missing}");
    }
    format!("replicating {}; waiting for the app to make {missing}", all(names))
}

fn lagging(db: Db, age: Duration, names: &Names<'_>) {
    let (db, replica) = names.of(db);
    let now = consequence(names);
    tracing::error!(
        "{db}: {replica} has not confirmed a change for {} s{}: {now} (--on-lag)",
        age.as_secs(),
        because(names)
    );
}

fn listed(dbs: &[Db], names: &Names<'_>) -> String {
    let each = dbs.iter().map(|db| names.of(*db)).map(|(path, replica)| format!("{path} -> {replica}"));
    each.collect::<Vec<_>>().join(", ")
}

/// The first few: a line for a thousand tenants helps nobody.
fn all(names: &Names<'_>) -> String {
    let dbs: Vec<Db> = names.dbs.iter().map(|(db, _)| *db).filter(|db| !names.absent.contains(db)).collect();
    match dbs.len() {
        0 if names.sources.is_empty() => "nothing: no database is configured".to_owned(),
        0 => format!("nothing yet: {}", names.sources.join("; ")),
        n if n <= SHOWN => listed(&dbs, names),
        n => format!("{} and {} more", listed(&dbs[..SHOWN], names), n - SHOWN),
    }
}

fn because(names: &Names<'_>) -> String {
    names.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"))
}

fn ended(how: Ended) -> String {
    match how {
        Ended::Code(code) => format!("ended with code {code}"),
        Ended::Signal(number) => format!("was ended by SIG{}", signal::name(number)),
    }
}

fn millis(delay: Duration) -> String {
    if delay < Duration::from_secs(1) {
        format!("{} ms", delay.as_millis())
    } else {
        format!("{:.1} s", delay.as_secs_f32())
    }
}
