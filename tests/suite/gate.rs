//! The app starts only when the replica has answered, and holds what the database has.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::process::Ended;
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// A server with the bucket `backups`, and a world with a database of ten rows if that is wanted.
fn world(database: bool) -> (World, S3) {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    if database {
        sqlite::create(&world.db(), 10);
    }
    (world, s3)
}

fn keeper(world: &World, s3: &S3) -> Keeper {
    Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env())
}

fn backup(world: &World, s3: &S3) -> usize {
    let config = world.config(&s3.replica("backups", "app"));
    sqlite::count(&Backup::Config(&config, &world.db()).restore(world, LATEST))
}

#[test]
fn an_app_waits_until_its_database_is_on_the_replica() {
    let (world, s3) = world(true);
    s3.hold_puts();
    let running = keeper(&world, &s3).app(App::new(&world.trace()).exit(0)).start();
    s3.wait_puts(1);
    assert!(s3.objects("backups").is_empty() && world.trace().is_empty());
    s3.resume();
    world.trace().wait("start");
    assert_eq!(backup(&world, &s3), 10, "it was there when the app started");
    running.finish().expect_code(0);
}

#[test]
fn a_database_that_was_exchanged_meanwhile_is_on_the_replica_when_the_app_starts() {
    let (world, s3) = world(true);
    let run = |options: &[&str]| {
        let keeper = keeper(&world, &s3).args(options);
        keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(0)
    };
    run(&[]);
    assert_eq!(backup(&world, &s3), 10);
    for name in ["app.db", "app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(world.path(name));
    }
    sqlite::create(&world.db(), 3);
    let ended = run(&["--if-behind", "ignore"]);
    assert_eq!(backup(&world, &s3), 3, "{}", ended.log);
}

#[test]
fn an_app_without_a_backup_starts_and_its_first_database_is_confirmed() {
    let (world, s3) = world(false);
    let app = App::new(&world.trace()).count(&world.db()).insert(&world.db(), 7).ready().wait();
    let running = keeper(&world, &s3).app(app).start();
    running.wait_log(1, "holds no backup of");
    world.trace().wait("ready");
    wait_until("the rows on the replica", DEADLINE, || !s3.objects("backups").is_empty());
    assert_eq!(world.trace().wait("count").rest, "none");
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(backup(&world, &s3), 7);
}

#[test]
fn a_first_database_that_is_not_confirmed_is_reported_as_lag() {
    let (world, s3) = world(false);
    s3.hold_ltx();
    let app = App::new(&world.trace()).insert(&world.db(), 7).ready().wait();
    let running = keeper(&world, &s3).args(["--max-lag", "1s"]).app(app).start();
    world.trace().wait("ready");
    running.wait_log(1, "has not confirmed a change for 1 s");
    s3.resume();
    running.wait_log(1, "has caught up");
    running.stop(143);
    assert_eq!(backup(&world, &s3), 7);
}

#[test]
fn a_first_snapshot_of_500_mb_passes_the_gate() {
    let (world, s3) = world(false);
    sqlite::big(&world.db(), 500);
    s3.throttle(3 << 20);
    let app = App::new(&world.trace()).exit(0);
    let start = Instant::now();
    // A busy disk takes many seconds to have 500 MB for certain, in which nothing is written.
    // Litestream uploads the snapshot twice at a time; the drain waits for the second, which is not what counts here.
    let args = ["--gate-timeout", "20s", "--stop-timeout", "2m"];
    let running = keeper(&world, &s3).args(args).app(app).start();
    // Clearly longer than the limit, which counts time without progress.
    let ended = running.finish_within(DEADLINE * 5).expect_code(0);
    assert!(start.elapsed() > Duration::from_secs(30), "{:?}", start.elapsed());
    let ended = ended.expect_log("is waiting: the first sync to the replica has taken 20 s so far");
    world.trace().wait("start");
    assert!(!s3.objects("backups").is_empty(), "{}", ended.log);
}

#[test]
fn a_server_may_take_as_long_to_assemble_an_upload_as_to_receive_it() {
    let (world, s3) = world(false);
    // After its silence the server really puts the parts together, which on a busy machine takes seconds for each 10 MiB.
    sqlite::big(&world.db(), 20);
    // One part after the other, in 4 s each: the system takes it in one go, and then nothing moves until it has arrived.
    let config = world.config(&s3.replica("backups", "app").set("concurrency", 1));
    s3.throttle(5 << 18);
    s3.assemble_slowly(Duration::from_secs(14));
    let app = App::new(&world.trace()).exit(0);
    // The drain waits for a second upload, of the snapshot, which is not what counts here.
    let args = ["--gate-timeout", "10s", "--stop-timeout", "2m"];
    let running = Keeper::new(&world).config(&config).args(args).app(app).start();
    running.finish_within(DEADLINE * 2).expect_code(0);
    world.trace().wait("start");
    assert!(
        s3.seen().iter().any(|request| request.starts_with("CompleteMultipartUpload")),
        "{:?}",
        s3.seen()
    );
}

#[test]
fn a_gate_can_be_relaxed_and_says_so() {
    let (world, s3) = world(true);
    s3.hold_puts();
    let app = || App::new(&world.trace()).exit(0);
    let quick = ["--gate", "reachable", "--stop-timeout", "2s"];
    let ended = keeper(&world, &s3).args(quick).app(app()).run();
    assert_eq!(world.trace().all("start").len(), 1, "the replica answers listings: {}", ended.log);
    ended.expect_code(74).expect_log("--gate reachable");

    s3.fail_with(403);
    let ended = keeper(&world, &s3).args(quick).app(app()).run().expect_code(69).expect_log("AccessDenied");
    assert_eq!(world.trace().all("start").len(), 1, "{}", ended.log);

    let quick = ["--gate", "none", "--stop-timeout", "2s"];
    let ended = keeper(&world, &s3).args(quick).app(app()).run();
    assert_eq!(world.trace().all("start").len(), 2, "{}", ended.log);
    ended.expect_code(74).expect_log("--gate none");
}

/// How a replica can be unusable.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Refused,
    Silent,
    WrongSecret,
    UnknownKey,
    NoBucket,
    Forbidden,
}

impl Trouble {
    /// Litestream's own reason; a server that refuses connections or is silent is retried without a word.
    fn reason(self) -> &'static str {
        match self {
            Self::Refused | Self::Silent => "no answer within 2 s",
            Self::WrongSecret => "SignatureDoesNotMatch",
            Self::UnknownKey => "NotSignedUp",
            Self::NoBucket => "NoSuchBucket",
            Self::Forbidden => "AccessDenied",
        }
    }

    /// Who answers needs no limit, and may be slow; the reason of the others says that it was kept.
    fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Refused | Self::Silent => &["--restore-timeout", "2s", "--gate-timeout", "2s"],
            Self::WrongSecret | Self::UnknownKey | Self::NoBucket | Self::Forbidden => &[],
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Refused | Self::Silent => "hint: check the endpoint, and that this machine can reach it",
            Self::WrongSecret | Self::UnknownKey | Self::Forbidden => {
                "hint: check the access key and its secret"
            }
            Self::NoBucket => "hint: create the bucket, or correct its name",
        }
    }
}

/// The app never starts, nothing is written, and the message has the reason and the next step and no secret.
fn assert_refused(trouble: Trouble, database: bool) {
    let (world, mut s3) = world(database);
    let mut url = s3.url("backups", "app");
    let (mut key, mut secret) = (KEY, SECRET);
    match trouble {
        Trouble::Refused => s3.refuse(),
        Trouble::Silent => s3.pause(),
        Trouble::WrongSecret => secret = "another-secret",
        Trouble::UnknownKey => key = "AKIAUNKNOWN",
        Trouble::NoBucket => url = s3.url("nowhere", "app"),
        Trouble::Forbidden => s3.fail_with(403),
    }
    let before = (world.list(""), fs::read(world.db()).ok());
    let keeper = Keeper::new(&world).db(&world.db()).replica(&url);
    let keeper = keeper.env("LITESTREAM_ACCESS_KEY_ID", key).env("LITESTREAM_SECRET_ACCESS_KEY", secret);
    let keeper = keeper.args(["--log-level", "trace"]).args(trouble.limits());
    let ended: Ended = keeper.app(App::new(&world.trace()).insert(&world.db(), 1).exit(0)).run();
    let case = format!("{trouble:?}, database {database}: {}", ended.log);
    assert_eq!(ended.status.code(), Some(69), "{case}");
    assert!(world.trace().is_empty(), "{case}");
    for text in [trouble.reason(), trouble.hint(), &*world.db().to_string_lossy(), "error: "] {
        assert!(ended.log.contains(text), "no {text:?}, {case}");
    }
    assert!(!ended.log.contains(secret) && !ended.log.contains(SECRET), "{case}");
    let mut after = world.list("");
    after.retain(|name| name != ".app.db-litekeeper.lock");
    assert_eq!((after, fs::read(world.db()).ok()), before, "{case}");
}

#[test]
fn a_dead_endpoint_stops_the_start() {
    for database in [false, true] {
        assert_refused(Trouble::Refused, database);
    }
}

#[test]
fn a_silent_endpoint_stops_the_start() {
    for database in [false, true] {
        assert_refused(Trouble::Silent, database);
    }
}

#[test]
fn a_wrong_key_stops_the_start() {
    for trouble in [Trouble::WrongSecret, Trouble::UnknownKey, Trouble::Forbidden] {
        for database in [false, true] {
            assert_refused(trouble, database);
        }
    }
}

#[test]
fn a_missing_bucket_stops_the_start() {
    for database in [false, true] {
        assert_refused(Trouble::NoBucket, database);
    }
}

#[test]
fn a_replica_that_goes_between_the_listing_and_the_upload_stops_the_start() {
    let (world, s3) = world(true);
    s3.hold_puts();
    let app = App::new(&world.trace()).exit(0);
    let running = keeper(&world, &s3).args(["--gate-timeout", "10s"]).app(app).start();
    s3.wait_puts(1);
    s3.fail_with(403);
    // The upload is held for ever, and what comes after it refused.
    let ended =
        running.finish().expect_code(69).expect_log("AccessDenied").expect_log("hint: check the access");
    assert!(world.trace().is_empty(), "{}", ended.log);
}

#[test]
fn a_replica_that_answers_no_upload_stops_the_start() {
    let (world, s3) = world(true);
    s3.hold_puts();
    let app = App::new(&world.trace()).exit(0);
    // Litestream has to come up within the limit as well.
    let options = ["--gate-timeout", "8s", "--stop-timeout", "2s"];
    let ended = keeper(&world, &s3).args(options).app(app).run().expect_code(69);
    let ended = ended.expect_log("error: ").expect_log("not confirmed within 8.0 s").expect_log("hint: ");
    assert!(world.trace().is_empty(), "{}", ended.log);
}

#[test]
fn a_replica_folder_that_cannot_be_written_stops_the_start() {
    let world = World::new();
    sqlite::create(&world.db(), 10);
    let folder = world.path("replica");
    fs::create_dir(&folder).expect("the world can be written");
    let keeper = Keeper::new(&world).db(&world.db()).replica(&world.replica_url());
    let keeper = keeper.args(["--gate-timeout", "5s"]).app(App::new(&world.trace()).exit(0));
    let ended = keeper.wrapped(wrap::read_only(&folder)).run().expect_code(78);
    let ended = ended.expect_log("cannot write into the folder").expect_log("hint: it is mounted read-only");
    assert!(world.trace().is_empty(), "{}", ended.log);
    assert_eq!(world.list("replica"), [""; 0]);
}

#[test]
fn a_path_with_spaces_and_letters_of_any_script_is_a_path() {
    let s3 = S3::start();
    s3.bucket("backups");
    for in_folder in [true, false] {
        let world = World::named("lk à b ж 'q' ");
        let db = world.path("dätä base.db");
        let replica = if in_folder { world.replica() } else { s3.replica("backups", "a b/ж") };
        let config = world.config_of("", [(db.as_path(), &replica)]);
        let run = || {
            let app = App::new(&world.trace()).count(&db).insert(&db, 3).exit(0);
            Keeper::new(&world).config(&config).app(app).run().expect_code(0)
        };
        run();
        for name in ["dätä base.db", "dätä base.db-wal", "dätä base.db-shm"] {
            let _ = fs::remove_file(world.path(name));
        }
        run();
        assert_eq!(world.trace().wait_nth(2, "count").rest, "3");
        assert_eq!(sqlite::count(&Backup::Config(&config, &db).restore(&world, LATEST)), 6);
        assert_eq!(world.list("").contains(&"replica".to_owned()), in_folder, "{:?}", world.list(""));
    }
}

#[test]
fn a_path_on_the_command_line_is_quoted_for_nobody() {
    let (world, s3) = (World::named("lk à b ж 'q' "), S3::start());
    s3.bucket("backups");
    let db = world.path("dätä \"base\" $HOME.db");
    for rows in ["none", "3"] {
        let app = App::new(&world.trace()).count(&db).insert(&db, 3).exit(0);
        let keeper = Keeper::new(&world).db(&db).replica(&s3.url("backups", "app")).envs(S3::env());
        keeper.app(app).run().expect_code(0);
        assert_eq!(world.trace().all("count").pop().expect("it counted").rest, rows);
        fs::remove_file(&db).expect("it is there");
    }
}

#[test]
fn a_replica_folder_without_room_stops_the_start() {
    let world = World::new();
    sqlite::big(&world.db(), 3);
    let folder = world.path("replica");
    fs::create_dir(&folder).expect("the world can be written");
    // Litestream tries again and again, and writes as much each time.
    let options = ["--gate-timeout", "6s", "--stop-timeout", "5s"];
    let keeper = Keeper::new(&world).db(&world.db()).replica(&world.replica_url()).args(options);
    let keeper = keeper.app(App::new(&world.trace()).exit(0)).wrapped(wrap::small_disk(&folder, 1024));
    let ended = keeper.run().expect_code(69).expect_log("no replica confirmed in time");
    ended.expect_log("no space left on device").expect_log("hint: free some space where that file is");
    assert!(world.trace().is_empty());
}
