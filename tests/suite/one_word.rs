//! What `check` says of a setting, `run` says, in the same words and before anything is started.

use std::fs;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, OLD, binary};
use crate::support::refused::refused;
use crate::support::s3::S3;
use crate::support::sqlite;
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

/// Litestream would take away its own files, or the database's.
#[test]
fn a_replica_where_the_database_or_its_metadata_is_is_refused() {
    let world = World::new();
    fs::create_dir(world.path("d")).expect("ours");
    let db = world.path("d/app.db");
    for (replica, said) in [
        ("d/.app.db-litestream", "is in the metadata folder of `"),
        ("d/.app.db-litestream/ltx", "is in the metadata folder of `"),
        ("d/app.db/backup", "is below the database `"),
    ] {
        let url = format!("file://{}", world.path(replica).display());
        let keeper = || Keeper::new(&world).db(&db).replica(url.trim_end_matches('/'));
        refused(&world, keeper, "replica-in-metadata").expect_log(said);
        keeper().command("check").run().expect_code(78).expect_output("[replica-in-metadata]");
    }
    let own = format!("file://{}", db.display());
    refused(&world, || Keeper::new(&world).db(&db).replica(&own), "replica-place")
        .expect_log("is the database itself");
    for (text, code) in [
        // Another one's.
        (
            "dbs: [{path: d/a.db, replica: {path: d/.b.db-litestream}}, {path: d/b.db, replica: {path: r}}]",
            "replica-in-metadata",
        ),
        (
            "dbs: [{path: d/a.db, replica: {path: d/b.db}}, {path: d/b.db, replica: {path: r}}]",
            "replica-place",
        ),
        ("dbs: [{path: d/a.db, meta-path: m/ltx/a, replica: {path: m}}]", "replica-in-metadata"),
        ("dbs: [{dir: d, pattern: '*.db', watch: true, replica: {path: d}}]", "replica-in-metadata"),
    ] {
        let file = world.write("a.yml", &format!("{text}\n"));
        refused(&world, || Keeper::new(&world).config(&file), code);
    }
    // Around them is no place to recommend, and takes nothing away.
    let app = App::new(&world.trace()).insert(&db, 3).exit(0);
    let beside = Keeper::new(&world).db(&db).replica(&format!("file://{}", world.path("d").display()));
    beside.app(app).run().expect_code(0);
    fs::remove_file(&db).expect("ours");
    let app = App::new(&world.trace()).count(&db).exit(0);
    let beside = Keeper::new(&world).db(&db).replica(&format!("file://{}", world.path("d").display()));
    beside.app(app).run().expect_code(0);
    assert!(world.trace().events().iter().any(|event| event.name == "count" && event.rest == "3"));
}

/// Google's storage has another name for each series, and the one that is found gets its own.
#[test]
fn googles_storage_is_asked_by_the_name_that_litestream_knows() {
    let world = World::new();
    let gcs = || Keeper::new(&world).db(&world.db()).replica("gcs://backups/app");
    refused(&world, gcs, "replica-type").expect_log("write gs://BUCKET/PATH");
    for version in [LATEST, OLD] {
        for text in ["{url: gs://backups/app}", "{type: gs, bucket: backups}", "{type: gcs, bucket: backups}"]
        {
            let file = world.write("a.yml", &format!("dbs: [{{path: app.db, replica: {text}}}]\n"));
            let keeper = || Keeper::new(&world).config(&file).litestream(version).app(["true"]);
            // Without a key it gets no further, but this far.
            let ended = keeper().run().expect_code(69).expect_log("could not find default credentials");
            ended.expect_log("GOOGLE_APPLICATION_CREDENTIALS");
            let checked = keeper().command("check").arg("--online").run().expect_code(78);
            checked.expect_output("could not find default credentials");
        }
    }
}

#[test]
fn what_switches_replication_off_is_told_and_has_to_say_so() {
    let world = World::new();
    let keeper = || simple(&world).db(&world.db()).app(["true"]);
    for (name, value) in
        [("LITEKEEPER_ENABLED", "false"), ("LITESTREAM_ENABLED", "No"), ("LITEKEEPER_ENABLED", "0")]
    {
        let checked = keeper().env(name, value).command("check").run().expect_code(0);
        checked.expect_output(&format!(
            "{name} switches replication off: `run` runs the app alone [switched-off]"
        ));
    }
    let checked = keeper().args(["--enabled-if", "NOWHERE"]).command("check").run().expect_code(0);
    checked
        .expect_output("NOWHERE is not set or empty (--enabled-if): `run` runs the app alone [switched-off]");
    let replica = world.replica_url();
    for own in ["{env: NOWHERE}", "false"] {
        let text = format!(
            "litekeeper: {{enabled: {own}}}\ndbs: [{{path: app.db, replica: {{url: '{replica}'}}}}]\n"
        );
        let file = world.write("a.yml", &text);
        let checked = Keeper::new(&world).config(&file).app(["true"]).command("check").run().expect_code(0);
        checked.expect_output("[switched-off]");
    }
    for value in ["true", "1", "yes", "ON", ""] {
        let checked = keeper().env("LITEKEEPER_ENABLED", value).command("check").run().expect_code(0);
        assert!(!checked.stdout.contains("switched-off"), "{value}: {}", checked.stdout);
    }
    for name in ["LITEKEEPER_ENABLED", "LITESTREAM_ENABLED"] {
        for value in ["maybe", "fasle", "2", "disabled"] {
            let found = refused(&world, || simple(&world).db(&world.db()).env(name, value), "variable-value");
            found.expect_log(&format!(
                "{name} is `{value}`, but must be true, 1, yes or on, or else false, 0, no or off"
            ));
        }
    }
}

/// Each call that opens something fails in a way of its own, and none of them says what is missing.
#[test]
fn too_few_descriptors_for_a_start_are_told_at_once() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    for most in ["5", "12", "25", "28"] {
        let shell = ["sh", "-c", "ulimit -n \"$0\"; exec \"$@\"", most].map(str::to_owned);
        let limited = || simple(&world).db(&world.db()).wrapped(shell.clone());
        refused(&world, limited, "few-files")
            .expect_log(&format!("{most} files may be open"))
            .expect_log("ulimit");
    }
    // What may be raised is, and the app gets what there was.
    let shell = ["sh", "-c", "ulimit -S -n 12; exec \"$0\" \"$@\""].map(str::to_owned);
    let keeper = simple(&world).db(&world.db()).wrapped(shell);
    keeper.app(["sh", "-c", "exit $(ulimit -n)"]).args(["--restart", "never"]).run().expect_code(12);
}

#[test]
fn a_litestream_in_the_place_of_the_app_is_a_second_one() {
    let world = World::new();
    let litestream = binary(LATEST).display().to_string();
    let line = format!("exec {litestream} replicate -exec app");
    for words in [vec![litestream.as_str(), "replicate", "-exec", "app"], vec!["sh", "-c", &line]] {
        let keeper = || simple(&world).db(&world.db()).app(&words);
        let checked = keeper().command("check").run().expect_code(78);
        checked
            .expect_output("the app's command is a litestream itself")
            .expect_output("[second-litestream]");
        let ended = keeper().run().expect_code(75).expect_log("the app's command is a litestream itself");
        ended.expect_log("hint: litekeeper runs litestream itself: leave it out");
    }
    let text = "dbs: [{path: app.db, replica: {path: backup}}]\n";
    let file = world.write("a.yml", &format!("exec: {litestream} replicate -exec app\n{text}"));
    let checked = Keeper::new(&world).config(&file).command("check").run().expect_code(78);
    checked.expect_output("a.yml:1: error: the app's command is a litestream itself");
    assert_eq!(world.list(""), ["a.yml", "rt"]);
}

#[test]
fn a_line_for_a_shell_is_told_to_be_one() {
    let world = World::new();
    for (words, what) in
        [(vec!["cd x && ls"], "&&"), (vec!["cd", "x", "&&", "ls"], "&&"), (vec!["echo", "x", ">", "y"], ">")]
    {
        let keeper = || simple(&world).db(&world.db()).app(&words);
        let said = format!("the app's command has `{what}`, which only a shell understands");
        let checked = keeper().command("check").run().expect_output(&said).expect_output("[app-shell]");
        let ended = keeper().run().expect_log(&said).expect_log("sh -c '…'");
        if words[0].starts_with("cd") {
            checked.expect_output("--cwd FOLDER");
            ended.expect_log("--cwd FOLDER");
        }
    }
    let ended = simple(&world).db(&world.db()).app(["sh", "-c", "cd / && true"]).run().expect_code(0);
    assert!(!ended.log.contains("only a shell"), "{}", ended.log);
}

/// Litestream's client for S3 tries again and again, and says nothing of it.
#[test]
fn who_refuses_a_connection_is_named() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let url = "s3://backups/app?endpoint=http://127.0.0.1:1&region=us-east-1";
    let keeper = |db: &str| {
        let keeper = Keeper::new(&world).db(&world.path(db)).replica(url).app(["true"]);
        keeper.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y")
    };
    let said = "no answer within 2 s: 127.0.0.1:1: connection refused";
    keeper("app.db").args(["--gate-timeout", "2s"]).run().expect_code(69).expect_log(said);
    keeper("new.db").args(["--restore-timeout", "2s"]).run().expect_code(69).expect_log(said);
    let checked = keeper("app.db").args(["--online", "--limit", "2s"]).command("check").run().expect_code(78);
    checked.expect_output(said).expect_output("[replica-list]");
}

/// The same of errors of the server's own.
#[test]
fn a_server_that_answers_with_errors_only_is_named_with_its_status() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    sqlite::create(&world.db(), 1);
    let config = world.config(&s3.replica("backups", "app"));
    let address = s3.endpoint().replace("http://", "");
    for status in [500, 503] {
        s3.fail_with(status);
        let keeper = || Keeper::new(&world).config(&config).app(["true"]);
        let said = format!("no good answer within 2 s: {address} answers {status}");
        let ended = keeper().args(["--gate-timeout", "2s"]).run().expect_code(69);
        ended.expect_log(&said).expect_log("hint: the server answers, and cannot do it now");
        let checked = keeper().args(["--online", "--limit", "2s"]).command("check").run().expect_code(78);
        checked.expect_output(&said).expect_output("[replica-list]");
    }
    fs::remove_file(world.db()).expect("ours");
    let ended = Keeper::new(&world).config(&config).args(["--restore-timeout", "2s"]).app(["true"]).run();
    ended.expect_code(69).expect_log(&format!("no good answer within 2 s: {address} answers 503"));
}
