//! Never two keepers on one database, never two databases on one replica.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

/// The lock beside a database.
const LOCK: &str = ".app.db-litekeeper.lock";

/// A keeper whose runtime folder is its own, as in another container.
fn elsewhere(world: &World, keeper: Keeper) -> Keeper {
    let runtime = world.path("rt-elsewhere");
    std::fs::create_dir_all(&runtime).expect("the world can be written");
    keeper.env("LITEKEEPER_RUNTIME_DIR", runtime)
}

#[test]
fn a_second_keeper_is_refused_and_told_who_the_first_is() {
    let world = World::new();
    let first = unit::start_writing(&world, unit::keeper(&world));
    let lock = std::fs::read_to_string(world.path(LOCK)).expect("the lock is beside the database");
    let started = lock.lines().find_map(|line| line.strip_prefix("started ")).expect("a start time");
    let other_replica = Keeper::new(&world).db(&world.db()).replica("file:///nowhere/else");
    let tries = [unit::keeper(&world), elsewhere(&world, unit::keeper(&world)), other_replica];
    for keeper in tries {
        let ended = keeper.app(["echo", "the app"]).run().expect_code(75);
        assert_eq!(ended.stdout, "");
        ended
            .expect_log(&format!("pid {}, started {started}", first.pid()))
            .expect_log(&world.db().display().to_string())
            .expect_log("hint: ");
    }
    first.stop(0);
    unit::assert_nothing_lost(&world, &world.trace());
}

/// One database by two names is one database.
#[test]
fn a_link_to_the_database_is_the_same_database() {
    let world = World::new();
    let link = world.path("link");
    std::os::unix::fs::symlink(world.root(), &link).expect("the world can be written");
    let first = unit::start_writing(&world, unit::keeper(&world));
    let second = Keeper::new(&world).db(&link.join("app.db")).replica(&world.replica_url());
    second.app(["true"]).run().expect_code(75);
    first.stop(0);
}

#[test]
fn two_databases_run_side_by_side() {
    let world = World::new();
    let first = unit::start_writing(&world, unit::keeper(&world));
    let other = World::new();
    let second = unit::start_writing(&other, elsewhere(&world, unit::keeper(&other)));
    first.stop(0);
    second.stop(0);
    unit::assert_nothing_lost(&world, &world.trace());
    unit::assert_nothing_lost(&other, &other.trace());
}

#[test]
fn a_stale_lock_is_no_obstacle() {
    let world = World::new();
    let trace = world.trace();
    for text in ["pid 1\nstarted 2001-01-01T00:00:00Z\nsocket /nowhere\n", "", "\0rubbish \u{e0}"] {
        world.write(LOCK, text);
        let app = App::new(&trace).insert(&world.db(), 1);
        let ended = unit::keeper(&world).app(app).run().expect_code(0);
        assert!(!ended.log.contains("is being stopped: waiting"), "{}", ended.log);
    }
    assert_eq!(unit::assert_nothing_lost(&world, &trace), 3);
}

/// The first one's app is still being stopped when the second comes: it waits, then runs.
#[test]
fn after_a_killed_keeper_the_next_one_waits_for_what_is_left_of_it() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    // It takes its time: until the second one is there.
    let slow = App::new(&trace).ignore("TERM").on_exit("USR1", 0).insert_forever(&db, 3);
    let patient = || unit::keeper(&world).args(["--stop-timeout", "10m"]);
    let mut first = patient().app(slow).start();
    trace.wait_acked(10);
    let app = first.app();
    first.signal(Signal::SIGKILL);
    first.wait();
    let second = patient().app(unit::writer(&trace, &db, 0)).start();
    second.wait_log(1, "the keeper before this one (pid");
    app.signal(Signal::SIGUSR1);
    first.finish();
    unit::wait_successor(&trace, app.pid);
    let events = trace.events();
    let exit = events.iter().position(|event| event.name == "exit").expect("the first app ended in order");
    let start = events.iter().rposition(|event| event.name == "start").expect("the second app");
    assert!(exit < start, "no two apps at once");
    second.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

/// A keeper that waits for another's end can itself be stopped.
#[test]
fn a_keeper_that_waits_can_be_stopped() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let stubborn = App::new(&trace).ignore("all").insert_forever(&db, 3);
    let patient = || unit::keeper(&world).args(["--stop-timeout", "10m"]);
    let mut first = patient().app(stubborn).start();
    trace.wait_acked(3);
    let app = first.app();
    first.signal(Signal::SIGKILL);
    first.wait();
    let second = patient().app(["echo", "the app"]).start();
    second.wait_log(1, "the keeper before this one (pid");
    let ended = second.stop(143);
    assert_eq!(ended.stdout, "");
    app.signal(Signal::SIGKILL);
    first.finish();
}

#[test]
fn many_keepers_at_once_are_one_keeper() {
    let world = World::new();
    let trace = world.trace();
    let all: Vec<_> = (0..6)
        .map(|_| {
            unit::keeper(&world).app(App::new(&trace).on_last("TERM", &world.db(), 0).ready().wait()).start()
        })
        .collect();
    trace.wait("ready");
    let mut codes = Vec::new();
    let mut winner = None;
    for mut unit in all {
        if unit.pid() == holder(&world) {
            winner = Some(unit);
        } else {
            unit.wait();
            codes.push(unit.finish().status.code());
        }
    }
    assert_eq!(codes, [Some(75); 5]);
    winner.expect("one of them has it").stop(0);
    assert_eq!(trace.all("start").len(), 1);
}

/// The process that the lock names.
fn holder(world: &World) -> i32 {
    let lock = std::fs::read_to_string(world.path(LOCK)).expect("a lock");
    lock.lines().find_map(|line| line.strip_prefix("pid ")?.parse().ok()).expect("a pid")
}

#[test]
fn two_databases_on_one_replica_are_refused() {
    let world = World::new();
    let [one, two] = ["one.db", "two.db"].map(|name| world.path(name));
    for db in [&one, &two] {
        sqlite::create(db, 1);
    }
    let replicas = [world.replica_url(), format!("{}/", world.replica_url())];
    for replica in replicas {
        let keeper = Keeper::new(&world).db(&one).replica(&world.replica_url()).db(&two).replica(&replica);
        let ended = keeper.app(["echo", "the app"]).run().expect_code(78);
        assert_eq!(ended.stdout, "");
        let named = |path: &Path| assert!(ended.log.contains(&path.display().to_string()), "{}", ended.log);
        named(&one);
        named(&two);
    }
    let replica = world.replica();
    let config = world.config_of("", [(one.as_path(), &replica), (two.as_path(), &replica)]);
    Keeper::new(&world).config(&config).app(["echo", "the app"]).run().expect_code(78);
    assert!(!world.path("replica").exists(), "nothing was written");
}
