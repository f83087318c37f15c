//! Somebody who does not read, does not end, or lets others wait: the keeper goes on.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream;
use crate::support::process::Running;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// Fills a pipe as a reader that went away for a while leaves it.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let flags = || OFlag::from_bits_retain(fcntl(&writer, FcntlArg::F_GETFL).expect("its flags"));
    fcntl(&writer, FcntlArg::F_SETFL(flags() | OFlag::O_NONBLOCK)).expect("its flags");
    while nix::unistd::write(writer.as_fd(), &[b'\n'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(flags() - OFlag::O_NONBLOCK)).expect("its flags");
    (reader, writer)
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_up_the_drain() {
    let world = World::new();
    let trace = world.trace();
    let (reader, writer) = full_pipe();
    let app = unit::writer(&trace, &world.db(), 0);
    let (mut command, mark) = unit::keeper(&world).app(app).command_and_mark();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(writer));
    let mut unit = Running::new(command, mark);
    trace.wait_acked(10);
    unit.signal(Signal::SIGTERM);
    assert_eq!(unit.wait().code(), Some(0));
    unit.assert_no_survivor();
    unit::assert_nothing_lost(&world, &trace);
    let mut said = String::new();
    File::from(reader).read_to_string(&mut said).expect("the pipe ends");
    assert_eq!(said.trim(), "", "nothing of it was there to be read");
}

#[test]
fn what_a_wrapper_of_litestream_leaves_does_not_hold_up_its_answer() {
    let world = World::new();
    let trace = world.trace();
    let binary = litestream::binary(litestream::LATEST);
    let wrapper =
        format!("#!/bin/sh\n[ \"$1\" = version ] && sleep 1000 &\nexec {} \"$@\"\n", binary.display());
    let wrapper = world.program("litestream", &wrapper);
    let keeper = unit::keeper(&world).env("LITESTREAM_BINARY_PATH", wrapper);
    let unit = unit::start_writing(&world, keeper);
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

#[test]
fn what_a_resolver_leaves_does_not_hold_up_its_answer() {
    let world = World::new();
    let trace = world.trace();
    world.program("resolver", "#!/bin/sh\nsleep 1000 &\necho '[]'\n");
    let config = "litekeeper: {resolver: {command: [./resolver], interval: 1h}}\ndbs: []\n";
    let config = world.write("litestream.yml", config);
    let started = Instant::now();
    let app = App::new(&trace).ready().on_exit("TERM", 0).wait();
    let unit = Keeper::new(&world).config(&config).app(app).start();
    wait_until("the app", DEADLINE, || !trace.is_empty());
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    trace.wait("ready");
    unit.stop(0);
}
