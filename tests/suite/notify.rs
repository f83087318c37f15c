//! What a service manager hears in the life of a unit (`sd_notify(3)`).

use std::fs;

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::manager::{Manager, place};
use crate::support::s3::S3;
use crate::support::tenants::Tenants;
use crate::support::unit;
use crate::support::world::World;

/// How long it is to wait, each time that it is asked to, in seconds.
fn extensions(heard: &[String]) -> Vec<u64> {
    let micros = heard.iter().filter_map(|line| line.strip_prefix("EXTEND_TIMEOUT_USEC="));
    micros.map(|micros| micros.parse::<u64>().expect("a number") / 1_000_000).collect()
}

#[test]
fn a_life_is_told_in_its_order_and_to_the_manager_alone() {
    let world = World::new();
    let trace = world.trace();
    for manager in [Manager::listen(&world), Manager::listen_without_file(&world)] {
        let keeper = unit::keeper(&world).env("NOTIFY_SOCKET", manager.address());
        let unit = keeper.app(unit::writer(&trace, &world.db(), 0)).start();
        let heard = manager.wait("READY=1");
        assert_eq!(heard[0], "STATUS=starting: the databases and their replicas are being looked at");
        assert_eq!(extensions(&heard)[0], 30, "{heard:?}");
        manager.wait("STATUS=running, all replicated");
        trace.wait_acked(1);
        let env = fs::read(format!("/proc/{}/environ", unit.litestream().pid)).expect("it runs");
        assert!(!String::from_utf8_lossy(&env).contains("NOTIFY_SOCKET"), "it is the keeper's alone");
        unit.stop(0);
        let heard = manager.heard();
        let places = ["STOPPING=1", "STATUS=stopping: the app", "STATUS=stopping: litestream"];
        let places = places.map(|start| place(&heard, start));
        assert!(places.is_sorted(), "{heard:#?}");
        assert!(!heard.iter().any(|line| line.starts_with("READY") || line.starts_with("WATCHDOG")));
    }
    fs::remove_file(world.db()).expect("it is there");
    let manager = Manager::listen_without_file(&world);
    let keeper = unit::keeper(&world).env("NOTIFY_SOCKET", manager.address());
    keeper.app(App::new(&trace).exit(0)).run().expect_code(0);
    place(&manager.heard(), "STATUS=starting: databases are being restored");
}

#[test]
fn a_start_that_fails_is_a_stop() {
    let (world, s3) = (World::new(), S3::start());
    let manager = Manager::listen(&world);
    let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("nowhere", "app")).envs(S3::env());
    keeper.env("NOTIFY_SOCKET", manager.address()).app(["true"]).run().expect_code(69);
    let heard = manager.heard();
    place(&heard, "STOPPING=1");
    assert!(!heard.iter().any(|line| line.starts_with("RELOADING")), "{heard:?}");
}

#[test]
fn a_reload_is_told_from_its_beginning_to_its_end() {
    let tenants = Tenants::in_folders();
    let manager = Manager::listen(&tenants.world);
    tenants.name(&["a"]);
    tenants.make(&["a"]);
    let running = tenants.run(tenants.keeper("10m").env("NOTIFY_SOCKET", manager.address()));
    manager.wait("READY=1");
    manager.wait("STATUS=running, all replicated");
    tenants.make(&["b"]);
    tenants.name(&["a", "b"]);
    tenants.reload().expect_code(0);
    let heard = manager.wait("READY=1");
    assert_eq!(place(&heard, "MONOTONIC_USEC="), place(&heard, "RELOADING=1") + 1, "{heard:?}");
    running.stop(143);
    place(&manager.heard(), "STOPPING=1");
}

/// The keeper's own time is longer than the platform's, which hears of it again and again.
#[test]
fn a_drain_that_takes_its_time_is_waited_for() {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    let manager = Manager::listen(&world);
    let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
    let keeper = keeper.args(["--stop-timeout", "100s"]).env("NOTIFY_SOCKET", manager.address());
    let unit = unit::start_writing(&world, keeper);
    manager.wait("READY=1");
    s3.pause();
    unit.signal(Signal::SIGTERM);
    let mut heard = manager.wait("STOPPING=1");
    heard.extend(manager.wait("STATUS=draining: 1 database not confirmed on the replica yet"));
    heard.extend(manager.wait("EXTEND_TIMEOUT_USEC="));
    let waits = extensions(&heard);
    assert!(waits.len() >= 2 && waits.iter().all(|wait| *wait <= 30), "{heard:?}");
    s3.resume();
    unit.finish().expect_code(0);
    // What is left once the loop is over.
    assert_eq!(extensions(&manager.heard()).last(), Some(&10));
}

#[test]
fn a_watchdog_hears_that_the_keeper_goes_on_if_it_is_the_keepers() {
    let world = World::new();
    let manager = Manager::listen(&world);
    let keeper = || {
        let keeper = unit::keeper(&world).env("NOTIFY_SOCKET", manager.address());
        keeper.env("WATCHDOG_USEC", "200000")
    };
    let trace = world.trace();
    let unit = unit::start_writing(&world, keeper());
    manager.wait("READY=1");
    for _ in 0..5 {
        manager.wait("WATCHDOG=1");
    }
    unit.stop(0);
    place(&manager.heard(), "STOPPING=1");
    let unit = keeper().env("WATCHDOG_PID", "1").app(unit::writer(&trace, &world.db(), 0)).start();
    let heard = manager.wait("STATUS=running");
    unit.stop(0);
    assert!(![heard, manager.heard()].concat().contains(&"WATCHDOG=1".to_owned()));
}
