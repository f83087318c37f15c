//! Stops: one budget, nobody survives, the drain always happens; once, twice and three times told, in every phase.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::app::{App, Trace};
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::process::{Ended, Running};
use crate::support::procfs;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// What a stop may take on a busy machine beyond what was asked for.
const SLACK: Duration = Duration::from_secs(10);

/// Sends TERM, and asserts code and time.
#[track_caller]
fn stop_within(unit: Running, code: i32, limit: Duration) -> Ended {
    let start = Instant::now();
    let ended = unit.stop(code);
    let time = start.elapsed();
    assert!(time < limit + SLACK, "the stop took {time:?}, not {limit:?}; the log:\n{}", ended.log);
    ended
}

/// What comes sooner after the last word is the same word.
const ONE_BREATH: Duration = Duration::from_secs(1);

/// Asserts that a run left only the locks and the backup of Litestream's own position beside these files.
#[track_caller]
fn assert_left(world: &World, names: &[&str]) {
    let left: Vec<_> = world.list("").into_iter().filter(|name| !name.starts_with(".app.db-")).collect();
    assert_eq!(left, names);
    assert_eq!(world.list("rt"), [""; 0], "the runtime folder is empty");
}

#[test]
fn grandchildren_that_ignore_the_stop_die() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let stubborn = App::new(&trace).ignore("all").ready().wait();
    let app = App::new(&trace).on_last("TERM", &db, 7).spawn("setsid", &stubborn).spawn("group", &stubborn);
    let unit = unit::keeper(&world).args(unit::BUDGET).app(app.insert_forever(&db, 5)).start();
    trace.wait_nth(2, "ready");
    trace.wait_acked(5);
    let grandchildren: Vec<i32> = trace.all("ready").iter().map(|event| event.pid).collect();
    // Nothing of the harness: the keeper itself sees to it.
    stop_within(unit, 7, Duration::from_secs(8)).expect_log("everything is on the replica");
    assert!(grandchildren.into_iter().all(|pid| !procfs::alive(pid)));
    assert_eq!(trace.signals(), [15, 15, 15], "the leader first, then what it left");
    unit::assert_nothing_lost(&world, &trace);
}

/// What a shell started hears of the stop when the shell is gone, and has time to end in order.
#[test]
fn a_grandchild_ends_in_order() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let inner = unit::writer(&trace, &db, 0).line();
    let unit = unit::keeper(&world).app(["sh", "-c", &format!("{inner} & wait")]).start();
    trace.wait_acked(5);
    stop_within(unit, 143, Duration::from_secs(1));
    assert_eq!(trace.signals(), [15]);
    assert_eq!(trace.wait("exit").rest, "0");
    unit::assert_nothing_lost(&world, &trace);
}

/// A process that is stopped hears of a stop only when it is continued as well: the app, or what it left.
#[test]
fn who_is_stopped_ends_in_order() {
    for leader_is_stopped in [false, true] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let inner = unit::writer(&trace, &db, 0);
        let app = match leader_is_stopped {
            true => inner,
            false => App::new(&trace).on_exit("TERM", 0).spawn("setsid", &inner).wait(),
        };
        let unit = unit::keeper(&world).args(["--stop-timeout", "10m"]).app(app).start();
        trace.wait_acked(5);
        let writer = trace.wait("acked").pid;
        kill(Pid::from_raw(writer), Signal::SIGSTOP).expect("it lives");
        let state = |pid| procfs::Process::of(pid).map(|process| process.state);
        wait_until("it to be stopped", DEADLINE, || state(writer) == Some('T'));
        unit.stop(0);
        assert_eq!(trace.all("exit").len(), if leader_is_stopped { 1 } else { 2 });
        unit::assert_nothing_lost(&world, &trace);
    }
}

/// An app that crashed is not started beside what is left of its predecessor.
#[test]
fn a_crash_leaves_nothing_to_the_next_app() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let stubborn = App::new(&trace).ignore("all").insert_forever(&db, 1);
    let app = App::new(&trace).spawn("setsid", &stubborn).sleep(1000).exit(3);
    let keeper = unit::keeper(&world).args(["--restart-delay", "10ms", "--start-limit", "2"]);
    keeper.app(app).run().expect_code(3);
    let starts: Vec<i32> = trace.all("start").iter().map(|event| event.pid).collect();
    assert_eq!(starts.len(), 6, "three apps, each with a grandchild");
    let events = trace.events();
    for successor in [starts[2], starts[4]] {
        let at = events.iter().position(|event| event.pid == successor).expect("it started");
        let before: Vec<i32> = events[..at].iter().map(|event| event.pid).collect();
        assert!(
            events[at..].iter().all(|event| !before.contains(&event.pid)),
            "they ran side by side: {events:?}"
        );
    }
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn an_app_that_ignores_the_stop_is_killed_within_the_budget_and_drained() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).ignore("all").insert_forever(&db, 2);
    let unit = unit::keeper(&world).args(unit::BUDGET).app(app).start();
    trace.wait_acked(5);
    let ended = stop_within(unit, 137, Duration::from_secs(8));
    ended.expect_log("did not stop within its share").expect_log("everything is on the replica");
    assert_eq!(trace.signals(), [15]);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn nothing_waits_when_nothing_is_left() {
    let world = World::new();
    let unit = unit::start_writing(&world, unit::keeper(&world).args(["--stop-timeout", "10m"]));
    stop_within(unit, 0, Duration::ZERO);
}

#[test]
fn the_second_word_skips_the_grace_and_not_the_drain() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).ignore("all").insert_forever(&db, 2);
    let unit = unit::keeper(&world).args(["--stop-timeout", "10m"]).app(app).start();
    trace.wait_acked(5);
    unit.signal(Signal::SIGTERM);
    wait_until("the app to be asked", DEADLINE, || trace.signals() == [15]);
    unit::insist(&unit, "told to stop again");
    let ended = unit.finish().expect_code(137);
    ended.expect_log("told to stop again").expect_log("everything is on the replica");
    unit::assert_nothing_lost(&world, &trace);
}

/// `timeout(1)` tells its child, and in the same breath the group that both are in.
#[test]
fn a_wrapper_that_tells_twice_in_one_breath_leaves_the_app_its_grace() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_linger("TERM", 400, 7).insert_forever(&db, 2);
    let unit = unit::keeper(&world).wrapped(["timeout", "10m"]).app(app).start();
    trace.wait_acked(5);
    let keeper = unit.keeper();
    unit.signal(Signal::SIGTERM);
    unit.wait_log(1, "SIGTERM from pid");
    // Both of `timeout`'s may have come as one.
    keeper.signal(Signal::SIGTERM);
    let ended = unit.finish().expect_code(7).expect_log("everything is on the replica");
    assert!(!ended.log.contains("told to stop again"), "{}", ended.log);
    assert_eq!((trace.signals().as_slice(), trace.wait("exit").rest.as_str()), (&[15][..], "7"));
    unit::assert_nothing_lost(&world, &trace);
}

/// Two at once, as from a terminal and its wrapper.
#[test]
fn two_words_at_once_lose_nothing() {
    for signals in [[Signal::SIGTERM, Signal::SIGTERM], [Signal::SIGINT, Signal::SIGTERM]] {
        let world = World::new();
        let trace = world.trace();
        let unit = unit::start_writing(&world, unit::keeper(&world));
        signals.into_iter().for_each(|signal| unit.signal(signal));
        unit.finish();
        unit::assert_nothing_lost(&world, &trace);
    }
}

#[test]
fn ctrl_c_for_the_whole_group_loses_nothing() {
    let world = World::new();
    let trace = world.trace();
    let unit = unit::start_writing(&world, unit::keeper(&world));
    unit.signal_group(Signal::SIGINT);
    unit.finish().expect_code(0).expect_log("SIGINT from pid").expect_log("everything is on the replica");
    assert_eq!(trace.signals(), [15], "only the stop signal");
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn the_log_says_who_told_it() {
    let world = World::new();
    let unit = unit::start_writing(&world, unit::keeper(&world));
    unit.stop(0).expect_log(&format!("SIGTERM from pid {} (", std::process::id()));
}

#[test]
fn another_stop_signal() {
    for (name, number) in [("QUIT", 3), ("SIGUSR1", 10), ("int", 2), ("28", 28)] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let app = App::new(&trace).on_exit("all", 0).insert_forever(&db, 3);
        let unit = unit::keeper(&world).args(["--stop-signal", name]).app(app).start();
        trace.wait_acked(3);
        stop_within(unit, 0, Duration::from_secs(1));
        assert_eq!(trace.signals(), [number]);
        unit::assert_nothing_lost(&world, &trace);
    }
}

/// A keeper of the world's database on an S3 server.
fn on_s3(world: &World, s3: &S3) -> Keeper {
    Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env())
}

fn s3() -> S3 {
    let s3 = S3::start();
    s3.bucket("backups");
    s3
}

#[track_caller]
fn assert_nothing_lost_on(world: &World, s3: &S3) {
    let config = world.config(&s3.replica("backups", "app"));
    Backup::Config(&config, &world.db()).assert_holds_acked(world, LATEST, &world.trace());
}

#[test]
fn the_third_word_ends_all_and_names_what_is_not_on_the_replica() {
    let (s3, world) = (s3(), World::new());
    let trace = world.trace();
    let unit = unit::start_writing(&world, on_s3(&world, &s3).args(["--stop-timeout", "10m"]));
    s3.hold_puts();
    let puts = s3.puts();
    unit.signal(Signal::SIGTERM);
    wait_until("the app to end", DEADLINE, || !trace.all("exit").is_empty());
    s3.wait_puts(puts + 1);
    unit::insist(&unit, "told to stop a third time");
    let ended = unit.finish().expect_code(74);
    ended.expect_log("told to stop a third time").expect_log(&world.db().display().to_string());
    assert_left(&world, &["app.db", "app.db-shm", "app.db-wal", "rt", "trace"]);
    s3.resume();
    // The next start uploads the rest.
    on_s3(&world, &s3).app(["true"]).run().expect_code(0);
    assert_nothing_lost_on(&world, &s3);
}

/// The second word comes when there is no grace left to skip.
#[test]
fn a_stop_while_draining_waits_for_the_drain() {
    let (s3, world) = (s3(), World::new());
    let trace = world.trace();
    let unit = unit::start_writing(&world, on_s3(&world, &s3).args(["--stop-timeout", "10m"]));
    s3.hold_puts();
    let puts = s3.puts();
    unit.signal(Signal::SIGTERM);
    wait_until("the app to end", DEADLINE, || !trace.all("exit").is_empty());
    s3.wait_puts(puts + 1);
    let told = Instant::now();
    wait_until("another breath", DEADLINE, || told.elapsed() > ONE_BREATH);
    unit.signal(Signal::SIGTERM);
    unit.wait_log(2, "SIGTERM from pid");
    s3.resume();
    unit.finish().expect_code(0).expect_log("everything is on the replica");
    assert_nothing_lost_on(&world, &s3);
}

#[test]
fn a_stop_while_looking_at_the_replica() {
    let (s3, world) = (s3(), World::new());
    sqlite::create(&world.db(), 3);
    s3.pause();
    let unit = on_s3(&world, &s3).args(["--stop-timeout", "10m"]).app(["true"]).start();
    s3.wait_requests(1);
    stop_within(unit, 143, Duration::ZERO);
    assert_left(&world, &["app.db", "rt"]);
}

#[test]
fn a_stop_during_a_restore() {
    let (s3, world) = (s3(), World::new());
    on_s3(&world, &s3).app(App::new(&world.trace()).insert(&world.db(), 3)).run().expect_code(0);
    let elsewhere = World::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        s3.pause();
        let (trace, requests) = (elsewhere.trace(), s3.requests());
        let app = App::new(&trace).wait();
        let unit = on_s3(&elsewhere, &s3).args(["--stop-timeout", "10m"]).app(app).start();
        s3.wait_requests(requests + 1);
        let start = Instant::now();
        unit.signal(signal);
        unit.finish().expect_code(128 + signal as i32);
        assert!(start.elapsed() < SLACK);
        assert!(trace.is_empty(), "no app without data");
        assert_left(&elsewhere, &["rt"]);
        s3.resume();
    }
}

#[test]
fn a_stop_at_the_gate() {
    let (s3, world) = (s3(), World::new());
    sqlite::create(&world.db(), 3);
    s3.hold_puts();
    let trace = world.trace();
    let unit = on_s3(&world, &s3).args(["--stop-timeout", "1s"]).app(App::new(&trace).wait()).start();
    s3.wait_puts(1);
    stop_within(unit, 143, Duration::from_secs(1));
    assert!(trace.is_empty(), "no app without replication");
}

#[test]
fn a_stop_during_a_before_command() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let before = App::new(&trace).on_last("TERM", &db, 5).insert(&db, 3).ready().wait();
    let app = App::new(&trace).words(["print", "the app"]);
    let keeper = unit::keeper(&world).args(["--stop-timeout", "10m", "--before", &before.line()]);
    let unit = keeper.app(app).start();
    trace.wait("ready");
    let ended = stop_within(unit, 5, Duration::ZERO);
    assert_eq!(ended.stdout, "", "the app did not start");
    assert_eq!(trace.signals(), [15]);
    assert_eq!(unit::assert_nothing_lost(&world, &trace), 4);
}

#[test]
fn a_stop_before_the_apps_restart() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).insert(&db, 3).exit(9);
    let unit =
        unit::keeper(&world).args(["--restart-delay", "10m", "--restart-delay-max", "10m"]).app(app).start();
    unit.wait_log(1, "ended with code 9: starting it again");
    stop_within(unit, 143, Duration::ZERO).expect_log("everything is on the replica");
    assert_eq!(trace.all("start").len(), 1);
    assert_eq!(unit::assert_nothing_lost(&world, &trace), 3);
}

/// Litestream died with rows that nobody has confirmed, and is not back yet: it comes back for them.
#[test]
fn a_stop_before_litestreams_restart() {
    let world = World::new();
    let trace = world.trace();
    let keeper = unit::keeper(&world).args(["--restart-delay", "10m", "--restart-delay-max", "10m"]);
    let unit = unit::start_writing(&world, keeper);
    unit.litestream().signal(Signal::SIGKILL);
    unit.wait_log(1, "starting litestream and the app (probe) again in");
    stop_within(unit, 143, Duration::from_secs(1)).expect_log("everything is on the replica");
    assert_eq!(trace.all("start").len(), 1);
    unit::assert_nothing_lost(&world, &trace);
}

/// Each database of an app is drained.
#[test]
fn several_databases_are_all_drained() {
    let world = World::new();
    let names: Vec<String> = (0..5).map(|n| format!("db-{n}")).collect();
    let url = |name: &str| format!("file://{}", world.path(name).display());
    let (mut keeper, mut script) = (Keeper::new(&world), String::new());
    for name in &names {
        let (db, trace) =
            (world.path(&format!("{name}.db")), Trace::new(world.path(&format!("{name}.trace"))));
        keeper = keeper.db(&db).replica(&url(name));
        script += &format!("{} & ", unit::writer(&trace, &db, 0).line());
    }
    let unit = keeper.app(["sh", "-c", &format!("{script} wait")]).start();
    for name in &names {
        Trace::new(world.path(&format!("{name}.trace"))).wait_acked(5);
    }
    stop_within(unit, 143, Duration::from_secs(2)).expect_log("everything is on the replica");
    for name in &names {
        let trace = Trace::new(world.path(&format!("{name}.trace")));
        assert_eq!(trace.wait("exit").rest, "0");
        Backup::Url(&url(name)).assert_holds_acked(&world, LATEST, &trace);
    }
}
