//! A stop before the app runs answers for what an earlier run left.

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

const LEFT: &str = "not everything is on the replica";

fn keeper(world: &World, s3: &S3) -> Keeper {
    let keeper = Keeper::new(world).config(&world.config(&s3.replica("backups", "app"))).envs(S3::env());
    keeper.args(["--stop-timeout", "6s"])
}

/// A start that gets no answer, and is stopped once `asked` shows that it has asked.
fn stopped(world: &World, s3: &S3, options: &[&str]) -> Ended {
    let before = s3.requests();
    let running = keeper(world, s3).args(options).app(App::new(&world.trace()).ready().wait()).start();
    // By the third one it was looked at as well.
    s3.wait_requests(before + 3);
    running.signal(Signal::SIGTERM);
    running.finish()
}

#[test]
fn what_no_replica_has_is_74_with_its_name_until_one_has_it() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let app = || App::new(&world.trace()).insert(&world.db(), 2);
    keeper(&world, &s3).app(app().exit(0)).run().expect_code(0);

    // All is there, and nobody says otherwise while no server answers.
    s3.fail_with(503);
    let ended = stopped(&world, &s3, &[]).expect_code(143);
    assert!(!ended.log.contains(LEFT), "{}", ended.log);
    s3.resume();

    // What the app wrote while nobody took it is on this machine alone.
    let ready = world.trace().all("ready").len();
    let running = keeper(&world, &s3)
        .app(App::new(&world.trace()).ready().until(&world.path("go")).insert(&world.db(), 2).ready().wait())
        .start();
    world.trace().wait_nth(ready + 1, "ready");
    s3.fail_with(503);
    world.write("go", "");
    world.trace().wait_nth(ready + 2, "ready");
    running.signal(Signal::SIGTERM);
    running.finish().expect_code(74).expect_log("app.db");
    let name = world.db().display().to_string();
    let ended = stopped(&world, &s3, &[]).expect_code(74);
    assert!(ended.log.lines().any(|line| line.contains(LEFT) && line.contains(&name)), "{}", ended.log);
    // And so it stays.
    stopped(&world, &s3, &["--gate", "none"]).expect_code(74);
    // A start that comes to nothing by itself has a reason of its own, and says this as well.
    s3.fail_with(403);
    let ended = keeper(&world, &s3).app(app().exit(0)).run().expect_code(69);
    let ended = ended.expect_log("what an earlier run wrote is still on this machine alone");
    assert_eq!(ended.log.matches("on this machine alone").count(), 1, "{}", ended.log);

    s3.resume();
    keeper(&world, &s3).app(app().exit(0)).run().expect_code(0);
    s3.fail_with(503);
    stopped(&world, &s3, &[]).expect_code(143);
    s3.resume();
}

/// Out of the gate it is confirmed like the app's own, if there is anybody to do so.
#[test]
fn out_of_the_gate_it_is_drained() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    sqlite::create(&world.db(), 3);
    s3.hold_ltx();
    let uploads =
        || s3.seen().iter().filter(|seen| seen.starts_with("PutObject") && seen.ends_with(".ltx")).count();
    let start = || {
        let before = uploads();
        let running = keeper(&world, &s3).app(App::new(&world.trace()).exit(0)).start();
        wait_until("an upload", DEADLINE, || uploads() > before);
        running.signal(Signal::SIGTERM);
        running
    };
    // Of what no run has begun with nobody knows.
    start().finish().expect_code(143).expect_log("stopped before it was confirmed");
    let ended = start().finish().expect_code(74);
    let name = world.db().display().to_string();
    assert!(ended.log.lines().any(|line| line.contains(LEFT) && line.contains(&name)), "{}", ended.log);
    let running = start();
    running.wait_log(1, "stopping");
    s3.resume();
    running.finish().expect_code(143).expect_log("everything is on the replica");
    assert!(world.trace().is_empty());
}

/// Of this database no confirmation was ever noted: the end itself is.
#[test]
fn what_a_first_run_left_is_answered_for() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    let running = keeper(&world, &s3)
        .app(App::new(&world.trace()).ready().until(&world.path("go")).insert(&world.db(), 2).ready().wait())
        .start();
    world.trace().wait_nth(1, "ready");
    s3.fail_with(503);
    world.write("go", "");
    world.trace().wait_nth(2, "ready");
    running.signal(Signal::SIGTERM);
    running.finish().expect_code(74).expect_log("app.db");
    let name = world.db().display().to_string();
    let ended = stopped(&world, &s3, &[]).expect_code(74);
    assert!(ended.log.lines().any(|line| line.contains(LEFT) && line.contains(&name)), "{}", ended.log);
    s3.resume();
    keeper(&world, &s3).app(App::new(&world.trace()).exit(0)).run().expect_code(0);
    s3.fail_with(503);
    stopped(&world, &s3, &[]).expect_code(143);
}
