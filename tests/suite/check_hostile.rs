//! `litekeeper check` where somebody wants it to hang, to write, or to fall over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;

use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::world::World;

/// What a check may take on a busy machine; one that hangs takes longer than any test.
const SOON: Duration = Duration::from_secs(30);

fn keeper(world: &World) -> Keeper {
    Keeper::new(world).command("check")
}

#[track_caller]
fn soon(keeper: Keeper) -> Ended {
    let start = Instant::now();
    let ended = keeper.run();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    ended
}

fn pipe(world: &World, name: &str) {
    nix::unistd::mkfifo(&world.path(name), Mode::S_IRWXU).expect("ours");
}

#[test]
fn pipes_in_the_place_of_files_are_not_waited_for() {
    let world = World::new();
    fs::create_dir(world.path("config")).expect("ours");
    for name in [
        "app.db",
        "app.db-wal",
        ".app.db-litekeeper.lock",
        "fly.toml",
        "app.service",
        "compose.yml",
        "manage.py",
        "config/database.yml",
        "key",
        "env",
    ] {
        pipe(&world, name);
    }
    let text = "dbs:\n  - {path: app.db, replica: {type: sftp, host: h, user: u, path: b, key-path: key}}\n";
    let config = world.write("a.yml", text);
    let ended =
        soon(keeper(&world).config(&config).args(["--env-file", "env"]).arg("--online")).expect_code(78);
    for found in ["[not-sqlite]", "the pipe has no end after 5s"] {
        assert!(ended.stdout.contains(found), "{}", ended.stdout);
    }
}

#[test]
fn the_root_as_a_folder_of_databases_ends_soon() {
    let world = World::new();
    let text = "dbs: [{dir: /, pattern: '*.no-such-database', recursive: true, replica: {path: b}}]\n";
    let config = world.write("a.yml", text);
    let ended = soon(keeper(&world).config(&config));
    assert!(ended.stdout.contains("`/`"), "{}", ended.stdout);
}

#[test]
fn a_database_that_is_locked_or_written_is_read_all_the_same() {
    let world = World::new();
    fs::create_dir(world.path("data")).expect("ours");
    let db = world.path("data/a.db");
    sqlite::create(&db, 3);
    let config = world.write("a.yml", "dbs: [{dir: data, pattern: '*.db', replica: {url: 's3://b/a'}}]\n");
    let writer = rusqlite::Connection::open(&db).expect("a database");
    for lock in [
        "BEGIN IMMEDIATE; INSERT INTO t (v) VALUES ('x')",
        "ROLLBACK; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
    ] {
        writer.execute_batch(lock).expect("SQL");
        let (names, bytes) = (world.list("data"), fs::read(&db).expect("it is there"));
        let ended = soon(keeper(&world).config(&config)).expect_code(0);
        assert!(!ended.stdout.contains("error"), "{}", ended.stdout);
        assert_eq!((world.list("data"), fs::read(&db).expect("it is there")), (names, bytes));
    }
    writer.execute_batch("INSERT INTO t (v) VALUES ('y'); COMMIT").expect("nobody was in the way");
}

#[test]
fn odd_characters_are_valid_json_and_nothing_for_a_terminal() {
    let world = World::new();
    let folder = world.path("\u{1b}[2J\n\"ü\u{202e}");
    fs::create_dir(&folder).expect("ours");
    fs::write(folder.join("a\r\u{7}.db"), [7; 100]).expect("ours");
    let bytes: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff\xfe.db");
    fs::write(folder.join(bytes), [7; 100]).expect("ours");
    let dir = serde_json::json!({"dbs": [{"dir": folder, "pattern": "*.db", "replica": {"path": "b"}}]});
    let config = world.write("a.yml", &dir.to_string());
    let ended = soon(keeper(&world).config(&config).arg("--json")).expect_code(0);
    let all: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let passed_over = |one: &&serde_json::Value| one["code"] == "passed-over";
    let found = all.as_array().expect("a list").iter().find(passed_over).expect("it is found");
    assert!(found["message"].as_str().is_some_and(|text| text.contains("a\r\u{7}.db")), "{found}");
    let ended = soon(keeper(&world).config(&config)).expect_code(0);
    assert!(ended.stdout.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", ended.stdout);
}

#[test]
fn an_output_that_is_full_or_closed_is_no_panic() {
    let world = World::new();
    let config = world.write("a.yml", "dbs: [{path: a.db, replica: {url: 's3://b/a'}}]\n");
    for (redirection, code) in
        [(">/dev/full", 69), ("2>/dev/full", 0), (">/dev/full 2>&1", 69), (">&-", 0), ("2>&-", 0)]
    {
        let shell = ["sh".to_owned(), "-c".to_owned(), format!("exec \"$@\" {redirection}"), "sh".to_owned()];
        let ended = soon(keeper(&world).config(&config).wrapped(shell));
        assert!(!ended.log.contains("panicked"), "{redirection}: {}", ended.log);
        ended.expect_code(code);
    }
    // Nobody reads: the reader is gone before there is anything to be read.
    let script = "exec 3>&1; { exec 3>&-; while kill -0 $$ 2>/dev/null && ! [ -e gone ]; do :; done; \"$@\"; echo $? >code; } | { exec <&-; touch gone; }";
    soon(keeper(&world).config(&config).wrapped(["sh", "-c", script, "sh"]));
    assert_eq!(fs::read_to_string(world.path("code")).expect("it ended").trim(), "0");
}

#[test]
fn a_folder_that_cannot_be_read_is_named() {
    let world = World::new();
    fs::create_dir_all(world.path("data/closed")).expect("ours");
    sqlite::create(&world.path("data/a.db"), 1);
    fs::set_permissions(world.path("data/closed"), fs::Permissions::from_mode(0o000)).expect("ours");
    let config =
        world.write("a.yml", "dbs: [{dir: data, recursive: true, pattern: '*.db', replica: {path: b}}]\n");
    // Root may read all, but not without its capabilities.
    let ended = soon(keeper(&world).config(&config).wrapped(without_capabilities())).expect_code(78);
    let found = format!("cannot list the folder `{}` [not-readable]", world.path("data/closed").display());
    assert!(ended.stdout.contains(&found), "{}", ended.stdout);
}

fn without_capabilities() -> Vec<String> {
    let words: &[&str] = if nix::unistd::geteuid().is_root() {
        &["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    } else {
        &[]
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The check itself is not in the way of anybody: what it opens it does not lock.
#[test]
fn nothing_in_a_folder_of_databases_is_changed() {
    let world = World::new();
    fs::create_dir_all(world.path("data/x")).expect("ours");
    sqlite::create(&world.path("data/x/a.db"), 3);
    let config =
        world.write("a.yml", "dbs: [{dir: data, recursive: true, pattern: '*.db', replica: {path: b}}]\n");
    let state = || {
        let of = |path: &Path| fs::metadata(path).expect("it is there").modified().expect("a time");
        (
            of(&world.path("data")),
            of(&world.path("data/x")),
            of(&world.path("data/x/a.db")),
            world.list("data/x"),
        )
    };
    let before = state();
    soon(keeper(&world).config(&config)).expect_code(0);
    assert_eq!(state(), before);
    assert!(!world.path("b").exists());
}
