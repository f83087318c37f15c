//! What opens the replica is told to nobody: not the log, not a command line, not a file that others can read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST, NO_SOCKET, OLD};
use crate::support::process::{Ended, Running};
use crate::support::refused::refused;
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::world::World;

/// A secret that only this module knows.
const PASSWORD: &str = "hunter2-of-the-suite";

fn server() -> (World, S3) {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    (world, s3)
}

/// A Litestream that writes each of its command lines down.
fn talkative(world: &World, version: &str) -> PathBuf {
    let (said, real) = (world.path("command-lines"), litestream::binary(version));
    let script =
        format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\nexec '{}' \"$@\"\n", said.display(), real.display());
    world.program("litestream", &script)
}

fn keeper(world: &World, version: &str) -> Keeper {
    let keeper = Keeper::new(world).env("LITESTREAM_BINARY_PATH", talkative(world, version));
    keeper.args(["--log-level", "trace"])
}

/// It does not wait long for a replica that does not answer.
fn impatient(world: &World, version: &str) -> Keeper {
    keeper(world, version).args(["--restore-timeout", "2s", "--gate-timeout", "2s"])
}

/// A configuration that nobody else can read, as a user should have it.
fn private(world: &World, replica: &Replica) -> PathBuf {
    let config = world.config(replica);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    config
}

/// Files below `folder` that hold `secret` and that others may read.
fn leaks(folder: &Path, secret: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = path.symlink_metadata() else { continue };
        let is_open = meta.permissions().mode() & 0o077 != 0;
        if meta.is_dir() {
            found.extend(leaks(&path, secret));
        } else if meta.is_file() && is_open && holds(&fs::read(&path).unwrap_or_default(), secret) {
            found.push(path);
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// While it runs.
fn assert_kept(world: &World, running: &Running, secret: &str) {
    let processes = running.tree();
    assert!(processes.len() >= 4, "keeper, Litestream, shim and app: {processes:?}");
    for process in processes {
        let line = process.cmdline.join(" ");
        assert!(!line.contains(secret), "{line}");
    }
    let leaks = leaks(world.root(), secret);
    assert!(leaks.is_empty(), "{leaks:?}");
    let folders: Vec<_> = fs::read_dir(world.runtime_dir()).expect("it is there").flatten().collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&folders[0].path()), 0o700);
    assert_eq!(mode(&folders[0].path().join("litestream.yml")), 0o600);
}

/// After its end.
fn assert_told_nobody(world: &World, ended: &Ended, secret: &str) {
    for (what, text) in [("log", &ended.log), ("stdout", &ended.stdout)] {
        assert!(!text.contains(secret), "in the {what}: {text}");
    }
    let said = fs::read_to_string(world.path("command-lines")).expect("Litestream ran");
    assert!(said.contains("replicate") || said.contains("restore"), "{said}");
    assert!(!said.contains(secret), "{said}");
    assert_eq!(world.list("rt"), [""; 0], "the runtime folder is gone");
    let leaks = leaks(world.root(), secret);
    assert!(leaks.is_empty(), "{leaks:?}");
}

#[test]
fn a_leak_would_be_found() {
    let world = World::new();
    let path = world.write("rt/file", &format!("key: {PASSWORD}"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    assert_eq!(leaks(world.root(), PASSWORD), [""; 0].map(PathBuf::from));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).expect("the file is ours");
    assert_eq!(leaks(world.root(), PASSWORD), [path]);
}

#[test]
fn credentials_in_the_environment_stay_there() {
    for format in ["text", "json"] {
        let (world, s3) = server();
        let app = App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20);
        let keeper =
            keeper(&world, LATEST).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
        let running = keeper.args(["--log-format", format]).app(app).start();
        world.trace().wait_acked(5);
        assert_kept(&world, &running, SECRET);
        assert_told_nobody(&world, &running.stop(0), SECRET);
    }
}

#[test]
fn credentials_in_a_config_file_stay_there() {
    for version in [LATEST, NO_SOCKET, OLD] {
        let (world, s3) = server();
        let config = private(&world, &s3.replica("backups", "app").set("secret-access-key", "${THE_SECRET}"));
        let app = App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20);
        let keeper = keeper(&world, version).config(&config).env("THE_SECRET", SECRET);
        let running = keeper.args(["--allow-litestream", version]).app(app).start();
        world.trace().wait_acked(5);
        assert_kept(&world, &running, SECRET);
        assert_told_nobody(&world, &running.stop(0), SECRET);
    }
}

#[test]
fn credentials_that_are_refused_are_not_repeated() {
    for version in [LATEST, OLD] {
        let (world, s3) = server();
        for replica in [
            s3.replica("nowhere", "app"),
            s3.replica("backups", "app").set("access-key-id", "AKIAUNKNOWN"),
            s3.replica("backups", "app").set("endpoint", "http://127.0.0.1:1"),
        ] {
            let keeper = impatient(&world, version).config(&private(&world, &replica));
            let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
            assert_told_nobody(&world, &ended, SECRET);
        }
        let wrong = s3.replica("backups", "app").set("secret-access-key", PASSWORD);
        let keeper = impatient(&world, version).config(&private(&world, &wrong));
        let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
        assert_told_nobody(&world, &ended, PASSWORD);
    }
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let world = World::new();
    for url in [
        format!("sftp://user:{PASSWORD}@127.0.0.1:1/backups"),
        format!("webdav://user:{PASSWORD}@127.0.0.1:1/backups"),
        format!("nats://user:{PASSWORD}@127.0.0.1:1/backups"),
    ] {
        // In a variable, because a command line can be read by everybody.
        let keeper =
            impatient(&world, LATEST).env("LITEKEEPER_DB", world.db()).env("LITEKEEPER_REPLICA", &url);
        let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
        assert!(world.trace().is_empty(), "{}", ended.log);
        assert_told_nobody(&world, &ended, PASSWORD);
    }
}

#[test]
fn a_password_of_a_config_file_is_not_repeated() {
    let world = World::new();
    let sftp = Replica::new("sftp").set("host", "127.0.0.1:1").set("user", "user").set("path", "/backups");
    let abs = Replica::new("abs").set("bucket", "backups").set("path", "app").set("account-name", "user");
    let abs = abs.set("endpoint", "http://127.0.0.1:1");
    for replica in [sftp.set("password", PASSWORD), abs.set("account-key", "aHVudGVyMi1vZi10aGUtc3VpdGU=")] {
        let keeper = impatient(&world, LATEST).config(&private(&world, &replica));
        let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
        assert_told_nobody(&world, &ended, PASSWORD);
        assert_told_nobody(&world, &ended, "aHVudGVyMi1vZi10aGUtc3VpdGU=");
    }
}

/// As `echo KEY > file` and editors of Windows' write them: what is behind a key in a file of its own is no part of it.
#[test]
fn a_key_from_a_file_has_no_line_end() {
    let (world, s3) = server();
    let id = world.write("rt/id", &format!("{KEY}\n"));
    let secret = world.write("rt/secret", &format!("{SECRET}\r\n\n"));
    let variables =
        format!("LITESTREAM_ACCESS_KEY_ID={KEY}\r\nLITESTREAM_SECRET_ACCESS_KEY=\"{SECRET}\"\r\n");
    let variables = world.write("rt/keys.env", &variables);
    let reference = |path: &Path| serde_json::json!({ "file": path });
    let config = s3.replica("backups", "c").set("access-key-id", reference(&id));
    let config = private(&world, &config.set("secret-access-key", reference(&secret)));
    let plain = |path: &str| Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", path));
    for keeper in [
        plain("a")
            .env("LITESTREAM_ACCESS_KEY_ID_FILE", &id)
            .env("LITESTREAM_SECRET_ACCESS_KEY_FILE", &secret),
        plain("b").args(["--env-file".as_ref(), variables.as_os_str()]),
        Keeper::new(&world).config(&config),
    ] {
        let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
        keeper.app(app).run().expect_code(0).expect_log("everything is on the replica");
    }
}

/// In a variable, and in the text of a configuration, it is a part of the key, and S3 speaks of a signature.
#[test]
fn a_key_with_a_line_end_is_refused_with_its_name() {
    let (world, s3) = server();
    for end in ["\n", "\r", "\r\n", " "] {
        let what =
            if end == " " { "begins or ends with a blank" } else { "begins or ends with a line's end" };
        for name in ["LITESTREAM_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "LITESTREAM_AZURE_SAS_TOKEN"] {
            let keeper = || {
                let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "a"));
                keeper.env(name, format!("{SECRET}{end}"))
            };
            let ended = refused(&world, keeper, "broken-key").expect_log(&format!("{name} {what}"));
            assert!(!ended.log.contains(SECRET), "{}", ended.log);
        }
        let replica = s3.replica("backups", "a");
        for value in [
            serde_json::json!(format!("{SECRET}{end}")),
            serde_json::json!({"env": "THE_SECRET"}),
            serde_json::json!(format!("${{THE_SECRET}} ")),
        ] {
            let config = private(&world, &replica.clone().set("secret-access-key", value));
            let keeper = || Keeper::new(&world).config(&config).env("THE_SECRET", format!("{SECRET}{end}"));
            let ended =
                refused(&world, keeper, "broken-key").expect_log("`secret-access-key` begins or ends with ");
            assert!(!ended.log.contains(SECRET), "{}", ended.log);
        }
    }
}

/// A hint that is taken for a secret loses what it is for.
#[test]
fn no_words_of_ours_are_hidden() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut wrong) = (vec![source], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("ours").flatten() {
            let path = entry.path();
            let is_skipped = ["secrets", "tests", "demo"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && !is_skipped {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("ours");
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                // What stands in capitals is to be replaced by whoever reads it.
                let said = lines.filter(|line| line.contains("://HOST") || line.contains("://BUCKET"));
                let hidden = said.filter(|line| litekeeper::foreign::line(line) != **line);
                wrong.extend(hidden.map(|line| format!("{}: {line}", path.display())));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}
