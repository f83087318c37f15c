//! `litekeeper check`: what was meant, and how it is said: one finding about the cause, and none that contradicts it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::keeper::Keeper;
use crate::support::sqlite;
use crate::support::world::World;

/// Findings about a test's own folder, its databases, or the app that it has no need of.
const OTHERS: &[&str] = &["same-disk", "in-memory", "on-overlay", "no-app", "no-database-yet"];

/// Checks this text in this environment, and says what was found.
#[track_caller]
fn check(text: &str, env: &[(&str, &str)], code: i32) -> String {
    let world = World::new();
    world.write("a.yml", text);
    fs::set_permissions(world.path("a.yml"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let keeper = Keeper::new(&world).command("check").config(Path::new("a.yml"));
    let ended = keeper.envs(env.iter().copied()).run().expect_code(code);
    shown(&world, &ended.stdout)
}

fn shown(world: &World, stdout: &str) -> String {
    let mut is_wanted = true;
    let mut text = String::new();
    for line in stdout.split_inclusive('\n') {
        if !line.starts_with("  ") {
            is_wanted = !OTHERS.iter().any(|code| line.trim_end().ends_with(&format!("[{code}]")));
        }
        text.push_str(if is_wanted { line } else { "" });
    }
    text.replace(&world.root().display().to_string(), "/world")
}

/// The codes of the errors and warnings.
fn codes(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with("  "));
    lines.filter_map(|line| line.trim_end_matches(']').rsplit_once('[')).map(|(_, code)| code).collect()
}

fn with_replica(replica: &str) -> String {
    format!("dbs:\n  - path: a.db\n    replica:\n{}\n", replica.replace('\t', "      "))
}

/// A bare number was 30 ns in one finding and 30 s in the next.
#[test]
fn a_duration_is_the_same_in_every_finding() {
    for number in ["30", "3600", "1.5"] {
        let text = check(&with_replica(&format!("\turl: s3://b/a\n\tsync-interval: {number}")), &[], 78);
        assert_eq!(codes(&text), ["bare-duration"], "{text}");
    }
    let text = check(&with_replica("\turl: s3://b/a\n\tsync-interval: 1h"), &[], 0);
    assert_eq!(codes(&text), ["short-stop"], "{text}");
    // The keeper's own variable in a platform's file is read as the keeper reads it: it needs a unit.
    let world = World::new();
    sqlite::create(&world.db(), 1);
    world.write("fly.toml", "kill_timeout = 4\n[env]\nLITEKEEPER_STOP_TIMEOUT = \"2\"\n");
    let keeper = Keeper::new(&world).command("check").db(&world.db()).replica("s3://b/a");
    let ended = keeper.app(["true"]).run().expect_code(0);
    assert!(ended.stdout.contains("but a stop takes up to 5s"), "{}", ended.stdout);
}

#[test]
fn an_unset_variable_is_one_finding_about_the_variable() {
    let mut all = String::new();
    for (name, text) in [
        ("a bucket", with_replica("\ttype: s3\n\tbucket: ${BUCKET}\n\tpath: a")),
        ("in one line", "dbs: [{path: a.db, replica: {type: s3, bucket: $BUCKET, path: a}}]\n".to_owned()),
        ("in a URL", with_replica("\turl: s3://${BUCKET}/a")),
        ("a whole URL", with_replica("\turl: ${REPLICA}")),
        ("a host", with_replica("\ttype: sftp\n\thost: $SFTP_HOST\n\tuser: u\n\tpath: a")),
        ("at the top", format!("bucket: $BUCKET\n{}", with_replica("\ttype: s3\n\tpath: a"))),
        ("a database", "dbs:\n  - replica: {url: s3://b/a}\n    path: $DATABASE\n".to_owned()),
        ("a part of a value", with_replica("\turl: s3://b/a\n\tsync-interval: ${SECONDS_OF_SYNC}s")),
        (
            "in many databases",
            (0..20).fold("dbs:\n".to_owned(), |text, n| {
                text + &format!("  - {{path: {n}.db, replica: {{type: s3, bucket: $BUCKET, path: '{n}'}}}}\n")
            }),
        ),
        ("meant as a default", with_replica("\ttype: s3\n\tbucket: ${BUCKET:-hunter2}\n\tpath: a")),
    ] {
        let text = check(&text, &[], 78);
        assert_eq!(codes(&text).len(), 1, "{name}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
        all.push_str(&format!("# {name}\n{text}\n"));
    }
    // Where nothing follows from it, it is a warning, and one.
    let text = check(
        "dbs:\n  - {path: a.db, replica: {url: s3://b/a, region: $R}}\n  - {path: b.db, replica: {url: s3://b/b, region: $R}}\n",
        &[],
        0,
    );
    all.push_str(&format!("# in its place\n{text}"));
    insta::assert_snapshot!(all);
    // `run` says the same.
    let world = World::new();
    world.write("a.yml", &with_replica("\ttype: s3\n\tbucket: ${BUCKET}\n\tpath: a"));
    let ended = Keeper::new(&world).config(Path::new("a.yml")).app(["true"]).run().expect_code(78);
    assert!(ended.log.contains("the variable BUCKET is not set, or empty"), "{}", ended.log);
}

/// What stands in the file is right; what is in the variable is not, and may be a secret.
#[test]
fn an_error_in_expanded_text_names_the_variable() {
    let mut all = String::new();
    for (name, text, value) in [
        ("a colon", with_replica("\turl: s3://b/a\n\tsecret-access-key: $SECRET"), "hunter2: x"),
        ("a quote", with_replica("\turl: s3://b/a\n\tsecret-access-key: $SECRET"), "\"hunter2"),
        ("lines", with_replica("\turl: s3://b/a\n\tsecret-access-key: $SECRET"), "a\nhunter2"),
        ("in quotes", with_replica("\turl: s3://b/a\n\tsecret-access-key: \"$SECRET\""), "a\"hunter2"),
        ("a bracket", with_replica("\turl: s3://b/a\n\tsecret-access-key: $SECRET"), "[hunter2"),
        ("no duration", with_replica("\turl: s3://b/a\n\tsync-interval: $SECRET"), "soon"),
        ("no URL", with_replica("\turl: $SECRET"), "s3://k:hunter2/x@b/p"),
        ("a server", with_replica("\ttype: s3\n\tpath: a\n\tbucket: $SECRET"), "minio.example.com:9000"),
        (
            "a setting of ours",
            format!("litekeeper: {{stop: {{timeout: $SECRET}}}}\n{}", with_replica("\turl: s3://b/a")),
            "soon",
        ),
    ] {
        let text = check(&text, &[("SECRET", value), ("OTHER", "x")], 78);
        assert!(text.contains("SECRET") && !text.contains("hunter2"), "{name}: {text}");
        all.push_str(&format!("# {name}\n{text}\n"));
    }
    insta::assert_snapshot!(all);
    // Two variables, of which one is to blame.
    let both = with_replica("\turl: s3://b/a\n\taccess-key-id: $OTHER\n\tsecret-access-key: $SECRET");
    let text = check(&both, &[("SECRET", "[x"), ("OTHER", "fine")], 78);
    assert!(text.contains("the value of SECRET") && !text.contains("OTHER"), "{text}");
}

#[test]
fn urls_that_litestream_does_not_read_as_meant() {
    let mut all = String::new();
    for (url, code) in [
        ("r2://bucket/a", 78),
        ("minio://host:9000/bucket/a", 78),
        ("https://abc.r2.cloudflarestorage.com/bucket/a", 78),
        ("b2://bucket/a", 78),
        ("azure://account/a", 78),
        ("s4://bucket/a", 78),
        ("dropbox://a", 78),
        ("s3://minio.example.com:9000/b", 78),
        ("s3://abc.r2.cloudflarestorage.com/b", 78),
        ("file://backups/app", 0),
        ("file://localhost/backups", 0),
        ("s3://127.0.0.1:9000/b", 78),
        ("s3://minio:9000/b/a", 78),
        ("s3://s3.eu-west-1.amazonaws.com/b", 78),
        ("s3://nyc3.digitaloceanspaces.com/b", 78),
        ("s3://minio.internal:9000/b", 0),
        ("s3://s3.example.org/b", 0),
        ("s3://b/a?endpiont=https://h&Region=r&force-path-style=true&secret-access-key=hunter2&x=1", 0),
        ("gs://b/a?region=r", 0),
        ("abs://account@b/a?endpoint=https://h", 0),
        // And those that are right.
        ("s3://b/a?endpoint=https://h&region=r&forcePathStyle=true&part-size=5242880", 0),
        ("s3://b.localhost:9000/a", 0),
        ("s3://b.s3.eu-west-1.amazonaws.com/a", 0),
        ("s3://backups.example.com/a", 0),
        ("webdavs://host/a", 0),
        ("nats://host/a", 0),
        ("sftp://user@host/a", 0),
        ("sftp://user:hunter2@host/a", 0),
        ("nats://user:hunter2@host/a", 0),
        ("nats://hunter2@host/a", 0),
        ("s3://key:hunter2@bucket/a", 0),
        ("gs://user@bucket/a", 0),
        ("abs://account:hunter2@container/a", 0),
        ("abs://account@container/a", 0),
        ("webdavs://user:hunter2@host/a", 0),
    ] {
        let text = check(&with_replica(&format!("\turl: \"{url}\"")), &[], code);
        assert!(!text.contains("hunter2"), "{text}");
        all.push_str(&format!("# {}\n{text}", url.replace("hunter2", "…")));
    }
    for (name, replica) in [
        ("a server as bucket", "\ttype: s3\n\tbucket: minio.example.com:9000\n\tpath: a"),
        ("a URL as bucket", "\ttype: s3\n\tbucket: s3://b\n\tpath: a"),
        ("a path as bucket", "\ttype: s3\n\tbucket: b/backups\n\tpath: a"),
        ("a bucket without a type", "\tbucket: b\n\tpath: a"),
    ] {
        all.push_str(&format!("# {name}\n{}", check(&with_replica(replica), &[], 78)));
    }
    for path in ["/a", "a/", "./a/b"] {
        let text = check(&with_replica(&format!("\ttype: s3\n\tbucket: b\n\tpath: {path}")), &[], 0);
        all.push_str(&format!("# path {path}\n{text}"));
    }
    insta::assert_snapshot!(all);
    // Whatever it is said by.
    let world = World::new();
    let keeper = || Keeper::new(&world).command("check");
    let ended = keeper().db(&world.db()).replica("r2://b/a").run().expect_code(78);
    assert!(ended.stdout.contains("[replica-type]"), "{}", ended.stdout);
    let env = [("DATABASE_URL", "sqlite:a.db"), ("LITESTREAM_REPLICA_URL", "s3://minio.example.com:9000/b")];
    let ended = keeper().envs(env).run().expect_code(78);
    assert!(ended.stdout.contains("[host-as-bucket]"), "{}", ended.stdout);
    // 0.3 reads no parameters.
    world.write("a.yml", "dbs: [{path: a.db, replicas: [{url: 's3://b/a?endpoint=http://h'}]}]\n");
    let old = crate::support::litestream::OLD;
    let ended = keeper().litestream(old).config(Path::new("a.yml")).run().expect_code(0);
    assert!(ended.stdout.contains("Litestream 0.3 reads no parameters"), "{}", ended.stdout);
}

#[test]
fn patterns_and_placeholders() {
    let mut all = String::new();
    for path in ["data/*.db", "tenants/*/app.db", "data/app-[0-9].db", "data/app?.db"] {
        let text = format!("dbs:\n  - path: \"{path}\"\n    replica: {{url: s3://b/a}}\n");
        all.push_str(&format!("# {path}\n{}", check(&text, &[], 78)));
    }
    let dir = "dbs:\n  - {dir: \"tenants/*\", pattern: \"*.db\", watch: true, replica: {url: s3://b/a}}\n";
    all.push_str(&format!("# a folder\n{}", check(dir, &[], 78)));
    let text = concat!(
        "access-key-id: AKIAxxxxxxxxxxxxxxxx\n",
        "secret-access-key: YOUR_SECRET_ACCESS_KEY\n",
        "dbs:\n",
        "  - path: /path/to/app.db\n",
        "    replica: {url: \"s3://<BUCKET>/app\", endpoint: \"https://ACCOUNT_ID.r2.cloudflarestorage.com\"}\n",
        "  - path: b.db\n",
        "    replica: {type: s3, bucket: your-bucket-name, path: b, region: us-east-1}\n",
        "  - path: c.db\n",
        "    replica: {type: s3, bucket: changes, path: c, password: changeme}\n",
    );
    all.push_str(&format!("# placeholders\n{}", check(text, &[], 78)));
    let env = [("LITESTREAM_SECRET_ACCESS_KEY", "<your secret>"), ("BUCKET", "YOUR_BUCKET")];
    let text = check(&with_replica("\ttype: s3\n\tbucket: $BUCKET\n\tpath: a"), &env, 78);
    assert!(text.contains("it is the value of BUCKET"), "{text}");
    all.push_str(&format!("# of variables\n{text}"));
    insta::assert_snapshot!(all);
    // A file that has such a name is a file.
    let world = World::new();
    sqlite::create(&world.path("a[1].db"), 1);
    let keeper = Keeper::new(&world).command("check");
    keeper.db(&world.path("a[1].db")).replica("s3://b/a").run().expect_code(0);
}

/// `run` ends with 64 there, and `check` found nothing.
#[test]
fn an_app_that_nobody_names() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    world.write("litestream.yml", "dbs: [{path: app.db, replica: {url: 's3://b/a'}}]\n");
    let keeper = || Keeper::new(&world).command("check");
    let ended = keeper().run().expect_code(0);
    let line = ended.stdout.lines().find(|line| line.contains("no app")).expect("a finding");
    insta::assert_snapshot!(line);
    keeper().arg("--strict").run().expect_code(78);
    Keeper::new(&world).run().expect_code(64);
    for text in ["exec: sh -c true\n", "litekeeper: {app: {command: [sh, -c, 'true']}}\n"] {
        world.write(
            "litestream.yml",
            &format!("{text}dbs: [{{path: app.db, replica: {{url: 's3://b/a'}}}}]\n"),
        );
        let ended = keeper().run().expect_code(0);
        assert!(!ended.stdout.contains("[no-app]"), "{}", ended.stdout);
    }
    let ended = keeper().app(["true"]).run().expect_code(0);
    assert!(!ended.stdout.contains("[no-app]"), "{}", ended.stdout);
}

/// Docker makes a folder where the file that it was to mount is not there.
#[test]
fn a_configuration_that_is_a_folder() {
    let world = World::new();
    fs::create_dir(world.path("litestream.yml")).unwrap();
    let ended = Keeper::new(&world).command("check").run().expect_code(78);
    insta::assert_snapshot!(ended.stdout);
    let ended = Keeper::new(&world).app(["true"]).run().expect_code(78);
    assert!(
        ended.log.contains("litestream.yml: the configuration cannot be read: it is a folder, not a file"),
        "{}",
        ended.log
    );
    // So is a link to nowhere no reason to take another one.
    fs::remove_dir(world.path("litestream.yml")).unwrap();
    std::os::unix::fs::symlink("/nowhere/x", world.path("litestream.yml")).unwrap();
    let ended = Keeper::new(&world).command("check").run().expect_code(78);
    assert!(
        ended.stdout.contains("litestream.yml: error: the configuration cannot be read"),
        "{}",
        ended.stdout
    );
}

#[test]
fn variables_that_only_seem_to_be_read() {
    let names = [
        "BUCKET_NAME",
        "REPLICA_URL",
        "DB_REPLICA_URL",
        "LITESTREAM_URL",
        "LITESTREAM_BUCKET",
        "LITESTREAM_S3_BUCKET",
    ];
    let bare = "dbs:\n  - path: a.db\n";
    let own = "dbs:\n  - {path: a.db, replica: {url: s3://own/a}}\n";
    for name in names {
        let unused = |text: &str| text.lines().any(|line| line.contains(&format!("{name} is set")));
        for (text, code) in [(bare, 78), (own, 0)] {
            let found = check(text, &[(name, "uploads")], code);
            assert!(unused(&found) && found.contains("[unused-variable]"), "{name}: {found}");
        }
        // Nothing to say where the file has it.
        let used = format!("dbs:\n  - {{path: a.db, replica: {{type: s3, bucket: ${name}, path: a}}}}\n");
        let found = check(&used, &[(name, "uploads")], 0);
        assert!(!unused(&found), "{name}: {found}");
        // And without a file.
        let world = World::new();
        let env = [("DATABASE_URL", "sqlite:a.db"), (name, "uploads")];
        let ended = Keeper::new(&world).command("check").envs(env).arg("--json").run().expect_code(78);
        let all: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
        assert!(all.iter().any(|one| one["code"] == "unused-variable"), "{name}: {}", ended.stdout);
    }
}
