//! A stop without the replica: an exit code of its own, the databases' names, and nothing lost for good.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::process::{Ended, Running};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::world::World;

/// The stop budget of these tests, and what a busy machine may add to it: together less than the default, 10 s.
const BUDGET: Duration = Duration::from_secs(4);
const SLACK: Duration = Duration::from_secs(5);

fn server() -> (World, S3) {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    (world, s3)
}

fn keeper(world: &World, s3: &S3) -> Keeper {
    Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env())
}

/// For a stop that has to do without the replica.
fn brief(keeper: Keeper) -> Keeper {
    keeper.env("LITEKEEPER_STOP_TIMEOUT", "4s")
}

/// For a drain that succeeds, however busy the machine is.
fn patient(keeper: Keeper) -> Keeper {
    keeper.env("LITEKEEPER_STOP_TIMEOUT", "10m")
}

/// It ends with 0 when it is told to stop.
fn writer(world: &World) -> App {
    App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20)
}

/// Stops within the budget, with 74, naming the database.
#[track_caller]
fn stop_undrained(running: Running, db: &Path) -> Ended {
    let start = Instant::now();
    let ended = running.stop(74);
    assert!(start.elapsed() < BUDGET + SLACK, "{:?}\n{}", start.elapsed(), ended.log);
    let ended = ended.expect_log("not everything is on the replica");
    assert!(ended.log.contains(&*db.to_string_lossy()), "{}", ended.log);
    ended
}

/// The next start uploads what the last one could not.
#[track_caller]
fn assert_next_start_uploads_the_rest(world: &World, s3: &S3) {
    patient(keeper(world, s3)).app(App::new(&world.trace()).exit(0)).run().expect_code(0);
    assert_all_there(world, s3);
}

#[track_caller]
fn assert_all_there(world: &World, s3: &S3) {
    let config = world.config(&s3.replica("backups", "app"));
    Backup::Config(&config, &world.db()).assert_holds_acked(world, LATEST, &world.trace());
}

#[test]
fn a_replica_that_refuses_connections_at_the_stop_is_74() {
    let (world, mut s3) = server();
    let running = brief(keeper(&world, &s3)).app(writer(&world)).start();
    world.trace().wait_acked(10);
    s3.refuse();
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    stop_undrained(running, &world.db());
    s3.listen_again();
    assert_next_start_uploads_the_rest(&world, &s3);
}

#[test]
fn a_replica_that_is_silent_at_the_stop_is_74() {
    let (world, s3) = server();
    let running = brief(keeper(&world, &s3)).app(writer(&world)).start();
    world.trace().wait_acked(10);
    s3.pause();
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    stop_undrained(running, &world.db());
    s3.resume();
    assert_next_start_uploads_the_rest(&world, &s3);
}

#[test]
fn a_bucket_that_is_gone_at_the_stop_is_74_with_its_reason() {
    let (world, s3) = server();
    let running = brief(keeper(&world, &s3)).app(writer(&world)).start();
    world.trace().wait_acked(10);
    s3.remove_bucket("backups");
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    stop_undrained(running, &world.db()).expect_log("NoSuchBucket");
    s3.restore_bucket("backups");
    assert_next_start_uploads_the_rest(&world, &s3);
}

/// The app's own code may be the number of a reason that is over by then.
#[test]
fn a_drain_that_succeeds_in_the_end_is_no_error_whatever_the_apps_code_is() {
    let (world, s3) = server();
    let app = App::new(&world.trace()).on_exit("TERM", 74).insert_forever(&world.db(), 20);
    let running = patient(keeper(&world, &s3)).app(app).start();
    world.trace().wait_acked(10);
    s3.remove_bucket("backups");
    running.signal(Signal::SIGTERM);
    world.trace().wait("exit");
    let requests = s3.requests();
    s3.wait_requests(requests + 6);
    s3.restore_bucket("backups");
    let ended = running.finish().expect_code(74).expect_log("everything is on the replica");
    assert!(!ended.log.contains("error: "), "{}", ended.log);
    assert_all_there(&world, &s3);
}

#[test]
fn a_replica_that_is_slow_at_the_stop_is_waited_for() {
    let (world, s3) = server();
    let running = patient(keeper(&world, &s3)).app(writer(&world)).start();
    world.trace().wait_acked(10);
    s3.hold_puts();
    running.signal(Signal::SIGTERM);
    let puts = s3.puts();
    s3.wait_puts(puts + 1);
    s3.resume();
    running.finish().expect_code(0).expect_log("everything is on the replica");
    assert_all_there(&world, &s3);
}

#[test]
fn only_the_database_whose_replica_is_away_is_named() {
    let (world, s3) = server();
    s3.bucket("others");
    let dbs: [PathBuf; 2] = ["app.db", "other.db"].map(|name| world.path(name));
    let app = App::new(&world.trace()).on_exit("TERM", 0).insert(&dbs[0], 3).insert_forever(&dbs[1], 20);
    let both = || keeper(&world, &s3).db(&dbs[1]).replica(&s3.url("others", "other"));
    let running = brief(both()).app(app).start();
    world.trace().wait_acked(10);
    s3.remove_bucket("others");
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    let ended = stop_undrained(running, &dbs[1]);
    let line =
        ended.log.lines().find(|line| line.contains("not everything is on the replica")).expect("it is");
    assert!(line.contains("other.db") && !line.contains("app.db"), "{line}");
    let config = world.config(&s3.replica("backups", "app"));
    assert_eq!(sqlite::count(&Backup::Config(&config, &dbs[0]).restore(&world, LATEST)), 3);
    s3.restore_bucket("others");
    patient(both()).app(App::new(&world.trace()).exit(0)).run().expect_code(0);
    let config = world.config_of("", [(dbs[1].as_path(), &s3.replica("others", "other"))]);
    let restored = Backup::Config(&config, &dbs[1]).restore(&world, LATEST);
    assert_eq!(sqlite::ids(&restored), sqlite::ids(&dbs[1]));
}

#[test]
fn litestream_killed_and_the_replica_away_is_74_as_well() {
    let (world, mut s3) = server();
    let running = brief(keeper(&world, &s3)).app(writer(&world)).start();
    world.trace().wait_acked(10);
    s3.refuse();
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    running.kill(&running.litestream(), Signal::SIGKILL);
    running.wait_log(1, "starting litestream and");
    stop_undrained(running, &world.db());
    s3.listen_again();
    assert_next_start_uploads_the_rest(&world, &s3);
}

#[test]
fn a_stop_in_backoff_drains_by_a_litestream_of_its_own() {
    let (world, s3) = server();
    let options = ["--restart-delay", "10m", "--restart-delay-max", "10m", "--log-level", "debug"];
    let running = patient(keeper(&world, &s3)).args(options).app(writer(&world)).start();
    world.trace().wait_acked(10);
    s3.hold_puts();
    let puts = s3.puts();
    s3.wait_puts(puts + 1);
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    running.kill(&running.litestream(), Signal::SIGKILL);
    running.wait_log(1, "starting litestream and");
    s3.resume();
    running.signal(Signal::SIGTERM);
    let ended =
        running.finish().expect_log("starting it again to drain").expect_log("everything is on the replica");
    assert_eq!(ended.status.code(), Some(143), "the signal, since the app had no say: {}", ended.log);
    assert_eq!(world.trace().all("start").len(), 1, "the app is not started for that: {}", ended.log);
    assert_all_there(&world, &s3);
}

#[test]
fn a_stop_in_backoff_without_the_replica_is_74() {
    let (world, mut s3) = server();
    let options = ["--restart-delay", "10m", "--restart-delay-max", "10m"];
    let running = brief(keeper(&world, &s3)).args(options).app(writer(&world)).start();
    world.trace().wait_acked(10);
    s3.refuse();
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    running.kill(&running.litestream(), Signal::SIGKILL);
    running.wait_log(1, "starting litestream and");
    stop_undrained(running, &world.db());
    s3.listen_again();
    assert_next_start_uploads_the_rest(&world, &s3);
}

/// Its client sleeps for up to 20 s between two tries after an outage. Here it is stopped for good.
#[test]
fn a_litestream_that_does_not_try_again_is_replaced_once_the_replica_is_back() {
    let (world, mut s3) = server();
    let keeper = keeper(&world, &s3).env("LITEKEEPER_MAX_LAG", "1s").args(["--stop-timeout", "30s"]);
    let running = keeper.app(writer(&world)).start();
    world.trace().wait_acked(5);
    s3.refuse();
    running.wait_log(1, "not ready until it has caught up");
    let litestream = running.litestream();
    litestream.signal(Signal::SIGSTOP);
    running.signal(Signal::SIGTERM);
    world.trace().wait("exit");
    s3.listen_again();
    let ended = running.finish().expect_code(0).expect_log("ending it for a fresh one to drain");
    ended.expect_log("everything is on the replica");
    assert_all_there(&world, &s3);
}
