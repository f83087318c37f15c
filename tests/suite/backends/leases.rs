//! One machine alone replicates to a place at a time, on each kind of server where a lock can be.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::backend::Backend;
use crate::support::app::App;
use crate::support::pair::{Pair, signal_all};
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// Two machines, and a server.
struct Scene {
    pair: Pair,
    backend: Backend,
    /// Where the server has its files.
    server: World,
}

impl Scene {
    #[track_caller]
    fn new(start: impl FnOnce(&World) -> Backend) -> Self {
        let server = World::new();
        let backend = start(&server);
        Self { pair: Pair::new((backend.at)("app"), backend.env.clone()), backend, server }
    }

    #[track_caller]
    fn lock(&self) -> Value {
        let place = self.backend.order.as_ref().expect("our own client looks there")("app");
        let said = self.backend.ask(&self.server, &json!({"Locks": [[place, "Read"]]}));
        let text = said[0]["Ok"]["Found"][0].as_str();
        serde_json::from_str(text.unwrap_or_else(|| panic!("there is no lock: {said}"))).expect("it is JSON")
    }
}

/// It is Litestream's own form, and given up at the end.
#[track_caller]
pub fn given_up(start: impl FnOnce(&World) -> Backend) {
    let scene = Scene::new(start);
    let Pair { one, two, .. } = &scene.pair;
    let running = scene.pair.start(one, &[]);
    let lock = scene.lock();
    assert_eq!(lock["generation"], 1);
    assert_eq!(lock["database"], one.db().display().to_string());
    let owner = lock["owner"].as_str().expect("it has an owner").to_owned();
    assert!(owner.contains(&format!(":{}#", running.pid())), "{owner}");
    let expires: jiff::Timestamp =
        lock["expires_at"].as_str().and_then(|text| text.parse().ok()).expect("it has an end");
    assert!(expires > jiff::Timestamp::now());
    let ended = running.stop(143).expect_log("everything is on the replica");
    assert!(!ended.log.contains("are not kept apart"), "{}", ended.log);
    assert_eq!(scene.lock()["released"], true);
    // The next one need not wait, wherever it is.
    let ended = scene.pair.run(two, &[]).expect_code(0);
    assert!(!ended.log.contains("another machine"), "{}", ended.log);
    assert_eq!((&scene.lock()["generation"], &scene.lock()["released"]), (&json!(2), &json!(true)));
    assert_eq!(sqlite::ids(&two.db()), sqlite::ids(&one.db()));
}

/// A second machine while the first one runs.
#[track_caller]
pub fn second(start: impl FnOnce(&World) -> Backend) {
    let scene = Scene::new(start);
    let Pair { one, two, .. } = &scene.pair;
    let running = scene.pair.start(one, &["--lease-ttl", "3s"]);
    let ended = scene.pair.run(two, &["--lease-ttl", "10s", "--lease-wait", "4s"]).expect_code(75);
    ended
        .expect_log("another machine replicates to ")
        .expect_log(&format!("for {}", one.db().display()))
        .expect_log("hint: stop the other one first");
    assert!(two.trace().is_empty() && !two.db().exists());
    let ended = scene.pair.run(two, &["--lease-wait", "0s"]).expect_code(75);
    assert!(!ended.log.contains("waiting"), "{}", ended.log);
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(scene.pair.restored(one), sqlite::ids(&one.db()));
}

/// A second machine that waits for the first one's end.
#[track_caller]
pub fn next(start: impl FnOnce(&World) -> Backend) {
    let scene = Scene::new(start);
    let Pair { one, two, .. } = &scene.pair;
    let running = scene.pair.start(one, &[]);
    let app = App::new(&two.trace()).insert(&two.db(), 1).ready().wait();
    let second = scene.pair.keeper(two, &[]).app(app).start();
    second.wait_log(1, "waiting until it ends");
    sqlite::insert(&one.db(), 1);
    running.stop(143).expect_log("everything is on the replica");
    two.trace().wait("ready");
    assert_eq!(sqlite::count(&two.db()), 6);
    second.stop(143).expect_log("everything is on the replica");
    scene.pair.assert_one_history(two);
}

/// One that died is waited for elsewhere, and not on its own volume.
#[track_caller]
pub fn died(start: impl FnOnce(&World) -> Backend) {
    let scene = Scene::new(start);
    let Pair { one, two, .. } = &scene.pair;
    let running = scene.pair.start(one, &["--lease-ttl", "8s"]);
    signal_all(&running, Signal::SIGKILL);
    running.finish();
    // With an hour to wait it would not end.
    let ended = scene.pair.run(one, &["--lease-ttl", "1h"]).expect_code(0);
    assert!(!ended.log.contains("another machine"), "{}", ended.log);
    let running = scene.pair.start(one, &["--lease-ttl", "8s"]);
    wait_until("the row to be there", DEADLINE, || scene.pair.restored(one).len() == 5);
    signal_all(&running, Signal::SIGKILL);
    running.finish();
    let ended = scene.pair.run(two, &["--lease-ttl", "3s"]).expect_code(0);
    ended.expect_log("waiting until it ends, or has said nothing for 3 s");
    assert_eq!(sqlite::ids(&two.db()), sqlite::ids(&one.db()));
}

/// The machine sleeps, and another one has taken over when it wakes: it ends before it uploads anything.
#[track_caller]
pub fn woken(start: impl FnOnce(&World) -> Backend) {
    let scene = Scene::new(start);
    let Pair { one, two, .. } = &scene.pair;
    let first = scene.pair.start(one, &["--lease-ttl", "2s"]);
    wait_until("the rows to be there", DEADLINE, || {
        first.log().contains("replicating") && scene.pair.restored(one).len() == 4
    });
    signal_all(&first, Signal::SIGSTOP);
    let second = scene.pair.start(two, &["--lease-ttl", "2s"]);
    signal_all(&first, Signal::SIGCONT);
    let ended = first.finish().expect_code(75);
    ended.expect_log("another machine has taken over ").expect_log(&format!("for {}", two.db().display()));
    sqlite::insert(&two.db(), 2);
    second.stop(143).expect_log("everything is on the replica");
    assert_eq!(scene.pair.restored(two), sqlite::ids(&two.db()));
    scene.pair.assert_one_history(two);
}

/// Where the server keeps to conditions nothing runs without.
#[track_caller]
pub fn strict(start: impl FnOnce(&World) -> Backend) {
    let scene = Scene::new(start);
    let Pair { one, two, .. } = &scene.pair;
    // A busy machine may need a second to renew it, and more.
    let mut running = scene.pair.start(one, &["--lease", "strict", "--lease-ttl", "12s"]);
    let mut renewed = vec![scene.lock()["expires_at"].clone()];
    wait_until("it to be renewed for longer than it lasts", DEADLINE, || {
        assert!(running.try_wait().is_none(), "{}", running.log());
        let now = scene.lock()["expires_at"].clone();
        if renewed.last() != Some(&now) {
            renewed.push(now);
        }
        renewed.len() > 4
    });
    scene.pair.run(two, &["--lease", "strict", "--lease-wait", "5s"]).expect_code(75);
    running.stop(143).expect_log("everything is on the replica");
    assert_eq!(scene.lock()["released"], true);
    assert_eq!(scene.pair.restored(one), sqlite::ids(&one.db()));
}

/// Where it does not that is found out: `auto` does without, `strict` is refused.
#[track_caller]
pub fn careless(start: impl FnOnce(&World) -> Backend) {
    let scene = Scene::new(start);
    let Pair { one, .. } = &scene.pair;
    let running = scene.pair.start(one, &[]);
    let said = running.wait_log(1, "it writes whatever the condition");
    assert!(said.contains("info") && said.contains("are not kept apart"), "{said}");
    running.stop(143).expect_log("everything is on the replica");
    let events = one.trace().events().len();
    let ended: Ended = scene.pair.run(one, &["--lease", "strict"]).expect_code(78);
    ended.expect_log("as --lease strict wants it").expect_log("hint: `--lease auto`");
    assert_eq!(one.trace().events().len(), events);
    scene.pair.run(one, &["--lease", "off"]).expect_code(0);
}
