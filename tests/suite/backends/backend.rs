//! One kind of server, and how a database is put on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, binary};
use crate::support::process::{Running, Spec};
use crate::support::s3::S3;
use crate::support::server::Server;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// Something that can go away.
pub trait Goes {
    /// Nobody answers any more.
    fn down(&mut self);
    /// It takes what it is sent, and does nothing with it.
    fn pause(&self);
    /// It is back, with all that it had.
    fn up(&mut self);
}

impl Goes for Server {
    fn down(&mut self) {
        self.down();
    }

    fn pause(&self) {
        self.pause();
    }

    fn up(&mut self) {
        self.up();
    }
}

impl Goes for S3 {
    fn down(&mut self) {
        self.refuse();
    }

    fn pause(&self) {
        S3::pause(self);
    }

    fn up(&mut self) {
        self.listen_again();
    }
}

/// A place by its name.
pub type At = Box<dyn Fn(&str) -> Replica>;

/// What can be read and not written.
pub struct ReadOnly {
    /// A replica of its own for each name.
    pub at: At,
    /// The hint that it gets.
    pub hint: &'static str,
    /// What Litestream has to find in its environment beside the rest.
    pub env: Vec<(&'static str, String)>,
}
/// A place by its name, in the words of an order.
pub type Told = Box<dyn Fn(&str) -> Value>;

/// A server with what the scenarios need to know of it.
pub struct Backend {
    /// It.
    pub server: Box<dyn Goes>,
    /// A replica of its own for each name.
    pub at: At,
    /// Where the databases of a folder go, and which of them a name below belongs to; none where that cannot be.
    pub folder: Option<At>,
    /// What never works, and the hint that it gets.
    pub refused: Vec<(Replica, &'static str)>,
    /// What Litestream has to find in its environment.
    pub env: Vec<(&'static str, String)>,
    /// What `check --online` leaves there, if anything.
    pub left: Option<&'static str>,
    /// A place that can be read and not written; none where nobody can make one.
    pub read_only: Option<ReadOnly>,
    /// How many files stay of what starts without a database write on trial; none where nothing is tried.
    pub stays: Option<usize>,
    /// The backups of a folder of databases can be listed there, and all else looked at by a client of our own.
    pub is_listed: bool,
    /// A place by its name, as our own client is told of it; where that looks.
    pub order: Option<Told>,
    /// Takes all away that is there; where our own client looks.
    pub empty: Option<Box<dyn Fn()>>,
    /// Litestream's client of this kind gives up at once when nobody answers.
    pub gives_up: bool,
    /// Where Litestream's client may not get over a server that goes, and takes what was on its way for uploaded: whether all
    /// that it has sent has arrived. What it does not upload any more, a fresh Litestream does.
    pub has_arrived: Option<Box<dyn Fn() -> bool>>,
}

impl Backend {
    /// Takes the server away from this unit, between two uploads where it has to be.
    #[track_caller]
    pub fn take_away(&mut self, unit: &Running) {
        let Some(has_arrived) = &self.has_arrived else { return self.server.down() };
        let litestream = unit.litestream();
        wait_until("a moment without an upload", DEADLINE, || {
            litestream.signal(Signal::SIGSTOP);
            let has_arrived = has_arrived();
            if !has_arrived {
                litestream.signal(Signal::SIGCONT);
            }
            has_arrived
        });
        self.server.down();
        litestream.signal(Signal::SIGCONT);
    }

    /// A keeper of the world's one database, at the usual place.
    pub fn keeper(&self, world: &World) -> Keeper {
        self.keeper_of(world, &world.config(&(self.at)("app")))
    }

    /// A keeper with this configuration.
    pub fn keeper_of(&self, world: &World, config: &Path) -> Keeper {
        Keeper::new(world).config(config).envs(self.env.iter().map(|(name, value)| (*name, value)))
    }

    /// What our own client answers to an order.
    #[track_caller]
    pub fn ask(&self, world: &World, order: &Value) -> Value {
        let file = world.write("order", &order.to_string());
        let mut own = Command::new("/bin/sh");
        own.args(["-c", "exec \"$0\" __list 3 3< \"$1\"", env!("CARGO_BIN_EXE_litekeeper")])
            .arg(file)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        let answer = own.output().expect("it can be started");
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        serde_json::from_slice(&answer.stdout).expect("it answers with JSON")
    }

    /// How many files of transactions Litestream lists at a place.
    #[track_caller]
    pub fn files(&self, world: &World, place: &str) -> usize {
        let db = world.db();
        let config = world.config(&(self.at)(place));
        let mut spec = Spec::new(&binary(LATEST), world.root());
        self.env.iter().for_each(|(name, value)| spec.env(name, value));
        spec.args(["ltx", "-level", "all", "-config"]);
        spec.args([&config, &db]);
        let listed = spec.run(DEADLINE).expect_code(0).stdout;
        // A head comes first.
        listed.lines().filter(|line| line.contains("0000000000000001")).count()
    }

    /// What `litestream restore` by itself makes of a backup.
    #[track_caller]
    pub fn restored(&self, world: &World, config: &Path, db: &Path) -> PathBuf {
        let number = world.list("").iter().filter(|name| name.starts_with("plain-")).count();
        let out = world.path(&format!("plain-{number}.db"));
        let mut spec = Spec::new(&binary(LATEST), world.root());
        self.env.iter().for_each(|(name, value)| spec.env(name, value));
        spec.args(["restore".as_ref(), "-config".as_ref(), config.as_os_str(), "-o".as_ref()]);
        spec.args([out.as_os_str(), db.as_os_str()]);
        spec.run(DEADLINE).expect_code(0);
        out
    }
}
