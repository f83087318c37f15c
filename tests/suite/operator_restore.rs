//! `litekeeper restore`: what an operator brings back, and what is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, NO_SOCKET, OLD, binary};
use crate::support::operator::{backed_up, backed_up_far_away, operator, printed, quiet};
use crate::support::s3::S3;
use crate::support::server::free_port;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

fn restore(world: &World) -> Keeper {
    operator(world, "restore")
}

/// The names of the world that a restore could have left.
fn left(world: &World) -> Vec<String> {
    world.list("").into_iter().filter(|name| name.contains("-litekeeper-restore")).collect()
}

#[test]
fn a_database_is_restored_where_it_was_and_beside_it() {
    for version in [LATEST, OLD, NO_SOCKET] {
        for store in Store::all() {
            let world = World::new();
            backed_up(&world, &store, version);
            let run = || restore(&world).litestream(version);
            let copy = world.path("copy.db");
            let beside = &printed::<Vec<Value>>(run().args(["-o", "copy.db", "app.db"]), 0)[0];
            assert_eq!(sqlite::count(&copy), 10);
            assert_eq!(beside["output"], copy.to_str().expect("UTF-8"));
            assert_eq!((&beside["result"], &beside["integrity"]), (&"restored".into(), &"quick".into()));
            assert_eq!(beside["bytes"].as_u64(), Some(fs::metadata(&copy).expect("there").len()));
            let has_txid = beside["txid"].as_str().is_some_and(|txid| txid.len() == 16);
            assert_eq!(has_txid, version == LATEST, "{beside}");
            assert!(beside["duration_ms"].is_u64() && beside["error"].is_null(), "{beside}");
            assert!(!world.list("").iter().any(|name| name.contains("copy.db-litekeeper")));

            sqlite::lose(&world.db());
            let ended = run().run().expect_code(0);
            assert!(ended.stdout.contains("restored"), "{}", ended.stdout);
            assert_eq!((sqlite::count(&world.db()), left(&world)), (10, vec![]));
            sqlite::assert_sound(&world.db());
        }
    }
}

/// The same of a URL alone; and a keeper goes on from what was restored.
#[test]
fn a_url_is_restored_to_a_file_and_a_keeper_goes_on_from_it() {
    for store in Store::all() {
        let world = World::new();
        let config = backed_up(&world, &store, LATEST);
        fs::rename(&config, world.path("kept.yml")).expect("ours");
        sqlite::lose(&world.db());
        let url = match &store {
            Store::Folder => format!("file://{}", world.path("app").display()),
            Store::S3(s3) => s3.url("backups", "app"),
        };
        restore(&world).arg(&url).run().expect_code(64).expect_log("does not say where");
        restore(&world).args(["-o", "app.db"]).arg(&url).run().expect_code(0);
        assert_eq!(sqlite::count(&world.db()), 10);
        let app = App::new(&world.trace()).insert(&world.db(), 2).count(&world.db()).exit(0);
        let keeper = Keeper::new(&world).config(&world.path("kept.yml")).envs(S3::env());
        keeper.app(app).run().expect_code(0).expect_log("is what ");
        assert_eq!(world.trace().wait("count").rest, "12");
    }
}

/// By that the next keeper knows that the place of the backup is still its own.
#[test]
fn what_the_last_keeper_left_in_the_lock_stays_there() {
    let world = World::new();
    let unit = quiet(&world, &Store::Folder, LATEST, (3, ""));
    unit.stop(0);
    let lock = world.path(".app.db-litekeeper.lock");
    let left = fs::read_to_string(&lock).expect("a lock");
    assert!(left.contains("\nlease "), "{left}");
    sqlite::lose(&world.db());
    restore(&world).run().expect_code(0);
    assert_eq!(fs::read_to_string(&lock).expect("a lock"), left);
    operator(&world, "reset").args(["app.db", "--yes"]).run().expect_code(0);
    assert_eq!(fs::read_to_string(&lock).expect("a lock"), left);
    restore(&world).args(["--force", "--yes", "--txid", "00000000000000ff"]).run().expect_code(69);
    assert_eq!(fs::read_to_string(&lock).expect("a lock"), left);
}

#[test]
fn what_is_there_is_left_or_put_aside_and_never_removed() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    sqlite::insert(&world.db(), 5);
    let ended = restore(&world).run().expect_code(69).expect_log("app.db is there already");
    assert!(ended.stdout.contains("failed"), "{}", ended.stdout);
    assert_eq!(printed::<Vec<Value>>(restore(&world).arg("--if-missing"), 0)[0]["result"], "exists");
    assert_eq!(printed::<Vec<Value>>(restore(&world).arg("--if-db-not-exists"), 0)[0]["result"], "exists");
    assert_eq!(sqlite::count(&world.db()), 15);
    fs::write(world.path("app.db-journal"), "hot").expect("ours");
    for times in 1..=5 {
        let ended = restore(&world).arg("--force").run().expect_code(0);
        assert!(ended.log.contains("app.db kept as "), "{}", ended.log);
        assert_eq!(sqlite::count(&world.db()), 10);
        let kept = world.list("").into_iter().filter(|name| name.starts_with("app.db.20"));
        let kept: Vec<_> = kept.filter(|name| name.ends_with('Z')).collect();
        assert_eq!(kept.len(), times, "{kept:?}");
        if times == 1 {
            let all = world.list("");
            let has = |begin: &str, end: &str| {
                all.iter().any(|name| name.starts_with(begin) && name.ends_with(end))
            };
            assert!(has("app.db.20", "Z-journal") && has(".app.db-litestream.20", "Z"), "{all:?}");
            // SQLite removes the journal.
            assert_eq!(sqlite::count(&world.path(&kept[0])), 15, "it is what was there");
        }
    }
    assert!(!world.path("app.db-journal").exists() && left(&world).is_empty());
}

#[test]
fn on_a_terminal_it_is_asked_before_anything_is_put_aside() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    sqlite::insert(&world.db(), 5);
    let (mut terminal, line) = restore(&world).arg("--force").terminal();
    terminal.line(&format!("{line}; echo code-$?"));
    terminal.wait("[y/N]");
    terminal.line("n");
    terminal.wait("code-64");
    assert_eq!(sqlite::count(&world.db()), 15);
    terminal.line(&format!("{line}; echo again-$?"));
    terminal.wait("[y/N]");
    terminal.line("y");
    terminal.wait("again-0");
    assert_eq!(sqlite::count(&world.db()), 10);
    terminal.line(&format!("{line} --yes; echo third-$?"));
    terminal.wait("third-0");
}

#[test]
fn root_restores_as_the_apps_user() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    fs::set_permissions(world.root(), Permissions::from_mode(0o755)).expect("ours");
    fs::create_dir(world.path("data")).expect("ours");
    let db = world.path("data/app.db");
    let config = world.config_of("", [(db.as_path(), &world.replica())]);
    sqlite::create(&db, 3);
    litestream::back_up(&world, LATEST, &config, &[&db]);
    fs::remove_dir_all(world.path("data")).expect("ours");
    fs::create_dir(world.path("data")).expect("ours");
    std::os::unix::fs::chown(world.path("data"), Some(65534), None).expect("ours");
    let text = fs::read_to_string(&config).expect("ours");
    fs::write(&config, format!("litekeeper: {{app: {{user: \"65534\"}}}}\n{text}")).expect("ours");
    restore(&world).run().expect_code(0);
    assert_eq!((fs::metadata(&db).expect("there").uid(), sqlite::count(&db)), (65534, 3));
    let follow = restore(&world).args(["--follow", "-o", "data/copy.db"]).start();
    let copy = world.path("data/copy.db");
    wait_until("the copy", DEADLINE, || copy.exists());
    assert_eq!(fs::metadata(&copy).expect("there").uid(), 65534);
    follow.signal(Signal::SIGINT);
    follow.finish().expect_code(0);

    // What that user cannot read root does not read for it.
    fs::set_permissions(world.path("replica"), Permissions::from_mode(0o700)).expect("ours");
    for command in ["ltx", "restore"] {
        let keeper = Keeper::new(&world).command(command).env("HOME", "/");
        let keeper = if command == "restore" { keeper.arg("--force") } else { keeper };
        keeper.run().expect_code(69).expect_log("permission denied").expect_log("hint: ");
    }
    assert_eq!((sqlite::count(&db), left(&world)), (3, vec![]));
}

/// Litestream goes by paths: whoever decides what stands there would have root write to what he links.
#[test]
fn root_restores_nowhere_where_another_user_decides_what_stands() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let folder = |name: &str, owner, mode| {
        let path = world.path(name);
        fs::create_dir(&path).expect("ours");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
        std::os::unix::fs::chown(&path, Some(owner), None).expect("ours");
    };
    folder("theirs", 65534, 0o755);
    folder("open", 0, 0o777);
    folder("sticky", 0, 0o1777);
    folder("theirs-sticky", 65534, 0o1777);
    folder("ours", 0, 0o755);
    let drill = |place: &str| operator(&world, "drill").arg("--to-dir").arg(world.path(place)).run();
    for place in ["theirs", "open", "theirs-sticky"] {
        let refused = restore(&world).arg("-o").arg(world.path(place).join("x.db")).run().expect_code(78);
        refused.expect_log("decides what stands there").expect_log("hint: ");
        drill(place).expect_code(75).expect_log("decides what stands there");
        let follow = restore(&world).arg("--follow").arg("-o").arg(world.path(place).join("x.db")).run();
        follow.expect_code(78).expect_log("decides what stands there");
        assert_eq!(world.list(place), [""; 0]);
    }
    // As /tmp is one: the kernel follows nobody else's links there.
    for place in ["sticky", "ours"] {
        restore(&world).arg("-o").arg(world.path(place).join("x.db")).run().expect_code(0);
        drill(place).expect_code(0);
    }
}

/// A keeper compares what is small enough by itself.
#[test]
fn it_is_said_when_the_next_start_will_ask() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    sqlite::lose(&world.db());
    let ended = restore(&world).env("LITEKEEPER_COMPARE_LIMIT", "1k").run().expect_code(0);
    ended.expect_log("it is larger than what `litekeeper run` compares");
    let app = || App::new(&world.trace()).exit(0);
    let run = || Keeper::new(&world).config(&world.path("litestream.yml"));
    run().args(["--compare-limit", "1k"]).app(app()).run().expect_code(69);
    run().app(app()).run().expect_code(0);
}

/// Root does not lock the app out.
#[test]
fn a_restored_file_has_the_owner_and_rights_of_the_one_before() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    fs::set_permissions(world.db(), Permissions::from_mode(0o640)).expect("ours");
    let owner = if nix::unistd::geteuid().is_root() { 65534 } else { nix::unistd::geteuid().as_raw() };
    std::os::unix::fs::chown(world.db(), Some(owner), None).expect("ours");
    restore(&world).arg("--force").run().expect_code(0);
    let found = fs::metadata(world.db()).expect("it is there");
    assert_eq!((found.mode() & 0o777, found.uid()), (0o640, owner));
}

/// A history in which each row has a txid of its own: the file of each stays.
fn history(world: &World) -> Vec<String> {
    let config = world.config_of("levels: [{interval: 1h}]", [(world.db().as_path(), &world.replica())]);
    let text = fs::read_to_string(&config).expect("ours");
    let text = text.replace("    replicas:", "    monitor-interval: 20ms\n    replicas:");
    fs::write(&config, text.replace("\"type\"", "\"sync-interval\":\"20ms\",\"type\"")).expect("ours");
    sqlite::create(&world.db(), 0);
    let running = litestream::replicate(world, LATEST, &config);
    let connection = sqlite::open(&world.db());
    for row in 1..=4 {
        connection.execute("INSERT INTO t (v) VALUES (?1)", [row.to_string()]).expect("a table");
        wait_until("the row on its replica", DEADLINE, || world.list("replica/ltx/0").len() >= row);
    }
    running.stop(0);
    drop(connection);
    let names = world.list("replica/ltx/0");
    names.iter().map(|name| name[17..33].to_owned()).collect()
}

#[test]
fn an_older_state_is_restored_by_txid_and_by_time() {
    let world = World::new();
    let txids = history(&world);
    let files = Keeper::new(&world).command("ltx").args(["--level", "0", "--json"]).run().expect_code(0);
    let files: Vec<Value> = serde_json::from_str(&files.stdout).expect("JSON");
    assert!(files.len() >= 4, "{files:?}");
    for (rows, txid) in txids.iter().enumerate().skip(txids.len() - 3) {
        let name = format!("at-{rows}.db");
        let one = &printed::<Vec<Value>>(restore(&world).args(["--txid", txid, "-o", &name]), 0)[0];
        assert_eq!(one["txid"], txid.as_str());
        assert!(sqlite::count(&world.path(&name)) < 5);
    }
    let last = txids.last().expect("some");
    assert_eq!(sqlite::count(&world.path(&format!("at-{}.db", txids.len() - 1))), 4, "{last}");
    let unknown = restore(&world).args(["--txid", "00000000000000ff", "-o", "none.db"]).run().expect_code(69);
    unknown.expect_log("there is no txid 00000000000000ff").expect_log("hint: the nearest that are there");
    assert!(!world.path("none.db").exists());

    let long_ago = restore(&world).args(["--timestamp", "2020-01-01T00:00:00Z", "-o", "none.db"]);
    let ended = long_ago.run().expect_code(69).expect_log("its backup has nothing of the point");
    ended.expect_log("hint: it begins at 20");
    let now = &printed::<Vec<Value>>(restore(&world).args(["--timestamp", "0s ago", "-o", "now.db"]), 0)[0];
    assert_eq!((now["txid"].as_str(), sqlite::count(&world.path("now.db"))), (Some(last.as_str()), 4));
    for (time, why) in [("2h", "not a time"), ("2999-01-01T00:00:00Z", "in the future")] {
        restore(&world).args(["--timestamp", time]).run().expect_code(2).expect_log(why);
    }
    // In its place it is said how a keeper goes on from it.
    let first = restore(&world).args(["--force", "--txid", &txids[txids.len() - 2]]).run().expect_code(0);
    first.expect_log("`litekeeper run` goes on from it once with `--if-unrelated adopt`");
    let app = || App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    let run = || Keeper::new(&world).config(&world.path("litestream.yml"));
    run().app(app()).run().expect_code(69).expect_log("--if-unrelated");
    run().args(["--if-unrelated", "adopt"]).app(app()).run().expect_code(0);
}

#[test]
fn the_old_series_goes_back_by_generation_index_and_time() {
    let world = World::new();
    backed_up(&world, &Store::Folder, OLD);
    let snapshots =
        Keeper::new(&world).command("snapshots").litestream(OLD).arg("--json").run().expect_code(0);
    let snapshots: Vec<Value> = serde_json::from_str(&snapshots.stdout).expect("JSON");
    let (generation, index) = (snapshots[0]["generation"].as_str(), snapshots[0]["index"].as_str());
    let (generation, index) = (generation.expect("a text"), index.expect("a text"));
    let run = || restore(&world).litestream(OLD);
    let chosen = ["--generation", generation, "--index", index, "--replica", "file", "--parallelism", "2"];
    let one = &printed::<Vec<Value>>(run().args(["-o", "a.db"]).args(chosen), 0)[0];
    assert!(one["txid"].is_null() && one["result"] == "restored", "{one}");
    sqlite::assert_sound(&world.path("a.db"));
    let other = run().args(["-o", "b.db", "--generation", "0123456789abcdef"]).run().expect_code(69);
    other.expect_log("its backup has nothing of the point that was asked for");
    let beyond = run().args(["-o", "b.db", "--generation", generation, "--index", "00000063"]);
    beyond.run().expect_code(69).expect_log("there is no index 00000063: the last is 0000000");
    for none in [&["--replica", "nope"][..], &["--replica", "nope", "--if-replica-exists"]] {
        let refused = run().args(["-o", "b.db"]).args(none).run().expect_code(64);
        refused.expect_log("has no replica `nope`").expect_log("hint: its replicas are: file");
    }
    run().args(["-o", "b.db", "--txid", "0000000000000001"]).run().expect_code(64).expect_log("has no txids");
    run().arg("--dry-run").run().expect_code(64).expect_log("0.5.12 and later do");
    let new = restore(&world).args(["-o", "b.db", "--generation", generation]).run().expect_code(64);
    new.expect_log("litestream 0.5.17 has no generations: litestream 0.3.13 has");
    assert!(!world.path("b.db").exists());
    assert_eq!(left(&world), [""; 0]);
}

#[test]
fn a_plan_touches_nothing_and_has_sizes_and_times() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let before = world.list("");
        let plan = &printed::<Vec<Value>>(restore(&world).arg("--dry-run"), 0)[0];
        assert_eq!(plan["result"], "planned");
        assert!(plan["bytes"].as_u64() > Some(0) && plan["files"].as_u64() > Some(0), "{plan}");
        let times =
            [&plan["from"], &plan["to"]].map(|time| time.as_str().is_some_and(|time| time.ends_with('Z')));
        assert_eq!((times, plan["txid"].as_str().map(str::len)), ([true, true], Some(16)));
        assert_eq!(world.list(""), before);
    }
}

#[test]
fn no_backup_is_a_failure_unless_it_is_said_to_be_none() {
    for store in Store::all() {
        let world = World::new();
        world.config(&store.replica(&world, "app"));
        let ended = restore(&world).run().expect_code(69).expect_log("holds no backup");
        ended.expect_log("--if-replica-exists");
        assert_eq!(
            printed::<Vec<Value>>(restore(&world).arg("--if-replica-exists"), 0)[0]["result"],
            "no-backup"
        );
        assert_eq!(
            printed::<Vec<Value>>(restore(&world).args(["--if-replica-exists", "--dry-run"]), 0)[0]["result"],
            "no-backup"
        );
        assert!(!world.db().exists() && left(&world).is_empty());
    }
}

#[test]
fn a_database_in_use_is_not_touched_and_it_is_named_who_has_it() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let config = world.config(&world.replica());
    let unit = unit::start_writing(&world, Keeper::new(&world).config(&config));
    let keeper = format!("pid {}", unit.keeper().pid);
    for options in [&["--force"][..], &["--force", "--yes"]] {
        let ended = restore(&world).args(options).run().expect_code(75);
        ended.expect_log("another keeper runs on this database").expect_log(&keeper);
    }
    // Beside it is no trouble.
    restore(&world).args(["-o", "copy.db"]).run().expect_code(0);
    unit.stop(0);
    let held = sqlite::open(&world.db());
    held.execute_batch("BEGIN; SELECT count(*) FROM t").expect("a table");
    let ended = restore(&world).arg("--force").run().expect_code(75);
    ended.expect_log(&format!("pid {}", std::process::id())).expect_log("has it open");
    drop(held);
    restore(&world).arg("--force").run().expect_code(0);
}

#[test]
fn one_that_fails_stops_no_other() {
    let world = World::new();
    let names: Vec<String> = (0..12).map(|n| format!("{n}.db")).collect();
    let paths: Vec<PathBuf> = names.iter().map(|name| world.path(name)).collect();
    let replicas: Vec<Replica> =
        names.iter().map(|name| Replica::folder(&world.path(&format!("r/{name}")))).collect();
    let config = world.config_of("", paths.iter().map(PathBuf::as_path).zip(&replicas));
    paths.iter().for_each(|path| sqlite::create(path, 3));
    let all: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    litestream::back_up(&world, LATEST, &config, &all);
    paths.iter().for_each(|path| sqlite::lose(path));
    // One is broken, one has none, one is there.
    for level in world.list("r/3.db/ltx") {
        for file in world.list(&format!("r/3.db/ltx/{level}")) {
            let path = world.path(&format!("r/3.db/ltx/{level}/{file}"));
            let mut bytes = fs::read(&path).expect("ours");
            let middle = bytes.len() / 2;
            bytes[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0xff);
            fs::write(&path, bytes).expect("ours");
        }
    }
    fs::remove_dir_all(world.path("r/4.db")).expect("ours");
    sqlite::create(&paths[5], 1);
    let ended = restore(&world).args(["--json", "--parallel", "6"]).run().expect_code(69);
    let results: Vec<Value> = serde_json::from_str(&ended.stdout).expect("JSON");
    let word = |n: usize| results[n]["result"].as_str().expect("a text");
    assert_eq!((word(3), word(4), word(5)), ("failed", "no-backup", "failed"), "{results:?}");
    assert!(results[3]["error"].as_str().is_some_and(|error| error.contains("3.db")), "{results:?}");
    let restored = (0..12).filter(|n| word(*n) == "restored").count();
    assert_eq!(restored, 9, "{results:?}");
    ended.expect_log("9 restored, 1 without a backup, 2 failed");
    assert!(!paths[3].exists() && !paths[4].exists() && sqlite::count(&paths[5]) == 1);
    assert_eq!(left(&world), [""; 0]);

    // All into a folder, whatever is where they were.
    let ended =
        restore(&world).args(["--to-dir", "all", "--if-replica-exists", "0.db", "4.db", "5.db"]).run();
    ended.expect_code(0);
    assert_eq!(world.list("all"), ["0.db", "5.db"]);
}

/// After a lost disk a folder of databases is empty.
#[test]
fn the_databases_of_a_folder_are_found_at_their_replica() {
    for store in Store::all() {
        let world = World::new();
        fs::create_dir(world.path("tenants")).expect("ours");
        let replica = store.replica(&world, "backups").text();
        let text = format!("dbs: [{{dir: tenants, pattern: \"*.db\", replica: {replica}}}]\n");
        let config = world.write("litestream.yml", &text);
        let paths = ["one.db", "two.db"].map(|name| world.path("tenants").join(name));
        paths.iter().for_each(|path| sqlite::create(path, 4));
        litestream::back_up(&world, LATEST, &config, &[&paths[0], &paths[1]]);
        fs::remove_dir_all(world.path("tenants")).expect("ours");
        // By a name that only the replica knows.
        restore(&world).args(["-o", "first.db", "one.db"]).run().expect_code(0);
        assert_eq!(sqlite::count(&world.path("first.db")), 4);
        let unknown = restore(&world).args(["-o", "x.db", "three.db"]).run().expect_code(64);
        unknown.expect_log("two.db");
        let results = printed::<Vec<Value>>(restore(&world), 0);
        assert_eq!(results.len(), 2, "{results:?}");
        assert!(paths.iter().all(|path| sqlite::count(path) == 4));
        restore(&world).args(["-o", "copy.db", "tenants/one.db"]).run().expect_code(0);
    }
}

/// Both would write to the same names beside it.
#[test]
fn two_restores_to_one_place_are_one_at_a_time() {
    let world = World::new();
    let s3 = backed_up_far_away(&world);
    s3.pause();
    let first = restore(&world).args(["--to-dir", "out"]).start();
    let lock = world.path("out/.app.db-litekeeper.lock");
    wait_until("the first to have it", DEADLINE, || {
        fs::read_to_string(&lock).is_ok_and(|text| !text.is_empty())
    });
    for words in [["--to-dir", "out"], ["-o", "out/app.db"]] {
        let second = restore(&world).args(words).run().expect_code(75);
        second.expect_log("is being restored").expect_log("hint: ");
    }
    s3.resume();
    first.finish().expect_code(0);
    assert_eq!(world.list("out"), ["app.db"], "and nothing is left beside it");
    restore(&world).args(["-o", "out/app.db-wal"]).run().expect_code(0);
    // That would be this database's.
    let ended = restore(&world).args(["-o", "app.db-wal"]).run().expect_code(64);
    ended.expect_log("that belongs to a database of this configuration");
    // No way round leads there, nor into a replica.
    let before = world.list("");
    for way in ["nowhere/../app.db-wal", "nowhere/deeper/../../app.db-wal", "out/../nowhere/../app/x.db"] {
        let ended = restore(&world).args(["-o", way]).run().expect_code(64);
        ended.expect_log("which is not there").expect_log("hint: name it without `..`");
    }
    restore(&world).args(["--to-dir", "nowhere/../app/ltx"]).run().expect_code(64);
    assert_eq!(world.list(""), before);
    restore(&world).args(["-o", "out/../other.db"]).run().expect_code(0);
}

/// Litestream begins with the newest snapshot, whatever else is there.
#[test]
fn a_broken_snapshot_that_other_files_cover_is_named() {
    for store in Store::all() {
        let world = World::new();
        // What is moved to the next level is removed in time.
        let running = quiet(&world, &store, LATEST, (3, "levels:\n  - interval: 1h\n"));
        let level = || ["9", "0009"].map(|level| store.ltx(&world, "app").join(level));
        let snapshots = || {
            let files = level().into_iter().filter_map(|level| fs::read_dir(level).ok()).flatten().flatten();
            let is_ltx = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "ltx");
            files.map(|file| file.path()).filter(is_ltx).collect::<Vec<_>>()
        };
        wait_until("the first snapshot", DEADLINE, || !snapshots().is_empty());
        sqlite::insert(&world.db(), 4);
        running.stop(0);
        let snapshot = snapshots().pop().expect("one");
        let mut bytes = fs::read(&snapshot).expect("ours");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&snapshot, bytes).expect("ours");
        let name = snapshot.file_name().expect("a name").to_string_lossy().into_owned();
        let run = || restore(&world).args(["-o", "copy.db"]).run();
        let ended = run().expect_code(69).expect_log("none of its txids restores whole");
        ended.expect_log(&format!("the snapshot 9/{name}")).expect_log("other files of the backup have");
        // As it says.
        fs::remove_file(snapshot).expect("ours");
        run().expect_code(0);
        assert_eq!(sqlite::ids(&world.path("copy.db")), sqlite::ids(&world.db()));
    }
}

/// A Litestream that restores, and then does this to the file at `$out`.
fn spoiling(world: &World, what: &str) -> PathBuf {
    let real = binary(LATEST);
    let script = format!(
        "#!/bin/sh\n'{}' \"$@\" || exit\ncase \"$*\" in restore*-dry-run*) ;; restore*)\n\
         out=; for arg; do [ \"$last\" = -o ] && out=$arg; last=$arg; done\n{what}\nesac\n",
        real.display()
    );
    world.program("litestream", &script)
}

#[test]
fn what_was_restored_is_looked_at_as_closely_as_it_is_asked_for() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    // The second page is no page any more.
    let flip =
        "head -c 64 /dev/zero | tr '\\0' '\\377' | dd of=\"$out\" bs=4096 seek=1 conv=notrunc 2>/dev/null";
    let bad = spoiling(&world, flip);
    let run = |check: &str| {
        restore(&world).env("LITESTREAM_BINARY_PATH", &bad).args([
            "-o",
            "copy.db",
            "--integrity-check",
            check,
        ])
    };
    for check in ["quick", "full"] {
        let ended = run(check).run().expect_code(69).expect_log("restores to a malformed database");
        ended.expect_log("none of its txids restores whole");
        assert!(!world.path("copy.db").exists() && left(&world).is_empty());
    }
    run("none").run().expect_code(0);
    fs::remove_file(world.path("copy.db")).expect("it is there");
    let nothing = spoiling(&world, "head -c 5000 /dev/zero >\"$out\"");
    let ended = run("none").env("LITESTREAM_BINARY_PATH", nothing).run().expect_code(69);
    ended.expect_log("file is not a database");
    restore(&world).args(["-o", "copy.db", "--integrity-check", "full"]).run().expect_code(0);
}

#[test]
fn a_damaged_file_of_the_backup_is_told_with_what_can_be_had() {
    let world = World::new();
    let txids = history(&world);
    for level in world.list("replica/ltx").into_iter().filter(|level| level != "0") {
        fs::remove_dir_all(world.path("replica/ltx").join(level)).expect("ours");
    }
    let (last, before) = (&txids[txids.len() - 1], &txids[txids.len() - 2]);
    let file = world.path(&format!("replica/ltx/0/{last}-{last}.ltx"));
    let mut bytes = fs::read(&file).expect("ours");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&file, bytes).expect("ours");
    let ended = restore(&world).args(["-o", "copy.db"]).run().expect_code(69);
    ended
        .expect_log("its backup cannot be restored")
        .expect_log(&format!("`--txid {before}` takes the newest"));
    restore(&world).args(["-o", "copy.db", "--txid", before]).run().expect_code(0);
    assert_eq!(sqlite::count(&world.path("copy.db")), 3);
}

#[test]
fn a_replica_that_refuses_or_does_not_answer_is_told() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    backed_up(&world, &Store::S3(s3), LATEST);
    let s3 = S3::start();
    s3.bucket("backups");
    // The older release reads no endpoint in a URL.
    let run = |url: &str| restore(&world).args(["--timeout", "3s", "-o", "copy.db"]).arg(url);
    let gone = format!("s3://backups/app?endpoint=http://127.0.0.1:{}&region=us-east-1", free_port());
    run(&gone).run().expect_code(69).expect_log("replica s3://backups/app").expect_log("hint: ");
    run(&s3.url("nowhere", "app")).run().expect_code(69).expect_log("replica s3://nowhere/app");
    let wrong = run(&s3.url("backups", "app")).env("LITESTREAM_SECRET_ACCESS_KEY", "wrong");
    wrong.run().expect_code(69).expect_log("hint: ");
    assert!(!world.path("copy.db").exists() && left(&world).is_empty());
}

#[test]
fn a_full_disk_and_a_folder_that_cannot_be_written_leave_nothing() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let disk = world.path("disk");
    fs::create_dir(&disk).expect("ours");
    let full = restore(&world).args(["-o", "disk/copy.db"]).wrapped(wrap::small_disk(&disk, 4));
    let ended = full.run().expect_code(69);
    assert!(
        ended.log.contains("no space left on device") || ended.log.contains("No space left"),
        "{}",
        ended.log
    );
    assert!(!ended.stdout.lines().any(|line| line.contains("litekeeper-restore")), "{}", ended.stdout);
    let read_only = restore(&world).args(["-o", "disk/copy.db"]).wrapped(wrap::read_only(&disk));
    read_only.run().expect_code(69).expect_log("hint: ");
    assert_eq!(world.list("disk"), [""; 0]);
}

#[test]
fn an_interruption_leaves_no_half_file_and_the_old_one_in_its_place() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let world = World::new();
        let s3 = backed_up_far_away(&world);
        let rows = sqlite::count(&world.db());
        s3.throttle(256 << 10);
        let running = restore(&world).args(["--force", "--timeout", "60s"]).start();
        wait_until("half a file", DEADLINE, || !left(&world).is_empty());
        running.signal(signal);
        let ended = running.finish().expect_code(128 + signal as i32);
        assert!(ended.log.contains("interrupted"), "{}", ended.log);
        assert_eq!((left(&world), sqlite::count(&world.db())), (vec![], rows));
        assert!(!world.list("").iter().any(|name| name.starts_with("app.db.20")), "{:?}", world.list(""));
    }
}

#[test]
fn a_connection_that_is_cut_leaves_no_half_file_and_one_that_comes_back_is_gone_on_with() {
    let world = World::new();
    let mut s3 = S3::start();
    s3.bucket("backups");
    let config = world.config(&s3.replica("backups", "app"));
    sqlite::big(&world.db(), 4);
    litestream::back_up(&world, LATEST, &config, &[&world.db()]);
    s3.throttle(256 << 10);
    for comes_back in [false, true] {
        let limit = if comes_back { "60s" } else { "3s" };
        let running = restore(&world).args(["-o", "copy.db", "--timeout", limit]).start();
        wait_until("half a file", DEADLINE, || !left(&world).is_empty());
        s3.refuse();
        if comes_back {
            s3.resume();
            s3.listen_again();
            running.finish().expect_code(0);
            sqlite::assert_sound(&world.path("copy.db"));
        } else {
            running.finish().expect_code(69);
            assert!(!world.path("copy.db").exists());
            s3.listen_again();
        }
        assert_eq!(left(&world), [""; 0]);
    }
}

#[test]
fn on_a_terminal_there_is_a_bar_with_bytes_and_a_rate() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    let config = world.config(&s3.replica("backups", "app"));
    sqlite::big(&world.db(), 6);
    litestream::back_up(&world, LATEST, &config, &[&world.db()]);
    s3.throttle(1 << 20);
    let (mut terminal, line) = restore(&world).args(["-o", "copy.db", "--timeout", "60s"]).terminal();
    terminal.resize(40, 120);
    terminal.line(&format!("{line}; echo code-$?"));
    let seen = terminal.wait("code-0");
    assert!(seen.contains("restoring app.db") && seen.contains("B/s"), "{seen}");
}

#[test]
fn what_comes_is_followed_until_it_is_told_to_stop() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let config = world.config(&world.replica());
    let unit = unit::start_writing(&world, Keeper::new(&world).config(&config));
    let copy = world.path("copy.db");
    let follow =
        restore(&world).args(["--follow", "--follow-interval", "200ms", "-o", "copy.db", "app.db"]).start();
    let count = || {
        let database =
            rusqlite::Connection::open_with_flags(&copy, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
        database
            .and_then(|database| database.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)))
    };
    wait_until("the copy", DEADLINE, || copy.exists() && count().is_ok());
    let before = count().unwrap_or_default();
    wait_until("what comes", Duration::from_secs(60), || count().is_ok_and(|now| now > before));
    follow.signal(Signal::SIGINT);
    follow.finish().expect_code(0);
    unit.stop(0);
    restore(&world)
        .args(["--follow", "app.db"])
        .run()
        .expect_code(64)
        .expect_log("beside the one that is in use");
    let old = restore(&world).litestream(NO_SOCKET).args(["--follow", "-o", "x.db"]).run().expect_code(64);
    old.expect_log("litestream 0.5.5 cannot follow a backup: 0.5.9 and later can");
}

#[test]
fn a_command_line_that_means_nothing_is_refused() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let (db, other, replicas) =
        (world.db(), world.path("b.db"), [world.replica(), Replica::folder(&world.path("b"))]);
    world.config_of("", [(db.as_path(), &replicas[0]), (other.as_path(), &replicas[1])]);
    for (options, code, why) in [
        (&["nowhere.db"][..], 64, "`nowhere.db` is no database of this configuration"),
        (&["-o", "x.db"], 64, "-o names one file, and 2 databases are to be restored"),
        (&["--txid", "0000000000000001"], 64, "a txid is one database's"),
        (&["-o", "x.db", "--to-dir", "y"], 2, "cannot be used with"),
        (&["--txid", "12"], 2, "not a txid"),
        (&["--integrity-check", "some"], 2, "[possible values: none, quick, full]"),
        (&["-timestamp", "x"], 2, "`--timestamp`, with two dashes"),
        (&["-if-db-not-exists"], 2, "`--if-db-not-exists`, with two dashes"),
    ] {
        restore(&world).args(options).run().expect_code(code).expect_log(why);
    }
    fs::remove_file(world.path("litestream.yml")).expect("ours");
    restore(&world).run().expect_code(64).expect_log("hint: name a litestream.yml with --config");
}

/// The page has the names that are printed.
#[test]
fn the_page_about_json_has_the_names_of_a_restore() {
    let page = crate::support::docs::page("docs/json.md").text;
    let (_, part) = page.split_once("## `restore`").expect("its part");
    let part = part.split("\n## ").next().unwrap_or_default();
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let plan = printed::<Vec<Value>>(restore(&world).arg("--dry-run"), 0);
    let names: Vec<&String> = plan[0].as_object().expect("an object").keys().collect();
    assert_eq!(names.len(), 12);
    names.iter().for_each(|name| assert!(part.contains(&format!("\"{name}\"")), "no {name}: {part}"));
}

/// What it leads to may be on a volume that is not mounted now.
#[test]
fn a_link_that_leads_to_nothing_is_neither_replaced_nor_followed() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    fs::remove_file(world.db()).expect("ours");
    for (link, args) in [
        (world.db(), vec!["--if-missing"]),
        (world.path("other.db"), vec!["--force", "--yes", "-o", "other.db"]),
    ] {
        std::os::unix::fs::symlink("nowhere/app.db", &link).expect("a folder");
        let ended = restore(&world).args(args).run().expect_code(78);
        ended.expect_log("it is a link to nowhere/app.db, which is not there").expect_log("hint: mount");
        assert_eq!(fs::read_link(&link).expect("the link"), std::path::Path::new("nowhere/app.db"));
    }
}
