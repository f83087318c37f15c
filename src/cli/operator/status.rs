//! `litekeeper status`: whether an app's databases are on their replicas, as far as that can be known from outside of the keeper: by
//! what it left in the lock, its Litestream's socket, the files, and the replica itself.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::args;
use super::asker::{Asker, NAMELESS};
use super::candidate::{self, Candidate};
use super::keeper::{self, Running};
use super::lists::File;
use super::opened::Opened;
use super::shown::{self, Lines};
use crate::backup::{self, Apart};
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::holder::Holder;
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::control::{self, Info};
use crate::litestream::database::with_suffix;
use crate::litestream::ltx;
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;
use crate::os::permit;
use crate::printer::{self, Paint};
use crate::secrets;

/// So many databases are asked about at a time.
const PARALLEL: usize = 8;
/// Something is not as it should be.
const UNHEALTHY: ExitCode = ExitCode::of_app(1);
/// Litestream 0.3 copies once a second, and its times are whole seconds.
const COPYING: SignedDuration = SignedDuration::from_secs(3);
/// No keeper runs.
const NOT_RUNNING: ExitCode = ExitCode::of_app(3);

/// Says how the databases are.
///
/// # Errors
/// What is wrong with the settings, or with Litestream.
pub(in crate::cli) fn status(args: &args::Status) -> Result<ExitCode, Failure> {
    if args.nagios {
        return nagios(args);
    }
    let Some(every) = args.watch else {
        let seen = Seen::look(args)?;
        return seen.print(args.json).map(|()| seen.exit());
    };
    loop {
        let seen = Seen::look(args)?;
        printer::clear();
        seen.print(args.json)?;
        // Nothing comes to no descriptor: this waits, and whoever has enough of it sends a signal.
        let millis = u16::try_from(every.as_millis()).unwrap_or(u16::MAX);
        let _ = nix::poll::poll(&mut [], millis);
    }
}

/// One line with performance data, and the exit codes of a check (<https://nagios-plugins.org/doc/guidelines.html>).
fn nagios(args: &args::Status) -> Result<ExitCode, Failure> {
    let seen = Seen::look(args);
    let (code, word, text, data) = match &seen {
        Ok(seen) => seen.nagios(),
        Err(failure) => {
            (3, "UNKNOWN", failure.message.lines().next().unwrap_or_default().to_owned(), String::new())
        }
    };
    let text = secrets::mask(&text).replace('|', "/");
    printer::data(&format!("LITEKEEPER {word} - {}{data}\n", foreign::line(&text)))?;
    Ok(ExitCode::of_app(code))
}

/// All that was seen.
struct Seen {
    keeper: Option<Holder>,
    litestream: Option<Info>,
    databases: Vec<Row>,
    /// How old a change may become.
    max_lag: Duration,
}

impl Seen {
    fn look(args: &args::Status) -> Result<Self, Failure> {
        let (opened, inventory, chosen) = candidate::chosen(&args.given, &args.dbs)?;
        let keepers: Vec<Option<Holder>> = chosen.iter().map(keeper::of).collect();
        let look = |children| async {
            let asker = Asker::start(&opened, children).await?;
            let apart = asker.apart(&inventory, &chosen)?;
            let each = chosen.iter().zip(&keepers).map(|(one, keeper)| {
                Row::of(&asker, (one, keeper.as_ref()), apart.get(&one.db.path), args.timeout)
            });
            let databases: Vec<Row> = stream::iter(each).buffered(PARALLEL).collect().await;
            let litestream = match keepers.iter().flatten().cloned().find_map(Running::of) {
                Some(running) => control::info(&running.socket, args.timeout, running.peers()).await.ok(),
                None => None,
            };
            Ok::<_, Failure>((databases, litestream))
        };
        let (databases, litestream) = one_shot::block_on(look)??;
        let keeper = keepers.iter().flatten().next().cloned();
        Ok(Self { keeper, litestream, databases, max_lag: max_lag(&opened) })
    }

    fn exit(&self) -> ExitCode {
        match &self.keeper {
            None => NOT_RUNNING,
            Some(_) if self.databases.iter().all(|one| one.is_well(self.max_lag)) => ExitCode::OK,
            Some(_) => UNHEALTHY,
        }
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return shown::json(&self.json());
        }
        let mut lines = Lines::new(["PROCESS", "PID", "VERSION", "STARTED"]);
        match &self.keeper {
            Some(keeper) => {
                let (pid, started) = (shown::number(keeper.pid), shown::known(keeper.started.clone()));
                lines.add(Paint::Good, ["keeper".to_owned(), pid, shown::unknown(), started]);
            }
            None => lines.add(Paint::Bad, ["keeper", "-", "-", "not running"].map(str::to_owned)),
        }
        if let Some(info) = &self.litestream {
            let started = shown::known(info.started_at.as_deref().and_then(shown::time));
            let (pid, version) = (shown::number(info.pid), shown::known(info.version.clone()));
            lines.add(Paint::Good, ["litestream".to_owned(), pid, version, started]);
        }
        lines.print("")?;
        printer::data("\n")?;
        let mut lines = Lines::new([
            "DATABASE",
            "STATE",
            ">SIZE",
            ">WAL",
            "TXID",
            "REPLICATED",
            ">LAG",
            "RESTORABLE",
            "ERROR",
        ]);
        self.databases.iter().for_each(|one| one.add_to(&mut lines, self.max_lag));
        lines.print("")
    }

    fn json(&self) -> Value {
        let keeper = self.keeper.as_ref().map(|keeper| {
            json!({
                "pid": keeper.pid,
                "version": null,
                "started_at": keeper.started,
                "phase": null,
                "ready": null,
                "reasons": [],
            })
        });
        let litestream = self.litestream.as_ref().map(|info| {
            json!({
                "pid": info.pid,
                "version": info.version,
                "started_at": info.started_at.as_deref().and_then(shown::time),
                "restarts": null,
                "last_exit": null,
            })
        });
        let databases: Vec<Value> = self.databases.iter().map(|one| one.json(self.max_lag)).collect();
        json!({"keeper": keeper, "app": null, "litestream": litestream, "databases": databases})
    }

    fn nagios(&self) -> (u8, &'static str, String, String) {
        let limit = self.max_lag.as_secs_f64();
        let of = |one: &Row| {
            let lag = one.lag.map_or_else(|| "U".to_owned(), |lag| format!("{:.1}s", lag.as_secs_f64()));
            let name = one.name().replace(['\'', '=', '|'], "_");
            let half = limit / 2.0;
            let size = one.size.map_or_else(|| "U".to_owned(), |size| format!("{size}B"));
            format!(" '{name} lag'={lag};{half:.1};{limit:.1};0 '{name} size'={size};;;0")
        };
        let data: String = self.databases.iter().map(of).collect();
        let data = format!(" |{}", foreign::line(&data));
        let bad: Vec<String> = self
            .databases
            .iter()
            .filter(|one| !one.is_well(self.max_lag))
            .map(|one| format!("{} {}", one.name(), one.told(self.max_lag)))
            .collect();
        let late =
            self.databases.iter().filter(|one| one.lag.is_some_and(|lag| lag * 2 > self.max_lag)).count();
        match &self.keeper {
            None => (2, "CRITICAL", "no keeper runs".to_owned(), data),
            Some(_) if !bad.is_empty() => (2, "CRITICAL", bad.join("; "), data),
            Some(_) if late > 0 => (1, "WARNING", format!("{late} databases lag"), data),
            Some(_) => (0, "OK", format!("{} databases replicated", self.databases.len()), data),
        }
    }
}

fn max_lag(opened: &Opened) -> Duration {
    opened.said.layers.args.max_lag
}

/// How a database compares with its backup.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The replica has all that there is, or what it has not is young.
    Replicated,
    /// What it has not is too old.
    Lagging,
    /// The file is not there.
    Missing,
    /// Nobody knows.
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Replicated => "replicated",
            Self::Lagging => "lagging",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of a database.
struct Row {
    path: String,
    alias: Option<String>,
    replica: Option<String>,
    has_keeper: bool,
    is_here: bool,
    size: Option<u64>,
    wal: Option<u64>,
    local: Option<Position>,
    replicated: Option<Position>,
    lag: Option<Duration>,
    restorable: Option<(String, String)>,
    error: Option<String>,
}

impl Row {
    async fn of(
        asker: &Asker,
        (one, keeper): (&Candidate, Option<&Holder>),
        apart: Option<&Apart>,
        limit: Duration,
    ) -> Self {
        let length = |path: &Path| permit::theirs(|| path.metadata()).ok().map(|found| found.len());
        let size = length(&one.db.path);
        let mut row = Self {
            path: one.db.path.to_string_lossy().into_owned(),
            alias: one.aliases.first().cloned(),
            replica: one.replicas.first().map(|(place, _)| place.clone()),
            has_keeper: keeper.is_some(),
            is_here: one.db.exists(),
            wal: length(&with_suffix(&one.db.path, "-wal")).or(size.map(|_| 0)),
            size,
            local: None,
            replicated: None,
            lag: None,
            restorable: None,
            error: None,
        };
        // What is in the WAL is in no file of Litestream's yet; without a keeper, or a socket, those files have to do.
        let running = keeper.filter(|_| asker.version.confirms() && row.is_here);
        if let Some(running) = running.cloned().and_then(Running::of) {
            let peers = running.peers();
            let synced = control::sync_locally_by(&running.socket, &one.db.path, limit, Some(&peers)).await;
            row.error = synced.err().map(|error| error.to_string());
        }
        row.local = position::local(asker.version, &one.db.meta);
        let Some((config, env)) = apart else {
            row.error = Some(NAMELESS.to_owned());
            return row;
        };
        let runner = Runner { env: env.clone(), ..asker.runner.clone() };
        match backup_of(asker.version, &runner, config, one, limit).await {
            Ok((replicated, restorable, lag)) => {
                (row.replicated, row.restorable, row.lag) = (replicated, restorable, lag);
            }
            Err(error) => {
                row.error.get_or_insert(error);
            }
        }
        if asker.version.is_ltx() {
            row.lag = row.lag(&one.db.meta);
        }
        row
    }

    /// The age of the oldest change that the replica has not.
    fn lag(&self, meta: &Path) -> Option<Duration> {
        let (local, replicated) = (self.local.as_ref()?, self.replicated.as_ref()?);
        if self.error.is_some() {
            return None;
        }
        if !local.is_behind(replicated) && !replicated.is_behind(local) {
            return Some(Duration::ZERO);
        }
        let (Position::Txid(_), Position::Txid(there)) = (local, replicated) else { return None };
        let folder = ltx::folder(meta);
        let written = permit::theirs(|| fs::read_dir(&folder)).ok()?.flatten().filter(|entry| {
            let name = entry.file_name();
            name.to_str().and_then(ltx::span).is_some_and(|span| span.end() > there)
        });
        let oldest = written.filter_map(|entry| entry.metadata().ok()?.modified().ok()).min()?;
        Some(SystemTime::now().duration_since(oldest).unwrap_or_default())
    }

    fn state(&self, max_lag: Duration) -> State {
        if !self.is_here {
            return State::Missing;
        }
        let (Some(local), Some(replicated), None) = (&self.local, &self.replicated, &self.error) else {
            return State::Unknown;
        };
        match self.lag {
            Some(lag) if lag > max_lag => State::Lagging,
            Some(_) => State::Replicated,
            // The replica has what this database has not.
            None if local.is_behind(replicated) => State::Unknown,
            None => State::Lagging,
        }
    }

    fn is_well(&self, max_lag: Duration) -> bool {
        match self.state(max_lag) {
            State::Replicated => self.has_keeper,
            State::Lagging | State::Missing | State::Unknown => false,
        }
    }

    fn name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.path)
    }

    /// What is wrong with it, in a few words.
    fn told(&self, max_lag: Duration) -> String {
        match &self.error {
            Some(error) => error.clone(),
            None if !self.has_keeper => "has no keeper".to_owned(),
            None => format!("is {}", self.state(max_lag).word()),
        }
    }

    fn json(&self, max_lag: Duration) -> Value {
        let restorable = self.restorable.as_ref().map(|(from, to)| json!({"from": from, "to": to}));
        json!({
            "path": self.path,
            "alias": self.alias,
            "replica": self.replica,
            "state": self.state(max_lag).word(),
            "size_bytes": self.size,
            "wal_bytes": self.wal,
            "txid": txid(self.local.as_ref()),
            "replicated_txid": txid(self.replicated.as_ref()),
            "lag_seconds": self.lag.map(|lag| lag.as_secs_f64()),
            "last_confirmed_at": null,
            "error": self.error,
            "restorable": restorable,
            "verified": null,
        })
    }

    fn add_to(&self, lines: &mut Lines, max_lag: Duration) {
        let state = self.state(max_lag);
        let paint = if self.is_well(max_lag) { Paint::Good } else { Paint::Bad };
        let lag = self.lag.map(|lag| format!("{:.1} s", lag.as_secs_f64()));
        let restorable = self.restorable.as_ref().map(|(from, to)| format!("{from} to {to}"));
        let (local, replicated) = (txid(self.local.as_ref()), txid(self.replicated.as_ref()));
        let sizes = [shown::size(self.size), shown::size(self.wal)];
        let rest = [local, replicated, lag, restorable, self.error.clone()].map(shown::known);
        let first = [self.name().to_owned(), state.word().to_owned()];
        lines.add(paint, first.into_iter().chain(sizes).chain(rest));
    }
}

/// A position as it is printed; one of Litestream 0.3 is none.
fn txid(position: Option<&Position>) -> Option<String> {
    match position? {
        Position::Txid(txid) => Some(argv::txid_text(*txid)),
        Position::Wal { .. } => None,
    }
}

/// What [`backup_of`] tells: the newest of it, from when to when it can be restored, and the lag, where Litestream itself says that.
type Backup = (Option<Position>, Option<(String, String)>, Option<Duration>);

/// As Litestream 0.3 tells it: how much younger the database's files are than what is at its replica, which tells that something is missing there
/// and not for how long; that is at most the age of what is there.
fn lag_of_old(lag: &str, to: &str) -> Option<Duration> {
    let lag: SignedDuration = lag.parse().ok()?;
    if lag <= COPYING {
        return Some(Duration::ZERO);
    }
    let age = Timestamp::now().duration_since(to.parse::<Timestamp>().ok()?);
    Some(age.unsigned_abs())
}

/// How far a backup is, and which times can be restored: by the files that lie there.
async fn backup_of(
    version: Version,
    runner: &Runner,
    config: &Path,
    one: &Candidate,
    limit: Duration,
) -> Result<Backup, String> {
    let shown = |error: backup::Error| error.to_string();
    if version.is_ltx() {
        let text = backup::files(runner, config, &one.db, limit).await.map_err(shown)?;
        let files = File::listed(&text);
        let newest = files.iter().map(|file| file.max).max().map(Position::Txid);
        // A restore begins with a file that begins with the first transaction.
        let begins = files.iter().filter(|file| file.min == 1).filter_map(|file| file.created.as_deref());
        let window = window(begins, files.iter().filter_map(|file| file.created.as_deref()));
        return Ok((newest, window, None));
    }
    let ask = async |command: &str| {
        let args = argv::list(command, config, &one.db.path, &[]);
        backup::listed(runner, &one.db, &args, limit).await.map_err(shown)
    };
    let newest = position::replicated(version, &ask("wal").await?);
    // name generation lag start end
    let text = ask("generations").await?;
    let rows: Vec<Vec<&str>> =
        text.lines().skip(1).map(|line| line.split_ascii_whitespace().collect()).collect();
    let cell = |place: usize| rows.iter().filter_map(move |row| row.get(place).copied());
    let of = |place| cell(place).filter_map(shown::time).collect::<Vec<_>>();
    let (from, to) = (of(3), of(4));
    let last = rows.iter().max_by_key(|row| row.get(4).and_then(|to| to.parse::<Timestamp>().ok()));
    let lag = last.and_then(|row| lag_of_old(row.get(2)?, row.get(4)?));
    Ok((newest, window(from.iter().map(String::as_str), to.iter().map(String::as_str)), lag))
}

/// From the first of the ones to the last of the others.
fn window<'a>(
    from: impl Iterator<Item = &'a str>,
    to: impl Iterator<Item = &'a str>,
) -> Option<(String, String)> {
    let parse = |text: &str| text.parse::<Timestamp>().ok();
    Some((from.filter_map(parse).min()?.to_string(), to.filter_map(parse).max()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_series_tells_lag_in_its_own_words() {
        let long_ago = "2020-01-02T03:04:05Z";
        for none in ["0s", "1s", "-1s", "-22h0m5s", "500ms"] {
            assert_eq!(lag_of_old(none, long_ago), Some(Duration::ZERO), "{none}");
        }
        for some in ["4s", "1m0s", "22h0m5s"] {
            assert!(
                lag_of_old(some, long_ago).is_some_and(|lag| lag > Duration::from_secs(1 << 20)),
                "{some}"
            );
        }
        assert_eq!(lag_of_old("-", long_ago), None);
    }

    #[test]
    fn a_window_is_from_the_first_to_the_last() {
        let times = ["2026-01-02T03:04:06Z", "2026-01-02T03:04:05.5Z"];
        let found = window(times.into_iter(), times.into_iter()).expect("both");
        assert_eq!(found, ("2026-01-02T03:04:05.5Z".to_owned(), "2026-01-02T03:04:06Z".to_owned()));
        assert_eq!(window(std::iter::empty(), times.into_iter()), None);
    }
}
