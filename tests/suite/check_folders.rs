//! `litekeeper check` and the databases that a configuration does not name itself: those in its folders, and
//! those that its resolver prints.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::world::World;
use crate::support::wrap;

fn keeper(world: &World) -> Keeper {
    Keeper::new(world).command("check")
}

/// The findings, without those about where a test's own folder happens to be.
#[track_caller]
fn shown(world: &World, ended: &Ended) -> String {
    let mut is_wanted = true;
    let wanted = |line: &&str| {
        if !line.starts_with("  ") {
            let code = |code: &&str| line.trim_end().ends_with(&format!("[{code}]"));
            is_wanted = !["same-disk", "in-memory", "on-overlay", "no-app"].iter().any(code);
        }
        is_wanted
    };
    let text: String = ended.stdout.split_inclusive('\n').filter(wanted).collect();
    text.replace(&world.root().display().to_string(), "/world")
}

/// A database that is not in WAL mode.
fn old_journal(path: &Path) {
    let database = rusqlite::Connection::open(path).expect("a database");
    database.execute_batch("CREATE TABLE t (x)").expect("SQL");
}

/// Checks this text, and says what was found.
#[track_caller]
fn check(world: &World, text: &str, code: i32) -> String {
    let config = world.write("a.yml", text);
    shown(world, &keeper(world).config(&config).run().expect_code(code))
}

#[test]
fn databases_of_a_folder_are_looked_at() {
    let world = World::new();
    fs::create_dir_all(world.path("data/x/.t.db-litestream")).expect("ours");
    let of = |name: &str| world.path("data").join(name);
    sqlite::create(&of("good.db"), 1);
    sqlite::create(&of("x/good.db"), 1);
    old_journal(&of("x/journal.db"));
    sqlite::create(&of("cut.db"), 500);
    File::options().write(true).open(of("cut.db")).expect("it is there").set_len(4096).expect("ours");
    fs::write(of("secret.db"), [7; 100]).expect("ours");
    fs::write(of("empty.db"), "").expect("ours");
    fs::write(of("x/.t.db-litestream/state.db"), [7; 100]).expect("ours");
    fs::write(of("other.txt"), [7; 100]).expect("ours");
    nix::unistd::mkfifo(&of("pipe.db"), nix::sys::stat::Mode::S_IRWXU).expect("ours");
    std::os::unix::fs::symlink("good.db", of("link.db")).expect("ours");
    std::os::unix::fs::symlink("..", of("x/up")).expect("ours");
    let text = "dbs:\n  - {path: app.db, replica: {path: b/app}}\n  - {dir: data, pattern: '*.db', recursive: true, replica: {path: b/data}}\n";
    let before = world.list("data");
    let found = check(&world, text, 78);
    assert_eq!(world.list("data"), before, "nothing is made, nothing removed");
    insta::assert_snapshot!(found);
    // Not recursive, and with another pattern, there is less to be said.
    let text = "dbs: [{dir: data, pattern: 'goo?.db', replica: {path: b/data}}]\n";
    assert_eq!(check(&world, text, 0), "");
}

#[test]
fn folders_with_which_litestream_does_not_start() {
    let world = World::new();
    fs::create_dir(world.path("empty")).expect("ours");
    world.write("file", "x");
    let text = concat!(
        "dbs:\n  - {dir: empty, pattern: '*.db', replica: {path: b/1}}\n",
        "  - {dir: nowhere, pattern: '*.db', replica: {path: b/2}}\n  - {dir: to-be-made, pattern: '*.db', watch: true, replica: {path: b/4}}\n",
        "  - {dir: file, pattern: '*.db', watch: true, replica: {path: b/3}}\n",
    );
    insta::assert_snapshot!(check(&world, text, 78));
    assert_eq!(
        check(&world, "dbs: [{dir: empty, watch: true, pattern: '*', replica: {path: b/1}}]\n", 0),
        ""
    );
}

#[test]
fn folders_in_each_others_way() {
    let world = World::new();
    for folder in ["one", "two", "one/x"] {
        fs::create_dir(world.path(folder)).expect("ours");
        sqlite::create(&world.path(folder).join("a.db"), 1);
    }
    let mut all = String::new();
    for (name, entries) in [
        (
            "one place",
            "{dir: one, pattern: '*.db', replica: {path: b}}, {dir: two, pattern: '*.db', replica: {path: ./b/}}",
        ),
        (
            "one folder",
            "{dir: one, pattern: '*.db', replica: {path: b}}, {dir: ./one, pattern: '*.db', replica: {path: c}}",
        ),
        ("one file", "{path: one/a.db, replica: {path: c}}, {dir: one, pattern: '*.db', replica: {path: b}}"),
        (
            "one file below",
            "{dir: one, pattern: '*.db', recursive: true, replica: {path: b}}, {dir: one/x, pattern: 'a*', replica: {path: c}}",
        ),
        (
            "one backup",
            "{path: app.db, replica: {path: b/a.db}}, {dir: one, pattern: '*.db', replica: {path: b}}",
        ),
        (
            "one backup of two folders",
            "{dir: one, pattern: 'a*', replica: {path: b}}, {dir: two, pattern: '*b', replica: {path: b}}",
        ),
    ] {
        let found = check(&world, &format!("dbs: [{entries}]\n"), 78);
        let wanted = found.lines().filter(|line| line.contains("error"));
        all.push_str(&format!("# {name}\n{}\n", wanted.collect::<Vec<_>>().join("\n")));
        // What is refused here `run` refuses as well.
        Keeper::new(&world).config(&world.path("a.yml")).app(["true"]).run().expect_code(78);
    }
    insta::assert_snapshot!(all);
    let entries = "{dir: one, pattern: '*.db', replica: {path: b}}, {dir: one, pattern: '*.sqlite', watch: true, replica: {path: b}}";
    assert_eq!(check(&world, &format!("dbs: [{entries}]\n"), 0), "");
}

#[test]
fn a_folder_of_thousands_is_told_in_a_few_lines_and_soon() {
    let world = World::new();
    fs::create_dir(world.path("data")).expect("ours");
    old_journal(&world.path("data/0.db"));
    for number in 1..2000 {
        fs::copy(world.path("data/0.db"), world.path(&format!("data/{number}.db"))).expect("ours");
    }
    let start = Instant::now();
    let found = check(&world, "dbs: [{dir: data, pattern: '*.db', replica: {path: b}}]\n", 0);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    let codes: Vec<&str> =
        found.lines().filter_map(|line| line.rsplit_once(" [").map(|(_, code)| code)).collect();
    assert_eq!(codes.iter().filter(|code| **code == "not-wal]").count(), 6, "{found}");
    assert!(found.contains("the same is found 1995 times more [not-wal]"), "{found}");
}

#[test]
fn a_folder_is_looked_at_for_the_user_that_will_run() {
    let world = World::new();
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::create_dir_all(world.path("data/closed")).expect("ours");
    for name in ["a.db", "b.db", "closed/c.db"] {
        sqlite::create(&world.path("data").join(name), 1);
        fs::set_permissions(world.path("data").join(name), fs::Permissions::from_mode(0o644)).expect("ours");
    }
    fs::set_permissions(world.path("data"), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::set_permissions(world.path("data/closed"), fs::Permissions::from_mode(0o700)).expect("ours");
    fs::set_permissions(world.path("data/b.db"), fs::Permissions::from_mode(0o600)).expect("ours");
    let config = world.write(
        "a.yml",
        "dbs: [{dir: data, pattern: '*.db', recursive: true, replica: {path: data-backup}}]\n",
    );
    let ended = keeper(&world).config(&config).args(["--user", "4242:4242"]).run().expect_code(78);
    let found: Vec<_> = shown(&world, &ended).lines().map(str::to_owned).collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_folder_that_is_mounted_read_only_or_in_memory_is_found_once() {
    let world = World::new();
    fs::create_dir_all(world.path("data/x")).expect("ours");
    for name in ["data/a.db", "data/b.db"] {
        sqlite::create(&world.path(name), 1);
    }
    let config = world
        .write("a.yml", "dbs: [{dir: data, pattern: '*.db', recursive: true, replica: {url: 's3://b/a'}}]\n");
    let ended =
        keeper(&world).config(&config).wrapped(wrap::read_only(&world.path("data"))).run().expect_code(78);
    let folder = format!("cannot write into the folder `{}`", world.path("data").display());
    assert_eq!(ended.stdout.matches(&folder).count(), 1, "{}", ended.stdout);
    // A file system below the folder, and what is in it.
    let mut wrapper = wrap::small_disk(&world.path("data/x"), 64);
    let copy = format!("cp {0}/a.db {0}/x && exec \"$@\"", world.path("data").display());
    wrapper.extend(["sh", "-c", &copy, "sh"].map(str::to_owned));
    let ended = keeper(&world).config(&config).wrapped(wrapper).run();
    let below = format!("`{}` is in memory (tmpfs at", world.path("data/x/a.db").display());
    assert!(ended.stdout.contains(&below), "{}", ended.stdout);
}

/// A configuration whose resolver is this script.
fn with_resolver(world: &World, script: &str) -> std::path::PathBuf {
    world.program("resolver", &format!("#!/bin/sh\n{script}\n"));
    world.write(
        "a.yml",
        "dbs:\n  - {path: app.db, replica: {path: b/app}}\nlitekeeper:\n  resolver:\n    command: [./resolver, tenants]\n",
    )
}

#[test]
fn without_online_a_resolver_is_only_looked_for() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let config = with_resolver(&world, "touch asked; exit 1");
    let ended = keeper(&world).config(&config).run().expect_code(0);
    assert_eq!(shown(&world, &ended), "");
    assert!(!world.path("asked").exists(), "nothing is started");
    fs::set_permissions(world.path("resolver"), fs::Permissions::from_mode(0o644)).expect("ours");
    let ended = keeper(&world).config(&config).run().expect_code(78);
    fs::remove_file(world.path("resolver")).expect("ours");
    let online = keeper(&world).config(&config).arg("--online").run().expect_code(78);
    assert!(online.stdout.contains("[resolver-missing]") && !online.stdout.contains("[resolver]"));
    insta::assert_snapshot!(shown(&world, &ended));
}

#[test]
fn with_online_what_a_resolver_prints_is_checked_like_the_rest() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    old_journal(&world.path("t1.db"));
    let mut all = String::new();
    let answers = [
        (
            "databases",
            "echo '[{\"path\": \"t1.db\", \"replica\": {\"path\": \"/proc/nothing/t1\"}},\n {\"path\": \"t2.db\", \"replica\": {\"path\": \"b/t2\"}}]'",
        ),
        (
            "twins",
            "echo '[{\"path\": \"app.db\", \"replica\": {\"path\": \"b/t1\"}}, {\"path\": \"t2.db\", \"replica\": {\"path\": \"b/app\"}}]'",
        ),
        (
            "several",
            "echo '[{\"path\": \"t1.db\", \"replicas\": [{\"path\": \"b/1\"}, {\"path\": \"b/2\"}]}]'",
        ),
        ("rubbish", "echo hunter2"),
        ("a failure", "exit 3"),
        ("no answer", "exec sleep 1000"),
    ];
    for (name, script) in answers {
        let config = with_resolver(&world, script);
        let ended = keeper(&world).config(&config).args(["--online", "--limit", "3s"]).run().expect_code(78);
        let of_resolver: Vec<_> = shown(&world, &ended)
            .lines()
            .filter(|line| line.starts_with("/world/a.yml:5"))
            .map(str::to_owned)
            .collect();
        assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
        all.push_str(&format!("# {name}\n{}\n", of_resolver.join("\n")));
    }
    insta::assert_snapshot!(all);
}
