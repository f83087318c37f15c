//! What a replica has is looked at, and not only believed: a place is empty if it is proven to be, written to before an app starts
//! without a database, and has what was confirmed.

use std::fs;
use std::path::Path;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::server::portal;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

#[test]
fn a_page_is_no_empty_replica() {
    let pages = [
        "<!DOCTYPE html><html><body>Welcome</body></html>",
        "<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>",
        "<ListBucketResult><Name>another</Name><IsTruncated>false</IsTruncated></ListBucketResult>",
        "",
    ];
    let s3 = S3::start();
    for page in pages {
        let world = World::new();
        let config = world.config(&s3.replica("backups", "app").set("endpoint", portal(page)));
        let keeper = Keeper::new(&world).config(&config).args(["--restore-timeout", "5s"]);
        let ended = keeper.app(App::new(&world.trace()).exit(0)).run();
        assert!(world.trace().is_empty(), "{page}: {}", ended.log);
        ended.expect_code(69);
        assert!(!world.db().exists());
    }
}

#[test]
fn a_replica_that_cannot_be_written_starts_no_app_without_a_database() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    let config = world.config(&s3.replica("backups", "app"));
    s3.forbid_puts();
    let keeper = Keeper::new(&world).config(&config).args(["--restore-timeout", "5s"]);
    let ended = keeper.app(App::new(&world.trace()).exit(0)).run();
    assert!(world.trace().is_empty(), "{}", ended.log);
    ended.expect_code(69).expect_log("AccessDenied");
}

/// A database with so many rows, and nothing of Litestream's.
fn alone(path: &Path, rows: u64) {
    sqlite::lose(path);
    sqlite::create(path, rows);
}

/// A world whose replica, a folder or on S3, has a backup of 5 rows.
fn backed_up(replica: &Replica, world: &World) -> std::path::PathBuf {
    let config = world.config(replica);
    sqlite::create(&world.db(), 5);
    let keeper = Keeper::new(world).config(&config);
    let running = keeper.app(App::new(&world.trace()).ready().wait()).start();
    world.trace().wait_nth(1, "ready");
    running.stop(143);
    config
}

#[test]
fn a_database_that_nobody_knows_does_not_replace_a_backup() {
    for store in Store::all() {
        let world = World::new();
        let replica = store.replica(&world, "app");
        let config = backed_up(&replica, &world);
        alone(&world.db(), 2);
        let ended = Keeper::new(&world).config(&config).app(App::new(&world.trace()).exit(0)).run();
        ended
            .expect_code(69)
            .expect_log("--if-unrelated restore")
            .expect_log("nothing of litestream's is beside it");
        assert_eq!(sqlite::count(&world.db()), 2, "nothing was changed");
        assert_eq!(sqlite::count(&Backup::Config(&config, &world.db()).restore(&world, LATEST)), 5);
        let restored = Keeper::new(&world).config(&config).args(["--if-unrelated", "restore"]);
        restored.app(App::new(&world.trace()).exit(0)).run().expect_code(0).expect_log("kept as");
        assert_eq!(sqlite::count(&world.db()), 5);
        alone(&world.db(), 3);
        let adopted = Keeper::new(&world).config(&config).env("LITEKEEPER_IF_UNRELATED", "adopt");
        adopted.app(App::new(&world.trace()).exit(0)).run().expect_code(0);
        assert_eq!(sqlite::count(&Backup::Config(&config, &world.db()).restore(&world, LATEST)), 3);
    }
}

#[test]
fn a_database_that_is_what_its_backup_has_goes_on() {
    let world = World::new();
    let config = backed_up(&Replica::folder(&world.path("backup")), &world);
    let restored = Backup::Config(&config, &world.db()).restore(&world, LATEST);
    sqlite::lose(&world.db());
    fs::copy(restored, world.db()).expect("the world can be written");
    let keeper = Keeper::new(&world).config(&config);
    let ended = keeper.app(App::new(&world.trace()).exit(0)).run();
    ended.expect_code(0).expect_log("going on from it").expect_log("everything is on the replica");
}

#[test]
fn what_was_confirmed_is_there_or_is_copied_anew() {
    for store in Store::all() {
        let world = World::new();
        let replica = store.replica(&world, "app");
        let ltx = store.ltx(&world, "app");
        // Litestream begins a backup by itself where there is none when it looks for the first time: then that is taken away, too.
        let empty_and_write = || {
            // At once: more is being uploaded.
            if fs::rename(&ltx, world.path("emptied")).is_ok() {
                fs::remove_dir_all(world.path("emptied")).expect("nobody writes there");
            }
            sqlite::insert(&world.db(), 1);
        };
        let config = backed_up(&replica, &world);
        let start = || {
            let before = world.trace().all("ready").len();
            let keeper = Keeper::new(&world).config(&config).args(["--look", "500ms"]);
            let running = keeper.app(App::new(&world.trace()).ready().wait()).start();
            world.trace().wait_nth(before + 1, "ready");
            running
        };
        let assert_equal = || {
            let restored = Backup::Config(&config, &world.db()).restore(&world, LATEST);
            assert_eq!(sqlite::ids(&restored), sqlite::ids(&world.db()), "{}", ltx.display());
        };
        let running = start();
        wait_until("somebody to see it", DEADLINE, || {
            empty_and_write();
            running.log().contains("it was emptied or changed")
        });
        running.stop(143).expect_log("everything is on the replica");
        assert_equal();
        // At a stop it is seen as well, however soon.
        let running = start();
        empty_and_write();
        running.stop(143).expect_log("everything is on the replica");
        assert_equal();
    }
}

/// Litestream makes no snapshot before its time while there is one, and what it goes on with would lie behind the hole.
#[test]
fn what_was_taken_out_of_the_middle_is_copied_anew() {
    for store in Store::all() {
        for is_at_the_end in [false, true] {
            let world = World::new();
            let name = format!("app-{is_at_the_end}");
            let replica = store.replica(&world, &name);
            let folder = |level: u32| match &store {
                Store::Folder => store.ltx(&world, &name).join(level.to_string()),
                Store::S3(_) => store.ltx(&world, &name).join(format!("{level:04}")),
            };
            // One that is being uploaded has another name.
            let files = |level| {
                let all = fs::read_dir(folder(level)).into_iter().flatten().flatten().map(|file| file.path());
                all.filter(|path| path.extension().is_some_and(|kind| kind == "ltx")).collect::<Vec<_>>()
            };
            // Litestream has ended with a file when it says so: before, it would miss the file, and write it again.
            let write = |config: &Path| {
                sqlite::insert(&world.db(), 1);
                Keeper::new(&world).config(config).command("sync").arg("--wait").run().expect_code(0);
            };
            backed_up(&replica, &world);
            // What it had moved to the next level would be no hole.
            let config = world.config_of("levels:\n  - interval: 1h\n", [(world.db().as_path(), &replica)]);
            let keeper = Keeper::new(&world).config(&config).args(["--look", "500ms"]);
            let running = keeper.app(App::new(&world.trace()).ready().wait()).start();
            world.trace().wait("ready");
            wait_until("the first snapshot", DEADLINE, || !files(9).is_empty());
            write(&config);
            files(0).iter().for_each(|file| fs::remove_file(file).expect("nobody else removes it"));
            write(&config);
            if !is_at_the_end {
                wait_until("the backup to begin anew", DEADLINE, || {
                    running.log().contains("begins anew with a snapshot")
                });
            }
            running
                .stop(143)
                .expect_log("it was emptied or changed")
                .expect_log("everything is on the replica");
            let restored = Backup::Config(&config, &world.db()).restore(&world, LATEST);
            assert_eq!(sqlite::ids(&restored), sqlite::ids(&world.db()), "{}", folder(0).display());
        }
    }
}

/// They are listed together, and each gets its own answer.
#[test]
fn of_many_databases_below_one_prefix_each_is_seen() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    let names: Vec<String> = (0..8).map(|number| format!("db{number}")).collect();
    let dbs: Vec<_> = names.iter().map(|name| world.path(&format!("{name}.db"))).collect();
    dbs.iter().for_each(|db| sqlite::create(db, 2));
    let replicas: Vec<_> = names.iter().map(|name| s3.replica("backups", &format!("all/{name}"))).collect();
    let config = world.config_of("", dbs.iter().map(|db| db.as_path()).zip(&replicas));
    let running = Keeper::new(&world).config(&config).app(App::new(&world.trace()).ready().wait()).start();
    world.trace().wait("ready");
    let all = s3.folder("backups").join("all");
    for name in ["db2", "db5"] {
        // Litestream's first snapshot comes a second after its first sync, and would make an emptied replica whole again.
        let first_snapshot = all.join(name).join("0009");
        wait_until("the first snapshot", DEADLINE, || {
            fs::read_dir(&first_snapshot).is_ok_and(|files| files.flatten().next().is_some())
        });
        // At once: more may be on its way there.
        fs::rename(all.join(name), world.path(name)).expect("it is there");
    }
    for db in &dbs {
        sqlite::insert(db, 1);
    }
    let ended =
        running.stop(143).expect_log("it was emptied or changed").expect_log("everything is on the replica");
    for (name, db) in names.iter().zip(&dbs) {
        // The first of the two that is seen begins the launch that finds the other one, too.
        let says =
            |line: &str| line.contains(&format!("{name}.db: ")) && line.contains("it was emptied or changed");
        assert!(
            !ended.log.lines().any(says) || ["db2", "db5"].contains(&name.as_str()),
            "{name}: {}",
            ended.log
        );
        let restored = Backup::Config(&config, db).restore(&world, LATEST);
        assert_eq!(sqlite::ids(&restored), sqlite::ids(db), "{name}");
    }
}

/// Both with a database and without: Litestream's client tries for minutes, and says nothing.
#[test]
fn a_certificate_that_nobody_trusts_ends_a_start_at_once() {
    for has_database in [false, true] {
        let (s3, _) = S3::start_over_tls();
        let world = World::new();
        if has_database {
            sqlite::create(&world.db(), 1);
        }
        let config = world.config(&s3.replica("backups", "app"));
        let keeper =
            Keeper::new(&world).config(&config).args(["--restore-timeout", "10m", "--gate-timeout", "10m"]);
        let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
        ended.expect_log("invalid peer certificate").expect_log("hint: install the machine's certificates");
        assert!(world.trace().is_empty());
    }
}

#[test]
fn what_keeps_a_server_from_answering_is_said_while_it_is_waited_for() {
    for has_database in [false, true] {
        let mut s3 = S3::start();
        s3.bucket("backups");
        let world = World::new();
        if has_database {
            sqlite::create(&world.db(), 1);
        }
        let config = world.config(&s3.replica("backups", "app"));
        s3.refuse();
        let keeper =
            Keeper::new(&world).config(&config).args(["--restore-timeout", "10m", "--gate-timeout", "10m"]);
        let running = keeper.app(App::new(&world.trace()).exit(0)).start();
        running.wait_log(1, "connection refused): litestream is retrying");
        s3.listen_again();
        running.finish().expect_code(0);
    }
}

/// Amazon's library runs a program for a key, and ours does not.
#[test]
fn where_our_client_has_no_key_litestreams_word_counts() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    let key = world.write(
        "key.json",
        &format!(r#"{{"Version": 1, "AccessKeyId": "{KEY}", "SecretAccessKey": "{SECRET}"}}"#),
    );
    let profile =
        world.write("profile", &format!("[default]\ncredential_process = /bin/cat {}\n", key.display()));
    let replica = Replica::new("s3").set("bucket", "backups").set("path", "app").set("region", "us-east-1");
    let config = world.config(&replica.set("endpoint", s3.endpoint()).set("force-path-style", true));
    let run = |app: App| {
        let keeper = Keeper::new(&world).config(&config).env("AWS_CONFIG_FILE", &profile);
        keeper.app(app).run().expect_code(0).expect_log("everything is on the replica")
    };
    run(App::new(&world.trace()).insert(&world.db(), 3).exit(0)).expect_log("litestream's word counts");
    let ended = run(App::new(&world.trace()).insert(&world.db(), 1).exit(0));
    assert!(!ended.log.contains("this client cannot"), "{}", ended.log);
    sqlite::lose(&world.db());
    run(App::new(&world.trace()).exit(0)).expect_log("restored ");
    assert_eq!(sqlite::count(&world.db()), 4);
}

/// Our client takes no certificate that is its own authority, and Litestream's does.
#[test]
fn where_our_client_is_blind_litestreams_word_counts() {
    let (s3, certificate) = S3::start_over_tls_of_its_own_authority();
    s3.bucket("backups");
    let world = World::new();
    let file = world.write("certificate.pem", &certificate);
    let config = world.config(&s3.replica("backups", "app"));
    let run = |app: App| {
        let keeper = Keeper::new(&world).config(&config).env("SSL_CERT_FILE", &file);
        keeper.app(app).run().expect_code(0)
    };
    let ended = run(App::new(&world.trace()).insert(&world.db(), 3).exit(0));
    ended.expect_log("litestream's word counts").expect_log("everything is on the replica");
    sqlite::lose(&world.db());
    let ended = run(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).expect_log("restored ");
    assert_eq!(sqlite::count(&world.db()), 4);
    assert!(!ended.log.contains("CaUsedAsEndEntity"), "{}", ended.log);
}
