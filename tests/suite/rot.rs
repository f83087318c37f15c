//! Bytes of a database, or of Litestream's own files, that nobody wrote: a disk changed them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::litestream::{Backup, LATEST};
use crate::support::pages;
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

const PAGE: u64 = 4096;
/// Compared at each start, and so large that it is compared while the app runs.
const MEBIBYTES: [u32; 2] = [20, 70];

/// A world with a database of this size, replicated and left in order, and nothing in its WAL but what one row changed.
fn left(mebibytes: u32) -> World {
    let world = World::new();
    sqlite::big(&world.db(), mebibytes);
    let database = sqlite::open(&world.db());
    database
        .execute_batch(
            "CREATE TABLE fixed (id INTEGER PRIMARY KEY, v TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO fixed (v) SELECT printf('%0200d a fixed row', i) FROM n;",
        )
        .unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(database);
    run(&world, &[]).expect_code(0);
    world
}

fn run(world: &World, options: &[&str]) -> Ended {
    unit::keeper(world).args(options).app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run()
}

/// Changes some bytes of the file, which are those of a blob, as a disk does: at no time that anybody could tell.
fn damage(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    change(file, length / 2 / PAGE * PAGE + PAGE / 2, |bytes| bytes.map(|byte| byte ^ 0x5a), true);
}

fn change(path: &Path, at: u64, changed: impl Fn([u8; 16]) -> [u8; 16], keeps_time: bool) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    let mut bytes = [0; 16];
    file.read_exact_at(&mut bytes, at).unwrap();
    file.write_all_at(&changed(bytes), at).unwrap();
    if keeps_time {
        file.set_modified(time).unwrap();
    }
}

/// Breaks a leaf of the table `fixed`, so that SQLite cannot read it.
fn break_leaf(world: &World, keeps_time: bool) {
    let bytes = fs::read(world.db()).unwrap();
    let has = |page: &[u8], text: &[u8]| page.windows(text.len()).any(|piece| piece == text);
    let leaf = bytes.chunks(PAGE as usize).position(|page| page[0] == 0x0d && has(page, b"a fixed row"));
    let at = leaf.expect("the table has leaves") as u64 * PAGE;
    change(&world.db(), at, |_| [0xff; 16], keeps_time);
}

#[track_caller]
fn assert_backup_is_whole(world: &World) {
    let out = world.path("restored.db");
    let restored = Backup::Url(&world.replica_url()).try_restore(world, LATEST, &out);
    assert!(restored.status.success(), "{}", restored.log);
    sqlite::assert_sound(&out);
    fs::remove_file(out).unwrap();
}

#[test]
fn what_changed_while_nobody_ran_is_not_confirmed_as_it_was() {
    for mebibytes in MEBIBYTES {
        let world = left(mebibytes);
        damage(&world.db());
        let ended =
            run(&world, &["--stop-timeout", "1m"]).expect_code(0).expect_log("it is copied as a whole");
        pages::assert_same(&world, ended);
    }
}

#[test]
fn a_start_says_that_the_file_has_changed_and_not_the_backup() {
    let world = left(1);
    damage(&world.db());
    let ended = run(&world, &[]).expect_code(0).expect_log("although nobody wrote to it");
    assert!(!ended.log.contains("cannot be trusted"), "{}", ended.log);
    pages::assert_same(&world, ended);
}

#[test]
fn a_large_file_is_compared_once_the_app_is_up() {
    let world = left(70);
    damage(&world.db());
    // Whatever it writes would have the WAL begin anew, some time later.
    let app = App::new(&world.trace()).ready().on_exit("TERM", 0).wait();
    let unit = unit::keeper(&world).app(app).start();
    wait_until("a copy of the whole", DEADLINE, || unit.log().contains("it is copied as a whole"));
    wait_until("the app's second start", DEADLINE, || world.trace().all("ready").len() == 2);
    unit.signal(Signal::SIGTERM);
    pages::assert_same(&world, unit.finish().expect_code(0));
}

#[test]
fn what_changes_while_the_app_runs_is_found_at_the_end() {
    for mebibytes in MEBIBYTES {
        let world = left(mebibytes);
        let app = App::new(&world.trace()).insert(&world.db(), 1).ready().on_exit("TERM", 0).wait();
        // A database of this size is copied twice in it, on whatever machine.
        let unit = unit::keeper(&world).args(["--stop-timeout", "60s"]).app(app).start();
        world.trace().wait("ready");
        damage(&world.db());
        unit.signal(Signal::SIGTERM);
        let ended = unit.finish().expect_code(0).expect_log("it is copied as a whole");
        pages::assert_same(&world, ended);
    }
}

#[test]
fn what_sqlite_cannot_read_is_not_copied_over_a_backup_that_is_whole() {
    for keeps_time in [true, false] {
        let world = left(1);
        break_leaf(&world, keeps_time);
        for _ in 0..2 {
            let ended = run(&world, &[]).expect_code(69).expect_log("the file is damaged");
            ended
                .expect_log("hint: its backup is as litestream had it before")
                .expect_log("--if-behind restore");
            assert_backup_is_whole(&world);
        }
        let ended = run(&world, &["--if-behind", "restore"]).expect_code(0).expect_log("kept as ");
        pages::assert_same(&world, ended);
    }
}

#[test]
fn a_wal_whose_end_sqlite_would_leave_out_is_refused() {
    for keeps_time in [true, false] {
        let world = left(1);
        let log = world.path("app.db-wal");
        // The first frame's page: all that follows counts for nothing.
        change(&log, 32 + 24 + 2000, |bytes| bytes.map(|byte| byte ^ 0x5a), keeps_time);
        run(&world, &[]).expect_code(69).expect_log("its WAL is damaged").expect_log("--if-behind restore");
        let ended = run(&world, &["--if-behind", "restore"]).expect_code(0).expect_log("kept as ");
        pages::assert_same(&world, ended);
        assert_eq!(sqlite::count(&world.db()), 3);
    }
}

/// What SQLite takes for no log at all.
#[test]
fn a_wal_whose_header_is_damaged_is_refused() {
    for at in [0, 8, 16, 24] {
        for keeps_index in [true, false] {
            let world = left(1);
            change(&world.path("app.db-wal"), at, |bytes| bytes.map(|byte| byte ^ 0x5a), false);
            if !keeps_index {
                fs::remove_file(world.path("app.db-shm")).unwrap();
            }
            run(&world, &[]).expect_code(69).expect_log("the header of its WAL is damaged");
            let ended = run(&world, &["--if-behind", "restore"]).expect_code(0).expect_log("kept as ");
            pages::assert_same(&world, ended);
            assert_eq!(sqlite::count(&world.db()), 3, "{at} {keeps_index}");
        }
    }
}

/// The file has all that was copied, so nothing is missing; Litestream would not get past it.
#[test]
fn a_wal_whose_header_is_damaged_after_a_crash_is_emptied() {
    for is_new in [false, true] {
        let world = left(1);
        if is_new {
            fs::remove_dir_all(world.path(".app.db-litestream")).unwrap();
            fs::remove_dir_all(world.path("replica")).unwrap();
        } else {
            let unit = unit::keeper(&world).app(App::new(&world.trace()).ready().wait()).start();
            world.trace().wait("ready");
            // What was in the log when it was copied is in the file now.
            sqlite::open(&world.db()).query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
            let (keeper, litestream) = (unit.keeper(), unit.litestream());
            litestream.signal(Signal::SIGKILL);
            keeper.signal(Signal::SIGKILL);
            unit.finish();
        }
        change(&world.path("app.db-wal"), 16, |bytes| bytes.map(|byte| byte ^ 0x5a), false);
        pages::assert_same(&world, run(&world, &[]).expect_code(0));
    }
}

#[test]
fn a_database_whose_header_is_damaged_is_refused() {
    for at in [0, 8, 15, 18, 19, 21] {
        let world = left(1);
        // The log has no first page that would count in its place.
        sqlite::open(&world.db()).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        run(&world, &[]).expect_code(0);
        let rows = sqlite::count(&world.db());
        for name in ["app.db-wal", "app.db-shm"] {
            let _ = fs::remove_file(world.path(name));
        }
        change(
            &world.db(),
            at,
            |mut bytes| {
                bytes[0] ^= 4;
                bytes
            },
            false,
        );
        run(&world, &[]).expect_code(69).expect_log("the file is damaged").expect_log("--if-behind restore");
        let checked = unit::keeper(&world).command("check").args(["--", "true"]).run().stdout;
        assert_eq!(checked.contains("[damaged]"), at < 16, "{at}: {checked}");
        let ended = run(&world, &["--if-behind", "restore"]).expect_code(0).expect_log("kept as ");
        pages::assert_same(&world, ended);
        assert!(sqlite::count(&world.db()) > rows - 1, "{at}");
    }
}

/// The backup that would take its place is not there.
#[test]
fn a_damaged_file_without_a_backup_is_not_put_aside() {
    let world = left(1);
    break_leaf(&world, false);
    fs::remove_dir_all(world.path("replica")).unwrap();
    for first in [false, true] {
        if first {
            // Nothing is known of it, and SQLite cannot even open it.
            fs::remove_dir_all(world.path(".app.db-litestream")).unwrap();
            for name in ["app.db-wal", "app.db-shm"] {
                let _ = fs::remove_file(world.path(name));
            }
            change(&world.db(), 96, |_| [0xff; 16], false);
        }
        for option in ["refuse", "restore"] {
            let ended = run(&world, &["--if-behind", option]).expect_code(69).expect_log("holds no backup");
            ended.expect_log("the file is damaged");
            assert!(world.db().exists());
        }
    }
}

#[test]
fn what_sqlite_cannot_read_is_gone_on_from_if_that_is_wanted() {
    let world = left(1);
    break_leaf(&world, true);
    let ended = run(&world, &["--if-behind", "ignore"]).expect_code(0);
    ended.expect_log("as --if-behind ignore says").expect_log("will give a malformed database");
}

#[test]
fn what_sqlite_cannot_read_any_more_ends_a_running_unit() {
    let world = left(70);
    let app = App::new(&world.trace()).insert(&world.db(), 1).ready().on_exit("TERM", 0).wait();
    let unit = unit::keeper(&world).app(app).start();
    world.trace().wait("ready");
    break_leaf(&world, true);
    unit.signal(Signal::SIGTERM);
    unit.finish().expect_code(74).expect_log("the file is damaged");
    assert_backup_is_whole(&world);
    run(&world, &[]).expect_code(69).expect_log("the file is damaged");
    assert_backup_is_whole(&world);
}

#[test]
fn a_large_file_that_sqlite_cannot_read_ends_the_unit_once_it_is_compared() {
    let world = left(70);
    break_leaf(&world, true);
    let app = App::new(&world.trace()).ready().on_exit("TERM", 0).wait();
    let ended = unit::keeper(&world).app(app).run().expect_log("the file is damaged");
    let code = ended.status.code();
    assert!([Some(69), Some(74)].contains(&code), "{code:?}: {}", ended.log);
    // Litestream may have made its snapshot of the day meanwhile, of the damaged file.
    let mut ended = run(&world, &["--if-behind", "restore"]);
    if let Some((_, txid)) = ended.log.split_once("hint: `--restore-txid ") {
        let txid = txid.split_once('`').expect("the option ends").0.to_owned();
        ended = run(&world, &["--restore-txid", &txid]);
    }
    pages::assert_same(&world, ended.expect_code(0));
}

#[test]
fn a_file_of_litestreams_with_other_bytes_is_put_aside() {
    let world = left(1);
    let folder = world.path(".app.db-litestream/ltx/0");
    let newest = folder.join(world.list(".app.db-litestream/ltx/0").pop().unwrap());
    let middle = fs::metadata(&newest).unwrap().len() / 2;
    change(
        &newest,
        middle,
        |mut bytes| {
            bytes[..4].iter_mut().for_each(|byte| *byte ^= 0x5a);
            bytes
        },
        true,
    );
    let ended = run(&world, &[]).expect_code(0).expect_log("litestream's own file is broken");
    pages::assert_same(&world, ended);
}
