//! What others wrote makes no line of the log, and nothing that a terminal obeys.

use std::fs::{self, File};
use std::path::Path;

use nix::sys::stat::Mode;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

/// A name that would be a line of its own, red, and then read from the right.
const NAME: &str = "a\n2026-01-01T00:00:00.000Z error litekeeper: forged\u{1b}[31m\u{9b}2J\r\u{202e}";

/// Every line of the keeper's log is one that it wrote.
#[track_caller]
fn assert_clean(log: &str) {
    let is_bad = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}'..='\u{202e}'));
    assert!(!log.contains(is_bad), "{log:?}");
    for line in log.lines() {
        assert!(!line.starts_with("2026-01-01"), "forged: {log}");
        assert!(
            line.starts_with("20") || line.starts_with("error: ") || line.starts_with("hint: "),
            "{line:?}"
        );
    }
    assert!(log.contains("forged"), "it is told, as it is written: {log}");
}

/// YAML takes no control characters as they are.
fn ascii(value: &serde_json::Value) -> String {
    let escaped = |c: char| {
        if c.is_ascii() && c != '\u{7f}' { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) }
    };
    value.to_string().chars().map(escaped).collect()
}

fn odd_folder(world: &World) -> std::path::PathBuf {
    let folder = world.path("data");
    fs::create_dir(&folder).expect("ours");
    sqlite::create(&folder.join("good.db"), 3);
    let folder_of = serde_json::json!({"dbs": [{"dir": folder, "pattern": "*.db", "watch": true, "replica": {"path": world.path("backup")}}]});
    world.write("litestream.yml", &folder_of.to_string());
    folder
}

#[test]
fn a_name_in_a_watched_folder_is_one_line() {
    let world = World::new();
    let folder = odd_folder(&world);
    sqlite::create(&folder.join(format!("{NAME}.db")), 3);
    nix::unistd::mkfifo(&folder.join(format!("{NAME}pipe.db")), Mode::S_IRWXU).expect("ours");
    // Litestream waits for a writer of the pipe.
    fs::remove_file(folder.join(format!("{NAME}pipe.db"))).expect("ours");
    let ended = Keeper::new(&world)
        .config(&world.path("litestream.yml"))
        .app(["false"])
        .args(["--restart", "never"])
        .run();
    assert_clean(&ended.log);
    let ended = Keeper::new(&world)
        .config(&world.path("litestream.yml"))
        .app(["false"])
        .args(["--restart", "never", "--log-format", "json", "--log-level", "debug"])
        .run();
    for line in ended.log.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(value["msg"].is_string(), "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    let ended = Keeper::new(&world).command("check").config(&world.path("litestream.yml")).run();
    assert!(ended.stdout.lines().all(|line| !line.starts_with("2026-01-01")), "{}", ended.stdout);
}

#[test]
fn a_path_that_is_refused_is_one_line() {
    let world = World::new();
    let path = world.path(&format!("{NAME}.db"));
    fs::create_dir(&path).expect("ours");
    let yaml = serde_json::json!({"dbs": [{"path": path, "replica": {"path": world.path("backup")}}]});
    world.write("litestream.yml", &ascii(&yaml));
    let ended = Keeper::new(&world).config(&world.path("litestream.yml")).app(["true"]).run().expect_code(78);
    assert_clean(&ended.log);
    // Twins: several findings are several lines, and no more than that.
    let twins = serde_json::json!({"dbs": [
        {"path": path, "replica": {"path": "b"}}, {"path": path, "replica": {"path": "c"}}, {"path": path, "replica": {"path": "d"}},
    ]});
    world.write("litestream.yml", &ascii(&twins).replace("},{", "},\n{"));
    let ended = Keeper::new(&world).config(&world.path("litestream.yml")).app(["true"]).run().expect_code(78);
    assert_eq!(
        ended.log.lines().filter(|line| line.contains("configured twice")).count(),
        2,
        "{}",
        ended.log
    );
    assert!(!ended.log.lines().any(|line| line.starts_with("2026-01-01")), "{}", ended.log);
}

#[test]
fn what_litestream_says_is_one_line() {
    let world = World::new();
    let message =
        serde_json::json!({"time": "2026-01-01T00:00:00Z", "level": "ERROR", "msg": NAME, "error": NAME});
    world.write("message", &format!("{message}\n{NAME}\n"));
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = version ] && {{ echo 0.5.17; exit; }}\ncat '{}' >&2\nexit 1\n",
        world.path("message").display()
    );
    let fake = world.program("litestream", &script);
    let keeper = unit::keeper(&world).env("LITESTREAM_BINARY_PATH", fake).app(["true"]);
    let ended = keeper.run();
    assert_ne!(ended.status.code(), Some(0));
    assert_clean(&ended.log);
}

#[test]
fn what_a_lock_says_is_one_line() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let place = world.db().with_file_name(format!(
        ".{}-litekeeper.lock",
        world.db().file_name().expect("a name").to_string_lossy()
    ));
    fs::write(&place, format!("pid {}\nstarted forged\u{1b}[31m\r\u{202e}\n", std::process::id()))
        .expect("ours");
    let lock = File::open(&place).expect("ours");
    lock.lock().expect("it is free");
    let ended = unit::keeper(&world).app(App::new(&world.trace()).exit(0)).run().expect_code(75);
    assert_clean(&ended.log);
}

#[test]
fn what_a_resolver_says_is_one_line() {
    let world = World::new();
    let path = world.path(&format!("{NAME}.db"));
    let answer = serde_json::json!([{"path": path, "replica": {"path": world.path("backup")}}]);
    world.write("answer", &answer.to_string());
    world.write("litestream.yml", "dbs: []\nlitekeeper: {resolver: {command: [sh, -c, 'printf \"forged\\33[31m\\r\\n\" >&2; cat answer']}}\n");
    let keeper = Keeper::new(&world).config(&world.path("litestream.yml")).args([
        "--log-level",
        "debug",
        "--restart",
        "never",
    ]);
    let ended = keeper.app(["true"]).run();
    assert_clean(&ended.log);
}

#[test]
fn what_a_project_calls_its_databases_is_one_line() {
    let world = World::new();
    for file in ["Gemfile", "bin/rails", "config/application.rb"] {
        fs::create_dir_all(world.path(file).parent().expect("a folder")).expect("ours");
        world.write(file, "gem \"rails\"\n");
    }
    let name = "a\\n2026-01-01T00:00:00.000Z error litekeeper: forged\\e[31m\\N\\L";
    world.write(
        "config/database.yml",
        &format!("production:\n  primary: {{adapter: sqlite3, database: storage/p.sqlite3}}\n  \"{name}\": {{adapter: sqlite3, database: \"storage/{name}.sqlite3\"}}\n"),
    );
    let ended = Keeper::new(&world).command("init").args(["--dry-run"]).cwd(world.root()).run();
    let is_bad = |c: char| c != '\n' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    assert!(!ended.log.contains(is_bad), "{:?}", ended.log);
    assert!(!ended.log.lines().any(|line| line.starts_with("2026-01-01")), "{}", ended.log);
    let ended = Keeper::new(&world).command("init").args(["--stdout"]).cwd(world.root()).run();
    assert!(!ended.stdout.contains(is_bad), "{:?}", ended.stdout);
}

#[test]
fn a_terminal_gets_no_data_that_it_would_obey() {
    let world = World::new();
    let folder = world.path("\u{9b}2J");
    fs::create_dir(&folder).expect("ours");
    let yaml = serde_json::json!({"dbs": [{"path": folder.join("a.db"), "replica": {"path": "b"}}]});
    let config = world.write("litestream.yml", &ascii(&yaml));
    let keeper = Keeper::new(&world).command("check").config(Path::new(&config)).arg("--json");
    let (mut terminal, line) = keeper.terminal();
    terminal.line(&format!("{line}; echo en''d"));
    let text = terminal.wait("end");
    assert!(text.contains("2J/a.db") && !text.contains('\u{9b}'), "{text:?}");
    terminal.close();
}
