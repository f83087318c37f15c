//! Releases of Litestream without a control socket: 0.3.13, which the Ruby gem ships, and 0.5.5.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST, NO_SOCKET, OLD};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::world::World;

const BOTH: [&str; 2] = [OLD, NO_SOCKET];

fn server() -> (World, S3) {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    (world, s3)
}

/// A keeper of [`World::db`] by `config`.
fn keeper(world: &World, version: &str, config: &Path) -> Keeper {
    Keeper::new(world).env("LITESTREAM_BINARY_PATH", litestream::binary(version)).config(config)
}

#[test]
fn nothing_is_lost_from_start_to_stop_and_the_restore_has_it() {
    for version in BOTH {
        for database in [false, true] {
            let (world, s3) = server();
            // Into a bucket without a backup 0.5.5 starts only when its word is taken.
            let config = world.config(&s3.replica("backups", "app"));
            if database {
                sqlite::create(&world.db(), 3);
            }
            let app =
                App::new(&world.trace()).on_last("TERM", &world.db(), 0).insert_forever(&world.db(), 10);
            let keeper = || keeper(&world, version, &config).args(["--allow-litestream", version]);
            let running = keeper().app(app).start();
            world.trace().wait_acked(50);
            let ended = running.stop(0).expect_log("the gate is that it is up and the replica answers");
            assert!(
                !ended.log.contains("everything is on the replica"),
                "nobody confirmed it: {}",
                ended.log
            );
            let backup = Backup::Config(&config, &world.db());
            let rows = backup.assert_holds_acked(&world, version, &world.trace());
            sqlite::lose(&world.db());
            keeper().app(App::new(&world.trace()).count(&world.db()).exit(0)).run().expect_code(0);
            assert_eq!(world.trace().wait("count").rest, rows.to_string(), "with {version}");
        }
    }
}

#[test]
fn an_app_that_lives_for_a_moment_is_on_the_replica() {
    for version in BOTH {
        let world = World::new();
        let config = world.config(&world.replica());
        let app = App::new(&world.trace()).insert(&world.db(), 3).exit(0);
        let ended = keeper(&world, version, &config).app(app).run().expect_code(0);
        let out = world.path("out.db");
        let restored = Backup::Config(&config, &world.db()).try_restore(&world, version, &out);
        assert!(out.exists(), "{version}: {}{}", restored.log, ended.log);
        sqlite::assert_holds_acked(&out, &world.trace());
    }
}

#[test]
fn a_replica_that_is_away_at_the_stop_is_74_and_the_next_start_uploads_the_rest() {
    for version in BOTH {
        let (world, s3) = server();
        sqlite::create(&world.db(), 3);
        let config = world.config(&s3.replica("backups", "app"));
        let keeper = |stop: &str| {
            keeper(&world, version, &config).args(["--stop-timeout", stop, "--log-level", "debug"])
        };
        let app = App::new(&world.trace()).on_exit("TERM", 0).insert_forever(&world.db(), 20);
        let running = keeper("4s").app(app).start();
        world.trace().wait_acked(10);
        s3.remove_bucket("backups");
        let written = world.trace().acked().len();
        world.trace().wait_acked(written + 5);
        let ended = running.stop(74).expect_log("not everything is on the replica");
        assert!(ended.log.contains(&*world.db().to_string_lossy()), "{}", ended.log);
        s3.restore_bucket("backups");
        keeper("10m").app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run().expect_code(0);
        Backup::Config(&config, &world.db()).assert_holds_acked(&world, version, &world.trace());
    }
}

#[test]
fn a_replica_that_refuses_stops_the_start_although_listings_end_with_0() {
    for (version, database) in [(OLD, false), (OLD, true), (NO_SOCKET, true)] {
        let (world, s3) = server();
        if database {
            sqlite::create(&world.db(), 3);
        }
        let right = s3.replica("backups", "app");
        for (replica, reason) in [
            (s3.replica("nowhere", "app"), "NoSuchBucket"),
            (right.set("secret-access-key", "wrong"), "SignatureDoesNotMatch"),
        ] {
            let app = App::new(&world.trace()).exit(0);
            let keeper = keeper(&world, version, &world.config(&replica)).app(app);
            // 0.5.5 does not say that it is refused.
            let ended = keeper.args(["--gate-timeout", "8s"]).run().expect_code(69).expect_log("hint: ");
            let reason = if version == NO_SOCKET { "nothing is listed there" } else { reason };
            assert!(ended.log.contains(reason), "{version}, database {database}: {}", ended.log);
            assert!(world.trace().is_empty(), "{version}, database {database}: {}", ended.log);
            assert_eq!(world.db().exists(), database);
        }
    }
}

#[test]
fn no_backup_is_not_believed_of_a_release_that_says_so_of_every_refusal() {
    let (world, s3) = server();
    let app = || App::new(&world.trace()).exit(0);
    let wrong = s3.replica("backups", "app").set("secret-access-key", "wrong");
    let keeper = |config: &Path| keeper(&world, NO_SOCKET, config);
    for replica in [wrong, s3.replica("nowhere", "app"), s3.replica("backups", "app")] {
        let ended = keeper(&world.config(&replica)).app(app()).run().expect_code(69);
        let ended = ended.expect_log("0.5.5 finds no backup").expect_log("`--allow-litestream 0.5.5`");
        assert!(world.trace().is_empty() && !world.db().exists(), "{}", ended.log);
    }
    let config = world.config(&s3.replica("backups", "app"));
    let ended = keeper(&config).args(["--allow-litestream", "0.5.5"]).app(app()).run().expect_code(0);
    assert_eq!(world.trace().all("start").len(), 1, "{}", ended.log);
    // A folder that is empty is empty.
    let ended = keeper(&world.config(&world.replica())).app(app()).run().expect_code(0);
    assert_eq!(world.trace().all("start").len(), 2, "{}", ended.log);
}

#[test]
fn a_backup_in_the_other_format_is_not_taken_for_none() {
    for (writer, reader, held) in [(OLD, NO_SOCKET, "0.3"), (NO_SOCKET, OLD, "0.5")] {
        let world = World::new();
        let config = world.config(&world.replica());
        sqlite::create(&world.db(), 3);
        litestream::back_up(&world, writer, &config, &[&world.db()]);
        sqlite::lose(&world.db());
        let ended = keeper(&world, reader, &config).app(App::new(&world.trace()).exit(0)).run();
        let ended = ended.expect_code(69).expect_log(&format!("holds backups of litestream {held}"));
        assert!(world.trace().is_empty() && !world.db().exists(), "{}", ended.log);
        keeper(&world, LATEST, &config)
            .app(App::new(&world.trace()).count(&world.db()).exit(0))
            .run()
            .expect_code(0);
        assert_eq!(world.trace().wait("count").rest, "3");
    }
}

#[test]
fn an_older_database_is_refused() {
    for version in BOTH {
        let (world, s3) = server();
        let config = world.config(&s3.replica("backups", "app"));
        let copy = |from: &str, to: &str| {
            let mut command = std::process::Command::new("cp");
            let done = command.arg("-r").args([world.path(from), world.path(to)]).status();
            assert!(done.expect("cp is everywhere").success());
        };
        sqlite::create(&world.db(), 10);
        litestream::back_up(&world, version, &config, &[&world.db()]);
        copy("app.db", "old.db");
        copy(".app.db-litestream", "old-folder");
        sqlite::insert(&world.db(), 10);
        litestream::back_up(&world, version, &config, &[&world.db()]);
        sqlite::lose(&world.db());
        copy("old.db", "app.db");
        copy("old-folder", ".app.db-litestream");
        let app = App::new(&world.trace()).exit(0);
        let ended = keeper(&world, version, &config).app(app).run();
        assert_eq!(ended.status.code(), Some(69), "{version}: {}", ended.log);
        ended.expect_log("is older than its backup");
        assert!(world.trace().is_empty());
    }
}

/// A Litestream that says that it is `version`, and is the latest.
fn impostor(world: &World, version: &str) -> PathBuf {
    let real = litestream::binary(LATEST);
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = version ]; then echo {version}; else exec '{}' \"$@\"; fi\n",
        real.display()
    );
    world.program("litestream", &script)
}

#[test]
fn a_release_that_is_known_to_be_bad_is_refused_unless_it_is_allowed() {
    for version in ["0.5.6", "0.5.7", "v0.5.8"] {
        let world = World::new();
        let number = version.trim_start_matches('v');
        let keeper = || {
            let keeper = Keeper::new(&world).env("LITESTREAM_BINARY_PATH", impostor(&world, version));
            let app = App::new(&world.trace()).insert(&world.db(), 3).exit(0);
            keeper.db(&world.db()).replica(&world.replica_url()).app(app)
        };
        for options in [&[][..], &["--allow-litestream", "0.5.99"]] {
            let ended = keeper().args(options).run().expect_code(78);
            let ended = ended.expect_log(&format!("litestream {number} is known to"));
            ended.expect_log(&format!("`--allow-litestream {number}`"));
            assert!(world.trace().is_empty() && !world.db().exists());
        }
        keeper().args(["--allow-litestream", number]).run().expect_code(0);
        assert_eq!(world.trace().acked().len(), 3);
    }
}

#[test]
fn what_is_no_litestream_is_refused_with_what_it_says() {
    let world = World::new();
    let keeper = Keeper::new(&world).env("LITESTREAM_BINARY_PATH", impostor(&world, "'my fork'"));
    let keeper = keeper.db(&world.db()).replica(&world.replica_url()).app(App::new(&world.trace()).exit(0));
    keeper.run().expect_code(78).expect_log("says `my fork`, which is no version").expect_log("hint: ");
    assert!(world.trace().is_empty());
}

/// Back to 0.3 on an empty machine: what 0.5 has written since is in the same place, and 0.3 does not see it.
#[test]
fn an_older_backup_beside_a_newer_one_of_the_other_series_is_not_restored() {
    for on_s3 in [false, true] {
        let (world, s3) = server();
        let config = world.config(&if on_s3 { s3.replica("backups", "app") } else { world.replica() });
        sqlite::create(&world.db(), 3);
        let start = |version: &str| keeper(&world, version, &config).args(["--allow-litestream", version]);
        start(OLD).app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run().expect_code(0);
        let _ = fs::remove_dir_all(world.path(".app.db-litestream"));
        start(LATEST).app(App::new(&world.trace()).insert(&world.db(), 6).exit(0)).run().expect_code(0);
        sqlite::lose(&world.db());
        for version in [OLD, LATEST] {
            let counted = world.trace().all("count").len();
            let ended = start(version).app(App::new(&world.trace()).count(&world.db()).exit(0)).run();
            if version == LATEST {
                ended.expect_code(0);
                assert_eq!(world.trace().wait_nth(counted + 1, "count").rest, "10");
            } else {
                let ended = ended.expect_code(69).expect_log("hint: ");
                ended.expect_log(
                    "holds backups of litestream 0.5 that are newer than all that litestream 0.3.13 reads",
                );
                assert_eq!(world.trace().all("count").len(), counted, "the app was started");
                assert!(!world.db().exists());
            }
        }
    }
}

/// Nor does 0.3 on S3 begin with an empty database where only 0.5 has a backup; in a folder it did not before.
#[test]
fn a_backup_of_the_other_series_on_s3_is_no_empty_place() {
    let (world, s3) = server();
    let config = world.config(&s3.replica("backups", "app"));
    sqlite::create(&world.db(), 3);
    keeper(&world, LATEST, &config).app(["true"]).run().expect_code(0);
    sqlite::lose(&world.db());
    let ended = keeper(&world, OLD, &config).app(App::new(&world.trace()).exit(0)).run().expect_code(69);
    ended.expect_log("holds backups of litestream 0.5, which litestream 0.3.13 takes for none");
    assert!(world.trace().is_empty());
}

/// It cannot read them, and would start the app with nothing replicated of it.
#[test]
fn files_that_a_newer_litestream_left_beside_a_database_are_told_before_the_app_starts() {
    let world = World::new();
    let config = world.config(&world.replica());
    sqlite::create(&world.db(), 3);
    keeper(&world, LATEST, &config).app(["true"]).run().expect_code(0);
    let app = App::new(&world.trace()).exit(0);
    let ended = keeper(&world, NO_SOCKET, &config).app(app).run().expect_code(69);
    ended
        .expect_log("litestream 0.5.5 cannot read ")
        .expect_log("hint: litestream 0.5.16 or a later one wrote this");
    assert!(world.trace().is_empty());
    keeper(&world, LATEST, &config).app(["true"]).run().expect_code(0);
}
