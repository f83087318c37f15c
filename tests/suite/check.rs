//! `litekeeper check`: every finding, with its text.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, NO_SOCKET, OLD, binary};
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// Findings about where a test's own folder happens to be.
/// Or of the app that most of them have no need of.
const OF_THIS_MACHINE: &[&str] = &["same-disk", "in-memory", "on-overlay", "no-app"];

fn keeper(world: &World) -> Keeper {
    Keeper::new(world).command("check")
}

fn shared(world: &World) {
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o755)).expect("ours");
}

/// The findings as they are shown, on any machine the same.
#[track_caller]
fn shown(world: &World, ended: &Ended) -> String {
    let mut text = OF_THIS_MACHINE.iter().fold(ended.stdout.clone(), |text, code| without(code, &text));
    text = text.replace(&world.root().display().to_string(), "/world");
    for version in [LATEST, NO_SOCKET, OLD] {
        text = text.replace(&binary(version).display().to_string(), "/bin/litestream");
    }
    text
}

/// The same without the findings of this code.
fn without(code: &str, text: &str) -> String {
    let mut is_wanted = true;
    let wanted = |line: &&str| {
        if !line.starts_with("  ") {
            is_wanted = !line.trim_end().ends_with(&format!("[{code}]"));
        }
        is_wanted
    };
    text.split_inclusive('\n').filter(wanted).collect()
}

/// Checks this text, and says what was found.
#[track_caller]
fn check_text(text: &str, code: i32) -> String {
    let world = World::new();
    let ended = keeper(&world).config(Path::new("a.yml")).env("EMPTY", "");
    fs::write(world.path("a.yml"), text).expect("the world can be written");
    fs::set_permissions(world.path("a.yml"), fs::Permissions::from_mode(0o600)).expect("ours");
    let ended = ended.run().expect_code(code);
    without("no-database-yet", &shown(&world, &ended))
}

#[test]
fn keys_that_nobody_reads() {
    insta::assert_snapshot!(check_text(
        concat!(
            "regoin: r\n",
            "x-mine: 1\n",
            "no-such-thing: 1\n",
            "retention: {enabled: false}\n",
            "part-size: 5MiB\n",
            "dbs:\n",
            "  - path: a.db\n",
            "    monitor_interval: 1s\n",
            "    access-key-id: $EMPTY\n",
            "    snapshot: {retension: 24h}\n",
            "    replica:\n",
            "      url: s3://b/a\n",
            "      sync-intervall: 1s\n",
            "      retention: 24h\n",
            "      retention-check-interval: 1h\n",
            "      snapshot-interval: 1h\n",
            "      validation-interval: 1h\n",
            "  - path: b.db\n",
            "    path: c.db\n",
            "    max-checkpoint-page-count: 1\n",
            "    replica: {path: /backup/c}\n",
        ),
        0
    ));
}

#[test]
fn what_litekeeper_adds() {
    insta::assert_snapshot!(check_text(
        concat!(
            "access-key-id: a\n",
            "access_key_id: b\n",
            "litekeeper:\n",
            "  replicas:\n",
            "    s3: {type: s3, bucket: b, path-mode: middle}\n",
            "dbs:\n",
            "  - path: a.db\n",
            "    replica: s3\n",
            "  - path: b.db\n",
            "    replica: s4\n",
            "  - path: c.db\n",
            "    name: ../c\n",
            "    replica: s3\n",
        ),
        78
    ));
}

#[test]
fn values_that_mean_something_else() {
    insta::assert_snapshot!(check_text(
        concat!(
            "socket: {enabled: off, permissions: \"0600\", path: /",
            "a-folder-with-a-long-name/a-folder-with-a-long-name/a-folder-with-a-long-name/",
            "a-folder-with-a-long-name/socket}\n",
            "logging: {type: jsn, level: loud}\n",
            "exec: bin/server && bin/other\n",
            "shutdown-sync-timeout: 30\n",
            "levels: 30s\n",
            "dbs:\n",
            "  - path: a.db\n",
            "    snapshot: {interval: 7d, retention: soon}\n",
            "    busy-timeout: 1.5\n",
            "    truncate-page-n: \"1\"\n",
            "    replica:\n",
            "      url: s3://b/a\n",
            "      part-size: 5 bits\n",
            "      force-path-style: \"true\"\n",
            "      root-cas: /ca.pem\n",
            "      age: {identities: [x]}\n",
            "  - path: b.db\n",
            "    replica: {type: s4, path: /backup/b}\n",
            "  - path: c.db\n",
            "    replica: {type: GS, bucket: b, path: c}\n",
        ),
        78
    ));
    insta::assert_snapshot!(
        "permissions",
        check_text("socket: {permissions: 600}\ndbs: [{path: a.db, replica: {url: \"s3://b/a\"}}]\n", 78)
    );
}

/// Go has no longest duration, and a finding no more of a text than can be shown.
#[test]
fn a_duration_of_many_parts_is_one() {
    let dbs = "dbs: [{path: a.db, replica: {url: s3://b/a}}]\n";
    let found = |duration: &str| check_text(&format!("l0-retention: {duration}\n{dbs}"), 0);
    assert!(!found(&"1s".repeat(40)).contains("bad-duration"));
    assert!(check_text(&format!("l0-retention: {}x\n{dbs}", "1s".repeat(40)), 78).contains("bad-duration"));
}

#[test]
fn variables_without_a_value() {
    insta::assert_snapshot!(check_text(
        concat!(
            "# $NOT_LOOKED_AT\n",
            "dbs:\n",
            "  - path: a.db  # $NOT_LOOKED_AT\n",
            "    replica:\n",
            "      url: s3://b/a\n",
            "      region: ${REGION}\n",
            "      endpoint: \"$EMPTY\"\n",
            "      access-key-id: ${KEY:-hunter2}\n",
        ),
        0
    ));
    let text = "\"a\\e[2Jb\": 1\ndbs: [{path: a.db, replica: {url: 's3://b/a'}}]\n";
    assert!(check_text(text, 0).contains("`a\\u{1b}[2Jb` is no setting"), "nothing for a terminal to obey");
}

/// What the environment says about a replica goes to databases without one, and the bucket is never AWS_BUCKET.
#[test]
fn variables_that_nobody_reads() {
    let own = "dbs:\n  - path: a.db\n    replica: {type: s3, bucket: $LITESTREAM_REPLICA_BUCKET, path: a}\n";
    let bare = "dbs:\n  - path: a.db\n";
    let set = [("LITESTREAM_REPLICA_BUCKET", "b"), ("LITESTREAM_REPLICA_ENDPOINT", "http://127.0.0.1:1")];
    let aws = [("AWS_BUCKET", "uploads")];
    let mut all = String::new();
    for (name, text, env, code) in [
        ("the endpoint is not in the file", own, &set[..], 0),
        ("the endpoint is the environment's", bare, &set, 0),
        ("only AWS_BUCKET", own, &aws, 78),
        ("only AWS_BUCKET, and no replica", bare, &aws, 78),
        ("both buckets", own, &[set[0], aws[0]], 0),
    ] {
        let world = World::new();
        fs::write(world.path("a.yml"), text).expect("the world can be written");
        let mut keeper = keeper(&world).config(Path::new("a.yml"));
        for (name, value) in env {
            keeper = keeper.env(name, value);
        }
        let ended = keeper.run().expect_code(code);
        all.push_str(&format!("# {name}\n{}\n", without("no-database-yet", &shown(&world, &ended))));
    }
    insta::assert_snapshot!(all);
}

/// The wrappers run inside of the framework, behind whatever reads `.env`.
#[test]
fn variables_of_the_app_alone() {
    let world = World::new();
    let env = "# LITESTREAM_A=1\nAPP_KEY=hunter2\nexport LITESTREAM_ENABLED=false\nBUCKET='hunter2'\n\
        LITESTREAM_REPLICA_PATH=\nLITESTREAM_ACCESS_KEY_ID=hunter2\n\
        LITESTREAM_REPLICA_REGION= # none\nOTHER='\nLITESTREAM_REPLICA_URL=in a value\n'\n";
    fs::write(world.path(".env"), env).expect("the world can be written");
    fs::write(world.path("a.yml"), "dbs: [{path: a.db, replica: {type: s3, bucket: $BUCKET, path: a}}]\n")
        .expect("the world can be written");
    let check = || keeper(&world).config(Path::new("a.yml")).env("LITESTREAM_ACCESS_KEY_ID", "key");
    let text = shown(&world, &check().run().expect_code(78));
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
    // Given to Litekeeper, too, they are nothing to talk about.
    let ended = check().env("BUCKET", "b").env("LITESTREAM_ENABLED", "true").run().expect_code(0);
    assert!(!ended.stdout.contains("env-file-only"), "{}", ended.stdout);
    // It is read as `--env-file` reads it: a line inside of quotes is a part of their value.
    let env = "NOTE='what was\nLITESTREAM_ENABLED=false\nbefore'\nexport\tLITESTREAM_REPLICA_PATH=x\n";
    fs::write(world.path(".env"), env).expect("the world can be written");
    let ended = check().env("BUCKET", "b").run().expect_code(0);
    assert!(ended.stdout.contains(".env:4: warning: LITESTREAM_REPLICA_PATH"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("LITESTREAM_ENABLED"), "{}", ended.stdout);
}

/// A file of `--env-file` has variables for the app, the configuration and Litestream, and none of `run`'s own options.
#[test]
fn options_in_a_file_of_variables() {
    let world = World::new();
    let text = "LITEKEEPER_MAX_LAG=5s\nLITESTREAM_BINARY_PATH=/x\nLITEKEEPER_BUCKET=b\nLITESTREAM_ACCESS_KEY_ID=hunter2\n\
        LITEKEEPER_CONFIG=a.yml\n";
    for name in ["prod.env", ".env"] {
        let file = world.write(name, text);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
        world.write(
            "a.yml",
            "dbs: [{path: a.db, replica: {type: s3, bucket: $LITEKEEPER_BUCKET, path: a}}]\n",
        );
        let check = keeper(&world).args(["--env-file", name]).env("LITESTREAM_BINARY_PATH", "");
        let found = shown(&world, &check.run());
        let told = |name: &str| found.contains(&format!("{name} is set in this file only"));
        let own = ["LITEKEEPER_MAX_LAG", "LITESTREAM_BINARY_PATH"];
        assert!(own.iter().all(|own| told(own)) && found.contains(&format!("{name}:1: warning")), "{found}");
        let read = ["LITEKEEPER_BUCKET", "LITESTREAM_ACCESS_KEY_ID", "LITEKEEPER_CONFIG"];
        assert!(!read.iter().any(|read| told(read)), "{found}");
        fs::remove_file(file).expect("it is there");
    }
}

#[test]
fn secrets_in_the_file() {
    let text = check_text(
        concat!(
            "secret-access-key: hunter2\n",
            "dbs:\n",
            "  - path: a.db\n",
            "    replica: {url: \"sftp://me:hunter2@host/a\", key-path: key}\n",
            "  - path: b.db\n",
            "    replica: {type: s3, bucket: b, path: b, secret-access-key: \"${EMPTY}\"}\n",
        ),
        78,
    );
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_no_configuration_at_all() {
    let mut all = String::new();
    for (name, text) in [
        ("a tab", "dbs:\n\t- path: a\n"),
        ("no database", "addr: ':9090'\n"),
        ("no path", "dbs:\n  - {replica: {path: /b}}\n  - {path: 'file:x', replica: {path: /c}}\n"),
        ("no replica", "dbs:\n  - path: a.db\n"),
        ("several", "dbs:\n  - path: a.db\n    replicas:\n      - path: /b\n      - path: /c\n"),
        (
            "places",
            "dbs:\n  - {path: a.db, replica: {type: s3}}\n  - {path: b.db, replica: {url: 's3://b/c', bucket: b}}\n",
        ),
        (
            "twins",
            "dbs:\n  - &a {path: a.db, meta-path: m, replica: {path: /b}}\n  - *a\n  - {path: b.db, meta-path: m, replica: {path: /b}}\n",
        ),
        ("types", "dbs:\n  - {path: [a], replica: {path: /b}}\n"),
        ("no value", "dbs:\n  - {path: a.db, replica: {type: s3, bucket: {env: BUCKET}, path: a}}\n"),
        (
            "a default",
            "dbs:\n  - {path: a.db, replica: {type: s3, bucket: \"${BUCKET:-hunter2}\", path: a}}\n",
        ),
        ("too deep", &"[".repeat(100)),
    ] {
        all.push_str(&format!("# {name}\n{}\n", check_text(text, 78)));
    }
    let world = World::new();
    let ended = keeper(&world).config(Path::new("no-such.yml")).run().expect_code(78);
    all.push_str(&format!("# no file\n{}", shown(&world, &ended)));
    insta::assert_snapshot!(all);
}

#[test]
fn without_a_file_the_pairs_and_the_environment_are_checked() {
    let world = World::new();
    let ended = keeper(&world).run().expect_code(78).expect_log("1 error, 0 warnings, 0 notes");
    assert!(ended.stdout.starts_with("command line: error: neither a configuration nor"), "{}", ended.stdout);
    let ended = keeper(&world).db(&world.db()).replica("s3://b/a").run().expect_code(0);
    assert!(ended.stdout.contains("command line: note: "), "{}", ended.stdout);
    let environment = [("DATABASE_URL", "postgres://x"), ("LITESTREAM_REPLICA_URL", "s3://b/a")];
    let ended = keeper(&world).envs(environment).run().expect_code(78);
    assert!(ended.stdout.starts_with("environment: error: "), "{}", ended.stdout);
    keeper(&world).args(["--db", "a.db"]).run().expect_code(64);
}

#[test]
fn json_has_every_finding_with_its_place() {
    let world = World::new();
    let config =
        world.write("a.yml", "dbs:\n  - path: a.db\n    replica: {url: 's3://b/a', sync-interval: 10}\n");
    let ended = keeper(&world).config(&config).arg("--json").run().expect_code(78);
    let all: Vec<Value> = serde_json::from_str(&ended.stdout).expect("an array");
    let found = all.iter().find(|one| one["code"] == "bare-duration").expect("it is found");
    assert_eq!(found["severity"], "error");
    assert_eq!(found["file"], config.to_str().expect("UTF-8"));
    assert_eq!((found["line"].as_u64(), found["column"].as_u64()), (Some(3), Some(47)));
    assert!(found["hint"].as_str().is_some_and(|hint| hint.contains("10s")), "{found}");
    assert!(all.iter().all(|one| one["message"].is_string() && one["origin"].is_string()));
    assert_eq!(ended.log.lines().count(), 1, "{}", ended.log);
}

#[test]
fn nothing_found_is_said_as_such() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let ended = keeper(&world).db(&world.db()).replica("s3://b/a");
    // Where the test's folder is may be worth a finding.
    let ended = ended.arg("--json").run().expect_code(0);
    let all: Vec<Value> = serde_json::from_str(&ended.stdout).expect("an array");
    let others = all.iter().filter(|one| !OF_THIS_MACHINE.contains(&one["code"].as_str().expect("a code")));
    assert_eq!(others.count(), 0, "{}", ended.stdout);
}

#[test]
fn with_strict_a_warning_is_enough() {
    let world = World::new();
    let config = world.write("a.yml", "adr: x\ndbs: [{path: a.db, replica: {url: 's3://b/a'}}]\n");
    keeper(&world).config(&config).run().expect_code(0).expect_output("did you mean `addr`?");
    keeper(&world).config(&config).arg("--strict").run().expect_code(78);
}

#[test]
fn litestreams_that_will_not_do() {
    let world = World::new();
    let config = world.write(
        "a.yml",
        concat!(
            "region: r\naccess-key-id: $KEY\n",
            "dbs:\n  - {path: a.db, snapshot: {interval: 1h}, replica: {url: 's3://b/a', sign-payload: true}}\n",
            "  - {path: b.db, replicas: [{path: /b}, {path: /c}]}\n"
        ),
    );
    let with = |variables: &[(&str, &str)]| {
        let keeper = keeper(&world).config(&config).env("KEY", "k").envs(variables.iter().copied());
        let ended = keeper.run();
        format!("# {}\n{}\n", variables.last().expect("one").0, shown(&world, &ended))
    };
    let bad = world.program("bad", "#!/bin/sh\necho 0.5.7\n");
    let mute = world.program("mute", "#!/bin/sh\necho hello\n");
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let all = [
        with(&[("LITESTREAM_BINARY_PATH", &path(&binary(OLD)))]),
        with(&[("LITESTREAM_BINARY_PATH", &path(&binary(NO_SOCKET)))]),
        with(&[("LITESTREAM_BINARY_PATH", &path(&bad))]),
        with(&[("LITESTREAM_BINARY_PATH", &path(&mute))]),
        with(&[("LITESTREAM_BINARY_PATH", "/nowhere")]),
        with(&[("AWS_CA_BUNDLE", "/etc/ca.pem")]),
    ];
    insta::assert_snapshot!(all.concat());
}

#[test]
fn the_litekeeper_section() {
    let text = "\
dbs: [{path: a.db, replica: {path: replica}}]
litekeeper:
  stop: {timeuot: 5s, timeout: 5}
  app: {command: a | b}
  http: 127.0.0.1:9000
";
    let idle = "dbs: [{path: a.db, replica: {path: replica}}]\nlitekeeper:\n  http: 127.0.0.1:9000\n";
    let world = World::new();
    world.write("litestream.yml", idle);
    let level = keeper(&world).env("LITESTREAM_LOG_LEVEL", "loud").run().expect_code(78);
    let level = without("no-database-yet", &shown(&world, &level));
    insta::assert_snapshot!([check_text(text, 78), check_text(idle, 0), level].join("\n"));
}

#[test]
fn databases_by_their_headers() {
    let world = World::new();
    let of = |name: &str| world.path(name);
    fs::write(of("text.db"), "hello").expect("the world can be written");
    let connection = rusqlite::Connection::open(of("delete.db")).expect("a database");
    connection.execute_batch("CREATE TABLE t (x)").expect("SQL");
    drop(connection);
    sqlite::create(&of("cut.db"), 500);
    File::options().write(true).open(of("cut.db")).expect("it is there").set_len(4096).expect("ours");
    sqlite::create(&of("wal.db"), 1);
    // A file of 200 MB that takes no space.
    File::create(of("wal.db-wal")).expect("ours").set_len(200 << 20).expect("sparse");
    fs::write(of("gone.db-wal"), "x").expect("ours");
    fs::create_dir(of("folder.db")).expect("ours");
    sqlite::create(&world.db(), 1);
    std::os::unix::fs::symlink("app.db", of("link.db")).expect("ours");
    let yaml: String = ["text", "delete", "cut", "wal", "gone", "folder", "link"]
        .map(|name| format!("  - {{path: {name}.db, replica: {{url: 's3://b/{name}'}}}}\n"))
        .concat();
    let config = world.write("a.yml", &format!("dbs:\n{yaml}"));
    let ended = keeper(&world).config(&config).run().expect_code(78);
    insta::assert_snapshot!(shown(&world, &ended));
}

#[test]
fn a_database_in_use_is_left_alone() {
    let world = World::new();
    let unit = unit::start_writing(&world, unit::keeper(&world));
    // A new database: Litestream's own folders come after its first rows.
    wait_until("the metadata", DEADLINE, || world.path(".app.db-litestream").exists());
    let before = world.list("");
    let ended = keeper(&world).db(&world.db()).replica(&world.replica_url()).run().expect_code(0);
    assert!(ended.stdout.contains("[keeper-runs]"), "{}", ended.stdout);
    let text = shown(&world, &ended).replace(&unit.pid().to_string(), "PID");
    assert_eq!(world.list(""), before, "nothing is made, nothing removed");
    unit.stop(0);
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_is_written_and_no_database_made() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let config = world.config(&world.replica());
    let before = (world.list(""), fs::read(world.db()).expect("it is there"));
    keeper(&world).config(&config).wrapped(wrap::read_only(world.root())).run();
    keeper(&world).config(&config).run().expect_code(0);
    fs::remove_file(world.db()).expect("it is there");
    keeper(&world).config(&config).run().expect_code(0);
    assert!(!world.db().exists());
    sqlite::create(&world.db(), 3);
    assert_eq!(
        (world.list(""), fs::read(world.db()).expect("it is there").len()),
        (before.0, before.1.len())
    );
}

#[test]
fn where_databases_and_replicas_should_not_be() {
    let world = World::new();
    let disk = world.path("disk");
    fs::create_dir(&disk).expect("ours");
    let config = world.write(
        "a.yml",
        concat!(
            "dbs:\n  - {path: disk/a.db, replica: {path: disk/b}}\n",
            "  - {dir: disk/tenants, pattern: '*.db', replica: {path: disk/tenants/backup}}\n"
        ),
    );
    let run =
        |wrapper| keeper(&world).config(&config).app(["true"]).wrapped(wrapper).run().expect_code(78).stdout;
    let all = [("memory", wrap::small_disk(&disk, 64)), ("overlay", wrap::overlay(&disk))];
    let all: Vec<String> = all.map(|(name, wrapper)| format!("# {name}\n{}", run(wrapper))).into();
    insta::assert_snapshot!(all.join("\n").replace(&world.root().display().to_string(), "/world"));
}

#[test]
fn a_disk_without_room_for_a_copy() {
    let world = World::new();
    let disk = world.path("disk");
    fs::create_dir(&disk).expect("ours");
    sqlite::create(&world.db(), 2000);
    let config = world.write("a.yml", "dbs:\n  - {path: disk/app.db, replica: {url: 's3://b/a'}}\n");
    let size = fs::metadata(world.db()).expect("it is there").len() / 1024;
    let mut wrapper = wrap::small_disk(&disk, u32::try_from(size + size / 2).expect("small"));
    let copy = format!("cp {} {} && exec \"$@\"", world.db().display(), disk.display());
    wrapper.extend(["sh", "-c", &copy, "sh"].map(str::to_owned));
    let ended = keeper(&world).config(&config).wrapped(wrapper).run().expect_code(0);
    let found = ended.stdout.lines().find(|line| line.contains("[disk-space]")).expect("it is found");
    assert!(found.contains("a.yml:2: warning: ") && found.contains("are free there"), "{found}");
    insta::assert_snapshot!(regex_free(found.replace(&world.root().display().to_string(), "/world")));
}

/// Numbers that depend on the file system, as `N`.
fn regex_free(text: String) -> String {
    let mut out = String::new();
    for word in text.split(' ') {
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        out.push_str(if is_number { "N" } else { word });
        out.push(' ');
    }
    out.trim_end().to_owned()
}

#[test]
fn what_frameworks_do_to_sqlite() {
    let mut all = String::new();
    for (framework, files) in [
        (
            "rails",
            &[(
                "config/database.yml",
                "default: &default\n  adapter: sqlite3\n  pool: 5\n  timeout: 500\nproduction:\n  <<: *default\n  pragmas:\n    journal_mode: delete\n    foreign_keys: false\n",
            )][..],
        ),
        (
            "laravel",
            &[(
                "config/database.php",
                "<?php\nreturn ['connections' => ['sqlite' => [\n    'driver' => 'sqlite',\n    'busy_timeout' => 1000,\n    'journal_mode' => null,\n    'synchronous' => 'OFF',\n    'foreign_key_constraints' => env('DB_FOREIGN_KEYS', true),\n]]];\n",
            )],
        ),
        (
            "django",
            &[
                ("manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n"),
                (
                    "site1/settings.py",
                    "DATABASES = {'default': {\n    'ENGINE': 'django.db.backends.sqlite3',\n    'OPTIONS': {\n        'timeout': 2,\n        'init_command': 'PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=NORMAL',\n    },\n}}\n",
                ),
            ],
        ),
        (
            "another database",
            &[("config/database.yml", "production:\n  adapter: postgresql\n  timeout: 1\n")],
        ),
    ] {
        let world = World::new();
        sqlite::create(&world.db(), 1);
        for (name, text) in files {
            fs::create_dir_all(world.path(name).parent().expect("a folder")).expect("ours");
            world.write(name, text);
        }
        let ended = keeper(&world).db(&world.db()).replica("s3://b/a").run();
        all.push_str(&format!("# {framework}\n{}\n", shown(&world, &ended)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn files_of_the_wrong_people() {
    let world = World::new();
    shared(&world);
    sqlite::create(&world.db(), 1);
    fs::set_permissions(world.db(), fs::Permissions::from_mode(0o640)).expect("ours");
    sqlite::create(&world.path("b.db"), 1);
    fs::set_permissions(world.path("b.db"), fs::Permissions::from_mode(0o644)).expect("ours");
    fs::create_dir(world.path("replica")).expect("ours");
    for (name, mode) in [("key", 0o600), ("open", 0o644)] {
        world.write(name, "secret");
        fs::set_permissions(world.path(name), fs::Permissions::from_mode(mode)).expect("ours");
    }
    let config = world.write(
        "real.yml",
        concat!(
            "dbs:\n  - {path: app.db, replica: {path: replica}}\n",
            "  - path: b.db\n    replica: {type: sftp, host: h, user: u, path: b, key-path: key, password: hunter2}\n",
            "  - {path: c.db, replica: {type: sftp, host: h, user: u, path: c, key-path: open}}\n",
            "  - {path: d.db, replica: {url: 'nats://h/x', creds: no-such}}\n",
        ),
    );
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).expect("ours");
    std::os::unix::fs::symlink("real.yml", world.path("link.yml")).expect("ours");
    let ended = keeper(&world).config(Path::new("link.yml")).args(["--user", "4242:4242"]).run();
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    insta::assert_snapshot!(shown(&world, &ended.expect_code(78)));
}

#[test]
fn a_read_only_folder_is_found_for_this_user() {
    let world = World::new();
    let folder = world.path("data");
    fs::create_dir(&folder).expect("ours");
    let db = folder.join("app.db");
    sqlite::create(&db, 1);
    let keeper = keeper(&world).db(&db).replica("s3://b/a").wrapped(wrap::read_only(&folder));
    let ended = keeper.run().expect_code(78);
    insta::assert_snapshot!(shown(&world, &ended));
}

#[test]
fn settings_of_the_section_that_cannot_be_used() {
    let world = World::new();
    world.write("open.env", "KEY=value\n");
    fs::set_permissions(world.path("open.env"), fs::Permissions::from_mode(0o644)).expect("ours");
    let text = concat!(
        "litekeeper:\n",
        "  app: {cwd: /nowhere, user: nobody-of-this-name, env-file: [no-such.env, open.env]}\n",
        "  litestream: {version: 0.5.16}\n",
        "  stop: {timeout: 3s}\n",
        "dbs: [{path: app.db, replica: {url: 's3://b/a'}}]\n",
    );
    let config = world.write("a.yml", text);
    let ended = keeper(&world).config(&config).run().expect_code(78);
    insta::assert_snapshot!(shown(&world, &ended));
    let text = "exec: no-such-app -p 80\ndbs: [{path: app.db, replica: {url: 's3://b/a'}}]\n";
    let exec = world.write("b.yml", text);
    let ended = keeper(&world).config(&exec).run().expect_code(78);
    insta::assert_snapshot!("app", without("no-database-yet", &shown(&world, &ended)));
    keeper(&world).config(&exec).app(["sh", "-c", "exit 1"]).run().expect_code(0);
    // A flag outweighs the file.
    let flags = ["--stop-timeout", "10s", "--litestream-version", LATEST, "--cwd", "/", "--user", "0"];
    let ended = keeper(&world).config(&config).args(flags).run().expect_code(78);
    for code in ["short-stop", "litestream-other"] {
        assert!(!ended.stdout.contains(&format!("[{code}]")), "{}", ended.stdout);
    }
}

#[test]
fn a_first_command_that_run_does_not_find_is_found_here() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let config = |before: &str| {
        let text = fs::read_to_string(world.config(&world.replica())).expect("ours");
        world.write("before.yml", &format!("{text}litekeeper: {{before: [{before}]}}\n"))
    };
    let ended = keeper(&world).config(&config("no-such-program --now")).run().expect_code(78);
    assert!(ended.stdout.contains("`no-such-program` cannot be started"), "{}", ended.stdout);
    // What comes after it, it may make.
    keeper(&world).config(&config("env, no-such-program")).run().expect_code(0);
}

#[test]
fn a_wrong_database_hides_nothing_of_the_others() {
    let text = "dbs:\n  - {path: a.db}\n  - {path: text.db, replica: {url: 's3://b/a'}}\n";
    let world = World::new();
    world.write("text.db", "hello");
    let config = world.write("a.yml", text);
    let ended = keeper(&world).config(&config).arg("--online").run().expect_code(78);
    for found in ["a.yml:2: error: the database", "a.yml:3: error: `"] {
        assert!(ended.stdout.contains(found), "{}", ended.stdout);
    }
}

#[test]
fn no_place_for_the_socket() {
    let world = World::new();
    // Nothing else is to be said of it, whatever file system it is on.
    sqlite::create(&world.db(), 1);
    let long = world.path(&"x".repeat(90));
    let keeper = keeper(&world).db(&world.db()).replica("s3://b/a");
    let ended = keeper.env("LITEKEEPER_RUNTIME_DIR", &long).run().expect_code(78);
    insta::assert_snapshot!(shown(&world, &ended));
}

#[test]
fn stops_that_are_too_short() {
    let world = World::new();
    world.write("fly.toml", "app = 'x'\nkill_timeout = 8\n");
    world.write(
        "docker-compose.yml",
        "services:\n  app:\n    command: litekeeper run -- bin/server\n    stop_grace_period: 20s\n",
    );
    world.write(
        "app.service",
        "[Service]\nExecStart=/usr/local/bin/litekeeper run -- bin/server\nTimeoutStopSec=25\nRuntimeDirectory=x\n",
    );
    world.write("other.service", "[Service]\nExecStart=/usr/bin/other\nTimeoutStopSec=1\n");
    let text = "dbs:\n  - {path: a.db, replica: {url: 's3://b/a', sync-interval: 5m}}\n";
    let config = world.write("a.yml", text);
    let run = |timeout: &str| {
        let keeper = keeper(&world).config(&config).args(["--stop-timeout", timeout]);
        format!("# {timeout}\n{}", shown(&world, &keeper.run().expect_code(0)))
    };
    insta::assert_snapshot!(["30s", "3s"].map(run).join("\n"));
    let ready = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for folder in ["fly", "systemd", "docker"] {
        let ended =
            keeper(&world).cwd(&ready.join(folder)).args(["--db", "/a.db", "--replica", "s3://b/a"]).run();
        for code in ["killed-early", "kill-mode", "runtime-directory"] {
            assert!(!ended.stdout.contains(&format!("[{code}]")), "{folder}: {}", ended.stdout);
        }
    }
}

#[test]
fn an_app_that_is_started_by_a_checked_configuration_runs() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let config = world.config(&world.replica());
    keeper(&world).config(&config).run().expect_code(0);
    let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    Keeper::new(&world).config(&config).app(app).run().expect_code(0);
}

/// The codes that the snapshots of this file show, or a unit test names.
#[test]
fn every_finding_is_tested_and_in_its_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |folder: &Path, part: &str| -> String {
        let mut paths: Vec<_> =
            fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.to_string_lossy().contains(part) && !path.ends_with("rules.rs"));
        paths.iter().map(|path| fs::read_to_string(path).expect("a text")).collect()
    };
    let shown = read(&root.join("tests/suite/snapshots"), "suite__check_");
    let unit_tests = read(&root.join("src/check"), ".rs")
        + &read(&root.join("tests/suite"), "check_online.rs")
        + &read(&root.join("tests/suite"), "suite/known_faults.rs")
        + &read(&root.join("tests/suite"), "suite/in_the_way.rs")
        + &read(&root.join("tests/suite"), "suite/doubles.rs")
        + &read(&root.join("tests/suite"), "suite/kin.rs")
        + &read(&root.join("tests/suite"), "suite/neighbours.rs")
        + &read(&root.join("tests/suite"), "suite/read_by_root.rs")
        + &read(&root.join("tests/suite"), "suite/one_word.rs")
        + &read(&root.join("tests/suite"), "suite/rot.rs");
    let bounds = read(&root.join("tests/suite"), "foreign_bounds.rs")
        + &read(&root.join("tests/suite"), "suite/secrets.rs");
    let page = crate::support::docs::page("docs/check.md").text;
    let rules = litekeeper::config::lint::RULES.iter().chain(litekeeper::check::RULES);
    let mut codes = std::collections::BTreeSet::new();
    for rule in rules {
        let code = rule.code;
        assert!(codes.insert(code), "{code} is there twice");
        let is_tested = shown.contains(&format!("[{code}]"))
            || unit_tests.contains(&format!("[{code}]"))
            || bounds.contains(&format!("\"{code}\""));
        assert!(is_tested, "no snapshot shows {code}");
        let row = format!("| `{code}` | {} | {} |", rule.severity, rule.meaning);
        assert!(page.contains(&row), "docs/check.md has no row\n{row}");
    }
    let rows = page.lines().filter(|line| {
        ["error", "warning", "note"].iter().any(|severity| line.contains(&format!("` | {severity} | ")))
    });
    assert_eq!(rows.count(), codes.len(), "docs/check.md has rows for findings that are not there");
}
