//! A database file that is not the one that was left, while Litestream's folder beside it stays: the commonest restore
//! by hand.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::pages;
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

fn run(world: &World, options: &[&str]) -> Ended {
    let app = App::new(&world.trace()).count(&world.db()).insert(&world.db(), 1).exit(0);
    unit::keeper(world).args(options).app(app).run()
}

fn backup(world: &World) -> usize {
    sqlite::count(&Backup::Url(&world.replica_url()).restore(world, LATEST))
}

/// A world whose database was left in order with 21 rows, and the file as it was with 10 of them; `later` comes in between.
fn left(later: impl Fn(&World)) -> (World, PathBuf) {
    let world = World::new();
    sqlite::create(&world.db(), 9);
    run(&world, &[]).expect_code(0);
    let old = world.path("old.db");
    sqlite::open(&world.db()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    fs::copy(world.db(), &old).unwrap();
    assert_eq!(sqlite::count(&old), 10);
    sqlite::insert(&world.db(), 10);
    run(&world, &[]).expect_code(0);
    later(&world);
    (world, old)
}

/// How the old file gets back into its place.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Written over the other one, which keeps its inode.
    Copied,
    /// Renamed.
    Moved,
    /// Copied, with what SQLite has left beside the other one.
    BesideItsLog,
}

const WAYS: [Way; 2] = [Way::Copied, Way::Moved];

fn put_back(world: &World, old: &PathBuf, way: Way) {
    if !matches!(way, Way::BesideItsLog) {
        for name in ["app.db-wal", "app.db-shm"] {
            let _ = fs::remove_file(world.path(name));
        }
    }
    match way {
        Way::Moved => fs::rename(old, world.db()).unwrap(),
        Way::Copied | Way::BesideItsLog => fs::write(world.db(), fs::read(old).unwrap()).unwrap(),
    }
}

#[test]
fn an_older_copy_is_refused_however_it_came_there() {
    for way in WAYS {
        let (world, old) = left(|_| {});
        put_back(&world, &old, way);
        let before = fs::read(world.db()).unwrap();
        for _ in 0..2 {
            let ended = run(&world, &[]).expect_code(69).expect_log("hint: `--if-behind restore`");
            assert!(ended.log.contains("is older than its backup"), "{way:?}: {}", ended.log);
        }
        assert_eq!(fs::read(world.db()).unwrap(), before, "{way:?}");
        assert_eq!(backup(&world), 21, "{way:?}: the backup is as it was");
        assert_eq!(world.trace().all("count").len(), 2, "{way:?}: the app did not start");
    }
}

#[test]
fn an_older_copy_is_kept_and_the_backup_restored_if_that_is_wanted() {
    for way in WAYS {
        let (world, old) = left(|_| {});
        put_back(&world, &old, way);
        let ended = run(&world, &["--if-behind", "restore"]).expect_code(0).expect_log("kept as ");
        assert_eq!(world.trace().all("count").last().unwrap().rest, "21", "{way:?}");
        pages::assert_same(&world, ended);
        assert_eq!(backup(&world), 22, "{way:?}");
    }
}

#[test]
fn an_older_copy_is_gone_on_from_if_that_is_wanted() {
    let (world, old) = left(|_| {});
    put_back(&world, &old, Way::Copied);
    let ended = run(&world, &["--if-behind", "ignore"]).expect_code(0).expect_log("--if-behind ignore");
    assert_eq!(world.trace().all("count").last().unwrap().rest, "10");
    pages::assert_same(&world, ended);
    run(&world, &[]).expect_code(0);
}

#[test]
fn an_older_file_that_its_log_makes_whole_is_what_was_left() {
    let (world, old) = left(|_| {});
    put_back(&world, &old, Way::BesideItsLog);
    let ended = run(&world, &[]).expect_code(0);
    assert_eq!(world.trace().all("count").last().unwrap().rest, "21");
    pages::assert_same(&world, ended);
}

#[test]
fn what_was_written_without_a_keeper_is_gone_on_from_and_said() {
    let (world, _) = left(|world| {
        sqlite::insert(&world.db(), 5);
    });
    let ended =
        run(&world, &[]).expect_code(0).expect_log("somebody wrote to it while litekeeper did not run");
    assert_eq!(world.trace().all("count").last().unwrap().rest, "26");
    pages::assert_same(&world, ended);
    let ended = run(&world, &[]).expect_code(0);
    assert!(!ended.log.contains("somebody wrote"), "{}", ended.log);
}

#[test]
fn an_older_copy_that_was_written_to_is_refused_with_the_choices() {
    let (world, old) = left(|_| {});
    put_back(&world, &old, Way::Moved);
    sqlite::open(&world.db()).execute("UPDATE t SET v = 'by hand' WHERE id = 1", []).unwrap();
    let ended = run(&world, &[]).expect_code(69).expect_log("is not the file that was left");
    ended.expect_log("`--if-behind ignore`");
    assert_eq!(backup(&world), 21);
}

/// What `.restore` of the shell and the backup functions of other languages do: they write the old pages.
#[test]
fn an_older_copy_that_sqlite_itself_puts_back_is_refused() {
    let (world, old) = left(|_| {});
    let mut database = sqlite::open(&world.db());
    let old = Connection::open(old).unwrap();
    rusqlite::backup::Backup::new(&old, &mut database)
        .unwrap()
        .run_to_completion(100, Default::default(), None)
        .unwrap();
    drop(database);
    assert_eq!(sqlite::count(&world.db()), 10);
    run(&world, &[]).expect_code(69).expect_log("`--if-behind ignore`");
    assert_eq!(backup(&world), 21);
}

#[test]
fn an_older_copy_that_has_grown_again_is_refused() {
    let (world, old) = left(|world| {
        sqlite::insert(&world.db(), 3000);
        run(world, &[]).expect_code(0);
    });
    put_back(&world, &old, Way::Copied);
    sqlite::insert(&world.db(), 300);
    run(&world, &[]).expect_code(69).expect_log("`--if-behind ignore`");
}

#[test]
fn a_database_that_was_vacuumed_without_a_keeper_is_gone_on_from() {
    let (world, _) = left(|world| {
        sqlite::insert(&world.db(), 3000);
        run(world, &[]).expect_code(0);
        sqlite::open(&world.db()).execute_batch("DELETE FROM t WHERE id > 40; VACUUM").unwrap();
    });
    let ended = run(&world, &[]).expect_code(0).expect_log("somebody wrote to it");
    pages::assert_same(&world, ended);
}

/// What Litestream keeps for seconds only is taken in while it is there: nothing is copied as a whole for that.
#[test]
fn a_short_retention_restarts_nobody() {
    let world = World::new();
    sqlite::create(&world.db(), 9);
    let config = world.write(
        "short.yml",
        &format!(
            "l0-retention: 2s\nl0-retention-check-interval: 1s\nlevels: [{{interval: 1s}}]\n\
             dbs:\n  - path: {}\n    replica: {{path: {}}}\n",
            world.db().display(),
            world.path("replica").display()
        ),
    );
    let trace = world.trace();
    let keeper = Keeper::new(&world).args(["--config".as_ref(), config.as_os_str()]);
    let running = keeper.app(unit::writer(&trace, &world.db(), 0)).start();
    let local = ".app.db-litestream/ltx/0";
    let first = "0000000000000001-0000000000000001.ltx".to_owned();
    for _ in 0..2 {
        wait_until("files of single transactions to go", DEADLINE, || {
            !world.list(local).contains(&first) && world.list(local).len() > 1
        });
        let newest = world.list(local).pop();
        wait_until("newer ones", DEADLINE, || !world.list(local).contains(newest.as_ref().unwrap()));
    }
    let ended = running.stop(0);
    assert!(!ended.log.contains("copied as a whole"), "{}", ended.log);
    pages::assert_same(&world, ended);
}

#[test]
fn a_broken_file_of_litestreams_is_put_aside() {
    for spoil in
        [|_: &std::path::Path| Vec::new(), |path: &std::path::Path| fs::read(path).unwrap()[..300].to_vec()]
    {
        let (world, _) = left(|_| {});
        let newest = world.list(".app.db-litestream/ltx/0").pop().unwrap();
        let newest = world.path(".app.db-litestream/ltx/0").join(newest);
        fs::write(&newest, spoil(&newest)).unwrap();
        let ended = run(&world, &[]).expect_code(0).expect_log("litestream's own file is broken");
        pages::assert_same(&world, ended);
    }
}

#[test]
fn what_is_no_database_is_refused_at_once() {
    let world = World::new();
    fs::write(world.db(), "this is no database at all").unwrap();
    run(&world, &[]).expect_code(78).expect_log("is no SQLite database");
}

#[test]
fn what_was_left_is_never_refused_whoever_was_killed() {
    let world = World::new();
    for round in 1..=3 {
        let app = unit::writer(&world.trace(), &world.db(), 0);
        let running = unit::keeper(&world).app(app).start();
        world.trace().wait_acked(round * 20);
        let (keeper, litestream) = (running.keeper(), running.litestream());
        litestream.signal(Signal::SIGKILL);
        keeper.signal(Signal::SIGKILL);
        running.finish();
    }
    let ended = run(&world, &[]).expect_code(0);
    pages::assert_same(&world, ended);
    unit::assert_nothing_lost(&world, &world.trace());
}

#[test]
fn a_start_that_finds_all_as_it_was_left_says_nothing() {
    let (world, _) = left(|_| {});
    let ended = run(&world, &[]).expect_code(0);
    assert!(!ended.log.contains("warn"), "{}", ended.log);
    assert!(!ended.log.contains("copied as a whole"), "{}", ended.log);
}

/// The file, its log and the log's index.
const ALL: [&str; 3] = ["app.db", "app.db-wal", "app.db-shm"];

/// Runs the app with a few statements, its log left as Litestream leaves it.
fn live(world: &World, statements: &str) {
    let app = App::new(&world.trace()).sql(&world.db(), statements).exit(0);
    unit::keeper(world).app(app).run().expect_code(0).expect_log("everything is on the replica");
}

fn save(world: &World, names: &[&str]) {
    fs::create_dir_all(world.path("kept")).unwrap();
    for name in names {
        copy(world, name, &format!("kept/{name}"));
    }
}

/// As `cp -a` does it: with the times.
fn copy(world: &World, from: &str, to: &str) {
    let done = std::process::Command::new("cp").arg("-a").args([world.path(from), world.path(to)]).status();
    assert!(done.unwrap().success());
}

/// What is done to the ledger, or to who ran, before an older copy with its log is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ledger {
    Left,
    Removed,
    WithoutHistory,
    Flipped,
    Older,
    AfterAKill,
    /// SQLite has put the log into the file when somebody looked at it.
    LookedAt,
}

#[test]
fn an_older_copy_with_its_log_is_refused_whatever_became_of_the_ledger() {
    use Ledger::{AfterAKill, Flipped, Left, LookedAt, Older, Removed, WithoutHistory};
    std::thread::scope(|scope| {
        for what in [Left, Removed, WithoutHistory, Flipped, Older, AfterAKill, LookedAt] {
            scope.spawn(move || {
                [false, true].map(|in_place| refuses_an_older_copy_with_its_log(what, in_place))
            });
        }
    });
}

fn refuses_an_older_copy_with_its_log(what: Ledger, in_place: bool) {
    let own = ["litekeeper-ledger", "litekeeper-history"];
    let beside = |name: &str| format!(".app.db-litestream/{name}");
    let world = World::new();
    sqlite::create(&world.db(), 200);
    live(&world, "INSERT INTO t (v) VALUES (hex(randomblob(2000)))");
    save(&world, &ALL);
    own.iter().for_each(|name| copy(&world, &beside(name), &format!("kept/{name}")));
    live(&world, "INSERT INTO t (v) VALUES (hex(randomblob(9000)))");
    if what == Ledger::AfterAKill {
        let app = App::new(&world.trace()).insert(&world.db(), 9).wait();
        let running = unit::keeper(&world).app(app).start();
        world.trace().wait_acked(9);
        let (keeper, litestream) = (running.keeper(), running.litestream());
        litestream.signal(Signal::SIGKILL);
        keeper.signal(Signal::SIGKILL);
        running.finish();
    }
    for name in ALL {
        if in_place {
            fs::write(world.path(name), fs::read(world.path("kept").join(name)).unwrap()).unwrap();
        } else {
            fs::remove_file(world.path(name)).unwrap();
            copy(&world, &format!("kept/{name}"), name);
        }
    }
    for name in own {
        let path = world.path(&beside(name));
        match what {
            Ledger::Removed => fs::remove_file(path).unwrap(),
            Ledger::WithoutHistory if name.ends_with("history") => fs::remove_file(path).unwrap(),
            Ledger::Flipped => {
                let mut bytes = fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle..].iter_mut().take(8).for_each(|byte| *byte ^= 0x5a);
                fs::write(path, bytes).unwrap();
            }
            Ledger::Older => copy(&world, &format!("kept/{name}"), &beside(name)),
            Ledger::Left | Ledger::WithoutHistory | Ledger::AfterAKill | Ledger::LookedAt => {}
        }
    }
    if what == Ledger::LookedAt {
        sqlite::count(&world.db());
        drop(sqlite::open(&world.db()));
    }
    let ended = run(&world, &[]);
    assert_eq!(ended.status.code(), Some(69), "{what:?} {in_place}: {}", ended.log);
    ended.expect_log("hint: `--if-behind restore`");
    run(&world, &["--if-behind", "restore"]).expect_code(0);
    assert!(backup(&world) >= 203, "{what:?} {in_place}");
}

/// All that was kept stands in its place again, as other files.
fn move_back(world: &World) {
    for name in ALL {
        fs::remove_file(world.path(name)).unwrap();
        copy(world, &format!("kept/{name}"), name);
    }
}

/// Of all that was kept, Litestream has only the newest file.
#[test]
fn an_older_copy_with_its_log_is_refused_by_the_newest_file_alone() {
    let world = World::new();
    sqlite::create(&world.db(), 200);
    live(&world, "INSERT INTO t (v) VALUES ('one')");
    save(&world, &ALL);
    live(&world, "INSERT INTO t (v) VALUES ('two')");
    move_back(&world);
    let mut files = world.list(".app.db-litestream/ltx/0");
    files.pop();
    for name in files
        .iter()
        .map(|name| format!("ltx/0/{name}"))
        .chain(["litekeeper-ledger".to_owned(), "litekeeper-history".to_owned()])
    {
        fs::remove_file(world.path(".app.db-litestream").join(name)).unwrap();
    }
    run(&world, &[]).expect_code(69).expect_log("its log ends before what litestream has copied of it");
    assert_eq!(backup(&world), 202);
}

/// A page that is as it once was need not be an older copy's.
#[test]
fn what_somebody_sets_back_by_hand_is_gone_on_from_and_said() {
    let by_hand = [
        ("UPDATE t SET v = 'on ' WHERE id = 1", "UPDATE t SET v = 'off' WHERE id = 1"),
        (
            "UPDATE t SET v = 'on ' WHERE id = 1; UPDATE t SET v = 'on ' WHERE id = 900",
            "UPDATE t SET v = 'off' WHERE id = 1",
        ),
        (
            "UPDATE t SET v = 'on ' WHERE id = 1; INSERT INTO t (v) VALUES (hex(randomblob(90000)))",
            "UPDATE t SET v = 'off' WHERE id = 1",
        ),
        ("INSERT INTO t (v) VALUES ('one')", "PRAGMA secure_delete = ON; DELETE FROM t WHERE v = 'one'"),
        (
            "INSERT INTO t (v) SELECT hex(randomblob(600)) FROM t",
            "PRAGMA secure_delete = ON; DELETE FROM t WHERE id > 1000",
        ),
    ];
    for (app, hand) in by_hand {
        let world = World::new();
        sqlite::create(&world.db(), 1);
        sqlite::open(&world.db())
            .execute_batch(
                "WITH c (x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM c WHERE x < 1000)
                 INSERT INTO t SELECT x, 'row' FROM c; UPDATE t SET v = 'off' WHERE id = 1",
            )
            .unwrap();
        live(&world, "SELECT 1");
        live(&world, app);
        sqlite::open(&world.db()).execute_batch(hand).unwrap();
        let ended = run(&world, &[]);
        assert_eq!(ended.status.code(), Some(0), "{hand}: {}", ended.log);
        let ended = ended.expect_log("somebody wrote to it while litekeeper did not run");
        pages::assert_same(&world, ended);
    }
}

#[test]
fn what_is_the_backup_goes_on_whatever_is_missing_of_litestreams_files() {
    let (longer, shorter) =
        ("INSERT INTO t (v) VALUES ('two')", "UPDATE t SET v = 'two' WHERE id = 10; VACUUM");
    for (is_older, later) in [(false, longer), (true, longer), (false, shorter), (true, shorter)] {
        let (meta, old) = (".app.db-litestream", "kept/folder");
        let world = World::new();
        sqlite::create(&world.db(), 9);
        live(&world, "INSERT INTO t (v) VALUES (hex(randomblob(40000)))");
        fs::create_dir(world.path("kept")).unwrap();
        copy(&world, meta, old);
        live(&world, later);
        if later == shorter {
            // Whoever closes it last puts its log into it.
            drop(sqlite::open(&world.db()));
        }
        if is_older {
            fs::remove_dir_all(world.path(meta)).unwrap();
            copy(&world, old, meta);
        } else {
            let newest = world.list(".app.db-litestream/ltx/0").pop().unwrap();
            fs::remove_file(world.path(".app.db-litestream/ltx/0").join(newest)).unwrap();
        }
        let ended = run(&world, &[]).expect_code(0).expect_log("they are put aside");
        let rows = if later == longer { "11" } else { "10" };
        assert_eq!(world.trace().all("count").last().unwrap().rest, rows);
        pages::assert_same(&world, ended);
        let ended = run(&world, &[]).expect_code(0);
        assert!(!ended.log.contains("warn"), "{}", ended.log);
        pages::assert_same(&world, ended);
        assert_eq!(world.list("").iter().filter(|name| name.contains("litekeeper-restore")).count(), 0);
        // With one row more than the backup it is neither.
        let newest = world.list(".app.db-litestream/ltx/0").pop().unwrap();
        fs::remove_file(world.path(".app.db-litestream/ltx/0").join(newest)).unwrap();
        sqlite::insert(&world.db(), 1);
        run(&world, &[]).expect_code(69).expect_log("is older than its backup");
    }
}

/// Whoever was killed, or was not: nothing of a file that nobody can read is taken for somebody's writes.
#[test]
fn pieces_of_an_older_copy_among_newer_pages_are_refused() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    live(&world, "INSERT INTO t (v) SELECT hex(randomblob(2000)) FROM t, sqlite_schema, sqlite_schema AS s");
    drop(sqlite::open(&world.db()));
    let old = fs::read(world.db()).unwrap();
    live(&world, "INSERT INTO t (v) SELECT hex(randomblob(300)) FROM t AS a, t AS b");
    drop(sqlite::open(&world.db()));
    let mut new = fs::read(world.db()).unwrap();
    assert!(new.len() > old.len());
    // The root of the table, which names fewer pages than there are.
    new[4096..8192].copy_from_slice(&old[4096..8192]);
    fs::write(world.db(), new).unwrap();
    run(&world, &[]).expect_code(69).expect_log("`--if-behind ignore`");
}

/// What is in such a log is not in the file yet, and so it cannot be told by the file alone.
#[test]
fn an_older_copy_whose_log_has_all_that_changed_is_refused() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    sqlite::open(&world.db()).execute_batch("INSERT INTO t SELECT 2, hex(randomblob(40000))").unwrap();
    live(&world, "UPDATE t SET v = hex(randomblob(40000)) WHERE id = 2; VACUUM");
    save(&world, &ALL);
    // Whoever closes it last removes its log, and the next one is another.
    drop(sqlite::open(&world.db()));
    live(&world, "UPDATE t SET v = hex(randomblob(40000)) WHERE id = 2; VACUUM");
    move_back(&world);
    run(&world, &[]).expect_code(69).expect_log("`--if-behind ignore`");
}

#[test]
fn an_older_copy_that_was_vacuumed_is_refused() {
    let world = World::new();
    sqlite::create(&world.db(), 30);
    live(&world, "INSERT INTO t (v) SELECT hex(randomblob(2000)) FROM t");
    save(&world, &ALL);
    live(&world, "INSERT INTO t (v) VALUES ('newer')");
    move_back(&world);
    sqlite::open(&world.db()).execute_batch("DELETE FROM t WHERE id % 3 = 0; VACUUM").unwrap();
    run(&world, &[]).expect_code(69).expect_log("`--if-behind ignore`");
}

/// What is gone with it is Litestream's own last row.
#[test]
fn a_log_that_was_removed_after_an_end_in_order_is_no_older_copy() {
    for code in [0, 3] {
        let world = World::new();
        sqlite::create(&world.db(), 9);
        for _ in 0..3 {
            let app = App::new(&world.trace()).insert(&world.db(), 4).exit(code);
            let ended = unit::keeper(&world).args(["--restart", "never"]).app(app).run().expect_code(code);
            ended.expect_log("everything is on the replica");
            let rows = sqlite::count(&world.db());
            for name in ["app.db-wal", "app.db-shm"] {
                let _ = fs::remove_file(world.path(name));
            }
            assert_eq!(sqlite::count(&world.db()), rows);
        }
        pages::assert_same(&world, run(&world, &[]).expect_code(0));
    }
}

/// Two databases of one app whose files were swapped, all that they have being in their logs.
#[test]
fn another_database_with_its_log_is_refused() {
    let world = World::new();
    let rounds = |name: &str, number: u64| {
        for gone in ["app.db", "app.db-wal", "app.db-shm", ".app.db-litestream"] {
            let (gone, away) = (world.path(gone), world.path(&format!("{name}{gone}")));
            if gone.exists() {
                fs::rename(gone, away).unwrap();
            }
        }
        sqlite::create(&world.db(), 3);
        let app = App::new(&world.trace()).insert(&world.db(), number).exit(0);
        unit::keeper(&world).app(app).run().expect_code(0);
    };
    rounds("none-", 5);
    fs::rename(world.path("replica"), world.path("first")).unwrap();
    rounds("first-", 7);
    for name in ALL {
        let other = world.path(&format!("first-{name}"));
        let _ = fs::remove_file(world.path(name));
        if other.exists() {
            fs::rename(other, world.path(name)).unwrap();
        }
    }
    let ended = run(&world, &[]).expect_code(69);
    ended.expect_log("--if-behind restore");
}

/// Made anew by hand, or by an app that found none: the backup's rows would leave the latest restore.
#[test]
fn a_new_database_in_the_place_of_one_that_was_left_is_refused() {
    for killed in [false, true] {
        for in_place in [false, true] {
            let world = World::new();
            sqlite::create(&world.db(), 9);
            if killed {
                let unit = unit::start_writing(&world, unit::keeper(&world));
                let (keeper, litestream) = (unit.keeper(), unit.litestream());
                litestream.signal(Signal::SIGKILL);
                keeper.signal(Signal::SIGKILL);
                unit.finish();
            } else {
                run(&world, &[]).expect_code(0);
            }
            let rows = backup(&world);
            sqlite::create(&world.path("new.db"), 0);
            put_back(&world, &world.path("new.db"), if in_place { Way::Copied } else { Way::Moved });
            let ended = run(&world, &[]).expect_code(69).expect_log("--if-behind restore");
            ended.expect_log("it is a new database");
            assert_eq!(backup(&world), rows, "the backup is as it was");
            let ended = run(&world, &["--if-behind", "restore"]).expect_code(0);
            assert_eq!(backup(&world), rows + 1);
            pages::assert_same(&world, ended);
        }
    }
}

/// Between the end of an app and its next start, or of Litestream's.
#[test]
fn the_app_is_not_started_again_without_its_database() {
    for what in ["app", "litestream"] {
        let world = World::new();
        sqlite::create(&world.db(), 9);
        let app = App::new(&world.trace()).insert(&world.db(), 1).ready().on_exit("USR1", 3).wait();
        let unit = unit::keeper(&world).args(["--restart-delay", "3s"]).app(app).start();
        world.trace().wait("ready");
        match what {
            "app" => unit.signal(Signal::SIGUSR1),
            _ => unit.litestream().signal(Signal::SIGKILL),
        }
        wait_until("the app's end", DEADLINE, || unit.log().contains("starting "));
        for name in ALL {
            let _ = fs::remove_file(world.path(name));
        }
        let ended = unit.finish();
        let code = ended.status.code();
        assert!(matches!(code, Some(69 | 74)), "{what}: {code:?} {}", ended.log);
        let ended = ended.expect_log("was removed, and is on ");
        assert_eq!(world.trace().all("ready").len(), 1, "{what}: {}", ended.log);
        assert!(!world.db().exists());
        run(&world, &[]).expect_code(0).expect_log("restored ");
        // The app's own row may have gone before it was copied.
        assert!(backup(&world) >= 10, "{what}");
    }
}

/// Half of a large transaction is in the file, and what it had before in the journal beside it.
#[test]
fn a_transaction_that_was_killed_without_a_keeper_is_rolled_back_and_no_damage() {
    let (world, _) = left(|_| {});
    let rows = sqlite::count(&world.db());
    let connection = Connection::open(world.db()).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 5; INSERT INTO t (v) VALUES ('by hand')",
        )
        .unwrap();
    connection
        .execute_batch("BEGIN; UPDATE t SET v = hex(randomblob(9000)); DELETE FROM t WHERE id < 15")
        .unwrap();
    connection.execute_batch("INSERT INTO t (v) SELECT hex(randomblob(9000)) FROM t").unwrap();
    let kept = ["app.db", "app.db-journal"].map(|name| {
        let copy = world.path(&format!("half-{name}"));
        fs::copy(world.path(name), &copy).unwrap();
        copy
    });
    assert!(fs::metadata(&kept[1]).unwrap().len() > 0, "it is hot");
    connection.execute_batch("ROLLBACK").unwrap();
    drop(connection);
    fs::write(world.db(), fs::read(&kept[0]).unwrap()).unwrap();
    fs::rename(&kept[1], world.path("app.db-journal")).unwrap();
    let ended = run(&world, &[]).expect_code(0).expect_log("somebody wrote to it");
    assert_eq!(sqlite::count(&world.db()), rows + 2);
    pages::assert_same(&world, ended);
}

/// Its own page count says more than the WAL's last commit: SQLite cannot open it.
#[test]
fn an_older_larger_file_below_a_newer_log_can_be_put_aside() {
    for (keeps_index, keeps_metadata) in [(true, true), (false, true), (false, false)] {
        let world = World::new();
        sqlite::big(&world.db(), 2);
        run(&world, &[]).expect_code(0);
        sqlite::open(&world.db()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let old = fs::read(world.db()).unwrap();
        let database = sqlite::open(&world.db());
        database.execute_batch("DROP TABLE big; VACUUM").unwrap();
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(database);
        live(&world, "UPDATE t SET v = v || '.'");
        assert!(fs::metadata(world.db()).unwrap().len() < old.len() as u64);
        fs::write(world.db(), &old).unwrap();
        if !keeps_index {
            let _ = fs::remove_file(world.path("app.db-shm"));
        }
        if !keeps_metadata {
            fs::remove_dir_all(world.path(".app.db-litestream")).unwrap();
        }
        let ended = run(&world, &[]);
        if ended.status.code() == Some(69) {
            ended.expect_log("--if-behind restore");
            let ended = run(&world, &["--if-behind", "restore"]).expect_code(0).expect_log("kept as ");
            pages::assert_same(&world, ended);
        } else {
            pages::assert_same(&world, ended.expect_code(0));
        }
    }
}
