//! What a restore brought is looked at before it counts; what is spoiled is not put in place.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST, NO_SOCKET, OLD};
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// After so many commits with rows come some without.
const ROWS: u64 = 8;
const TOUCHES: u64 = 6;
/// The last transaction with rows, and the one before it; the first of all made the tables.
const SPOILED: u64 = 1 + ROWS;
const WHOLE: u64 = SPOILED - 1;

/// What [`World::db`] has on [`World::replica`], each transaction in a file of its own. Another database has a
/// history of the same shape, but with its tables in each other's places.
struct History {
    world: World,
}

fn text(txid: u64) -> String {
    format!("{txid:016x}")
}

impl History {
    fn new(version: &str) -> Self {
        let world = World::new();
        let dbs = [world.db(), world.path("twin.db")];
        let replicas = [world.replica(), Replica::folder(&world.path("twins"))];
        let config =
            world.config_of("levels: [{interval: 1h}]", dbs.iter().map(PathBuf::as_path).zip(&replicas));
        let yaml = fs::read_to_string(&config).unwrap();
        let yaml = yaml.replace("    replicas:", "    monitor-interval: 20ms\n    replicas:");
        fs::write(&config, yaml.replace("\"type\"", "\"sync-interval\":\"20ms\",\"type\"")).unwrap();
        let tables = ["CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);", "CREATE TABLE other (x);"];
        let connections = dbs.each_ref().map(|db| Connection::open(db).unwrap());
        for (connection, order) in connections.iter().zip([[0, 1], [1, 0]]) {
            let sql = order.map(|table| tables[table]).concat();
            connection.busy_timeout(DEADLINE).unwrap();
            connection.execute_batch(&format!("PRAGMA journal_mode = WAL; BEGIN; {sql} COMMIT")).unwrap();
        }
        let running = litestream::replicate(&world, version, &config);
        let commits = (0..=ROWS + TOUCHES).zip(1..);
        for (commit, txid) in commits {
            let sql = match commit {
                0 => String::new(),
                1..=ROWS => "INSERT INTO t (v) VALUES (hex(randomblob(2000))), (hex(randomblob(2000)));
                             INSERT INTO other VALUES (hex(randomblob(3000)))"
                    .to_owned(),
                _ => format!("PRAGMA user_version = {commit}"),
            };
            for (connection, replica) in connections.iter().zip(["replica", "twins"]) {
                connection.execute_batch(&format!("BEGIN; {sql}; COMMIT")).unwrap();
                let file = world.path(&format!("{replica}/ltx/0/{0}-{0}.ltx", text(txid)));
                wait_until("the transaction on its replica", DEADLINE, || file.exists());
            }
        }
        running.stop(0);
        drop(connections);
        // What was put together of them by chance.
        for level in world.list("replica/ltx").into_iter().filter(|level| level != "0") {
            fs::remove_dir_all(world.path("replica/ltx").join(level)).unwrap();
        }
        let history = Self { world };
        assert_eq!(history.world.list("replica/ltx/0").len() as u64, history.newest());
        sqlite::lose(&history.world.db());
        history
    }

    fn newest(&self) -> u64 {
        1 + ROWS + TOUCHES
    }

    /// The file of one transaction.
    fn file(&self, replica: &str, txid: u64) -> PathBuf {
        self.world.path(&format!("{replica}/ltx/0/{0}-{0}.ltx", text(txid)))
    }

    /// From one transaction on the backup is malformed, in files that are what Litestream wrote.
    fn malformed(version: &str) -> Self {
        let history = Self::new(version);
        fs::copy(history.file("twins", SPOILED), history.file("replica", SPOILED)).unwrap();
        let out = history.world.path("control.db");
        Backup::Url(&history.world.replica_url()).try_restore(&history.world, version, &out).expect_code(0);
        assert_ne!(verdict(&out), "ok", "litestream restores it, and it is malformed");
        fs::remove_file(out).unwrap();
        history
    }

    fn keeper(&self, version: &str) -> Keeper {
        unit::keeper(&self.world).litestream(version)
    }

    /// Runs an app that counts its rows and is done.
    fn run(&self, version: &str, options: &[&str]) -> Ended {
        let app = App::new(&self.world.trace()).count(&self.world.db()).exit(0);
        self.keeper(version).args(options).app(app).run()
    }

    /// Nothing was put in place, nothing is left, no app has run.
    #[track_caller]
    fn assert_untouched(&self) {
        let left: Vec<_> = self.world.list("").into_iter().filter(|name| name.contains("app.db")).collect();
        assert_eq!(left, [".app.db-litekeeper.lock"]);
        assert!(self.world.trace().is_empty());
    }

    /// The rows of the database and of its latest restore.
    #[track_caller]
    fn assert_same_on_the_replica(&self, version: &str) -> usize {
        let restored = Backup::Url(&self.world.replica_url()).restore(&self.world, version);
        let ids = sqlite::ids(&self.world.db());
        assert_eq!(sqlite::ids(&restored), ids);
        ids.len()
    }

    /// The txid is taken, and a life with rows of its own and another one after it lose none.
    #[track_caller]
    fn goes_on_from(&self, version: &str, txid: u64) {
        let rows = (txid - 1) as usize * 2;
        let app =
            || App::new(&self.world.trace()).count(&self.world.db()).insert(&self.world.db(), 3).exit(0);
        let ended = self.keeper(version).args(["--restore-txid", &text(txid)]).app(app()).run();
        let ended = ended.expect_code(0).expect_log(&format!("up to {}, is left out", text(self.newest())));
        assert_eq!(self.world.trace().wait("count").rest, rows.to_string(), "{}", ended.log);
        assert_eq!(self.assert_same_on_the_replica(version), rows + 3);

        // The setting is still there, and says that it does nothing.
        let ended = self.keeper(version).args(["--restore-txid", &text(txid)]).app(app()).run();
        ended.expect_code(0).expect_log("--restore-txid has no effect");
        assert_eq!(self.assert_same_on_the_replica(version), rows + 6);
        self.keeper(version).app(app()).run().expect_code(0);
        assert_eq!(self.assert_same_on_the_replica(version), rows + 9);
    }
}

fn verdict(path: &Path) -> String {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let said = database.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    said.unwrap_or_else(|error| error.to_string())
}

#[track_caller]
fn malformed_and_gone_on_from(version: &str) {
    let history = History::malformed(version);
    let ended = history.run(version, &[]).expect_code(69);
    let ended = ended.expect_log("its backup restores to a malformed database: ");
    let hint = format!("\nhint: `--restore-txid {}` takes the newest txid that restores whole", text(WHOLE));
    let ended = ended.expect_log(&hint).expect_log(&format!("up to {}, is left out", text(history.newest())));
    let error = ended.log.lines().find(|line| line.starts_with("error: ")).unwrap();
    let (db, replica) = (history.world.db(), history.world.path("replica"));
    for named in [db.to_str().unwrap(), replica.to_str().unwrap()] {
        assert!(error.contains(named), "{error}");
    }
    assert!(ended.log.matches(": not whole").count() < 7, "by halves: {}", ended.log);
    history.assert_untouched();
    history.goes_on_from(version, WHOLE);
}

#[test]
fn a_malformed_backup_is_not_put_in_place_and_the_newest_whole_one_can_be_taken() {
    malformed_and_gone_on_from(LATEST);
}

#[test]
fn the_same_with_a_litestream_without_a_socket() {
    malformed_and_gone_on_from(NO_SOCKET);
}

#[test]
fn a_broken_file_and_a_missing_one_are_found_as_well() {
    type Spoil = fn(&Path);
    let flip: Spoil = |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cut: Spoil = |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let empty: Spoil = |path| fs::write(path, "").unwrap();
    let remove: Spoil = |path| fs::remove_file(path).unwrap();
    let history = History::new(LATEST);
    let path = history.file("replica", SPOILED);
    let whole = fs::read(&path).unwrap();
    for spoil in [flip, cut, empty, remove] {
        fs::write(&path, &whole).unwrap();
        spoil(&path);
        let ended = history.run(LATEST, &[]).expect_code(69).expect_log("its backup cannot be restored: ");
        ended.expect_log(&format!("hint: `--restore-txid {}` takes", text(WHOLE)));
        history.assert_untouched();
    }
}

#[test]
fn a_broken_file_behind_a_young_snapshot_is_not_read_again() {
    let history = History::new(LATEST);
    let folder = history.world.path("replica/ltx/9");
    fs::create_dir(&folder).unwrap();
    // The first file has every page: it is a snapshot as well.
    let first = history.file("replica", 1);
    fs::copy(&first, folder.join(first.file_name().unwrap())).unwrap();
    let path = history.file("replica", SPOILED);
    let mut bytes = fs::read(&path).unwrap();
    bytes[300] ^= 1;
    fs::write(&path, bytes).unwrap();
    history.goes_on_from(LATEST, WHOLE);
}

#[test]
fn where_nothing_restores_whole_that_is_said() {
    let history = History::new(LATEST);
    fs::write(history.file("replica", 1), "").unwrap();
    history.run(LATEST, &[]).expect_code(69).expect_log("hint: none of its txids restores whole");
    history.assert_untouched();
}

#[test]
fn a_txid_that_is_not_there_is_refused_with_its_neighbours() {
    let history = History::new(LATEST);
    let options = ["--restore-txid", "00000000000000ff"];
    let ended = history.run(LATEST, &options).expect_code(69).expect_log("there is no txid 00000000000000ff");
    ended.expect_log(&format!("hint: the nearest that are there: {}\n", text(history.newest())));
    history.assert_untouched();
}

#[test]
fn a_chosen_txid_is_checked_as_well() {
    let history = History::malformed(LATEST);
    let ended = history.run(LATEST, &["--restore-txid", &text(SPOILED + 2)]).expect_code(69);
    let ended =
        ended.expect_log(&format!("txid {} of its backup restores to a malformed", text(SPOILED + 2)));
    ended.expect_log(&format!("hint: `--restore-txid {}` takes", text(WHOLE)));
    history.assert_untouched();
}

#[test]
fn an_older_state_can_be_taken_from_a_sound_backup() {
    History::new(LATEST).goes_on_from(LATEST, 4);
}

#[test]
fn with_several_databases_it_is_said_which_one_is_meant() {
    let history = History::malformed(LATEST);
    let world = &history.world;
    let twin = world.path("twin.db");
    for name in ["twin.db", "twin.db-wal", "twin.db-shm"] {
        let _ = fs::remove_file(world.path(name));
    }
    fs::remove_dir_all(world.path(".twin.db-litestream")).unwrap();
    let twins = format!("file://{}", world.path("twins").display());
    let run = |options: &[&str]| {
        let app = App::new(&world.trace()).count(&world.db()).count(&twin).exit(0);
        history.keeper(LATEST).db(&twin).replica(&twins).args(options).app(app).run()
    };
    let txid = text(WHOLE);
    run(&["--restore-txid", &txid]).expect_code(78).expect_log("hint: say it before the txid");
    let elsewhere = format!("elsewhere.db={txid}");
    run(&["--restore-txid", &elsewhere]).expect_code(78).expect_log("is no database of this configuration");
    let named = format!("{}={txid}", world.db().display());
    run(&[]).expect_code(69).expect_log(&format!("hint: `--restore-txid {named}` takes"));
    assert!(world.trace().is_empty());
    assert_eq!(sqlite::count(&twin) as u64, ROWS * 2, "the other one is whole");
    run(&["--restore-txid", &format!("app.db={txid}")]).expect_code(0);
    let counts: Vec<_> = world.trace().all("count").into_iter().map(|event| event.rest).collect();
    assert_eq!(counts, [((WHOLE - 1) * 2).to_string(), (ROWS * 2).to_string()]);
}

/// A Litestream whose restores do this with their output, `$out`.
fn restoring(world: &World, version: &str, what: &str) -> PathBuf {
    let binary = litestream::binary(version);
    let script = format!(
        "#!/bin/sh\nout=; before=; for word; do [ \"$before\" = -o ] && out=$word; before=$word; done\n\
         if [ \"$1\" != restore ] || [ \"$out\" = /dev/null ]; then exec {0} \"$@\"; fi\n\
         {0} \"$@\" || exit\n{what}\n",
        binary.display()
    );
    world.program("litestream", &script)
}

/// A world with a backup of ten rows and of what `sql` makes, which a Litestream restores that does this.
fn restored_badly(version: &str, sql: &str, what: &str) -> (World, Keeper) {
    let world = World::new();
    sqlite::create(&world.db(), 10);
    sqlite::open(&world.db()).execute_batch(sql).unwrap();
    litestream::back_up(&world, version, &world.config(&world.replica()), &[&world.db()]);
    for name in ["app.db", "app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(world.path(name));
    }
    fs::remove_dir_all(world.path(".app.db-litestream")).unwrap();
    let app = App::new(&world.trace()).count(&world.db()).exit(0);
    let program = restoring(&world, version, what);
    let keeper = unit::keeper(&world).env("LITESTREAM_BINARY_PATH", program).app(app);
    (world, keeper)
}

/// The same of the rows alone.
fn badly(version: &str, what: &str) -> (World, Keeper) {
    restored_badly(version, "", what)
}

#[test]
fn what_sqlite_cannot_read_is_refused_with_every_litestream() {
    for (version, hint) in [(LATEST, "none of its txids"), (OLD, "`litekeeper restore -o FILE --timestamp")] {
        for (what, words) in [
            (": > \"$out\"", "the file is empty"),
            ("head -c 5000 \"$out\" > half; cat half > \"$out\"", "database disk image is malformed"),
            ("head -c 9000 /dev/zero | tr '\\0' x > \"$out\"", "file is not a database"),
        ] {
            let (world, keeper) = badly(version, what);
            let ended = keeper.run().expect_code(69).expect_log(words);
            ended.expect_log(&format!("hint: {hint}"));
            assert!(!world.db().exists() && world.trace().is_empty());
        }
    }
}

#[test]
fn what_cannot_be_checked_is_not_put_in_place() {
    let (world, keeper) = badly(LATEST, "rm \"$out\"; mkdir \"$out\"");
    keeper.run().expect_code(69).expect_log("the restored file cannot be checked: ");
    assert!(!world.db().exists() && world.trace().is_empty());
}

#[test]
fn a_restore_that_fails_once_for_an_unknown_reason_is_tried_again() {
    let fails =
        "[ -e once ] || { : > once; rm \"$out\"; echo 'Error: decode database: something new' >&2; exit 1; }";
    let (world, keeper) = badly(LATEST, fails);
    keeper.run().expect_code(0).expect_log("restored at the second try; at the first: decode database");
    assert_eq!(world.trace().wait("count").rest, "10");
}

#[test]
fn rows_against_a_rule_of_the_schema_are_put_in_place_and_told() {
    let sql = "ALTER TABLE t ADD COLUMN w; PRAGMA writable_schema = ON; \
               UPDATE sqlite_schema SET sql = replace(sql, ', w)', ', w NOT NULL)') WHERE name = 't'";
    let (world, keeper) = restored_badly(LATEST, sql, ":");
    let ended = keeper.run().expect_code(0);
    ended.expect_log("restored, and SQLite says of what is in it: NULL value in t.w");
    assert_eq!(world.trace().wait("count").rest, "10");
}

/// A check that takes minutes: what is generated is computed.
const SLOW: &str = "CREATE TABLE slow (x);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
     INSERT INTO slow SELECT 10000000 FROM n;
     PRAGMA writable_schema = ON;
     UPDATE sqlite_schema SET sql = 'CREATE TABLE slow (x, y INT NOT NULL AS (length(hex(zeroblob(x)))))'
     WHERE name = 'slow'";

#[test]
fn a_check_that_stands_still_is_given_up() {
    let (world, keeper) = restored_badly(LATEST, SLOW, ":");
    let running = keeper.args(["--restore-timeout", "2s"]).start();
    let check =
        running.wait_process("the check", |process| process.cmdline.iter().any(|arg| arg == "__check"));
    running.kill(&check, Signal::SIGSTOP);
    running.finish().expect_code(69).expect_log("the restored file cannot be checked: no answer within 2 s");
    assert!(!world.db().exists() && world.trace().is_empty());
}

#[test]
fn a_check_ends_with_the_keeper_that_is_told_to_stop() {
    let (world, keeper) = restored_badly(LATEST, SLOW, ":");
    let running = keeper.start();
    running.wait_process("the check", |process| process.cmdline.iter().any(|arg| arg == "__check"));
    running.stop(143);
    assert!(!world.db().exists() && world.trace().is_empty());
}

#[test]
fn litestream_0_3_has_no_txids() {
    let (_world, keeper) = badly(OLD, ":");
    let ended = keeper.args(["--restore-txid", &text(2)]).run().expect_code(78);
    ended.expect_log("--restore-txid: litestream 0.3 has no txids");
}
