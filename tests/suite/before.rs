//! One-shot commands before the app: one after the other, under replication, each must end with 0.

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::app::App;
use crate::support::litestream::{Backup, LATEST};
use crate::support::sqlite;
use crate::support::unit;
use crate::support::world::World;

#[test]
fn they_run_in_order_one_after_the_other() {
    let world = World::new();
    let trace = world.trace();
    let step = |name: &str| App::new(&trace).words(["print", name]).sleep(20).line();
    let keeper = unit::keeper(&world).args([
        "--before",
        &step("one"),
        "--before",
        &step("two"),
        "--before",
        &step("three"),
    ]);
    let ended = keeper.app(App::new(&trace).words(["print", "app"])).run().expect_code(0);
    assert_eq!(ended.stdout, "one\ntwo\nthree\napp\n");
    let names: Vec<_> = trace.events().into_iter().map(|event| event.name).collect();
    assert_eq!(names, ["start", "exit"].repeat(4), "none began before the last had ended");
}

/// A migration's rows are on the replica when the app starts: its backup is taken at that very moment.
#[test]
fn what_they_wrote_is_confirmed_before_the_app_starts() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    sqlite::create(&db, 5);
    let before = App::new(&trace).insert(&db, 20).line();
    let app = App::new(&trace).on_exit("TERM", 0).ready().wait();
    let unit = unit::keeper(&world).args(["--before", &before]).app(app).start();
    trace.wait("ready");
    unit.keeper().signal(Signal::SIGSTOP);
    unit.litestream().signal(Signal::SIGSTOP);
    assert_eq!(unit::assert_nothing_lost(&world, &trace), 25);
    unit.litestream().signal(Signal::SIGCONT);
    unit.keeper().signal(Signal::SIGCONT);
    unit.stop(0);
}

/// The restore comes first: a migration of nothing would be a new database.
#[test]
fn they_run_after_the_restore() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    unit::keeper(&world).app(App::new(&trace).insert(&db, 4)).run().expect_code(0);
    for name in world.list("").iter().filter(|name| name.contains("app.db")) {
        let path = world.path(name);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
            .expect("it is ours");
    }
    let before = App::new(&trace).count(&db).line();
    unit::keeper(&world).args(["--before", &before]).app(App::new(&trace)).run().expect_code(0);
    assert_eq!(trace.wait("count").rest, "4");
}

#[test]
fn one_that_fails_is_the_end_with_its_code() {
    for (step, code) in [(["exit", "6"], 6), (["raise", "KILL"], 137)] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let fine = App::new(&trace).insert(&db, 2).line();
        let failing = App::new(&trace).insert(&db, 3).words(step).line();
        let keeper = unit::keeper(&world).args(["--before", &fine, "--before", &failing, "--before", &fine]);
        let ended = keeper.app(["echo", "the app"]).run().expect_code(code);
        assert_eq!(ended.stdout, "", "the app did not start");
        assert_eq!(trace.all("start").len(), 2, "nor the next command");
        // What was written up to then is safe all the same.
        assert_eq!(unit::assert_nothing_lost(&world, &trace), 5);
        ended.expect_log("--before probe ").expect_log("the app (echo) is not started");
    }
}

#[test]
fn one_that_is_not_there_is_127() {
    let world = World::new();
    let keeper = unit::keeper(&world).args(["--before", "no-such-migration now"]);
    let ended = keeper
        .app(["echo", "the app"])
        .run()
        .expect_code(127)
        .expect_log("no-such-migration: command not found");
    assert_eq!(ended.stdout, "");
}

/// They are part of a start, not of a restart of the app.
#[test]
fn they_run_once() {
    let world = World::new();
    let trace = world.trace();
    let before = App::new(&trace).words(["print", "before"]).line();
    let keeper =
        unit::keeper(&world).args(["--restart-delay", "10ms", "--start-limit", "2", "--before", &before]);
    let ended = keeper.app(["sh", "-c", "echo app; exit 1"]).run().expect_code(1);
    assert_eq!(ended.stdout, "before\napp\napp\napp\n");
}

/// What a command leaves running in the background does not run beside the app.
#[test]
fn their_background_processes_end_with_them() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let stubborn = App::new(&trace).ignore("all").insert_forever(&db, 1);
    // It ends when somebody writes there.
    let gate = world.path("gate");
    mkfifo(&gate, Mode::S_IRWXU).expect("the world can be written");
    let script = format!("{}; read line < gate", App::new(&trace).spawn("setsid", &stubborn).line());
    let before = shlex::try_join(["sh", "-c", &script]).expect("no NUL in the words");
    let app = App::new(&trace).ready().sleep(50);
    let unit = unit::keeper(&world).args(["--before", &before]).app(app).start();
    trace.wait_acked(3);
    std::fs::write(&gate, "go\n").expect("somebody reads");
    unit.finish().expect_code(0);
    let ready = trace.wait("ready").pid;
    let events = trace.events();
    let start = events.iter().position(|event| event.pid == ready).expect("the app started");
    assert!(events[start..].iter().all(|event| event.pid == ready), "{events:?}");
    Backup::Url(&world.replica_url()).assert_holds_acked(&world, LATEST, &trace);
}

#[test]
fn quotes_are_split_and_no_shell_reads_them() {
    let world = World::new();
    let keeper = unit::keeper(&world).args(["--before", "printf '<%s>' 'a b' \"c\" '$HOME' d\\ e && false"]);
    let ended = keeper.app(["true"]).run().expect_code(0);
    assert_eq!(ended.stdout, "<a b><c><$HOME><d e><&&><false>\n");
    for wrong in ["'open", ""] {
        unit::keeper(&world)
            .args(["--before", wrong])
            .app(["true"])
            .run()
            .expect_code(64)
            .expect_log("not a command");
    }
}
