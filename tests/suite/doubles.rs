//! Never two Litestreams on one database: one that somebody else runs is found, and named.

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST};
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// A Litestream with the database open, as a service would run it, with a replica of its own.
fn service(world: &World) -> crate::support::process::Running {
    sqlite::create(&world.db(), 3);
    let config = world.config(&crate::support::config::Replica::folder(&world.path("theirs")));
    let running = litestream::replicate(world, LATEST, &config);
    litestream::wait_staged(&world.db());
    running
}

#[test]
fn a_litestream_that_runs_already_is_named_by_check_and_refused_by_run() {
    let world = World::new();
    let other = service(&world);
    let pid = format!("(pid {}, ", other.pid());
    let checked = unit::keeper(&world).command("check").run().expect_code(78);
    checked.expect_output("a litestream replicates").expect_output(&pid).expect_output("[second-litestream]");
    let ended = unit::keeper(&world).app(App::new(&world.trace()).exit(0)).run().expect_code(75);
    ended.expect_log("another litestream replicates this database").expect_log(&pid).expect_log("hint: ");
    assert!(world.trace().is_empty());
    // A keeper of another database has nothing to do with it.
    let elsewhere = World::new();
    unit::keeper(&elsewhere)
        .app(App::new(&elsewhere.trace()).insert(&elsewhere.db(), 1).exit(0))
        .run()
        .expect_code(0);
    other.stop(0);
    unit::keeper(&world).app(App::new(&world.trace()).exit(0)).run().expect_code(0);
}

/// The most usual set-up in public: the image's script runs `litestream replicate -exec` itself.
#[test]
fn an_entrypoint_script_that_runs_litestream_itself_is_stopped_in_order() {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let config = world.config(&crate::support::config::Replica::folder(&world.path("theirs")));
    let app = App::new(&world.trace()).on_exit("TERM", 0).insert(&world.db(), 3).ready().wait();
    let script = format!(
        "#!/bin/sh\nexec '{}' replicate -config '{}' -exec \"{}\"\n",
        litestream::binary(LATEST).display(),
        config.display(),
        app.line()
    );
    let script = world.program("entrypoint.sh", &script);
    let running = unit::keeper(&world).args(["--restart", "never"]).app([script]).start();
    let ended = running.finish().expect_code(75);
    let ended = ended.expect_log("another litestream replicates this database (pid ").expect_log("hint: ");
    assert!(ended.log.contains("take the other out of the app's command or script"), "{}", ended.log);
}

/// Its own Litestream, and that of a keeper that was killed, are none.
#[test]
fn a_keepers_own_litestream_is_no_other() {
    let world = World::new();
    let first = unit::start_writing(&world, unit::keeper(&world));
    let checked = unit::keeper(&world).command("check").run();
    assert!(!checked.stdout.contains("second-litestream"), "{}", checked.stdout);
    first.kill(&first.keeper(), Signal::SIGKILL);
    let second = unit::keeper(&world).app(App::new(&world.trace()).exit(0)).run();
    assert_eq!(second.status.code(), Some(0), "{}", second.log);
    wait_until("the end of the first", DEADLINE, || first.tree().is_empty());
}

/// Commands that only look are no second replication.
#[test]
fn a_litestream_that_does_not_replicate_is_no_other() {
    let world = World::new();
    let first = service(&world);
    first.stop(0);
    let running = unit::start_writing(&world, unit::keeper(&world));
    let mut spec = crate::support::process::Spec::new(&litestream::binary(LATEST), world.root());
    spec.args(["databases", "-config", "litestream.yml"]);
    spec.run(DEADLINE).expect_code(0);
    running.stop(0);
}

/// P6 beyond one configuration: what two keepers write to one folder is the backup of neither database.
#[test]
fn two_keepers_of_two_databases_never_share_a_folder_for_their_backups() {
    let (world, other) = (World::new(), World::new());
    let first = unit::start_writing(&world, unit::keeper(&world));
    std::os::unix::fs::symlink(world.root(), other.path("elsewhere")).expect("a link");
    let replica = other.path("elsewhere/replica");
    sqlite::create(&other.db(), 3);
    for url in [replica.display().to_string(), world.replica_url()] {
        let second = || Keeper::new(&other).db(&other.db()).replica(&url);
        let named = format!("replicates a database {}", world.db().display());
        let ended = second().app(App::new(&other.trace()).exit(0)).run().expect_code(75);
        let ended =
            ended.expect_log(&named).expect_log(&format!("(pid {}", first.pid())).expect_log("hint: ");
        assert!(!ended.log.contains("--on-lock"), "an end does not make two places of one: {}", ended.log);
        let checked = second().command("check").app(["true"]).run().expect_code(78);
        checked.expect_output("[replica-taken]").expect_output(&world.db().display().to_string());
    }
    assert!(other.trace().is_empty());
    // Taken away, and something put in its place.
    let lock = world.path("replica/.litekeeper.lock");
    std::fs::remove_file(&lock).expect("ours");
    wait_until("another lock", DEADLINE, || lock.exists());
    let second = || Keeper::new(&other).db(&other.db()).replica(&world.replica_url()).app(["true"]);
    second().run().expect_code(75);
    first.stop(0);
    assert!(!lock.exists());
    nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).expect("ours");
    second()
        .run()
        .expect_code(78)
        .expect_log("the lock of its replica cannot be made")
        .expect_log("hint: remove it");
    unit::assert_nothing_lost(&world, &world.trace());
}

/// Deployments overlap: the new one starts before the old one has ended.
#[test]
fn a_keeper_can_wait_for_the_one_before_it() {
    let world = World::new();
    let first = unit::start_writing(&world, unit::keeper(&world));
    let second = |on_lock: &str| unit::keeper(&world).args(["--on-lock", on_lock]).app(["true"]);
    let ended = second("fail").run().expect_code(75).expect_log("another keeper runs on this database");
    ended.expect_log("where deployments overlap, `--on-lock wait` (LITEKEEPER_ON_LOCK)");
    let ended = second("wait=1s").run().expect_code(75).expect_log("waiting for it to end (--on-lock)");
    ended.expect_log("`--on-lock wait` waits without an end");
    second("wait=never").run().expect_code(2).expect_log("--on-lock");
    // Who waits hears of a stop.
    let waiting = second("wait").start();
    waiting.wait_log(1, "waiting for it to end (--on-lock)");
    waiting.stop(143);
    let waiting = second("wait").start();
    waiting.wait_log(1, "waiting for it to end (--on-lock)");
    first.stop(0);
    waiting.finish().expect_code(0);
    unit::assert_nothing_lost(&world, &world.trace());
}

/// In a container of its own each keeper is process 1, and its number says nothing to anybody outside.
#[test]
fn a_process_number_of_another_container_is_not_judged() {
    let world = World::new();
    let app = unit::writer(&world.trace(), &world.db(), 0);
    let inside = unit::keeper(&world).wrapped(wrap::pid_1()).app(app).start();
    world.trace().wait_acked(3);
    for wrapper in [wrap::pid_1(), vec!["env".to_owned()]] {
        let is_inside = wrapper.len() > 1;
        let ended = unit::keeper(&world).wrapped(wrapper).app(["true"]).run().expect_code(75);
        let ended = ended.expect_log("another keeper runs on this database (pid ");
        // Outside of it the kernel tells its number there.
        assert_eq!(ended.log.contains("(pid 1 on "), is_inside, "{}", ended.log);
        assert!(!ended.log.contains("is dead"), "{}", ended.log);
    }
    inside.keeper().signal(Signal::SIGTERM);
    inside.finish().expect_code(0);
}
