//! Signals that do not stop are the app's alone, and it starts with every signal as a program expects it.

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::app::App;
use crate::support::procfs::Process;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// Sends any number, real-time signals included.
fn send(pid: i32, number: i32) {
    // SAFETY: kill(2) touches no memory of this process.
    assert_eq!(unsafe { libc::kill(pid, number) }, 0, "signal {number} can be sent");
}

#[test]
fn signals_reach_the_app_only() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).ignore("all").insert(&db, 1).ready().wait();
    let unit = unit::keeper(&world).app(app).start();
    trace.wait("ready");
    let everybody = || [unit.keeper(), unit.litestream(), unit.shim(), unit.app()].map(|process| process.pid);
    let before = everybody();
    let mut sent = Vec::new();
    for signal in Signal::iterator() {
        if matches!(
            signal,
            Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGCHLD | Signal::SIGTERM | Signal::SIGINT
        ) {
            continue;
        }
        unit.signal(signal);
        sent.push(i64::from(signal as i32));
        trace.wait_nth(sent.len(), "signal");
    }
    assert_eq!(sent.len(), 26);
    assert_eq!(trace.signals(), sent, "each came as it was, once, in order");
    assert_eq!(everybody(), before);
    unit.keeper().signal(Signal::SIGTERM);
    trace.wait_nth(sent.len() + 1, "signal");
    assert_eq!(trace.signals().last(), Some(&15));
    unit.app().signal(Signal::SIGKILL);
    unit.finish().expect_code(137);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn real_time_signals_reach_the_app() {
    let world = World::new();
    let script =
        "for n in 34 40 64; do trap \"echo got $n\" $n; done; echo ready; while :; do sleep 0.01; done";
    let unit = unit::keeper(&world).app(["bash", "-c", script]).start();
    unit.wait_stdout("ready");
    for number in [34, 40, 64] {
        send(unit.pid(), number);
        unit.wait_stdout(&format!("got {number}"));
    }
    unit.stop(143);
}

/// A stream of signals of many kinds; each kind arrives at least once, and nobody is lost over it.
#[test]
fn a_storm_of_signals() {
    let world = World::new();
    let trace = world.trace();
    let unit = unit::keeper(&world).app(App::new(&trace).ignore("all").ready().wait()).start();
    trace.wait("ready");
    let app = unit.app().pid;
    let kinds = [
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
        Signal::SIGPIPE,
        Signal::SIGSEGV,
    ];
    for _ in 0..500 {
        kinds.into_iter().for_each(|signal| unit.signal(signal));
    }
    for signal in kinds {
        let number = i64::from(signal as i32);
        wait_until("each kind to arrive", DEADLINE, || trace.signals().contains(&number));
    }
    assert_eq!(unit.app().pid, app);
    unit.signal(Signal::SIGTERM);
    unit.wait_log(1, "SIGTERM from pid");
    unit.stop(137);
}

/// A signal before there is an app is dropped, not saved for it and not the keeper's death.
#[test]
fn a_signal_before_the_app_is_nobodys() {
    let world = World::new();
    let trace = world.trace();
    // It ends when somebody writes there.
    let gate = world.path("gate");
    mkfifo(&gate, Mode::S_IRWXU).expect("the world can be written");
    let before = format!("sh -c 'trap \"\" USR1 HUP; read line < {}'", gate.display());
    let unit = unit::keeper(&world)
        .args(["--before", &before])
        .app(App::new(&trace).on_exit("TERM", 0).ready().wait())
        .start();
    unit.wait_line(|_| true);
    unit.signal(Signal::SIGUSR1);
    unit.signal(Signal::SIGHUP);
    std::fs::write(&gate, "go\n").expect("somebody reads");
    let app = trace.wait("ready").pid;
    unit.stop(0);
    let to_the_app: Vec<_> = trace.all("signal").into_iter().filter(|event| event.pid == app).collect();
    assert_eq!(to_the_app.iter().map(|event| event.rest.as_str()).collect::<Vec<_>>(), ["15"]);
}

/// What pends together, since the keeper could not run, goes on as the kernel hands it out: the smallest number first, and a
/// real-time signal as often as it was sent.
#[test]
fn signals_that_pend_together_go_on_in_order() {
    let world = World::new();
    let trace = world.trace();
    let keeper = unit::keeper(&world).args(["--log-level", "debug"]);
    let unit = keeper.app(App::new(&trace).ignore("all").ready().wait()).start();
    trace.wait("ready");
    let keeper = unit.keeper().pid;
    // The app takes what pends for itself in the same order; so it is the keeper's own that counts.
    let passed_on = || {
        let log = unit.log();
        let lines = log.lines().filter(|line| line.ends_with("passed on"));
        let names = lines.filter_map(|line| line.split_once("litekeeper: SIG")?.1.split(' ').next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        let said = passed_on().len();
        let before = trace.signals().len();
        unit.signal(Signal::SIGSTOP);
        wait_until("it to stop", DEADLINE, || {
            Process::of(keeper).is_some_and(|process| process.state == 'T')
        });
        for number in [64, 40, 12, 1, 40, 28, 10, 40, 35] {
            send(keeper, number);
        }
        unit.signal(Signal::SIGCONT);
        let sorted = [1, 10, 12, 18, 28, 35, 40, 40, 40, 64];
        wait_until("all of them", DEADLINE, || trace.signals().len() >= before + sorted.len());
        assert_eq!(trace.signals()[before..], sorted);
        wait_until("the log of all of them", DEADLINE, || passed_on().len() >= said + sorted.len());
        let names = ["HUP", "USR1", "USR2", "CONT", "WINCH", "35", "40", "40", "40", "64"];
        assert_eq!(passed_on()[said..], names);
    }
    unit.signal(Signal::SIGTERM);
    unit.wait_log(1, "SIGTERM from pid");
    unit.app().signal(Signal::SIGKILL);
    unit.finish().expect_code(137);
}

/// The signal masks of a program that printed its `/proc/self/status`: pending, pending for all, blocked, ignored, caught.
fn masks(stdout: &str) -> Vec<u64> {
    // The C library keeps two signals to itself and lets nobody set them (nptl(7)); they stay as they were here.
    let known = |mask: u64| mask & !(1 << 31 | 1 << 32);
    let masks = stdout.lines().filter_map(|line| {
        let (name, mask) = line.split_once(':')?;
        let is_mask = ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].contains(&name);
        is_mask.then(|| known(u64::from_str_radix(mask.trim(), 16).expect("a mask is hexadecimal")))
    });
    masks.collect()
}

const STATUS: [&str; 2] = ["cat", "/proc/self/status"];

/// What was ignored on purpose stays so, as `exec` has it; all else a careless parent may have left is put right.
#[test]
fn the_app_starts_with_all_signals_as_a_program_expects_them() {
    let world = World::new();
    for ignored in
        [vec![], vec!["HUP"], vec!["INT", "QUIT"], vec!["PIPE"], vec!["USR1", "TTOU", "CHLD", "TERM"]]
    {
        let mask = ignored
            .iter()
            .map(|name| 1_u64 << (format!("SIG{name}").parse::<Signal>().expect("a signal") as i32 - 1));
        let mask = mask.fold(0, |all, bit| all | bit);
        let ignore = format!("--ignore-signal={}", ignored.join(","));
        let mut wrapper = vec!["env", "--default-signal", "--block-signal=TERM,INT,USR2,CHLD,PIPE"];
        wrapper.extend((!ignored.is_empty()).then_some(&*ignore));
        for switch in ["true", "false"] {
            let keeper = unit::keeper(&world).env("LITEKEEPER_ENABLED", switch).wrapped(&wrapper).app(STATUS);
            let stdout = keeper.run().expect_code(0).stdout;
            assert_eq!(masks(&stdout), [0, 0, 0, mask, 0], "{ignored:?}, {switch}: {stdout}");
        }
    }
}

/// What a shell without job control runs in the background is not to hear of Ctrl-C.
#[test]
fn a_shells_background_job_starts_without_int_and_quit() {
    let world = World::new();
    let keeper = unit::keeper(&world).wrapped(["sh", "-c", "\"$@\" & wait", "sh"]).app(STATUS);
    let stdout = keeper.run().expect_code(0).stdout;
    assert_eq!(masks(&stdout), [0, 0, 0, 0b110, 0], "{stdout}");
}

/// As the app by itself, it hears what somebody sends on purpose: a service manager's or a script's.
#[test]
fn an_ignored_signal_that_somebody_sends_still_counts() {
    let world = World::new();
    let keeper = unit::keeper(&world).wrapped(["env", "--ignore-signal=INT,HUP"]);
    let (db, trace) = (world.db(), world.trace());
    let unit =
        keeper.app(App::new(&trace).ignore("HUP").on_last("TERM", &db, 0).insert_forever(&db, 3)).start();
    trace.wait_acked(5);
    unit.signal(Signal::SIGHUP);
    wait_until("HUP", DEADLINE, || trace.signals() == [1]);
    unit.signal(Signal::SIGINT);
    unit.finish().expect_code(0).expect_log("SIGINT from pid");
    unit::assert_nothing_lost(&world, &trace);
}

/// The keeper's own mask does not stay as a careless parent left it: a blocked TERM still stops it.
#[test]
fn a_blocked_stop_signal_still_stops() {
    let world = World::new();
    let keeper =
        unit::keeper(&world).wrapped(["env", "--ignore-signal=TERM,CHLD", "--block-signal=TERM,CHLD"]);
    let unit = unit::start_writing(&world, keeper);
    unit.stop(0);
    unit::assert_nothing_lost(&world, &world.trace());
}
