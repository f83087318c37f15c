//! `litekeeper drill`: a whole recovery in another place, and the record of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, NO_SOCKET, OLD};
use crate::support::operator::{backed_up, backed_up_far_away, operator, printed, read};
use crate::support::s3::{S3, SECRET};
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

fn drill(world: &World) -> Keeper {
    let private = world.path("private");
    fs::create_dir_all(&private).expect("ours");
    operator(world, "drill").env("TMPDIR", private)
}

/// What is left of it where it restores without a folder, and beside a record.
#[track_caller]
fn assert_clean(world: &World) {
    assert_eq!(world.list("private"), [""; 0]);
    let left: Vec<_> = world.list("").into_iter().filter(|name| name.starts_with(".litekeeper-")).collect();
    assert_eq!(left, [""; 0]);
}

fn one(record: &Value) -> &Value {
    let databases = record["databases"].as_array().expect("a list");
    assert_eq!(databases.len(), 1, "{record}");
    &databases[0]
}

/// As another program adds it up.
fn sum(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().expect("coreutils are everywhere");
    String::from_utf8_lossy(&output.stdout).split(' ').next().expect("a sum").to_owned()
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("20") && text.ends_with('Z'))
}

#[test]
fn all_is_recovered_and_recorded_and_the_database_is_left_as_it_is() {
    for version in [LATEST, OLD, NO_SOCKET] {
        for store in Store::all() {
            let world = World::new();
            backed_up(&world, &store, version);
            sqlite::insert(&world.db(), 3);
            let run = || drill(&world).litestream(version);
            drop(run());
            let before = (sum(&world.db()), world.list(""));
            let ended = run().args(["--to-dir", "to", "--record", "record.json"]).run().expect_code(0);
            assert!(
                ended.stdout.starts_with("DATABASE") && ended.stdout.contains("restorable"),
                "{}",
                ended.stdout
            );
            let text = fs::read_to_string(world.path("record.json")).expect("a record");
            let record: Value = read(&text);
            assert_eq!(record["litestream"], version, "{record}");
            assert_eq!(
                (&record["litekeeper"], &record["verdict"]),
                (&env!("CARGO_PKG_VERSION").into(), &"restorable".into())
            );
            assert!(
                is_time(&record["started_at"]) && is_time(&record["ended_at"]) && record["host"].is_string(),
                "{record}"
            );
            let (one, file) = (one(&record), world.path("to/app.db"));
            assert_eq!(
                (&one["verdict"], &one["integrity"], &one["integrity_result"]),
                (&"restorable".into(), &"quick".into(), &"ok".into())
            );
            assert_eq!((&one["tables"], &one["rows"]), (&1.into(), &10.into()), "{one}");
            assert_eq!(one["sha256"], sum(&file), "{one}");
            assert_eq!(one["bytes"].as_u64(), Some(fs::metadata(&file).expect("there").len()));
            assert_eq!((&one["path"], &one["output"]), (&world.db().to_str().into(), &file.to_str().into()));
            assert!(one["duration_ms"].is_u64() && one["error"].is_null(), "{one}");
            assert!(is_time(&one["restorable"]["from"]) && is_time(&one["restorable"]["to"]), "{one}");
            assert_eq!(one["txid"].as_str().is_some_and(|txid| txid.len() == 16), version == LATEST, "{one}");
            let mode = fs::metadata(world.path("record.json")).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            for secret in [SECRET, S3::env()[0].1] {
                assert!(!text.contains(secret) && !ended.log.contains(secret), "{text}");
            }
            assert_eq!(world.list("to"), ["app.db"]);
            assert_eq!(sqlite::count(&file), 10);
            // Without a folder nothing stays; and the record is what is printed.
            let again: Value = printed(run().args(["--record", "second.json", "app.db"]), 0);
            assert_eq!(read::<Value>(&fs::read_to_string(world.path("second.json")).expect("there")), again);
            assert!(again["databases"][0]["output"].is_null(), "{again}");
            assert_eq!(again["databases"][0]["sha256"], one["sha256"], "{again}");
            assert_clean(&world);
            let new = ["record.json", "second.json", "to"];
            let mut after = world.list("");
            after.retain(|name| !new.contains(&name.as_str()));
            assert_eq!((sum(&world.db()), after), before);
        }
    }
}

#[test]
fn a_machine_with_nothing_but_the_configuration_can_do_it() {
    for store in Store::all() {
        let world = World::new();
        fs::create_dir(world.path("tenants")).expect("ours");
        let (db, tenant) = (world.path("data/app.db"), world.path("tenants/one.db"));
        fs::create_dir(world.path("data")).expect("ours");
        let (app, tenants) = (store.replica(&world, "app").text(), store.replica(&world, "backups").text());
        let text = format!(
            "dbs:\n  - {{path: {}, replica: {app}}}\n  - {{dir: tenants, pattern: \"*.db\", replica: {tenants}}}\n",
            db.display()
        );
        let config = world.write("litestream.yml", &text);
        sqlite::create(&db, 3);
        sqlite::create(&tenant, 4);
        litestream::back_up(&world, LATEST, &config, &[&db, &tenant]);
        for folder in ["data", "tenants"] {
            fs::remove_dir_all(world.path(folder)).expect("ours");
        }
        let record: Value = printed(drill(&world), 0);
        let rows: Vec<_> =
            record["databases"].as_array().expect("a list").iter().map(|one| &one["rows"]).collect();
        assert_eq!(rows, [3, 4], "{record}");
        assert!(!world.path("data").exists() && !world.path("tenants").exists());
        drill(&world).args(["--to-dir", "to"]).run().expect_code(0);
        assert_eq!(
            (world.list("to/data"), world.list("to/tenants")),
            (vec!["app.db".to_owned()], vec!["one.db".to_owned()])
        );
        assert_clean(&world);
    }
}

#[test]
fn it_is_done_beside_a_keeper_that_runs() {
    for store in Store::all() {
        let world = World::new();
        let config = world.config(&store.replica(&world, "app"));
        sqlite::create(&world.db(), 10);
        let unit = unit::start_writing(&world, Keeper::new(&world).envs(S3::env()).config(&config));
        let record: Value = printed(drill(&world).args(["--integrity-check", "full"]), 0);
        let one = one(&record);
        assert!(one["rows"].as_u64().is_some_and(|rows| rows >= 10), "{record}");
        assert_eq!((&one["integrity"], &one["integrity_result"]), (&"full".into(), &"ok".into()));
        assert_clean(&world);
        unit.stop(0);
    }
}

#[test]
fn one_that_fails_stops_no_other_and_is_in_the_record() {
    let world = World::new();
    let names = ["a.db", "b.db", "c.db", "d.db"];
    let paths = names.map(|name| world.path(name));
    let replicas = ["a", "b", "c", "d"].map(|name| Store::Folder.replica(&world, name));
    paths.iter().for_each(|path| sqlite::create(path, 3));
    let config = world.config_of("", paths.iter().map(PathBuf::as_path).zip(&replicas));
    litestream::back_up(&world, LATEST, &config, &paths.each_ref().map(PathBuf::as_path));
    fs::remove_dir_all(world.path("b")).expect("ours");
    for entry in fs::read_dir(world.path("c/ltx/0")).expect("ours").flatten() {
        let mut bytes = fs::read(entry.path()).expect("ours");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(entry.path(), bytes).expect("ours");
    }
    for level in world.list("c/ltx").into_iter().filter(|level| level != "0") {
        fs::remove_dir_all(world.path("c/ltx").join(level)).expect("ours");
    }
    fs::create_dir(world.path("to")).expect("ours");
    fs::write(world.path("to/d.db"), "somebody's").expect("ours");
    let options = ["--to-dir", "to", "--record", "record.json", "--json", "--parallel", "1"];
    let ended = drill(&world).args(options).run().expect_code(69);
    ended
        .expect_log("holds no backup")
        .expect_log("cannot be restored")
        .expect_log("is there already")
        .expect_log("hint: ");
    let record: Value = read(&fs::read_to_string(world.path("record.json")).expect("a record"));
    let verdicts: Vec<_> =
        record["databases"].as_array().expect("a list").iter().map(|one| one["verdict"].clone()).collect();
    assert_eq!(verdicts, ["restorable", "not-restorable", "not-restorable", "inconclusive"], "{record}");
    assert_eq!(record["verdict"], "not-restorable");
    for one in record["databases"].as_array().expect("a list").iter().skip(1) {
        assert!(one["error"].is_string(), "{one}");
        for unknown in [
            "txid",
            "bytes",
            "sha256",
            "output",
            "integrity",
            "integrity_result",
            "tables",
            "rows",
            "restorable",
        ] {
            assert!(one[unknown].is_null(), "{unknown}: {one}");
        }
    }
    assert_eq!(world.list("to"), ["a.db", "d.db"]);
    assert_eq!(fs::read(world.path("to/d.db")).expect("ours"), b"somebody's");
    // What is no fault of the backup is 75 by itself.
    drill(&world).args(["--to-dir", "to", "d.db"]).run().expect_code(75).expect_log("--to-dir that is empty");
    drill(&world).arg("e.db").run().expect_code(64).expect_log("is no database of this configuration");
    assert_clean(&world);
}

/// A rule of the schema that the rows break is the app's own doing, and said.
#[test]
fn what_sqlite_says_of_what_is_in_it_is_recorded() {
    let world = World::new();
    let config = world.config(&world.replica());
    sqlite::create(&world.db(), 2);
    let sql = "CREATE TABLE c (x); INSERT INTO c VALUES (NULL); PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = 'CREATE TABLE c (x NOT NULL)' WHERE name = 'c'";
    sqlite::open(&world.db()).execute_batch(sql).expect("SQL");
    litestream::back_up(&world, LATEST, &config, &[&world.db()]);
    let record: Value = printed(drill(&world), 0);
    let said = &one(&record)["integrity_result"];
    assert!(said.as_str().is_some_and(|said| said.contains("NULL value in c.x")), "{record}");
}

#[test]
fn a_record_that_is_there_is_kept() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    world.write("record.json", "proof");
    let run = |file: &str| drill(&world).args(["--record", file, "--to-dir", "to"]);
    run("record.json").run().expect_code(64).expect_log("was left as it is").expect_log("hint: --force");
    assert_eq!(fs::read_to_string(world.path("record.json")).expect("ours"), "proof");
    fs::create_dir(world.path("folder")).expect("ours");
    run("folder").arg("--force").run().expect_code(64).expect_log("is a folder");
    let ended = run("nowhere/record.json").run().expect_code(75);
    ended.expect_log("the record cannot be written").expect_log("hint: ");
    drill(&world).arg("--force").run().expect_code(2).expect_log("--record <FILE>");
    // Nothing was restored for what cannot be recorded.
    assert!(!world.path("to").exists());
    run("record.json").arg("--force").run().expect_code(0);
    let record: Value = read(&fs::read_to_string(world.path("record.json")).expect("ours"));
    assert_eq!(record["verdict"], "restorable");
    let mode = fs::metadata(world.path("record.json")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_clean(&world);
}

/// Also where it is missing: a drill puts nothing in its place.
#[test]
fn no_drill_is_done_where_a_database_is_or_would_be() {
    let world = World::new();
    fs::create_dir(world.path("tenants")).expect("ours");
    let text = format!(
        "dbs:\n  - {{path: {}, replica: {{path: {}}}}}\n  - {{dir: tenants, pattern: \"*.db\", watch: true, replica: {{path: backups}}}}\n",
        world.db().display(),
        world.path("replica").display()
    );
    let config = world.write("litestream.yml", &text);
    sqlite::create(&world.db(), 3);
    sqlite::create(&world.path("tenants/one.db"), 3);
    litestream::back_up(&world, LATEST, &config, &[&world.db(), &world.path("tenants/one.db")]);
    sqlite::lose(&world.db());
    std::os::unix::fs::symlink(world.root(), world.path("link")).expect("ours");
    for folder in [".", "link", "tenants", "link/tenants"] {
        let ended = drill(&world).args(["app.db", "--to-dir", folder]).run().expect_code(64);
        ended.expect_log("that is where a database of this configuration is").expect_log("hint: ");
    }
    assert!(!world.db().exists());
    assert_eq!(world.list("tenants").iter().filter(|name| name.ends_with("app.db")).count(), 0);
}

#[test]
fn who_is_interrupted_leaves_nothing() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let world = World::new();
        let s3 = backed_up_far_away(&world);
        s3.throttle(256 << 10);
        let running = drill(&world).args(["--record", "record.json"]).start();
        wait_until("a private folder", DEADLINE, || !world.list("private").is_empty());
        let below = || {
            world.list("private").iter().any(|folder| !world.list(&format!("private/{folder}")).is_empty())
        };
        wait_until("half a file", DEADLINE, below);
        running.signal(signal);
        let ended = running.finish().expect_code(128 + signal as i32);
        assert!(ended.log.contains("interrupted"), "{}", ended.log);
        assert!(!world.path("record.json").exists());
        assert_clean(&world);
    }
}

#[test]
fn a_replica_that_does_not_answer_is_not_restorable_and_a_wrong_key_is_told() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    let store = Store::S3(s3);
    let config = backed_up(&world, &store, LATEST);
    let Store::S3(s3) = &store else { panic!("it is") };
    let text = fs::read_to_string(&config).expect("ours");
    let wrong = world.write("wrong.yml", &text.replace(SECRET, "another-secret"));
    let ended = drill(&world).config(&wrong).run().expect_code(69).expect_log("hint: ");
    assert!(!ended.log.contains("another-secret"), "{}", ended.log);
    s3.fail_with(503);
    let ended = drill(&world).args(["--timeout", "2s", "--record", "record.json"]).run().expect_code(69);
    ended.expect_log("s3://backups/app");
    let record: Value = read(&fs::read_to_string(world.path("record.json")).expect("a record"));
    assert!(
        one(&record)["error"].as_str().is_some_and(|error| error.contains("s3://backups/app")),
        "{record}"
    );
    s3.resume();
    assert_clean(&world);
}

#[test]
fn a_full_disk_and_a_folder_that_cannot_be_written_say_nothing_of_the_backup() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let disk = world.path("disk");
    fs::create_dir(&disk).expect("ours");
    let to_dir = || drill(&world).args(["--to-dir", "disk/to"]);
    for (keeper, wrapper) in [
        (drill(&world).env("TMPDIR", &disk), wrap::small_disk(&disk, 16)),
        (to_dir(), wrap::small_disk(&disk, 4)),
        (drill(&world).env("TMPDIR", &disk), wrap::read_only(&disk)),
        (to_dir(), wrap::read_only(&disk)),
        (drill(&world).args(["--record", "disk/record.json"]), wrap::read_only(&disk)),
    ] {
        let ended = keeper.wrapped(wrapper).run().expect_code(75).expect_log("hint: ");
        assert!(!ended.stdout.contains("record"), "{}", ended.stdout);
    }
    assert_eq!(world.list("disk"), [""; 0]);
    assert_clean(&world);
}

/// Each name that is printed, wherever it stands.
#[test]
fn the_page_about_json_has_the_names_of_a_drill() {
    let page = crate::support::docs::page("docs/json.md").text;
    let (_, part) = page.split_once("## `drill`").expect("its part");
    let part = part.split("\n## ").next().unwrap_or_default();
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let record: Value = printed(drill(&world), 0);
    let mut names = 0;
    let mut objects = vec![&record, one(&record), &one(&record)["restorable"]];
    while let Some(object) = objects.pop() {
        for name in object.as_object().expect("an object").keys() {
            names += 1;
            assert!(part.contains(&format!("\"{name}\": ")), "no {name}: {part}");
        }
    }
    assert_eq!(names, part.matches("\": ").count(), "{part}");
}

/// Whatever is meant by `--force`, a record is no database.
#[test]
fn a_record_takes_the_place_of_nothing_that_counts() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let fifo = world.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a world can be written");
    let wal = world.path("app.db-wal");
    fs::write(&wal, "").expect("a world can be written");
    let (inside, replica) = (world.path(".app.db-litestream/record"), world.path("app/record"));
    let before = sum(&world.db());
    for (file, why) in [
        (&world.db(), "a database"),
        (&wal, "belongs to a database"),
        (&world.path("litestream.yml"), "the configuration"),
        (&fifo, "no ordinary file"),
        (&inside, "its own files there"),
        (&replica, "in a replica"),
    ] {
        let refused = drill(&world).arg("--record").arg(file).arg("--force").run().expect_code(64);
        assert!(refused.log.contains(why), "{}: {}", file.display(), refused.log);
    }
    assert_eq!(sum(&world.db()), before);
    assert!(!inside.exists() && !replica.exists());
    let refused = drill(&world).args(["--to-dir", "app"]).run().expect_code(64);
    refused.expect_log("in a replica");
    assert_clean(&world);
}

/// Nobody reads in a copy what he may not read in the database.
#[test]
fn what_is_restored_is_for_those_who_may_read_the_database() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let mode = |path: &str| fs::metadata(world.path(path)).expect("it is there").permissions().mode() & 0o777;
    let ours = |mode| fs::set_permissions(world.db(), fs::Permissions::from_mode(mode)).expect("ours");
    ours(0o640);
    operator(&world, "restore").args(["-o", "copy.db"]).run().expect_code(0);
    drill(&world).args(["--to-dir", "to"]).run().expect_code(0);
    assert_eq!((mode("copy.db"), mode("to/app.db")), (0o640, 0o640));
    sqlite::lose(&world.db());
    operator(&world, "restore").args(["-o", "other.db"]).run().expect_code(0);
    assert_eq!(mode("other.db"), 0o600);
}
