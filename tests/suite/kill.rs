//! Any one of keeper, Litestream, shim and app dies: nothing of the others survives, no row is lost.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST, NO_SOCKET, OLD};
use crate::support::process::Running;
use crate::support::procfs::{self, Process};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::unit::{self, start_writing, wait_successor};
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// Ends Litestream under a writing app, and sees both back.
fn litestream_gets(signal: Signal) {
    let world = World::new();
    let trace = world.trace();
    let unit = start_writing(&world, unit::keeper(&world));
    let (app, litestream, shim) = (unit.app(), unit.litestream(), unit.shim());
    litestream.signal(signal);
    let time = unit::time_to_death(app.pid);
    println!("{signal} to litestream: its app was dead after {time:.1?}");
    assert!(time < Duration::from_secs(2), "the app outlived litestream by {time:?}");
    wait_successor(&trace, app.pid);
    assert_ne!(unit.litestream().pid, litestream.pid);
    assert!(!procfs::alive(shim.pid) && !procfs::alive(litestream.pid));
    assert_eq!(trace.signals(), [0; 0], "the app was killed, not asked");
    unit.stop(0).expect_log("litestream ended").expect_log("(probe) is stopped until it is back");
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn litestream_killed() {
    litestream_gets(Signal::SIGKILL);
}

#[test]
fn litestream_hung_up() {
    litestream_gets(Signal::SIGHUP);
}

#[test]
fn litestream_quit() {
    litestream_gets(Signal::SIGQUIT);
}

#[test]
fn litestream_faulted() {
    litestream_gets(Signal::SIGSEGV);
}

/// The app's whole tree goes with Litestream, wherever its parts hid.
#[test]
fn grandchildren_die_with_litestream() {
    let world = World::new();
    let trace = world.trace();
    let stubborn = App::new(&trace).ignore("all").ready().wait();
    let app = App::new(&trace).spawn("setsid", &stubborn).spawn("group", &stubborn).spawn("child", &stubborn);
    let unit = unit::keeper(&world).app(app.insert_forever(&world.db(), 5)).start();
    trace.wait_nth(3, "ready");
    trace.wait_acked(1);
    let before: Vec<i32> = trace.all("start").iter().map(|event| event.pid).collect();
    assert_eq!(before.len(), 4);
    unit.litestream().signal(Signal::SIGKILL);
    for pid in before {
        unit::time_to_death(pid);
    }
    trace.wait_nth(6, "ready");
    let app = unit.app();
    // They ignore the stop as well, so the second word about it cuts their grace short.
    unit.signal(Signal::SIGTERM);
    unit::time_to_death(app.pid);
    unit::insist(&unit, "told to stop again");
    unit.finish().expect_code(143);
    unit::assert_nothing_lost(&world, &trace);
}

/// Somebody stops Litestream: the app goes first and in order, then both come back.
fn litestream_asked_to_stop(signals: &[Signal]) {
    let world = World::new();
    let trace = world.trace();
    let unit = start_writing(&world, unit::keeper(&world));
    let (app, litestream) = (unit.app(), unit.litestream());
    for signal in signals {
        litestream.signal(*signal);
    }
    wait_successor(&trace, app.pid);
    assert_ne!(unit.litestream().pid, litestream.pid);
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
    if let [_] = signals {
        assert_eq!(trace.signals(), [15, 15], "both apps were asked to stop");
        let exits: Vec<_> = trace.all("exit").into_iter().map(|event| event.rest).collect();
        assert_eq!(exits, ["0", "0"]);
    }
}

#[test]
fn litestream_told_to_stop() {
    litestream_asked_to_stop(&[Signal::SIGTERM]);
    litestream_asked_to_stop(&[Signal::SIGINT]);
}

/// The second one makes Litestream skip its final sync.
#[test]
fn litestream_told_to_stop_twice() {
    litestream_asked_to_stop(&[Signal::SIGTERM, Signal::SIGTERM]);
    litestream_asked_to_stop(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGINT]);
}

#[test]
fn keeper_killed() {
    let world = World::new();
    let trace = world.trace();
    let unit = start_writing(&world, unit::keeper(&world));
    unit.signal(Signal::SIGKILL);
    unit.finish();
    assert_eq!(trace.signals(), [15], "the app was stopped in order");
    assert_eq!(trace.wait("exit").rest, "0");
    unit::assert_nothing_lost(&world, &trace);
}

/// A shell, `npm start` or a master of workers is only the first of the app's processes: what it leaves is asked to
/// stop as well, and does not serve unreplicated until its time is over.
#[test]
fn keeper_killed_above_a_leader_that_leaves_the_app() {
    let world = World::new();
    let trace = world.trace();
    let app = unit::writer(&trace, &world.db(), 0).into_iter();
    let words = ["sh", "-c", "\"$@\"; true", "sh"].map(Into::into).into_iter().chain(app);
    // Of a minute the grace is 36 s, which no test waits.
    let unit = unit::keeper(&world).args(["--stop-timeout", "60s"]).app(words).start();
    trace.wait_acked(10);
    unit.signal(Signal::SIGKILL);
    let ended = unit.finish();
    assert_eq!(trace.signals(), [15]);
    assert_eq!(trace.wait("exit").rest, "0", "it ended by itself");
    unit::assert_nothing_lost(&world, &trace);
    let ended = ended.expect_log("litekeeper was killed: stopping the app (sh), which has 36 s for that");
    let ended = ended.expect_log("the app (sh) was ended by SIGTERM: stopping one process that it left");
    ended.expect_log("litestream has confirmed each database that it had (1)");
}

/// The keeper's own lines and its shim's are read by the same program.
#[test]
fn what_is_told_of_a_killed_keeper_looks_like_its_log() {
    let world = World::new();
    let trace = world.trace();
    let unit = start_writing(&world, unit::keeper(&world).args(["--log-format", "json"]));
    unit.signal(Signal::SIGKILL);
    let ended = unit.finish();
    for line in ended.log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        assert!(line["time"].is_string() && line["msg"].is_string(), "{line}");
    }
    ended.expect_log("litekeeper was killed").expect_log("the app (probe) ended with code 0");
    unit::assert_nothing_lost(&world, &trace);
}

/// Nobody is waited for who does not read what the shim says: the app's stop comes first.
#[test]
fn keeper_killed_with_its_log_full() {
    let world = World::new();
    let trace = world.trace();
    let app = unit::writer(&trace, &world.db(), 0).into_iter();
    // Its standard error is a pipe that nobody reads, and full.
    let full = "mkfifo full; exec 2<>full; head -c 65536 /dev/zero >&2; exec \"$@\"";
    let keeper = unit::keeper(&world).args(["--log-level", "error"]).wrapped(["sh", "-c", full, "sh"]);
    let unit = keeper.app(app).start();
    trace.wait_acked(10);
    unit.keeper().signal(Signal::SIGKILL);
    unit.finish();
    assert_eq!(trace.signals(), [15]);
    unit::assert_nothing_lost(&world, &trace);
}

/// A run of a moment: Litestream has not synced once by itself.
#[test]
fn keeper_killed_at_the_apps_first_row() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let unit = unit::keeper(&world).app(App::new(&trace).on_exit("TERM", 143).insert(&db, 1).wait()).start();
    trace.wait_acked(1);
    unit.signal(Signal::SIGKILL);
    unit.finish();
    assert_eq!(trace.signals(), [15]);
    assert_eq!(unit::assert_nothing_lost(&world, &trace), 1);
}

#[test]
fn keeper_killed_under_an_app_that_does_not_want_to_stop() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let stubborn = App::new(&trace).ignore("all").ready().wait();
    let app = App::new(&trace).ignore("all").spawn("setsid", &stubborn).insert_forever(&db, 5);
    let unit = unit::keeper(&world).args(unit::BUDGET).app(app).start();
    trace.wait("ready");
    trace.wait_acked(5);
    unit.signal(Signal::SIGKILL);
    unit.finish();
    assert!(trace.signals().contains(&15), "it was asked");
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn shim_killed() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let stubborn = App::new(&trace).ignore("all").ready().wait();
    let app = App::new(&trace).on_last("TERM", &db, 0).spawn("setsid", &stubborn).insert_forever(&db, 3);
    let unit = unit::keeper(&world).args(unit::BUDGET).app(app).start();
    trace.wait("ready");
    trace.wait_acked(5);
    let (app, shim, grandchild) = (unit.app(), unit.shim(), trace.wait("ready").pid);
    shim.signal(Signal::SIGKILL);
    let (of_app, of_grandchild) = (unit::time_to_death(app.pid), unit::time_to_death(grandchild));
    println!(
        "KILL to the shim: the app was dead after {of_app:.1?}, its grandchild {of_grandchild:.1?} later"
    );
    trace.wait_nth(2, "ready");
    wait_successor(&trace, app.pid);
    assert_ne!(unit.shim().pid, shim.pid);
    unit.stop(0).expect_log("the shim was killed");
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn app_killed() {
    let world = World::new();
    let trace = world.trace();
    let unit = start_writing(&world, unit::keeper(&world));
    let (app, shim, litestream) = (unit.app(), unit.shim(), unit.litestream());
    app.signal(Signal::SIGKILL);
    wait_successor(&trace, app.pid);
    assert_eq!((unit.shim().pid, unit.litestream().pid), (shim.pid, litestream.pid), "only the app is new");
    unit.stop(0).expect_log("was ended by SIGKILL: starting it again");
    unit::assert_nothing_lost(&world, &trace);
}

/// All at once, the keeper last.
#[test]
fn everything_killed() {
    let world = World::new();
    let unit = start_writing(&world, unit::keeper(&world));
    for process in unit.tree().iter().rev() {
        process.signal(Signal::SIGKILL);
    }
    unit.finish();
}

/// Finds a process of a running unit.
type Find = fn(&Running) -> Process;

/// Who is killed in the tests of phases.
const VICTIMS: [(&str, Find); 4] = [
    ("keeper", Running::keeper),
    ("litestream", Running::litestream),
    ("shim", Running::shim),
    ("app", Running::app),
];

/// Kills each in the phase that `reach` brings a fresh unit to, lets what is left end, and looks for survivors.
///
/// `reach` leaves an app of which nobody survives a stop, and all of which has to be on the replica in the end.
fn kill_each_in(reach: impl Fn(&World) -> Running + Sync) {
    let kill = |name: &str, victim: fn(&Running) -> Process| {
        let world = World::new();
        let mut unit = reach(&world);
        victim(&unit).signal(Signal::SIGKILL);
        if name != "keeper" && unit.try_wait().is_none() {
            unit.signal(Signal::SIGTERM);
        }
        let ended = unit.finish();
        println!("--- killed: {name}\n{}", ended.log);
        unit::assert_nothing_lost(&world, &world.trace());
    };
    // Side by side, because each sits out its grace.
    std::thread::scope(|scope| {
        for (name, victim) in VICTIMS {
            let kill = &kill;
            scope.spawn(move || kill(name, victim));
        }
    });
}

#[test]
fn each_killed_during_a_before_command() {
    kill_each_in(|world| {
        let (db, trace) = (world.db(), world.trace());
        let stubborn = App::new(&trace).ignore("all").ready().wait();
        let before = App::new(&trace).insert(&db, 3).spawn("setsid", &stubborn).wait();
        let keeper = unit::keeper(world).args(unit::BUDGET).args(["--before", &before.line()]);
        let unit = keeper.app(App::new(&trace).wait()).start();
        trace.wait("ready");
        unit
    });
}

#[test]
fn each_killed_while_running() {
    kill_each_in(|world| {
        let (db, trace) = (world.db(), world.trace());
        let stubborn = App::new(&trace).ignore("all").ready().wait();
        let app = App::new(&trace).spawn("setsid", &stubborn).insert_forever(&db, 3);
        let unit = unit::keeper(world).args(unit::BUDGET).app(app).start();
        trace.wait("ready");
        trace.wait_acked(3);
        unit
    });
}

#[test]
fn each_killed_while_stopping() {
    kill_each_in(|world| {
        let (db, trace) = (world.db(), world.trace());
        let stubborn = App::new(&trace).ignore("all").ready().wait();
        let app = App::new(&trace).ignore("all").spawn("setsid", &stubborn).insert_forever(&db, 3);
        let unit = unit::keeper(world).args(unit::BUDGET).app(app).start();
        trace.wait("ready");
        trace.wait_acked(3);
        unit.signal(Signal::SIGTERM);
        wait_until("the app to be asked", DEADLINE, || trace.signals().contains(&15));
        unit
    });
}

/// The keeper's arguments for a backup on an S3 server.
fn on_s3(world: &World, s3: &S3) -> Keeper {
    Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env())
}

/// Kills each in turn (there is no app) while uploads are held in the phase that `reach` brings a fresh unit to, then
/// lets them go on. The unit that is left is told to stop, unless it was before.
fn kill_each_while_held(stopped: bool, reach: impl Fn(&World, &S3) -> Running) {
    for (name, victim) in &VICTIMS[..3] {
        println!("killing the {name}");
        let (s3, world) = (S3::start(), World::new());
        s3.bucket("backups");
        let unit = reach(&world, &s3);
        victim(&unit).signal(Signal::SIGKILL);
        if !stopped && *name != "keeper" {
            unit.signal(Signal::SIGTERM);
        }
        s3.resume();
        let ended = unit.finish();
        if stopped && *name != "keeper" {
            ended.expect_code(0).expect_log("everything is on the replica");
        }
        // Whatever was held is there now, or comes with the next start.
        on_s3(&world, &s3).app(["true"]).run().expect_code(0);
        let config = world.config(&s3.replica("backups", "app"));
        let restored = Backup::Config(&config, &world.db()).restore(&world, LATEST);
        assert_eq!(sqlite::ids(&restored), sqlite::ids(&world.db()));
        assert!(sqlite::count(&restored) > 0);
    }
}

#[test]
fn each_killed_at_the_gate() {
    kill_each_while_held(false, |world, s3| {
        sqlite::create(&world.db(), 3);
        s3.hold_puts();
        let unit = on_s3(world, s3).app(["echo", "the app"]).start();
        s3.wait_puts(1);
        unit
    });
}

#[test]
fn each_killed_while_draining() {
    kill_each_while_held(true, |world, s3| {
        let trace = world.trace();
        let unit = start_writing(world, on_s3(world, s3).args(["--stop-timeout", "10m"]));
        s3.hold_puts();
        let puts = s3.puts();
        unit.signal(Signal::SIGTERM);
        trace.wait("exit");
        // Its code is known: who is killed now takes it along no more.
        unit.wait_log(1, "ended with code 0");
        s3.wait_puts(puts + 1);
        unit
    });
}

/// What can be killed there is the keeper, and the restore that it started.
#[test]
fn the_keeper_killed_during_a_restore() {
    let (s3, world) = (S3::start(), World::new());
    s3.bucket("backups");
    on_s3(&world, &s3).app(App::new(&world.trace()).insert(&world.db(), 3)).run().expect_code(0);
    let elsewhere = World::new();
    let requests = s3.requests();
    s3.pause();
    let unit = on_s3(&elsewhere, &s3).app(["true"]).start();
    s3.wait_requests(requests + 1);
    unit.signal(Signal::SIGKILL);
    unit.finish();
    assert_eq!(
        elsewhere.list("").iter().filter(|name| name.contains("app.db") && !name.ends_with(".lock")).count(),
        0
    );
    s3.resume();
    let trace = elsewhere.trace();
    let ended = on_s3(&elsewhere, &s3).app(App::new(&trace).count(&elsewhere.db())).run().expect_code(0);
    assert_eq!(trace.wait("count").rest, "3", "{}", ended.log);
}

/// Between two apps and between two Litestreams, where only some of them exist.
#[test]
fn the_keeper_killed_in_a_backoff() {
    for dead in [Running::app as fn(&Running) -> Process, Running::litestream] {
        let world = World::new();
        let keeper = unit::keeper(&world).args(["--restart-delay", "10m", "--restart-delay-max", "10m"]);
        let unit = start_writing(&world, keeper);
        dead(&unit).signal(Signal::SIGKILL);
        unit.wait_log(1, "again in 6");
        unit.signal(Signal::SIGKILL);
        unit.finish();
        unit::keeper(&world).app(["true"]).run().expect_code(0);
        unit::assert_nothing_lost(&world, &world.trace());
    }
}

/// Without a control socket there is nobody to ask: Litestream's own last sync, in order, has to do.
#[test]
fn keeper_killed_over_a_litestream_without_a_socket() {
    for version in [OLD, NO_SOCKET] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        // It syncs for the first time after about a second, and what ends before leaves nothing.
        sqlite::create(&db, 1);
        let app = App::new(&trace).on_last("TERM", &db, 143).insert_forever(&db, 3);
        let unit = unit::keeper(&world).litestream(version).app(app).start();
        trace.wait_acked(10);
        litestream::wait_staged(&db);
        unit.signal(Signal::SIGKILL);
        unit.finish();
        assert_eq!(trace.signals(), [15]);
        Backup::Url(&world.replica_url()).assert_holds_acked(&world, version, &trace);
    }
}

/// The shim knows of it before this process is told by the kernel: the reason is not lost to that.
#[test]
fn the_signal_that_ended_litestream_is_named() {
    let world = World::new();
    let unit = unit::start_writing(&world, unit::keeper(&world));
    for n in 1..=4 {
        unit.litestream().signal(Signal::SIGKILL);
        unit.wait_log(n, "litestream ended (by SIGKILL): the app");
        world.trace().wait_nth(n + 1, "start");
    }
    // From then on it has its handler.
    world.trace().wait_acked(world.trace().acked().len() + 1);
    unit.stop(0);
}
