//! The replica goes away while the app runs, or the database itself does.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::manager::Manager;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// A world with a database of ten rows, and a server with the bucket `backups`.
fn world() -> (World, S3) {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    sqlite::create(&world.db(), 10);
    (world, s3)
}

fn keeper(world: &World, s3: &S3, on_lag: &str) -> Keeper {
    let keeper = Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
    keeper.args(["--on-lag", on_lag]).env("LITEKEEPER_MAX_LAG", "1s")
}

fn writer(world: &World) -> App {
    App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20)
}

/// It writes from its first line of stdin on: before, no lag can be the machine's fault and stop it.
fn writer_when_told(world: &World) -> App {
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().words(["line"]);
    app.insert_forever(&world.db(), 20)
}

fn assert_nothing_lost(world: &World, s3: &S3) {
    let config = world.config(&s3.replica("backups", "app"));
    Backup::Config(&config, &world.db()).assert_holds_acked(world, LATEST, &world.trace());
}

#[test]
fn a_bucket_that_goes_and_comes_back_is_a_warning_if_that_is_wanted() {
    let (world, s3) = world();
    // Long enough for the server's answer on a busy machine: the line has the reason that is known by then.
    let keeper = keeper(&world, &s3, "warn").env("LITEKEEPER_MAX_LAG", "5s");
    let running = keeper.app(writer(&world)).start();
    world.trace().wait_acked(5);
    s3.remove_bucket("backups");
    let line = running.wait_log(1, "has not confirmed a change for");
    assert!(line.contains("NoSuchBucket") && line.contains(&*world.db().to_string_lossy()), "{line}");
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    s3.restore_bucket("backups");
    running.wait_log(1, "has caught up");
    assert_eq!(world.trace().all("start").len(), 1, "the app was not touched");
    running.stop(0);
    assert_nothing_lost(&world, &s3);
}

#[test]
fn a_unit_whose_replica_is_behind_is_not_ready_until_it_has_caught_up() {
    let (world, s3) = world();
    let manager = Manager::listen(&world);
    let keeper = keeper(&world, &s3, "unready").env("NOTIFY_SOCKET", manager.address());
    let running = keeper.app(writer(&world)).start();
    manager.wait("READY=1");
    world.trace().wait_acked(5);
    s3.remove_bucket("backups");
    let db = world.db().display().to_string();
    manager.wait(&format!("STATUS=not ready: {db}: "));
    running.wait_log(1, "has not confirmed a change for");
    s3.restore_bucket("backups");
    manager.wait("READY=1");
    assert_eq!(world.trace().all("start").len(), 1, "the app was not touched");
    running.stop(0);
    assert_nothing_lost(&world, &s3);
}

#[test]
fn a_lag_stops_the_unit_if_that_is_wanted_and_the_next_start_uploads_the_rest() {
    let (world, s3) = world();
    let keeper = |stop: &str| keeper(&world, &s3, "stop").args(["--stop-timeout", stop]);
    let mut running = keeper("3s").piped_stdin().app(writer_when_told(&world)).start();
    world.trace().wait("ready");
    s3.remove_bucket("backups");
    running.feed(b"write\n");
    let ended = running.finish().expect_code(74).expect_log("has not confirmed a change for");
    ended.expect_log("not everything is on the replica").expect_log("NoSuchBucket");
    s3.restore_bucket("backups");
    keeper("10m").app(App::new(&world.trace()).exit(0)).run().expect_code(0);
    assert_nothing_lost(&world, &s3);
}

#[test]
fn litestream_that_dies_while_the_replica_is_away_comes_back_with_it() {
    let (world, mut s3) = world();
    let options = ["--gate-timeout", "5s", "--stop-timeout", "6s"];
    let running = keeper(&world, &s3, "warn").args(options).app(writer(&world)).start();
    world.trace().wait_acked(5);
    s3.refuse();
    let written = world.trace().acked().len();
    world.trace().wait_acked(written + 5);
    running.kill(&running.litestream(), Signal::SIGKILL);
    // It is started again, and the app is not, as long as its last rows are here alone.
    running.wait_log(2, "starting litestream and");
    assert_eq!(world.trace().all("start").len(), 1);
    s3.listen_again();
    world.trace().wait_nth(2, "start");
    assert_nothing_lost_up_to(&world, &s3, written + 5);
    running.stop(0);
    assert_nothing_lost(&world, &s3);
}

/// The first rows are on the replica.
fn assert_nothing_lost_up_to(world: &World, s3: &S3, rows: usize) {
    let config = world.config(&s3.replica("backups", "app"));
    let restored = Backup::Config(&config, &world.db()).restore(world, LATEST);
    let (found, acked) = (sqlite::ids(&restored), world.trace().acked());
    let lost: Vec<_> = acked[..rows].iter().filter(|id| !found.contains(id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn a_lag_that_is_over_when_the_app_has_stopped_still_ends_the_unit() {
    let (world, s3) = world();
    let app = App::new(&world.trace()).ignore("TERM").insert_forever(&world.db(), 20);
    let running = keeper(&world, &s3, "stop").app(app).start();
    world.trace().wait_acked(5);
    s3.hold_puts();
    running.wait_log(1, "stopping (--on-lag)");
    s3.resume();
    running.finish().expect_code(70);
    assert_nothing_lost(&world, &s3);
}

#[test]
fn an_idle_app_does_not_lag_behind_a_replica_that_is_away() {
    let (world, mut s3) = world();
    let app = App::new(&world.trace()).on_exit("TERM", 0).insert(&world.db(), 1).ready().wait();
    let running = keeper(&world, &s3, "warn").app(app).start();
    world.trace().wait("ready");
    wait_until("the row on the replica", DEADLINE, || s3.objects("backups").len() >= 2);
    // The watch confirms it as well, and then has nothing to ask.
    let requests = || s3.requests();
    let mut last = (requests(), Instant::now());
    wait_until("silence", DEADLINE, || {
        if requests() != last.0 {
            last = (requests(), Instant::now());
        }
        last.1.elapsed() > Duration::from_secs(3)
    });
    // A busy machine may have been slow to confirm the row.
    let lags = || running.log().matches("has not confirmed").count();
    let before = lags();
    s3.refuse();
    let away = Instant::now();
    wait_until("twice the limit", DEADLINE, || away.elapsed() > Duration::from_secs(2));
    assert_eq!(lags(), before, "{}", running.log());
    s3.listen_again();
    running.stop(0);
    assert_nothing_lost(&world, &s3);
}

/// What an app left that crashed is confirmed while its restart is waited for.
#[test]
fn a_restart_that_takes_longer_than_the_limit_is_no_lag() {
    let world = World::new();
    let app = App::new(&world.trace()).on_exit("TERM", 0).once(&world.path("once"));
    let app = app.insert(&world.db(), 5).ready().exit(1);
    let keeper = unit::keeper(&world).args(["--on-lag", "stop", "--max-lag", "4s", "--restart-delay", "6s"]);
    let running = keeper.app(app).start();
    world.trace().wait("again");
    running.wait_log(2, "runs as pid");
    let seen = Instant::now();
    wait_until("a few looks", DEADLINE, || seen.elapsed() > Duration::from_secs(2));
    let ended = running.stop(0);
    assert!(!ended.log.contains("has not confirmed"), "{}", ended.log);
}

/// Nobody asked in the time in which the keeper was stopped, as Ctrl-Z does it.
#[test]
fn a_keeper_that_was_stopped_for_longer_than_the_limit_has_no_lag() {
    let world = World::new();
    let app = App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20);
    let running = unit::keeper(&world).args(["--on-lag", "stop", "--max-lag", "5s"]).app(app).start();
    world.trace().wait_acked(100);
    running.signal(Signal::SIGSTOP);
    let stopped = Instant::now();
    wait_until("longer than the limit", DEADLINE, || stopped.elapsed() > Duration::from_secs(7));
    running.signal(Signal::SIGCONT);
    let rows = world.trace().acked().len();
    world.trace().wait_acked(rows + 100);
    let ended = running.stop(0);
    assert!(!ended.log.contains("has not confirmed"), "{}", ended.log);
}

#[test]
fn a_database_that_is_replaced_is_named_and_lags() {
    let (world, s3) = world();
    let running = keeper(&world, &s3, "warn").app(writer(&world)).start();
    world.trace().wait_acked(5);
    sqlite::create(&world.path("new.db"), 1);
    fs::rename(world.path("new.db"), world.db()).expect("both are there");
    let line = running.wait_log(1, "deleted or replaced");
    assert!(line.contains(&*world.db().to_string_lossy()), "{line}");
    running.wait_log(1, "has not confirmed a change for");
    let ended = running.stop(74).expect_log("is not on the replica: ");
    assert!(!ended.log.contains("everything is on the replica"), "{}", ended.log);

    // The next start replicates what is there now, which is the new file with the WAL of the old one.
    let ended = keeper(&world, &s3, "warn").app(App::new(&world.trace()).exit(0)).run().expect_code(0);
    let config = world.config(&s3.replica("backups", "app"));
    let restored = Backup::Config(&config, &world.db()).restore(&world, LATEST);
    assert_eq!(sqlite::ids(&restored), sqlite::ids(&world.db()), "{}", ended.log);
}

/// Somebody moves it to another volume: SQLite has its WAL beside the file from then on, Litestream looks beside the link.
#[test]
fn a_database_that_becomes_a_link_is_never_called_confirmed() {
    let (world, s3) = world();
    let app = App::new(&world.trace()).on_exit("TERM", 0).insert(&world.db(), 5).ready().wait();
    let running = keeper(&world, &s3, "warn").app(app).start();
    world.trace().wait("ready");
    fs::create_dir(world.path("volume")).expect("the world can be written");
    fs::rename(world.db(), world.path("volume/app.db")).expect("both are there");
    symlink(world.path("volume/app.db"), world.db()).expect("nothing is there");
    let ended = running.stop(74).expect_log("deleted or replaced");
    assert!(!ended.log.contains("everything is on the replica"), "{}", ended.log);
    // Nothing is waited for at the next start either.
    keeper(&world, &s3, "warn").app(["true"]).run().expect_code(78).expect_log("database-link");
}

#[test]
fn a_database_that_is_replaced_just_before_the_stop_is_no_silent_loss() {
    let (world, s3) = world();
    let app = App::new(&world.trace()).on_exit("TERM", 0).insert(&world.db(), 5).ready().wait();
    let running = keeper(&world, &s3, "warn").args(["--max-lag", "60s"]).app(app).start();
    world.trace().wait("ready");
    sqlite::create(&world.path("new.db"), 1);
    fs::rename(world.path("new.db"), world.db()).expect("both are there");
    running.stop(74).expect_log("deleted or replaced").expect_log("app.db");
}

/// An app that finds no file makes one, and Litestream would copy that over the backup when it comes back.
#[test]
fn a_database_that_was_made_anew_is_not_copied_over_its_backup() {
    for fault in ["litestream", "app", "stop"] {
        let (world, s3) = world();
        let app = App::new(&world.trace()).insert(&world.db(), 50).exit(0);
        keeper(&world, &s3, "warn").app(app).run().expect_code(0);
        let app = App::new(&world.trace()).on_exit("TERM", 0).insert(&world.db(), 1).ready().wait();
        let running = keeper(&world, &s3, "warn").args(["--stop-timeout", "10s"]).app(app).start();
        world.trace().wait("ready");
        running.wait_log(1, "replicating ");
        let rows = world.trace().acked().len() - 1;
        for name in ["app.db", "app.db-wal", "app.db-shm"] {
            fs::remove_file(world.path(name)).expect("it is there");
        }
        sqlite::create(&world.db(), 1);
        running.wait_log(1, "deleted or replaced");
        match fault {
            "litestream" => running.kill(&running.litestream(), Signal::SIGKILL),
            "app" => running.kill(&running.app(), Signal::SIGKILL),
            _ => running.signal(Signal::SIGTERM),
        }
        let ended = running.finish().expect_code(74).expect_log("app.db");
        assert!(!ended.log.contains(": everything is on the replica"), "{fault}: {}", ended.log);
        assert_eq!(world.trace().all("start").len(), 2, "{fault}: {}", ended.log);
        let next = keeper(&world, &s3, "warn").app(App::new(&world.trace()).exit(0)).run().expect_code(69);
        assert!(next.log.contains("--if-behind"), "{fault}: {}", next.log);
        let config = world.config(&s3.replica("backups", "app"));
        let restored = Backup::Config(&config, &world.db()).restore(&world, LATEST);
        assert!(sqlite::count(&restored) >= 10 + rows, "{fault}: {}", next.log);
    }
}

#[test]
fn a_database_that_is_deleted_is_named_and_lags() {
    let (world, s3) = world();
    let running = keeper(&world, &s3, "warn").app(writer(&world)).start();
    world.trace().wait_acked(5);
    fs::remove_file(world.db()).expect("it is there");
    let line = running.wait_log(1, "deleted or replaced");
    assert!(line.contains(&*world.db().to_string_lossy()), "{line}");
    running.wait_log(1, "has not confirmed a change for");
    let ended = running.stop(74).expect_log("is not on the replica: ");
    assert!(!ended.log.contains("everything is on the replica"), "{}", ended.log);
}

#[test]
fn a_database_that_is_replaced_stops_the_unit_if_a_lag_does() {
    let (world, s3) = world();
    let keeper = keeper(&world, &s3, "stop").args(["--stop-timeout", "3s"]).piped_stdin();
    let mut running = keeper.app(writer_when_told(&world)).start();
    world.trace().wait("ready");
    sqlite::create(&world.path("new.db"), 1);
    fs::rename(world.path("new.db"), world.db()).expect("both are there");
    running.feed(b"write\n");
    running.finish().expect_code(74).expect_log("deleted or replaced").expect_log("stopping (--on-lag)");
}
