//! Never two Litestreams on one database: one that somebody else runs is found, and named.

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, LATEST};
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

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
        ended.expect_log(&named).expect_log(&format!("(pid {}", first.pid())).expect_log("hint: ");
        let checked = second().command("check").app(["true"]).run().expect_code(78);
        checked.expect_output("[replica-taken]").expect_output(&world.db().display().to_string());
    }
    assert!(other.trace().is_empty());
    first.stop(0);
    unit::assert_nothing_lost(&world, &world.trace());
}
