//! A start that `check` and `run` refuse in the same words, before anything is tried.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::app::App;
use super::keeper::Keeper;
use super::litestream::{LATEST, binary};
use super::process::Ended;
use super::world::World;

/// A Litestream that leaves a word in `asked` when it is asked for more than its version.
pub fn watched(world: &World) -> PathBuf {
    let (asked, real) = (world.path("asked"), binary(LATEST));
    let (asked, real) = (asked.display(), real.display());
    let script =
        format!("#!/bin/sh\n[ \"$1\" = version ] || echo \"$1\" >>'{asked}'\nexec '{real}' \"$@\"\n");
    world.program("litestream", &script)
}

/// The findings of `check`.
pub fn findings(keeper: Keeper) -> Vec<Value> {
    let found = keeper.command("check").arg("--json").run();
    serde_json::from_str(&found.stdout).expect("JSON")
}

/// Runs what `check` calls wrong: all words of these findings, 78, and neither Litestream nor the app was started.
#[track_caller]
pub fn refuses(world: &World, keeper: Keeper, findings: &[&Value]) -> Ended {
    let keeper = keeper.env("LITESTREAM_BINARY_PATH", watched(world));
    let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    for finding in findings {
        let words = finding["message"].as_str().expect("a text");
        assert!(ended.log.contains(words), "no {words:?} in {}", ended.log);
    }
    assert!(world.trace().is_empty(), "the app was started: {}", ended.log);
    let asked = world.path("asked");
    assert!(!asked.exists(), "litestream was asked {:?}: {}", fs::read_to_string(&asked), ended.log);
    ended
}

/// The same of what has one code.
#[track_caller]
pub fn refused(world: &World, keeper: impl Fn() -> Keeper, code: &str) -> Ended {
    let found = findings(keeper());
    let finding = found.iter().find(|lint| lint["code"] == code && lint["severity"] == "error");
    let finding = finding.unwrap_or_else(|| panic!("no {code}: {found:#?}"));
    refuses(world, keeper(), &[finding]).expect_log("hint: ")
}
