//! Litestream hangs: found by the age of the oldest unconfirmed change, and what then happens is the user's choice.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::unit;
use crate::support::wait::DEADLINE;
use crate::support::world::World;

/// A service manager's end of `sd_notify(3)`.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn listen(world: &World) -> Self {
        let path = world.path("notify");
        let socket = UnixDatagram::bind(&path).expect("the world's paths are short");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        Self { socket, path }
    }

    /// The next message.
    #[track_caller]
    fn hear(&self) -> String {
        let mut buffer = [0; 4096];
        let bytes = self.socket.recv(&mut buffer).expect("a message before the deadline");
        String::from_utf8_lossy(&buffer[..bytes]).trim_end().to_owned()
    }

    /// Asserts that there is no message.
    #[track_caller]
    fn hear_nothing(&self) {
        self.socket.set_nonblocking(true).expect("the mode can be set");
        let heard = self.socket.recv(&mut [0; 4096]);
        assert_eq!(heard.expect_err("nothing was to be heard").kind(), std::io::ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).expect("the mode can be set");
    }
}

#[test]
fn with_stop_the_app_is_stopped() {
    let world = World::new();
    let trace = world.trace();
    let keeper = unit::keeper(&world).args(["--max-lag", "1s", "--on-lag", "stop", "--stop-timeout", "3s"]);
    let unit = unit::start_writing(&world, keeper);
    unit.litestream().signal(Signal::SIGSTOP);
    let start = Instant::now();
    trace.wait("exit");
    println!("the app was stopped {:.1?} after litestream hung", start.elapsed());
    let db = world.db().display().to_string();
    let ended =
        unit.finish().expect_code(74).expect_log(&format!("{db}: ")).expect_log("has not confirmed a change");
    ended.expect_log("not everything is on the replica");
    assert_eq!(trace.signals(), [15], "the app was stopped in order");
    // The next start brings up the rest.
    unit::keeper(&world).app(["true"]).run().expect_code(0);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn with_unready_the_service_manager_hears_of_it_until_the_replica_has_caught_up() {
    let world = World::new();
    let trace = world.trace();
    let manager = Manager::listen(&world);
    let keeper = unit::keeper(&world).args(["--max-lag", "1s", "--on-lag", "unready"]);
    let unit = unit::start_writing(&world, keeper.env("NOTIFY_SOCKET", &manager.path));
    assert_eq!(manager.hear(), "READY=1");
    let (app, litestream) = (unit.app(), unit.litestream());
    litestream.signal(Signal::SIGSTOP);
    assert!(manager.hear().starts_with("STATUS=not ready"));
    unit.wait_log(1, "not ready until it has caught up");
    let rows = trace.acked().len();
    trace.wait_acked(rows + 10);
    litestream.signal(Signal::SIGCONT);
    assert_eq!(manager.hear(), "READY=1");
    unit.wait_log(1, "has caught up");
    assert_eq!((unit.app().pid, unit.litestream().pid), (app.pid, litestream.pid), "nothing was restarted");
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn with_warn_only_the_log_says_so() {
    let world = World::new();
    let trace = world.trace();
    let manager = Manager::listen(&world);
    let keeper = unit::keeper(&world).args(["--max-lag", "500ms", "--on-lag", "warn"]);
    let unit = unit::start_writing(&world, keeper.env("NOTIFY_SOCKET", &manager.path));
    assert_eq!(manager.hear(), "READY=1");
    let litestream = unit.litestream();
    litestream.signal(Signal::SIGSTOP);
    unit.wait_log(1, "only this line says so");
    litestream.signal(Signal::SIGCONT);
    unit.wait_log(1, "has caught up");
    manager.hear_nothing();
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn a_hung_litestream_at_the_stop_is_killed_within_the_budget() {
    let world = World::new();
    let trace = world.trace();
    let unit = unit::start_writing(&world, unit::keeper(&world).args(["--stop-timeout", "2s"]));
    unit.litestream().signal(Signal::SIGSTOP);
    let start = Instant::now();
    let ended = unit.stop(74);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    ended.expect_log(&world.db().display().to_string());
    unit::keeper(&world).app(["true"]).run().expect_code(0);
    unit::assert_nothing_lost(&world, &trace);
}
