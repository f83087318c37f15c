//! What is an error of `check` in the text of a configuration, `run` refuses before anything starts, in the same words.

use litekeeper::config::lint::{Lint, lint, of_error};
use litekeeper::config::{self, LoadOptions, Series};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::refused::{findings, refuses, watched};
use crate::support::sqlite;
use crate::support::world::World;

/// What every file has.
const PLAIN: [&str; 4] = ["- path: app.db", "type: s3", "bucket: b", "path: p"];

const ENDLESS: &str = "99999999999999999999";

/// Settings of time: where they stand, and whether they may be nothing, or less.
const TIMES: [(&str, bool, bool); 16] = [
    ("l0-retention: ", true, false),
    ("l0-retention-check-interval: ", false, false),
    ("heartbeat-interval: ", false, false),
    ("shutdown-sync-interval: ", false, false),
    ("shutdown-sync-timeout: ", true, false),
    ("validation.interval: ", true, true),
    ("snapshot.interval: ", false, false),
    ("snapshot.retention: ", false, false),
    ("levels.interval: ", false, false),
    ("db.busy-timeout: ", true, true),
    ("db.monitor-interval: ", true, true),
    ("db.checkpoint-interval: ", true, true),
    ("replica.sync-interval: ", false, false),
    ("replica.timeout: ", true, true),
    ("replica.reconnect-wait: ", true, true),
    ("replica.validation-interval: ", true, true),
];

/// A configuration in which each of these settings has a line of its own.
fn text<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut parts = ["", "snapshot", "levels", "validation", "retention", "socket", "db", "replica"]
        .map(|part| (part, String::new()));
    for (key, value) in settings {
        let (part, key) = key.split_once('.').unwrap_or(("", key));
        let indent = ["", "  ", "    ", "      "][match part {
            "" => 0,
            "db" => 2,
            "replica" => 3,
            _ => 1,
        }];
        let lines = parts.iter_mut().find(|(name, _)| *name == part).map(|(_, lines)| lines).expect("a part");
        let dash = if part == "levels" { "- " } else { indent };
        lines.push_str(&format!("{dash}{key}{value}\n"));
    }
    let mut text = String::new();
    let [(_, top), sections @ .., (_, database), (_, replica)] = &parts;
    text.push_str(top);
    for (name, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
        text.push_str(&format!("{name}:\n{lines}"));
    }
    format!(
        "{text}dbs:\n  - path: app.db\n{database}    replica:\n      type: s3\n      bucket: b\n      path: p\n{replica}"
    )
}

fn files() -> Vec<String> {
    let mut files = Vec::new();
    for (value, is_short) in [
        (ENDLESS, None),
        ("99999999h", None),
        ("7", None),
        ("7d", None),
        ("[1s]", None),
        ("0s", Some(false)),
        ("-1s", Some(true)),
    ] {
        let is_bad = |(_, zero, negative): &&(&str, bool, bool)| match is_short {
            None => true,
            Some(true) => !negative,
            Some(false) => !zero,
        };
        // Litestream 0.5 does not read it any more.
        let reads = |(key, ..): &&(&'static str, bool, bool)| *key != "replica.validation-interval: ";
        files.push(text(TIMES.iter().filter(is_bad).filter(reads).map(|(key, ..)| (*key, value))));
    }
    let counts = [
        "db.min-checkpoint-page-count: ",
        "db.truncate-page-n: ",
        "replica.concurrency: ",
        "replica.part-size: ",
        "replica.max-reconnects: ",
    ];
    files.extend([ENDLESS, "many"].map(|value| text(counts.iter().map(|key| (*key, value)))));
    files.extend(["7", "maybe", "[true]"].map(|value| text([("retention.enabled: ", value)].into_iter())));
    files.extend(
        ["\"%zz\"", "ftp://h/x", "h/x", "[x]"].map(|url| text([("heartbeat-url: ", url)].into_iter())),
    );
    files.extend(
        ["9090", "localhost", "'127.0.0.1:'", "'[::1]'", "'::1'"]
            .map(|at| text([("addr: ", at)].into_iter())),
    );
    files.push(text(
        [("socket.permissions: ", "'0600'"), ("replica.endpoint: ", "'http://u:%zz@h'")].into_iter(),
    ));
    files
}

fn refuse(world: &World, text: &str) {
    let config = world.write("a.yml", text);
    let keeper = || Keeper::new(world).config(&config);
    let found = findings(keeper().env("LITESTREAM_BINARY_PATH", watched(world)));
    let errors: Vec<_> = found.iter().filter(|lint| lint["severity"] == "error").collect();
    // All that was said beside what every file has.
    let is_own = |line: &str| line.contains(": ") && !PLAIN.iter().any(|plain| line.ends_with(plain));
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| is_own(line)) {
        let is_told = errors.iter().any(|lint| lint["line"] == number);
        assert!(is_told, "nothing is wrong with {line:?} in\n{text}{errors:#?}");
    }
    refuses(world, keeper(), &errors);
}

#[test]
fn what_check_calls_an_error_of_the_text_is_refused_before_anything_starts() {
    let world = World::new();
    for (nth, text) in files().iter().enumerate() {
        // Of a database that is there Litestream is asked more.
        if nth == 1 {
            sqlite::create(&world.db(), 1);
        }
        refuse(&world, text);
    }
}

/// A value may come from elsewhere than a file's text, and is wrong in the same words then.
#[test]
fn what_comes_of_a_text_is_refused_in_the_words_of_the_text() {
    let world = World::new();
    let config = world.write("a.yml", "");
    let options = LoadOptions { no_expand_env: true, env: &|_| None, cwd: world.root(), home: None, pid: 1 };
    for text in files() {
        world.write("a.yml", &text);
        let document = config::open(&config, &options).expect("YAML");
        for series in [Series::V03, Series::V05] {
            let lints = lint(&document, &options, Some(series), &[]);
            let Ok(config) = config::of_document(document.clone(), &options) else { continue };
            for refused in config.check(series).err().iter().flat_map(of_error) {
                let said = |lint: &Lint| {
                    (lint.line, &lint.message, &lint.hint) == (refused.line, &refused.message, &refused.hint)
                };
                assert_eq!(
                    lints.iter().filter(|lint| said(lint)).count(),
                    1,
                    "{refused:?} in\n{text}{lints:#?}"
                );
            }
        }
    }
}

#[test]
fn no_gate_makes_it_right() {
    let world = World::new();
    let config = world.write("a.yml", "l0-retention: 5\ndbs: [{path: app.db, replica: {path: backup}}]\n");
    let keeper = Keeper::new(&world).config(&config).args(["--gate", "none"]);
    let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    ended.expect_log("a.yml:1:15: `l0-retention: 5` is 5 nanoseconds to Litestream [bare-duration]");
}

/// What 0.5 refuses is right for 0.3, and the other way round.
#[test]
fn what_the_other_series_refuses_is_taken() {
    let world = World::new();
    let config = world.write(
        "a.yml",
        "snapshot: {interval: 0s}\nheartbeat-url: h\ndbs: [{path: app.db, replica: {path: backup, retention: 24h}}]\n",
    );
    let keeper = || Keeper::new(&world).config(&config).app(App::new(&world.trace()).exit(0));
    keeper().litestream("0.3.13").run().expect_code(0);
    keeper().run().expect_code(78).expect_log("`interval` must be more than 0s [bad-duration]");
}
