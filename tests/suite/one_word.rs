//! What `check` says of a setting, `run` says, in the same words and before anything is started.

use std::fs;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::refused::refused;
use crate::support::world::World;

fn simple(world: &World) -> Keeper {
    Keeper::new(world).replica(&world.replica_url())
}

#[test]
fn a_pattern_is_no_path_wherever_it_is_written() {
    let world = World::new();
    for (path, hint) in [
        ("data/*.db", "`pattern: \"*.db\"`"),
        ("data/[ab].db", "`pattern: \"[ab].db\"`"),
        ("*/app.db", "`recursive: true`"),
    ] {
        refused(&world, || simple(&world).db(&world.path(path)), "database-path").expect_log(hint);
        let file = world.write("a.yml", &format!("dbs: [{{path: '{path}', replica: {{path: backup}}}}]\n"));
        refused(&world, || Keeper::new(&world).config(&file), "database-path").expect_log("a.yml:1");
        let by_url = || {
            Keeper::new(&world).env("DATABASE_URL", path).env("LITESTREAM_REPLICA_URL", world.replica_url())
        };
        refused(&world, by_url, "database-path");
    }
    let by_url = || {
        let keeper = Keeper::new(&world).env("DATABASE_URL", "app.db?x=1");
        keeper.env("LITESTREAM_REPLICA_URL", world.replica_url())
    };
    refused(&world, by_url, "database-path").expect_log("app.db?x=1`").expect_log("has no parameters");
    assert!(!world.path("data").exists(), "a folder was made for it");
}

/// A folder may be called so.
#[test]
fn a_name_with_brackets_that_is_there_is_no_pattern() {
    let world = World::new();
    fs::create_dir(world.path("[slug]")).expect("ours");
    let db = world.path("[slug]/app.db");
    let app = App::new(&world.trace()).insert(&db, 1).exit(0);
    simple(&world).db(&db).app(app).run().expect_code(0).expect_log("everything is on the replica");
}

#[test]
fn a_resolvers_pattern_is_no_path() {
    let world = World::new();
    let resolver = world.program(
        "resolver",
        "#!/bin/sh\necho '[{\"path\": \"t/*.db\", \"replica\": {\"path\": \"backup\"}}]'\n",
    );
    let text = format!("litekeeper: {{resolver: {{command: ['{}']}}}}\n", resolver.display());
    let keeper = || Keeper::new(&world).config(&world.write("a.yml", &text));
    keeper()
        .args(["--online"])
        .command("check")
        .app(["true"])
        .run()
        .expect_code(78)
        .expect_output("is a pattern");
    let ended = keeper().app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    ended.expect_log("is a pattern").expect_log("[database-path]");
    assert!(world.trace().is_empty());
}

/// Without a file the environment is looked at as well.
#[test]
fn a_placeholder_for_a_key_is_none_without_a_file_either() {
    let world = World::new();
    let keeper = || {
        let keeper = Keeper::new(&world).db(&world.db()).replica("s3://backups/app");
        keeper.env("AWS_ACCESS_KEY_ID", "<KEY>").env("AWS_SECRET_ACCESS_KEY", "x")
    };
    refused(&world, keeper, "placeholder").expect_log("AWS_ACCESS_KEY_ID");
}
