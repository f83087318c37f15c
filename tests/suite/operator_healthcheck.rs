//! What a platform is told that asks whether the app is up and replicated.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, OLD};
use crate::support::operator::{operator, quiet};
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::tenants::Tenants;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

fn healthcheck(world: &World) -> Keeper {
    operator(world, "healthcheck")
}

/// Docker knows no other code.
fn unhealthy(ended: Ended, why: &str) {
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(ended.stdout.is_empty() && ended.log.contains("hint: "), "{ended:?}");
    assert!(ended.log.contains(why), "no {why:?}: {}", ended.log);
}

#[test]
fn it_is_well_while_a_keeper_is_ready_and_only_then() {
    for version in [LATEST, OLD] {
        let world = World::new();
        let running = quiet(&world, &Store::Folder, version, (3, ""));
        let ask = || healthcheck(&world).litestream(version);
        wait_until("it to be well", DEADLINE, || ask().run().status.code() == Some(0));
        assert_eq!(ask().run().expect_code(0).stdout, "running, ready\n");
        // It is asked at its socket, and no Litestream is.
        assert_eq!(ask().env("LITESTREAM_BINARY_PATH", "/nowhere").run().status.code(), Some(0));
        running.stop(0);
        unhealthy(ask().run(), "no keeper runs");
    }
}

#[test]
fn a_replica_that_is_too_far_behind_is_told_with_its_reason() {
    let world = World::new();
    let store = Store::Folder;
    let running = quiet(&world, &store, LATEST, (3, "litekeeper: {watch: {max-lag: 1s}}\n"));
    let level = store.ltx(&world, "app").join("0");
    fs::rename(&level, world.path("aside")).expect("a folder");
    fs::write(&level, "").expect("ours");
    sqlite::insert(&world.db(), 1);
    wait_until("lag", DEADLINE, || healthcheck(&world).run().status.code() == Some(1));
    unhealthy(healthcheck(&world).run(), "running, not ready: ");
    fs::remove_file(&level).expect("ours");
    fs::rename(world.path("aside"), &level).expect("a folder");
    wait_until("no lag", DEADLINE, || healthcheck(&world).run().status.code() == Some(0));
    running.stop(0);
}

#[test]
fn a_keeper_that_does_not_answer_is_waited_for_as_long_as_it_is_said() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    let keeper = running.keeper();
    keeper.signal(Signal::SIGSTOP);
    let began = Instant::now();
    let ended = healthcheck(&world).args(["--timeout", "1s"]).run();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    keeper.signal(Signal::SIGCONT);
    unhealthy(ended, "does not answer");
    running.stop(0);
}

#[test]
fn settings_that_are_wrong_are_not_well() {
    let world = World::new();
    unhealthy(healthcheck(&world).run(), "neither a configuration");
    unhealthy(healthcheck(&world).config(&world.path("nowhere.yml")).run(), "nowhere.yml");
    world.write("litestream.yml", "dbs: 1\n");
    unhealthy(healthcheck(&world).run(), "dbs");
}

/// Where a resolver names them all, no lock tells of the keeper.
#[test]
fn a_keeper_whose_databases_a_resolver_names_is_asked_too() {
    let tenants = Tenants::in_folders();
    let config = tenants.config("1h");
    let ask = || healthcheck(&tenants.world).config(&config).run();
    unhealthy(ask(), "no keeper runs");
    let running = tenants.start_with_a(3);
    wait_until("it to be well", DEADLINE, || ask().status.code() == Some(0));
    running.stop(143);
    unhealthy(ask(), "no keeper runs");
}

#[test]
fn a_keeper_that_is_stopped_is_waited_for_no_longer_than_is_said() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    running.keeper().signal(Signal::SIGSTOP);
    let began = Instant::now();
    unhealthy(healthcheck(&world).arg("--timeout=1s").run(), "no answer within 1s");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    running.keeper().signal(Signal::SIGCONT);
    running.stop(0);
}
