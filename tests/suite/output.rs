//! What comes out: the app's own lines untouched, and few of the keeper's, each of use.

use std::collections::BTreeSet;

use serde_json::Value;

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::config::{Replica, yaml};
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, OLD};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

/// The lines of a log as JSON; panics at one that is not.
#[track_caller]
fn parse(log: &str) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    log.lines().map(line).collect()
}

#[test]
fn a_normal_life_is_under_12_lines() {
    for has_backup in [false, true] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        if has_backup {
            unit::keeper(&world).app(App::new(&trace).insert(&db, 3)).run().expect_code(0);
        } else {
            sqlite::create(&db, 3);
        }
        let unit = unit::start_writing(&world, unit::keeper(&world));
        let ended = unit.stop(0);
        let lines = ended.log.lines().count();
        assert!((3..12).contains(&lines), "{lines} lines:\n{}", ended.log);
        assert!(!ended.log.contains(" error ") && !ended.log.contains(" warn "), "{}", ended.log);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn what_litestream_would_swallow_is_said_once_before_the_app_starts() {
    let world = World::new();
    let keys = Replica::folder(&world.path("backup")).set("retention", "24h");
    let (config, db) = (world.path("litestream.yml"), world.db());
    let text = yaml("monitor: 1s\n", [(db.as_path(), &keys)]);
    std::fs::write(&config, text).expect("the world can be written");
    for (version, lines) in
        [(LATEST, vec!["`retention` of a replica", "`monitor` is no"]), (OLD, vec!["`monitor` is no"])]
    {
        let keeper = Keeper::new(&world).litestream(version).config(&config).app(["true"]);
        let ended = keeper.run().expect_code(0);
        let warned: Vec<&str> = ended.log.lines().take_while(|line| !line.contains("runs as pid")).collect();
        for line in &lines {
            let count = warned.iter().filter(|warned| warned.contains(line)).count();
            assert_eq!(count, 1, "{line} with {version}: {}", ended.log);
        }
        let about_file = warned.iter().filter(|line| line.contains("litestream.yml:")).count();
        assert_eq!(about_file, lines.len(), "with {version}: {}", ended.log);
    }
}

#[test]
fn with_json_every_line_is_json() {
    let world = World::new();
    let trace = world.trace();
    let keeper = unit::keeper(&world).args(["--log-format", "json", "--log-level", "debug"]);
    let unit = unit::start_writing(&world, keeper);
    let app = unit.app().pid;
    // QUIT makes Litestream write a page of plain text.
    unit.litestream().signal(Signal::SIGQUIT);
    unit::wait_successor(&trace, app);
    let lines = parse(&unit.stop(0).log);
    assert!(lines.len() > 10);
    for line in &lines {
        for key in ["time", "level", "msg", "source"] {
            assert!(line[key].is_string(), "no {key} in {line}");
        }
        let source = line["source"].as_str().expect("a string");
        assert!(["litekeeper", "litestream"].contains(&source), "{line}");
        let level = line["level"].as_str().expect("a string");
        assert!(["ERROR", "WARN", "INFO", "DEBUG"].contains(&level), "{line}");
    }
    assert!(lines.iter().any(|line| line["source"] == "litestream"));
}

#[test]
fn with_json_a_failure_is_json_as_well() {
    let world = World::new();
    let keeper = unit::keeper(&world).args(["--log-format", "json"]);
    let lines = parse(&keeper.app(["no-such-command"]).run().expect_code(127).log);
    assert!(lines.iter().any(|line| line["level"] == "ERROR"), "{lines:?}");
    let first = unit::start_writing(&world, unit::keeper(&world));
    let second = unit::keeper(&world).args(["--log-format", "json"]).app(["true"]).run().expect_code(75);
    let lines = parse(&second.log);
    let last = lines.last().expect("a line");
    assert_eq!((&last["level"], &last["exit_code"]), (&"ERROR".into(), &75.into()));
    assert!(last["hint"].is_string(), "{last}");
    first.stop(0);
}

/// The names of a line, and of one that ends the program, as the page has them.
fn documented() -> [BTreeSet<String>; 2] {
    let page = crate::support::docs::page("docs/json.md").text;
    let (_, page) = page.split_once("\n## Log lines\n").expect("the section");
    let mut examples = page.lines().filter(|line| line.starts_with('{'));
    let mut next = || names(&serde_json::from_str(examples.next().expect("an example")).expect("JSON"));
    [next(), next()]
}

fn names(line: &Value) -> BTreeSet<String> {
    line.as_object().expect("an object").keys().cloned().collect()
}

/// Litestream dies, the replica goes away, the drain fails; then the keeper is killed.
#[test]
fn with_json_every_line_of_a_run_with_faults_has_the_names_of_the_page() {
    let [each, last] = documented();
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let keeper = || {
        let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
        keeper.args(["--log-format", "json", "--max-lag", "1s", "--stop-timeout", "5s"])
    };
    let trace = world.trace();
    let unit = unit::start_writing(&world, keeper());
    let app = unit.app().pid;
    unit.kill(&unit.litestream(), Signal::SIGKILL);
    unit::wait_successor(&trace, app);
    s3.remove_bucket("backups");
    unit.wait_log(1, "has not confirmed a change for");
    let failed = parse(&unit.stop(74).log);
    assert_eq!(failed.last().map(names), Some(last));
    s3.restore_bucket("backups");
    let rows = trace.acked().len();
    let unit = unit::start_writing(&world, keeper());
    trace.wait_acked(rows + 10);
    unit.kill(&unit.keeper(), Signal::SIGKILL);
    let killed = parse(&unit.finish().log);
    assert!(killed.iter().any(|line| line["msg"].as_str().is_some_and(|msg| msg.contains("was killed"))));
    for line in failed.iter().rev().skip(1).chain(&killed) {
        assert_eq!(names(line), each, "{line}");
    }
    let has_error = |line: &&Value| line["source"] == "litestream" && line["level"] == "ERROR";
    assert!(failed.iter().any(|line| has_error(&line)), "litestream's own words are among them");
}

#[test]
fn at_level_error_a_normal_life_says_nothing() {
    let world = World::new();
    let unit = unit::start_writing(&world, unit::keeper(&world).args(["--log-level", "error"]));
    assert_eq!(unit.stop(0).log, "");
}

#[test]
fn the_journal_has_a_time_of_its_own() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    for (opened, has_time) in [("/proc/self/fd/2", false), ("/dev/null", true)] {
        let script = format!("export JOURNAL_STREAM=$(stat -L -c %d:%i {opened}); exec \"$@\"");
        let wrapper = ["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
        let ended = unit::keeper(&world).wrapped(wrapper).app(["true"]).run().expect_code(0);
        let line = ended.log.lines().next().expect("it says something");
        assert_eq!(line.starts_with("info  litekeeper: "), !has_time, "{line}");
        assert_eq!(line.contains("Z info  litekeeper: "), has_time, "{line}");
    }
}
