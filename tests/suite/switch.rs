//! `LITEKEEPER_ENABLED=false`: the app alone, in the keeper's place.

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::unit;
use crate::support::world::World;

#[test]
fn switched_off_the_app_takes_the_keepers_place() {
    for (switch, value) in
        [("LITEKEEPER_ENABLED", "false"), ("LITESTREAM_ENABLED", "0"), ("LITEKEEPER_ENABLED", "OFF")]
    {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let app = App::new(&trace).on_exit("TERM", 9).words(["tty"]).insert(&db, 2).ready().wait();
        let unit = unit::keeper(&world).env(switch, value).app(app).start();
        let ready = trace.wait("ready");
        assert_eq!(ready.pid, unit.pid(), "no process stands in between");
        assert_eq!(unit.tree().len(), 1);
        let ended = unit.stop(9).expect_log(switch).expect_log("no backup");
        assert_eq!(ended.log.lines().count(), 1, "{}", ended.log);
        assert!(!world.path("replica").exists() && world.list("rt").is_empty());
        assert!(!world.path(".app.db-litekeeper.lock").exists());
    }
}

#[test]
fn switched_off_nothing_of_the_configuration_matters() {
    let world = World::new();
    let keeper = unit::keeper(&world).config(&world.path("no-such.yml")).env("LITEKEEPER_ENABLED", "false");
    keeper.env("LITESTREAM_BINARY_PATH", "/nowhere").app(["sh", "-c", "exit 12"]).run().expect_code(12);
}

#[test]
fn switched_off_a_missing_command_has_the_same_codes() {
    let world = World::new();
    let run = |app: &str, code| {
        let keeper = unit::keeper(&world).env("LITEKEEPER_ENABLED", "false");
        keeper.app([app]).run().expect_code(code).expect_log(app);
    };
    run("no-such-command", 127);
    run(world.root().to_str().expect("UTF-8"), 126);
}

#[test]
fn switched_off_the_app_starts_with_default_signals() {
    let world = World::new();
    let keeper = unit::keeper(&world).env("LITEKEEPER_ENABLED", "false");
    let ended = keeper.app(["sh", "-c", "kill -PIPE $$; sleep 100"]).run();
    let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
    assert_eq!(signal, Some(Signal::SIGPIPE as i32));
}

#[test]
fn any_other_word_leaves_it_on() {
    for value in ["true", "1", "", "yes"] {
        let world = World::new();
        let trace = world.trace();
        let keeper = unit::keeper(&world).env("LITEKEEPER_ENABLED", value);
        keeper.app(App::new(&trace).insert(&world.db(), 1)).run().expect_code(0);
        assert_eq!(unit::assert_nothing_lost(&world, &trace), 1);
    }
}

/// As entrypoint scripts do it: replicate only where a replica is named.
#[test]
fn a_variable_may_decide_and_is_looked_up_in_files_of_variables_too() {
    let config = |world: &World| {
        let text = format!(
            "litekeeper: {{enabled: {{env: WHERE}}}}\ndbs: [{{path: {}, replica: {{url: {{env: WHERE}}}}}}]\n",
            world.db().display()
        );
        world.write("litestream.yml", &text)
    };
    let app = |world: &World| App::new(&world.trace()).insert(&world.db(), 2).exit(0);
    for keeper in [
        |world: &World| unit::keeper(world).args(["--enabled-if", "WHERE"]),
        |world: &World| unit::keeper(world).env("LITEKEEPER_ENABLED_IF", "WHERE").env("WHERE", ""),
    ] {
        let world = World::new();
        let ended = keeper(&world).app(app(&world)).run().expect_code(0).expect_log("running the app alone");
        assert_eq!(ended.log.lines().count(), 1, "{}", ended.log);
        ended.expect_log("WHERE is not set or empty");
        assert!(!world.path("replica").exists());
    }
    let world = World::new();
    let ended = Keeper::new(&world).config(&config(&world)).app(app(&world)).run().expect_code(0);
    ended.expect_log("WHERE is not set or empty (").expect_log("litestream.yml:1");

    let world = World::new();
    let keeper = Keeper::new(&world).config(&config(&world)).env("WHERE", world.replica_url());
    keeper.app(app(&world)).run().expect_code(0).expect_log("everything is on the replica");

    let world = World::new();
    let file = world.write("app.env", &format!("WHERE={}\n", world.replica_url()));
    let keeper = Keeper::new(&world).config(&config(&world)).env("LITEKEEPER_ENV_FILE", file);
    keeper.app(app(&world)).run().expect_code(0).expect_log("everything is on the replica");
    assert_eq!(unit::assert_nothing_lost(&world, &world.trace()), 2);

    let world = World::new();
    let keeper = unit::keeper(&world).args(["--enabled-if", "WHERE"]).env("WHERE", "anywhere");
    keeper.app(app(&world)).run().expect_code(0).expect_log("everything is on the replica");
}
