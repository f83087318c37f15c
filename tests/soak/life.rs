//! One life: a keeper from its start to its end, and what its databases and backups look like afterwards.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::compare::{self, Failure};
use crate::faults::Faults;
use crate::pause;
use crate::plan::{End, Fault, Life};
use crate::scene::Scene;
use crate::support::process::{Running, Spec};
use crate::writer::Orders;

/// How long anything may take: the start, the end, what the keeper left, a restore.
const LONGEST: Duration = Duration::from_secs(60);
/// Between two looks.
const TICK: Duration = Duration::from_millis(4);

/// How a life ended, by its keeper's own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is on the replica.
    Confirmed(i32),
    /// It said something else.
    Unconfirmed(String),
}

/// What a life came to.
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// Rows that are the same in a database and its restore.
    pub rows: u64,
    /// What is wrong.
    pub failures: Vec<Failure>,
    /// Whether the app ran at all.
    pub ran: bool,
}

/// The files of a life in its world.
struct Files {
    orders: PathBuf,
    trace: PathBuf,
    end: PathBuf,
    log: PathBuf,
    events: PathBuf,
}

/// What happened, with times.
struct Events {
    start: Instant,
    lines: Vec<String>,
}

impl Events {
    fn note(&mut self, text: impl AsRef<str>) {
        self.lines.push(format!("{:>6} ms  {}", self.start.elapsed().as_millis(), text.as_ref()));
    }
}

/// Runs a life.
pub fn run(scene: &mut Scene<'_>, number: u64, plan: &Life) -> Report {
    let path = |name: &str| scene.world.path(&format!("{name}-{number}"));
    let files = Files {
        orders: path("orders"),
        trace: path("trace"),
        end: path("end"),
        log: path("log"),
        events: path("events"),
    };
    let orders = Orders {
        databases: scene.databases.clone(),
        trace: files.trace.clone(),
        end: files.end.clone(),
        app: plan.app.clone(),
    };
    fs::write(&files.orders, serde_json::to_vec_pretty(&orders).expect("a tree of text"))
        .expect("the world can be written");

    let mut events = Events { start: Instant::now(), lines: vec![format!("{plan:#?}")] };
    let mut failures = Vec::new();
    let mut running = start(scene, &files, plan);
    let status = attend(scene, &files, plan, &mut running, &mut events, &mut failures);
    let ran = files.trace.exists();
    let log = match status {
        Some(_) => running.finish_within(LONGEST).log,
        None => {
            let log = running.log();
            drop(running);
            log
        }
    };
    fs::write(&files.log, &log).expect("the world can be written");
    if log.contains("panicked at") {
        failures.push(Failure::new("panic", "the keeper's log has a panic"));
    }
    let ending = status.map_or_else(|| Ending::Unconfirmed("hung".to_owned()), |status| ending(status, &log));
    if let Ending::Unconfirmed(how) = &ending
        && how.starts_with("silent")
    {
        failures.push(Failure::new("silent-end", how));
    }
    for line in scene.note_acked(&files.trace) {
        let kind = if line.contains("malformed") { "database-damaged" } else { "app-error" };
        failures.push(Failure::new(kind, line));
    }
    events.note(format!("{ending:?}"));

    let mut rows = 0;
    for place in 0..scene.databases.len() {
        match judge(scene, number, place, matches!(ending, Ending::Confirmed(_))) {
            Ok(equal) => rows += equal,
            Err(found) => failures.extend(found.into_iter().map(|failure| {
                Failure::new(failure.kind, format!("{}: {}", scene.databases[place].display(), failure.text))
            })),
        }
    }
    events.lines.extend(failures.iter().map(Failure::to_string));
    fs::write(&files.events, events.lines.join("\n") + "\n").expect("the world can be written");
    if plan.then_lost && failures.is_empty() && matches!(ending, Ending::Confirmed(_)) {
        scene.lose_databases();
    }
    Report { ending, rows, failures, ran }
}

fn start(scene: &Scene<'_>, files: &Files, plan: &Life) -> Running {
    let mut spec = Spec::new(&scene.programs.keeper, scene.world.root());
    spec.env("LITEKEEPER_RUNTIME_DIR", scene.world.runtime_dir());
    spec.env("LITESTREAM_BINARY_PATH", &scene.programs.litestream);
    spec.args(["run", "--log-level", "debug", "--gate-timeout", "15s", "--restore-timeout", "20s"]);
    spec.args(["--restart-delay", "20ms", "--restart-reset", "0s", "--start-limit", "1000"]);
    spec.args(["--stop-timeout", &format!("{}ms", plan.stop_timeout)]);
    spec.args(["--restart", if plan.no_restart { "never" } else { "on-failure" }]);
    spec.args(["--config".as_ref(), scene.configs.0.as_os_str()]);
    spec.args([
        "--".as_ref(),
        scene.programs.soak.as_os_str(),
        "__leader".as_ref(),
        files.orders.as_os_str(),
    ]);
    spec.start()
}

/// Attends a keeper until it and all that it started are gone; `None` if that took too long.
fn attend(
    scene: &Scene<'_>,
    files: &Files,
    plan: &Life,
    running: &mut Running,
    events: &mut Events,
    failures: &mut Vec<Failure>,
) -> Option<ExitStatus> {
    let keeper = Pid::from_raw(running.pid());
    let proxy = scene.proxy.as_ref();
    let mut faults = Faults::new();
    // What the network does from the beginning on meets the keeper's own requests and the gate.
    let early = |at: u64, fault: Fault| matches!(fault, Fault::Network(..)) && at < 300;
    for &(at, fault) in plan.faults.iter().filter(|(at, fault)| early(*at, *fault)) {
        faults.plan(events.start + Duration::from_millis(at), fault);
    }
    let mut up: Option<Instant> = None;
    let mut stops: Vec<Instant> = Vec::new();
    let mut latest = events.start + LONGEST;
    let mut told = false;
    let status = loop {
        if let Some(status) = running.try_wait() {
            break status;
        }
        let now = Instant::now();
        if up.is_none() && files.trace.exists() {
            up = Some(now);
            events.note("the app is up");
            let after = |millis: u64| now + Duration::from_millis(millis);
            for &(at, fault) in plan.faults.iter().filter(|(at, fault)| !early(*at, *fault)) {
                faults.plan(after(at), fault);
            }
            stops.push(after(plan.runs));
            if let End::Twice(gap) = plan.end {
                stops.push(after(plan.runs + gap));
            }
            latest = after(plan.runs) + LONGEST;
        }
        faults.tick(running, proxy, &mut |text| events.note(text));
        if stops.first().is_some_and(|stop| *stop <= now) {
            stops.remove(0);
            match plan.end {
                End::Term | End::Twice(_) => {
                    let _ = kill(keeper, Signal::SIGTERM);
                    events.note("TERM");
                }
                End::App => {
                    fs::write(&files.end, "").expect("the world can be written");
                    events.note("the app ends");
                }
            }
            told = true;
        }
        if now > latest {
            let what = if told { "the end" } else { "the start" };
            failures.push(Failure::new("hang", format!("{what} has taken {LONGEST:?}\n{}", states(running))));
            faults.finish(proxy, &mut |text| events.note(text));
            return None;
        }
        pause(TICK);
    };
    events.note(format!("the keeper ended: {status}"));
    let gone = Instant::now();
    while !running.tree().is_empty() {
        faults.tick(running, proxy, &mut |text| events.note(text));
        let orphaned = faults.orphaned_all();
        let patience = match status.signal() {
            // Nothing may be left, but a busy machine is slow to say so.
            None => LONGEST / 4,
            Some(_) if orphaned => LONGEST / 10,
            // A killed keeper's shim ends all in order.
            Some(_) => LONGEST,
        };
        if gone.elapsed() > patience {
            if orphaned {
                events.note(format!("left by the deaths of keeper and shim:\n{}", states(running)));
            } else {
                failures.push(Failure::new("survivors", states(running)));
            }
            break;
        }
        pause(TICK);
    }
    faults.finish(proxy, &mut |text| events.note(text));
    end_all(running);
    events.note("all is gone");
    Some(status)
}

/// What each process of the unit is doing.
fn states(running: &Running) -> String {
    let line = |process: &crate::support::procfs::Process| {
        let wchan = fs::read_to_string(format!("/proc/{}/wchan", process.pid)).unwrap_or_default();
        format!("{process:?} in {wchan}\n")
    };
    running.tree().iter().map(line).collect()
}

/// Kills whatever is left, for as long as the next look would wait for.
fn end_all(running: &Running) {
    let start = Instant::now();
    loop {
        let left = running.tree();
        if left.is_empty() || start.elapsed() > LONGEST {
            return;
        }
        left.iter().for_each(|process| process.signal(Signal::SIGKILL));
        pause(TICK);
    }
}

/// The keeper's own word on its end.
fn ending(status: ExitStatus, log: &str) -> Ending {
    let Some(code) = status.code() else {
        return Ending::Unconfirmed(format!("killed by {}", status.signal().unwrap_or_default()));
    };
    let said = |line: &str| {
        let no = [
            "not everything is on the replica",
            "so what was written last is not on the replica",
            "ending everything",
        ];
        if no.iter().any(|text| line.contains(text)) {
            Some(false)
        } else {
            line.contains("everything is on the replica").then_some(true)
        }
    };
    let own = [64, 69, 70, 74, 75, 78];
    match log.lines().filter_map(said).next_back() {
        Some(true) if !own.contains(&code) => Ending::Confirmed(code),
        _ if own.contains(&code) => Ending::Unconfirmed(code.to_string()),
        Some(_) => {
            Ending::Unconfirmed(format!("silent {code}: it said that not everything is on the replica"))
        }
        None => Ending::Unconfirmed(format!("silent {code}: it said nothing of the replica")),
    }
}

/// Looks at a database, and after a confirmed end at its restore; returns how many rows are the same.
fn judge(scene: &Scene<'_>, life: u64, place: usize, confirmed: bool) -> Result<u64, Vec<Failure>> {
    let one = |kind: &'static str, text: String| vec![Failure::new(kind, text)];
    let database = scene.world.path(&format!("compare-{life}-{place}.db"));
    let restored = scene.world.path(&format!("compare-{life}-{place}-restore.db"));
    compare::copy(&scene.databases[place], &database).map_err(|why| one("database-damaged", why))?;
    compare::integrity(&database).map_err(|why| one("database-damaged", why))?;
    let missing =
        compare::unacked(&database, &scene.acked[place]).map_err(|why| one("database-damaged", why))?;
    if !missing.is_empty() {
        return Err(one(
            "acked-lost",
            format!("{} rows are not in the database: {missing:?}", missing.len()),
        ));
    }
    let mut rows = 0;
    if confirmed {
        restore(scene, place, &restored).map_err(|why| one("no-restore", why))?;
        rows = compare::whole(&database, &restored).map_err(|mut failures| {
            match compare::unacked(&restored, &scene.acked[place]) {
                Ok(missing) if missing.is_empty() => (),
                Ok(missing) => failures.push(Failure::new(
                    "acked-not-restored",
                    format!("{} rows, {:?} …", missing.len(), missing.first()),
                )),
                Err(why) => failures.push(Failure::new("malformed", why)),
            }
            failures
        })?;
        compare::remove(&restored);
    }
    compare::remove(&database);
    Ok(rows)
}

/// The latest backup, with Litestream itself.
fn restore(scene: &Scene<'_>, place: usize, out: &Path) -> Result<(), String> {
    let mut spec = Spec::new(&scene.programs.litestream, scene.world.root());
    spec.args([
        "restore".as_ref(),
        "-config".as_ref(),
        scene.configs.1.as_os_str(),
        "-o".as_ref(),
        out.as_os_str(),
    ]);
    spec.args([&scene.databases[place]]);
    let mut running = spec.start();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = running.try_wait() {
            break status;
        }
        if start.elapsed() > LONGEST {
            return Err(format!("not done after {LONGEST:?}: {}", running.log()));
        }
        pause(TICK);
    };
    let ended = running.finish_within(LONGEST);
    match status.success() && out.exists() {
        true => Ok(()),
        false => Err(format!("{status}: {}{}", ended.log, ended.stdout)),
    }
}
