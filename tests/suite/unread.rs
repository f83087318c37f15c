//! Somebody does not read what is written to him: nobody waits for that.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::process::Running;
use crate::support::procfs::alive;
use crate::support::s3::S3;
use crate::support::unit::{self, start_writing};
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// A keeper that was stopped for long, while so much was logged that Litestream's next line waits for room.
fn behind(world: &World) -> Running {
    let trace = world.trace();
    let unit = start_writing(world, unit::keeper(world));
    let litestream = unit.litestream();
    unit.signal(Signal::SIGSTOP);
    litestream.fill(1);
    litestream.fill(2);
    // Its next line is under way, and waits.
    let rows = trace.acked().len();
    trace.wait_acked(rows + 10);
    unit
}

#[test]
fn litestreams_log_is_full_and_its_reader_dies() {
    let world = World::new();
    let unit = behind(&world);
    unit.signal(Signal::SIGKILL);
    unit.finish();
    assert_eq!(world.trace().signals(), [15], "the app was stopped in order");
    unit::assert_nothing_lost(&world, &world.trace());
}

#[test]
fn litestreams_log_is_full_and_its_reader_comes_back() {
    let world = World::new();
    let unit = behind(&world);
    unit.signal(Signal::SIGCONT);
    unit.stop(0);
    unit::assert_nothing_lost(&world, &world.trace());
}

/// More is passed on to the shim than fits into its socket.
#[test]
fn a_shim_that_is_stopped_reads_nothing() {
    let world = World::new();
    let trace = world.trace();
    let app = App::new(&trace).ignore("USR1").on_last("TERM", &world.db(), 0).insert_forever(&world.db(), 3);
    let keeper = unit::keeper(&world).args(["--stop-timeout", "60s", "--log-level", "debug"]);
    let unit = keeper.app(app).start();
    trace.wait_acked(10);
    let shim = unit.shim();
    shim.signal(Signal::SIGSTOP);
    // A socket takes some three hundred packets.
    wait_until("a thousand signals to be passed on", DEADLINE, || {
        (0..50).for_each(|_| unit.signal(Signal::SIGUSR1));
        unit.log().matches("SIGUSR1 from").count() > 1000
    });
    unit.signal(Signal::SIGTERM);
    unit.wait_log(1, "SIGTERM from");
    shim.signal(Signal::SIGCONT);
    unit.finish().expect_code(0);
    let signals = trace.signals();
    assert!(signals.contains(&10) && signals.last() == Some(&15), "all in order: {signals:?}");
    unit::assert_nothing_lost(&world, &trace);
}

/// A service manager that hangs: the kernel keeps some ten packets for it.
#[test]
fn the_service_manager_does_not_listen_for_a_while() {
    let world = World::new();
    let path = world.path("notify");
    let manager = UnixDatagram::bind(&path).expect("the world's paths are short");
    let other = UnixDatagram::unbound().expect("a socket");
    other.set_nonblocking(true).expect("the mode can be set");
    while other.send_to(b"X", &path).is_ok() {}
    let unit = start_writing(&world, unit::keeper(&world).env("NOTIFY_SOCKET", &path));
    // The word of its being ready waits; the keeper does not.
    let asked = unit::keeper(&world).command("reload").run();
    assert!(asked.status.code().is_some(), "it answers");
    manager.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
    let mut heard = [0; 64];
    wait_until("READY=1", DEADLINE, || {
        let bytes = manager.recv(&mut heard).expect("a message before the deadline");
        heard[..bytes].starts_with(b"READY=1")
    });
    unit.stop(0);
    // It never listens again.
    while other.send_to(b"X", &path).is_ok() {}
    let world = World::new();
    start_writing(&world, unit::keeper(&world).env("NOTIFY_SOCKET", &path)).stop(0);
}

/// Ctrl-S in the middle of a restore: the bar stands still, and nobody waits for it.
#[test]
fn the_terminal_of_a_restore_is_stopped() {
    let s3 = S3::start();
    s3.bucket("backups");
    let keeper =
        |world: &World| Keeper::new(world).db(&world.db()).replica(&s3.url("backups", "app")).envs(S3::env());
    let world = World::new();
    let large = "create table large(x); insert into large values (randomblob(4000000))";
    keeper(&world).app(App::new(&world.trace()).sql(&world.db(), large)).run().expect_code(0);
    let elsewhere = World::new();
    let restoring = keeper(&elsewhere).args(["--log-level", "error"]).app(["true"]);
    s3.throttle(50_000);
    let (mut terminal, line) = restoring.terminal();
    terminal.line(&line);
    terminal.wait("restoring app.db");
    let keeper = terminal.running().keeper();
    terminal.ctrl('s');
    // Each second there is another picture.
    let since = Instant::now();
    wait_until("a picture that nobody sees", DEADLINE, || since.elapsed() > Duration::from_secs(3));
    keeper.signal(Signal::SIGTERM);
    wait_until("the end of the keeper", DEADLINE, || !alive(keeper.pid));
    terminal.ctrl('q');
    s3.resume();
    terminal.close();
}
