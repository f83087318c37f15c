//! One machine alone replicates to a place at a time: what only the server of this suite can be made to do. The rest is in
//! `backends/leases.rs`, for servers of each kind.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::pair::{Pair, signal_all};
use crate::support::process::Ended;
use crate::support::procfs::{Process, alive};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// A server and two machines.
struct Scene {
    s3: S3,
    pair: Pair,
}

impl Deref for Scene {
    type Target = Pair;

    fn deref(&self) -> &Pair {
        &self.pair
    }
}

impl Scene {
    fn new() -> Self {
        let s3 = S3::start();
        s3.bucket("backups");
        let pair = Pair::new(s3.replica("backups", "app"), Vec::new());
        Self { s3, pair }
    }

    fn lock_path(&self) -> PathBuf {
        self.s3.folder("backups").join("app/lock.json")
    }

    fn lock(&self) -> Value {
        let text = fs::read(self.lock_path()).expect("there is a lock");
        serde_json::from_slice(&text).expect("a lock is JSON")
    }
}

/// Its lock says who had it last, and says nothing of who has the first one.
#[test]
fn a_copy_of_a_living_machines_folder_is_another_machine() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &[]);
    let lock = ".app.db-litekeeper.lock";
    fs::copy(scene.one.path(lock), scene.two.path(lock)).expect("it is there");
    sqlite::create(&scene.two.db(), 3);
    let ended = scene.run(&scene.two, &["--lease-wait", "2s"]).expect_code(75);
    ended.expect_log("another machine replicates");
    running.stop(143).expect_log("everything is on the replica");
}

/// One answer is not what a start depends on.
#[test]
fn a_start_asks_again_who_has_the_place() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &[]);
    scene.s3.fail_with(503);
    let second = scene.keeper(&scene.two, &["--lease-wait", "2s"]).app(App::new(&scene.two.trace()).exit(0));
    let second = second.start();
    second.wait_log(1, "asking again, for 20 s at most, whether another machine replicates there");
    scene.s3.resume();
    second.finish().expect_code(75).expect_log("another machine replicates to");
    assert!(scene.two.trace().is_empty());
    running.stop(143).expect_log("everything is on the replica");
}

#[test]
fn a_server_that_is_away_for_longer_is_lag_and_nothing_else() {
    let scene = Scene::new();
    let options = ["--lease-ttl", "1s", "--max-lag", "2s", "--stop-timeout", "20s"];
    let running = scene.start(&scene.one, &options);
    scene.s3.fail_with(503);
    sqlite::insert(&scene.one.db(), 1);
    running.wait_log(1, "has not confirmed a change for");
    scene.s3.resume();
    running.wait_log(1, "caught up");
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(scene.lock()["released"], true);
    assert_eq!(scene.restored(&scene.one), sqlite::ids(&scene.one.db()));
}

#[test]
fn a_server_that_knows_no_conditions_is_named_and_used_without() {
    let scene = Scene::new();
    scene.s3.refuse_conditions();
    scene.run(&scene.one, &[]).expect_code(0).expect_log("it knows no conditions");
    assert!(!scene.lock_path().exists());
}

#[test]
fn what_others_left_in_the_lock_is_kept_and_rubbish_is_nobodys() {
    let scene = Scene::new();
    scene.run(&scene.one, &[]).expect_code(0);
    let theirs = json!({"generation": 41, "expires_at": "2000-01-01T00:00:00Z", "owner": "web-1:7", "more": {"a": [1]}});
    scene.s3.overwrite("backups", "app/lock.json", theirs.to_string());
    let ended = scene.run(&scene.one, &["--lease-ttl", "1s"]).expect_code(0);
    ended.expect_log("web-1:7");
    assert_eq!((&scene.lock()["generation"], &scene.lock()["more"]), (&json!(42), &theirs["more"]));
    for rubbish in ["", "{", "[]", "null", "{\"generation\": \"x\", \"owner\": 7, \"released\": 7}"] {
        scene.s3.overwrite("backups", "app/lock.json", rubbish);
        scene.run(&scene.one, &["--lease-ttl", "1s"]).expect_code(0);
        assert_eq!(scene.lock()["released"], true, "{rubbish}");
    }
}

#[test]
fn a_lock_that_is_removed_is_written_again_and_another_ones_is_the_end() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &["--lease-ttl", "1s"]);
    fs::remove_file(scene.lock_path()).expect("there is a lock");
    wait_until("the lock to be there again", DEADLINE, || scene.lock_path().exists());
    scene.s3.overwrite("backups", "app/lock.json", "rubbish");
    let is_lock = |text: Vec<u8>| serde_json::from_slice::<Value>(&text).is_ok();
    wait_until("the lock to be one again", DEADLINE, || fs::read(scene.lock_path()).is_ok_and(is_lock));
    let mut running = running;
    wait_until("somebody to see it", DEADLINE, || {
        // It may just be written by the first one.
        let theirs = json!({"generation": 9, "owner": "web-2:1"}).to_string();
        scene.s3.overwrite("backups", "app/lock.json", theirs);
        running.try_wait().is_some()
    });
    running.finish().expect_code(75).expect_log("another machine has taken over").expect_log("web-2:1");
}

/// Each has a lock of its own, and one process asks for all.
#[test]
fn of_many_databases_each_has_its_lock() {
    let scene = Scene::new();
    let names: Vec<String> = (0..5).map(|number| format!("db{number}")).collect();
    let dbs: Vec<_> = names.iter().map(|name| scene.one.path(&format!("{name}.db"))).collect();
    dbs.iter().for_each(|db| sqlite::create(db, 2));
    let replicas: Vec<_> = names.iter().map(|name| scene.s3.replica("backups", name)).collect();
    let config = scene.one.config_of("", dbs.iter().map(PathBuf::as_path).zip(&replicas));
    let keeper = Keeper::new(&scene.one).config(&config).envs(S3::env()).args(["--lease-ttl", "1s"]);
    let running = keeper.app(App::new(&scene.one.trace()).ready().wait()).start();
    scene.one.trace().wait("ready");
    let locks = || names.iter().map(|name| scene.s3.folder("backups").join(name).join("lock.json"));
    let before: Vec<_> = locks().map(|path| fs::read(path).expect("there is a lock")).collect();
    wait_until("each to be renewed", DEADLINE, || {
        locks().zip(&before).all(|(path, before)| fs::read(path).is_ok_and(|now| now != *before))
    });
    running.stop(143).expect_log("everything is on the replica");
    for path in locks() {
        let lock: Value =
            serde_json::from_slice(&fs::read(path).expect("there is a lock")).expect("it is JSON");
        assert_eq!(lock["released"], true);
    }
}

/// Whether of Litestream and the app nothing lives.
fn is_ended(processes: &[Process]) -> bool {
    !processes.iter().any(|process| alive(process.pid))
}

#[test]
fn strict_is_refused_where_nobody_can_keep_it() {
    let scene = Scene::new();
    scene.s3.refuse_conditions();
    let refused = |ended: Ended| {
        let events = scene.one.trace().all("ready").len();
        let ended = ended.expect_code(78);
        let ended = ended.expect_log("as --lease strict wants it").expect_log("hint: `--lease auto`");
        assert_eq!(scene.one.trace().all("ready").len(), events);
        ended
    };
    refused(scene.run(&scene.one, &["--lease", "strict"]));
    scene.s3.resume();
    let config =
        scene.one.config(&Replica::new("sftp").set("host", "127.0.0.1:1").set("user", "u").set("path", "/b"));
    let keeper = Keeper::new(&scene.one).config(&config).args(["--lease", "strict"]);
    let ended = refused(keeper.app(App::new(&scene.one.trace()).exit(0)).run());
    let why = "a lock to S3, Azure's and Google's storage, and to a folder of this machine alone";
    ended.expect_log(why);
    let check = || Keeper::new(&scene.one).command("check").config(&config);
    let found = check().args(["--lease", "strict"]).run().expect_code(78);
    assert!(found.stdout.contains(why) && found.stdout.contains("--lease auto"), "{}", found.stdout);
    assert!(!check().run().stdout.contains(why));
}

/// The server is asked for as long as another machine would be waited for.
#[test]
fn strict_does_not_start_without_the_servers_word() {
    let scene = Scene::new();
    scene.s3.fail_with(503);
    let ended = scene.run(&scene.one, &["--lease", "strict", "--lease-wait", "2s"]).expect_code(69);
    assert!(scene.one.trace().is_empty(), "{}", ended.log);
    scene.s3.resume();
    scene.run(&scene.one, &["--lease", "strict", "--lease-wait", "2s"]).expect_code(0);
}

#[test]
fn strict_ends_all_before_another_machine_can_have_the_place() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &["--lease", "strict", "--lease-ttl", "3s"]);
    sqlite::insert(&scene.one.db(), 1);
    scene.s3.fail_with(503);
    let ended = running.finish().expect_code(75);
    ended
        .expect_log("the time of the lease is over")
        .expect_log("nothing more is uploaded")
        .expect_log("for 3 s");
}

/// Neither the keeper has to live for that, nor anybody to be awake.
#[test]
fn strict_holds_whoever_is_stopped() {
    // A busy machine may need a second to renew it.
    for all in [false, true] {
        let scene = Scene::new();
        let first = scene.start(&scene.one, &["--lease", "strict", "--lease-ttl", "4s"]);
        wait_until("the rows to be there", DEADLINE, || scene.restored(&scene.one).len() == 4);
        let ends = [first.litestream(), first.app()];
        if all {
            signal_all(&first, Signal::SIGSTOP);
        } else {
            first.signal(Signal::SIGSTOP);
            wait_until("litestream and the app to end", DEADLINE, || is_ended(&ends));
        }
        let second = scene.start(&scene.two, &["--lease", "strict", "--lease-ttl", "4s"]);
        signal_all(&first, Signal::SIGCONT);
        let ended = first.finish().expect_code(75);
        assert!(ended.log.contains("lease is over") || ended.log.contains("has taken over"), "{}", ended.log);
        assert!(is_ended(&ends));
        second.stop(143).expect_log("everything is on the replica");
        scene.assert_one_history(&scene.two);
        assert_eq!(scene.restored(&scene.two), sqlite::ids(&scene.two.db()));
    }
}

/// Litestream takes in what appears there by itself, so all of them are one place.
#[test]
fn the_databases_of_a_folder_have_one_lease() {
    let scene = Scene::new();
    let keeper = |world: &World, options: &[&str]| {
        let replica = scene.s3.replica("backups", "all").text();
        let dir = world.path("data");
        let entry = format!("{{dir: {}, pattern: '*.db', watch: true, replica: {replica}}}", dir.display());
        let config = world.write("folder.yml", &format!("dbs: [{entry}]\n"));
        Keeper::new(world).config(&config).envs(S3::env()).args(options)
    };
    let start = |world: &World, options: &[&str]| {
        let before = world.trace().all("ready").len();
        let running = keeper(world, options).app(App::new(&world.trace()).ready().wait()).start();
        world.trace().wait_nth(before + 1, "ready");
        running
    };
    let path = |world: &World, name: &str| world.path("data").join(name);
    let lock = scene.s3.folder("backups").join("all/lock.json");
    let read = || serde_json::from_slice::<Value>(&fs::read(&lock).expect("there is a lock")).expect("JSON");
    for world in [&scene.one, &scene.two] {
        fs::create_dir_all(world.path("data")).expect("the world can be written");
    }
    for name in ["a.db", "b.db"] {
        sqlite::create(&path(&scene.one, name), 3);
    }
    let running = start(&scene.one, &["--lease-ttl", "8s"]);
    assert_eq!(read()["database"], scene.one.path("data").display().to_string());
    assert!(!scene.s3.objects("backups").iter().any(|key| key.ends_with(".db/lock.json")));
    let ended = keeper(&scene.two, &["--lease-wait", "0s"]).app(App::new(&scene.two.trace()).exit(0)).run();
    ended.expect_code(75).expect_log("another machine replicates to s3://backups/all");
    assert!(!path(&scene.two, "a.db").exists() && scene.two.trace().is_empty());
    signal_all(&running, Signal::SIGKILL);
    running.finish();
    // With an hour to wait it would not start.
    start(&scene.one, &["--lease-ttl", "1h"]).stop(143).expect_log("everything is on the replica");
    assert_eq!(read()["released"], true);
    let running = start(&scene.two, &["--lease", "strict", "--lease-ttl", "3s"]);
    for name in ["a.db", "b.db"] {
        assert_eq!(sqlite::ids(&path(&scene.two, name)), sqlite::ids(&path(&scene.one, name)));
    }
    running.stop(143).expect_log("everything is on the replica");
    let running = start(&scene.two, &["--lease-ttl", "1s"]);
    let other = json!({"owner": "three:1#0", "generation": 9, "expires_at": "2026-01-01T00:00:00Z"});
    let mut running = running;
    wait_until("somebody to see it", DEADLINE, || {
        // It may just be written by the first one.
        scene.s3.overwrite("backups", "all/lock.json", other.to_string());
        running.try_wait().is_some()
    });
    running
        .finish()
        .expect_code(75)
        .expect_log("another machine has taken over a place that several databases have in common")
        .expect_log("nothing more is uploaded");
}
