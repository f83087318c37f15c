//! Tenants that come and go, hundreds of them, while Litestream is killed and S3 is away: every row counted.
//!
//! Three of four are named by a resolver, the others appear in a folder (`dir:`). A tenant that the keeper lets go of has to be on
//! its replica at that moment, as a plain restore has it; after an end that the keeper calls confirmed each tenant and its
//! restore are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::compare::{self, Failure};
use crate::faults;
use crate::options::Options;
use crate::pause;
use crate::plan::{Backend, Network, Victim};
use crate::proxy::Proxy;
use crate::random::Random;
use crate::scene::Programs;
use crate::support::process::{Running, Spec};
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::tenants::is_locked;
use crate::support::world::World;
use crate::writer;

const BUCKET: &str = "tenants";
/// How long anything may take: the start, an answer, the end.
const LONGEST: Duration = Duration::from_secs(180);
/// How long a keeper runs.
const LIFE: Duration = Duration::from_secs(20);
/// Between two looks.
const TICK: Duration = Duration::from_millis(10);

/// What the app reads again and again: the databases that it writes to, and a number that grows with each change.
#[derive(Serialize, Deserialize, Default)]
struct Live {
    number: u64,
    databases: Vec<PathBuf>,
    /// Of these, those that are being restored: an app has to wait for them, and makes none of them itself.
    restored: Vec<PathBuf>,
}

/// The app: writes to any of the databases that are live, until TERM.
///
/// Each line of the trace is `+ N PATH`, a row that was committed, or `= NUMBER`: from now on it writes to those of that number alone.
pub fn app(live: &str, trace: &str) -> ExitCode {
    let stop = writer::on_term();
    let mut trace =
        OpenOptions::new().append(true).create(true).open(trace).expect("the world can be written");
    let mut random = Random::new(u64::from(std::process::id()), &[now()]);
    let (mut known, mut open) = (Live::default(), BTreeMap::<PathBuf, Connection>::new());
    while !stop.load(Relaxed) {
        let said: Live = serde_json::from_slice(&fs::read(live).expect("it is there")).expect("it is whole");
        if said.number != known.number {
            open.retain(|path, _| said.databases.contains(path));
            known = said;
            writeln!(trace, "= {}", known.number).expect("the world can be written");
        }
        if known.databases.is_empty() {
            pause(TICK);
            continue;
        }
        for _ in 0..8 {
            let place = random.next() as usize % known.databases.len();
            let path = &known.databases[place];
            // Some stay open, others are opened for each row: who closes a database last empties its WAL.
            if known.restored.contains(path) && !path.exists() {
                continue;
            }
            let connection = open.remove(path).map_or_else(|| connect(path), Ok);
            match connection.and_then(|connection| add(&connection, &mut random).map(|n| (connection, n))) {
                Ok((connection, n)) => {
                    writeln!(trace, "+ {n} {}", path.display()).expect("the world can be written");
                    if random.one_in(2) {
                        open.insert(path.clone(), connection);
                    }
                }
                Err(error) => {
                    writeln!(trace, "! {}: {error}", path.display()).expect("the world can be written")
                }
            }
        }
        pause(Duration::from_millis(random.between(1, 10)));
    }
    ExitCode::SUCCESS
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE IF NOT EXISTS acked (writer INTEGER, n INTEGER, v BLOB, PRIMARY KEY (writer, n));",
    )?;
    Ok(connection)
}

/// Adds a row with a number that was never used before, not even in a state of the database that is gone.
fn add(connection: &Connection, random: &mut Random) -> rusqlite::Result<i64> {
    let (n, length) = (now() as i64, random.between(10, 2000) as usize);
    connection.execute("INSERT INTO acked (writer, n, v) VALUES (1, ?1, ?2)", (n, random.bytes(length)))?;
    Ok(n)
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64)
}

/// Where a tenant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody names it, and its backup has all of it.
    Away,
    /// It is named, and the app writes to it.
    Here,
    /// It is named no more, and the keeper has not let go of it yet.
    Going,
}

struct Tenant {
    path: PathBuf,
    in_folder: bool,
    stage: Stage,
    /// It came back without its file.
    lost: bool,
    /// The keeper has heard that it is there: before, what the app writes to it is nobody's.
    heard: bool,
    acked: BTreeSet<(i64, i64)>,
}

/// The world of the tenants.
struct Churn<'a> {
    programs: &'a Programs,
    world: World,
    server: Option<(S3, Proxy)>,
    tenants: Vec<Tenant>,
    random: Random,
    live: u64,
    read: usize,
    restores: AtomicUsize,
    came: u64,
    went: u64,
    faults: u64,
}

/// Lives on each backend in turns, until the time is over; whether all was as it should be.
pub fn soak(options: &Options, programs: &Programs, count: usize) -> bool {
    let until = Instant::now() + options.time;
    let mut failed = 0;
    let (mut lives, mut confirmed, mut rows) = (0, 0, 0);
    let mut churns: Vec<Churn<'_>> = Vec::new();
    for (number, backend) in (0..).zip(&options.backends) {
        let random = Random::new(options.seed, &[number, count as u64]);
        churns.push(Churn::new(programs, *backend, count, random));
    }
    // Each backend has its turn, whatever the time.
    while lives < churns.len() as u64 || Instant::now() < until {
        let turn = (lives % churns.len() as u64) as usize;
        let churn = &mut churns[turn];
        let start = Instant::now();
        let (code, equal, failures) = churn.life(lives);
        lives += 1;
        confirmed += u64::from(code == "confirmed");
        rows += equal;
        println!(
            "{} {}:{lives} {} of {count} tenants on {}: {code}, {} came, {} went, {} faults, {equal} rows, {} ms",
            if failures.is_empty() { "ok" } else { "FAILED" },
            options.seed,
            churn.tenants.iter().filter(|tenant| tenant.stage == Stage::Here).count(),
            options.backends[turn],
            churn.came,
            churn.went,
            churn.faults,
            start.elapsed().as_millis()
        );
        failures.iter().for_each(|failure| println!("    {failure}"));
        if !failures.is_empty() {
            failed += 1;
            println!("    again: cargo test --test soak -- --tenants {count} --seed {}", options.seed);
            break;
        }
    }
    println!("{lives} lives with tenants: {confirmed} confirmed, {rows} rows compared, {failed} failed");
    failed == 0
}

impl<'a> Churn<'a> {
    fn new(programs: &'a Programs, backend: Backend, count: usize, random: Random) -> Self {
        let world = World::named("soak-");
        for folder in ["tenants", "folder"] {
            fs::create_dir(world.path(folder)).expect("the world is empty");
        }
        let server = (backend == Backend::S3).then(|| {
            let server = S3::start();
            server.bucket(BUCKET);
            let address = server.endpoint().trim_start_matches("http://").parse().expect("an address");
            let proxy = Proxy::start(address, random.clone());
            (server, proxy)
        });
        let tenants = (0..count).map(|number| tenant(&world, number, number % 4 == 3)).collect();
        world.program("resolver", "#!/bin/sh\ncat answer\n");
        let restores = AtomicUsize::new(0);
        let mut churn = Self {
            programs,
            world,
            server,
            tenants,
            random,
            live: 0,
            read: 0,
            restores,
            came: 0,
            went: 0,
            faults: 0,
        };
        let folder = json!({
            "dir": churn.world.path("folder"), "pattern": "*.db", "watch": true, "replica": churn.replica("folder", true),
        });
        // Asked at a reload alone, so that it is known which answer has been heard.
        let resolver = json!({"command": ["./resolver"], "interval": "10m"});
        let config = json!({"litekeeper": {"resolver": resolver}, "dbs": [folder]});
        churn.world.write("litestream.yml", &config.to_string());
        churn.come(count / 2);
        churn
    }

    /// A replica; through what may fail, or past it.
    fn replica(&self, name: &str, through: bool) -> Value {
        match &self.server {
            None => json!({"path": self.world.path("backup").join(name)}),
            Some((server, proxy)) => json!({
                "type": "s3", "bucket": BUCKET, "path": name, "region": "us-east-1",
                "endpoint": if through { proxy.endpoint() } else { server.endpoint() },
            }),
        }
    }

    fn replica_of(&self, tenant: &Tenant, through: bool) -> Value {
        let name = tenant.path.file_name().expect("it has one").to_string_lossy();
        self.replica(&if tenant.in_folder { format!("folder/{name}") } else { name.into_owned() }, through)
    }

    /// One keeper from its start to its end; how it ended, how many rows are equal, and what is wrong.
    fn life(&mut self, number: u64) -> (String, u64, Vec<Failure>) {
        (self.came, self.went, self.faults) = (0, 0, 0);
        self.publish();
        let mut running = self.start();
        let mut failures = Vec::new();
        if !self.wait(&mut running, |churn| churn.heard(churn.live)) {
            failures.push(Failure::new("no-start", running.log()));
            return ("no start".to_owned(), 0, failures);
        }
        let end = Instant::now() + LIFE;
        let mut next_fault = Instant::now() + Duration::from_millis(self.random.between(500, 3000));
        while Instant::now() < end && failures.is_empty() {
            if Instant::now() > next_fault {
                self.fault(&running);
                next_fault = Instant::now() + Duration::from_millis(self.random.between(1500, 5000));
            }
            failures.extend(self.change(&mut running));
        }
        self.calm();
        // A tenant is safe once that has come to its end; before, what the keeper has not heard of yet is nobody's.
        if !self.wait(&mut running, |churn| churn.reload()) {
            failures.push(Failure::new("no-reload", running.log()));
        }
        running.signal(Signal::SIGTERM);
        let start = Instant::now();
        while running.try_wait().is_none() && start.elapsed() < LONGEST {
            pause(TICK);
        }
        let Some(status) = running.try_wait() else {
            failures.push(Failure::new("hang", running.log()));
            return ("hung".to_owned(), 0, failures);
        };
        let log = running.finish_within(LONGEST).log;
        self.read_trace(&mut failures);
        // A stop while the app is about to come back is the signal's own code.
        let confirmed =
            matches!(status.code(), Some(0 | 143)) && log.contains("everything is on the replica");
        let code = match status.code() {
            _ if confirmed => "confirmed".to_owned(),
            Some(74) => "74".to_owned(),
            code => {
                failures.push(Failure::new("end", format!("{code:?}\n{log}")));
                format!("{code:?}")
            }
        };
        if code == "74" {
            for line in log
                .lines()
                .filter(|line| line.contains("not on the replica") || line.contains("not everything"))
            {
                println!("    {}", line.chars().take(600).collect::<String>());
            }
        }
        if log.contains("panicked at") {
            failures.push(Failure::new("panic", &log));
        }
        let rows = self.judge(confirmed, &mut failures);
        // Why nobody could confirm is worth a look, too.
        if !failures.is_empty() || code == "74" {
            self.world.write(&format!("log-{number}"), &log);
            let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tenants-{number}.log"));
            let reloads = fs::read_to_string(self.world.path("reloads")).unwrap_or_default();
            let _ = fs::write(&kept, format!("{log}--- reloads ---\n{reloads}"));
            println!("    its log: {}", kept.display());
        }
        (code, rows, failures)
    }

    fn start(&self) -> Running {
        let mut spec = Spec::new(&self.programs.keeper, self.world.root());
        spec.env("LITEKEEPER_RUNTIME_DIR", self.world.runtime_dir());
        spec.env("LITESTREAM_BINARY_PATH", &self.programs.litestream);
        S3::env().into_iter().for_each(|(name, value)| spec.env(name, value));
        spec.args(["run", "--stop-timeout", "60s", "--restart-delay", "20ms", "--restart-reset", "0s"]);
        spec.args(["--start-limit", "1000", "--config", "litestream.yml", "--"]);
        spec.args([self.programs.soak.as_os_str()]);
        spec.args(["__tenants", "live", "trace"]);
        spec.start()
    }

    /// Waits for something, unless the keeper ends or it takes too long.
    fn wait(&mut self, running: &mut Running, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let start = Instant::now();
        loop {
            if done(self) {
                return true;
            }
            if start.elapsed() > LONGEST || running.try_wait().is_some() {
                return false;
            }
            pause(TICK);
        }
    }

    /// Whether the app writes by this list, or a later one.
    fn heard(&mut self, number: u64) -> bool {
        let text = fs::read_to_string(self.world.path("trace")).unwrap_or_default();
        let heard = text.lines().rev().find_map(|line| line.strip_prefix("= ")?.parse::<u64>().ok());
        heard.is_some_and(|heard| heard >= number)
    }

    /// Takes in what the app wrote down.
    fn read_trace(&mut self, failures: &mut Vec<Failure>) {
        let text = fs::read_to_string(self.world.path("trace")).unwrap_or_default();
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[self.read..complete].lines() {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next().and_then(|n| n.parse::<i64>().ok()), words.next()) {
                (Some("+"), Some(n), Some(path)) => {
                    if let Some(tenant) =
                        self.tenants.iter_mut().find(|tenant| tenant.path == Path::new(path))
                    {
                        tenant.acked.insert((1, n));
                    }
                }
                (Some("="), ..) => {}
                _ => failures.push(Failure::new("app-error", line)),
            }
        }
        self.read = complete;
    }

    /// What the app writes to, and what the resolver names.
    fn publish(&mut self) {
        self.live += 1;
        let here = |tenant: &&Tenant| tenant.stage == Stage::Here;
        let all: Vec<&Tenant> = self.tenants.iter().filter(here).collect();
        let databases = all.iter().map(|tenant| tenant.path.clone()).collect();
        let restored = all.iter().filter(|tenant| tenant.lost).map(|tenant| tenant.path.clone()).collect();
        let live =
            serde_json::to_vec(&Live { number: self.live, databases, restored }).expect("a tree of text");
        let named = self.tenants.iter().filter(here).filter(|tenant| !tenant.in_folder);
        let answer: Vec<Value> = named
            .map(|tenant| json!({"path": tenant.path, "replica": self.replica_of(tenant, true)}))
            .collect();
        // Each at once: somebody reads them at any time.
        for (name, bytes) in [("live", live), ("answer", Value::from(answer).to_string().into_bytes())] {
            let new = self.world.path("new");
            fs::write(&new, bytes)
                .and_then(|()| fs::rename(&new, self.world.path(name)))
                .expect("it can be written");
        }
    }

    fn some(&mut self, stage: Stage, most: usize) -> Vec<usize> {
        let mut places: Vec<usize> =
            (0..self.tenants.len()).filter(|place| self.tenants[*place].stage == stage).collect();
        let mut some = Vec::new();
        while some.len() < most && !places.is_empty() {
            let place = self.random.next() as usize % places.len();
            some.push(places.swap_remove(place));
        }
        some
    }

    /// Some come: new, back, or back without their files.
    fn come(&mut self, most: usize) {
        for place in self.some(Stage::Away, most) {
            let lost = self.random.one_in(2);
            let number = self.tenants.len() + self.live as usize;
            let tenant = &mut self.tenants[place];
            if tenant.in_folder && !tenant.acked.is_empty() {
                // A file where there is a backup of another one is replicated over it: so each has a name of its own.
                *tenant = self::tenant(&self.world, number * 1000 + place, true);
            } else if lost {
                lose(&tenant.path);
            }
            let tenant = &mut self.tenants[place];
            // One that went before its file was restored comes without it whatever was drawn.
            tenant.lost = !tenant.path.exists() && !tenant.acked.is_empty();
            tenant.stage = Stage::Here;
            tenant.heard = false;
            self.came += 1;
        }
    }

    /// One change of who is there, with all that follows from it.
    fn change(&mut self, running: &mut Running) -> Vec<Failure> {
        let mut failures = Vec::new();
        let most = (self.tenants.len() / 20).max(1) as u64;
        let (coming, going) = (self.random.between(0, most) as usize, self.random.between(0, most) as usize);
        self.come(coming);
        for place in self.some(Stage::Here, going) {
            if self.tenants[place].heard {
                self.tenants[place].stage = Stage::Going;
            }
        }
        // The app first: what it writes to somebody who is named no more nobody waits for. So the answer stays for now.
        let answer = fs::read(self.world.path("answer")).unwrap_or_default();
        self.publish();
        let next = fs::read(self.world.path("answer")).unwrap_or_default();
        fs::write(self.world.path("answer"), answer).expect("the world can be written");
        let number = self.live;
        if !self.wait(running, |churn| churn.heard(number)) {
            return vec![Failure::new("the-app-hears-nothing", running.log())];
        }
        fs::write(self.world.path("new"), next)
            .and_then(|()| fs::rename(self.world.path("new"), self.world.path("answer")))
            .expect("the world can be written");
        self.read_trace(&mut failures);
        // It may say that it is not done: a fault may be under way.
        if self.reload() {
            self.tenants.iter_mut().for_each(|tenant| tenant.heard |= tenant.stage == Stage::Here);
        }
        // What is let go of is on its replica. What is kept, since it cannot be confirmed now, is looked at again.
        for place in self.some(Stage::Going, usize::MAX) {
            let tenant = &self.tenants[place];
            if tenant.in_folder {
                if self.wait(running, |churn| churn.restored_all(place).is_ok()) {
                    lose(&self.tenants[place].path);
                    self.tenants[place].stage = Stage::Away;
                    self.went += 1;
                } else {
                    failures.push(Failure::new(
                        "folder-not-replicated",
                        self.tenants[place].path.display().to_string(),
                    ));
                }
            } else if !is_locked(&tenant.path) && running.try_wait().is_none() {
                if let Err(why) = self.restored_all(place) {
                    failures
                        .push(Failure::new("let-go-too-early", format!("{}: {why}", tenant.path.display())));
                }
                self.tenants[place].stage = Stage::Away;
                self.went += 1;
            }
        }
        if running.try_wait().is_some() {
            failures.push(Failure::new("ended-by-itself", running.log()));
        }
        failures
    }

    /// Whether the keeper has heard the whole answer, and done it.
    fn reload(&self) -> bool {
        let mut spec = Spec::new(&self.programs.keeper, self.world.root());
        spec.env("LITEKEEPER_RUNTIME_DIR", self.world.runtime_dir());
        spec.args(["reload", "--config", "litestream.yml", "--timeout", "20s"]);
        let ended = spec.run(LONGEST);
        let said = format!("{}\n{}{}---\n", ended.status, ended.stdout, ended.log);
        let file = OpenOptions::new().append(true).create(true).open(self.world.path("reloads"));
        file.and_then(|mut file| file.write_all(said.as_bytes())).expect("the world can be written");
        ended.status.success()
    }

    fn fault(&mut self, running: &Running) {
        self.faults += 1;
        self.calm();
        match (&self.server, self.random.between(0, 2)) {
            (Some((server, _)), 0) => server.pause(),
            (Some((_, proxy)), 1) => {
                let fault = self.random.of(&[
                    Network::LosesAnswers,
                    Network::Resets,
                    Network::Stalls,
                    Network::Answers(503),
                ]);
                proxy.set(Some(fault));
            }
            _ => {
                if let Some(litestream) = faults::find(running, Victim::Litestream) {
                    litestream.signal(Signal::SIGKILL);
                }
            }
        }
    }

    fn calm(&self) {
        if let Some((server, proxy)) = &self.server {
            server.resume();
            proxy.set(None);
        }
    }

    /// A plain restore of a tenant, by a configuration that goes past what may fail.
    fn restore(&self, place: usize) -> Result<PathBuf, String> {
        let tenant = &self.tenants[place];
        let number = self.restores.fetch_add(1, Relaxed);
        let (config, out) = (
            self.world.path(&format!("restore-{number}.yml")),
            self.world.path(&format!("restore-{number}.db")),
        );
        let text = json!({"dbs": [{"path": tenant.path, "replica": self.replica_of(tenant, false)}]});
        fs::write(&config, text.to_string()).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.programs.litestream);
        command.arg("restore").arg("-config").arg(&config).arg("-o").arg(&out).arg(&tenant.path);
        command.env_remove("AWS_CA_BUNDLE").env("LITESTREAM_ACCESS_KEY_ID", KEY);
        command.env("LITESTREAM_SECRET_ACCESS_KEY", SECRET);
        let done = crate::support::litestream::run(&mut command);
        let _ = fs::remove_file(&config);
        done.map(|()| out)
    }

    /// Whether a plain restore has all that the app was told to be committed.
    fn restored_all(&self, place: usize) -> Result<(), String> {
        if self.tenants[place].acked.is_empty() {
            return Ok(());
        }
        // An outage is for the keeper, not for who looks at what it has done.
        if let Some((server, _)) = &self.server {
            server.resume();
        }
        let restored = self.restore(place)?;
        let missing = compare::unacked(&restored, &self.tenants[place].acked);
        compare::remove(&restored);
        match missing? {
            missing if missing.is_empty() => Ok(()),
            missing => Err(format!("{} rows are not in its restore: {:?} …", missing.len(), missing.first())),
        }
    }

    /// All tenants at an end: who is away, in the backup; who is here, in the file, and after a confirmed end in the backup as
    /// the file is.
    fn judge(&self, confirmed: bool, failures: &mut Vec<Failure>) -> u64 {
        let (next, rows, found) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let place = next.fetch_add(1, Relaxed);
                        let Some(tenant) = self.tenants.get(place) else { return };
                        match self.judge_one(place, tenant, confirmed) {
                            Ok(equal) => drop(rows.fetch_add(equal as usize, Relaxed)),
                            Err(why) => {
                                let text = |failure: Failure| {
                                    Failure::new(
                                        failure.kind,
                                        format!(
                                            "{} ({:?}): {}",
                                            tenant.path.display(),
                                            tenant.stage,
                                            failure.text
                                        ),
                                    )
                                };
                                found
                                    .lock()
                                    .expect("nobody panics with it")
                                    .extend(why.into_iter().map(text));
                            }
                        }
                    }
                });
            }
        });
        failures.extend(found.into_inner().expect("nobody panics with it"));
        rows.into_inner() as u64
    }

    fn judge_one(&self, place: usize, tenant: &Tenant, confirmed: bool) -> Result<u64, Vec<Failure>> {
        let one = |kind: &'static str, why: String| vec![Failure::new(kind, why)];
        if tenant.stage == Stage::Away || !tenant.path.exists() {
            // What is on its way out at the end of a keeper is drained by it, too.
            return if confirmed || tenant.stage == Stage::Away {
                self.restored_all(place).map(|()| 0).map_err(|why| one("acked-not-restored", why))
            } else {
                Ok(0)
            };
        }
        let copied = self.world.path(&format!("compare-{place}.db"));
        compare::copy(&tenant.path, &copied).map_err(|why| one("database-damaged", why))?;
        let missing = compare::unacked(&copied, &tenant.acked).map_err(|why| one("database-damaged", why))?;
        if !missing.is_empty() {
            return Err(one("acked-lost", format!("{} rows: {:?} …", missing.len(), missing.first())));
        }
        let mut rows = 0;
        if confirmed && !tenant.acked.is_empty() {
            let restored = self.restore(place).map_err(|why| one("no-restore", why))?;
            rows = compare::whole(&copied, &restored)?;
            compare::remove(&restored);
        }
        compare::remove(&copied);
        Ok(rows)
    }
}

fn tenant(world: &World, number: usize, in_folder: bool) -> Tenant {
    let path = if in_folder { format!("folder/f{number}.db") } else { format!("tenants/t{number}.db") };
    Tenant {
        path: world.path(&path),
        in_folder,
        stage: Stage::Away,
        lost: false,
        heard: false,
        acked: BTreeSet::new(),
    }
}

/// A database is gone, with all that Litestream keeps beside it.
fn lose(path: &Path) {
    compare::remove(path);
    let name = path.file_name().expect("it has one").to_string_lossy();
    let _ = fs::remove_dir_all(path.with_file_name(format!(".{name}-litestream")));
}
