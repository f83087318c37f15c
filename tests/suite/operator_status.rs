//! Whether an app's databases are on their replicas, by what their keeper says and what can be seen from outside of it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, OLD};
use crate::support::operator::{backed_up, operator, printed, quiet};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::tenants::Tenants;
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
        let keeper = &seen["keeper"];
        assert_eq!((&keeper["phase"], &keeper["ready"]), (&"running".into(), &true.into()), "{seen}");
        assert!(keeper["reasons"] == json!([]) && keeper["version"].is_string(), "{seen}");
        let app = &seen["app"];
        assert_eq!((&app["pid"], &app["restarts"]), (&running.app().pid.into(), &0.into()), "{seen}");
        assert!(app["command"].as_str().is_some_and(|words| words.contains("probe")), "{seen}");
        for one in [app, &seen["litestream"]] {
            assert!(
                is_time(&one["started_at"]) && one["restarts"] == 0 && one["last_exit"].is_null(),
                "{seen}"
            );
        }
        let one = &seen["databases"][0];
        assert_eq!((&one["state"], &one["alias"]), (&"replicated".into(), &"main".into()), "{seen}");
        assert_eq!(one["size_bytes"], fs::metadata(world.db()).expect("a file").len());
        assert!(one["lag_seconds"].is_f64() && one["wal_bytes"].is_u64() && one["error"].is_null(), "{seen}");
        assert_eq!(one["txid"].as_str().map(str::len), Some(16));
        assert!(is_time(&one["last_confirmed_at"]), "{seen}");
        for time in [&one["restorable"]["from"], &one["restorable"]["to"], &seen["keeper"]["started_at"]] {
            assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{seen}");
        }
        let table = status(&world).run().expect_code(0);
        for words in ["main", "replicated", "running, ready", "app ", "litestream "] {
            assert!(table.stdout.contains(words), "{words}: {}", table.stdout);
        }
        let line = status(&world).arg("--nagios").run().expect_code(0).stdout;
        assert!(line.starts_with("LITEKEEPER OK - 1 database replicated | 'main lag'="), "{line}");
        assert_eq!(line.lines().count(), 1);
        running.stop(0);
    }
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|time| time.ends_with('Z'))
}

#[test]
fn what_came_of_the_last_verification_is_told() {
    for store in Store::all() {
        let world = World::new();
        let running = quiet(&world, &store, LATEST, (3, ""));
        let seen = || printed::<Value>(status(&world), 0)["databases"][0]["verified"].clone();
        assert!(seen().is_null());
        let verify = || operator(&world, "verify");
        verify().run().expect_code(0);
        let first = seen();
        assert_eq!(first["verdict"], "in-sync", "{first}");
        assert!(is_time(&first["at"]) && status(&world).run().stdout.contains("in-sync 20"), "{first}");
        let holder = sqlite::open(&world.db());
        holder.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
        verify().run().expect_code(75);
        drop(holder);
        assert_eq!(seen(), first, "what told nothing takes the place of nothing");
        running.stop(0);
        // Of another backup it says nothing.
        let config = fs::read_to_string(world.path("litestream.yml")).expect("ours");
        world.config(&store.replica(&world, "other"));
        assert!(printed::<Value>(status(&world), 3)["databases"][0]["verified"].is_null());
        fs::write(world.path("litestream.yml"), config).expect("ours");
        // It is this user's to remember, and of no use to a database's folder.
        let remembered = world.path(".local/state/litekeeper/verified.json");
        assert!(remembered.is_file());
        fs::write(&remembered, "{").expect("ours");
        assert!(printed::<Value>(status(&world), 3)["databases"][0]["verified"].is_null());
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
        // As who closes it last leaves it, who may have written nothing.
        let file = fs::File::options().write(true).open(world.db()).expect("it is there");
        file.set_modified(SystemTime::now() + Duration::from_secs(600)).expect("ours");
        let seen = printed::<Value>(status(&world).litestream(version), 3);
        let one = &seen["databases"][0];
        let is_told = one["error"].as_str().is_some_and(|error| error.contains("`verify` finds out"));
        assert_eq!((one["state"] == "unknown", is_told), (version == OLD, version == OLD), "{seen}");
    }
}

/// The names of the files tell it; a restore would end before the hole, or not begin.
#[test]
fn what_lies_behind_a_hole_in_the_replica_is_not_replicated() {
    for store in Store::all() {
        let world = World::new();
        // What is moved to the next level would be no hole.
        let running = quiet(&world, &store, LATEST, (3, "levels:\n  - interval: 1h\n"));
        let is_ltx = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "ltx");
        let begun = || [store.ltx(&world, "app").join("9"), store.ltx(&world, "app").join("0009")];
        wait_until("the first snapshot", DEADLINE, || begun().iter().any(|level| level.is_dir()));
        let mut last = PathBuf::new();
        for row in 0..3 {
            sqlite::insert(&world.db(), 1);
            operator(&world, "sync").arg("--wait").run().expect_code(0);
            let level = ["0", "0000"].map(|level| store.ltx(&world, "app").join(level));
            let files = level.iter().filter_map(|level| fs::read_dir(level).ok()).flatten().flatten();
            let newest = files.map(|file| file.path()).filter(is_ltx).max().expect("it was uploaded");
            if row == 1 {
                last = newest;
            }
        }
        let whole = printed::<Value>(status(&world), 0)["databases"][0].clone();
        let holed = |seen: &Value| {
            let one = &seen["databases"][0];
            let txid = |name: &str| one[name].as_str().expect("a txid").to_owned();
            assert_eq!(one["state"], "unknown", "{seen}");
            assert!(one["error"].as_str().is_some_and(|error| error.contains("has a hole")), "{seen}");
            assert!(txid("replicated_txid") < txid("txid"), "{seen}");
            let to = |one: &Value| one["restorable"]["to"].as_str().expect("a time").to_owned();
            assert!(to(one) <= to(&whole), "{seen}");
        };
        let cut = |code: i32| {
            let seen = printed::<Value>(status(&world), code);
            let one = &seen["databases"][0];
            assert!(one["state"] == "unknown" && one["restorable"].is_null(), "{seen}");
            assert!(one["error"].as_str().is_some_and(|error| error.contains("has 0 bytes")), "{seen}");
        };
        // Its name is there, and nothing else. A snapshot is taken by a restore even where others lead as far.
        let snapshots = begun().into_iter().find_map(|level| fs::read_dir(level).ok()).expect("it was made");
        for file in [last.clone(), snapshots.flatten().next().expect("it was made").path()] {
            fs::rename(&file, world.path("whole")).expect("it is there");
            fs::write(&file, "").expect("ours");
            cut(1);
            // With its time.
            fs::rename(world.path("whole"), &file).expect("ours");
        }
        fs::remove_file(&last).expect("it is there");
        holed(&printed(status(&world), 1));
        let line = status(&world).arg("--nagios").run().expect_code(2).stdout;
        assert!(line.starts_with("LITEKEEPER CRITICAL - ") && line.contains("has a hole"), "{line}");
        // So that no drain makes it whole.
        running.signal_group(Signal::SIGKILL);
        wait_until("nobody to have it", DEADLINE, || status(&world).run().status.code() == Some(3));
        holed(&printed(status(&world), 3));
        // Nothing of what is left begins at the beginning.
        let levels = fs::read_dir(store.ltx(&world, "app")).expect("a backup").flatten();
        let files = levels.filter_map(|level| fs::read_dir(level.path()).ok()).flatten().flatten();
        let begins =
            |file: &fs::DirEntry| file.file_name().to_string_lossy().starts_with("0000000000000001-");
        files.filter(begins).for_each(|file| fs::remove_file(file.path()).expect("ours"));
        let seen = printed::<Value>(status(&world), 3);
        let one = &seen["databases"][0];
        assert!(one["restorable"].is_null() && one["replicated_txid"].is_null(), "{seen}");
        assert!(one["error"].as_str().is_some_and(|error| error.contains("has no beginning")), "{seen}");
    }
}

#[test]
fn what_lies_behind_a_hole_in_a_replica_of_the_old_series_is_not_replicated() {
    let world = World::new();
    backed_up(&world, &Store::Folder, OLD);
    let generations = fs::read_dir(world.path("app").join("generations")).expect("a backup");
    let wal = generations.flatten().next().expect("one").path().join("wal");
    let first = wal.join("00000000_00000000.wal.lz4");
    assert!(first.is_file(), "{:?}", fs::read_dir(&wal));
    fs::copy(&first, wal.join("00000002_00000000.wal.lz4")).expect("ours");
    let seen = printed::<Value>(status(&world).litestream(OLD), 3);
    let one = &seen["databases"][0];
    assert!(one["state"] == "unknown" && one["restorable"].is_null(), "{seen}");
    assert!(one["error"].as_str().is_some_and(|error| error.contains("index 00000001 is gone")), "{seen}");
    fs::remove_file(wal.join("00000002_00000000.wal.lz4")).expect("it is there");
    assert_eq!(printed::<Value>(status(&world).litestream(OLD), 3)["databases"][0]["state"], "replicated");
    let snapshot = wal.parent().expect("a generation").join("snapshots/00000000.snapshot.lz4");
    for (file, what) in [(&first, "index 00000000"), (&snapshot, "snapshot")] {
        let text = fs::read(file).expect("it is there");
        fs::write(file, "").expect("ours");
        let emptied = printed::<Value>(status(&world).litestream(OLD), 3);
        fs::remove_file(file).expect("ours");
        let removed = printed::<Value>(status(&world).litestream(OLD), 3);
        fs::write(file, text).expect("ours");
        for seen in [&emptied, &removed] {
            let one = &seen["databases"][0];
            assert_eq!(one["state"], "unknown", "{file:?}: {seen}");
            // With the only piece of it gone there is a snapshot, and no index behind it.
            let is_alone = file == &first && std::ptr::eq(seen, &removed);
            let error = one["error"].as_str().unwrap_or_default();
            assert!(error.contains(what) || is_alone, "{file:?}: {seen}");
        }
    }
}

#[test]
fn what_keeps_both_from_being_compared_is_told() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let error = |version: &str| {
            let seen = printed::<Value>(status(&world).litestream(version), 3);
            let one = &seen["databases"][0];
            assert_eq!(one["state"], "unknown", "{seen}");
            one["error"].as_str().expect("a reason").to_owned()
        };
        fs::rename(world.path(".app.db-litestream"), world.path("aside")).expect("ours");
        assert!(error(LATEST).starts_with("nothing of litestream's is beside it"));
        assert_eq!(error(OLD), "its replica holds a backup of Litestream 0.5");
        fs::rename(world.path("aside"), world.path(".app.db-litestream")).expect("ours");
        fs::remove_dir_all(store.folder(&world, "app")).expect("ours");
        assert_eq!(error(LATEST), "its replica holds no backup");
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
        assert!(seen["keeper"]["pid"] == running.keeper().pid && seen["keeper"]["ready"] == true, "{seen}");
        assert_eq!(seen["litestream"]["version"], "0.3.13", "{seen}");
        assert!(seen["databases"][0]["last_confirmed_at"].is_null(), "{seen}");
        seen["databases"][0].clone()
    };
    wait_until("a backup", DEADLINE, || one()["state"] == "replicated");
    assert!(one()["txid"].is_null() && one()["restorable"]["to"].is_string());
    running.stop(0);
}

/// One looks when something is wrong, and that may be it.
#[test]
fn without_room_for_a_question_what_the_keeper_says_is_told() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    let ask = || status(&world).env("TMPDIR", "/nowhere");
    let seen = printed::<Value>(ask(), 1);
    let one = &seen["databases"][0];
    assert!(seen["keeper"]["ready"] == true && one["last_confirmed_at"].is_string(), "{seen}");
    assert!(one["error"].as_str().is_some_and(|error| error.contains("no private folder")), "{seen}");
    let line = ask().arg("--nagios").run().expect_code(2).stdout;
    assert!(line.contains("no private folder"), "{line}");
    running.stop(0);
}

#[test]
fn it_looks_again_until_a_signal_comes() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    let watching = status(&world).arg("--watch=1s").start();
    wait_until("a second look", DEADLINE, || watching.stdout().matches("DATABASE").count() >= 2);
    watching.signal(Signal::SIGINT);
    let parted = status(&world).args(["--watch", "5s"]).run().expect_code(64);
    parted.expect_log("5s is a time, and no database").expect_log("hint: write --watch=5s");
    // It may have been waiting, or looking.
    let status = watching.finish().status;
    assert!(status.signal() == Some(2) || status.code() == Some(130), "{status}");
    running.stop(0);
}

/// What is said of one that is not ready, whatever else is.
fn unready(seen: &Value) -> String {
    assert_eq!(seen["keeper"]["ready"], false, "{seen}");
    seen["keeper"]["reasons"].to_string()
}

/// On S3, with little patience.
fn on_s3(world: &World, s3: &S3) -> Keeper {
    s3.bucket("backups");
    sqlite::create(&world.db(), 3);
    let top = "litekeeper: {watch: {max-lag: 2s}}\n";
    let config = world.config_of(top, [(world.db().as_path(), &s3.replica("backups", "app"))]);
    Keeper::new(world)
        .config(&config)
        .envs(S3::env())
        .app(App::new(&world.trace()).on_exit("TERM", 0).ready().wait())
}

#[test]
fn before_the_gate_it_is_not_ready_and_says_what_it_waits_for() {
    let (world, s3) = (World::new(), S3::start());
    let keeper = on_s3(&world, &s3);
    s3.hold_ltx();
    let running = keeper.start();
    let seen = || seen_any(&world);
    wait_until("the gate", DEADLINE, || seen()["keeper"]["phase"] == "gating");
    let waits = seen();
    assert!(unready(&waits).contains("not confirmed the databases yet"), "{waits}");
    assert!(waits["app"]["pid"].is_null() && waits["databases"][0]["last_confirmed_at"].is_null(), "{waits}");
    let line = status(&world).args(["--nagios", "--timeout", "3s"]).run().expect_code(2).stdout;
    assert!(line.contains("not confirmed the databases yet"), "{line}");
    status(&world).args(["--timeout", "3s"]).run().expect_code(1);
    s3.resume();
    world.trace().wait("ready");
    let ready = printed::<Value>(status(&world), 0);
    assert_eq!(ready["keeper"]["ready"], true, "{ready}");
    running.stop(0);
}

#[test]
fn a_replica_that_does_not_answer_makes_it_unready_until_it_does() {
    let (world, s3) = (World::new(), S3::start());
    let running = on_s3(&world, &s3).start();
    world.trace().wait("ready");
    s3.pause();
    sqlite::insert(&world.db(), 1);
    let look = || {
        let ended = status(&world).args(["--json", "--timeout", "1s"]).run();
        serde_json::from_str::<Value>(&ended.stdout).expect("JSON")
    };
    wait_until("a lag", DEADLINE, || look()["keeper"]["ready"] == false);
    let seen = look();
    assert!(unready(&seen).contains("has not confirmed a change for"), "{seen}");
    let one = &seen["databases"][0];
    assert!(one["state"] == "lagging" && one["lag_seconds"].as_f64().is_some_and(|lag| lag >= 2.0), "{seen}");
    let before = one["last_confirmed_at"].clone();
    assert!(is_time(&before), "{seen}");
    let table = status(&world).args(["--timeout", "1s"]).run().expect_code(1);
    assert!(table.stdout.contains("running, not ready"), "{}", table.stdout);
    let line = status(&world).args(["--nagios", "--timeout", "1s"]).run().expect_code(2).stdout;
    assert!(line.starts_with("LITEKEEPER CRITICAL - ") && line.contains("has not confirmed"), "{line}");
    s3.resume();
    wait_until("no lag", DEADLINE, || seen_any(&world)["keeper"]["ready"] == true);
    wait_until("all is on the replica", DEADLINE, || {
        let one = &seen_any(&world)["databases"][0];
        one["state"] == "replicated" && one["last_confirmed_at"].as_str() > before.as_str()
    });
    running.stop(0);
}

#[test]
fn each_restart_is_counted_and_the_last_end_told() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    let pid = running.app().pid;
    running.kill(&running.app(), Signal::SIGKILL);
    world.trace().wait_nth(2, "ready");
    let seen = printed::<Value>(status(&world), 0);
    let app = &seen["app"];
    assert_eq!((&app["restarts"], &app["last_exit"]), (&1.into(), &"SIGKILL, by itself".into()), "{seen}");
    assert!(app["pid"] == running.app().pid && app["pid"] != pid, "{seen}");
    assert_eq!(seen["litestream"]["restarts"], 0, "{seen}");
    running.kill(&running.litestream(), Signal::SIGKILL);
    world.trace().wait_nth(3, "ready");
    let seen = printed::<Value>(status(&world), 0);
    let litestream = &seen["litestream"];
    assert_eq!(
        (&litestream["restarts"], &litestream["last_exit"]),
        (&1.into(), &"SIGKILL, by itself".into()),
        "{seen}"
    );
    assert_eq!(litestream["pid"], running.litestream().pid, "{seen}");
    assert_eq!(seen["app"]["restarts"], 2, "{seen}");
    let last = seen["app"]["last_exit"].as_str().unwrap_or_default();
    assert!(last.contains("since litestream had to start again"), "{seen}");
    let table = status(&world).run().expect_code(0);
    assert!(table.stdout.contains("SIGKILL, by itself"), "{}", table.stdout);
    running.stop(0);
}

#[test]
fn what_a_resolver_names_is_told_of_by_the_keeper() {
    let tenants = Tenants::in_folders();
    sqlite::create(&tenants.world.db(), 1);
    let running = tenants.start_with_a(4);
    let (world, path) = (&tenants.world, tenants.path("a").to_string_lossy().into_owned());
    let all = printed::<Value>(status(world), 0);
    let rows = all["databases"].as_array().expect("a list");
    let tenant = rows.iter().find(|row| row["path"] == path.as_str()).expect("the tenant");
    assert_eq!((rows.len(), &tenant["state"]), (2, &"replicated".into()), "{all}");
    assert!(is_time(&tenant["last_confirmed_at"]) && tenant["txid"].is_string(), "{all}");
    assert_eq!(tenant["replica"], world.path("backup/a").to_string_lossy().as_ref());
    let one = printed::<Value>(status(world).arg("a.db"), 0);
    assert_eq!(
        (one["databases"].as_array().map(Vec::len), &one["databases"][0]["path"]),
        (Some(1), &json!(path))
    );
    let listed = printed::<Value>(operator(world, "databases").arg("a.db"), 0);
    assert_eq!((&listed[0]["path"], &listed[0]["type"]), (&json!(path), &"file".into()));
    let table = operator(world, "databases").run().expect_code(0);
    assert!(table.stdout.contains("a.db") && !table.log.contains("not among them"), "{}", table.log);
    status(world).arg("b.db").run().expect_code(64);
    // A tenant that cannot be taken in is told with the reason.
    let wrong = json!({"path": tenants.path("b"), "replica": {"path": world.path("answer").join("x")}});
    fs::write(tenants.path("b"), "no database").expect("ours");
    tenants.answer(&Value::from(vec![tenants.entry("a"), wrong]).to_string());
    tenants.reload().expect_code(69);
    let refused = printed::<Value>(status(world).arg("b.db"), 1);
    let one = &refused["databases"][0];
    assert!(one["state"] == "unknown" && one["error"].is_string(), "{refused}");
    running.stop(74);
}

#[test]
fn a_keeper_without_a_database_of_its_own_is_found_by_its_configuration() {
    let tenants = Tenants::in_folders();
    tenants.make(&["a"]);
    tenants.name(&["a"]);
    tenants.config("10m");
    let text = "dbs: []\nlitekeeper: {resolver: {command: [./resolver], interval: 10m}}\n";
    let config = tenants.world.write("litestream.yml", text);
    let none = printed::<Value>(status(&tenants.world), 3);
    assert!(none["keeper"].is_null() && none["databases"] == json!([]), "{none}");
    let running = tenants.run(Keeper::new(&tenants.world).config(&config));
    let seen = printed::<Value>(status(&tenants.world), 0);
    assert_eq!(seen["keeper"]["pid"], running.keeper().pid, "{seen}");
    assert_eq!(seen["databases"][0]["state"], "replicated", "{seen}");
    // Another configuration's keeper is none of this one's.
    let other = tenants.world.write("other.yml", text);
    status(&tenants.world).config(&other).run().expect_code(3);
    running.stop(143);
}

/// More than one piece of an answer has.
#[test]
fn many_databases_are_told_of_one_by_one() {
    let tenants = Tenants::in_folders();
    let names: Vec<String> = (0..70).map(|number| format!("t{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    tenants.make(&names);
    sqlite::create(&tenants.world.db(), 1);
    tenants.name(&names);
    let running = tenants.start("10m");
    let seen = printed::<Value>(status(&tenants.world), 0);
    let rows = seen["databases"].as_array().expect("a list");
    let paths: std::collections::BTreeSet<&str> =
        rows.iter().filter_map(|row| row["path"].as_str()).collect();
    assert_eq!((rows.len(), paths.len()), (71, 71));
    assert!(rows.iter().all(|row| row["state"] == "replicated"), "{seen}");
    running.stop(143);
}

#[test]
fn a_keeper_that_is_stopped_does_not_answer_and_is_not_healthy() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (3, ""));
    running.signal(Signal::SIGSTOP);
    let seen = printed::<Value>(status(&world).args(["--timeout", "1s"]), 1);
    assert!(unready(&seen).contains("no answer within 1s"), "{seen}");
    assert!(seen["app"].is_null() && seen["litestream"]["pid"] == running.litestream().pid, "{seen}");
    running.signal(Signal::SIGCONT);
    assert_eq!(printed::<Value>(status(&world), 0)["keeper"]["ready"], true);
    running.stop(0);
}

/// A lock as a keeper has it, which names this socket.
fn planted(world: &World, socket: &Path) -> fs::File {
    let path = world.path(".app.db-litekeeper.lock");
    let text = format!("pid {}\nkeeper {}\n", std::process::id(), socket.display());
    fs::write(&path, text).expect("ours");
    let lock = fs::File::open(&path).expect("it is there");
    lock.lock().expect("nobody has it");
    lock
}

/// Whoever stands at the socket and answers like this, as often as somebody asks.
fn answering(socket: &Path, answer: impl Fn(&mut UnixStream) + Send + 'static) {
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket).expect("the world's paths are short");
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 256]);
            answer(&mut stream);
        }
    });
}

#[test]
fn an_answer_that_no_keeper_gives_is_refused() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let socket = world.path("keeper.sock");
    let _lock = planted(&world, &socket);
    let said: [(&str, &str); 4] = [
        ("{}\n", "none that a keeper gives"),
        ("{\"version\":1,\"holds\":true,\"keeper\":{\"pid\":\"\\u001b[31m\"}}\n", "none that a keeper gives"),
        ("{\"version\":1,\"holds\":true,\"databases\":[", "ended before it answered"),
        ("", "ended before it answered"),
    ];
    for (answer, why) in said {
        answering(&socket, move |stream| drop(stream.write_all(answer.as_bytes())));
        let seen = printed::<Value>(status(&world), 1);
        assert!(unready(&seen).contains(why), "{answer}: {seen}");
        let table = status(&world).run().expect_code(1);
        assert!(table.stdout.contains(why) && !table.stdout.contains('\u{1b}'), "{}", table.stdout);
        let line = status(&world).arg("--nagios").run().expect_code(2).stdout;
        assert!(line.starts_with("LITEKEEPER CRITICAL - it does not answer: "), "{line}");
    }
    // Without end, and drop by drop.
    answering(&socket, |stream| while stream.write_all(&[b'x'; 1 << 16]).is_ok() {});
    let seen = printed::<Value>(status(&world), 1);
    assert!(unready(&seen).contains("longer than"), "{seen}");
    answering(&socket, |stream| {
        while stream.write_all(b"x").is_ok() {
            let _ = nix::poll::poll(&mut [], 100_u16);
        }
    });
    let since = Instant::now();
    let seen = printed::<Value>(status(&world).args(["--timeout", "1s"]), 1);
    assert!(unready(&seen).contains("no answer within"), "{seen}");
    assert!(since.elapsed() < Duration::from_secs(60), "{:?}", since.elapsed());
    fs::remove_file(&socket).expect("ours");
    let seen = printed::<Value>(status(&world), 1);
    assert!(unready(&seen).contains("does not answer"), "{seen}");
}

/// A keeper that does not know the question, and one that is not the one that has the lock.
#[test]
fn what_a_keeper_does_not_say_is_seen_from_outside() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let socket = world.path("keeper.sock");
    let _lock = planted(&world, &socket);
    let older = r#"{"added":[],"removed":[],"failed":[],"error":"`status`: no such word","hint":null,"exit_code":64}"#;
    let other = r#"{"version":1,"holds":false,"keeper":null,"app":null,"litestream":null,"databases":[]}"#;
    let newer = r#"{"version":2,"holds":true,"keeper":[]}"#;
    for answer in [older, other, newer] {
        answering(&socket, move |stream| drop(stream.write_all(format!("{answer}\n").as_bytes())));
        let seen = printed::<Value>(status(&world), 0);
        assert_eq!(seen["keeper"]["pid"], std::process::id(), "{seen}");
        for name in ["version", "phase", "ready"] {
            assert!(seen["keeper"][name].is_null(), "{seen}");
        }
        assert!(seen["app"].is_null() && seen["databases"][0]["state"] == "replicated", "{seen}");
    }
}

/// Whoever can bind the socket is not believed for that.
#[test]
fn what_another_user_says_of_a_keeper_is_not_believed() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let socket = world.path("foreign.sock");
    let _lock = planted(&world, &socket);
    let real = format!("/tmp/{}.told", world.root().file_name().expect("a name").to_string_lossy());
    let script = format!(
        "import os, socket\n\
         os.setuid(65534); os.umask(0)\n\
         s = socket.socket(socket.AF_UNIX); s.bind({real:?}); s.listen()\n\
         while True:\n\
         \ttry:\n\
         \t\tc = s.accept()[0]; c.recv(4096); c.sendall(b'{{\"version\": 1, \"holds\": true}}\\n'); c.close()\n\
         \texcept OSError: pass\n"
    );
    std::os::unix::fs::symlink(&real, &socket).expect("ours");
    let mut server = std::process::Command::new("python3").args(["-c", &script]).spawn().expect("python3");
    wait_until("the foreign socket", DEADLINE, || UnixStream::connect(&real).is_ok());
    let ended = status(&world).arg("--json").run();
    server.kill().expect("it runs");
    server.wait().expect("it was killed");
    fs::remove_file(&real).expect("it is there");
    let seen: Value = serde_json::from_str(&ended.expect_code(1).stdout).expect("JSON");
    assert!(unready(&seen).contains("user 65534 answers there"), "{seen}");
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
    Keeper::new(&world).command("verify").run().expect_code(0);
    let mut seen = printed::<Value>(status(&world), 0);
    assert!(seen["litestream"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{seen}");
    if seen["memory"].is_null() {
        // Nobody limits the memory here.
        seen["memory"] = json!({"used_bytes": 1, "limit_bytes": 2});
    }
    let mut printed = vec![("status", seen), ("sync", serde_json::from_str(&sync).expect("JSON"))];
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
