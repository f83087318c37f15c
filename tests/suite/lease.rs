//! One machine alone replicates to a place on S3 at a time. Two worlds here are two machines: neither sees the other's files or locks.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST, litestream};
use crate::support::process::{Ended, Running};
use crate::support::procfs::{Process, alive};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// A server and a machine with a database that is replicated there.
struct Scene {
    s3: S3,
    one: World,
    /// Another machine.
    two: World,
}

impl Scene {
    fn new() -> Self {
        let (s3, one, two) = (S3::start(), World::named("one"), World::named("two"));
        s3.bucket("backups");
        sqlite::create(&one.db(), 3);
        Self { s3, one, two }
    }

    fn keeper(&self, world: &World, options: &[&str]) -> Keeper {
        let config = world.config(&self.s3.replica("backups", "app"));
        Keeper::new(world).config(&config).envs(S3::env()).args(options)
    }

    /// Starts an app that writes a row and waits.
    fn start(&self, world: &World, options: &[&str]) -> Running {
        let before = world.trace().all("ready").len();
        let app = App::new(&world.trace()).insert(&world.db(), 1).ready().wait();
        let running = self.keeper(world, options).app(app).start();
        world.trace().wait_nth(before + 1, "ready");
        running
    }

    /// Starts and stops one whose app writes nothing.
    fn run(&self, world: &World, options: &[&str]) -> Ended {
        self.keeper(world, options).app(App::new(&world.trace()).exit(0)).run()
    }

    fn lock_path(&self) -> PathBuf {
        self.s3.folder("backups").join("app/lock.json")
    }

    fn lock(&self) -> Value {
        let text = fs::read(self.lock_path()).expect("there is a lock");
        serde_json::from_slice(&text).expect("a lock is JSON")
    }

    /// What can be restored now.
    fn restored(&self, world: &World) -> Vec<i64> {
        let config = world.config(&self.s3.replica("backups", "app"));
        sqlite::ids(&Backup::Config(&config, &world.db()).restore(world, LATEST))
    }

    /// What can be restored of each transaction that has a file: each is a beginning of the next.
    fn assert_one_history(&self, world: &World) {
        let config = world.config(&self.s3.replica("backups", "app"));
        let mut txids: Vec<u64> = Vec::new();
        for key in self.s3.objects("backups") {
            let Some(name) = key.rsplit('/').next().and_then(|name| name.strip_suffix(".ltx")) else {
                continue;
            };
            txids.extend(name.split_once('-').and_then(|(_, max)| u64::from_str_radix(max, 16).ok()));
        }
        txids.sort_unstable();
        txids.dedup();
        let mut before: Vec<i64> = Vec::new();
        for txid in txids {
            let (txid_text, out) = (format!("{txid:016x}"), world.path(&format!("at-{txid}.db")));
            let args = ["restore".as_ref(), "-config".as_ref(), config.as_os_str(), "-txid".as_ref()];
            let args = args.into_iter().chain([txid_text.as_ref(), "-o".as_ref(), out.as_os_str()]);
            litestream(world, LATEST, args.chain([world.db().as_os_str()])).expect_code(0);
            let ids = sqlite::ids(&out);
            assert!(ids.starts_with(&before), "{txid}: {ids:?} is not behind {before:?}");
            before = ids;
        }
        assert_eq!(before, self.restored(world));
    }
}

/// With all that is below it.
fn signal_all(running: &Running, signal: Signal) {
    for process in running.tree() {
        // One that has ended meanwhile needs none.
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

#[test]
fn the_lock_has_the_form_of_litestreams_own_and_is_given_up_at_the_end() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &[]);
    let lock = scene.lock();
    assert_eq!(lock["generation"], 1);
    assert_eq!(lock["database"], scene.one.db().display().to_string());
    let owner = lock["owner"].as_str().expect("it has an owner").to_owned();
    assert!(owner.contains(&format!(":{}#", running.pid())), "{owner}");
    let expires: jiff::Timestamp =
        lock["expires_at"].as_str().and_then(|text| text.parse().ok()).expect("it has an end");
    assert!(expires > jiff::Timestamp::now());
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(scene.lock()["released"], true);
    // The next one need not wait, wherever it is.
    let ended = scene.run(&scene.two, &[]).expect_code(0);
    assert!(!ended.log.contains("another machine"), "{}", ended.log);
    assert_eq!((&scene.lock()["generation"], &scene.lock()["released"]), (&json!(2), &json!(true)));
    assert_eq!(sqlite::ids(&scene.two.db()), sqlite::ids(&scene.one.db()));
}

#[test]
fn a_second_machine_is_refused_while_the_first_one_runs() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &["--lease-ttl", "2s"]);
    let ended = scene.run(&scene.two, &["--lease-ttl", "10s", "--lease-wait", "3s"]).expect_code(75);
    ended
        .expect_log("another machine replicates to s3://backups/app")
        .expect_log(&format!("for {}", scene.one.db().display()))
        .expect_log("hint: stop the other one first");
    assert!(scene.two.trace().is_empty() && !scene.two.db().exists());
    let ended = scene.run(&scene.two, &["--lease-wait", "0s"]).expect_code(75);
    assert!(!ended.log.contains("waiting"), "{}", ended.log);
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(scene.restored(&scene.one), sqlite::ids(&scene.one.db()));
}

#[test]
fn a_second_machine_goes_on_when_the_first_one_has_ended() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &[]);
    let app = App::new(&scene.two.trace()).insert(&scene.two.db(), 1).ready().wait();
    let second = scene.keeper(&scene.two, &[]).app(app).start();
    second.wait_log(1, "waiting until it ends");
    sqlite::insert(&scene.one.db(), 1);
    running.stop(143).expect_log("everything is on the replica");
    scene.two.trace().wait("ready");
    assert_eq!(sqlite::count(&scene.two.db()), 6);
    second.stop(143).expect_log("everything is on the replica");
    scene.assert_one_history(&scene.two);
}

#[test]
fn one_that_died_is_waited_for_elsewhere_and_not_on_its_own_volume() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &["--lease-ttl", "8s"]);
    signal_all(&running, Signal::SIGKILL);
    running.finish();
    // With an hour to wait it would not end.
    let ended = scene.run(&scene.one, &["--lease-ttl", "1h"]).expect_code(0);
    assert!(!ended.log.contains("another machine"), "{}", ended.log);
    let running = scene.start(&scene.one, &["--lease-ttl", "8s"]);
    wait_until("the row to be there", DEADLINE, || scene.restored(&scene.one).len() == 5);
    signal_all(&running, Signal::SIGKILL);
    running.finish();
    let ended = scene.run(&scene.two, &["--lease-ttl", "3s"]).expect_code(0);
    ended.expect_log("waiting until it ends, or has said nothing for 3 s");
    assert_eq!(sqlite::ids(&scene.two.db()), sqlite::ids(&scene.one.db()));
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

/// The machine sleeps, and another one has taken over when it wakes.
#[test]
fn a_machine_that_wakes_up_ends_before_it_uploads_anything() {
    let scene = Scene::new();
    let first = scene.start(&scene.one, &["--lease-ttl", "2s"]);
    wait_until("the rows to be there", DEADLINE, || {
        first.log().contains("replicating") && scene.restored(&scene.one).len() == 4
    });
    signal_all(&first, Signal::SIGSTOP);
    let second = scene.start(&scene.two, &["--lease-ttl", "2s"]);
    let before = scene.s3.seen().len();
    signal_all(&first, Signal::SIGCONT);
    let ended = first.finish().expect_code(75);
    ended
        .expect_log("another machine has taken over s3://backups/app")
        .expect_log(&format!("for {}", scene.two.db().display()));
    assert!(scene.s3.seen().len() > before);
    sqlite::insert(&scene.two.db(), 2);
    second.stop(143).expect_log("everything is on the replica");
    assert_eq!(scene.restored(&scene.two), sqlite::ids(&scene.two.db()));
    scene.assert_one_history(&scene.two);
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
fn a_server_that_does_not_keep_to_conditions_is_named_and_used_without() {
    let scene = Scene::new();
    scene.s3.refuse_conditions();
    scene.run(&scene.one, &[]).expect_code(0).expect_log("it knows no conditions");
    assert!(!scene.lock_path().exists());
    scene.s3.resume();
    scene.s3.ignore_conditions();
    let running = scene.start(&scene.one, &[]);
    let said = running.wait_log(1, "it writes whatever the condition");
    assert!(said.contains("info") && said.contains("are not kept apart"), "{said}");
    running.stop(143).expect_log("everything is on the replica");
    scene.s3.resume();
    scene.run(&scene.one, &["--lease", "off"]).expect_code(0);
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
fn strict_is_kept_from_start_to_end_and_refused_where_nobody_can_keep_it() {
    let scene = Scene::new();
    let running = scene.start(&scene.one, &["--lease", "strict", "--lease-ttl", "2s"]);
    let renewed = scene.s3.puts() + 5;
    scene.s3.wait_puts(renewed);
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(scene.restored(&scene.one), sqlite::ids(&scene.one.db()));
    scene.s3.refuse_conditions();
    let refused = |ended: Ended| {
        let events = scene.one.trace().all("ready").len();
        ended.expect_code(78).expect_log("as --lease strict wants it").expect_log("hint: `--lease auto`");
        assert_eq!(scene.one.trace().all("ready").len(), events);
    };
    refused(scene.run(&scene.one, &["--lease", "strict"]));
    scene.s3.resume();
    scene.s3.ignore_conditions();
    refused(scene.run(&scene.one, &["--lease", "strict"]));
    scene.s3.resume();
    let config =
        scene.one.config(&Replica::new("sftp").set("host", "127.0.0.1:1").set("user", "u").set("path", "/b"));
    let keeper = Keeper::new(&scene.one).config(&config).args(["--lease", "strict"]);
    refused(keeper.app(App::new(&scene.one.trace()).exit(0)).run());
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
    for all in [false, true] {
        let scene = Scene::new();
        let first = scene.start(&scene.one, &["--lease", "strict", "--lease-ttl", "2s"]);
        wait_until("the rows to be there", DEADLINE, || scene.restored(&scene.one).len() == 4);
        let ends = [first.litestream(), first.app()];
        if all {
            signal_all(&first, Signal::SIGSTOP);
        } else {
            first.signal(Signal::SIGSTOP);
            wait_until("litestream and the app to end", DEADLINE, || is_ended(&ends));
        }
        let second = scene.start(&scene.two, &["--lease", "strict", "--lease-ttl", "2s"]);
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
        .expect_log("another machine has taken over the place of a folder's databases")
        .expect_log("nothing more is uploaded");
}
