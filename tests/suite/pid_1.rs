//! As PID 1 of a container, and as a subreaper anywhere else: every orphan is reaped, every stop is heard.

use std::fs::File;
use std::io::Write;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::process::{Running, Spec};
use crate::support::procfs::Process;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// An app that leaves a hundred orphans, and stays.
const PARENT_OF_ORPHANS: [&str; 3] = [
    "sh",
    "-c",
    "i=0; while [ $i -lt 100 ]; do (sleep 1000 &); i=$((i+1)); done; echo made; exec tail -f /dev/null",
];

/// The orphans that these processes have adopted, zombies included.
fn adopted_by(parents: &[&Process]) -> Vec<Process> {
    let of = |child: &Process| parents.iter().any(|parent| parent.pid == child.ppid);
    Process::all().into_iter().filter(|child| child.comm == "sleep" && of(child)).collect()
}

/// Waits until all orphans are adopted, and ends them.
fn end_orphans_of(parents: &[&Process]) {
    wait_until("a hundred orphans", DEADLINE, || adopted_by(parents).len() == 100);
    adopted_by(parents).iter().for_each(|orphan| orphan.signal(Signal::SIGKILL));
}

fn assert_orphans_reaped(unit: &Running) {
    let parents = [&unit.keeper(), &unit.shim()];
    end_orphans_of(&parents);
    wait_until("the orphans to be reaped", DEADLINE, || adopted_by(&parents).is_empty());
}

#[test]
fn a_hundred_orphans_are_reaped_as_subreaper() {
    let world = World::new();
    let unit = unit::keeper(&world).app(PARENT_OF_ORPHANS).start();
    unit.wait_stdout("made");
    assert_orphans_reaped(&unit);
    unit.stop(143);
}

#[test]
fn a_hundred_orphans_are_reaped_as_pid_1() {
    let world = World::new();
    let unit = unit::keeper(&world).wrapped(wrap::pid_1()).app(PARENT_OF_ORPHANS).start();
    unit.wait_stdout("made");
    assert_orphans_reaped(&unit);
    unit.keeper().signal(Signal::SIGTERM);
    unit.finish().expect_code(143);
}

/// The negative control: the same orphans under a PID 1 that does not reap stay as zombies.
#[test]
fn without_a_reaper_they_would_stay() {
    let world = World::new();
    let mut spec = Spec::new("sh".as_ref(), world.root());
    spec.args(&PARENT_OF_ORPHANS[1..]);
    spec.wrap(wrap::pid_1());
    let running = spec.start();
    running.wait_stdout("made");
    let init = running.wait_process("PID 1", |process| process.is("tail"));
    end_orphans_of(&[&init]);
    let zombies = || adopted_by(&[&init]).iter().filter(|orphan| orphan.state == 'Z').count();
    wait_until("a hundred zombies", DEADLINE, || zombies() == 100);
    running.kill(&init, Signal::SIGKILL);
    running.finish();
}

/// Orphans that end after the keeper was told to stop do not hold it up, and none survives it.
#[test]
fn orphans_that_stay_end_with_pid_1() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let stubborn = App::new(&trace).ignore("all").ready().wait();
    let app = App::new(&trace).on_last("TERM", &db, 0).spawn("setsid", &stubborn).insert_forever(&db, 3);
    let keeper = unit::keeper(&world).args(unit::BUDGET).wrapped(wrap::pid_1());
    let unit = keeper.app(app).start();
    trace.wait("ready");
    trace.wait_acked(3);
    let keeper = unit.keeper();
    keeper.signal(Signal::SIGTERM);
    unit.finish().expect_code(0).expect_log("everything is on the replica");
    unit::assert_nothing_lost(&world, &trace);
}

/// The kernel drops what PID 1 has no handler for (`pid_namespaces(7)`): so the handlers come first of all.
#[test]
fn pid_1_hears_a_stop_at_any_time() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let unit = unit::keeper(&world).wrapped(wrap::pid_1()).app(unit::writer(&trace, &db, 3)).start();
        trace.wait_acked(5);
        unit.keeper().signal(signal);
        unit.finish().expect_code(3);
        unit::assert_nothing_lost(&world, &trace);
    }
}

/// One that comes before anything is read, too: the keeper waits here for somebody to write its configuration.
#[test]
fn pid_1_hears_a_stop_in_its_first_moments() {
    for switch in ["true", "false"] {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let world = World::new();
            let (path, trace) = (world.path("litekeeper.yml"), world.trace());
            mkfifo(&path, Mode::S_IRWXU).expect("the world can be written");
            let keeper =
                Keeper::new(&world).config(&path).env("LITEKEEPER_ENABLED", switch).wrapped(wrap::pid_1());
            let unit = keeper.app(App::new(&trace).exit(0)).start();
            // There is a reader as soon as this returns.
            let mut config = File::options().write(true).open(&path).expect("it is there");
            unit.keeper().signal(signal);
            config
                .write_all(b"litekeeper: {resolver: {command: [echo, '[]']}}\ndbs: []\n")
                .expect("somebody reads");
            drop(config);
            unit.finish().expect_code(128 + signal as i32);
            assert!(trace.is_empty(), "the app did not start");
        }
    }
}

/// `docker stop` and `docker kill` come from outside of the container, where the sender has no number.
#[test]
fn a_signal_from_outside_of_the_container_is_told() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).ignore("HUP").on_last("TERM", &db, 3).insert_forever(&db, 3);
    let keeper = unit::keeper(&world).args(["--log-level", "debug"]).wrapped(wrap::pid_1());
    let unit = keeper.app(app).start();
    trace.wait_acked(5);
    unit.keeper().signal(Signal::SIGHUP);
    unit.wait_log(1, "SIGHUP from outside of this container: passed on");
    unit.keeper().signal(Signal::SIGTERM);
    unit.finish().expect_code(3).expect_log("SIGTERM from outside of this container: stopping");
    assert_eq!(trace.signals(), [1, 15]);
    unit::assert_nothing_lost(&world, &trace);
}

/// Within one pid namespace there is no process outside to see to the rest: the kernel does, and the next start
/// brings up what was not confirmed.
#[test]
fn pid_1_killed_leaves_nothing_and_the_next_start_uploads_the_rest() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let unit = unit::keeper(&world).wrapped(wrap::pid_1()).app(unit::writer(&trace, &db, 0)).start();
    trace.wait_acked(20);
    unit.keeper().signal(Signal::SIGKILL);
    unit.finish();
    unit::keeper(&world).wrapped(wrap::pid_1()).app(["true"]).run().expect_code(0);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn app_killed_under_pid_1() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let unit = unit::keeper(&world).wrapped(wrap::pid_1()).app(unit::writer(&trace, &db, 0)).start();
    trace.wait_acked(5);
    let (first, litestream) = (trace.wait("start").pid, unit.litestream());
    unit.app().signal(Signal::SIGKILL);
    unit::wait_successor(&trace, first);
    assert_eq!(unit.litestream().pid, litestream.pid);
    unit.litestream().signal(Signal::SIGKILL);
    trace.wait_nth(3, "start");
    unit.keeper().signal(Signal::SIGTERM);
    unit.finish();
    unit::assert_nothing_lost(&world, &trace);
}

/// Docker kills ten seconds after TERM: a stop that takes all of them ends without a word.
#[test]
fn in_a_container_a_stop_is_shorter_by_default() {
    let init = |mut words: Vec<String>| {
        words.extend(["sh", "-c", "\"$@\" & wait $!; exit $?", "sh"].map(str::to_owned));
        words
    };
    for (wrapper, seconds) in [(Vec::new(), 10), (wrap::pid_1(), 9), (init(wrap::pid_1()), 9)] {
        let world = World::new();
        let mut spec = Spec::new(env!("CARGO_BIN_EXE_litekeeper").as_ref(), world.root());
        spec.args(["config", "--db", "./app.db", "--replica", "./backup"]);
        spec.wrap(wrapper);
        let shown = spec.start().finish().expect_code(0).stdout;
        assert!(shown.contains(&format!("timeout: {seconds}s\n")), "{seconds}: {shown}");
    }
}
