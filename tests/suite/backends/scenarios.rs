//! What must hold on each kind of server.

use std::fs;
use std::path::Path;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

use super::backend::{Backend, ReadOnly};

const NOT_READY: &str = "not ready until it has caught up";
const CAUGHT_UP: &str = " has caught up";
pub const STALLED: &str = "litestream does not go on with it: stopping";

/// No backup, the gate, writes, a stop, a plain restore, a lost database, an old copy.
#[track_caller]
pub fn main_job(world: &World, backend: &Backend) {
    let (db, trace) = (world.db(), world.trace());
    let unit = unit::start_writing(world, patient(backend.keeper(world)));
    unit.stop(0).expect_log("holds no backup").expect_log("everything is on the replica");
    assert_equal(world, backend, &db);
    fs::copy(&db, world.path("old.db")).expect("the world is ours");

    for name in ["app.db", "app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(world.path(name));
    }
    fs::remove_dir_all(world.path(".app.db-litestream")).expect("it is there");
    let app = App::new(&trace).insert(&db, 5).exit(0);
    patient(backend.keeper(world)).app(app).run().expect_code(0).expect_log("restored ");
    sqlite::assert_holds_acked(&db, &trace);
    assert_equal(world, backend, &db);

    for name in ["app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(world.path(name));
    }
    fs::copy(world.path("old.db"), &db).expect("the world is ours");
    let ended = backend.keeper(world).app(App::new(&trace).exit(0)).run().expect_code(69);
    // By its txid, or by its pages: it has a log beside it or not.
    ended.expect_log("hint: `--if-behind restore`");
}

/// Away at the start, for seconds while the app writes, and at the stop.
#[track_caller]
pub fn away(world: &World, mut backend: Backend) {
    let (db, trace) = (world.db(), world.trace());
    sqlite::create(&db, 1);
    backend.server.down();
    let keeper = backend.keeper(world).args(["--max-lag", "3s", "--stop-timeout", "10m"]);
    let waiting = keeper.app(unit::writer(&trace, &db, 0)).start();
    if backend.gives_up {
        waiting.wait_log(1, "asking again, for ");
    } else {
        waiting.wait_process("a litestream that asks", |process| {
            process.is("litestream") && process.cmdline.get(1).is_some_and(|command| command == "restore")
        });
    }
    assert!(trace.is_empty(), "the app does not start before it is known that there is no backup");
    backend.server.up();
    trace.wait_acked(10);

    backend.take_away(&waiting);
    waiting.wait_log(1, NOT_READY);
    backend.server.up();
    let may_stall = backend.has_arrived.is_some();
    waiting.wait_line(|line| line.ends_with(CAUGHT_UP) || may_stall && line.contains(STALLED));
    let rows = trace.acked().len();
    trace.wait_acked(rows + 10);
    waiting.stop(0).expect_log("everything is on the replica");

    let unit = backend.keeper(world).args(["--stop-timeout", "3s"]).app(unit::writer(&trace, &db, 0)).start();
    trace.wait_nth(2, "start");
    let rows = trace.acked().len();
    trace.wait_acked(rows + 10);
    backend.take_away(&unit);
    let rows = trace.acked().len();
    trace.wait_acked(rows + 10);
    let ended = unit.stop(74).expect_log("not everything is on the replica");
    assert!(ended.log.contains(db.to_str().expect("UTF-8")), "{}", ended.log);
    backend.server.up();
    patient(backend.keeper(world)).app(App::new(&trace).exit(0)).run().expect_code(0);
    assert_equal(world, &backend, &db);
}

/// Told at once, with a hint that fits.
#[track_caller]
pub fn refused(world: &World, backend: &Backend) {
    for (replica, hint) in &backend.refused {
        let keeper = backend.keeper_of(world, &world.config(replica));
        let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
        assert!(ended.log.contains(hint), "{hint}: {}", ended.log);
        let is_aws = hint.contains("LITESTREAM_ACCESS_KEY_ID");
        assert!(is_aws || !ended.log.contains("LITESTREAM_ACCESS_KEY_ID"), "{}", ended.log);
        assert!(!ended.log.contains("asking again"), "{}", ended.log);
        assert!(!ended.log.contains("sesame"), "a secret: {}", ended.log);
    }
    assert!(world.trace().is_empty());
}

/// Two by themselves, and two in a folder, of which each is restored by its own name.
#[track_caller]
pub fn several(world: &World, backend: &Backend) {
    let (one, two, trace) = (world.db(), world.path("other.db"), world.trace());
    let (first, second) = ((backend.at)("app"), (backend.at)("other"));
    let config = world.config_of("", [(one.as_path(), &first), (two.as_path(), &second)]);
    let app = || App::new(&trace).insert(&one, 5).insert(&two, 7).exit(0);
    patient(backend.keeper_of(world, &config)).app(app()).run().expect_code(0);
    for (db, rows) in [(&one, 5), (&two, 7)] {
        assert_eq!(sqlite::count(&backend.restored(world, &config, db)), rows);
    }

    fs::create_dir(world.path("tenants")).expect("the world is ours");
    for name in ["a.db", "b.db"] {
        sqlite::create(&world.path("tenants").join(name), 3);
    }
    let of_folder = backend.folder.as_ref().map_or_else(|| (backend.at)("tenants"), |at| at(""));
    let text = format!(
        "dbs: [{{dir: {:?}, pattern: '*.db', replica: {}}}]\n",
        world.path("tenants"),
        of_folder.text()
    );
    let config = world.write("folder.yml", &text);
    let a = world.path("tenants/a.db");
    let keeper = patient(backend.keeper_of(world, &config)).app(App::new(&trace).insert(&a, 2).exit(0));
    let Some(at) = &backend.folder else {
        keeper.run().expect_code(78).expect_log("a `dir` cannot go to NATS");
        return;
    };
    keeper.run().expect_code(0);
    let assert_backup = |name: &str, rows| {
        let db = world.path("tenants").join(name);
        let config = world.config_of("", [(db.as_path(), &at(name))]);
        assert_eq!(sqlite::count(&backend.restored(world, &config, &db)), rows, "{name}");
    };
    assert_backup("a.db", 5);
    assert_backup("b.db", 3);

    // Its metadata folder names it, whether the server can be listed or not.
    for name in ["a.db", "a.db-wal", "a.db-shm"] {
        let _ = fs::remove_file(world.path("tenants").join(name));
    }
    fs::create_dir(world.path("tenants/.never.db-litestream")).expect("the world is ours");
    let keeper = patient(backend.keeper_of(world, &config)).app(App::new(&trace).insert(&a, 2).exit(0));
    let ended = keeper.run().expect_code(0).expect_log("restored ");
    assert!(!ended.log.contains("never.db is not there"), "{}", ended.log);
    assert_eq!(sqlite::count(&a), 7);
    assert_backup("a.db", 7);

    fs::create_dir_all(world.path("empty/.never.db-litestream")).expect("the world is ours");
    let text = fs::read_to_string(&config).expect("it is ours").replace("tenants", "empty");
    let config = world.write("empty.yml", &text);
    let keeper = backend.keeper_of(world, &config).app(App::new(&trace).exit(0));
    keeper.run().expect_code(78).expect_log("none has a backup");

    // It may be new, or what is left of a disk that was lost.
    fs::create_dir(world.path("lost")).expect("the world is ours");
    let text = text.replace("empty", "lost").replace("pattern:", "watch: true, pattern:");
    let config = world.write("lost.yml", &text);
    let lost = || patient(backend.keeper_of(world, &config)).app(App::new(&trace).exit(0));
    if backend.is_listed {
        lost().run().expect_code(0);
    } else {
        lost().run().expect_code(69).expect_log("--if-unlistable allow");
        lost().args(["--if-unlistable", "allow"]).run().expect_code(0).expect_log("cannot be found out");
    }
}

/// Nothing can be confirmed of an app that has no database yet, so what it is to write is tried, each time anew.
#[track_caller]
pub fn tried(world: &World, mut backend: Backend) {
    let below = "app/.litekeeper-check-start";
    for _ in 0..2 {
        let keeper = backend.keeper(world).app(App::new(&world.trace()).exit(0));
        let ended = patient(keeper).run().expect_code(0).expect_log("holds no backup");
        assert!(!ended.log.contains("to try"), "what stays is always the same: {}", ended.log);
        if let Some(stays) = backend.stays {
            assert_eq!(backend.files(world, below), stays);
        }
    }
    let app = App::new(&world.trace()).insert(&world.db(), 3).exit(0);
    patient(backend.keeper(world)).app(app).run().expect_code(0);
    assert_equal(world, &backend, &world.db());

    let begun = || world.trace().all("start").len();
    let before = begun();
    let other = world.path("other.db");
    let config = |replica: &Replica| world.config_of("", [(other.as_path(), replica)]);
    if let Some(ReadOnly { at, hint, env }) = &backend.read_only {
        let keeper = backend.keeper_of(world, &config(&at("new"))).envs(env.iter().cloned());
        let ended = keeper
            .app(App::new(&world.trace()).exit(0))
            .run()
            .expect_code(69)
            .expect_log("other.db: replica ");
        assert!(ended.log.contains(hint), "{hint}: {}", ended.log);
        for hidden in ["check.db", "sesame", "sig="] {
            assert!(!ended.log.contains(hidden), "{hidden}: {}", ended.log);
        }
        assert_eq!(begun(), before);
    }
    if backend.stays.is_some() {
        backend.server.down();
        let keeper = backend.keeper_of(world, &config(&(backend.at)("other")));
        let ended = keeper.args(["--restore-timeout", "3s"]).app(App::new(&world.trace()).exit(0)).run();
        ended.expect_code(69);
        assert_eq!(begun(), before);
    }
}

/// By writing and reading; what stays is named.
#[track_caller]
pub fn checked(world: &World, backend: &Backend) {
    let config = world.config(&(backend.at)("app"));
    sqlite::create(&world.db(), 3);
    let ended = backend.keeper_of(world, &config).command("check").args(["--online"]).run().expect_code(0);
    assert!(!ended.stdout.contains("[replica-"), "{}", ended.stdout);
    assert!(ended.stdout.contains("[no-backup]"), "{}", ended.stdout);
    match backend.left {
        Some(left) => assert!(ended.stdout.contains(left), "{}", ended.stdout),
        None => assert!(!ended.stdout.contains("[left-behind]"), "{}", ended.stdout),
    }
    let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    patient(backend.keeper(world)).app(app).run().expect_code(0);
    assert_equal(world, backend, &world.db());
}

/// For a drain that succeeds, however busy the machine is.
fn patient(keeper: Keeper) -> Keeper {
    keeper.args(["--stop-timeout", "10m"])
}

/// A plain restore has the rows that the database has.
#[track_caller]
pub fn assert_equal(world: &World, backend: &Backend, db: &Path) {
    let config = world.config(&(backend.at)("app"));
    let out = backend.restored(world, &config, db);
    sqlite::assert_holds_acked(&out, &world.trace());
    assert_eq!(sqlite::ids(&out), sqlite::ids(db));
}
