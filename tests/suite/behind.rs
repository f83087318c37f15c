//! A database that is older than its backup: an old snapshot of a volume came back.

use std::fs;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST};
use crate::support::process::Ended;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::world::World;

/// A world whose database has 10 rows, and a server whose backup of it has 20.
fn old_volume() -> (World, S3) {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let config = world.config(&s3.replica("backups", "app"));
    let folder = ".app.db-litestream";
    sqlite::create(&world.db(), 10);
    litestream::back_up(&world, LATEST, &config, &[&world.db()]);
    copy(&world, "app.db", "old.db");
    copy(&world, folder, "old-folder");
    sqlite::insert(&world.db(), 10);
    litestream::back_up(&world, LATEST, &config, &[&world.db()]);
    for name in ["app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(world.path(name));
    }
    fs::remove_dir_all(world.path(folder)).expect("it was there");
    fs::rename(world.path("old.db"), world.db()).expect("both are there");
    fs::rename(world.path("old-folder"), world.path(folder)).expect("it was there");
    assert_eq!(sqlite::count(&world.db()), 10);
    (world, s3)
}

fn copy(world: &World, from: &str, to: &str) {
    let done = std::process::Command::new("cp").arg("-r").args([world.path(from), world.path(to)]).status();
    assert!(done.expect("cp is everywhere").success());
}

fn run(world: &World, s3: &S3, options: &[&str]) -> Ended {
    let keeper = Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
    keeper.args(options).app(App::new(&world.trace()).count(&world.db()).exit(0)).run()
}

fn backup(world: &World, s3: &S3) -> usize {
    let config = world.config(&s3.replica("backups", "app"));
    sqlite::count(&Backup::Config(&config, &world.db()).restore(world, LATEST))
}

#[test]
fn an_older_database_is_refused() {
    let (world, s3) = old_volume();
    let before = (world.list(""), world.list(".app.db-litestream/ltx/0"), fs::read(world.db()).ok());
    let ended = run(&world, &s3, &[]).expect_code(69).expect_log("is older than its backup");
    let ended = ended.expect_log("hint: `--if-behind restore`");
    assert!(ended.log.contains(&world.db().display().to_string()), "{}", ended.log);
    assert!(world.trace().is_empty());
    let mut after = world.list("");
    after.retain(|name| name != ".app.db-litekeeper.lock");
    assert_eq!((after, world.list(".app.db-litestream/ltx/0"), fs::read(world.db()).ok()), before);
    assert_eq!(backup(&world, &s3), 20, "the backup is as it was");
}

#[test]
fn the_old_file_is_kept_and_the_backup_restored_if_that_is_wanted() {
    let (world, s3) = old_volume();
    run(&world, &s3, &["--if-behind", "restore"]).expect_code(0).expect_log("kept as ");
    assert_eq!(world.trace().wait("count").rest, "20");
    let kept: Vec<_> = world.list("").into_iter().filter(|name| name.starts_with("app.db.20")).collect();
    assert_eq!(kept.len(), 1, "{:?}", world.list(""));
    assert_eq!(sqlite::count(&world.path(&kept[0])), 10);
    assert_eq!(backup(&world, &s3), 20);
}

#[test]
fn the_old_file_is_gone_on_from_if_that_is_wanted() {
    let (world, s3) = old_volume();
    run(&world, &s3, &["--if-behind", "ignore"]).expect_code(0).expect_log("--if-behind ignore");
    assert_eq!(world.trace().wait("count").rest, "10");
    assert_eq!(backup(&world, &s3), 10, "the latest restore is what the app went on from");
}

#[test]
fn a_database_that_is_what_its_backup_has_goes_on_beside_an_older_folder() {
    for is_gone in [false, true] {
        let (world, s3) = (World::new(), S3::start());
        s3.bucket("backups");
        let (config, folder) = (world.config(&s3.replica("backups", "app")), ".app.db-litestream");
        sqlite::create(&world.db(), 10);
        litestream::back_up(&world, LATEST, &config, &[&world.db()]);
        copy(&world, folder, "old-folder");
        sqlite::insert(&world.db(), 10);
        litestream::back_up(&world, LATEST, &config, &[&world.db()]);
        if is_gone {
            let local = format!("{folder}/ltx/0");
            let newest = world.list(&local).pop().expect("it copied something");
            fs::remove_file(world.path(&local).join(newest)).expect("it was there");
        } else {
            fs::remove_dir_all(world.path(folder)).expect("it was there");
            fs::rename(world.path("old-folder"), world.path(folder)).expect("it was there");
        }
        let ended =
            run(&world, &s3, &[]).expect_code(0).expect_log("and the database is not: they are put aside");
        ended.expect_log("everything is on the replica");
        assert_eq!(world.trace().wait("count").rest, "20");
        assert_eq!(backup(&world, &s3), 20);
        let ended = run(&world, &s3, &[]).expect_code(0);
        assert!(!ended.log.contains("warn"), "{}", ended.log);
    }
}
