//! The app's end is the unit's end: every row is on the replica, and the code is the app's own.

use std::sync::atomic::{AtomicI32, Ordering};

use nix::libc;
use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

/// Runs `check` for each number from `first` to `last`, a few at a time.
fn for_each_number(first: i32, last: i32, check: impl Fn(&World, i32) + Sync) {
    let next = AtomicI32::new(first);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let world = World::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > last {
                        return;
                    }
                    check(&world, number);
                }
            });
        }
    });
}

/// A unit without a database that is there, which is the quickest, whose app is one line of shell.
fn shell(world: &World, script: &str) -> Keeper {
    let config = world.write("litestream.yml", "dbs: [{path: none.db, replica: {path: replica}}]");
    Keeper::new(world).config(&config).args(["--restart", "never"]).app(["sh", "-c", script])
}

#[test]
fn no_row_is_lost_whatever_the_app_ends_with_when_it_is_told_to_stop() {
    for code in [0, 1, 74, 130, 143, 255] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let unit = unit::keeper(&world).app(unit::writer(&trace, &db, code)).start();
        trace.wait_acked(20);
        unit.stop(code).expect_log("everything is on the replica");
        assert_eq!(trace.signals(), [15]);
        let rows = unit::assert_nothing_lost(&world, &trace);
        assert_eq!(rows, sqlite::count(&db), "with code {code}");
    }
}

#[test]
fn no_row_is_lost_when_the_stop_signal_kills_the_app() {
    let world = World::new();
    let trace = world.trace();
    let unit = unit::keeper(&world).app(App::new(&trace).insert_forever(&world.db(), 1)).start();
    trace.wait_acked(50);
    unit.stop(143);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn the_row_of_an_app_that_lives_50_ms_is_on_the_replica() {
    for (policy, code) in [("on-failure", 0), ("never", 3)] {
        let world = World::new();
        let trace = world.trace();
        let app = App::new(&trace).insert(&world.db(), 1).sleep(50).exit(code);
        unit::keeper(&world).args(["--restart", policy]).app(app).run().expect_code(code);
        assert_eq!(trace.acked(), [1]);
        assert_eq!(unit::assert_nothing_lost(&world, &trace), 1, "with code {code}");
    }
}

#[test]
fn all_256_exit_codes_are_passed_on() {
    for_each_number(0, 255, |world, code| {
        shell(world, &format!("exit {code}")).run().expect_code(code);
    });
}

#[test]
fn a_signal_that_ends_the_app_is_128_and_its_number() {
    for_each_number(1, libc::SIGRTMAX(), |world, number| {
        let ends = match Signal::try_from(number) {
            Ok(Signal::SIGCHLD | Signal::SIGURG | Signal::SIGWINCH | Signal::SIGCONT) => false,
            Ok(Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU) => false,
            Ok(_) => true,
            // The C library keeps the first real-time signals for itself (signal(7)).
            Err(_) => number >= libc::SIGRTMIN(),
        };
        if ends {
            shell(world, &format!("kill -{number} $$; sleep 100")).run().expect_code(128 + number);
        }
    });
}

/// As for a database of a file, the environment names the place.
#[test]
fn a_database_alone_has_the_replica_of_the_environment() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let keeper = || Keeper::new(&world).app(App::new(&trace).insert(&db, 2).exit(0));
    let url = format!("file://{}", world.path("backups").display());
    keeper().db(&db).env("LITESTREAM_REPLICA_URL", &url).run().expect_code(0).expect_log("everything is on");
    keeper().env("LITEKEEPER_DB", &db).env("LITESTREAM_REPLICA_URL", &url).run().expect_code(0);
    assert!(!world.list("backups").is_empty());
    let ended = keeper().db(&db).run().expect_code(64);
    ended.expect_log("1 --db but 0 --replica").expect_log("or set LITESTREAM_REPLICA_URL");
    let check = Keeper::new(&world).command("check").db(&db).env("LITESTREAM_REPLICA_URL", &url);
    check.run().expect_code(0);
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_be_executed_126() {
    let world = World::new();
    let file = world.write("plain", "no program");
    let run = |app: &str, code| unit::keeper(&world).app([app, "arg"]).run().expect_code(code);
    run("no-such-command", 127).expect_log("(no-such-command): command not found");
    run("/no/such/folder/app", 127).expect_log("(app): command not found");
    run(file.to_str().expect("UTF-8"), 126).expect_log("(plain): cannot be executed");
    run(world.root().to_str().expect("UTF-8"), 126).expect_log("cannot be executed");
}
