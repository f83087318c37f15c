//! A database that is missing is restored before the app's first line, or the app does not start.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST, OLD};
use crate::support::s3::S3;
use crate::support::server::free_port;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// A backup of [`World::db`] with ten rows, made by `version`, in the bucket `backups`.
fn server(world: &World, version: &str) -> S3 {
    let s3 = S3::start();
    s3.bucket("backups");
    sqlite::create(&world.db(), 10);
    litestream::back_up(world, version, &world.config(&s3.replica("backups", "app")), &[&world.db()]);
    s3
}

/// A keeper of [`World::db`] on that backup.
fn keeper(world: &World, s3: &S3) -> Keeper {
    Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env())
}

fn beside(db: &Path, suffix: &str) -> PathBuf {
    db.with_file_name(format!("{}{suffix}", db.file_name().expect("a name").to_string_lossy()))
}

fn metadata(db: &Path) -> PathBuf {
    db.with_file_name(format!(".{}-litestream", db.file_name().expect("a name").to_string_lossy()))
}

/// The files of the world that begin with `start`.
fn named(world: &World, start: &str) -> Vec<String> {
    world.list("").into_iter().filter(|name| name.starts_with(start)).collect()
}

/// Returns the names of what is in quarantine with this tail: it belongs to the database of that name.
fn quarantined(world: &World, tail: &str) -> Vec<String> {
    named(world, "app.db.20").into_iter().filter(|name| name.ends_with(tail)).collect()
}

#[test]
fn a_missing_database_is_restored_before_the_apps_first_line() {
    let (world, app) = (World::new(), |world: &World| App::new(&world.trace()).count(&world.db()));
    let s3 = server(&world, LATEST);
    sqlite::lose(&world.db());
    let ended = keeper(&world, &s3).app(app(&world).insert(&world.db(), 5).exit(0)).run().expect_code(0);
    let ended = ended.expect_log("restoring ").expect_log("restored ");
    assert_eq!(world.trace().wait("count").rest, "10");
    assert!(ended.log.lines().count() < 12, "{}", ended.log);
    assert_eq!(named(&world, ".app.db-litekeeper-restore"), [""; 0], "nothing of the restore is left");

    // And once more: what the app wrote is there as well.
    sqlite::lose(&world.db());
    keeper(&world, &s3).app(app(&world).exit(0)).run().expect_code(0);
    assert_eq!(world.trace().wait_nth(2, "count").rest, "15");
}

/// Who starts for the first time has nothing to restore, and what a restore put aside is no trouble.
#[test]
fn a_restore_is_told_once_there_is_a_backup_and_says_where_the_rest_is() {
    let world = World::new();
    let run = |rows: u64| {
        let app = App::new(&world.trace()).insert(&world.db(), rows).exit(0);
        unit::keeper(&world).app(app).run().expect_code(0)
    };
    let first = run(3);
    assert!(!first.log.contains("restoring"), "{}", first.log);
    let (db, root) = (world.db(), world.root().display().to_string());
    for times in 1..=5 {
        fs::remove_file(&db).expect("it is there");
        // An app that is done before Litestream opens the database leaves no WAL.
        fs::write(beside(&db, "-wal"), "what an app left").expect("ours");
        let log = run(1).expect_log(&format!("restoring {}", db.display())).log;
        let told = format!("info  litekeeper: {root}/app.db-wal kept as {root}/app.db.2");
        let line =
            log.lines().find(|line| line.contains(&told)).unwrap_or_else(|| panic!("no {told} in {log}"));
        assert!(
            line.contains(&format!("{root}/.app.db-litestream kept as {root}/.app.db-litestream.")),
            "{line}"
        );
        assert_eq!(line.contains("the newest three of each stay"), times > 3, "{line}");
        assert!(!log.contains("warn "), "{log}");
    }
    assert_eq!(named(&world, ".app.db-litestream.").len(), 3);
    assert_eq!(quarantined(&world, "-wal").len(), 3);
}

#[test]
fn a_database_of_0_bytes_is_restored() {
    let world = World::new();
    let s3 = server(&world, LATEST);
    sqlite::lose(&world.db());
    fs::write(world.db(), "").expect("the world can be written");
    keeper(&world, &s3).app(App::new(&world.trace()).count(&world.db()).exit(0)).run().expect_code(0);
    assert_eq!(world.trace().wait("count").rest, "10");
}

#[test]
fn a_database_that_is_there_is_left_alone() {
    let world = World::new();
    let s3 = server(&world, LATEST);
    sqlite::insert(&world.db(), 2);
    let app = App::new(&world.trace()).count(&world.db()).exit(0);
    let ended = keeper(&world, &s3).app(app).run().expect_code(0);
    assert_eq!(world.trace().wait("count").rest, "12");
    assert!(!ended.log.contains("restor"), "{}", ended.log);
}

#[test]
fn a_stale_wal_is_kept_aside_and_not_replayed() {
    let world = World::new();
    let s3 = server(&world, LATEST);
    let config = world.config(&s3.replica("backups", "app"));
    // Five rows that are in the WAL alone; it outlives its database here.
    let database = Connection::open(world.db()).expect("it is there");
    database.execute_batch("PRAGMA wal_autocheckpoint = 0").expect("the pragma is known");
    for _ in 0..5 {
        database.execute("INSERT INTO t (v) VALUES ('stale')", []).expect("the table is there");
    }
    let wal = fs::read(beside(&world.db(), "-wal")).expect("there is a WAL");
    drop(database);
    sqlite::lose(&world.db());
    // SQLite would replay it.
    let control = Backup::Config(&config, &world.db()).restore(&world, LATEST);
    fs::write(beside(&control, "-wal"), &wal).expect("the world can be written");
    assert_eq!(sqlite::count(&control), 15, "this WAL changes a restored database");

    fs::write(beside(&world.db(), "-wal"), &wal).expect("the world can be written");
    fs::write(beside(&world.db(), "-journal"), "stale").expect("the world can be written");
    fs::create_dir(metadata(&world.db())).expect("the world can be written");
    fs::write(metadata(&world.db()).join("marker"), "stale").expect("the world can be written");
    let app = App::new(&world.trace()).count(&world.db()).exit(0);
    let ended = keeper(&world, &s3).app(app).run().expect_code(0).expect_log("app.db-wal kept as");
    assert_eq!(world.trace().wait("count").rest, "10");
    let kept = quarantined(&world, "-wal");
    assert_eq!(kept.len(), 1, "{:?}\n{}", world.list(""), ended.log);
    assert!(kept[0].ends_with("Z-wal"), "a time in the name: {kept:?}");
    assert_eq!(fs::read(world.path(&kept[0])).expect("it is there"), wal);
    assert_eq!(quarantined(&world, "-journal").len(), 1);
    let folders = named(&world, ".app.db-litestream.20");
    assert_eq!(folders.len(), 1, "{:?}", world.list(""));
    assert!(world.path(&folders[0]).join("marker").exists());
}

#[test]
fn several_databases_are_restored_side_by_side() {
    const NAMES: [&str; 3] = ["one", "two", "three"];
    let world = World::new();
    let s3 = S3::start();
    let dbs = NAMES.map(|name| world.path(&format!("{name}.db")));
    let replicas = NAMES.map(|name| {
        s3.bucket(name);
        s3.replica(name, "app")
    });
    for (rows, db) in (1..).zip(&dbs) {
        sqlite::create(db, rows);
    }
    let config = world.config_of("", dbs.iter().map(PathBuf::as_path).zip(&replicas));
    litestream::back_up(&world, LATEST, &config, &dbs.each_ref().map(PathBuf::as_path));
    dbs.iter().for_each(|db| sqlite::lose(db));

    let app = dbs.iter().fold(App::new(&world.trace()), |app, db| app.count(db)).exit(0);
    let keeper = dbs.iter().zip(NAMES).fold(Keeper::new(&world).envs(S3::env()), |keeper, (db, name)| {
        keeper.db(db).replica(&s3.url(name, "app"))
    });
    let before = s3.requests();
    s3.pause();
    let running = keeper.app(app).start();
    wait_until("a question about each database before any answer", DEADLINE, || {
        let seen = s3.seen().split_off(before);
        NAMES.iter().all(|name| seen.iter().any(|request| request.contains(&format!(" {name}/"))))
    });
    s3.resume();
    running.finish().expect_code(0);
    let counts: Vec<_> = world.trace().all("count").into_iter().map(|event| event.rest).collect();
    assert_eq!(counts, ["1", "2", "3"]);
}

#[test]
fn one_of_several_that_cannot_be_restored_keeps_the_app_from_starting_and_the_others_are_whole() {
    let world = World::new();
    let s3 = server(&world, LATEST);
    sqlite::lose(&world.db());
    let other = world.path("other.db");
    let keeper = keeper(&world, &s3).db(&other).replica(&s3.url("nowhere", "app"));
    let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69).expect_log("NoSuchBucket");
    assert!(world.trace().is_empty() && !other.exists(), "{}", ended.log);
    assert_eq!(sqlite::count(&world.db()), 10);
}

#[test]
fn a_backup_of_0_3_is_restored_by_0_5_17_and_continued() {
    for url in [None, Some("folder")] {
        let world = World::new();
        let s3 = server(&world, OLD);
        let (keeper, replica): (Keeper, Replica) = match url {
            None => (keeper(&world, &s3), s3.replica("backups", "app")),
            Some(_) => {
                litestream::back_up(&world, OLD, &world.config(&world.replica()), &[&world.db()]);
                (Keeper::new(&world).db(&world.db()).replica(&world.replica_url()), world.replica())
            }
        };
        sqlite::lose(&world.db());
        let app = App::new(&world.trace()).count(&world.db()).insert(&world.db(), 5).exit(0);
        keeper.app(app).run().expect_code(0);
        assert_eq!(world.trace().wait("count").rest, "10");
        let config = world.config(&replica);
        assert_eq!(sqlite::count(&Backup::Config(&config, &world.db()).restore(&world, LATEST)), 15);
    }
}

#[test]
fn a_restore_that_gets_no_answer_says_so_and_goes_on_when_there_is_one() {
    let world = World::new();
    let s3 = server(&world, LATEST);
    sqlite::lose(&world.db());
    s3.pause();
    let running = keeper(&world, &s3).app(App::new(&world.trace()).count(&world.db()).exit(0)).start();
    let line = running.wait_log(1, "no answer from");
    assert!(line.contains("litestream is retrying") && line.contains("s3://backups/app"), "{line}");
    s3.resume();
    running.finish().expect_code(0);
    assert_eq!(world.trace().wait("count").rest, "10");
}

#[test]
fn the_limit_of_a_restore_is_the_time_that_it_has() {
    let world = World::new();
    let url = format!("http://127.0.0.1:{}", free_port());
    let config = world.config(&Replica::new("webdav").set("webdav-url", url).set("path", "/app"));
    let start = Instant::now();
    let keeper = Keeper::new(&world).config(&config).args(["--restore-timeout", "2s"]);
    keeper.app(["true"]).run().expect_code(69).expect_log("asking again");
    assert!(start.elapsed() > Duration::from_millis(1700), "{:?}", start.elapsed());
}

#[test]
fn a_restore_that_moves_is_not_cut_off_however_long_it_takes() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    sqlite::big(&world.db(), 8);
    litestream::back_up(&world, LATEST, &world.config(&s3.replica("backups", "app")), &[&world.db()]);
    sqlite::lose(&world.db());
    // The first answer alone takes longer than the limit would be without the word of the server.
    s3.throttle(4 << 20);
    let app = App::new(&world.trace()).count(&world.db()).exit(0);
    let start = Instant::now();
    keeper(&world, &s3).args(["--restore-timeout", "15s"]).app(app).run().expect_code(0);
    assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(world.trace().wait("count").rest, "1");
}

#[test]
fn a_keeper_killed_during_a_restore_leaves_nothing_that_the_next_one_minds() {
    let world = World::new();
    let s3 = server(&world, LATEST);
    sqlite::lose(&world.db());
    let before = s3.requests();
    s3.delay(Duration::from_secs(1));
    let app = || App::new(&world.trace()).count(&world.db()).exit(0);
    let running = keeper(&world, &s3).app(app()).start();
    s3.wait_requests(before + 2);
    running.signal(Signal::SIGKILL);
    running.finish();
    assert!(!world.db().exists() && world.trace().is_empty());
    fs::write(world.path(".app.db-litekeeper-restore.tmp"), "half").expect("the world can be written");
    s3.resume();
    keeper(&world, &s3).app(app()).run().expect_code(0);
    assert_eq!(world.trace().wait("count").rest, "10");
    assert_eq!(named(&world, ".app.db-litekeeper-restore"), [""; 0]);
}

#[test]
fn a_disk_that_is_full_during_the_restore_leaves_nothing_half_written() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    let folder = world.path("data");
    fs::create_dir(&folder).expect("the world can be written");
    let db = folder.join("app.db");
    sqlite::big(&db, 2);
    let config = world.config_of("", [(db.as_path(), &s3.replica("backups", "app"))]);
    litestream::back_up(&world, LATEST, &config, &[&db]);
    sqlite::lose(&db);
    let keeper = Keeper::new(&world).db(&db).replica(&s3.url("backups", "app")).envs(S3::env());
    let keeper = keeper.app(App::new(&world.trace()).exit(0)).wrapped(wrap::small_disk(&folder, 1024));
    let ended = keeper
        .run()
        .expect_code(69)
        .expect_log("no space left on device")
        .expect_log("hint: free some space");
    assert_eq!(ended.stdout, ".app.db-litekeeper.lock\n", "all that is left on the disk");
    assert!(world.trace().is_empty());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let world = World::new();
    let s3 = server(&world, LATEST);
    let folder = world.path("data");
    fs::create_dir(&folder).expect("the world can be written");
    let db = folder.join("app.db");
    let keeper = Keeper::new(&world).db(&db).replica(&s3.url("backups", "app")).envs(S3::env());
    let keeper = keeper.app(App::new(&world.trace()).exit(0)).wrapped(wrap::read_only(&folder));
    let ended = keeper.run().expect_code(78).expect_log("it is mounted read-only").expect_log("hint: ");
    assert!(ended.log.contains(&folder.display().to_string()), "{}", ended.log);
    assert_eq!(world.list("data"), [""; 0]);
    assert!(world.trace().is_empty());
}
