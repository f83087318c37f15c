//! A place belongs to one database: the id of a history lies beside the database and at its replica.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST, OLD};
use crate::support::process::Ended;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::tenants::Tenants;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

const BESIDE: &str = ".app.db-litestream/litekeeper.json";

/// Starts and stops a unit whose app writes a row.
fn run(store: &Store, world: &World, name: &str, options: &[&str]) -> Ended {
    let config = world.config(&store.replica(world, name));
    let keeper = Keeper::new(world).config(&config).envs(S3::env()).args(["--gate-timeout", "20s"]);
    keeper.args(options).app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run()
}

/// A start and a stop here whose app makes no database; its place is there.
fn run_without(store: &Store, here: &World, there: &World, name: &str) {
    let config = here.config(&store.replica(there, name));
    let keeper = Keeper::new(here).config(&config).envs(S3::env());
    keeper.app(App::new(&here.trace()).exit(0)).run().expect_code(0);
}

fn restored(store: &Store, world: &World, name: &str) -> Vec<i64> {
    let config = world.config(&store.replica(world, name));
    sqlite::ids(&Backup::Config(&config, &world.db()).restore(world, LATEST))
}

fn mark(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("a mark is JSON")
}

fn id(path: &Path) -> String {
    let id = mark(path)["id"].as_str().expect("a mark has an id").to_owned();
    assert_eq!(id.len(), 32);
    id
}

/// The one id that both sides have.
fn same(store: &Store, world: &World, name: &str) -> String {
    let there = id(&store.mark(world, name));
    assert_eq!(id(&world.path(BESIDE)), there);
    there
}

/// A world with a small database that is replicated to this place.
fn backed_up(store: &Store, name: &str) -> World {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    run(store, &world, name, &[]).expect_code(0);
    world
}

#[test]
fn both_sides_have_one_id_which_says_whose_it_is_and_stays() {
    for store in Store::all() {
        let world = backed_up(&store, "own");
        let one = same(&store, &world, "own");
        let mark = mark(&store.mark(&world, "own"));
        assert_eq!(mark["database"], world.db().display().to_string());
        for key in ["made", "host", "version"] {
            assert!(mark[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {mark}");
        }
        let before = fs::read(store.mark(&world, "own")).expect("it is there");
        let ended = run(&store, &world, "own", &[]).expect_code(0);
        assert!(!ended.log.contains("warn"), "{}", ended.log);
        assert_eq!(fs::read(store.mark(&world, "own")).expect("it is there"), before);
        assert_eq!(same(&store, &world, "own"), one);
    }
}

#[test]
fn a_place_is_marked_before_an_app_makes_its_database() {
    for store in Store::all() {
        let world = World::new();
        run_without(&store, &world, &world, "own");
        let first = id(&store.mark(&world, "own"));
        assert!(!world.path(BESIDE).exists() && !world.db().exists());
        run_without(&store, &world, &world, "own");
        run(&store, &world, "own", &[]).expect_code(0);
        assert_eq!(same(&store, &world, "own"), first, "the database that came is the one that was expected");
    }
}

#[test]
fn the_place_of_another_database_is_refused_and_its_owner_named() {
    for store in Store::all() {
        let world = backed_up(&store, "others");
        sqlite::lose(&world.db());
        sqlite::create(&world.db(), 3);
        run(&store, &world, "own", &[]).expect_code(0);
        let refuses = || {
            let before = (world.trace().events().len(), fs::read(world.db()).ok());
            let ended = run(&store, &world, "others", &[]).expect_code(75);
            ended
                .expect_log("belongs to another database")
                .expect_log(&format!("{} of ", world.db().display()))
                .expect_log("hint: name a place of this database's own");
            assert_eq!((world.trace().events().len(), fs::read(world.db()).ok()), before);
        };
        refuses();
        let config = world.config(&store.replica(&world, "others"));
        let check =
            Keeper::new(&world).command("check").config(&config).envs(S3::env()).arg("--online").run();
        assert!(
            check.stdout.contains("[other-backup]") && check.stdout.contains("belongs to another"),
            "{}",
            check.stdout
        );
        run(&store, &world, "own", &[]).expect_code(0);
        assert_eq!(restored(&store, &world, "own"), sqlite::ids(&world.db()));
        // Without its id what is in it decides.
        fs::remove_file(world.path(BESIDE)).expect("it is marked");
        run(&store, &world, "own", &[]).expect_code(0);
        same(&store, &world, "own");
    }
}

#[test]
fn what_was_backed_up_before_there_were_ids_gets_one() {
    for store in Store::all() {
        let world = backed_up(&store, "own");
        let first = same(&store, &world, "own");
        let unmark = |path: &Path| fs::remove_file(path).expect("it is marked");
        unmark(&store.mark(&world, "own"));
        let ended = run(&store, &world, "own", &[]).expect_code(0);
        assert!(!ended.log.contains("warn"), "{}", ended.log);
        assert_eq!(same(&store, &world, "own"), first, "the database knows it");
        unmark(&world.path(BESIDE));
        run(&store, &world, "own", &[]).expect_code(0);
        assert_eq!(same(&store, &world, "own"), first, "the place knows it");
        unmark(&store.mark(&world, "own"));
        unmark(&world.path(BESIDE));
        run(&store, &world, "own", &[]).expect_code(0);
        assert_ne!(same(&store, &world, "own"), first, "nobody knows it");
        sqlite::lose(&world.db());
        let there = id(&store.mark(&world, "own"));
        run(&store, &world, "own", &[]).expect_code(0);
        assert_eq!(same(&store, &world, "own"), there, "it was restored");
    }
}

#[test]
fn a_place_that_was_emptied_or_changed_gets_the_same_id() {
    for store in Store::all() {
        let world = backed_up(&store, "own");
        let first = same(&store, &world, "own");
        fs::remove_dir_all(store.folder(&world, "own")).expect("it is there");
        for name in ["own", "new"] {
            run(&store, &world, name, &[])
                .expect_code(0)
                .expect_log("it was emptied, or is another place than before");
            assert_eq!(same(&store, &world, name), first);
            let ended = run(&store, &world, name, &[]).expect_code(0);
            assert!(!ended.log.contains("emptied"), "{}", ended.log);
            assert_eq!(restored(&store, &world, name), sqlite::ids(&world.db()));
        }
    }
}

#[test]
fn a_file_that_is_taken_for_the_truth_begins_a_history_of_its_own() {
    for store in Store::all() {
        let world = backed_up(&store, "own");
        let first = same(&store, &world, "own");
        sqlite::lose(&world.db());
        sqlite::create(&world.db(), 7);
        run(&store, &world, "own", &[]).expect_code(69).expect_log("nothing of litestream's is beside it");
        assert_eq!(id(&store.mark(&world, "own")), first, "nothing is changed");
        run(&store, &world, "own", &["--if-unrelated", "adopt"]).expect_code(0);
        assert_ne!(same(&store, &world, "own"), first);
        assert_eq!(restored(&store, &world, "own"), sqlite::ids(&world.db()));
    }
}

#[test]
fn a_server_that_knows_no_conditions_is_written_to_all_the_same() {
    let s3 = S3::start();
    s3.bucket("backups");
    s3.refuse_conditions();
    let store = Store::S3(s3);
    let world = backed_up(&store, "own");
    same(&store, &world, "own");
    assert_eq!(restored(&store, &world, "own"), sqlite::ids(&world.db()));
}

#[test]
fn a_mark_that_cannot_be_read_keeps_nobody_from_being_replicated() {
    for store in Store::all() {
        let world = backed_up(&store, "own");
        fs::write(store.mark(&world, "own"), "rubbish").expect("it can be written");
        let ended = run(&store, &world, "own", &[]).expect_code(0);
        ended.expect_log("whose place it is cannot be read");
        assert_eq!(fs::read(store.mark(&world, "own")).expect("it is there"), b"rubbish", "it is somebody's");
        assert_eq!(restored(&store, &world, "own"), sqlite::ids(&world.db()));
    }
}

#[test]
fn a_tenant_moves_to_no_place_of_another_database() {
    let tenants = Tenants::in_folders();
    tenants.make(&["a", "b"]);
    tenants.name(&["a", "b"]);
    let running = tenants.start("10m");
    let there = |name: &str| tenants.world.path(&format!("backup/{name}/litekeeper.json"));
    assert_ne!(id(&there("a")), id(&there("b")));
    tenants.name(&["a"]);
    tenants.reload().expect_code(0);
    let mut entry = tenants.entry("a");
    entry["replica"] = tenants.entry("b")["replica"].clone();
    tenants.answer(&Value::from(vec![entry]).to_string());
    tenants.reload().expect_code(69).expect_log("belongs to another database").expect_log("b.db");
    running.stop(143);
    assert_eq!((tenants.backup("a"), tenants.backup("b")), (5, 5));
}

#[test]
fn a_place_to_which_nothing_ever_came_is_whose_who_has_something() {
    for store in Store::all() {
        let world = backed_up(&store, "own");
        let own = same(&store, &world, "own");
        // Somebody's first start, whose app never made its database.
        run_without(&store, &World::new(), &world, "new");
        assert_ne!(id(&store.mark(&world, "new")), own);
        run(&store, &world, "new", &[]).expect_code(0);
        assert_eq!(same(&store, &world, "new"), own);
    }
}

#[test]
fn a_stop_sees_that_the_place_is_another_databases_by_now() {
    for store in Store::all() {
        let world = World::new();
        let config = world.config(&store.replica(&world, "own"));
        let keeper = Keeper::new(&world).config(&config).envs(S3::env());
        let app = App::new(&world.trace()).insert(&world.db(), 1).ready().wait();
        let running = keeper.args(["--stop-timeout", "4s"]).app(app).start();
        world.trace().wait("ready");
        wait_until("its mark", DEADLINE, || world.path(BESIDE).exists());
        let text = fs::read_to_string(store.mark(&world, "own")).expect("it is marked");
        let other = text.replace(&id(&world.path(BESIDE)), &"5".repeat(32));
        fs::write(store.mark(&world, "own"), other).expect("it can be written");
        running.stop(74).expect_log("belongs to another database by now");
    }
}

#[test]
fn a_database_comes_back_to_where_it_was_replicated_before() {
    for store in Store::all() {
        let world = backed_up(&store, "own");
        let trim = || {
            // As the retention does, which begins after minutes.
            let mut names = world.list(".app.db-litestream/ltx/0");
            names.pop();
            names.iter().for_each(|name| {
                fs::remove_file(world.path(".app.db-litestream/ltx/0").join(name)).expect("it is there");
            });
        };
        for place in ["own", "own", "new", "own", "new", "own"] {
            run(&store, &world, place, &[]).expect_code(0);
            trim();
            assert_eq!(restored(&store, &world, place), sqlite::ids(&world.db()), "{place}");
        }
    }
}

#[test]
fn an_old_litestream_goes_to_no_place_of_another_database_nor_of_the_new_format() {
    let world = World::new();
    let run = |db: &Path, place: &str, version: &str| {
        let replica = Replica::folder(&world.path(place));
        let config = world.config_of("", [(db, &replica)]);
        let keeper = Keeper::new(&world).config(&config).litestream(version).args(["--gate-timeout", "20s"]);
        keeper.app(App::new(&world.trace()).insert(db, 1).exit(0)).run()
    };
    let (one, two) = (world.path("one.db"), world.path("two.db"));
    run(&one, "first", OLD).expect_code(0);
    run(&two, "second", OLD).expect_code(0);
    run(&two, "first", OLD).expect_code(75).expect_log("belongs to another database");
    run(&world.path("three.db"), "third", LATEST).expect_code(0);
    sqlite::create(&world.path("four.db"), 1);
    run(&world.path("four.db"), "third", OLD).expect_code(69).expect_log("0.5");
    assert!(!world.path("third/generations").exists());
}
