//! `verify --budget`: a part each time, and in the end all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST};
use crate::support::operator::{operator, printed};
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::world::World;
use crate::support::wrap;

/// Databases of these names, on replicas in folders.
fn backed_up(world: &World, names: &[&str]) {
    let paths: Vec<_> = names.iter().map(|name| world.path(&format!("{name}.db"))).collect();
    let replicas: Vec<_> = names.iter().map(|name| Store::Folder.replica(world, name)).collect();
    paths.iter().filter(|path| !path.exists()).for_each(|path| sqlite::create(path, 3));
    let config = world.config_of("", paths.iter().map(PathBuf::as_path).zip(&replicas));
    litestream::back_up(world, LATEST, &config, &paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
}

fn verify(world: &World, budget: &str) -> Keeper {
    operator(world, "verify").env("STATE_DIRECTORY", world.path("state")).args(["--budget", budget])
}

fn remembered(world: &World) -> PathBuf {
    world.path("state/verified.json")
}

/// The names that were verified, in order.
fn names(text: &str) -> Vec<String> {
    let all: Vec<Value> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let name = |one: &Value| {
        Path::new(one["path"].as_str().expect("a path"))
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    all.iter().map(name).collect()
}

/// Runs it well, and says which were verified.
#[track_caller]
fn round(world: &World, budget: &str) -> (Vec<String>, Ended) {
    let ended = verify(world, budget).arg("--json").run().expect_code(0);
    (names(&ended.stdout), ended)
}

#[test]
fn three_runs_go_round_three_databases_and_the_fourth_begins_anew() {
    let world = World::new();
    backed_up(&world, &["a", "b", "c"]);
    // Each is larger than the budget.
    for (name, next) in [("a", "b"), ("b", "c"), ("c", "a"), ("a", "b")] {
        let (verified, ended) = round(&world, "1");
        assert_eq!(verified, [name]);
        ended
            .expect_log("verified 1 of 3 databases, ")
            .expect_log(&format!("next is {}", world.path(&format!("{next}.db")).display()));
    }
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&world.path("state")), mode(&remembered(&world))), (0o700, 0o600));
    assert_eq!(world.list("state"), ["verified.json"]);
    // Without a budget all are verified, and nothing is remembered.
    let before = fs::read(remembered(&world)).expect("ours");
    assert_eq!(printed::<Vec<Value>>(operator(&world, "verify"), 0).len(), 3);
    assert_eq!(fs::read(remembered(&world)).expect("ours"), before);
    // As a table it is the same.
    let ended = verify(&world, "1").run().expect_code(0);
    assert_eq!(ended.stdout.lines().count(), 2, "{}", ended.stdout);
    assert!(ended.stdout.contains("b.db"), "{}", ended.stdout);
}

#[test]
fn a_share_is_of_all_that_are_meant() {
    let world = World::new();
    let all = ["a", "b", "c", "d"];
    backed_up(&world, &all);
    // Litestream may have written more to the log of one than of another, and that counts.
    for name in all {
        let database = sqlite::open(&world.path(&format!("{name}.db")));
        let done = database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        assert_eq!(done, Ok(0), "nobody else has it open");
    }
    assert_eq!(round(&world, "50%").0, ["a", "b"]);
    assert_eq!(round(&world, "50%").0, ["c", "d"]);
    assert_eq!(round(&world, "0.1%").0, ["a"]);
    assert_eq!(round(&world, "100%").0, ["b", "c", "d", "a"]);
    assert_eq!(round(&world, "1GiB").0, ["b", "c", "d", "a"]);
    let ended = verify(&world, "50%").args(["--json", "c.db", "d.db"]).run().expect_code(0);
    assert_eq!(names(&ended.stdout), ["c"]);
    ended.expect_log("verified 1 of 2 databases");
}

#[test]
fn those_that_come_and_go_change_nothing_for_the_others() {
    let world = World::new();
    backed_up(&world, &["a", "b", "c"]);
    assert_eq!(round(&world, "1").0, ["a"]);
    // A new one was never verified, as the others that are left.
    backed_up(&world, &["a", "new", "b", "c"]);
    assert_eq!(round(&world, "1").0, ["new"]);
    backed_up(&world, &["a", "new", "c"]);
    assert_eq!(round(&world, "1").0, ["c"]);
    assert_eq!(round(&world, "1").0, ["a"]);
    // And one that comes back has waited longest.
    backed_up(&world, &["a", "new", "b", "c"]);
    assert_eq!(round(&world, "1").0, ["b"]);
}

/// It does not keep the others from their turn.
#[test]
fn one_that_fails_has_had_its_turn() {
    let world = World::new();
    backed_up(&world, &["a", "b"]);
    fs::remove_dir_all(world.path("a")).expect("ours");
    let ended = verify(&world, "1").arg("--json").run().expect_code(69);
    assert_eq!(names(&ended.stdout), ["a"]);
    assert_eq!(round(&world, "1").0, ["b"]);
}

#[test]
fn what_is_broken_is_said_and_all_begins_anew() {
    let world = World::new();
    backed_up(&world, &["a", "b"]);
    assert_eq!(round(&world, "1").0, ["a"]);
    let broken = ["", "{\"verified\": {\"", "[1, 2]", "{\"verified\": {\"x\": 7}}"];
    for text in broken {
        fs::write(remembered(&world), text).expect("ours");
        let (verified, ended) = round(&world, "1");
        assert_eq!(verified, ["a"], "{text}");
        ended.expect_log("verified.json: it is broken").expect_log("have their turn anew");
    }
    assert_eq!(round(&world, "1").0, ["b"]);
    // A time that is none counts for the one that has it.
    let text = fs::read_to_string(remembered(&world)).expect("ours");
    let lines = text.replacen(
        &format!("{}\":\"2", world.path("b.db").display()),
        &format!("{}\":\"x", world.path("b.db").display()),
        1,
    );
    assert_ne!(text, lines);
    fs::write(remembered(&world), lines).expect("ours");
    assert_eq!(round(&world, "1").0, ["b"]);
    // A clock that was in the future holds up nobody.
    let far = text.replace("\":\"2", "\":\"3");
    assert_ne!(text, far);
    fs::write(remembered(&world), far).expect("ours");
    assert_eq!(round(&world, "1").0, ["a"]);
    assert_eq!(round(&world, "1").0, ["b"]);
    assert_eq!(round(&world, "1").0, ["a"]);
    assert_eq!(world.list("state"), ["verified.json"]);
}

#[test]
fn what_cannot_be_remembered_is_told_before_anything_is_verified() {
    let world = World::new();
    backed_up(&world, &["a", "b"]);
    fs::create_dir(world.path("state")).expect("ours");
    let cannot = |keeper: Keeper| {
        let ended = keeper.run().expect_code(75);
        ended.expect_log("hint: set STATE_DIRECTORY").stdout
    };
    let read_only = verify(&world, "1").wrapped(wrap::read_only(&world.path("state")));
    assert_eq!(cannot(read_only), "");
    world.write("file", "");
    assert_eq!(cannot(verify(&world, "1").env("STATE_DIRECTORY", world.path("file"))), "");
    if nix::unistd::geteuid().is_root() {
        // What a user decides root does not write to.
        let users = world.path("users");
        fs::create_dir(&users).expect("ours");
        std::os::unix::fs::chown(&users, Some(65534), None).expect("ours");
        assert_eq!(cannot(verify(&world, "1").env("STATE_DIRECTORY", &users)), "");
        assert_eq!(world.list("users"), [""; 0]);
    }
    // Elsewhere it can be, and the first of a service's is its own.
    let home = operator(&world, "verify").env("HOME", world.path("home")).args(["--budget", "1"]);
    home.run().expect_code(0);
    assert_eq!(world.list("home/.local/state/litekeeper"), ["verified.json"]);
    let state = operator(&world, "verify").env("XDG_STATE_HOME", world.path("xdg")).args(["--budget", "1"]);
    state.run().expect_code(0);
    assert_eq!(world.list("xdg/litekeeper"), ["verified.json"]);
    let two = format!("{}:{}", world.path("one").display(), world.path("two").display());
    verify(&world, "1").env("STATE_DIRECTORY", two).run().expect_code(0);
    assert_eq!((world.list("one"), world.path("two").exists()), (vec!["verified.json".to_owned()], false));
}

#[test]
fn a_budget_that_means_nothing_is_one_clear_error() {
    let world = World::new();
    backed_up(&world, &["a"]);
    for bad in ["0", "0%", "-5%", "120%", "x", "", "5GB%", "1e3", "NaN%"] {
        let ended = verify(&world, bad).run().expect_code(2);
        ended.expect_log("for '--budget <SIZE|SHARE>'").expect_log("5%");
        assert!(!world.path("state").exists());
    }
}
