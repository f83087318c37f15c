//! A database whose pages got another size while nobody ran: Litestream can neither go on from it nor restore a backup
//! that has pages of both sizes.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::pages;
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

const UNTOUCHED: &str = "what is there stays as it was";

/// A world with a database of 4096 bytes a page, replicated and left in order.
fn left() -> World {
    let world = World::new();
    sqlite::create(&world.db(), 50);
    run(&world, &[]).expect_code(0);
    assert_eq!(sqlite::count(&world.db()), 51);
    world
}

fn app(world: &World) -> App {
    App::new(&world.trace()).insert(&world.db(), 1).exit(0)
}

fn run(world: &World, options: &[&str]) -> Ended {
    unit::keeper(world).args(options).app(app(world)).run()
}

/// As [`run`], with a replica at another place.
fn run_to(world: &World, place: &Path, options: &[&str]) -> Ended {
    let url = format!("file://{}", place.display());
    Keeper::new(world).db(&world.db()).replica(&url).args(options).app(app(world)).run()
}

/// What an administrator does.
fn resize(database: &Path, bytes: u32) {
    let connection = Connection::open(database).expect("it can be opened");
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode=DELETE; PRAGMA page_size={bytes}; VACUUM; PRAGMA journal_mode=WAL"
        ))
        .expect("nobody else has it open");
    let now: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).expect("it is a database");
    assert_eq!(now, bytes);
}

/// The rows of the backup in a place.
fn rows(world: &World, place: &Path, out: &str) -> usize {
    let out = world.path(out);
    let url = format!("file://{}", place.display());
    let restored = Backup::Url(&url).try_restore(world, LATEST, &out);
    assert!(restored.status.success(), "{}", restored.log);
    sqlite::assert_sound(&out);
    let rows = sqlite::count(&out);
    fs::remove_file(out).expect("it was restored");
    rows
}

#[test]
fn a_page_size_that_was_changed_is_refused_until_there_is_a_place_for_it() {
    for bytes in [512, 8192, 65536] {
        let world = left();
        resize(&world.db(), bytes);
        for _ in 0..2 {
            let ended = run(&world, &[]).expect_code(69);
            ended
                .expect_log(&format!("its pages have {bytes} bytes now, and those of its backup on"))
                .expect_log("hint: name another, empty place for its replica");
        }
        assert_eq!(rows(&world, &world.path("replica"), "old.db"), 51, "{UNTOUCHED}");
        let place = world.path("another");
        let ended = run_to(&world, &place, &[]).expect_code(0).expect_log("beginning with a fresh copy");
        ended.expect_log("everything is on the replica");
        let ended = run_to(&world, &place, &[]).expect_code(0);
        assert!(!ended.log.contains("as a whole"), "{}", ended.log);
        assert_eq!(rows(&world, &place, "new.db"), 53);
        assert_eq!(rows(&world, &world.path("replica"), "old.db"), 51, "{UNTOUCHED}");
    }
}

#[test]
fn a_page_size_that_was_changed_back_is_gone_on_from() {
    let world = left();
    resize(&world.db(), 8192);
    run(&world, &[]).expect_code(69).expect_log("change it back");
    resize(&world.db(), 4096);
    pages::assert_same(&world, run(&world, &[]).expect_code(0));
}

#[test]
fn a_place_that_was_emptied_takes_pages_of_another_size() {
    let world = left();
    resize(&world.db(), 1024);
    fs::remove_dir_all(world.path("replica")).expect("it is there");
    pages::assert_same(&world, run(&world, &[]).expect_code(0));
}

#[test]
fn a_copy_with_pages_of_another_size_is_another_file() {
    for is_made_anew in [false, true] {
        let world = left();
        let other = world.path("other.db");
        if is_made_anew {
            sqlite::create(&other, 3);
            resize(&other, 8192);
        } else {
            let database = sqlite::open(&world.db());
            let path = other.display();
            database
                .execute_batch(&format!("PRAGMA page_size=8192; VACUUM INTO '{path}'"))
                .expect("it can be copied");
            resize(&other, 8192);
        }
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(world.path(&format!("app.db{suffix}")));
        }
        fs::rename(&other, world.db()).expect("it is there");
        run(&world, &[]).expect_code(69).expect_log("--if-behind restore").expect_log("name another");
        run(&world, &["--if-behind", "ignore"]).expect_code(69).expect_log("hint: name another");
        assert_eq!(rows(&world, &world.path("replica"), "old.db"), 51, "{UNTOUCHED}");
        let ended = run(&world, &["--if-behind", "restore"]).expect_code(0).expect_log("kept as ");
        pages::assert_same(&world, ended);
        assert_eq!(sqlite::count(&world.db()), 52);
    }
}

#[test]
fn pages_of_another_size_without_litestreams_files_are_refused() {
    let world = left();
    resize(&world.db(), 8192);
    fs::remove_dir_all(world.path(".app.db-litestream")).expect("it is there");
    run(&world, &[]).expect_code(69).expect_log("nothing of litestream's is beside it");
    for _ in 0..2 {
        let ended = run(&world, &["--if-unrelated", "adopt"]).expect_code(69);
        ended.expect_log("hint: ").expect_log("another, empty place for");
    }
    assert_eq!(world.trace().all("start").len(), 1, "the app never ran with it");
    let place = world.path("another");
    run_to(&world, &place, &[]).expect_code(0);
    assert_eq!(rows(&world, &place, "new.db"), 52);
}

#[test]
fn a_vacuum_that_changes_all_else_is_copied() {
    let world = left();
    let connection = Connection::open(world.db()).expect("it can be opened");
    connection
        .execute_batch("PRAGMA journal_mode=DELETE; PRAGMA auto_vacuum=FULL; VACUUM; PRAGMA journal_mode=WAL")
        .expect("nobody else has it open");
    drop(connection);
    pages::assert_same(&world, run(&world, &[]).expect_code(0));
}
