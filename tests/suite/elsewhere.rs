//! A database that is missing, and whose replica holds no backup: another place may.

use std::fs;
use std::path::PathBuf;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::world::World;

/// A backup of [`World::db`] with ten rows at this path of the bucket `backups`; the database is gone.
fn server(world: &World, path: &str) -> S3 {
    let s3 = S3::start();
    s3.bucket("backups");
    sqlite::create(&world.db(), 10);
    litestream::back_up(world, LATEST, &world.config(&s3.replica("backups", path)), &[&world.db()]);
    lose(world);
    s3
}

fn lose(world: &World) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(world.path(&format!("app.db{suffix}")));
    }
    let _ = fs::remove_dir_all(world.path(".app.db-litestream"));
}

/// A configuration with these databases, and replicas in none of them.
fn without_replicas(world: &World, names: &[&str]) -> PathBuf {
    let dbs = names.iter().map(|name| format!("- path: {}\n", world.path(name).display()));
    world.write("litestream.yml", &format!("dbs:\n{}", dbs.collect::<String>()))
}

/// A keeper whose replica the environment names: `BUCKET` and this `PATH`.
fn keeper(world: &World, s3: &S3, path: &str) -> Keeper {
    Keeper::new(world)
        .envs(S3::env())
        .env("LITESTREAM_REPLICA_BUCKET", "backups")
        .env("LITESTREAM_REPLICA_PATH", path)
        .env("LITESTREAM_REPLICA_ENDPOINT", s3.endpoint())
        .env("LITESTREAM_REPLICA_REGION", "us-east-1")
}

/// The app was not started, nothing was made, and both places are named.
fn assert_refused(world: &World, keeper: Keeper, own: &str, other: &str) {
    let ended = keeper.app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run().expect_code(78);
    ended.expect_log(&format!("{own} holds no backup, but {other} does"));
    assert!(!world.db().exists());
}

#[test]
fn the_path_of_the_environment_is_all_of_the_only_databases_path() {
    let world = World::new();
    let s3 = server(&world, "apps/mine");
    let config = without_replicas(&world, &["app.db"]);
    let app = App::new(&world.trace()).count(&world.db()).insert(&world.db(), 1).exit(0);
    keeper(&world, &s3, "apps/mine").config(&config).app(app).run().expect_code(0);
    assert_eq!(world.trace().wait("count").rest, "10");
    let objects = s3.objects("backups");
    assert!(
        objects.iter().all(|key| key.starts_with("apps/mine/") && !key.contains("app.db")),
        "{objects:?}"
    );
}

#[test]
fn a_backup_where_the_path_was_read_otherwise_is_not_passed_over() {
    let world = World::new();
    let s3 = server(&world, "apps/mine/app.db");
    let config = without_replicas(&world, &["app.db"]);
    let (own, other) = ("s3://backups/apps/mine", "s3://backups/apps/mine/app.db");
    assert_refused(&world, keeper(&world, &s3, "apps/mine").config(&config), own, other);
    // As the hint has it, and then by the variable itself.
    let app = || App::new(&world.trace()).count(&world.db()).exit(0);
    let named =
        Keeper::new(&world).envs(S3::env()).db(&world.db()).replica(&s3.url("backups", "apps/mine/app.db"));
    named.app(app()).run().expect_code(0);
    lose(&world);
    keeper(&world, &s3, "apps/mine/app.db").config(&config).app(app()).run().expect_code(0);
    assert_eq!(world.trace().wait_nth(2, "count").rest, "10");
}

#[test]
fn the_first_of_several_may_have_been_there_alone() {
    let world = World::new();
    let s3 = server(&world, "apps/mine");
    let config = without_replicas(&world, &["app.db", "second.db"]);
    let (own, other) = ("s3://backups/apps/mine/app.db", "s3://backups/apps/mine");
    assert_refused(&world, keeper(&world, &s3, "apps/mine").config(&config), own, other);
}

#[test]
fn a_url_has_two_readings_as_well() {
    let world = World::new();
    let s3 = server(&world, "apps/mine");
    let config = without_replicas(&world, &["app.db"]);
    let (own, other) = ("s3://backups/apps/mine/app.db", "s3://backups/apps/mine");
    let keeper =
        Keeper::new(&world).envs(S3::env()).env("LITESTREAM_REPLICA_URL", s3.url("backups", "apps/mine"));
    assert_refused(&world, keeper.config(&config), own, other);
}

#[test]
fn with_no_backup_anywhere_the_app_starts_with_a_new_database() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let config = without_replicas(&world, &["app.db"]);
    let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    let ended = keeper(&world, &s3, "apps/mine").config(&config).app(app).run().expect_code(0);
    ended.expect_log("holds no backup").expect_log("everything is on the replica");
}
