//! What `verify` says of backups that are what they should be, and of those that are not.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, NO_SOCKET, OLD};
use crate::support::operator::{backed_up, operator, read};
use crate::support::process::{Ended, Running};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// The table of the row.
const TABLE: &str = "_litekeeper_verify";

fn verify(world: &World) -> Keeper {
    operator(world, "verify").env("TMPDIR", private(world))
}

/// Where it restores to.
fn private(world: &World) -> PathBuf {
    let private = world.path("private");
    fs::create_dir_all(&private).expect("ours");
    private
}

/// Runs it to this end, and asserts that nothing is left of it.
#[track_caller]
fn ends(world: &World, keeper: Keeper, code: i32) -> (Value, Ended) {
    let ended = keeper.arg("--json").run().expect_code(code);
    assert_eq!(world.list("private"), Vec::<String>::new());
    (read(&ended.stdout), ended)
}

/// The verdict on the only database, with the code that goes with it.
#[track_caller]
fn says(world: &World, keeper: Keeper, verdict: &str) -> Value {
    let code = match verdict {
        "in-sync" => 0,
        "out-of-sync" => 1,
        "not-restorable" => 69,
        _ => 75,
    };
    let (printed, ended) = ends(world, keeper, code);
    let [one] = printed.as_array().expect("a list").as_slice() else { panic!("{printed}") };
    assert_eq!(one["verdict"], verdict, "{one}");
    assert_eq!(one["error"].is_null(), code == 0, "{one}");
    if code != 0 {
        ended.expect_log("hint: ");
    }
    one.clone()
}

fn has_table(db: &Path) -> bool {
    let select = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?1";
    sqlite::open(db).query_row(select, [TABLE], |row| row.get(0)).expect("a database")
}

/// A keeper that runs on [`World::db`], with an app that goes on writing.
fn running(world: &World, store: &Store) -> Running {
    let config = world.config(&store.replica(world, "app"));
    sqlite::create(&world.db(), 10);
    unit::start_writing(world, Keeper::new(world).envs(S3::env()).config(&config))
}

/// The same, with an app that writes nothing.
fn idle(world: &World, store: &Store, version: &str) -> Running {
    let config = world.config(&store.replica(world, "app"));
    sqlite::create(&world.db(), 10);
    let keeper = Keeper::new(world).envs(S3::env()).litestream(version).config(&config);
    let trace = world.trace();
    let running = keeper
        .app(App::new(&trace).on_last("TERM", &world.db(), 0).insert_forever(&world.db(), 3_600_000))
        .start();
    trace.wait_acked(1);
    running
}

/// The last transaction of a file.
fn last(file: &Path) -> String {
    let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
    name.split_once('-').expect("two transactions").1.to_owned()
}

/// All files below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("ours").flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The files of a backup, the newest last.
fn files(store: &Store, world: &World) -> Vec<PathBuf> {
    let mut files = below(&store.folder(world, "app"));
    files.retain(|path| path.extension().is_some_and(|end| end == "ltx"));
    files.sort_by_key(|path| last(path));
    files
}

#[test]
fn a_running_database_is_in_sync_and_nothing_is_left_in_it() {
    for store in Store::all() {
        let world = World::new();
        let unit = running(&world, &store);
        for keeper in [verify(&world), verify(&world).args(["app.db", "--read-only"])] {
            let one = says(&world, keeper, "in-sync");
            assert_eq!(
                (&one["integrity"], &one["path"]),
                (&"quick".into(), &world.db().to_str().into()),
                "{one}"
            );
            assert!(one["rows_compared"].as_u64().is_some_and(|rows| rows > 10), "{one}");
            assert!(one["replicated_after_ms"].is_u64() && one["restored_after_ms"].is_u64(), "{one}");
            assert!(!has_table(&world.db()));
        }
        unit.stop(0);
    }
}

#[test]
fn without_a_keeper_what_is_there_is_compared_and_nothing_written() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let before = fs::read(world.db()).expect("ours");
        let one = says(&world, verify(&world), "in-sync");
        assert!(one["replicated_after_ms"].is_null() && one["rows_compared"] == 10, "{one}");
        let (_, ended) = ends(&world, verify(&world), 0);
        ended.expect_log("no keeper runs on it, so nothing replicates it now");
        assert_eq!(fs::read(world.db()).expect("ours"), before);
        // Rows that nobody has replicated.
        sqlite::insert(&world.db(), 1);
        says(&world, verify(&world), "out-of-sync");
    }
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    /// Half of it is there.
    Cut,
    /// All but its last byte is there.
    Short,
    /// Nothing is in it.
    Emptied,
    /// A byte is another one, at this share of its length.
    Flipped(f64),
}

const DAMAGES: [Damage; 6] = [
    Damage::Cut,
    Damage::Short,
    Damage::Emptied,
    Damage::Flipped(0.0),
    Damage::Flipped(0.5),
    Damage::Flipped(1.0),
];

fn damage(file: &Path, damage: Damage) {
    let mut bytes = fs::read(file).expect("ours");
    let last = bytes.len() - 1;
    match damage {
        Damage::Cut => bytes.truncate(last / 2),
        Damage::Short => bytes.truncate(last),
        Damage::Emptied => bytes.clear(),
        Damage::Flipped(share) => bytes[(last as f64 * share) as usize] ^= 1,
    }
    fs::write(file, bytes).expect("ours");
}

/// A restore reads what it needs; in a folder each file is.
#[test]
fn a_file_that_is_cut_or_changed_is_found() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let all = files(&store, &world);
        assert!(!all.is_empty());
        let each: Vec<&[PathBuf]> = match &store {
            Store::Folder => all.chunks(1).collect(),
            Store::S3(_) => vec![&all],
        };
        for (files, what) in each.into_iter().flat_map(|files| DAMAGES.map(|what| (files, what))) {
            let whole: Vec<_> = files.iter().map(|file| fs::read(file).expect("ours")).collect();
            files.iter().for_each(|file| damage(file, what));
            let ended = verify(&world).run();
            assert_eq!(ended.status.code(), Some(69), "{what:?} {files:?}: {}{}", ended.stdout, ended.log);
            assert!(ended.stdout.contains("not-restorable") && ended.log.contains("hint: "), "{ended:?}");
            files.iter().zip(whole).for_each(|(file, bytes)| fs::write(file, bytes).expect("ours"));
        }
        says(&world, verify(&world), "in-sync");
    }
}

/// The same of the old series, beside a keeper: without one nobody knows which state it restored.
#[test]
fn a_snapshot_of_the_old_series_that_is_gone_cut_or_changed_is_found() {
    for store in Store::all() {
        let world = World::new();
        let unit = idle(&world, &store, OLD);
        let verify = || verify(&world).litestream(OLD);
        says(&world, verify(), "in-sync");
        let mut snapshots = below(&store.folder(&world, "app"));
        snapshots.retain(|path| path.to_string_lossy().ends_with(".snapshot.lz4"));
        let [file] = snapshots.as_slice() else { panic!("{snapshots:?}") };
        let whole = fs::read(file).expect("ours");
        for what in DAMAGES.map(Some).into_iter().chain([None]) {
            // Where no backup is one may be on its way, which is waited for.
            let limit = if what.is_none() { "2s" } else { "20s" };
            match what {
                Some(what) => damage(file, what),
                None => fs::remove_file(file).expect("ours"),
            }
            let ended = verify().args(["--timeout", limit]).run();
            assert!(matches!(ended.status.code(), Some(1 | 69)), "{what:?}: {}{}", ended.stdout, ended.log);
            assert!(
                !ended.stdout.contains("in-sync") && ended.log.contains("hint: "),
                "{what:?}: {}",
                ended.stdout
            );
            fs::write(file, &whole).expect("ours");
        }
        says(&world, verify(), "in-sync");
        unit.stop(0);
    }
}

#[test]
fn a_file_that_is_gone_is_found() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let all = files(&store, &world);
        let newest = all.last().expect("a backup has files");
        // On a server the newest state has to be gone with it.
        let is_gone = |file: &&PathBuf| match &store {
            Store::Folder => {
                file.parent().is_some_and(|level| level.ends_with("0")) && last(file) == last(newest)
            }
            Store::S3(_) => last(file) == last(newest),
        };
        let gone: Vec<_> = all.iter().filter(is_gone).collect();
        assert!(!gone.is_empty(), "{all:?}");
        gone.into_iter().for_each(|file| fs::remove_file(file).expect("ours"));
        // What is left may restore, and to something older.
        let ended = verify(&world).run();
        assert!(matches!(ended.status.code(), Some(1 | 69)), "{}{}", ended.stdout, ended.log);
    }
}

/// Puts a copy of a folder in the place of another.
fn exchange(with: &Path, place: &Path) {
    fs::remove_dir_all(place).expect("ours");
    copy(with, place);
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp is everywhere");
}

#[test]
fn a_replica_that_is_an_hour_old_is_out_of_sync() {
    for store in Store::all() {
        let world = World::new();
        let config = backed_up(&world, &store, LATEST);
        let (place, old) = (store.folder(&world, "app"), world.path("old"));
        copy(&place, &old);
        sqlite::insert(&world.db(), 5);
        litestream::back_up(&world, LATEST, &config, &[&world.db()]);
        says(&world, verify(&world), "in-sync");
        exchange(&old, &place);
        let one = says(&world, verify(&world), "out-of-sync");
        assert!(one["error"].as_str().is_some_and(|error| error.contains("restores to txid 0")), "{one}");
    }
}

/// Litestream remembers what it has uploaded, and looks at nothing.
#[test]
fn a_replica_that_was_exchanged_under_a_keeper_is_found() {
    for store in Store::all() {
        let world = World::new();
        let unit = idle(&world, &store, LATEST);
        let (place, old) = (store.folder(&world, "app"), world.path("old"));
        says(&world, verify(&world), "in-sync");
        copy(&place, &old);
        for _ in 0..3 {
            sqlite::insert(&world.db(), 1);
            says(&world, verify(&world), "in-sync");
        }
        exchange(&old, &place);
        for keeper in [verify(&world), verify(&world).arg("--read-only")] {
            let ended = keeper.arg("--json").run();
            assert!(matches!(ended.status.code(), Some(1 | 69)), "{}", ended.log);
        }
        assert!(!has_table(&world.db()));
        unit.signal(Signal::SIGTERM);
        unit.finish();
    }
}

#[test]
fn a_database_that_has_parted_from_its_copy_is_out_of_sync() {
    for store in Store::all() {
        let world = World::new();
        let config = world.config(&store.replica(&world, "app"));
        sqlite::create(&world.db(), 10);
        let big = "CREATE TABLE big (v BLOB); INSERT INTO big VALUES (zeroblob(100000))";
        sqlite::open(&world.db()).execute_batch(big).expect("SQL");
        litestream::back_up(&world, LATEST, &config, &[&world.db()]);
        says(&world, verify(&world), "in-sync");
        // In the middle of a row: each table has as many as before.
        let file = fs::File::options().write(true).open(world.db()).expect("ours");
        let at = file.metadata().expect("ours").len() / 2;
        file.write_all_at(b"flipped", at).expect("ours");
        let one = says(&world, verify(&world), "out-of-sync");
        assert!(one["error"].as_str().is_some_and(|error| error.contains("pages are not")), "{one}");
    }
}

#[test]
fn one_that_fails_stops_no_other() {
    let world = World::new();
    for name in ["a.db", "b.db", "c.db"] {
        sqlite::create(&world.path(name), 3);
    }
    let replicas = ["a", "b", "c"].map(|name| Store::Folder.replica(&world, name));
    let paths = ["a.db", "b.db", "c.db"].map(|name| world.path(name));
    let all = || paths.iter().map(PathBuf::as_path).zip(&replicas);
    let config = world.config_of("", all());
    litestream::back_up(&world, LATEST, &config, &[&paths[0], &paths[1], &paths[2]]);
    fs::remove_dir_all(world.path("b")).expect("ours");
    fs::remove_file(&paths[2]).expect("ours");
    let (printed, ended) = ends(&world, verify(&world), 69);
    let verdicts: Vec<_> =
        printed.as_array().expect("a list").iter().map(|one| one["verdict"].clone()).collect();
    assert_eq!(verdicts, ["in-sync", "not-restorable", "inconclusive"]);
    ended.expect_log("holds no backup").expect_log("the database is not there");
    let ended = verify(&world).args(["a.db", "c.db"]).run().expect_code(75);
    assert!(ended.stdout.starts_with("DATABASE") && ended.stdout.contains("in-sync"), "{}", ended.stdout);
    verify(&world).arg("d.db").run().expect_code(64).expect_log("is no database of this configuration");
}

#[test]
fn a_busy_database_is_inconclusive_and_can_be_compared() {
    let world = World::new();
    let unit = idle(&world, &Store::Folder, LATEST);
    let database = sqlite::open(&world.db());
    database.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
    let one = says(&world, verify(&world), "inconclusive");
    assert!(one["error"].as_str().is_some_and(|error| error.contains("database is locked")), "{one}");
    assert!(!verify(&world).run().log.contains("could not be taken away"), "none was put in");
    database.execute_batch("ROLLBACK").expect("SQL");
    says(&world, verify(&world).arg("--read-only"), "in-sync");
    unit.stop(0);
}

#[test]
fn a_replica_that_is_out_of_reach_restores_nothing() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    let store = Store::S3(s3);
    let unit = idle(&world, &store, LATEST);
    let Store::S3(s3) = &store else { panic!("it is") };
    s3.fail_with(503);
    let keeper = verify(&world).args(["--timeout", "3s"]);
    says(&world, keeper, "not-restorable");
    assert!(!has_table(&world.db()));
    s3.resume();
    says(&world, verify(&world), "in-sync");
    unit.stop(0);
}

#[test]
fn who_is_interrupted_leaves_nothing() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    let store = Store::S3(s3);
    let unit = idle(&world, &store, LATEST);
    let Store::S3(s3) = &store else { panic!("it is") };
    s3.pause();
    let interrupted = verify(&world).start();
    wait_until("the row", DEADLINE, || has_table(&world.db()));
    let began = Instant::now();
    interrupted.signal(Signal::SIGINT);
    interrupted.finish().expect_code(130);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(!has_table(&world.db()));
    assert_eq!(world.list("private"), Vec::<String>::new());
    s3.resume();
    says(&world, verify(&world), "in-sync");
    unit.stop(0);
}

/// They confirm nothing, so the row is looked for until it is there.
#[test]
fn releases_without_a_socket_are_waited_for() {
    for version in [OLD, NO_SOCKET] {
        let world = World::new();
        let unit = idle(&world, &Store::Folder, version);
        let one = says(&world, verify(&world).litestream(version), "in-sync");
        assert!(one["replicated_after_ms"].is_u64() && one["rows_compared"].is_u64(), "{one}");
        assert!(!has_table(&world.db()));
        unit.stop(0);
    }
}

/// What was restored is held against all that is committed.
#[test]
fn a_release_that_tells_no_txid_is_compared_with_what_is_there_now() {
    for store in Store::all() {
        let world = World::new();
        let unit = idle(&world, &store, OLD);
        // Nobody writes, so what has come to the replica with this row is all there is.
        says(&world, verify(&world).litestream(OLD), "in-sync");
        wait_until("it to be equal", DEADLINE, || {
            verify(&world).litestream(OLD).arg("--read-only").run().status.code() == Some(0)
        });
        unit.stop(0);
        says(&world, verify(&world).litestream(OLD), "in-sync");
        sqlite::insert(&world.db(), 1);
        let one = says(&world, verify(&world).litestream(OLD), "out-of-sync");
        assert!(one["error"].as_str().is_some_and(|error| error.contains("it is not what")), "{one}");
    }
}

#[test]
fn what_is_written_to_without_a_keeper_is_not_called_out_of_sync() {
    for version in [LATEST, OLD] {
        let world = World::new();
        let config = backed_up(&world, &Store::Folder, version);
        let running = litestream::replicate(&world, version, &config);
        let (path, is_over) = (world.db(), std::sync::atomic::AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    sqlite::insert(&path, 1);
                }
            });
            for _ in 0..3 {
                let ended = verify(&world).litestream(version).arg("--read-only").run();
                let code = ended.status.code();
                if !matches!(code, Some(0 | 75)) {
                    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
                    panic!("{code:?} with {version}: {}", ended.log);
                }
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        running.signal_group(Signal::SIGKILL);
        running.finish();
    }
}

#[test]
fn a_litestream_that_hangs_says_nothing_of_its_replica() {
    for store in Store::all() {
        let world = World::new();
        let unit = idle(&world, &store, LATEST);
        says(&world, verify(&world), "in-sync");
        let litestream = unit.litestream();
        litestream.signal(Signal::SIGSTOP);
        let one = says(&world, verify(&world).args(["--timeout", "3s"]), "inconclusive");
        assert!(one["error"].as_str().is_some_and(|error| error.contains("within 3 s")), "{one}");
        litestream.signal(Signal::SIGCONT);
        unit.stop(0);
    }
}

#[test]
fn what_a_version_cannot_tell_is_one_line_with_the_one_that_can() {
    let world = World::new();
    let unit = idle(&world, &Store::Folder, OLD);
    says(&world, verify(&world).litestream(OLD), "in-sync");
    // Litestream copies nothing meanwhile.
    let litestream = unit.litestream();
    litestream.signal(Signal::SIGSTOP);
    sqlite::insert(&world.db(), 1);
    let one = says(&world, verify(&world).litestream(OLD).arg("--read-only"), "inconclusive");
    assert!(
        one["error"].as_str().is_some_and(|error| error.contains("litestream 0.5.12 and later do")),
        "{one}"
    );
    litestream.signal(Signal::SIGCONT);
    unit.stop(0);
}

/// What is taken away after the last drain would be in the database alone.
#[test]
fn a_keeper_that_stops_meanwhile_leaves_the_database_as_its_backup_is() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    let config = world.config(&s3.replica("backups", "app"));
    sqlite::create(&world.db(), 10);
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    let running = Keeper::new(&world).config(&config).envs(S3::env()).app(app).start();
    world.trace().wait("ready");
    // Long enough for the stop to come between.
    s3.throttle(2 << 10);
    let verifying = verify(&world).start();
    let has_table = || {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
        sqlite::open(&world.db()).query_row(sql, [TABLE], |row| row.get::<_, i64>(0)).unwrap_or(0) > 0
    };
    wait_until("the row", DEADLINE, has_table);
    running.signal(Signal::SIGTERM);
    running.finish();
    s3.resume();
    verifying.finish();
    let ended = verify(&world).arg("--read-only").run();
    let code = ended.status.code();
    assert!(code == Some(0), "{code:?}: {}", ended.log);
}
