//! `litekeeper status`: whether an app's databases are on their replicas: by what their keeper says, what it left in the lock, its
//! Litestream's socket, the files, and the replica itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::args;
use super::asker::Asker;
use super::candidate::{self, Candidate};
use super::keeper::{self, Running};
use super::opened::Opened;
use super::remembered::Remembered;
use super::row::Row;
use super::shown::{self, Lines};
use super::told::{Answer, Told};
use crate::cli::{duration, one_shot};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::holder::Holder;
use crate::litestream::control::{self, Info};
use crate::printer::{self, Paint};
use crate::secrets;
use crate::status;

/// So many databases are asked about at a time.
const PARALLEL: usize = 8;
/// How long the socket of a Litestream has whose keeper does not answer.
const SILENT: Duration = Duration::from_secs(1);
/// Something is not as it should be.
const UNHEALTHY: ExitCode = ExitCode::of_app(1);
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
    refuse_parted(args)?;
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

/// `--watch 5s` is a `--watch`, and a database that is called so.
fn refuse_parted(args: &args::Status) -> Result<(), Failure> {
    let is_time = |word: &&String| duration::some()(word).is_ok();
    match args.dbs.iter().find(is_time).filter(|_| args.watch.is_some()) {
        None => Ok(()),
        Some(word) => Err(Failure::new(ExitCode::USAGE, format!("{word} is a time, and no database"))
            .hint(format!("write --watch={word}"))),
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

/// So many databases.
fn counted(number: usize) -> String {
    if number == 1 { "1 database".to_owned() } else { format!("{number} databases") }
}

/// All that was seen.
struct Seen {
    /// What a keeper left in a lock.
    holder: Option<Holder>,
    /// What it says.
    said: Said,
    litestream: Option<Info>,
    databases: Vec<Row>,
    /// How old a change may become.
    max_lag: Duration,
}

impl Seen {
    fn look(args: &args::Status) -> Result<Self, Failure> {
        let (opened, inventory, chosen, told) =
            candidate::chosen_beside(&args.given, &args.dbs, args.timeout, |_| Ok(true))?;
        let keepers: Vec<Option<Holder>> = chosen.iter().map(keeper::of).collect::<Result<_, _>>()?;
        let (of_told, said) = Said::of(told);
        // Whose keeper says nothing may say as little itself.
        let patience = if said.silent.is_some() { args.timeout.min(SILENT) } else { args.timeout };
        let remembered = Remembered::found();
        let row = |one: &Candidate, keeper: &Option<Holder>| {
            Row::new(one, keeper.is_some() || one.is_told, said.of_database(one), &remembered)
        };
        let look = |children| async {
            let asked = Asker::start(&opened, children).await;
            let asked = asked.and_then(|asker| Ok((asker.apart(&inventory, &chosen)?, asker)));
            let databases: Vec<Row> = match asked {
                Ok((apart, asker)) => {
                    let each = chosen.iter().zip(&keepers).map(|(one, keeper)| {
                        let limits = (args.timeout, patience);
                        let apart = apart.get(&one.db.path);
                        row(one, keeper).looked_at(&asker, (one, keeper.as_ref()), apart, limits)
                    });
                    stream::iter(each).buffered(PARALLEL).collect().await
                }
                // What its keeper says is known without it.
                Err(failure) if failure.exit == ExitCode::UNAVAILABLE => {
                    let each = chosen.iter().zip(&keepers);
                    each.map(|(one, keeper)| row(one, keeper).unseen(&failure.message)).collect()
                }
                Err(failure) => return Err(failure),
            };
            let litestream = match keepers.iter().flatten().cloned().find_map(Running::of) {
                Some(running) if said.litestream.is_none() => {
                    control::info(&running.socket, patience, running.peers()).await.ok()
                }
                Some(_) | None => None,
            };
            Ok::<_, Failure>((databases, litestream))
        };
        let (databases, litestream) = match chosen.is_empty() {
            true => (Vec::new(), None),
            false => one_shot::block_on(look)??,
        };
        let holder = of_told.or_else(|| keepers.iter().flatten().next().cloned());
        // A running keeper's own counts, which may be an option of its command line.
        let max_lag = said.max_lag.unwrap_or_else(|| max_lag(&opened));
        Ok(Self { holder, said, litestream, databases, max_lag })
    }

    /// Whether a keeper runs.
    fn has_keeper(&self) -> bool {
        self.holder.is_some() || self.said.keeper.is_some() || self.said.silent.is_some()
    }

    /// Why the unit is not well, whatever its databases are.
    fn reasons(&self) -> Vec<String> {
        let said = self.said.keeper.as_ref().map(|keeper| keeper.reasons.clone());
        said.into_iter()
            .flatten()
            .chain(self.said.silent.iter().map(|why| format!("it does not answer: {why}")))
            .collect()
    }

    /// Whether the unit is ready, as far as that is known.
    fn is_ready(&self) -> bool {
        self.said.silent.is_none() && self.said.keeper.as_ref().is_none_or(|keeper| keeper.ready)
    }

    fn exit(&self) -> ExitCode {
        match self.has_keeper() {
            false => NOT_RUNNING,
            true if self.is_ready() && self.databases.iter().all(|one| one.is_well(self.max_lag)) => {
                ExitCode::OK
            }
            true => UNHEALTHY,
        }
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return shown::json(&self.json());
        }
        self.processes().print("")?;
        printer::data(&format!("\n{}", self.headline()))?;
        let mut lines = Lines::new([
            "DATABASE",
            "STATE",
            ">SIZE",
            ">WAL",
            "TXID",
            "REPLICATED",
            ">LAG",
            "CONFIRMED",
            "RESTORABLE",
            "VERIFIED",
            "ERROR",
        ]);
        self.databases.iter().for_each(|one| one.add_to(&mut lines, self.max_lag));
        lines.print("no database")
    }

    fn processes(&self) -> Lines {
        let mut lines =
            Lines::new(["PROCESS", "PID", "VERSION", "STARTED", ">RESTARTS", ">MEMORY", "LAST EXIT"]);
        let mut add = |name: &str, is_well, pid: Option<String>, cells: [Option<String>; 5]| {
            let paint = if is_well { Paint::Good } else { Paint::Bad };
            lines.add(paint, [name.to_owned(), shown::known(pid)].into_iter().chain(cells.map(shown::known)));
        };
        let pid = |pid: Option<i32>| pid.map(|pid| pid.to_string());
        let said = &self.said;
        if self.has_keeper() {
            let version = said.keeper.as_ref().map(|keeper| keeper.version.clone());
            add("keeper", self.is_ready(), pid(self.pid()), [version, self.started(), None, None, None]);
        } else {
            add("keeper", false, None, [None, Some("not running".to_owned()), None, None, None]);
        }
        if let Some(app) = &said.app {
            let restarts = Some(app.restarts.to_string());
            let rest = [None, app.started_at.clone(), restarts, None, app.last_exit.clone()];
            add("app", app.pid.is_some(), pid(app.pid), rest);
        }
        if let Some(one) = &said.litestream {
            let restarts = Some(one.restarts.to_string());
            let memory = one.memory_bytes.map(|bytes| shown::size(Some(bytes)));
            let rest = [one.version.clone(), one.started_at.clone(), restarts, memory, one.last_exit.clone()];
            add("litestream", one.pid.is_some(), pid(one.pid), rest);
        } else if let Some(info) = &self.litestream {
            let started = info.started_at.as_deref().and_then(shown::time);
            let number = info.pid.map(|pid| pid.to_string());
            add("litestream", true, number, [info.version.clone(), started, None, None, None]);
        }
        lines
    }

    /// Where the unit is, and why it is not ready.
    fn headline(&self) -> String {
        let phase = self.said.keeper.as_ref().map(|keeper| match keeper.ready {
            true => format!("{}, ready", keeper.phase),
            false => format!("{}, not ready", keeper.phase),
        });
        let memory = self.said.memory.map(|status::Memory { used_bytes, limit_bytes }| {
            let [used, limit] = [used_bytes, limit_bytes].map(|bytes| shown::size(Some(bytes)));
            format!("memory: {used} of {limit}")
        });
        let reasons = self.reasons().into_iter().map(|reason| format!("  {reason}"));
        let lines = phase.into_iter().chain(reasons).chain(memory);
        let lines: Vec<String> =
            lines.map(|line| format!("{}\n", foreign::line(&secrets::mask(&line)))).collect();
        if lines.is_empty() { String::new() } else { format!("{}\n", lines.concat()) }
    }

    /// The keeper's process: what the kernel says of who holds the lock counts more than its own word.
    fn pid(&self) -> Option<i32> {
        let of_lock = self.holder.as_ref().and_then(|holder| holder.pid);
        of_lock.or(self.said.keeper.as_ref().map(|keeper| keeper.pid))
    }

    fn started(&self) -> Option<String> {
        let of_lock = self.holder.as_ref().and_then(|holder| holder.started.clone());
        of_lock.or_else(|| self.said.keeper.as_ref()?.started_at.clone())
    }

    fn json(&self) -> Value {
        let said = self.said.keeper.as_ref();
        let keeper = self.has_keeper().then(|| {
            json!({
                "pid": self.pid(),
                "version": said.map(|keeper| &keeper.version),
                "started_at": self.started(),
                "phase": said.map(|keeper| &keeper.phase),
                "ready": said.map(|keeper| keeper.ready).or(self.said.silent.is_some().then_some(false)),
                "reasons": self.reasons(),
            })
        });
        let seen = self.litestream.as_ref().map(|info| {
            json!({
                "pid": info.pid,
                "version": info.version,
                "started_at": info.started_at.as_deref().and_then(shown::time),
                "restarts": null,
                "last_exit": null,
                // Its number may be another container's.
                "memory_bytes": null,
            })
        });
        let litestream = self.said.litestream.as_ref().map(|one| json!(one)).or(seen);
        let databases: Vec<Value> = self.databases.iter().map(|one| one.json(self.max_lag)).collect();
        json!({
            "keeper": keeper,
            "app": self.said.app,
            "litestream": litestream,
            "memory": self.said.memory,
            "databases": databases,
        })
    }

    fn nagios(&self) -> (u8, &'static str, String, String) {
        let limit = self.max_lag.as_secs_f64();
        let of = |one: &Row| {
            let lag = one.age().map_or_else(|| "U".to_owned(), |lag| format!("{:.1}s", lag.as_secs_f64()));
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
            self.databases.iter().filter(|one| one.age().is_some_and(|lag| lag * 2 > self.max_lag)).count();
        // What a database is not well for it says itself.
        let reasons = if self.is_ready() { Vec::new() } else { self.reasons() };
        let bad: Vec<String> = if reasons.is_empty() { bad } else { reasons };
        match self.has_keeper() {
            false => (2, "CRITICAL", "no keeper runs".to_owned(), data),
            true if !bad.is_empty() || !self.is_ready() => (2, "CRITICAL", bad.join("; "), data),
            true if late > 0 => (1, "WARNING", format!("{} late", counted(late)), data),
            true => (0, "OK", format!("{} replicated", counted(self.databases.len())), data),
        }
    }
}

/// What a running keeper says.
#[derive(Default)]
struct Said {
    keeper: Option<status::Keeper>,
    app: Option<status::App>,
    litestream: Option<status::Litestream>,
    memory: Option<status::Memory>,
    databases: BTreeMap<PathBuf, status::Database>,
    /// How old a change may become.
    max_lag: Option<Duration>,
    /// Why it says nothing, although it should.
    silent: Option<String>,
}

impl Said {
    /// What the keeper left in a lock, and what it says.
    fn of(told: Option<Told>) -> (Option<Holder>, Self) {
        let Some(Told { holder, answer }) = told else { return (None, Self::default()) };
        let said = match answer {
            Answer::None => Self::default(),
            Answer::Silent(why) => Self { silent: Some(why), ..Self::default() },
            Answer::Said(document) => {
                let by_path = document.databases.into_iter().map(|one| (PathBuf::from(&one.path), one));
                Self {
                    keeper: document.keeper,
                    app: document.app,
                    litestream: document.litestream,
                    memory: document.memory,
                    databases: by_path.collect(),
                    max_lag: document.max_lag_ms.map(Duration::from_millis),
                    silent: None,
                }
            }
        };
        (holder, said)
    }

    fn of_database(&self, one: &Candidate) -> Option<status::Database> {
        self.databases.get(&one.db.path).cloned()
    }
}

fn max_lag(opened: &Opened) -> Duration {
    opened.said.layers.args.max_lag
}
