//! Machines that share nothing but a server of S3, and cannot be told apart: each keeper is the first process of a host with
//! the same name, and its database has the same path. Pauses, writes that meet, answers that are lost, servers that are away and
//! clocks that are wrong: never is a row lost that its owner had confirmed, and the backup has one history.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::app::{App, Trace};
use crate::support::clock::Clock;
use crate::support::config;
use crate::support::history;
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, litestream};
use crate::support::process::{Ended, Running};
use crate::support::procfs::alive;
use crate::support::s3::S3;
use crate::support::s3_locks::Fates;
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// As short as the times of this suite's machines allow.
const TTL: [&str; 2] = ["--lease-ttl", "2s"];
/// Who waits so has waited for longer than that, and takes nothing from whoever is merely slow.
const REFUSED: [&str; 4] = ["--lease-ttl", "20s", "--lease-wait", "3s"];
const MODES: [&str; 2] = ["auto", "strict"];

const LOCK: &str = "lock.json";

/// A server and two machines.
struct Machines {
    s3: S3,
    one: World,
    two: World,
    /// Where each has its own folder.
    place: World,
}

impl Machines {
    fn new() -> Self {
        let (s3, one, two) = (S3::start(), World::named("one"), World::named("two"));
        s3.bucket("backups");
        Self { s3, one, two, place: World::new() }
    }

    fn keeper(&self, world: &World, options: &[&str]) -> Keeper {
        let text = config::yaml("", [(self.place.db().as_path(), &self.s3.replica("backups", "app"))]);
        let config = world.write("twin.yml", &text);
        let ttl = if options.contains(&TTL[0]) { &[][..] } else { &TTL };
        let keeper = Keeper::new(world).config(&config).envs(S3::env()).args(ttl).args(options);
        keeper.wrapped(wrap::twin(world.root(), self.place.root()))
    }

    /// An app that writes two rows and waits.
    fn app(&self) -> App {
        App::new(&Trace::new(self.place.path("trace"))).insert(&self.place.db(), 2).ready().wait()
    }

    fn start(&self, world: &World, options: &[&str]) -> Running {
        let before = world.trace().all("ready").len();
        let running = self.keeper(world, options).app(self.app()).start();
        world.trace().wait_nth(before + 1, "ready");
        running
    }

    /// The second machine, which has to be told that it may not.
    fn assert_second_is_refused(&self) -> Ended {
        let ended = self.keeper(&self.two, &REFUSED).app(self.app()).run().expect_code(75);
        assert!(self.two.trace().is_empty() && !self.two.db().exists());
        ended.expect_log("another machine replicates to s3://backups/app (twin:1 for")
    }

    /// Starts both at once: the one that has the place, and the one that waits for it.
    fn race(&self, options: &[&str]) -> [(&World, Running); 2] {
        let start = |world| self.keeper(world, options).app(self.app()).start();
        let both = [(&self.one, start(&self.one)), (&self.two, start(&self.two))];
        let is_ready = |world: &World| !world.trace().all("ready").is_empty();
        wait_until("one of them to start", DEADLINE, || both.iter().any(|(world, _)| is_ready(world)));
        let [one, two] = both;
        let both = if is_ready(one.0) { [one, two] } else { [two, one] };
        both[1].1.wait_log(1, "waiting until it ends");
        both
    }

    /// The first machine, which was away, ends; the second one goes on, and has the rows of both.
    #[track_caller]
    fn assert_succeeded(&self, first: Running, second: Running) {
        let ended = first.finish().expect_code(75);
        assert!(ended.log.contains("has taken over") || ended.log.contains("lease is over"), "{}", ended.log);
        sqlite::insert(&self.two.db(), 2);
        stop(second);
        self.assert_one_history(&[&self.one, &self.two]);
        assert_eq!(sqlite::ids(&self.two.db()), [1, 2, 3, 4, 5, 6]);
    }

    fn config(&self, world: &World) -> PathBuf {
        world.config(&self.s3.replica("backups", "app"))
    }

    /// Waits until all that a machine has is on the replica.
    fn wait_uploaded(&self, world: &World) {
        let (config, db) = (self.config(world), world.db());
        wait_until("the rows to be there", DEADLINE, || {
            let backed_up = self.s3.objects("backups").iter().any(|key| key.ends_with(".ltx"));
            backed_up && history::newest(world, &config, &db) == sqlite::ids(&db)
        });
    }

    /// One history can be restored, with all that the apps of these machines were told to be committed.
    fn assert_one_history(&self, owners: &[&World]) {
        let world = self.two_or_one();
        let (config, db) = (self.config(world), world.db());
        let keys = self.s3.objects("backups");
        let names = keys.iter().filter_map(|key| key.rsplit('/').next()?.strip_suffix(".ltx"));
        let txids = names.filter_map(|name| u64::from_str_radix(name.split_once('-')?.1, 16).ok()).collect();
        let rows = history::assert_one(txids, |txid| {
            let Some(txid) = txid else { return history::newest(world, &config, &db) };
            let (txid_text, out) = (format!("{txid:016x}"), world.path(&format!("at-{txid}.db")));
            let args = ["restore".as_ref(), "-config".as_ref(), config.as_os_str(), "-txid".as_ref()];
            let args = args.into_iter().chain([txid_text.as_ref(), "-o".as_ref(), out.as_os_str()]);
            litestream(world, LATEST, args.chain([db.as_os_str()])).expect_code(0);
            sqlite::ids(&out)
        });
        for owner in owners {
            let acked = owner.trace().acked();
            assert!(!acked.is_empty() && acked.iter().all(|id| rows.contains(id)), "{acked:?} in {rows:?}");
        }
    }

    /// Whoever has a database.
    fn two_or_one(&self) -> &World {
        if self.two.db().exists() { &self.two } else { &self.one }
    }

    fn lock(&self) -> Value {
        let text = std::fs::read(self.s3.folder("backups").join("app/lock.json")).expect("there is a lock");
        serde_json::from_slice(&text).expect("a lock is JSON")
    }

    /// Waits until it was written so often more.
    fn wait_renewed(&self, times: usize) {
        for _ in 0..times {
            let before = self.lock();
            wait_until("the lock to be renewed", DEADLINE, || self.lock() != before);
        }
    }
}

/// A keeper that was told to stop.
#[track_caller]
fn stop(running: Running) {
    running.keeper().signal(Signal::SIGTERM);
    running.finish().expect_code(143).expect_log("everything is on the replica");
}

/// Of all that the keeper has started, and of itself.
fn signal_all(running: &Running, signal: Signal) {
    let keeper = running.keeper();
    let below = running.tree().into_iter().filter(|process| process.pid != running.pid());
    // A keeper that is woken first has more to tell.
    below.filter(|process| process.pid != keeper.pid).for_each(|process| process.signal(signal));
    keeper.signal(signal);
}

#[test]
fn of_two_that_start_together_one_has_the_place_and_the_other_goes_on_after_it() {
    for mode in MODES {
        let machines = Machines::new();
        let [(owner, first), (other, second)] = machines.race(&["--lease", mode]);
        machines.wait_renewed(2);
        assert!(other.trace().is_empty() && !other.db().exists());
        stop(first);
        other.trace().wait("ready");
        assert_eq!(sqlite::ids(&other.db()), [1, 2, 3, 4]);
        stop(second);
        machines.assert_one_history(&[owner, other]);
    }
}

/// Its keeper goes on to hold the place, so nobody else may have it.
#[test]
fn litestream_alone_is_paused() {
    for mode in MODES {
        let machines = Machines::new();
        let first = machines.start(&machines.one, &["--lease", mode]);
        machines.wait_uploaded(&machines.one);
        first.litestream().signal(Signal::SIGSTOP);
        sqlite::insert(&machines.one.db(), 1);
        machines.assert_second_is_refused();
        first.litestream().signal(Signal::SIGCONT);
        sqlite::insert(&machines.one.db(), 1);
        stop(first);
        machines.assert_one_history(&[&machines.one]);
        assert_eq!(sqlite::ids(&machines.one.db()), [1, 2, 3, 4]);
        let second = machines.start(&machines.two, &["--lease", mode]);
        stop(second);
        machines.assert_one_history(&[&machines.one, &machines.two]);
    }
}

/// With `auto` the app and Litestream go on meanwhile, and end as soon as their keeper is awake; with `strict` they have ended by then.
#[test]
fn the_keeper_alone_is_paused() {
    for mode in MODES {
        let machines = Machines::new();
        let first = machines.start(&machines.one, &["--lease", mode]);
        machines.wait_uploaded(&machines.one);
        let (keeper, below) = (first.keeper(), [first.litestream(), first.app()]);
        keeper.signal(Signal::SIGSTOP);
        if mode == "strict" {
            wait_until("litestream and the app to end", DEADLINE, || {
                !below.iter().any(|process| alive(process.pid))
            });
        }
        let second = machines.start(&machines.two, &["--lease", mode]);
        assert_eq!(below.iter().all(|process| alive(process.pid)), mode == "auto");
        keeper.signal(Signal::SIGCONT);
        machines.assert_succeeded(first, second);
    }
}

/// The machine sleeps, with all that is on it.
#[test]
fn everything_is_paused() {
    for mode in MODES {
        let machines = Machines::new();
        let first = machines.start(&machines.one, &["--lease", mode]);
        machines.wait_uploaded(&machines.one);
        signal_all(&first, Signal::SIGSTOP);
        let second = machines.start(&machines.two, &["--lease", mode]);
        signal_all(&first, Signal::SIGCONT);
        machines.assert_succeeded(first, second);
    }
}

/// What becomes of this many writes of the lock at the start, of one that is held, and of one that is given up.
#[track_caller]
fn assert_lives_with(fates: Fates, mode: &str) {
    let machines = Machines::new();
    machines.s3.spoil(LOCK, fates);
    let first = machines.start(&machines.one, &["--lease", mode]);
    machines.s3.wait_spoiled();
    machines.s3.spoil(LOCK, fates);
    machines.s3.wait_spoiled();
    machines.wait_renewed(2);
    assert_eq!(machines.lock()["generation"], 1);
    let owner = machines.lock()["owner"].clone();
    // Whoever finds nothing to go by has to leave it to the other one.
    machines.assert_second_is_refused();
    assert_eq!(machines.lock()["owner"], owner);
    machines.s3.spoil(LOCK, fates);
    first.keeper().signal(Signal::SIGTERM);
    let ended = first.finish().expect_code(143).expect_log("everything is on the replica");
    machines.s3.wait_spoiled();
    assert!(!ended.log.contains("are not kept apart"), "{}", ended.log);
    assert_eq!(machines.lock()["released"], true, "{}", ended.log);
    let ended = machines.keeper(&machines.two, &["--lease", mode, "--lease-ttl", "1h"]).app(machines.app());
    let second = ended.start();
    machines.two.trace().wait("ready");
    assert!(!second.log().contains("another machine"), "{}", second.log());
    stop(second);
    machines.assert_one_history(&[&machines.one, &machines.two]);
}

/// `ConditionalRequestConflict`: neither is it written, nor is it somebody else's.
#[test]
fn writes_that_meet_are_tried_again() {
    for mode in MODES {
        assert_lives_with(Fates { conflicts: 2, ..Fates::default() }, mode);
    }
}

#[test]
fn what_an_answer_that_was_lost_has_done_is_found_out() {
    for mode in MODES {
        assert_lives_with(Fates { unanswered: 1, ..Fates::default() }, mode);
    }
}

#[test]
fn a_write_that_never_came_is_written_again() {
    for mode in MODES {
        assert_lives_with(Fates { unheard: 1, ..Fates::default() }, mode);
    }
}

/// The first start of both marks the place as well.
#[test]
fn a_mark_that_meets_another_is_tried_again() {
    let machines = Machines::new();
    machines.s3.spoil("litekeeper.json", Fates { conflicts: 1, ..Fates::default() });
    let first = machines.start(&machines.one, &[]);
    machines.s3.wait_spoiled();
    first.keeper().signal(Signal::SIGTERM);
    let ended = first.finish().expect_code(143).expect_log("everything is on the replica");
    assert!(!ended.log.contains("whose place it is"), "{}", ended.log);
    assert!(machines.s3.objects("backups").contains(&"app/litekeeper.json".to_owned()), "{}", ended.log);
}

/// A server that goes on so says nothing of a lock; and not that there are none.
#[test]
fn writes_that_meet_for_ever_are_as_no_answer() {
    let machines = Machines::new();
    let always = || machines.s3.spoil(LOCK, Fates { conflicts: usize::MAX, ..Fates::default() });
    always();
    let ended = machines.keeper(&machines.one, &["--lease", "strict", "--lease-wait", "3s"]);
    let ended = ended.app(machines.app()).run().expect_code(69);
    ended.expect_log("ConditionalRequestConflict");
    let first = machines.keeper(&machines.one, &[]).app(machines.app()).start();
    first.wait_log(1, "whether another machine replicates there");
    machines.s3.resume();
    machines.one.trace().wait("ready");
    machines.wait_renewed(2);
    always();
    first.wait_log(1, "nobody knows whether another machine replicates there");
    machines.s3.resume();
    machines.wait_renewed(2);
    stop(first);
    let first = machines.start(&machines.one, &["--lease", "strict"]);
    always();
    first.wait_log(1, "nobody says that it is still this machine's");
    first.finish().expect_code(75).expect_log("the time of the lease is over");
    machines.s3.resume();
    stop(machines.start(&machines.one, &["--lease", "strict"]));
    machines.assert_one_history(&[&machines.one]);
}

/// Two start at once, whose first writes meet, or come to pass and are not answered.
#[test]
fn two_that_start_together_have_no_luck_with_their_writes() {
    for fates in [Fates { conflicts: 6, ..Fates::default() }, Fates { unanswered: 2, ..Fates::default() }] {
        let machines = Machines::new();
        machines.s3.spoil(LOCK, fates);
        let [(owner, first), (other, second)] = machines.race(&[]);
        assert!(other.trace().is_empty());
        stop(first);
        other.trace().wait("ready");
        stop(second);
        machines.assert_one_history(&[owner, other]);
    }
}

/// How a server is away.
#[derive(Clone, Copy, Debug)]
enum Away {
    /// Nobody listens.
    Refusing,
    /// Somebody does, and says nothing.
    Silent,
}

impl Away {
    fn begin(self, s3: &mut S3) {
        match self {
            Self::Refusing => s3.refuse(),
            Self::Silent => s3.pause(),
        }
    }

    fn end(self, s3: &mut S3) {
        match self {
            Self::Refusing => s3.listen_again(),
            Self::Silent => s3.resume(),
        }
    }
}

#[test]
fn a_server_is_away_for_longer_and_the_app_runs_on() {
    for away in [Away::Refusing, Away::Silent] {
        let mut machines = Machines::new();
        let first = machines.start(&machines.one, &["--lease", "auto"]);
        machines.wait_uploaded(&machines.one);
        away.begin(&mut machines.s3);
        sqlite::insert(&machines.one.db(), 1);
        first.wait_log(1, "nobody knows whether another machine replicates there");
        away.end(&mut machines.s3);
        machines.wait_renewed(2);
        machines.assert_second_is_refused();
        stop(first);
        machines.assert_one_history(&[&machines.one]);
        assert_eq!(sqlite::ids(&machines.one.db()), [1, 2, 3]);
        stop(machines.start(&machines.two, &[]));
        machines.assert_one_history(&[&machines.one, &machines.two]);
    }
}

/// Nothing of it is lost but for the other machine, until this one is started again.
#[test]
fn a_server_is_away_for_longer_and_strict_ends_all() {
    for away in [Away::Refusing, Away::Silent] {
        let mut machines = Machines::new();
        let first = machines.start(&machines.one, &["--lease", "strict"]);
        machines.wait_uploaded(&machines.one);
        away.begin(&mut machines.s3);
        sqlite::insert(&machines.one.db(), 1);
        first.finish().expect_code(75).expect_log("the time of the lease is over");
        away.end(&mut machines.s3);
        // Its own, which is gone, is waited for by nobody.
        let ended = machines.keeper(&machines.one, &["--lease", "strict", "--lease-ttl", "1h"]);
        let again = ended.app(machines.app()).start();
        machines.one.trace().wait_nth(2, "ready");
        assert!(!again.log().contains("another machine"), "{}", again.log());
        assert_eq!(sqlite::ids(&machines.one.db()), [1, 2, 3, 4, 5]);
        stop(again);
        machines.assert_one_history(&[&machines.one]);
        stop(machines.start(&machines.two, &["--lease", "strict"]));
        machines.assert_one_history(&[&machines.one, &machines.two]);
    }
}

const HOUR: i64 = 3600;

/// When the lock's owner believes that it ends, in seconds from now on.
fn ends_in(machines: &Machines) -> i64 {
    let lock = machines.lock();
    let ends: jiff::Timestamp =
        lock["expires_at"].as_str().and_then(|text| text.parse().ok()).expect("it does");
    ends.as_second() - jiff::Timestamp::now().as_second()
}

/// Neither is a living one's place taken, although by the clocks its time is over, nor a dead one's left to it, although it is not.
#[test]
fn clocks_that_are_wrong_give_and_keep_nothing() {
    for (mode, wrong) in [("auto", HOUR), ("strict", -HOUR)] {
        let machines = Machines::new();
        machines.s3.take_any_time(true);
        let clocks = [Clock::wrong_by(&machines.one, wrong), Clock::wrong_by(&machines.two, -wrong)];
        let keeper = |options: &[&str]| machines.keeper(&machines.one, options).app(machines.app());
        let first = clocks[0].of(keeper(&["--lease", mode])).start();
        machines.one.trace().wait("ready");
        machines.wait_uploaded(&machines.one);
        assert!((ends_in(&machines) - wrong).abs() < HOUR / 2, "{}", machines.lock());
        let second =
            |options: &[&str]| clocks[1].of(machines.keeper(&machines.two, options)).app(machines.app());
        second(&REFUSED).run().expect_code(75).expect_log("another machine replicates");
        assert!(machines.two.trace().is_empty());
        signal_all(&first, Signal::SIGKILL);
        first.finish();
        let second = second(&["--lease", mode]).start();
        machines.two.trace().wait("ready");
        assert!((ends_in(&machines) + wrong).abs() < HOUR / 2, "{}", machines.lock());
        stop(second);
        machines.assert_one_history(&[&machines.one, &machines.two]);
    }
}

/// As somebody sets them, or the network's time does after a start.
#[test]
fn clocks_jump_while_one_holds_a_place_and_another_one_waits() {
    for mode in MODES {
        let machines = Machines::new();
        machines.s3.take_any_time(true);
        let clocks = [Clock::wrong_by(&machines.one, 0), Clock::wrong_by(&machines.two, 0)];
        let first =
            clocks[0].of(machines.keeper(&machines.one, &["--lease", mode])).app(machines.app()).start();
        machines.one.trace().wait("ready");
        let options = ["--lease", mode, "--lease-ttl", "20s"];
        let second = clocks[1].of(machines.keeper(&machines.two, &options)).app(machines.app()).start();
        second.wait_log(1, "waiting until it ends");
        let owner = machines.lock()["owner"].clone();
        for (mine, theirs) in [(HOUR, -HOUR), (-HOUR, HOUR), (0, 0), (HOUR, HOUR)] {
            clocks[0].jump(mine);
            clocks[1].jump(theirs);
            machines.wait_renewed(3);
            assert!((ends_in(&machines) - mine).abs() < HOUR / 2, "{}", machines.lock());
            assert_eq!(machines.lock()["owner"], owner);
            sqlite::insert(&machines.one.db(), 1);
        }
        assert!(machines.two.trace().is_empty());
        stop(first);
        machines.two.trace().wait("ready");
        stop(second);
        machines.assert_one_history(&[&machines.one, &machines.two]);
        assert_eq!(sqlite::ids(&machines.two.db()), [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}

/// S3 itself believes nobody whose time is wrong by a quarter of an hour: that is no answer, and is said in its words.
#[test]
fn a_server_that_minds_a_wrong_clock_is_as_one_that_is_away() {
    let machines = Machines::new();
    let clock = Clock::wrong_by(&machines.one, 0);
    let start =
        |mode| clock.of(machines.keeper(&machines.one, &["--lease", mode])).app(machines.app()).start();
    let first = start("auto");
    machines.one.trace().wait("ready");
    machines.wait_uploaded(&machines.one);
    clock.jump(HOUR);
    let said = first.wait_log(1, "nobody knows whether another machine replicates there");
    assert!(said.contains("RequestTimeTooSkewed"), "{said}");
    clock.jump(0);
    machines.wait_renewed(2);
    stop(first);
    let first = start("strict");
    machines.one.trace().wait_nth(2, "ready");
    clock.jump(-HOUR);
    first.finish().expect_code(75).expect_log("the time of the lease is over");
    // Neither does it start so.
    let keeper = machines.keeper(&machines.one, &["--lease", "strict", "--lease-wait", "2s"]);
    let ended = clock.of(keeper).app(machines.app()).run().expect_code(69);
    ended.expect_log("RequestTimeTooSkewed").expect_log("hint: set this machine's clock");
    clock.jump(0);
    let first = start("strict");
    machines.one.trace().wait_nth(3, "ready");
    stop(first);
    machines.assert_one_history(&[&machines.one]);
}
