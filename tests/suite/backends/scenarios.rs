//! What must hold on each kind of server.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
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

    // A disk that was lost has nothing that names any of them.
    if backend.is_listed {
        fs::remove_dir_all(world.path("tenants")).expect("the world is ours");
        fs::create_dir(world.path("tenants")).expect("the world is ours");
        let keeper = patient(backend.keeper_of(world, &config)).app(App::new(&trace).insert(&a, 1).exit(0));
        keeper.run().expect_code(0).expect_log("restored ");
        for (name, rows) in [("a.db", 8), ("b.db", 3)] {
            assert_eq!(sqlite::count(&world.path("tenants").join(name)), rows, "{name}");
            assert_backup(name, rows);
        }
    }

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

/// A place has the id of the database that it belongs to, and another one is refused there.
#[track_caller]
pub fn another(world: &World, backend: &Backend) {
    let db = world.db();
    let run = |app: App| patient(backend.keeper(world)).app(app).run();
    // The place is marked before there is a database.
    run(App::new(&world.trace()).exit(0)).expect_code(0).expect_log("holds no backup");
    let app = || App::new(&world.trace()).insert(&db, 2).exit(0);
    run(app()).expect_code(0);
    let ended = run(app()).expect_code(0);
    assert!(!ended.log.contains("warn"), "{}", ended.log);

    sqlite::lose(&db);
    sqlite::create(&db, 3);
    let elsewhere = world.config(&(backend.at)("elsewhere"));
    patient(backend.keeper_of(world, &elsewhere)).app(app()).run().expect_code(0);
    let config = world.config(&(backend.at)("app"));
    let (before, rows) = (world.trace().events().len(), sqlite::count(&db));
    let ended = backend.keeper_of(world, &config).app(app()).run().expect_code(75);
    ended.expect_log("belongs to another database").expect_log(&format!("{} of ", db.display()));
    assert_eq!((world.trace().events().len(), sqlite::count(&db)), (before, rows));
    let check = backend.keeper_of(world, &config).command("check").arg("--online").run();
    assert!(check.stdout.contains("[other-backup]"), "{}", check.stdout);

    // Of another one that has nothing beside it the transactions are not those of the backup, whatever their numbers.
    sqlite::lose(&db);
    sqlite::create(&db, 1);
    let ended = backend.keeper_of(world, &config).app(app()).run().expect_code(69);
    ended.expect_log("--if-unrelated");
}

/// What our own client does for the keeper, one after the other.
#[track_caller]
pub fn asked(world: &World, backend: &Backend) {
    let place = backend.order.as_ref().expect("our own client looks there");
    let ask = |name: &str, task: Value| backend.ask(world, &json!({"At": [place(name), task]}));
    let mark = |text: &str, over: bool| ask("marked", json!({"Mark": {"text": text, "over": over}}));
    assert_eq!(mark("one", false), json!("one"));
    assert_eq!(mark("two", false), json!("one"), "only where there is none");
    assert_eq!(mark("three", true), json!("three"));
    assert_eq!(ask("marked", json!("Formats")), json!({"generations": null, "ltx": null}));
    assert_eq!(ask("marked", json!({"Header": 7})), Value::Null);
    assert_eq!(ask("new", json!("Write")), Value::Null, "nothing is left");
    assert_eq!(ask("new", json!({"List": {"recursive": true}})), json!([]));

    let app = App::new(&world.trace()).insert(&world.db(), 4).exit(0);
    patient(backend.keeper(world)).app(app).run().expect_code(0);
    assert!(ask("app", json!("Formats"))["ltx"].is_u64());
    let header = ask("app", json!({"Header": 1000}));
    assert_eq!(
        header[1].as_array().map(|bytes| &bytes[..4]),
        json!(b"LTX1").as_array().map(|bytes| &bytes[..])
    );
    for recursive in [true, false] {
        let found = ask("", json!({"List": {"recursive": recursive}}));
        assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
        assert_eq!((&found[0]["below"], &found[0]["newest"]), (&json!("app"), &header[0]));
    }
    assert_eq!(ask("app", json!("Reach")), Value::Null);
}

/// What was confirmed and is taken away is copied anew.
#[track_caller]
pub fn emptied(world: &World, backend: &Backend) {
    let empty = backend.empty.as_ref().expect("our own client looks there");
    let db = world.db();
    sqlite::create(&db, 5);
    let app = App::new(&world.trace()).ready().wait();
    let running = patient(backend.keeper(world)).args(["--look", "500ms"]).app(app).start();
    world.trace().wait_nth(1, "ready");
    // Litestream begins a backup by itself where there is none when it looks for the first time: then that is taken away, too.
    wait_until("somebody to see it", DEADLINE, || {
        empty();
        sqlite::insert(&db, 1);
        running.log().contains("it was emptied or changed")
    });
    running.stop(143).expect_log("everything is on the replica");
    let config = world.config(&(backend.at)("app"));
    assert_eq!(sqlite::ids(&backend.restored(world, &config, &db)), sqlite::ids(&db));
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
