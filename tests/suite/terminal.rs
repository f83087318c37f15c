//! On a terminal: Ctrl-C, Ctrl-Z, `fg`, `bg`, the window's size and its end work as if the app ran alone.

use nix::sys::signal::Signal;

use crate::support::app::{App, Trace};
use crate::support::procfs::{Process, alive};
use crate::support::pty::Terminal;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// Starts a keeper of `app` from a shell on a terminal and waits until the app is ready.
#[track_caller]
fn start(world: &World, app: App) -> Terminal {
    let (mut terminal, line) = unit::keeper(world).app(app).terminal();
    terminal.line(&line);
    begun(&mut terminal, &world.trace());
    terminal
}

/// Waits until the app is ready and the keeper knows that it runs: a key typed before that ends it with `TERM`.
#[track_caller]
fn begun(terminal: &mut Terminal, trace: &Trace) {
    terminal.wait("runs as pid");
    trace.wait("ready");
}

/// The state of a process: `T` is stopped.
fn state(pid: i32) -> char {
    Process::of(pid).map_or('X', |process| process.state)
}

#[test]
fn the_app_has_the_terminal() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app =
        App::new(&trace).on_last("TERM", &db, 0).words(["tty"]).insert(&db, 1).ready().words(["line", "tty"]);
    let mut terminal = start(&world, app.words(["print", "to the screen"]));
    assert_eq!(trace.wait("tty").rest, "foreground");
    terminal.line("typed à");
    assert_eq!(trace.wait("line").rest, "typed à");
    terminal.wait("to the screen");
    terminal.line("echo code $?");
    terminal.wait("code 0");
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn ctrl_c_is_the_apps_and_its_130_is_a_stop() {
    for app_code in [None, Some(130), Some(0)] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let app = App::new(&trace);
        let app = match app_code {
            None => app.insert(&db, 5),
            Some(code) => app.on_last("INT", &db, code).insert(&db, 5),
        };
        let mut terminal = start(&world, app.ready().wait());
        terminal.ctrl('c');
        terminal.wait("everything is on the replica");
        terminal.line("echo code $?");
        terminal.wait(&format!("code {}", app_code.unwrap_or(130)));
        assert_eq!(trace.signals(), [2], "one Ctrl-C is one INT, and nothing else");
        assert_eq!(trace.all("start").len(), 1);
        terminal.close();
        unit::assert_nothing_lost(&world, &trace);
    }
}

/// A console that lives on after Ctrl-C (a REPL) goes on.
#[test]
fn an_app_that_lives_on_after_ctrl_c_lives_on() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).ignore("INT").insert(&db, 1).ready().words(["line", "line"]);
    let mut terminal = start(&world, app);
    terminal.line("one");
    trace.wait("line");
    terminal.ctrl('c');
    wait_until("INT", DEADLINE, || trace.signals() == [2]);
    terminal.line("two");
    trace.wait_nth(2, "line");
    terminal.wait("everything is on the replica");
    terminal.line("echo code $?");
    terminal.wait("code 0");
    terminal.close();
}

/// Ctrl-\ is the other way to end a program by hand.
#[test]
fn ctrl_backslash_is_a_stop_as_well() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let mut terminal = start(&world, App::new(&trace).insert(&db, 5).ready().wait());
    terminal.ctrl('\\');
    terminal.wait("everything is on the replica");
    terminal.line("echo code $?");
    terminal.wait("code 131");
    assert_eq!(trace.all("start").len(), 1);
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn ctrl_z_stops_the_job_and_fg_brings_it_back() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_last("INT", &db, 0).ignore("CONT").words(["tty"]).insert(&db, 1).ready();
    let mut terminal = start(&world, app.words(["line", "tty", "ready"]).wait());
    let (keeper, litestream, app) = {
        let unit = terminal.running();
        (unit.keeper().pid, unit.litestream().pid, unit.app().pid)
    };
    for round in 1..=3 {
        terminal.ctrl('z');
        terminal.wait("Stopped");
        assert_eq!((state(app), state(keeper)), ('T', 'T'), "round {round}");
        assert_ne!(state(litestream), 'T', "replication is not part of the job");
        terminal.line("fg");
        wait_until("the job to go on", DEADLINE, || state(app) != 'T' && state(keeper) != 'T');
    }
    terminal.line("typed after fg");
    assert_eq!(trace.wait("line").rest, "typed after fg");
    trace.wait_nth(2, "ready");
    let places: Vec<_> = trace.all("tty").into_iter().map(|event| event.rest).collect();
    assert_eq!(places, ["foreground", "foreground"]);
    assert_eq!(terminal.running().app().pid, app);
    terminal.ctrl('c');
    terminal.wait("everything is on the replica");
    // At most once for each `fg`: a second one may come behind the next Ctrl-Z, and undo it.
    let signals = trace.signals();
    assert!(signals.windows(2).all(|pair| pair != [18, 18]), "{signals:?}");
    terminal.line("echo code $?");
    terminal.wait("code 0");
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn bg_lets_the_job_go_on_behind_the_shell() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_last("TERM", &db, 0).insert(&db, 1).ready().insert_forever(&db, 5);
    let mut terminal = start(&world, app);
    let (keeper, app) = (terminal.running().keeper(), terminal.running().app().pid);
    terminal.ctrl('z');
    terminal.wait("Stopped");
    assert_eq!(state(app), 'T');
    terminal.line("bg");
    wait_until("the job to go on", DEADLINE, || state(app) != 'T' && state(keeper.pid) != 'T');
    let rows = trace.acked().len();
    trace.wait_acked(rows + 5);
    terminal.line("echo the shell $((1+1))");
    terminal.wait("the shell 2");
    keeper.signal(Signal::SIGTERM);
    terminal.wait("everything is on the replica");
    terminal.line("wait");
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

/// A stopped job that is told to stop for good does so.
#[test]
fn a_stopped_job_can_be_ended() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let mut terminal = start(&world, App::new(&trace).on_last("TERM", &db, 0).insert(&db, 1).ready().wait());
    let keeper = terminal.running().keeper();
    terminal.ctrl('z');
    terminal.wait("Stopped");
    keeper.signal(Signal::SIGTERM);
    // As `kill %1` of a shell does.
    keeper.signal(Signal::SIGCONT);
    wait_until("the end of the job", DEADLINE, || !alive(keeper.pid));
    // A shell does not go while it believes that a job is stopped.
    terminal.line("jobs");
    terminal.close();
    assert!(trace.signals().contains(&15));
    unit::assert_nothing_lost(&world, &trace);
}

/// A job in the background has no claim on the terminal.
#[test]
fn a_job_in_the_background_leaves_the_terminal_alone() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_last("TERM", &db, 0).words(["tty"]).insert(&db, 1).ready().wait();
    let (mut terminal, line) = unit::keeper(&world).app(app).terminal();
    terminal.line(&format!("{line} &"));
    begun(&mut terminal, &trace);
    assert_ne!(trace.wait("tty").rest, "foreground");
    terminal.line("echo the shell $((1+1))");
    terminal.wait("the shell 2");
    terminal.running().keeper().signal(Signal::SIGTERM);
    terminal.wait("everything is on the replica");
    terminal.line("wait");
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn the_window_changes_its_size() {
    let world = World::new();
    let trace = world.trace();
    let mut terminal = start(&world, App::new(&trace).ignore("WINCH").ready().wait());
    terminal.resize(40, 100);
    wait_until("WINCH", DEADLINE, || trace.signals().contains(&28));
    terminal.ctrl('c');
    terminal.line("echo code $?");
    terminal.wait("code 130");
    terminal.close();
}

/// `app | less`: a part of the job that reads from the terminal is not stopped for it.
#[test]
fn another_part_of_a_pipeline_can_read_from_the_terminal() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).words(["tty"]).insert(&db, 1).ready().words(["print", "said"]).wait();
    let (mut terminal, line) = unit::keeper(&world).app(app).terminal();
    terminal.line(&format!("{line} | (read x </dev/tty; echo got $x; cat; echo code $?)"));
    begun(&mut terminal, &trace);
    assert_eq!(trace.wait("tty").rest, "background");
    terminal.line("typed");
    terminal.wait("got typed");
    terminal.wait("said");
    terminal.ctrl('c');
    terminal.wait("everything is on the replica");
    terminal.line("echo the shell $((1+1))");
    terminal.wait("the shell 2");
    assert_eq!(trace.signals(), [2], "Ctrl-C is for every part of a job");
    assert_eq!(trace.all("start").len(), 1);
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

/// `cat | app`: what is typed goes through, before and after Ctrl-Z and `fg`, and Ctrl-C ends all.
#[test]
fn what_is_typed_goes_through_a_pipeline() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).insert(&db, 1).ready().words(["line", "line", "line"]).wait();
    let (mut terminal, line) = unit::keeper(&world).app(app).terminal();
    terminal.line(&format!("cat | {line}"));
    begun(&mut terminal, &trace);
    let (keeper, app) = (terminal.running().keeper().pid, terminal.running().app().pid);
    for round in 1..=3 {
        terminal.line("typed");
        trace.wait_nth(round, "line");
        terminal.ctrl('z');
        terminal.wait("Stopped");
        assert_eq!((state(app), state(keeper)), ('T', 'T'), "round {round}");
        terminal.line("fg");
        wait_until("the job to go on", DEADLINE, || state(app) != 'T' && state(keeper) != 'T');
    }
    terminal.ctrl('c');
    terminal.wait("everything is on the replica");
    terminal.line("echo code $?");
    terminal.wait("code 130");
    assert_eq!(trace.signals().last(), Some(&2));
    terminal.line("jobs; echo the shell $((1+1))");
    assert!(!terminal.wait("the shell 2").contains("Stopped"), "all of the job has ended");
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

/// `app | tee log`: it is the app that reads from the terminal, so it gets it.
#[test]
fn an_app_at_the_front_of_a_pipeline_can_read_from_the_terminal() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    // The probe takes all signals itself, so it is not the one to be stopped for reading.
    let probe = App::new(&trace).insert(&db, 1).ready().wait().line();
    let app = format!("echo reads; read x; echo got $x; read x; echo got $x; exec {probe}");
    let (mut terminal, line) = unit::keeper(&world).app(["sh", "-c", &app]).terminal();
    terminal.line(&format!("{line} | cat"));
    terminal.wait("reads");
    let app = terminal.running().app().pid;
    terminal.line("one");
    terminal.wait("got one");
    terminal.ctrl('z');
    terminal.wait("Stopped");
    terminal.line("fg");
    wait_until("the job to go on", DEADLINE, || state(app) != 'T');
    terminal.line("two");
    terminal.wait("got two");
    trace.wait("ready");
    terminal.ctrl('c');
    terminal.wait("everything is on the replica");
    terminal.line("echo the shell $((1+1))");
    terminal.wait("the shell 2");
    assert_eq!(trace.all("start").len(), 1, "its 130 is a stop");
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

/// Standard input is not the terminal: nobody reads from it, so Ctrl-C is the whole job's.
#[test]
fn a_job_without_the_terminal_as_its_input_leaves_it_to_the_shells_group() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_last("INT", &db, 130).insert(&db, 1).ready().wait();
    let (mut terminal, line) = unit::keeper(&world).app(app).terminal();
    terminal.line(&format!("{line} </dev/null"));
    begun(&mut terminal, &trace);
    terminal.ctrl('c');
    terminal.wait("everything is on the replica");
    terminal.line("echo code $?");
    terminal.wait("code 130");
    assert_eq!(trace.signals(), [2]);
    terminal.close();
    unit::assert_nothing_lost(&world, &trace);
}

/// `docker kill -s HUP` of a container with a terminal: nobody hung up.
#[test]
fn a_hup_from_outside_of_the_container_is_no_hang_up() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app =
        App::new(&trace).ignore("HUP").on_last("TERM", &db, 0).insert(&db, 1).ready().insert_forever(&db, 5);
    let (mut terminal, line) = unit::keeper(&world).wrapped(wrap::pid_1()).app(app).terminal();
    terminal.line(&line);
    begun(&mut terminal, &trace);
    let keeper = terminal.running().keeper();
    keeper.signal(Signal::SIGHUP);
    wait_until("HUP", DEADLINE, || trace.signals() == [1]);
    trace.wait_acked(trace.acked().len() + 10);
    keeper.signal(Signal::SIGTERM);
    terminal.wait("everything is on the replica");
    terminal.line("echo code $?");
    terminal.wait("code 0");
    terminal.close();
    assert_eq!(trace.signals(), [1, 15]);
    unit::assert_nothing_lost(&world, &trace);
}

/// `nohup(1)`: the app goes on without the terminal, and can be stopped.
#[test]
fn under_nohup_all_goes_on_when_the_terminal_goes() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    // A shell's trap for a signal that it was started to ignore is none: so this is what any program finds.
    let inner = App::new(&trace).ignore("HUP").on_last("TERM", &db, 0).insert(&db, 1).ready();
    let inner = inner.insert_forever(&db, 5).line();
    let app = ["sh", "-c", &format!("grep SigIgn /proc/self/status; exec {inner}")];
    let (mut terminal, line) = unit::keeper(&world).wrapped(["nohup"]).app(app).terminal();
    terminal.line(&format!("{line} >out 2>&1"));
    trace.wait("ready");
    let shell = terminal.hang_up();
    let keeper = shell.keeper();
    wait_until("the shell to end", DEADLINE, || !alive(shell.pid()) || state(shell.pid()) == 'Z');
    trace.wait_acked(trace.acked().len() + 50);
    keeper.signal(Signal::SIGTERM);
    let mut shell = shell;
    shell.wait();
    shell.assert_no_survivor();
    let out = std::fs::read_to_string(world.path("out")).expect("it was written");
    let ignored = out.lines().find(|line| line.starts_with("SigIgn"));
    assert!(ignored.is_some_and(|mask| mask.ends_with("0000001")), "{out}");
    assert!(out.contains("everything is on the replica") && !out.contains("SIGHUP"), "{out}");
    unit::assert_nothing_lost(&world, &trace);
}

/// Ctrl-C is not for what a script has put into the background.
#[test]
fn ctrl_c_is_not_for_a_scripts_background_job() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_last("TERM", &db, 0).insert(&db, 1).ready().insert_forever(&db, 5);
    let (mut terminal, line) = unit::keeper(&world).app(app).terminal();
    std::fs::write(world.path("script"), format!("{line} &\nwait\n")).expect("the world can be written");
    terminal.line("sh script");
    begun(&mut terminal, &trace);
    let keeper = terminal.running().keeper();
    terminal.ctrl('c');
    terminal.line("echo code $?");
    terminal.wait("code 130");
    trace.wait_acked(trace.acked().len() + 50);
    keeper.signal(Signal::SIGTERM);
    terminal.wait("everything is on the replica");
    terminal.close();
    assert_eq!(trace.signals(), [15]);
    unit::assert_nothing_lost(&world, &trace);
}

/// The window is closed: all ends, in order, and nothing is lost.
#[test]
fn a_terminal_that_goes_takes_its_jobs_with_it() {
    for app_ignores in [false, true] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let app = App::new(&trace).on_last("TERM", &db, 0);
        let app = if app_ignores { app.ignore("HUP") } else { app };
        let terminal = start(&world, app.insert(&db, 20).ready().wait());
        let mut shell = terminal.hang_up();
        shell.wait();
        if app_ignores {
            // It stays, as it would without a keeper; and is still replicated, and can be stopped.
            let keeper = shell.keeper();
            keeper.signal(Signal::SIGTERM);
        }
        shell.assert_no_survivor();
        assert_eq!(trace.all("start").len(), 1, "nobody starts an app again whose terminal is gone");
        unit::assert_nothing_lost(&world, &trace);
    }
}
