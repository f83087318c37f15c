//! Variables, and options in their place, as people really set them: in quotes, with what no shell has expanded, without a
//! scheme, or half.

use std::fs;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::world::World;

/// `check` and `run` say this, nothing is made, and nobody is started.
#[track_caller]
fn refused(world: &World, keeper: impl Fn() -> Keeper, said: &[&str]) {
    let checked = keeper().command("check").app(["true"]).run().expect_code(78);
    let ended = keeper().app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    for words in said {
        let text = format!("{}{}", checked.stdout, checked.log);
        assert!(text.contains(words), "check: no {words:?} in {text}");
        assert!(ended.log.contains(words), "run: no {words:?} in {}", ended.log);
    }
    assert!(world.trace().is_empty());
    assert_eq!(world.list(""), ["rt"], "something was made");
}

fn of(world: &World, variables: &[(&str, &str)]) -> Keeper {
    Keeper::new(world).envs(variables.iter().copied())
}

#[test]
fn quotes_that_nobody_took_away_are_told_of_each_variable() {
    let world = World::new();
    let replica = world.replica_url();
    let both = [("DATABASE_URL", "app.db"), ("LITESTREAM_REPLICA_URL", replica.as_str())];
    let plain = both.iter().map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in plain.chain(
        [
            ("DATABASE_URL", "sqlite:///app.db"),
            ("LITEKEEPER_DB", "app.db"),
            ("LITEKEEPER_REPLICA", "./backup"),
            ("LITEKEEPER_CONFIG", "a.yml"),
            ("LITESTREAM_CONFIG", "a.yml"),
            ("LITEKEEPER_ENV_FILE", "app.env"),
            ("LITEKEEPER_CWD", "/tmp"),
            ("LITEKEEPER_MAX_LAG", "5s"),
            ("LITEKEEPER_RESTART", "never"),
            ("LITEKEEPER_ENABLED_IF", "DATABASE_URL"),
            ("LITEKEEPER_BEFORE", "bin/migrate now"),
            ("LITESTREAM_LOG_LEVEL", "info"),
            ("LITESTREAM_SOCKET_PATH", "/tmp/x"),
            ("LITESTREAM_SECRET_ACCESS_KEY_FILE", "/run/secrets/x"),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("LITESTREAM_SECRET_ACCESS_KEY", "hunter2"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    ) {
        for quote in ['"', '\''] {
            let keeper = || of(&world, &both).env(name, format!("{quote}{value}{quote}"));
            let words = format!("the value of {name} is in quotes, which belong to it");
            refused(&world, keeper, &[&words, "--env-file takes them literally"]);
        }
    }
    let bucket = || of(&world, &[both[0], ("LITESTREAM_REPLICA_BUCKET", "\"b\"")]);
    refused(&world, bucket, &["the value of LITESTREAM_REPLICA_BUCKET is in quotes"]);
    // Off or not, nobody can tell.
    refused(
        &world,
        || of(&world, &both).env("LITEKEEPER_ENABLED", "\"false\""),
        &["the value of LITEKEEPER_ENABLED is in quotes"],
    );
}

/// YAML takes the quotes away, and an `{env: NAME}` does not.
#[test]
fn quotes_in_a_configurations_text_are_its_own() {
    let world = World::new();
    let quoted = format!("'{}'", world.replica_url());
    let app = || App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    let expanded = world.write("a.yml", "dbs: [{path: app.db, replica: {url: $LITESTREAM_REPLICA_URL}}]\n");
    let keeper = Keeper::new(&world).config(&expanded).env("LITESTREAM_REPLICA_URL", &quoted);
    keeper.app(app()).run().expect_code(0).expect_log("everything is on the replica");
    let named = world.write("b.yml", "dbs: [{path: app.db, replica: {url: {env: WHERE}}}]\n");
    let keeper = Keeper::new(&world).config(&named).env("WHERE", &quoted);
    keeper.app(app()).run().expect_code(78).expect_log("b.yml:1: the value of WHERE is in quotes");
}

#[test]
fn what_a_shell_would_have_expanded_is_told_and_no_folder_is_made_of_it() {
    let world = World::new();
    let replica = world.replica_url();
    let replica = replica.as_str();
    for (variables, said) in [
        (
            &[("DATABASE_URL", "sqlite://${HOME}/x.db"), ("LITESTREAM_REPLICA_URL", replica)][..],
            "DATABASE_URL has `${HOME}` in it",
        ),
        (
            &[("DATABASE_URL", "$(pwd)/x.db"), ("LITESTREAM_REPLICA_URL", replica)],
            "DATABASE_URL has `$(…)` in it",
        ),
        (
            &[("LITEKEEPER_DB", "${HOME}/x.db"), ("LITEKEEPER_REPLICA", replica)],
            "LITEKEEPER_DB has `${HOME}` in it",
        ),
        (
            &[("LITEKEEPER_DB", "$HOME/x.db"), ("LITEKEEPER_REPLICA", replica)],
            "LITEKEEPER_DB has `$HOME` in it",
        ),
        (
            &[("LITEKEEPER_DB", "x.db"), ("LITEKEEPER_REPLICA", "s3://${B:-hunter2}/x")],
            "LITEKEEPER_REPLICA has `${B…}` in it",
        ),
        (
            &[("DATABASE_URL", "x.db"), ("LITESTREAM_REPLICA_URL", "s3://b/${APP}")],
            "LITESTREAM_REPLICA_URL has `${APP}` in it",
        ),
        (
            &[("DATABASE_URL", "x.db"), ("LITESTREAM_REPLICA_BUCKET", "${B}")],
            "LITESTREAM_REPLICA_BUCKET has `${B}` in it",
        ),
        (&[("LITEKEEPER_CONFIG", "${HOME}/a.yml")], "LITEKEEPER_CONFIG has `${HOME}` in it"),
        (
            &[
                ("LITEKEEPER_RUNTIME_DIR", "${HOME}/rt"),
                ("LITEKEEPER_DB", "x.db"),
                ("LITEKEEPER_REPLICA", replica),
            ],
            "LITEKEEPER_RUNTIME_DIR has `${HOME}` in it",
        ),
    ] {
        refused(&world, || of(&world, variables), &[said, "no shell reads it here"]);
    }
    refused(
        &world,
        || Keeper::new(&world).args(["--db", "${HOME}/x.db", "--replica", replica]),
        &["--db has `${HOME}` in it"],
    );
    // By a file's own way as well, before there is a folder or a lock.
    let keeper = || Keeper::new(&world).config(&world.path("rt/a.yml")).env("DATA", "${HOME}/x");
    world.write("rt/a.yml", "dbs: [{path: \"$DATA/x.db\", replica: {path: backup}}]\n");
    refused(&world, keeper, &["`path` has `${HOME}`, a placeholder", "DATA"]);
}

#[test]
fn a_folder_without_a_scheme_is_told_how_it_is_written() {
    let world = World::new();
    for (url, hint) in
        [("/folder", "did you mean `file:///folder`?"), ("s3:/b/x", "did you mean `s3://b/x`?")]
    {
        let names = ["LITESTREAM_REPLICA_URL has no scheme such as s3:// or file://", hint];
        refused(
            &world,
            || of(&world, &[("DATABASE_URL", "app.db"), ("LITESTREAM_REPLICA_URL", url)]),
            &names,
        );
        refused(
            &world,
            || of(&world, &[("LITEKEEPER_DB", "app.db"), ("LITESTREAM_REPLICA_URL", url)]),
            &names,
        );
        world.write("rt/a.yml", "dbs: [{path: a.db}, {path: b.db}]\n");
        let by_file = || of(&world, &[("LITESTREAM_REPLICA_URL", url)]).config(&world.path("rt/a.yml"));
        refused(&world, by_file, &names);
        world.write("rt/a.yml", &format!("dbs: [{{path: a.db, replica: {{url: '{url}'}}}}]\n"));
        refused(&world, || Keeper::new(&world).config(&world.path("rt/a.yml")), &["a.yml:1: ", hint]);
    }
    for (text, hint) in
        [("s3://b/x", "`replica: {url: \"s3://b/x\"}`"), ("/folder", "`replica: {path: \"/folder\"}`")]
    {
        world.write("rt/a.yml", &format!("dbs: [{{path: a.db, replica: '{text}'}}]\n"));
        refused(&world, || Keeper::new(&world).config(&world.path("rt/a.yml")), &[hint]);
    }
    for (keeper, said_by) in [
        (Keeper::new(&world).db(&world.db()).replica("bucket/x"), "(--replica)"),
        (
            of(&world, &[("LITEKEEPER_DB", "app.db"), ("LITEKEEPER_REPLICA", "bucket/x")]),
            "(LITEKEEPER_REPLICA)",
        ),
    ] {
        let ended = keeper.app(["true"]).run().expect_code(64).expect_log(said_by);
        ended.expect_log("did you mean the folder `./bucket/x`, or the bucket `s3://bucket/x`?");
    }
}

#[test]
fn half_of_what_is_needed_is_told_with_the_other_half() {
    let world = World::new();
    refused(
        &world,
        || of(&world, &[("DATABASE_URL", "sqlite:app.db")]),
        &[
            "DATABASE_URL names the database app.db, but nothing names its replica",
            "LITESTREAM_REPLICA_URL",
            "--replica URL",
        ],
    );
    world.write("rt/a.yml", "dbs: []\n");
    let by_file = || of(&world, &[("DATABASE_URL", "sqlite:app.db")]).config(&world.path("rt/a.yml"));
    refused(&world, by_file, &["DATABASE_URL names the database app.db"]);
    let alone = of(&world, &[("LITEKEEPER_DB", "app.db")]).app(["true"]).run().expect_code(64);
    alone
        .expect_log("LITEKEEPER_DB is set, but LITEKEEPER_REPLICA is not")
        .expect_log("LITESTREAM_REPLICA_URL");
    // Another kind of database is nobody's business here.
    let other = of(&world, &[("DATABASE_URL", "postgres://u@h/d")]).app(["true"]).run().expect_code(64);
    other.expect_log("neither a configuration nor");
}

#[test]
fn several_paths_are_not_one() {
    let world = World::new();
    let replica = world.replica_url();
    let pair = |db: &str| of(&world, &[("LITEKEEPER_DB", db), ("LITEKEEPER_REPLICA", &replica)]);
    for db in ["a,b", "a.db;b.db", "/data/a.db:/data/b.db", "a.db b.db"] {
        refused(
            &world,
            || pair(db),
            &[&format!("LITEKEEPER_DB is `{db}`: these are 2 paths"), "`dbs:` list"],
        );
    }
    let by_url = || of(&world, &[("DATABASE_URL", "a.db,b.db"), ("LITESTREAM_REPLICA_URL", &replica)]);
    refused(&world, by_url, &["DATABASE_URL is `a.db,b.db`: these are 2 paths"]);
    crate::support::sqlite::create(&world.path("a,b"), 1);
    let app = App::new(&world.trace()).insert(&world.path("a,b"), 1).exit(0);
    pair("a,b").app(app).run().expect_code(0).expect_log("everything is on the replica");
}

#[test]
fn a_scheme_is_read_in_any_case_and_by_its_library() {
    let world = World::new();
    let path = world.db().display().to_string();
    for url in [
        "SQLite:app.db".to_owned(),
        format!("SQLITE:///{path}"),
        "jdbc:sqlite:app.db".to_owned(),
        format!("JDBC:SQLite:{path}?journal_mode=WAL"),
        "spatialite:///app.db".to_owned(),
    ] {
        let variables = [("DATABASE_URL", url.as_str()), ("LITESTREAM_REPLICA_URL", &world.replica_url())];
        let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
        let ended = of(&world, &variables).app(app).run().expect_code(0);
        ended.expect_log(&path).expect_log("everything is on the replica");
    }
    let java = [("DATABASE_URL", "jdbc:postgresql://h/d"), ("LITESTREAM_REPLICA_URL", "s3://b/x")];
    let world = World::new();
    refused(&world, || of(&world, &java), &["DATABASE_URL is a `jdbc:postgresql:` URL, not a SQLite file"]);
}

/// A file that holds the value of a variable, for each that may be a secret or says where the backup is.
#[test]
fn a_variable_in_a_file_is_read_or_told_not_to_be() {
    let world = World::new();
    let url = world.write("rt/url", &format!("{}\n", world.replica_url()));
    let url = url.to_str().expect("UTF-8");
    for variables in [
        [("DATABASE_URL", "app.db"), ("LITESTREAM_REPLICA_URL_FILE", url)],
        [("LITEKEEPER_DB", "app.db"), ("LITEKEEPER_REPLICA_FILE", url)],
    ] {
        let checked = of(&world, &variables).command("check").app(["true"]).run().expect_code(0);
        assert!(!checked.stdout.contains("unused-variable"), "{}", checked.stdout);
        let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
        of(&world, &variables).app(app).run().expect_code(0).expect_log("everything is on the replica");
    }
    let world = World::new();
    for name in ["LITESTREAM_REPLICA_URL", "LITESTREAM_REPLICA_BUCKET", "LITESTREAM_SECRET_ACCESS_KEY"] {
        let file = format!("{name}_FILE");
        let keeper = || of(&world, &[("DATABASE_URL", "app.db"), (&file, "/nowhere")]);
        refused(&world, keeper, &[&format!("{file} names /nowhere, which cannot be read")]);
    }
    let keeper = of(&world, &[("LITEKEEPER_MAX_LAG_FILE", "/nowhere"), ("LITEKEEPER_CONFIG_FILE", "x")]);
    let mut checked = keeper.db(&world.db()).replica("s3://b/x").command("check").run().expect_code(0);
    for name in ["LITEKEEPER_MAX_LAG", "LITEKEEPER_CONFIG"] {
        checked =
            checked.expect_output(&format!("{name}_FILE is set, but nobody reads it [unused-variable]"));
        assert!(checked.stdout.contains(&format!("{name} is read;")), "{}", checked.stdout);
    }
}

/// Parts of a replica beside one that is whole seem to add to it.
#[test]
fn a_part_of_a_replica_beside_a_whole_one_is_told() {
    let world = World::new();
    let (db, url) = (world.db().display().to_string(), world.replica_url());
    let options = |keeper: Keeper| keeper.args(["--db", &db, "--replica", &url]);
    let parts = ["LITESTREAM_REPLICA_ENDPOINT", "LITESTREAM_REPLICA_REGION", "LITESTREAM_REPLICA_PATH"];
    for part in parts {
        let set =
            |more: &[(&'static str, &str)]| of(&world, &[&[(part, "http://127.0.0.1:1")], more].concat());
        let both = [("LITEKEEPER_DB", db.as_str()), ("LITEKEEPER_REPLICA", &url)];
        let environment = [("DATABASE_URL", db.as_str()), ("LITESTREAM_REPLICA_URL", &url)];
        let whole = format!("{part} is set, but the replica is given as a whole, without it");
        let beside = format!("{part} is set, but LITESTREAM_REPLICA_URL is as well, and counts as a whole");
        for (keeper, words) in [
            (&(|| options(set(&[]))) as &dyn Fn() -> Keeper, &whole),
            (&|| set(&both), &whole),
            (&|| set(&environment), &beside),
            (&|| set(&environment[1..]).db(&world.db()), &beside),
        ] {
            let checked = keeper().command("check").app(["true"]).run().expect_code(0);
            checked.expect_output(&format!("{words} [unused-variable]"));
            let app = App::new(&world.trace()).exit(0);
            keeper().app(app).run().expect_code(0).expect_log(words).expect_log("into the replica's URL");
        }
    }
    let bucket = [("LITESTREAM_REPLICA_BUCKET", "b"), (parts[0], "http://127.0.0.1:1")];
    let checked = of(&world, &bucket).db(&world.db()).command("check").app(["true"]).run().expect_code(0);
    assert!(!checked.stdout.contains("unused-variable"), "{}", checked.stdout);
}

#[test]
fn a_variable_that_nobody_reads_is_told_with_the_one_that_may_be_meant() {
    let world = World::new();
    let keeper = |names: &[&str]| {
        let keeper = of(&world, &names.iter().map(|name| (*name, "x")).collect::<Vec<_>>());
        keeper.db(&world.db()).replica("s3://b/x").command("check")
    };
    let names = [
        ("BACKUP_BUCKET", "LITESTREAM_REPLICA_BUCKET is read"),
        ("LITESTREAM_REPLICA_S3_BUCKET", "LITESTREAM_REPLICA_BUCKET is read"),
        ("LITESTREAM_BUCKET_NAME", "LITESTREAM_REPLICA_BUCKET is read"),
        ("LITEKEEPER_MAXLAG", "did you mean LITEKEEPER_MAX_LAG?"),
        ("LITESTREAM_REPLICA_URI", "did you mean LITESTREAM_REPLICA_URL?"),
        ("LITESTREAM_ANYTHING_ELSE", "docs/variables.md"),
    ];
    for (name, hint) in names {
        let words = format!("{name} is set, but nobody reads it [unused-variable]");
        let found = keeper(&[name]).run().expect_code(0).expect_output(&words);
        assert!(found.stdout.contains(hint), "{}", found.stdout);
        let text = "dbs: [{path: app.db, replica: {url: s3://b/x, access-key-id: {env: NAME}}}]\n";
        let file = world.write("a.yml", &text.replace("NAME", name));
        let named = Keeper::new(&world).config(&file).env(name, "x").command("check").run();
        assert!(!named.stdout.contains("unused-variable"), "{}", named.stdout);
    }
    for name in ["LITESTREAM_VERSION", "LITESTREAM_PORT_9090_TCP_ADDR", "LITEKEEPER_DATABASE_MAIN"] {
        let found = keeper(&[name]).run().expect_code(0);
        assert!(!found.stdout.contains("unused-variable"), "{}", found.stdout);
    }
    // The app's own, where there is nothing else.
    let alone = of(&world, &[("S3_BUCKET", "x"), ("DATABASE_URL", "app.db")]).command("check").run();
    assert!(
        alone.stdout.contains("S3_BUCKET is set, and LITESTREAM_REPLICA_BUCKET is not"),
        "{}",
        alone.stdout
    );
    assert!(fs::metadata(world.db()).is_err());
}

#[test]
fn init_writes_no_value_in_quotes_either() {
    let world = World::new();
    for (name, value) in [("DATABASE_URL", "\"sqlite:///app.db\""), ("LITESTREAM_REPLICA_BUCKET", "'shop'")] {
        let keeper = Keeper::new(&world).command("init").env(name, value);
        let ended = keeper.run().expect_code(78).expect_log(name);
        ended.expect_log("in quotes");
        assert!(!world.path("litestream.yml").exists());
    }
}

#[test]
fn a_refused_value_of_a_variable_is_told_with_its_name() {
    let world = World::new();
    let replica = world.replica_url();
    for command in ["run", "check", "config"] {
        for (name, value) in [
            ("LITEKEEPER_STOP_TIMEOUT", "30"),
            ("LITEKEEPER_ON_LAG", "Stop"),
            ("LITEKEEPER_ENABLED_IF", "$WHERE"),
        ] {
            let keeper =
                Keeper::new(&world).db(&world.db()).replica(&replica).command(command).env(name, value);
            let ended = keeper.run().expect_code(2);
            ended.expect_log(&format!("hint: the value is that of the variable {name}"));
        }
        let keeper = Keeper::new(&world).db(&world.db()).replica(&replica).command(command);
        let ended = keeper.env("LITEKEEPER_ON_LAG", "stop").args(["--on-lag", "Stop"]).run().expect_code(2);
        assert!(!ended.log.contains("hint: the value is"), "{}", ended.log);
    }
}

/// What a shell makes of `$NAME` is a value, and no variable has it for a name.
#[test]
fn a_switch_is_the_name_of_a_variable() {
    let world = World::new();
    let keeper = || Keeper::new(&world).db(&world.db()).replica(&world.replica_url()).app(["true"]);
    for value in ["s3://b/a", "", "a b", "1X"] {
        keeper().args(["--enabled-if", value]).run().expect_code(2).expect_log("--enabled-if");
    }
    for value in ["$WHERE", "${WHERE}"] {
        keeper()
            .args(["--enabled-if", value])
            .run()
            .expect_code(2)
            .expect_log("write the name itself: WHERE");
    }
    let text = "litekeeper: {enabled: {env: 's3://b/a'}}\ndbs: [{path: app.db, replica: {path: backup}}]\n";
    let file = world.write("a.yml", text);
    let ended = Keeper::new(&world).config(&file).app(["true"]).run().expect_code(78);
    ended.expect_log("no variable has such a name");
    let ended =
        keeper().env("LITESTREAM_REPLICA_URL", "s3://b/a").args(["--enabled-if", "LITESTREAM_REPLICA_URI"]);
    ended.run().expect_code(0).expect_log("LITESTREAM_REPLICA_URL is set: is that meant?");
    assert!(!world.path("replica").exists(), "nothing was replicated");
}

/// What is only wrong once it is on again is told, and stops nobody.
#[test]
fn a_switch_that_is_off_makes_check_as_content_as_run() {
    let world = World::new();
    let text = "litekeeper: {enabled: {env: WHERE}}\ndbs: [{path: app.db, replica: {url: $WHERE}}]\n";
    let file = world.write("a.yml", text);
    let keeper = || Keeper::new(&world).config(&file).app(["true"]);
    keeper().run().expect_code(0);
    keeper().command("check").run().expect_code(0).expect_output("[switched-off]");
    keeper().env("WHERE", "x:y:z").command("check").run().expect_code(78);
}

#[test]
fn an_option_reads_a_url_of_sqlite_as_the_variable_does() {
    let world = World::new();
    fs::create_dir(world.path("data")).expect("the world can be written");
    let replica = world.replica_url();
    let keeper = Keeper::new(&world).args(["--db", "sqlite:///data/app.db", "--replica", &replica]);
    let ended = keeper.command("config").run().expect_code(0);
    assert!(ended.stdout.contains(&world.path("data/app.db").display().to_string()), "{}", ended.stdout);
}

#[test]
fn a_configuration_that_nobody_looks_for_is_named() {
    for file in ["litestream.yaml", "etc/litestream.yml", "deploy/litekeeper.yaml"] {
        let world = World::new();
        let path = world.path(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the world can be written");
        fs::write(&path, "dbs: []\n").expect("the world can be written");
        for (command, code) in [("run", 64), ("check", 78)] {
            let ended = Keeper::new(&world).command(command).app(["true"]).run().expect_code(code);
            ended.expect_output(&format!("name it with --config {file}"));
        }
    }
}

/// `$DATA_DIR/app.db` without a value is `/app.db`, and two environments whose name is in the place share one.
#[test]
fn a_place_that_lacks_a_part_is_refused() {
    let world = World::new();
    let file = |path: &str, replica: &str| {
        world.write("a.yml", &format!("dbs:\n- path: {path}\n  replica:\n    {replica}\n"))
    };
    for (path, replica) in [
        ("$DATA_DIR/app.db", "path: backup"),
        ("data/$STAGE/app.db", "path: backup"),
        ("data/${NAME}.db", "path: backup"),
        ("app.db", "path: backup/$STAGE"),
        ("app.db", "url: 'file:///backup/${STAGE}/app'"),
        ("app.db", "url: 's3://b/$STAGE'"),
    ] {
        let config = file(path, replica);
        for command in ["check", "run"] {
            let ended = Keeper::new(&world).command(command).config(&config).app(["true"]).run();
            let ended = ended.expect_code(78).expect_output(" is not set, or empty: `");
            ended.expect_output("` would be another place without it").expect_output("hint: set ");
        }
    }
    // What only adds to a name may be nothing.
    let config = file("app$SUFFIX.db", "path: backup$SUFFIX");
    Keeper::new(&world).command("check").config(&config).app(["true"]).run().expect_code(0);
}
