//! What a seed means: worlds of databases and settings, the lives in them, their writers and faults.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::random::Random;

/// Where the backups are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A folder of this machine.
    File,
    /// S3, through a proxy that fails on demand.
    S3,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::S3 => "s3",
        })
    }
}

/// What stays the same over the lives that follow each other on the same databases.
#[derive(Clone, Debug)]
pub struct World {
    /// How many lives it has; the last one is calm, so that whatever an earlier one spoiled is looked at.
    pub lives: u64,
    /// Its databases, one or two.
    pub databases: Vec<Database>,
    /// The top level of `litestream.yml`.
    pub top: Value,
    /// What each database's entry holds beside its path and replica.
    pub database: Value,
    /// What each replica holds beside its place.
    pub replica: Value,
}

/// How a database is made.
#[derive(Clone, Debug)]
pub struct Database {
    /// Bytes a page.
    pub page_size: u64,
    /// `auto_vacuum`: none, full, incremental.
    pub auto_vacuum: u64,
    /// Whether the table of acknowledgements has a rowid.
    pub rowid: bool,
}

impl World {
    /// The world of this number.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed, &[number]);
        let databases = if random.one_in(3) { 2 } else { 1 };
        let databases = (0..databases).map(|_| Database::new(&mut random)).collect();
        let lives = random.between(3, 6);
        if random.one_in(6) {
            let nothing = json!({});
            return Self {
                lives,
                databases,
                top: nothing.clone(),
                database: nothing.clone(),
                replica: nothing,
            };
        }
        let interval = |random: &mut Random| random.of(&["50ms", "50ms", "100ms", "250ms", "1s"]);
        let mut top = json!({
            "l0-retention": "2s",
            "l0-retention-check-interval": random.of(&["500ms", "1s", "3s"]),
            "snapshot": {"interval": "3s", "retention": random.of(&["24h", "20s", "6s"])},
            "levels": [{"interval": "1s"}, {"interval": "4s"}],
        });
        if random.one_in(4) {
            // Only the times are squeezed: the backup keeps its first files.
            top["l0-retention"] = json!("5m");
        }
        let mut database = json!({
            "monitor-interval": interval(&mut random),
            "min-checkpoint-page-count": random.of(&[10, 10, 100, 1000]),
            "truncate-page-n": random.of(&[60, 60, 200, 2000]),
        });
        if random.one_in(3) {
            database["checkpoint-interval"] = json!(random.of(&["1s", "3s"]));
        }
        Self { lives, databases, top, database, replica: json!({"sync-interval": interval(&mut random)}) }
    }

    /// The settings in a few words.
    pub fn short(&self) -> String {
        let databases = self.databases.iter().map(|database| {
            let vacuum = ["", "/full", "/incremental"][database.auto_vacuum as usize];
            format!("{}{vacuum}{}", database.page_size, if database.rowid { "" } else { "/norowid" })
        });
        let databases = databases.collect::<Vec<_>>().join("+");
        if self.replica.as_object().is_none_or(|replica| replica.is_empty()) {
            return format!("pages {databases}, defaults");
        }
        let text = |value: &Value| value.to_string().replace('"', "");
        format!(
            "pages {databases}, sync {}, monitor {}, checkpoint {}, truncate {}, l0 {}",
            text(&self.replica["sync-interval"]),
            text(&self.database["monitor-interval"]),
            text(&self.database["min-checkpoint-page-count"]),
            text(&self.database["truncate-page-n"]),
            text(&self.top["l0-retention"]),
        )
    }
}

impl Database {
    fn new(random: &mut Random) -> Self {
        let page_size = random.of(&[512, 1024, 2048, 4096, 4096, 8192, 16384, 32768, 65536]);
        Self { page_size, auto_vacuum: random.of(&[0, 0, 1, 2]), rowid: random.one_in(2) }
    }
}

/// One run of the keeper.
#[derive(Clone, Debug)]
pub struct Life {
    /// What the app is.
    pub app: App,
    /// What happens, and when: milliseconds after the app came up.
    pub faults: Vec<(u64, Fault)>,
    /// When the end is asked for, in milliseconds after the app came up.
    pub runs: u64,
    /// How the end is asked for.
    pub end: End,
    /// `--stop-timeout`, in milliseconds.
    pub stop_timeout: u64,
    /// `--restart never`.
    pub no_restart: bool,
    /// Nothing of it is meant to fail.
    pub calm: bool,
    /// If all is confirmed afterwards, the next life has to restore its databases.
    pub then_lost: bool,
}

/// How a life's end begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// TERM.
    Term,
    /// TERM, and another one so many milliseconds later.
    Twice(u64),
    /// The app ends.
    App,
}

/// What the app does, as its processes read it from a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct App {
    /// Its writing processes.
    pub writers: Vec<Writer>,
    /// What its leader does on TERM.
    pub on_term: OnTerm,
    /// What its leader does when a writer has ended.
    pub on_death: OnDeath,
    /// What it ends with.
    pub code: i32,
}

/// The leader's answer to TERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnTerm {
    /// It passes it on, waits, and ends.
    Waits,
    /// It ends at once; the writers go on.
    Leaves,
    /// It goes on.
    Ignores,
}

/// The leader's answer to the death of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDeath {
    /// It starts another one.
    Replaces,
    /// It goes on without it.
    GoesOn,
    /// It ends at once; the other writers go on.
    Ends,
}

/// One writing process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Writer {
    /// Its number, the same over all lives of a world.
    pub number: u64,
    /// The numbers of the database that it writes, and of one that it attaches.
    pub databases: (usize, Option<usize>),
    /// What it writes.
    pub shape: Shape,
    /// `OFF`, `NORMAL`, `FULL`.
    pub synchronous: u8,
    /// `wal_autocheckpoint`.
    pub autocheckpoint: u32,
    /// Whether its page cache is so small that transactions go to the WAL before they are committed.
    pub spills: bool,
    /// Milliseconds between two transactions, at most.
    pub pause: u64,
    /// Whether a TERM kills it in the middle of whatever it does.
    pub rude: bool,
    /// The number of the commit in whose middle it dies: the frames are written, the index does not know them yet.
    pub dies_at: Option<u64>,
    /// Its own chance.
    pub seed: u64,
}

/// What a writer does all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// One statement, one transaction.
    Autocommit,
    /// Transactions of up to some thousand pages.
    Big,
    /// Few rows of up to a megabyte.
    Blobs,
    /// Inserts, updates and deletes of a few rows.
    Churn,
    /// The same, with `VACUUM` and `incremental_vacuum` in between.
    Vacuum,
}

/// Something that goes wrong, or a stop that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL.
    Kill(Victim),
    /// SIGSTOP, and SIGCONT so many milliseconds later.
    Freeze(Victim, u64),
    /// What the proxy does for so many milliseconds.
    Network(Network, u64),
}

/// A process of the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The keeper.
    Keeper,
    /// Litestream.
    Litestream,
    /// The shim.
    Shim,
    /// The app's leader.
    Leader,
    /// One of its writers: the one of this number, modulo how many there are.
    Writer(u64),
}

/// What the proxy does to every second request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The request is carried out, but its answer gets lost.
    LosesAnswers,
    /// The connection is reset in the middle of the request.
    Resets,
    /// The answer comes only when this is over.
    Stalls,
    /// The server answers with this status.
    Answers(u16),
}

impl Fault {
    /// The name by which `--without` leaves it out.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Kill(Victim::Keeper) => "kill-keeper",
            Self::Kill(Victim::Litestream) => "kill-litestream",
            Self::Kill(Victim::Shim) => "kill-shim",
            Self::Kill(Victim::Leader) => "kill-leader",
            Self::Kill(Victim::Writer(_)) => "kill-writer",
            Self::Freeze(Victim::Keeper, _) => "freeze-keeper",
            Self::Freeze(..) => "freeze-litestream",
            Self::Network(Network::LosesAnswers, _) => "lose-answers",
            Self::Network(Network::Resets, _) => "reset",
            Self::Network(Network::Stalls, _) => "stall",
            Self::Network(Network::Answers(500), _) => "answer-500",
            Self::Network(Network::Answers(_), _) => "answer-503",
        }
    }
}

/// The name by which `--without` leaves out that writers die in the middle of a commit.
pub const DIES_IN_COMMIT: &str = "die-in-commit";

/// All names that `--without` takes.
pub const KINDS: [&str; 13] = [
    DIES_IN_COMMIT,
    "kill-keeper",
    "kill-litestream",
    "kill-shim",
    "kill-leader",
    "kill-writer",
    "freeze-keeper",
    "freeze-litestream",
    "lose-answers",
    "reset",
    "stall",
    "answer-500",
    "answer-503",
];

impl Life {
    /// The life of this number in a world, without the faults in `without`.
    pub fn new(
        world: &World,
        backend: Backend,
        (seed, number, life): (u64, u64, u64),
        without: &[String],
    ) -> Self {
        let mut random = Random::new(seed, &[number, 1 + life]);
        let calm = life + 1 == world.lives;
        let runs = match random.between(0, 9) {
            0..=3 => random.between(200, 1200),
            4..=8 => random.between(1200, 4000),
            _ => random.between(4000, 9000),
        };
        let end = match random.between(0, 9) {
            0..=5 => End::Term,
            6 | 7 => End::Twice(random.between(0, 600)),
            _ => End::App,
        };
        let code = random.of(&[0, 0, 3, 143]);
        let writers =
            (0..random.between(1, 4)).map(|number| Writer::new(world, number, &mut random)).collect();
        let app = App {
            writers,
            on_term: random.of(&[OnTerm::Waits, OnTerm::Waits, OnTerm::Leaves, OnTerm::Ignores]),
            on_death: random.of(&[OnDeath::Replaces, OnDeath::GoesOn, OnDeath::Ends]),
            code,
        };
        let mut faults = Vec::new();
        for _ in 0..random.between(0, 3) {
            // Some of them come when the stop is under way.
            faults.push((random.between(0, runs + 300), Fault::new(backend, &mut random)));
        }
        faults.sort_by_key(|(at, _)| *at);
        let mut planned = Self {
            app,
            faults,
            runs,
            end,
            stop_timeout: random.of(&[600, 1500, 4000, 10_000]),
            no_restart: end == End::App && code != 0,
            calm,
            then_lost: random.one_in(5),
        };
        if random.one_in(6) {
            planned.leave_alone(&mut random);
        }
        planned.faults.retain(|(_, fault)| !without.iter().any(|kind| kind == fault.kind()));
        if without.iter().any(|kind| kind == DIES_IN_COMMIT) {
            planned.app.writers.iter_mut().for_each(|writer| writer.dies_at = None);
        }
        if calm {
            planned.be_calm();
        }
        planned
    }

    /// One writer, which dies in a commit and has no successor: the next one who writes is Litestream.
    fn leave_alone(&mut self, random: &mut Random) {
        self.app.on_death = OnDeath::GoesOn;
        self.app.writers.truncate(1);
        if let Some(writer) = self.app.writers.first_mut() {
            writer.dies_at = Some(random.between(5, 60));
            writer.pause = random.of(&[0, 4, 10]);
            writer.autocheckpoint = 1000;
            writer.rude = false;
        }
        self.runs += 1000;
    }

    fn be_calm(&mut self) {
        self.faults.clear();
        self.stop_timeout = 20_000;
        self.end = End::Term;
        self.no_restart = false;
        self.app.on_term = OnTerm::Waits;
        self.app.on_death = OnDeath::Replaces;
        for writer in &mut self.app.writers {
            (writer.rude, writer.dies_at) = (false, None);
        }
    }

    /// Its faults in a few words.
    pub fn short(&self) -> String {
        let mut words: Vec<String> = self.faults.iter().map(|(at, fault)| format!("{fault}@{at}")).collect();
        for writer in &self.app.writers {
            if let Some(commit) = writer.dies_at {
                words.push(format!("{DIES_IN_COMMIT}-{}:{commit}", writer.number));
            }
        }
        words.push(format!("{:?} of {} ms", self.app.on_term, self.stop_timeout));
        words.push(match self.end {
            End::Term => format!("TERM@{}", self.runs),
            End::Twice(gap) => format!("TERM@{}+{gap}", self.runs),
            End::App => format!("app-ends@{}", self.runs),
        });
        words.join(" ")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(Victim::Writer(number)) => write!(f, "{}-{number}", self.kind()),
            Self::Kill(_) => f.write_str(self.kind()),
            Self::Freeze(_, millis) | Self::Network(_, millis) => write!(f, "{}:{millis}", self.kind()),
        }
    }
}

impl Fault {
    fn new(backend: Backend, random: &mut Random) -> Self {
        if backend == Backend::S3 && random.one_in(2) {
            let what = random.of(&[
                Network::LosesAnswers,
                Network::LosesAnswers,
                Network::Resets,
                Network::Stalls,
                Network::Answers(500),
                Network::Answers(503),
            ]);
            return Self::Network(what, random.between(200, 2500));
        }
        match random.between(0, 9) {
            0..=2 => Self::Kill(Victim::Writer(random.between(0, 3))),
            3 => Self::Kill(Victim::Leader),
            4 => Self::Kill(Victim::Shim),
            5 => Self::Kill(Victim::Litestream),
            6 => Self::Kill(Victim::Keeper),
            7 | 8 => Self::Freeze(Victim::Keeper, random.between(20, 1500)),
            _ => Self::Freeze(Victim::Litestream, random.between(20, 1500)),
        }
    }
}

impl Writer {
    fn new(world: &World, number: u64, random: &mut Random) -> Self {
        let count = world.databases.len() as u64;
        let database = random.between(0, count - 1) as usize;
        let attached = (count > 1 && random.one_in(2)).then_some(1 - database);
        Self {
            number,
            databases: (database, attached),
            shape: random.of(&[
                Shape::Autocommit,
                Shape::Autocommit,
                Shape::Big,
                Shape::Blobs,
                Shape::Churn,
                Shape::Churn,
                Shape::Vacuum,
            ]),
            synchronous: random.of(&[0, 1, 1, 2]),
            autocheckpoint: random.of(&[0, 1, 10, 1000, 1000]),
            spills: random.one_in(3),
            pause: random.of(&[0, 2, 10, 50, 300]),
            rude: random.one_in(4),
            dies_at: random.one_in(8).then(|| random.between(2, 40)),
            seed: random.next(),
        }
    }
}
