//! A replica of Litestream 0.3 that lacks a piece of a WAL between two others: its own restore takes what is before for all.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST, OLD};
use crate::support::operator::{backed_up, operator, printed};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// The pieces of a replica's WAL, in order.
fn pieces(world: &World, store: &Store) -> Vec<PathBuf> {
    let generations = fs::read_dir(store.folder(world, "app").join("generations")).into_iter().flatten();
    let mut pieces: Vec<PathBuf> = generations
        .flatten()
        .flat_map(|generation| fs::read_dir(generation.path().join("wal")).into_iter().flatten().flatten())
        .map(|piece| piece.path())
        // One that is being written has another end.
        .filter(|piece| piece.extension().is_some_and(|end| end == "lz4"))
        .collect();
    pieces.sort_unstable();
    pieces
}

/// Rows in six pieces of one WAL, of which the third one went an hour after those before it, and is gone; the configuration, how many rows
/// there were, and a time at which none was missing.
fn with_a_gap(world: &World, store: &Store) -> (PathBuf, usize, String) {
    let config = world.config(&store.replica(world, "app").set("sync-interval", "100ms"));
    sqlite::create(&world.db(), 10);
    let running = litestream::replicate(world, OLD, &config);
    for count in 1..=6 {
        sqlite::insert(&world.db(), 30 * count);
        wait_until("another piece of the WAL", DEADLINE, || pieces(world, store).len() as u64 >= count);
    }
    running.stop(0);
    let now = SystemTime::now();
    let hours = |hours: u64| now - Duration::from_secs(3600 * hours);
    let all = pieces(world, store);
    let is_of_one = |pair: &[PathBuf]| index_of(&pair[0]) == index_of(&pair[1]);
    assert!(all.len() >= 6 && all.windows(2).all(is_of_one), "{all:?}");
    let snapshots =
        all[0].parent().and_then(|wal| Some(wal.parent()?.join("snapshots"))).expect("a generation");
    for (n, file) in all.iter().enumerate() {
        write_at(file, if n < 2 { hours(3) } else { hours(1) });
    }
    for snapshot in fs::read_dir(snapshots).expect("there is one").flatten() {
        write_at(&snapshot.path(), hours(3));
    }
    fs::remove_file(&all[2]).expect("it is there");
    let time = jiff::Timestamp::try_from(hours(2)).expect("a time").to_string();
    (config, sqlite::count(&world.db()), time)
}

fn index_of(piece: &Path) -> String {
    let name = piece.file_name().expect("a file").to_string_lossy();
    name.split('_').next().expect("an index").to_owned()
}

fn write_at(file: &Path, time: SystemTime) {
    fs::File::options().write(true).open(file).and_then(|file| file.set_modified(time)).expect("ours");
}

const MISSING: &str = "missing WAL segment: expected 0000000";

#[test]
fn no_app_starts_on_what_is_before_a_gap() {
    for store in Store::all() {
        let world = World::new();
        let (config, rows, _) = with_a_gap(&world, &store);
        // Of both releases the old one alone does not see it.
        let short = Backup::Config(&config, &world.db()).restore(&world, OLD);
        assert!(sqlite::count(&short) < rows);
        Backup::Config(&config, &world.db()).try_restore(&world, LATEST, &world.path("whole")).expect_code(1);
        fs::rename(world.db(), world.path("was.db")).expect("ours");
        sqlite::remove(&world.db());
        let app = App::new(&world.trace()).exit(0);
        let keeper = Keeper::new(&world).litestream(OLD).config(&config).envs(S3::env()).app(app);
        let ended = keeper.run().expect_code(69).expect_log(MISSING);
        ended.expect_log("hint: `litekeeper restore -o FILE --timestamp TIME`");
        assert!(world.trace().is_empty() && !world.db().exists());
        assert!(
            !world.list("").iter().any(|name| name.contains("-litekeeper-restore")),
            "{:?}",
            world.list("")
        );
    }
}

#[test]
fn an_operator_is_told_of_a_gap_and_has_what_is_before() {
    for store in Store::all() {
        let world = World::new();
        let (config, rows, before) = with_a_gap(&world, &store);
        let command = |name: &str| operator(&world, name).litestream(OLD).config(&config);
        let restored = command("restore").args(["-o", "new.db"]).run().expect_code(69);
        restored.expect_log(MISSING);
        assert!(!world.path("new.db").exists());
        let drilled: Value = printed(command("drill"), 69);
        assert_eq!(drilled["verdict"], "not-restorable", "{drilled}");
        let verified: Value = printed(command("verify").arg("--read-only"), 69);
        assert!(verified[0]["error"].as_str().is_some_and(|error| error.contains(MISSING)), "{verified}");
        command("restore").args(["-o", "new.db", "--timestamp", &before]).run().expect_code(0);
        let count = sqlite::count(&world.path("new.db"));
        assert!(count > 10 && count < rows, "{count} of {rows}");
    }
}

#[test]
fn a_piece_with_anothers_content_is_no_piece() {
    for store in Store::all() {
        let world = World::new();
        let config = world.config(&store.replica(&world, "app").set("sync-interval", "100ms"));
        sqlite::create(&world.db(), 10);
        let running = litestream::replicate(&world, OLD, &config);
        for count in 1..=4 {
            sqlite::insert(&world.db(), 20);
            wait_until("another piece of the WAL", DEADLINE, || pieces(&world, &store).len() >= count);
        }
        running.stop(0);
        let all = pieces(&world, &store);
        assert!(all.len() >= 4 && index_of(&all[1]) == index_of(&all[2]), "{all:?}");
        let restore =
            |to: &str| operator(&world, "restore").litestream(OLD).config(&config).args(["-o", to]).run();
        restore("whole.db").expect_code(0);
        assert_eq!(sqlite::count(&world.path("whole.db")), sqlite::count(&world.db()));
        // As long as it was.
        fs::copy(&all[1], &all[2]).expect("ours");
        restore("torn.db").expect_code(69).expect_log("checksum mismatch");
        assert!(!world.path("torn.db").exists());
    }
}

#[test]
fn where_nobody_can_tell_that_is_said() {
    let world = World::new();
    with_a_gap(&world, &Store::Folder);
    let [db, one, other] =
        [world.db(), world.path("app"), world.path("other")].map(|path| path.display().to_string());
    let text = format!(
        "dbs:\n  - path: {db}\n    replicas:\n      - {{name: one, type: file, path: {one}}}\n      - {{name: other, type: file, path: {other}}}\n"
    );
    let config = world.write("two.yml", &text);
    let restore = operator(&world, "restore").litestream(OLD).config(&config);
    let ended = restore.args(["-o", "new.db", "--replica", "one"]).run().expect_code(0);
    ended.expect_log(
        "does not see whether a piece of the WAL is missing, and nobody else can (it has several replicas)",
    );
    assert!(world.path("new.db").exists());
}

#[test]
fn a_file_that_holds_another_ones_transactions_is_refused() {
    let world = World::new();
    let levels = "levels:\n  - interval: 1h\nsnapshot:\n  interval: 1s\n";
    let config = world.config_of(levels, [(world.db().as_path(), &Store::Folder.replica(&world, "app"))]);
    sqlite::create(&world.db(), 3);
    let running = litestream::replicate(&world, LATEST, &config);
    let snapshots = || {
        let mut all: Vec<PathBuf> = fs::read_dir(world.path("app/ltx/9"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|file| file.path())
            .filter(|file| file.extension().is_some_and(|end| end == "ltx"))
            .collect();
        all.sort_unstable();
        all
    };
    for count in 1..=3 {
        sqlite::insert(&world.db(), 20);
        wait_until("another snapshot", DEADLINE, || snapshots().len() >= count);
    }
    running.stop(0);
    let all = snapshots();
    let (first, last) = (all.first().expect("one"), all.last().expect("another"));
    assert!(first != last);
    fs::copy(first, last).expect("ours");
    let restore = |to: &str| operator(&world, "restore").config(&config).args(["-o", to]).run();
    let ended = restore("new.db").expect_code(69).expect_log("invalid ltx file: ").expect_log(" holds 0");
    assert!(!world.path("new.db").exists(), "{}", ended.log);
    fs::rename(world.db(), world.path("was.db")).expect("ours");
    sqlite::remove(&world.db());
    fs::remove_dir_all(world.path(".app.db-litestream")).expect("ours");
    let app = App::new(&world.trace()).exit(0);
    Keeper::new(&world).litestream(LATEST).config(&config).app(app).run().expect_code(69);
    assert!(world.trace().is_empty() && !world.db().exists());
}

#[test]
fn generations_whose_times_overlap_are_told() {
    for store in Store::all() {
        let world = World::new();
        let config = backed_up(&world, &store, OLD);
        let old = pieces(&world, &store);
        fs::remove_dir_all(world.path(".app.db-litestream")).expect("ours");
        sqlite::insert(&world.db(), 5);
        litestream::back_up(&world, OLD, &config, &[&world.db()]);
        let restore = |to: &str| {
            let ended = operator(&world, "restore").litestream(OLD).config(&config).args(["-o", to]).run();
            ended.expect_code(0).log
        };
        assert!(!restore("one.db").contains("restored from generation"));
        // As a copy that keeps no times may leave it.
        write_at(&old[0], SystemTime::now() + Duration::from_secs(60));
        let told = restore("two.db");
        assert!(told.contains("restored from generation") && told.contains("--generation"), "{told}");
        assert!(told.contains("written to after that began"), "{told}");
    }
}
