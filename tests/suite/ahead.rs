//! A Litestream that has nothing to replicate starts while its version is asked, and no other.

use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::support::keeper::Keeper;
use crate::support::litestream;
use crate::support::world::World;

/// The real Litestream, which answers the question for its version as `answer` says, and writes its commands down.
fn litestream_whose_version(world: &World, answer: &str) -> PathBuf {
    let text = format!(
        "#!/bin/sh\necho \"$1\" >>{}\ncase $1 in version) {answer};; *) exec {} \"$@\";; esac\n",
        world.path("commands").display(),
        litestream::binary(litestream::LATEST).display()
    );
    world.program("litestream", &text)
}

fn keeper(world: &World, answer: &str) -> Keeper {
    let binary = litestream_whose_version(world, answer);
    let app = ["touch".into(), world.path("started")];
    Keeper::new(world).env("LITESTREAM_BINARY_PATH", binary).app(app)
}

#[test]
fn a_bad_version_is_refused_before_the_app_with_and_without_a_database() {
    for (database, commands) in [(false, ["replicate", "version"].as_slice()), (true, &["version"])] {
        let world = World::new();
        let config = match database {
            true => world.config(&world.replica()),
            false => world.write("litestream.yml", "dbs: []\n"),
        };
        let ended = keeper(&world, "echo 0.5.7").config(&config).run();
        ended.expect_code(78).expect_log("litestream 0.5.7 is known to stop replicating");
        assert!(!world.path("started").exists());
        let ran = std::fs::read_to_string(world.path("commands")).expect("the wrapper ran");
        // Killed before the shell wrote it down, the one that started ahead is missing.
        assert!(ran.lines().all(|command| commands.contains(&command)), "database: {database}: {ran}");
    }
}

#[test]
fn a_folder_of_databases_is_something_to_replicate() {
    let world = World::new();
    std::fs::create_dir(world.path("dbs")).expect("the world is empty");
    let (dir, replica) = (world.path("dbs"), world.path("replica"));
    let text = format!(
        "dbs:\n  - dir: {}\n    pattern: '*.db'\n    replica: {{type: file, path: {}}}\n",
        dir.display(),
        replica.display()
    );
    let config = world.write("litestream.yml", &text);
    keeper(&world, "echo 0.5.7").config(&config).run().expect_code(78);
    assert_eq!(std::fs::read_to_string(world.path("commands")).expect("the wrapper ran"), "version\n");
}

#[test]
fn a_stop_while_the_version_is_asked_takes_the_one_that_started_with_it() {
    let world = World::new();
    let config = world.write("litestream.yml", "dbs: []\n");
    let unit = keeper(&world, "exec sleep 1000").config(&config).start();
    unit.wait_process("the question", |process| process.is("sleep"));
    unit.wait_process("the shim", |process| process.cmdline.get(1).is_some_and(|word| word == "__shim"));
    unit.signal(Signal::SIGTERM);
    unit.finish().expect_code(143);
    assert!(!world.path("started").exists());
}
