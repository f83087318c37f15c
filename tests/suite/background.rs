//! An app that goes to the background ends the unit with its first process: it is told so.

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::unit;
use crate::support::world::World;

#[test]
fn an_app_that_goes_to_the_background_is_told_to_stay() {
    for (script, what) in [
        (
            "setsid \"$@\" & exit 0",
            "the app (sh) left one process behind, which is stopped: run it in the foreground",
        ),
        (
            "\"$@\" & \"$@\" & exit 0",
            "the app (sh) left 2 processes behind, which are stopped: run it in the foreground",
        ),
    ] {
        let world = World::new();
        let trace = world.trace();
        let app = App::new(&trace).on_exit("TERM", 0).wait().into_iter();
        let words = ["sh", "-c", script, "sh"].map(Into::into).into_iter().chain(app);
        unit::keeper(&world).app(words).run().expect_code(0).expect_log(what);
    }
}

#[test]
fn what_a_crash_or_a_command_before_leaves_is_told() {
    let world = World::new();
    let keeper = unit::keeper(&world).args(["--restart", "never", "--before", "sh -c 'sleep 1000 & exit 0'"]);
    let ended = keeper.app(["sh", "-c", "sleep 1000 & exit 3"]).run().expect_code(3);
    let ended =
        ended.expect_log("--before sh left one process behind, which is stopped: run it in the foreground");
    let told = ended.expect_log("the app (sh) left one process behind, which is stopped\n");
    assert_eq!(told.log.matches("left one process").count(), 2);
}

/// That a stop takes some processes longer than their first is nothing to tell.
#[test]
fn what_a_stop_leaves_for_a_moment_is_not_told() {
    let world = World::new();
    let trace = world.trace();
    let app = App::new(&trace).on_linger("TERM", 300, 0).ready().wait().into_iter();
    let words = ["sh", "-c", "\"$@\"; true", "sh"].map(Into::into).into_iter().chain(app);
    let unit = unit::keeper(&world).app(words).start();
    trace.wait("ready");
    unit.signal(Signal::SIGTERM);
    let ended = unit.finish().expect_code(143);
    assert!(!ended.log.contains("left"), "{}", ended.log);
}
