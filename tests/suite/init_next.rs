//! What `litekeeper init` says is to be typed next, typed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST};
use crate::support::process::{Ended, Spec};
use crate::support::sqlite;
use crate::support::wait::DEADLINE;
use crate::support::world::World;

fn init(world: &World, cwd: &Path, options: &[&str]) -> Ended {
    Keeper::new(world).command("init").cwd(cwd).args(options).run().expect_code(0)
}

/// The commands below `Next`, without the words that stand for the app's.
fn next(ended: &Ended) -> Vec<String> {
    let (_, next) = ended.log.split_once("Next").unwrap_or_else(|| panic!("no next step: {}", ended.log));
    let lines = next.lines().filter_map(|line| line.strip_prefix("  "));
    lines.map(|line| line.replace("YOUR COMMAND", "true")).collect()
}

/// Runs what was printed, with `litekeeper` for this program.
fn typed(world: &World, line: &str) -> Ended {
    let folder = world.path("bin");
    fs::create_dir_all(&folder).unwrap();
    let link = folder.join("litekeeper");
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_litekeeper"), &link).unwrap();
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let litestream = litestream::binary(LATEST);
    let mut spec = Spec::new(Path::new("/bin/sh"), &world.path("project"));
    spec.args(["-c", line]);
    spec.env("PATH", path);
    spec.env("LITESTREAM_BINARY_PATH", litestream);
    spec.env("LITEKEEPER_RUNTIME_DIR", world.runtime_dir());
    spec.run(DEADLINE)
}

/// Whoever has a file in a folder above was sent from `init` to `check` and back.
#[test]
fn a_configuration_in_a_folder_above_is_used_by_the_commands_that_are_printed() {
    let world = World::new();
    let web = world.path("project/apps/my web");
    fs::create_dir_all(&web).unwrap();
    let db = world.path("data/app.db");
    fs::create_dir(world.path("data")).unwrap();
    sqlite::create(&db, 1);
    let file = world.path("project/litestream.yml");
    let replica = world.path("replica");
    let whole = format!("dbs:\n  - path: {}\n    replica: {{path: {}}}\n", db.display(), replica.display());
    fs::write(&file, whole).unwrap();
    let init = |cwd: &Path, options: &[&str]| init(&world, cwd, options);
    let ended = init(&web, &[]);
    assert!(!ended.log.contains("Dockerfile:") && !ended.log.contains("litekeeper init"), "{}", ended.log);
    assert_eq!(
        next(&ended),
        [
            "litekeeper check --online --config ../../litestream.yml -- true",
            "litekeeper run --config ../../litestream.yml -- true"
        ]
    );
    for line in next(&init(&world.path("project"), &["--dir", "apps/my web"])) {
        assert!(line.starts_with("cd 'apps/my web' && litekeeper "), "{line}");
        typed(&world, &line).expect_code(0);
    }
    assert!(replica.exists());
    // With relative paths it matters where it is started, and each of the two is said with what it means.
    let relative = "exec: touch here\ndbs:\n  - path: app.db\n    replica: {path: ./backups}\n";
    fs::write(&file, relative).unwrap();
    sqlite::create(&world.path("project/app.db"), 1);
    let ended = init(&web, &[]).expect_log("where it has other databases");
    let [_, run, _, here] = next(&ended).try_into().unwrap_or_else(|lines| panic!("{lines:?}"));
    assert_eq!(run, "cd ../.. && litekeeper run --cwd 'apps/my web'");
    assert_eq!(here, "litekeeper run --config ../../litestream.yml");
    typed(&world, &format!("cd 'apps/my web' && {run}")).expect_code(0);
    assert!(web.join("here").exists() && world.path("project/backups").exists());
    let ended = init(&web, &["--json"]);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["next"].as_array().unwrap().len(), 4);
}

/// The way in is `init`, `check --online`, `run`: what is printed can be typed.
#[test]
fn the_next_steps_are_printed_and_work() {
    let world = World::new();
    fs::create_dir_all(world.path("project/conf dir")).unwrap();
    sqlite::create(&world.path("project/app.db"), 1);
    for (options, config) in [
        (&["--replica", "../replica"][..], ""),
        (&["--replica", "../other", "--output", "conf dir/x.yml"], " --config 'conf dir/x.yml'"),
    ] {
        let ended = init(&world, &world.path("project"), options);
        let next = next(&ended);
        let expected = ["check --online", "run"].map(|what| format!("litekeeper {what}{config} -- true"));
        assert_eq!(next, expected);
        for line in next {
            typed(&world, &line).expect_code(0);
        }
    }
    // A second time, of the file that is there.
    let ended = init(&world, &world.path("project"), &[]).expect_log("works as it is");
    assert_eq!(next(&ended)[1], "litekeeper run -- true");
    let empty = World::new();
    fs::create_dir(empty.path("project")).unwrap();
    let keeper = Keeper::new(&empty).command("init").cwd(&empty.path("project"));
    keeper.run().expect_code(78).expect_log("DATABASE_URL=sqlite:PATH litekeeper init");
}
