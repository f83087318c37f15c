//! Many databases restored by hand: small ones by a reader of our own, whose every byte is Litestream's, and what it leaves to that.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, binary};
use crate::support::operator::{operator, printed};
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// 300 rows that do not compress.
const GROW: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) \
                    INSERT INTO t (v) SELECT hex(randomblob(200)) FROM n";

/// The files of one level at a database's replica.
fn files(world: &World, name: &str, level: u32) -> Vec<PathBuf> {
    let folder = world.path(&format!("replica/{name}/ltx/{level}"));
    let all = fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    all.filter(|path| path.extension().is_some_and(|kind| kind == "ltx")).collect()
}

/// A configuration of these databases, each in a folder of its name.
fn config(world: &World, top: &str, names: &[&str]) -> PathBuf {
    let paths: Vec<PathBuf> = names.iter().map(|name| world.path(name)).collect();
    let folder = |name: &&str| Replica::folder(&world.path(&format!("replica/{name}")));
    let replicas: Vec<Replica> = names.iter().map(folder).collect();
    world.config_of(top, paths.iter().map(PathBuf::as_path).zip(&replicas))
}

/// A Litestream that restores nothing.
fn without_restore(world: &World) -> PathBuf {
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = restore ] && {{ echo 'it was asked' >&2; exit 9; }}\nexec '{}' \"$@\"\n",
        binary(LATEST).display()
    );
    world.program("no-restore", &script)
}

fn to_dir(world: &World, folder: &str) -> Keeper {
    operator(world, "restore").args(["--to-dir", folder])
}

/// Litestream's own restore of one, before this time where there is one; none where it says that there is none.
fn by_litestream(world: &World, config: &Path, name: &str, before: Option<&str>) -> Option<Vec<u8>> {
    let output = world.path("theirs.db");
    let _ = fs::remove_file(&output);
    let mut args = vec!["restore".into(), "-config".into(), config.as_os_str().to_owned()];
    args.extend(["-o".into(), output.clone().into_os_string()]);
    before.iter().for_each(|time| args.extend(["-timestamp".into(), (*time).into()]));
    args.push(world.path(name).into_os_string());
    litestream::litestream(world, LATEST, args);
    fs::read(&output).ok()
}

#[test]
fn every_byte_is_what_litestream_restores_at_any_time() {
    let world = World::new();
    let kinds = [
        ("small.db", "page_size = 512; PRAGMA auto_vacuum = FULL"),
        ("mid.db", "page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL"),
        ("large.db", "page_size = 65536"),
    ];
    let names = kinds.map(|(name, _)| name);
    for (name, pragma) in kinds {
        let database = rusqlite::Connection::open(world.path(name)).expect("the world can be written");
        database.execute_batch(&format!("PRAGMA {pragma}; VACUUM;")).expect("SQLite knows these");
        drop(database);
        sqlite::create(&world.path(name), 5);
    }
    let config =
        config(&world, "levels:\n  - interval: 1s\n  - interval: 3s\nsnapshot:\n  interval: 4s\n", &names);
    let running = litestream::replicate(&world, LATEST, &config);
    let changes = [
        GROW,
        "DELETE FROM t WHERE id % 3 = 0",
        "PRAGMA incremental_vacuum",
        "CREATE INDEX of_v ON t (v)",
        "DELETE FROM t WHERE id > 40",
        "VACUUM",
        "INSERT INTO t (v) SELECT v || 'again' FROM t",
    ];
    for change in changes {
        for name in names {
            let before = files(&world, name, 0);
            let database = sqlite::open(&world.path(name));
            database.execute_batch(change).expect("SQLite can do this");
            drop(database);
            // `VACUUM` in one of these pages changes nothing more than a counter, which is a change as well.
            sqlite::touch(&world.path(name));
            wait_until("the change", DEADLINE, || {
                files(&world, name, 0).iter().any(|file| !before.contains(file))
            });
        }
    }
    let has_all =
        || names.iter().all(|name| !files(&world, name, 2).is_empty() && files(&world, name, 9).len() > 1);
    wait_until("files of each kind", DEADLINE, has_all);
    running.stop(0);

    let no_restore = without_restore(&world);
    let ours = |folder: &str, time: Option<&str>| {
        let keeper = to_dir(&world, folder).env("LITESTREAM_BINARY_PATH", &no_restore);
        let all: Vec<Value> =
            printed(time.iter().fold(keeper, |keeper, time| keeper.args(["--timestamp", time])), 0);
        all
    };
    ours("newest", None);
    for name in names {
        let theirs = by_litestream(&world, &config, name, None).expect("there is a backup");
        assert_eq!(fs::read(world.path("newest").join(name)).expect("restored"), theirs, "{name}");
    }
    // Right after each file of the first database, where all three have something.
    let mut times: Vec<SystemTime> = [0, 1, 2, 9]
        .iter()
        .flat_map(|level| files(&world, names[0], *level))
        .map(|file| file.metadata().and_then(|found| found.modified()).expect("it is there"))
        .collect();
    times.sort_unstable();
    times.dedup();
    let mut compared = 0;
    for (place, time) in times.iter().enumerate() {
        let time = jiff::Timestamp::try_from(*time + Duration::from_millis(1)).expect("a time").to_string();
        let theirs: Vec<_> =
            names.iter().map(|name| by_litestream(&world, &config, name, Some(&time))).collect();
        if theirs.iter().any(Option::is_none) {
            continue;
        }
        compared += 1;
        let folder = format!("at-{place}");
        ours(&folder, Some(&time));
        for (name, theirs) in names.iter().zip(theirs) {
            assert_eq!(fs::read(world.path(&folder).join(name)).ok(), theirs, "{name} at {time}");
        }
    }
    assert!(compared >= 5, "{compared} of {}", times.len());
}

/// Whatever is not as it should be is told as it is of one alone, which Litestream restores.
#[test]
fn what_is_odd_is_left_to_litestream_and_to_what_that_says() {
    let world = World::new();
    let names = [
        "whole.db",
        "flipped.db",
        "short.db",
        "hole.db",
        "nothing.db",
        "renamed.db",
        "old.db",
        "large.db",
        "last.db",
    ];
    let config = config(&world, "", &names);
    let paths: Vec<PathBuf> = names.iter().map(|name| world.path(name)).collect();
    for (name, path) in names.iter().zip(&paths) {
        if *name == "large.db" { sqlite::big(path, 17) } else { sqlite::create(path, 5) }
    }
    let all: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    // Several files each.
    (0..3).for_each(|_| litestream::back_up(&world, LATEST, &config, &all));
    let spoil = |name: &str, change: &dyn Fn(&Path)| {
        for level in [0, 1, 9] {
            files(&world, name, level).iter().for_each(|path| change(path));
        }
    };
    spoil("flipped.db", &|path| {
        let mut bytes = fs::read(path).expect("ours");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("ours");
    });
    spoil("short.db", &|path| {
        let bytes = fs::read(path).expect("ours");
        fs::write(path, &bytes[..bytes.len() - 20]).expect("ours");
    });
    let first =
        |name: &str| world.path(&format!("replica/{name}/ltx/0/0000000000000001-0000000000000001.ltx"));
    spoil("hole.db", &|path| {
        if path.to_string_lossy().contains("0000000000000002.ltx") || path.to_string_lossy().contains("/9/") {
            fs::remove_file(path).expect("ours");
        }
    });
    fs::remove_dir_all(world.path("replica/nothing.db")).expect("ours");
    fs::copy(first("whole.db"), first("renamed.db").with_file_name("0000000000000001-00000000000000ff.ltx"))
        .expect("ours");
    fs::create_dir_all(world.path("replica/old.db/generations")).expect("ours");
    paths.iter().for_each(|path| sqlite::lose(path));

    let alone = |name: &str| {
        let folder = format!("alone-{name}");
        let ended = to_dir(&world, &folder).args(["--json", name]).run();
        let told: Vec<Value> = serde_json::from_str(&ended.stdout).expect("JSON");
        (told[0].clone(), fs::read(world.path(&folder).join(name)).ok())
    };
    let ended = to_dir(&world, "all").args(["--json", "--parallel", "2"]).run();
    let told: Vec<Value> = serde_json::from_str(&ended.stdout).expect("JSON");
    for (name, told) in names.iter().zip(&told) {
        let (expected, bytes) = alone(name);
        for what in ["path", "replica", "txid", "result", "bytes", "integrity"] {
            assert_eq!(told[what], expected[what], "{name}: {told} {expected}");
        }
        let words = |told: &Value| told["error"].as_str().map(|error| error.replace("alone-", ""));
        assert_eq!(words(told).is_some(), words(&expected).is_some(), "{told} {expected}");
        assert_eq!(fs::read(world.path("all").join(name)).ok(), bytes, "{name}");
    }
    let result = |name: &str| {
        let place = names.iter().position(|one| *one == name).expect("it is one of them");
        told[place]["result"].as_str().expect("a word").to_owned()
    };
    assert_eq!(["whole.db", "large.db", "last.db"].map(result), ["restored"; 3]);
    assert_eq!(["flipped.db", "short.db"].map(result), ["failed"; 2]);
    assert_eq!(result("nothing.db"), "no-backup");
    assert!(
        !world.list("all").iter().any(|name| name.contains("-litekeeper-restore")),
        "{:?}",
        world.list("all")
    );
}

/// The rights that Litestream would give.
#[test]
fn what_is_restored_in_its_place_can_be_read_as_if_litestream_had_done_it() {
    let world = World::new();
    let names = ["a.db", "b.db", "c.db"];
    let config = config(&world, "", &names);
    let paths: Vec<PathBuf> = names.iter().map(|name| world.path(name)).collect();
    paths.iter().for_each(|path| sqlite::create(path, 5));
    let all: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    litestream::back_up(&world, LATEST, &config, &all);
    paths.iter().for_each(|path| sqlite::lose(path));
    let rights = |path: &Path| fs::metadata(path).expect("restored").permissions();
    operator(&world, "restore").env("LITESTREAM_BINARY_PATH", without_restore(&world)).run().expect_code(0);
    let by_reader: Vec<_> = paths.iter().map(|path| rights(path)).collect();
    paths.iter().for_each(|path| sqlite::assert_sound(path));
    paths.iter().for_each(|path| sqlite::lose(path));
    for (path, by_reader) in paths.iter().zip(by_reader) {
        operator(&world, "restore").arg(path).run().expect_code(0);
        assert_eq!(rights(path), by_reader);
    }
}
