//! Signals that do not stop are the app's alone, and it starts with every signal as a program expects it.

use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::app::App;
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

#[test]
fn the_app_starts_with_all_signals_as_a_program_expects_them() {
    let world = World::new();
    // What a careless parent may leave behind; HUP aside, which nohup(1) ignores for a reason.
    let odd = ["env", "--ignore-signal=PIPE,USR1,TTOU,CHLD", "--block-signal=TERM,INT,USR2,CHLD"];
    for wrapper in [&[][..], &odd] {
        let keeper = unit::keeper(&world).app(["cat", "/proc/self/status"]);
        let keeper = if wrapper.is_empty() { keeper } else { keeper.wrapped(wrapper) };
        let stdout = keeper.run().expect_code(0).stdout;
        // The C library keeps two signals to itself and lets nobody set them (nptl(7)); they stay as they were here.
        let known = |mask: u64| mask & !(1 << 31 | 1 << 32);
        let masks = stdout.lines().filter_map(|line| {
            let (name, mask) = line.split_once(':')?;
            let is_mask = ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].contains(&name);
            is_mask.then(|| known(u64::from_str_radix(mask.trim(), 16).expect("a mask is hexadecimal")))
        });
        assert_eq!(masks.collect::<Vec<_>>(), [0; 5], "{stdout}");
    }
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
