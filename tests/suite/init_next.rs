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
    fs::create_dir(world.path("project/.git")).unwrap();
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

/// What was printed for a Dockerfile without a folder was a file in one folder and a start in another.
#[test]
fn the_lines_for_a_dockerfile_without_a_folder_start() {
    for dockerfile in [
        "FROM alpine\nCMD [\"server\"]\n",
        "FROM alpine\nCOPY server ./\nCMD [\"./server\"]\n",
        "FROM alpine\nADD https://x/pocketbase/releases/x.zip /tmp/\nCMD [\"/pb/pocketbase\", \"serve\"]\n",
    ] {
        let world = World::new();
        fs::create_dir_all(world.path("project")).unwrap();
        sqlite::create(&world.path("project/app.db"), 1);
        fs::write(world.path("project/Dockerfile"), dockerfile).unwrap();
        let ended = init(&world, &world.path("project"), &["--replica", "./replica"]);
        // The image as a folder: each instruction as Docker carries it out.
        let image = world.path("image");
        fs::create_dir(&image).unwrap();
        let mut folder = "/".to_owned();
        let mut start = Vec::new();
        let lines = ended.log.lines().filter_map(|line| line.trim().split_once(' '));
        for (instruction, rest) in lines {
            match instruction {
                "WORKDIR" => folder = rest.to_owned(),
                "COPY" if !rest.starts_with("--from") => {
                    let (from, to) = rest.split_once(' ').unwrap();
                    let to = if to.starts_with('/') { to.to_owned() } else { format!("{folder}/{to}") };
                    let to = image.join(to.trim_start_matches('/'));
                    fs::create_dir_all(&to).unwrap();
                    fs::copy(world.path("project").join(from), to.join(from)).unwrap();
                }
                "ENTRYPOINT" => start = serde_json::from_str::<Vec<String>>(rest).unwrap(),
                _ => {}
            }
        }
        let here = image.join(folder.trim_start_matches('/'));
        fs::create_dir_all(&here).unwrap();
        let options: Vec<&str> = start[2..].iter().map(String::as_str).collect();
        assert_eq!(options, ["--"], "{}", ended.log);
        let file = fs::read_to_string(here.join("litestream.yml"))
            .unwrap_or_else(|error| panic!("{error}: {}", ended.log));
        let path = file.lines().find_map(|line| line.trim().strip_prefix("- path: ")).unwrap();
        let db = here.join(path);
        fs::create_dir_all(db.parent().unwrap()).unwrap();
        sqlite::create(&db, 1);
        Keeper::new(&world).command("run").cwd(&here).args(["--", "true"]).run().expect_code(0);
    }
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
