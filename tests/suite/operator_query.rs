//! What an operator asks replicas in SQL.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::install::archive;
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, OLD, back_up};
use crate::support::operator::{backed_up, operator, printed, read};
use crate::support::process::{Ended, Running};
use crate::support::s3::S3;
use crate::support::server::free_port;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::vfs;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// `litekeeper query` with the real extension.
fn query(world: &World, target: impl AsRef<std::ffi::OsStr>) -> Keeper {
    operator(world, "query").env("LITEKEEPER_VFS_LIBRARY", vfs::library()).arg(target)
}

fn counted(keeper: Keeper) -> Value {
    printed::<Value>(keeper.arg("SELECT count(*) AS n FROM t"), 0)
}

fn url(world: &World, store: &Store) -> String {
    match store {
        Store::Folder => format!("file://{}", world.path("app").display()),
        Store::S3(s3) => s3.url("backups", "app"),
    }
}

/// With `.stdin` of a text.
fn fed(keeper: Keeper, sql: &str) -> Ended {
    let mut running = keeper.piped_stdin().start();
    running.feed(sql.as_bytes());
    running.end_stdin();
    running.finish()
}

#[test]
fn the_present_and_the_past_are_asked_on_folders_and_s3_by_database_and_url() {
    for store in Store::all() {
        let world = World::new();
        let config = backed_up(&world, &store, LATEST);
        let before = jiff::Timestamp::now();
        // Litestream's files have times in milliseconds.
        wait_until("the next moment", DEADLINE, || {
            jiff::Timestamp::now().duration_since(before).as_millis() > 50
        });
        sqlite::insert(&world.db(), 5);
        back_up(&world, LATEST, &config, &[&world.db()]);
        assert_eq!(counted(query(&world, "app.db")), json!([{"n": 15}]));
        let past = || query(&world, "app.db").args(["--at", &before.to_string()]);
        assert_eq!(counted(past()), json!([{"n": 10}]));
        let old = query(&world, "app.db").args(["--at", "2020-01-01", "SELECT 1"]).run().expect_code(69);
        old.expect_log("holds no state of that time").expect_log("hint: ");
        // Nothing is left beside the database, and nothing is written to the replica.
        fs::remove_file(config).expect("ours");
        assert_eq!(counted(query(&world, url(&world, &store))), json!([{"n": 15}]));
        assert_eq!(
            printed::<Value>(
                query(&world, url(&world, &store)).args([
                    "--at",
                    &before.to_string(),
                    "SELECT max(id) AS id FROM t"
                ]),
                0
            ),
            json!([{"id": 10}])
        );
    }
}

#[test]
fn rows_are_a_table_json_or_csv() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let sql =
        "SELECT 7 AS i, 2.0 AS r, NULL AS n, 'a \"b\"' AS t, x'00ff' AS b; SELECT 1 AS i WHERE 0; -- done";
    let run = |args: &[&str]| query(&world, "app.db").args(args).arg(sql).run().expect_code(0).stdout;
    assert_eq!(
        run(&[]),
        "i  r    n     t      b\n-  ---  ----  -----  -------\n7  2.0  NULL  a \"b\"  x'00ff'\ni\n-\n"
    );
    assert_eq!(run(&["--csv"]), "i,r,n,t,b\n7,2.0,,\"a \"\"b\"\"\",00ff\ni\n");
    let json = run(&["--json"]);
    let (first, second) = json.split_once("]\n").expect("two arrays");
    assert_eq!(
        read::<Value>(&format!("{first}]")),
        json!([{"i": 7, "r": 2.0, "n": null, "t": "a \"b\"", "b": "00ff"}])
    );
    assert_eq!(read::<Value>(second), json!([]));
    query(&world, "app.db").args(["--csv", "--json", "SELECT 1"]).run().expect_code(2);
}

/// A million rows go through a pipe that is closed after the first ones, and through one that is read to its end.
#[test]
fn many_rows_are_written_as_they_come() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT i, hex(randomblob(50)) FROM n";
    let (mut command, _) = query(&world, "app.db").args(["--csv", sql]).command_and_mark();
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let mut beginning = [0; 10];
    std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut beginning).expect("rows");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success(), "nobody reads to the end, which is no failure");
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let ended = query(&world, "app.db").args(["--timeout", "10s", endless]).run().expect_code(69);
    ended.expect_log("the statement gave no row within 10 s");
}

#[test]
fn sql_comes_from_standard_input_up_to_the_first_statement_that_fails() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let ended = fed(query(&world, "app.db").arg("--csv"), "SELECT count(*) AS n\nFROM t;\nSELECT ';' AS s")
        .expect_code(0);
    assert_eq!(ended.stdout, "n\n10\ns\n;\n");
    let ended = fed(query(&world, "app.db").arg("--csv"), "SELECT 1 AS n;\nSELECT x FROM t;\nSELECT 2;\n")
        .expect_code(64);
    assert_eq!(ended.stdout, "n\n1\n");
    ended.expect_log("error: no such column: x").expect_log("hint: ");
    assert_eq!(fed(query(&world, "app.db"), "").expect_code(0).stdout, "");
    let mut running = query(&world, "app.db").piped_stdin().start();
    running.feed(b"SELECT '\xff';\n");
    running.end_stdin();
    running.finish().expect_code(69).expect_log("it is not UTF-8");
}

#[test]
fn what_writes_is_refused_and_nothing_is_written() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let before = world.list("");
        for sql in [
            "INSERT INTO t (v) VALUES ('x')",
            "DROP TABLE t",
            "CREATE TABLE u (x)",
            "ATTACH 'other.db' AS other",
            "VACUUM INTO 'other.db'",
            "PRAGMA litestream_write_enabled = 1",
            "PRAGMA user_version = 7",
        ] {
            let ended = query(&world, "app.db").arg(sql).run().expect_code(64);
            ended.expect_log("a replica can only be read").expect_log("hint: ");
        }
        // Nor by what the environment says.
        let asked =
            query(&world, "app.db").env("LITESTREAM_WRITE_ENABLED", "true").arg("DELETE FROM t").run();
        asked.expect_code(64);
        assert_eq!(counted(query(&world, "app.db")), json!([{"n": 10}]));
        assert_eq!(world.list(""), before);
    }
}

#[test]
fn what_the_old_litestream_has_written_is_told_at_once() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, OLD);
        for version in [LATEST, OLD] {
            let asked = query(&world, "app.db").litestream(version).args(["--timeout", "1h", "SELECT 1"]);
            let ended = asked.run().expect_code(69).expect_log("0.3").expect_log("`litekeeper restore");
            assert_eq!(ended.log.lines().count(), 2, "{}", ended.log);
        }
    }
}

#[test]
fn a_replica_without_a_backup_is_told_and_one_that_does_not_answer_ends_in_time() {
    let [folder, store] = Store::all();
    for store in [&folder, &store] {
        let world = World::new();
        fs::create_dir(world.path("app")).expect("ours");
        sqlite::create(&world.db(), 1);
        world.config(&store.replica(&world, "app"));
        for target in ["app.db".to_owned(), url(&world, store)] {
            let ended = query(&world, &target).arg("SELECT 1").run().expect_code(69);
            ended.expect_log("holds no backup").expect_log("hint: ");
        }
    }
    let Store::S3(s3) = store else { panic!("S3 is the last") };
    let world = World::new();
    let nowhere = format!("file://{}", world.path("nowhere").display());
    query(&world, nowhere).arg("SELECT 1").run().expect_code(69).expect_log("holds no backup");
    let gone = format!("s3://backups/app?endpoint=http://127.0.0.1:{}&region=us-east-1", free_port());
    let ended = query(&world, &gone).args(["--timeout", "10s", "SELECT 1"]).run().expect_code(69);
    ended.expect_log("replica s3://backups/app").expect_log("hint: ");
    let wrong = query(&world, s3.url("backups", "app")).env("LITESTREAM_SECRET_ACCESS_KEY", "wrong");
    let wrong = wrong.env("AWS_SECRET_ACCESS_KEY", "wrong");
    wrong.args(["--timeout", "10s", "SELECT 1"]).run().expect_code(69).expect_log("replica s3://backups/app");
    s3.pause();
    let silent = query(&world, s3.url("backups", "app")).args(["--timeout", "5s", "SELECT 1"]).run();
    silent.expect_code(69).expect_log("within 5 s").expect_log("hint: ");
}

#[test]
fn a_name_that_is_unknown_lists_those_that_are() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let top =
        "litekeeper:\n  vfs: {reports: 's3://b/reports', other: {url: 's3://b/other', max-lag-seconds: 5}}\n";
    world.config_of(top, [(world.db().as_path(), &world.replica())]);
    let ended = query(&world, "nope").arg("SELECT 1").run().expect_code(64);
    ended
        .expect_log("`nope` is no replica of `litekeeper.vfs` and no database")
        .expect_log("the replicas are: reports, other")
        .expect_log("app.db");
    query(&world, "app.db").args(["--at", "2h", "SELECT 1"]).run().expect_code(2).expect_log("not a time");
    for vfs in ["a: b", "a: {lag: 5}", "a: {url: 's3://b', x: 1}", "library: 's3://b'", "max-lag-seconds: x"]
    {
        world.config_of(
            &format!("litekeeper:\n  vfs: {{{vfs}}}\n"),
            [(world.db().as_path(), &world.replica())],
        );
        let ended = query(&world, "app.db").arg("SELECT 1").run().expect_code(78);
        ended.expect_log("litekeeper.vfs").expect_log("hint: ");
    }
}

#[test]
fn without_the_extension_the_next_step_is_said() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let bare = || {
        operator(&world, "query")
            .env("LITESTREAM_INSTALL_DIR", world.path("bin"))
            .args(["app.db", "SELECT 1"])
    };
    bare().run().expect_code(78).expect_log("was not found").expect_log("litekeeper install --vfs");
    let named = bare().env("LITEKEEPER_VFS_LIBRARY", "none.so").run().expect_code(78);
    named.expect_log("LITEKEEPER_VFS_LIBRARY: ").expect_log("is no file");
    fs::write(world.path("broken.so"), "no library").expect("ours");
    let broken = bare().args(["--vfs-library", "broken.so"]).run().expect_code(78);
    broken.expect_log("the extension cannot be loaded").expect_log("litekeeper install --vfs");
}

/// The file of a machine that only reads, with a key at its top and a password in a URL.
#[test]
fn a_replica_with_a_name_needs_no_database_and_its_key_is_in_one_process_alone() {
    let s3 = S3::start();
    s3.bucket("backups");
    let store = Store::S3(s3);
    let world = World::new();
    let config = backed_up(&world, &store, LATEST);
    let [(_, id), (_, secret)] = S3::env();
    let text = format!(
        "access-key-id: {id}\nsecret-access-key: {secret}\nlitekeeper:\n  vfs:\n    reports: '{}'\n",
        url(&world, &store)
    );
    fs::write(config, text).expect("ours");
    let asked = || {
        let keeper = Keeper::new(&world).command("query").env("LITEKEEPER_VFS_LIBRARY", vfs::library());
        keeper.arg("reports")
    };
    assert_eq!(counted(asked()), json!([{"n": 10}]));
    let mut running = asked().piped_stdin().start();
    running.feed(b"SELECT 'here';\n");
    running.wait_stdout("here");
    for process in running.tree() {
        let of = |what: &str| fs::read(format!("/proc/{}/{what}", process.pid)).unwrap_or_default();
        let has = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        let words = of("cmdline");
        let is_asking = words.windows(7).any(|part| part == b"__query");
        assert!(!has(&words), "{}", String::from_utf8_lossy(&words));
        assert_eq!(has(&of("environ")), is_asking, "{}", String::from_utf8_lossy(&words));
    }
    running.end_stdin();
    running.finish().expect_code(0);
}

/// It is asked until the lag is told, while the server is silent; what was read once is still there.
#[test]
fn a_replica_that_has_not_answered_for_long_is_told_and_is_1() {
    let s3 = S3::start();
    s3.bucket("backups");
    let store = Store::S3(s3);
    let world = World::new();
    let config = backed_up(&world, &store, LATEST);
    fs::write(
        &config,
        format!("litekeeper:\n  vfs: {{reports: {{url: '{}', max-lag-seconds: 1}}}}\n", url(&world, &store)),
    )
    .expect("ours");
    let mut running = query(&world, "reports").piped_stdin().start();
    running.feed(b"SELECT 'first' FROM sqlite_schema;\n");
    running.wait_stdout("first");
    let Store::S3(s3) = &store else { panic!("it is") };
    s3.pause();
    ask_until(&mut running, "has not answered for");
    s3.resume();
    running.end_stdin();
    let ended = running.finish().expect_code(1);
    assert_eq!(ended.log.matches("has not answered for").count(), 1, "{}", ended.log);
    assert_eq!(counted(query(&world, "reports")), json!([{"n": 10}]));
}

fn ask_until(running: &mut Running, words: &str) {
    wait_until(words, DEADLINE, || {
        running.feed(b"SELECT 1;\n");
        running.log().contains(words)
    });
}

#[test]
fn on_a_terminal_without_sql_it_is_a_shell() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let (mut terminal, line) = query(&world, "app.db").terminal();
    terminal.line(&format!("{line}; echo code-$?"));
    terminal.wait("replica> ");
    terminal.line(".tables");
    terminal.wait("name");
    terminal.line(".schema t");
    terminal.wait("CREATE TABLE t");
    terminal.line("SELECT count(*) + 4000");
    terminal.wait("...> ");
    terminal.line("FROM t;");
    terminal.wait("4010");
    terminal.line("DROP TABLE t;");
    terminal.wait("can only be read");
    terminal.line(".nonsense");
    terminal.wait("no such command");
    terminal.line("SELECT char(27) || '[31mred';");
    terminal.wait("\\u{1b}[31mred");
    terminal.line(".quit");
    terminal.wait("code-0");
}

#[test]
fn the_app_gets_the_replicas_and_the_extension() {
    let world = World::new();
    let root = world.root().display();
    let top = "litekeeper:\n  vfs:\n    sales-report: 's3://reader:hunter2-of-url@b/reports'\n    max_lag_seconds: 60\n";
    sqlite::create(&world.db(), 1);
    let config = world.config_of(top, [(world.db().as_path(), &world.replica())]);
    let script = format!("echo $LITEKEEPER_VFS_SALES_REPORT $LITEKEEPER_VFS_LIBRARY > {root}/seen");
    let keeper = Keeper::new(&world).config(&config).env("LITEKEEPER_VFS_LIBRARY", vfs::library());
    let ended = keeper.args(["--restart", "never"]).app(["sh", "-c", &script]).run().expect_code(0);
    let seen = fs::read_to_string(world.path("seen")).expect("it was written");
    assert_eq!(seen, format!("s3://reader:hunter2-of-url@b/reports {}\n", vfs::library().display()));
    assert!(!ended.log.contains("hunter2"), "{}", ended.log);
    let shown = Keeper::new(&world).command("config").config(&config).run().expect_code(0);
    assert!(!shown.stdout.contains("hunter2") && shown.stdout.contains("sales-report"), "{}", shown.stdout);
    let unset = Keeper::new(&world).config(&config).env("LITESTREAM_INSTALL_DIR", world.path("none"));
    unset.args(["--restart", "never"]).app(["true"]).run().expect_log("litekeeper install --vfs");
}

#[test]
fn the_extension_is_installed_from_its_package_and_found_again() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let bin = world.path("bin");
    let install = || Keeper::new(&world).command("install").arg("--vfs").env("LITESTREAM_INSTALL_DIR", &bin);
    // Not what it should be: nothing is left.
    fs::write(world.path("wrong.tar.gz"), archive(&[("litestream.so", b"no library")])).expect("ours");
    let wrong = install().args(["--file", "wrong.tar.gz"]).run().expect_code(69).expect_log("checksum");
    assert!(!bin.join("litestream-vfs.so").exists(), "{}", wrong.log);
    fs::write(world.path("other.tar.gz"), archive(&[("litestream", b"x")])).expect("ours");
    install().args(["--file", "other.tar.gz"]).run().expect_code(69).expect_log("holds no");
    let ended = install().args(["--from", "pip"]).run().expect_code(0).expect_log("litestream-vfs");
    assert_eq!(Path::new(ended.stdout.trim()), bin.join("litestream-vfs.so"));
    assert_eq!(fs::read_dir(&bin).expect("ours").count(), 1);
    install().run().expect_code(0).expect_log("is there already");
    let found = operator(&world, "query").env("LITESTREAM_INSTALL_DIR", &bin).arg("app.db");
    assert_eq!(counted(found), json!([{"n": 10}]));
}

/// Long enough for a machine under load, and not for ever.
#[test]
fn a_signal_ends_it_and_what_it_has_started() {
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let mut running = query(&world, "app.db").piped_stdin().start();
    running.feed(b"SELECT 'here';\n");
    running.wait_stdout("here");
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.wait_within(Duration::from_secs(30)).code(), Some(143));
    running.assert_no_survivor();
}
