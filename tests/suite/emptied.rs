//! Another replica, or an emptied one, for a database whose first files of Litestream's are gone.

use std::fs;
use std::path::PathBuf;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

const LOCAL: &str = ".app.db-litestream/ltx/0";

fn config(world: &World, replica: &str) -> PathBuf {
    let (db, replica) = (world.db(), world.path(replica));
    world.write(
        "short.yml",
        &format!(
            "l0-retention: 2s\nl0-retention-check-interval: 1s\nlevels: [{{interval: 1s}}]\n\
             dbs:\n  - path: {}\n    replica: {{path: {}}}\n",
            db.display(),
            replica.display()
        ),
    )
}

fn keeper(world: &World, replica: &str) -> Keeper {
    Keeper::new(world).config(&config(world, replica)).args(["--gate-timeout", "20s"])
}

fn one_more(world: &World, replica: &str) -> Ended {
    keeper(world, replica).app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run()
}

/// A database whose local files do not begin with the first transaction, and whose replica is `replica`. What that
/// held after the first start is in `early`.
fn cut() -> World {
    let world = World::new();
    sqlite::create(&world.db(), 9);
    one_more(&world, "replica").expect_code(0);
    copy(&world.path("replica"), &world.path("early"));
    let running = keeper(&world, "replica").app(unit::writer(&world.trace(), &world.db(), 0)).start();
    // Twice: what is left the first time may begin where the early copy ends.
    for _ in 0..2 {
        let first = world.list(LOCAL);
        wait_until("the first files to go", DEADLINE, || {
            let now = world.list(LOCAL);
            now.len() > 1 && first.iter().all(|name| !now.contains(name))
        });
    }
    running.stop(0);
    world
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("the world can be written");
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("both can be written")),
        }
    }
}

#[track_caller]
fn assert_fresh(world: &World, replica: &str) {
    let ended = one_more(world, replica).expect_code(0).expect_log("beginning with a fresh copy");
    let kept = world.list(".").into_iter().find(|name| name.starts_with(".app.db-litestream."));
    let kept = kept.unwrap_or_else(|| panic!("nothing was put aside: {}", ended.log));
    assert!(ended.log.contains(&kept), "{kept}: {}", ended.log);
    Backup::Url(&format!("file://{}", world.path(replica).display())).assert_holds_acked(
        world,
        LATEST,
        &world.trace(),
    );
    let again = one_more(world, replica).expect_code(0);
    assert!(!again.log.contains("fresh copy"), "{}", again.log);
}

#[test]
fn an_emptied_replica_gets_a_fresh_copy() {
    let world = cut();
    fs::remove_dir_all(world.path("replica")).expect("it is there");
    assert_fresh(&world, "replica");
}

#[test]
fn another_replica_gets_a_fresh_copy() {
    assert_fresh(&cut(), "elsewhere");
}

#[test]
fn a_replica_that_ends_before_the_local_files_begin_is_refused_at_once() {
    let world = cut();
    let ended = one_more(&world, "early").expect_code(69).expect_log("cannot be uploaded any more");
    let meta = world.path(".app.db-litestream");
    ended.expect_log(&format!("move {} away", meta.display()));
}

/// Everything was killed, and the next start does not get as far as a confirmation.
#[test]
fn a_stop_before_anything_was_confirmed_says_what_may_be_here_alone() {
    let s3 = crate::support::s3::S3::start();
    s3.bucket("backups");
    let world = World::new();
    sqlite::create(&world.db(), 3);
    s3.pause();
    let keeper = || {
        let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "app"));
        keeper.envs(crate::support::s3::S3::env()).app(["true"])
    };
    let running = keeper().start();
    s3.wait_requests(1);
    let ended = running.stop(143).expect_log("stopped before it was confirmed that everything is there");
    ended.expect_log(&world.db().display().to_string());
    s3.resume();
    let ended = keeper().run().expect_code(0);
    assert!(!ended.log.contains("stopped before"), "{}", ended.log);
}
