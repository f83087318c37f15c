//! A database that is missing, and whose replica holds no backup: another place may.

use std::path::PathBuf;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, OLD};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::world::World;

/// A backup of [`World::db`] with ten rows at this path of the bucket `backups`; the database is gone.
fn server(world: &World, path: &str) -> S3 {
    let s3 = S3::start();
    s3.bucket("backups");
    sqlite::create(&world.db(), 10);
    litestream::back_up(world, LATEST, &world.config(&s3.replica("backups", path)), &[&world.db()]);
    sqlite::lose(&world.db());
    s3
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
    sqlite::lose(&world.db());
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

/// A backup of [`World::db`] with ten rows in this folder of the world, made by `version`; the database is gone.
fn old_place(world: &World, version: &str, name: &str) -> PathBuf {
    let place = world.path(name);
    sqlite::create(&world.db(), 10);
    litestream::back_up(world, version, &world.config(&Replica::folder(&place)), &[&world.db()]);
    sqlite::lose(&world.db());
    place
}

/// A configuration whose databases are replicated below `new`, and come from elsewhere.
fn moved(world: &World, from: &str, names: &[&str]) -> PathBuf {
    let replica = |name: &str| format!("{{type: file, path: {}}}", world.path("new").join(name).display());
    let dbs = names
        .iter()
        .map(|name| format!("- path: {}\n  replicas: [{}]\n", world.path(name).display(), replica(name)));
    let from = format!("litekeeper: {{restore: {{from: {from}}}}}\n");
    world.write("moved.yml", &format!("{from}dbs:\n{}", dbs.collect::<String>()))
}

#[test]
fn the_first_start_is_from_another_place_and_all_later_ones_are_not() {
    for version in [LATEST, OLD] {
        let world = World::new();
        let old = old_place(&world, version, "old");
        let before = world.list("old");
        let config = moved(&world, &old.display().to_string(), &["app.db"]);
        let keeper = || Keeper::new(&world).litestream(version).config(&config);
        let app = || App::new(&world.trace()).count(&world.db());
        let ended = keeper().app(app().insert(&world.db(), 5).exit(0)).run().expect_code(0);
        ended.expect_log("holds no backup").expect_log("came from ");
        assert_eq!(world.trace().wait("count").rest, "10");
        assert_eq!(world.list("old"), before, "nothing is written there");
        sqlite::lose(&world.db());
        let ended = keeper().app(app().exit(0)).run().expect_code(0);
        assert_eq!(world.trace().wait_nth(2, "count").rest, "15");
        assert!(!ended.log.contains("came from "), "{}", ended.log);
        // What is here is left alone.
        keeper().app(app().exit(0)).run().expect_code(0);
        assert_eq!(world.trace().wait_nth(3, "count").rest, "15");
    }
}

#[test]
fn several_databases_come_from_below_one_place_or_each_from_its_own() {
    let world = World::new();
    old_place(&world, LATEST, "old/app.db");
    let second = old_place(&world, LATEST, "elsewhere");
    let (old, second) =
        (world.path("old"), format!("{}={}", world.path("second.db").display(), second.display()));
    let config = moved(&world, &format!("[{}, \"{second}\"]", old.display()), &["app.db", "second.db"]);
    let app = App::new(&world.trace()).count(&world.db()).count(&world.path("second.db")).exit(0);
    Keeper::new(&world).config(&config).app(app).run().expect_code(0);
    assert_eq!(world.trace().wait_nth(2, "count").rest, "10");
    assert_eq!(world.trace().wait("count").rest, "10");
}

#[test]
fn a_place_without_a_backup_starts_nothing() {
    let world = World::new();
    let config = moved(&world, &world.path("nowhere").display().to_string(), &["app.db"]);
    let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    let ended = Keeper::new(&world).config(&config).app(app).run().expect_code(69);
    ended.expect_log("neither its replica").expect_log("hint: correct --restore-from");
    assert!(!world.db().exists());
    let s3 = S3::start();
    let config = moved(&world, &format!("'{}'", s3.url("missing", "app")), &["app.db"]);
    let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    Keeper::new(&world).config(&config).envs(S3::env()).app(app).run().expect_code(69).expect_log("missing");
    assert!(!world.db().exists());
}

#[test]
fn a_txid_may_be_that_of_the_other_place() {
    let world = World::new();
    let old = old_place(&world, LATEST, "old");
    let config = moved(&world, &old.display().to_string(), &["app.db"]);
    let run = |txid: &str| {
        let app = App::new(&world.trace()).count(&world.db()).exit(0);
        Keeper::new(&world).config(&config).args(["--restore-txid", txid]).app(app).run()
    };
    run("00000000000000ff")
        .expect_code(69)
        .expect_log(&format!("replica {}: there is no txid", old.display()));
    assert!(!world.db().exists());
    run("0000000000000001").expect_code(0).expect_log("as it was at txid 0000000000000001");
    assert_eq!(world.trace().wait("count").rest, "10");
}

#[test]
fn what_is_no_place_and_no_database_of_the_configuration_is_refused() {
    let world = World::new();
    let config = world.config(&world.replica());
    let run =
        |from: &str| Keeper::new(&world).config(&config).args(["--restore-from", from]).app(["true"]).run();
    run("/x/other.db=s3://b/a").expect_code(78).expect_log("is no database of this configuration");
    run("ftp://h/a").expect_code(78).expect_log("--restore-from: ");
    let check = Keeper::new(&world).command("check").config(&config).args(["--restore-from", "ftp://h/a"]);
    check.run().expect_code(78).expect_output("is no kind of replica that Litestream knows");
    run("old").expect_code(2).expect_log("neither a URL nor a folder");
}
