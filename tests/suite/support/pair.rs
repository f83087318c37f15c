//! Two machines that replicate to one place. Neither sees the other's files or locks.

use std::ffi::OsStr;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::app::App;
use super::config::Replica;
use super::history;
use super::keeper::Keeper;
use super::litestream::{LATEST, binary};
use super::process::{Ended, Running, Spec};
use super::sqlite;
use super::wait::DEADLINE;
use super::world::World;

/// Two machines, of which the first has a database.
pub struct Pair {
    /// One.
    pub one: World,
    /// Another.
    pub two: World,
    place: Replica,
    env: Vec<(&'static str, String)>,
}

impl Pair {
    /// Of this place, with what has to be in the environment.
    pub fn new(place: Replica, env: Vec<(&'static str, String)>) -> Self {
        let (one, two) = (World::named("one"), World::named("two"));
        sqlite::create(&one.db(), 3);
        Self { one, two, place, env }
    }

    /// One of these on its database.
    pub fn keeper(&self, world: &World, options: &[&str]) -> Keeper {
        let config = world.config(&self.place);
        let env = self.env.iter().map(|(name, value)| (*name, value));
        Keeper::new(world).config(&config).envs(env).args(options)
    }

    /// Starts an app that writes a row and waits.
    #[track_caller]
    pub fn start(&self, world: &World, options: &[&str]) -> Running {
        let before = world.trace().all("ready").len();
        let app = App::new(&world.trace()).insert(&world.db(), 1).ready().wait();
        let running = self.keeper(world, options).app(app).start();
        world.trace().wait_nth(before + 1, "ready");
        running
    }

    /// Starts and stops one whose app writes nothing.
    #[track_caller]
    pub fn run(&self, world: &World, options: &[&str]) -> Ended {
        self.keeper(world, options).app(App::new(&world.trace()).exit(0)).run()
    }

    /// What can be restored now.
    #[track_caller]
    pub fn restored(&self, world: &World) -> Vec<i64> {
        let number = world.list("").iter().filter(|name| name.starts_with("restored-")).count();
        self.restored_by(world, &[], &format!("restored-{number}.db"))
    }

    #[track_caller]
    fn restored_by(&self, world: &World, options: &[&str], name: &str) -> Vec<i64> {
        let (db, out) = (world.db(), world.path(name));
        let options = options.iter().map(OsStr::new);
        let args = options.chain(["-o".as_ref(), out.as_os_str(), db.as_os_str()]);
        self.litestream(world, "restore", args).expect_code(0);
        sqlite::assert_sound(&out);
        sqlite::ids(&out)
    }

    #[track_caller]
    fn litestream<'a>(
        &self,
        world: &World,
        command: &str,
        args: impl IntoIterator<Item = &'a OsStr>,
    ) -> Ended {
        let config = world.config(&self.place);
        let mut spec = Spec::new(&binary(LATEST), world.root());
        self.env.iter().for_each(|(name, value)| spec.env(name, value));
        spec.args([command.as_ref(), "-config".as_ref(), config.as_os_str()]);
        spec.args(args);
        spec.run(DEADLINE)
    }

    /// What can be restored of each transaction that has a file: each is a beginning of the next.
    #[track_caller]
    pub fn assert_one_history(&self, world: &World) {
        let args = ["-level".as_ref(), "all".as_ref()];
        let listed = self.litestream(world, "ltx", args.into_iter().chain([world.db().as_os_str()]));
        let listed = listed.expect_code(0).stdout;
        // Of each file there are the first and the last transaction, beside numbers that are shorter.
        let txid = |word: &str| (word.len() == 16).then(|| u64::from_str_radix(word, 16).ok()).flatten();
        let lasts = listed.lines().filter_map(|line| line.split_whitespace().filter_map(txid).nth(1));
        history::assert_one(lasts.collect(), |txid| match txid {
            Some(txid) => {
                self.restored_by(world, &["-txid", &format!("{txid:016x}")], &format!("at-{txid}.db"))
            }
            None => self.restored(world),
        });
    }
}

/// A signal for it, with all that is below it.
pub fn signal_all(running: &Running, signal: Signal) {
    for process in running.tree() {
        // One that has ended meanwhile needs none.
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}
