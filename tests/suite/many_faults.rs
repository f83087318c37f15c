//! Thousands of things that are wrong are counted, and some of them told.

use std::fmt::Write as _;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::world::World;

const MANY: usize = 2000;
/// A screen.
const FEW: usize = 70;

#[track_caller]
fn assert_counted(ended: &Ended) {
    let lines = ended.log.lines().count() + ended.stdout.lines().count();
    assert!(lines < FEW, "{lines} lines: {}", ended.log.lines().take(50).collect::<Vec<_>>().join("\n"));
    assert!(ended.log.contains(" more\n"), "{}", ended.log);
}

/// So many databases with one replica.
fn entries(kind: &str) -> String {
    let mut text = String::new();
    for number in 0..MANY {
        let _ = write!(
            text,
            "{}{{\"path\": \"{number}.db\", \"replica\": {{\"path\": \"{kind}\"}}}}",
            if number == 0 { "[" } else { ",\n  " }
        );
    }
    text + "]"
}

#[test]
fn databases_that_share_a_replica_are_counted() {
    let world = World::new();
    let config = world.write("a.yml", &format!("dbs: {}\n", entries("backup")));
    let ended = Keeper::new(&world).config(&config).app(["true"]).run().expect_code(78);
    assert_counted(&ended);
    let top = "litekeeper: {resolver: {command: [cat, answer], interval: 1h}}";
    let config = world.config_of(top, [(world.db().as_path(), &world.replica())]);
    world.write("answer", "[]");
    let app = App::new(&world.trace()).ready().wait();
    let unit = Keeper::new(&world).config(&config).app(app).start();
    world.trace().wait("ready");
    world.write("answer", &entries("backup"));
    let ended = Keeper::new(&world).command("reload").config(&config).run().expect_code(78);
    assert_counted(&ended);
    unit.stop(143);
}

#[test]
fn databases_that_cannot_be_taken_in_are_counted() {
    let world = World::new();
    let mut text = String::new();
    for number in 0..200 {
        let path = world.path(&format!("{number}.db"));
        std::fs::create_dir(&path).expect("ours");
        let _ = write!(
            text,
            "{}{{\"path\": \"{number}.db\", \"replica\": {{\"path\": \"b/{number}\"}}}}",
            if number == 0 { "[" } else { "," }
        );
    }
    let top = "litekeeper: {resolver: {command: [cat, answer], interval: 1h}}";
    let config = world.config_of(top, [(world.db().as_path(), &world.replica())]);
    world.write("answer", "[]");
    let app = App::new(&world.trace()).ready().wait();
    let unit = Keeper::new(&world).config(&config).app(app).start();
    world.trace().wait("ready");
    world.write("answer", &(text + "]"));
    let reload = || Keeper::new(&world).command("reload").config(&config);
    assert_counted(&reload().run());
    // A machine gets all of them.
    let all: serde_json::Value = serde_json::from_str(&reload().arg("--json").run().stdout).expect("JSON");
    assert_eq!(all["failed"].as_array().map(Vec::len), Some(200), "{all:#}");
    unit.stop(143);
}
