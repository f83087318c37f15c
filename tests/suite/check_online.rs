//! `litekeeper check --online`: each replica listed, written and read, by a real Litestream.

use std::fs;
use std::path::Path;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST, NO_SOCKET, OLD, back_up};
use crate::support::process::Ended;
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::server::free_port;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// A check with a folder of its own for what is temporary; it waits for answers, however busy the machine is.
fn keeper(world: &World) -> Keeper {
    limited(world, "2m")
}

fn limited(world: &World, limit: &str) -> Keeper {
    fs::create_dir_all(world.path("tmp")).expect("the world can be written");
    Keeper::new(world).command("check").args(["--online", "--limit", limit]).env("TMPDIR", world.path("tmp"))
}

/// The findings about replicas, on any machine and at any time the same.
#[track_caller]
fn shown(world: &World, s3: Option<&S3>, ended: &Ended) -> String {
    let mut text = String::new();
    let mut is_wanted = true;
    for line in ended.stdout.lines() {
        if !line.starts_with("  ") {
            let codes = [
                "replica-list",
                "replica-write",
                "replica-read",
                "no-backup",
                "no-beginning",
                "not-written",
                "left-behind",
                "database-behind",
                "other-backup",
            ];
            is_wanted = codes.iter().any(|code| line.ends_with(&format!("[{code}]")));
        }
        if is_wanted {
            text.push_str(line);
            text.push('\n');
        }
    }
    let mut text = text.replace(&world.root().display().to_string(), "/world");
    if let Some(s3) = s3 {
        text = text
            .replace(&s3.endpoint(), "http://endpoint")
            .replace(s3.endpoint().trim_start_matches("http://"), "endpoint");
    }
    random_parts(&text)
}

/// Names and numbers that are new each time, as `…`.
fn random_parts(text: &str) -> String {
    let mut out = text.to_owned();
    for (start, is_part) in [
        ("litekeeper-check-", (|c: char| c.is_ascii_alphanumeric()) as fn(char) -> bool),
        ("RequestID: ", |c| c != ','),
        ("HostID: ", |c| c != ','),
    ] {
        let mut rest = out.as_str();
        let mut done = String::new();
        while let Some(at) = rest.find(start) {
            done.push_str(&rest[..at + start.len()]);
            done.push('…');
            rest = rest[at + start.len()..].trim_start_matches(is_part);
        }
        done.push_str(rest);
        out = done;
    }
    out
}

/// Nothing of the check is left on this machine.
#[track_caller]
fn assert_clean(world: &World) {
    assert_eq!(world.list("tmp"), [""; 0]);
}

#[test]
fn a_folder_that_can_be_written_is_left_as_it_was() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let before = world.list("");
    let ended =
        keeper(&world).config(&world.config(&Replica::folder(&world.path("a/b/c")))).run().expect_code(0);
    assert_clean(&world);
    let mut after = world.list("");
    after.retain(|name| !["tmp", "litestream.yml"].contains(&name.as_str()));
    assert_eq!(after, before);
    insta::assert_snapshot!(shown(&world, None, &ended));
}

#[test]
fn a_backup_in_use_is_not_touched() {
    let world = World::new();
    let unit = unit::start_writing(&world, unit::keeper(&world));
    wait_until("the first upload", DEADLINE, || !world.list("replica/ltx/0").is_empty());
    let config = world.config(&world.replica());
    let ended = keeper(&world).config(&config).run().expect_code(0);
    assert_clean(&world);
    assert_eq!(shown(&world, None, &ended), "");
    assert_eq!(world.list("replica"), [".litekeeper.lock", "litekeeper.json", "ltx"]);
    unit.stop(0);
    assert_eq!(world.list("replica"), ["litekeeper.json", "ltx"]);
    assert!(unit::assert_nothing_lost(&world, &world.trace()) > 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_in_litestreams_words() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let folder = world.path("replica");
    fs::create_dir(&folder).expect("the world can be written");
    let config = world.config(&world.replica());
    let ended = keeper(&world).config(&config).wrapped(wrap::read_only(&folder)).run().expect_code(78);
    assert_clean(&world);
    insta::assert_snapshot!(shown(&world, None, &ended));
}

#[test]
fn a_bucket_is_listed_written_and_read() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    sqlite::create(&world.db(), 3);
    let config = world.config(&s3.replica("backups", "app"));
    back_up(&world, LATEST, &config, &[&world.db()]);
    let before = s3.objects("backups");
    let ended = keeper(&world).config(&config).run().expect_code(0);
    assert_clean(&world);
    assert_eq!(s3.objects("backups"), before, "what was written is removed, and nothing else");
    let seen = s3.seen();
    let removed = seen.iter().filter(|request| request.starts_with("Delete"));
    let is_own = |request: &&String| request.starts_with("DeleteObject backups/app/.litekeeper-check-");
    assert!(removed.clone().count() > 0 && removed.clone().all(|request| is_own(&request)), "{seen:?}");
    for operation in [
        "ListObjects",
        "PutObject backups/app/.litekeeper-check-",
        "GetObject backups/app/.litekeeper-check-",
    ] {
        assert!(seen.iter().any(|request| request.starts_with(operation)), "no {operation} in {seen:?}");
    }
    let text = shown(&world, Some(&s3), &ended);
    assert!(!ended.stdout.contains(SECRET), "{}", ended.stdout);
    assert_eq!(text, "");
    // The real backup goes on as if nothing had been there.
    sqlite::insert(&world.db(), 1);
    back_up(&world, LATEST, &config, &[&world.db()]);
    assert_eq!(sqlite::count(&Backup::Config(&config, &world.db()).restore(&world, LATEST)), 4);
}

#[test]
fn what_must_not_be_removed_from_a_bucket_is_named() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    s3.forbid_deletes();
    sqlite::create(&world.db(), 3);
    let config = world.config(&s3.replica("backups", "app"));
    let ended = keeper(&world).config(&config).run().expect_code(0);
    assert_clean(&world);
    assert!(!s3.objects("backups").is_empty());
    insta::assert_snapshot!(shown(&world, Some(&s3), &ended));
}

#[test]
fn every_refusal_has_its_own_words() {
    let (world, mut s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let right = s3.replica("backups", "app");
    let run_limited = |replica: &Replica, s3: &S3, limit: &str| {
        let ended = limited(&world, limit).config(&world.config(replica)).run().expect_code(78);
        assert_clean(&world);
        for text in [SECRET, "another-secret"] {
            assert!(!ended.stdout.contains(text) && !ended.log.contains(text), "{}", ended.stdout);
        }
        shown(&world, Some(s3), &ended)
    };
    let run = |replica: &Replica, s3: &S3| run_limited(replica, s3, "2m");
    let silent = |s3: &S3| run_limited(&right, s3, "5s");
    let mut all = vec![
        run(&right.clone().set("secret-access-key", "another-secret"), &s3),
        run(&right.clone().set("access-key-id", format!("{KEY}X")), &s3),
        run(&s3.replica("nowhere", "app"), &s3),
    ];
    s3.fail_with(403);
    all.push(run(&right, &s3));
    s3.resume();
    s3.forbid_gets();
    all.push(run(&right, &s3));
    s3.resume();
    s3.hold_puts();
    all.push(silent(&s3));
    s3.resume();
    s3.pause();
    all.push(silent(&s3));
    s3.resume();
    s3.refuse();
    all.push(silent(&s3));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn replicas_are_tried_side_by_side() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    s3.pause();
    let names: Vec<_> = (0..6).map(|number| world.path(&format!("{number}.db"))).collect();
    let replicas: Vec<_> = (0..6).map(|number| s3.replica("backups", &number.to_string())).collect();
    let config = world.config_of("", names.iter().map(|path| path.as_path()).zip(&replicas));
    let running = keeper(&world).config(&config).start();
    // Each is asked although no other has answered.
    s3.wait_requests(6);
    s3.resume();
    let ended = running.finish().expect_code(0);
    assert_eq!(ended.stdout.matches("[no-backup]").count(), 6, "{}", ended.stdout);
    assert_clean(&world);
}

#[test]
fn a_database_older_than_its_backup_is_found() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let config = world.config(&world.replica());
    back_up(&world, LATEST, &config, &[&world.db()]);
    let state = world.path(".app.db-litestream/ltx/0");
    let old: Vec<_> = world.list(".app.db-litestream/ltx/0");
    sqlite::insert(&world.db(), 3);
    back_up(&world, LATEST, &config, &[&world.db()]);
    for name in world.list(".app.db-litestream/ltx/0") {
        if !old.contains(&name) {
            fs::remove_file(state.join(name)).expect("it is there");
        }
    }
    let ended = keeper(&world).config(&config).run().expect_code(78);
    let text = shown(&world, None, &ended);
    assert!(text.contains("/world/app.db` is older than its backup: it is at txid "), "{text}");
    assert!(text.contains("[database-behind]\n  hint: `litekeeper run --if-behind restore`"), "{text}");
}

#[test]
fn a_restore_without_room_is_found() {
    let world = World::new();
    sqlite::big(&world.db(), 1);
    let config = world.config(&world.replica());
    back_up(&world, LATEST, &config, &[&world.db()]);
    let disk = world.path("disk");
    fs::create_dir(&disk).expect("ours");
    let text =
        format!("dbs:\n  - {{path: disk/app.db, replica: {{path: {}}}}}\n", world.path("replica").display());
    let config = world.write("a.yml", &text);
    let ended = keeper(&world).config(&config).wrapped(wrap::small_disk(&disk, 64)).run().expect_code(0);
    assert!(
        ended.stdout.contains("disk/app.db` will be restored from ") && ended.stdout.contains("[disk-space]"),
        "{}",
        ended.stdout
    );
}

#[test]
fn an_old_litestream_lists_only() {
    let mut all = String::new();
    for version in [OLD, NO_SOCKET] {
        let world = World::new();
        let ended =
            keeper(&world).litestream(version).config(&world.config(&world.replica())).run().expect_code(0);
        assert_clean(&world);
        assert!(!world.path("replica").exists());
        all.push_str(&shown(&world, None, &ended));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_folder_of_databases_has_its_replica_tried_too() {
    let world = World::new();
    fs::create_dir(world.path("tenants")).expect("ours");
    let text = "dbs:\n  - {dir: tenants, pattern: '*.db', replica: {path: /proc/nothing}}\n";
    let config = world.write("a.yml", text);
    let ended = keeper(&world).config(&config).run().expect_code(78);
    assert!(ended.stdout.contains("a.yml:2: error: /proc/nothing cannot be written"), "{}", ended.stdout);
}

#[test]
fn a_secret_of_the_environment_reaches_litestream_and_nobody_else() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let replica = s3.replica("backups", "app").set("secret-access-key", "${MY_SECRET}");
    let config = world.config(&replica);
    let ended = keeper(&world).config(&config).env("MY_SECRET", SECRET).run().expect_code(0);
    assert!(!ended.stdout.contains(SECRET) && !ended.stdout.contains("[replica-"), "{}", ended.stdout);
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    s3.pause();
    let running = keeper(&world).config(&world.config(&s3.replica("backups", "app"))).start();
    s3.wait_requests(1);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.finish().expect_code(143);
    assert_clean(&world);
}

#[test]
fn what_is_fine_online_runs() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let config = world.config(&world.replica());
    keeper(&world).config(&config).run().expect_code(0);
    let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    Keeper::new(&world).config(Path::new("litestream.yml")).app(app).run().expect_code(0);
}

/// Images of containers often have neither certificates nor a server that resolves names.
#[test]
fn a_machine_without_certificates_or_names_is_told_in_one_line_each() {
    let world = World::new();
    let check = |endpoint: &str| {
        let replica = format!("s3://b/a?endpoint={endpoint}");
        let keeper = Keeper::new(&world).command("check").db(&world.db()).replica(&replica);
        keeper.envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")])
    };
    let count = |text: &str, code: &str| text.matches(&format!("[{code}]")).count();
    let bare = || wrap::without(Path::new("/etc/ssl"));
    let found = check("https://127.0.0.1:1").wrapped(bare()).run().expect_code(78);
    assert_eq!(count(&found.stdout, "no-certificates"), 1, "{}", found.stdout);
    assert!(found.stdout.contains("to know it by [no-certificates]"), "{}", found.stdout);
    assert!(found.stdout.contains("ca-certificates"), "{}", found.stdout);
    assert_eq!(count(&found.stdout, "no-names"), 0, "{}", found.stdout);
    let found = check("http://127.0.0.1:1").wrapped(bare()).run();
    assert_eq!(count(&found.stdout, "no-certificates"), 0, "it is not asked for: {}", found.stdout);
    let named = check("https://127.0.0.1:1").env("SSL_CERT_FILE", world.write("ca.pem", "x"));
    let found = named.wrapped(bare()).run();
    assert_eq!(count(&found.stdout, "no-certificates"), 0, "{}", found.stdout);

    let empty = world.write("resolv.conf", "search nowhere\n");
    let deaf = || wrap::bound(&empty, Path::new("/etc/resolv.conf"));
    let found = check("http://s3.nowhere.test:9000").wrapped(deaf()).run().expect_code(78);
    assert_eq!(count(&found.stdout, "no-names"), 1, "{}", found.stdout);
    assert!(found.stdout.contains("/etc/resolv.conf names no server [no-names]"), "{}", found.stdout);
    assert!(found.stdout.contains("`s3.nowhere.test`"), "{}", found.stdout);
    for known in ["http://127.0.0.1:1", "http://localhost:1"] {
        let found = check(known).wrapped(deaf()).run();
        assert_eq!(count(&found.stdout, "no-names"), 0, "{known}: {}", found.stdout);
    }
    // Asked, it is one line that says what to do as well.
    let online = check("http://s3.nowhere.test:9000").args(["--online", "--limit", "4s"]);
    let found = online.wrapped(deaf()).run().expect_code(78);
    assert_eq!(count(&found.stdout, "replica-list"), 1, "{}", found.stdout);
    assert!(found.stdout.contains("resolve names"), "{}", found.stdout);
}

/// What is right for S3 leads nowhere elsewhere.
#[test]
fn a_hint_is_of_the_kind_of_the_replica() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let port = free_port();
    let of_google = world.path("no-such.json");
    for (replica, hint) in [
        (format!("sftp://u:p@127.0.0.1:{port}/backup"), "hint: check the endpoint, "),
        (format!("nats://127.0.0.1:{port}/backup"), "hint: check the endpoint, "),
        (format!("webdav://127.0.0.1:{port}/backup"), "hint: check the endpoint, "),
        (
            "gs://backups/app".to_owned(),
            "hint: name the file with the account's key with GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ] {
        let keeper = Keeper::new(&world).db(&world.db()).replica(&replica).command("check").arg("--online");
        let found = keeper.env("GOOGLE_APPLICATION_CREDENTIALS", &of_google).run().stdout;
        assert!(found.contains(hint), "{replica}: {found}");
        assert!(!found.contains("over https;") && !found.contains("without http://"), "{replica}: {found}");
        let is_google = replica.starts_with("gs:");
        assert!(!is_google || found.contains(&*of_google.to_string_lossy()), "{found}");
    }
}
