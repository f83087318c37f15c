//! Whether an app's databases are on their replicas, as seen from outside of the keeper.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, OLD};
use crate::support::operator::{operator, printed, quiet};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

fn status(world: &World) -> Keeper {
    operator(world, "status")
}

#[test]
fn a_keeper_that_replicates_is_healthy() {
    for store in Store::all() {
        let world = World::new();
        let running = quiet(&world, &store, LATEST, (3, "litekeeper: {aliases: {main: app.db}}\n"));
        sqlite::insert(&world.db(), 2);
        let seen = printed::<Value>(status(&world), 0);
        assert_eq!(seen["keeper"]["pid"], running.keeper().pid);
        assert_eq!(seen["litestream"]["pid"], running.litestream().pid);
        assert!(seen["app"].is_null(), "{seen}");
        let one = &seen["databases"][0];
        assert_eq!((&one["state"], &one["alias"]), (&"replicated".into(), &"main".into()), "{seen}");
        assert_eq!(one["size_bytes"], fs::metadata(world.db()).expect("a file").len());
        assert!(one["lag_seconds"].is_f64() && one["wal_bytes"].is_u64() && one["error"].is_null(), "{seen}");
        assert_eq!(one["txid"].as_str().map(str::len), Some(16));
        for time in [&one["restorable"]["from"], &one["restorable"]["to"], &seen["keeper"]["started_at"]] {
            assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{seen}");
        }
        let table = status(&world).run().expect_code(0);
        assert!(table.stdout.contains("main") && table.stdout.contains("replicated"), "{}", table.stdout);
        let line = status(&world).arg("--nagios").run().expect_code(0).stdout;
        assert!(line.starts_with("LITEKEEPER OK - 1 databases replicated | 'main lag'="), "{line}");
        assert_eq!(line.lines().count(), 1);
        running.stop(0);
    }
}

#[test]
fn without_a_keeper_the_files_and_the_replica_tell() {
    for version in [LATEST, OLD] {
        let world = World::new();
        let config = world.config(&Store::Folder.replica(&world, "app"));
        sqlite::create(&world.db(), 10);
        litestream::back_up(&world, version, &config, &[&world.db()]);
        let seen = printed::<Value>(status(&world).litestream(version), 3);
        assert!(seen["keeper"].is_null() && seen["litestream"].is_null(), "{seen}");
        let one = &seen["databases"][0];
        assert!(one["restorable"]["from"].is_string() && one["error"].is_null(), "{seen}");
        assert_eq!(one["txid"].is_string(), version == LATEST, "{seen}");
        assert_eq!(one["state"], "replicated", "{seen}");
        let line = status(&world).litestream(version).arg("--nagios").run().expect_code(2).stdout;
        assert!(line.starts_with("LITEKEEPER CRITICAL - no keeper runs | "), "{line}");
    }
}

#[test]
fn what_no_replica_has_is_lag() {
    let world = World::new();
    let store = Store::Folder;
    let running = quiet(&world, &store, LATEST, (3, "litekeeper: {watch: {max-lag: 1s}}\n"));
    // A file in the place of a folder: nothing more is uploaded.
    let level = store.ltx(&world, "app").join("0");
    let aside = world.path("aside");
    fs::rename(&level, &aside).expect("a folder");
    fs::write(&level, "").expect("ours");
    sqlite::insert(&world.db(), 1);
    let one = || seen_any(&world)["databases"][0].clone();
    wait_until("lag", DEADLINE, || one()["state"] != "replicated");
    let table = status(&world).run().expect_code(1);
    assert!(!table.stdout.contains(" replicated "), "{}", table.stdout);
    let line = status(&world).arg("--nagios").run().expect_code(2).stdout;
    assert!(line.starts_with("LITEKEEPER CRITICAL - "), "{line}");
    fs::remove_file(&level).expect("ours");
    fs::rename(&aside, &level).expect("a folder");
    wait_until("no lag", DEADLINE, || one()["state"] == "replicated");
    running.stop(0);
}

fn seen_any(world: &World) -> Value {
    let ended = status(world).arg("--json").run();
    serde_json::from_str(&ended.stdout).expect("JSON")
}

#[test]
fn a_file_that_is_gone_and_a_replica_that_does_not_answer_are_told() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let url = s3.url("nowhere", "app");
    world.write("litestream.yml", &format!("dbs:\n- path: app.db\n  replica: {{url: \"{url}\"}}\n"));
    let keeper = || status(&world).args(["--timeout", "3s"]);
    let one = printed::<Value>(keeper(), 3)["databases"][0].clone();
    assert_eq!(one["state"], "missing");
    assert!(one["size_bytes"].is_null() && one["restorable"].is_null(), "{one}");
    sqlite::create(&world.db(), 1);
    let one = printed::<Value>(keeper(), 3)["databases"][0].clone();
    assert_eq!(one["state"], "unknown");
    assert!(one["error"].as_str().is_some_and(|error| error.contains("NoSuchBucket")), "{one}");
    let line = status(&world).config(&world.path("nowhere.yml")).arg("--nagios").run().expect_code(3).stdout;
    assert!(line.starts_with("LITEKEEPER UNKNOWN - ") && line.contains("nowhere.yml"), "{line}");
    status(&world).args(["--nagios", "--json"]).run().expect_code(2);
}

/// Litestream 0.3 has no socket and no txids.
#[test]
fn the_old_series_is_told_of_as_far_as_its_files_go() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, OLD, (3, ""));
    let one = || {
        let ended = status(&world).litestream(OLD).arg("--json").run();
        let seen: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert!(seen["keeper"]["pid"] == running.keeper().pid && seen["litestream"].is_null(), "{seen}");
        seen["databases"][0].clone()
    };
    wait_until("a backup", DEADLINE, || one()["state"] == "replicated");
    assert!(one()["txid"].is_null() && one()["restorable"]["to"].is_string());
    running.stop(0);
}

#[test]
fn it_looks_again_until_a_signal_comes() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    let watching = status(&world).arg("--watch=1s").start();
    wait_until("a second look", DEADLINE, || watching.stdout().matches("DATABASE").count() >= 2);
    watching.signal(Signal::SIGINT);
    // It may have been waiting, or looking.
    let status = watching.finish().status;
    assert!(status.signal() == Some(2) || status.code() == Some(130), "{status}");
    running.stop(0);
}

/// The names of all objects in a value.
fn names(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            found.push(name.clone());
            names(value, found);
        }),
        Value::Array(list) => list.iter().for_each(|value| names(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The page has the names that the commands beside a keeper print, and no others.
#[test]
fn the_page_about_json_has_every_name() {
    let page = crate::support::docs::page("docs/json.md").text;
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    let sync = Keeper::new(&world).command("sync").arg("--json").run().expect_code(0).stdout;
    let mut printed = vec![
        ("status", printed::<Value>(status(&world), 0)),
        ("sync", serde_json::from_str(&sync).expect("JSON")),
    ];
    running.stop(0);
    let reset = Keeper::new(&world).command("reset").args(["app.db", "--yes", "--json"]).run().expect_code(0);
    printed.push(("reset", serde_json::from_str(&reset.stdout).expect("JSON")));
    for (command, value) in printed {
        let (_, rest) = page.split_once(&format!("## `{command}`")).expect("it has a part");
        let part = rest.split("\n## ").next().unwrap_or_default();
        let mut found = Vec::new();
        names(&value, &mut found);
        found
            .iter()
            .for_each(|name| assert!(part.contains(&format!("\"{name}\":")), "no {name} in {command}"));
        assert_eq!(part.matches("\": ").count(), found.len(), "{command}: {found:?}");
    }
}
