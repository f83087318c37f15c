//! A configured database that the app never makes, because it makes another one: the most usual mistake.

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, NO_SOCKET, OLD};
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

/// The file that the app writes to while the configuration names [`World::db`].
fn other(world: &World) -> std::path::PathBuf {
    world.path("data.db")
}

fn keeper(world: &World, on_lag: &str) -> Keeper {
    unit::keeper(world).args(["--max-lag", "2s", "--on-lag", on_lag])
}

fn writer(world: &World) -> App {
    App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&other(world), 20)
}

/// Nobody was told that anything of the database is safe.
#[track_caller]
fn assert_never_made(world: &World, ended: Ended) {
    let end = format!("{} was never made: nothing was replicated", world.db().display());
    let ended = ended.expect_log(&end);
    for promise in ["everything is on the replica", "replicating "] {
        assert!(!ended.log.contains(promise), "{promise}: {}", ended.log);
    }
}

#[test]
fn the_file_that_the_app_makes_instead_is_named_and_nothing_is_called_replicated() {
    let world = World::new();
    let running = keeper(&world, "unready").app(writer(&world)).start();
    let line = running.wait_log(1, "is not there, so nothing is replicated");
    let (db, other) = (world.db(), other(&world).canonicalize().expect("the app has made it"));
    assert!(line.contains(&*db.to_string_lossy()) && line.contains(&*other.to_string_lossy()), "{line}");
    running.wait_log(1, "has not been there for");
    assert_never_made(&world, running.stop(0));
}

#[test]
fn what_a_grandchild_in_its_own_session_has_open_is_named() {
    let world = World::new();
    let worker = App::new(&world.trace()).insert_forever(&other(&world), 20);
    let app = App::new(&world.trace()).on_exit("TERM", 0).spawn("setsid", &worker).wait();
    let running = keeper(&world, "warn").app(app).start();
    let line = running.wait_log(1, "is not there, so nothing is replicated");
    assert!(line.contains("data.db"), "{line}");
    assert_never_made(&world, running.stop(0));
}

#[test]
fn a_file_that_is_missing_stops_the_unit_if_a_lag_does() {
    let world = World::new();
    let ended = keeper(&world, "stop").app(writer(&world)).run().expect_code(70);
    assert_never_made(&world, ended.expect_log("stopping (--on-lag)"));
}

#[test]
fn a_short_life_without_its_database_says_so_with_every_litestream() {
    for version in [LATEST, NO_SOCKET, OLD] {
        let world = World::new();
        let app = App::new(&world.trace()).insert(&other(&world), 1);
        let ended = unit::keeper(&world).litestream(version).app(app.exit(3)).run().expect_code(3);
        assert_never_made(&world, ended);
    }
}

#[test]
fn the_database_that_is_there_is_confirmed_beside_the_missing_one() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let (missing, place) = (world.path("queue.db"), world.path("queue-replica"));
    let keeper = unit::keeper(&world).db(&missing).replica(&format!("file://{}", place.display()));
    let ended = keeper.app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run().expect_code(0);
    let missing = missing.display();
    let ended = ended.expect_log(&format!("waiting for the app to make {missing}"));
    let ended =
        ended.expect_log(&format!("{missing} was never made: nothing was replicated; all other databases"));
    assert!(!ended.log.contains("everything is on the replica"), "{}", ended.log);
    assert_eq!(unit::assert_nothing_lost(&world, &world.trace()), 4);
}

/// What is named is what nobody replicates; the others are not passed over.
#[test]
fn an_app_with_configured_files_open_has_no_others() {
    let world = World::new();
    let missing = world.path("queue.db");
    let keeper = unit::keeper(&world).db(&missing).replica(&format!("file://{}", world.path("q").display()));
    let app = App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20);
    let running = keeper.args(["--max-lag", "1s"]).app(app).start();
    running.wait_log(1, "has no SQLite file open but those that are configured");
    running.stop(0);
}

#[test]
fn a_database_that_comes_late_is_said_to_be_replicated_once_it_is() {
    let world = World::new();
    let go = world.path("go");
    let app = App::new(&world.trace()).on_exit("TERM", 0).until(&go).insert(&world.db(), 3).wait();
    let running = keeper(&world, "unready").app(app).start();
    running.wait_log(1, "has no other SQLite file open");
    running.wait_log(1, "has not been there for");
    std::fs::write(&go, "").expect("the world can be written");
    running.wait_log(1, "is there now: replicating it");
    running.stop(0).expect_log("everything is on the replica");
    unit::assert_nothing_lost(&world, &world.trace());
}

#[test]
fn the_app_is_told_where_its_databases_are() {
    let world = World::new();
    let config = world.write(
        "litekeeper.yml",
        "dbs:\n- {path: main, replica: {path: r/main}}\n- {path: ./b.db, replica: {path: r/b}}\n\
         litekeeper:\n  aliases: {main: data/../a.db, job-queue: b.db}\n  app: {env: {FROM_FILE: x}}\n",
    );
    for enabled in ["true", "false"] {
        let script =
            "echo $LITEKEEPER_DATABASE $LITEKEEPER_DATABASE_MAIN $LITEKEEPER_DATABASE_JOB_QUEUE $FROM_FILE";
        let keeper = Keeper::new(&world).config(&config).env("LITEKEEPER_ENABLED", enabled);
        let ended = keeper.env("LITEKEEPER_DATABASE", "/old").app(["sh", "-c", script]).run().expect_code(0);
        let path = |name: &str| world.path(name).display().to_string();
        assert_eq!(ended.stdout, format!("{} {} {} x\n", path("a.db"), path("a.db"), path("b.db")));
    }
}

/// It is there from an earlier try, or as an empty template: nothing is missing, and nothing of the app is replicated.
#[test]
fn an_app_that_writes_to_another_file_than_the_configured_one_is_told() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let running = keeper(&world, "warn").app(writer(&world)).start();
    let line = running.wait_log(1, "which nobody replicates");
    let (db, other) = (world.db(), other(&world).canonicalize().expect("the app has made it"));
    assert!(line.contains(&*other.to_string_lossy()), "{line}");
    assert!(line.contains(&format!("{} was not written to", db.display())), "{line}");
    let ended = running.stop(0);
    assert_eq!(ended.log.matches("which nobody replicates").count(), 1, "{}", ended.log);
}

/// What is opened for each request is closed most of the time.
#[test]
fn a_database_that_is_written_to_now_and_then_is_in_use() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let now_and_then = "for i in 1 2 3 4 5; do sleep 0.5; \"$@\"; done";
    let each = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    let each: Vec<_> = ["sh".into(), "-c".into(), now_and_then.into(), "sh".into()]
        .into_iter()
        .chain(each)
        .collect::<Vec<std::ffi::OsString>>();
    let ended = keeper(&world, "warn").app(each).run().expect_code(0);
    assert!(!ended.log.contains("nobody replicates"), "{}", ended.log);
}

#[test]
fn a_missing_database_is_named_with_its_own_variable() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let text = format!(
        "litekeeper: {{aliases: {{job-queue: '{other}'}}}}\ndbs:\n  - path: {db}\n    replica: {{path: {root}/a}}\n  - path: {other}\n    replica: {{path: {root}/b}}\n",
        other = other(&world).display(),
        db = world.db().display(),
        root = world.root().display(),
    );
    let config = world.write("own.yml", &text);
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    let running = Keeper::new(&world).config(&config).app(app).start();
    let line = running.wait_log(1, "is not there, so nothing is replicated of it");
    assert!(line.contains(&*other(&world).to_string_lossy()), "{line}");
    assert!(line.ends_with("have the app take it from LITEKEEPER_DATABASE_JOB_QUEUE"), "{line}");
    let status: serde_json::Value = crate::support::operator::printed(
        crate::support::operator::operator(&world, "status").config(&config),
        1,
    );
    assert!(status["databases"][1]["lag_seconds"].is_null(), "{status}");
    running.stop(0);
}
