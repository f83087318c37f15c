//! A Litestream of a bad version is asked for it, and for nothing else.

use std::path::PathBuf;

use crate::support::keeper::Keeper;
use crate::support::litestream;
use crate::support::refused::findings;
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
fn a_bad_version_is_refused_before_the_app_and_starts_nothing() {
    let watched = "dbs: [{dir: ., pattern: '*.db', watch: true, replica: {path: replica}}]\n";
    for text in ["dbs: [{path: app.db, replica: {path: replica}}]\n", watched] {
        let world = World::new();
        let config = world.write("litestream.yml", text);
        let ended = keeper(&world, "echo 0.5.7").config(&config).run();
        ended.expect_code(78).expect_log("litestream 0.5.7 is known to stop replicating");
        assert!(!world.path("started").exists());
        let ran = std::fs::read_to_string(world.path("commands")).expect("the wrapper ran");
        assert_eq!(ran, "version\n", "{text}");
    }
}

/// One that was built by hand says no number: whoever names what it says has it run, and `check` knows that as well.
#[test]
fn one_that_says_no_version_runs_and_is_no_finding_where_it_is_named() {
    let world = World::new();
    let config = world.write("litestream.yml", "dbs: [{path: app.db, replica: {path: replica}}]\n");
    let one = || keeper(&world, "echo '(development build)'").config(&config);
    let found = findings(one());
    assert!(found.iter().any(|lint| lint["code"] == "litestream-missing"), "{found:#?}");
    one().run().expect_code(78);
    assert!(!world.path("started").exists());
    let allowed = || one().env("LITEKEEPER_ALLOW_LITESTREAM", "(development build)");
    assert!(findings(allowed()).iter().all(|lint| lint["severity"] != "error"));
    allowed().run().expect_code(0);
    assert!(world.path("started").exists());
}
