//! A command that has nobody to look after dies of a signal, also while nobody reads what it prints.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Stdio;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

use crate::support::keeper::Keeper;
use crate::support::process::Running;
use crate::support::procfs::Process;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// A pipe that is full. Whoever writes to it waits, until the other end is read or closed.
fn full() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("the mode can be set");
    while nix::unistd::write(&writer, &[b'x'; 4096]).is_ok() {}
    while nix::unistd::write(&writer, b"x").is_ok() {}
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(OFlag::empty())).expect("the mode can be set");
    (reader, writer)
}

#[derive(Clone, Copy, Debug)]
enum Unread {
    Output,
    Log,
}

#[track_caller]
fn dies(keeper: Keeper, unread: Unread, signal: Signal) {
    let (reader, writer) = full();
    let null = || Stdio::from(File::options().write(true).open("/dev/null").expect("it is there"));
    let (mut command, mark) = keeper.command_and_mark();
    match unread {
        Unread::Output => command.stdout(writer).stderr(null()),
        Unread::Log => command.stdout(null()).stderr(writer),
    };
    command.stdin(Stdio::null()).process_group(0);
    let mut running = Running::new(command, mark);
    let number = match unread {
        Unread::Output => "1",
        Unread::Log => "2",
    };
    // It writes, and waits.
    let pid = running.pid();
    wait_until("a write that waits", DEADLINE, || {
        let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        let mut words = call.split(' ');
        let (name, first) = (words.next(), words.next());
        name == Some(&nix::libc::SYS_write.to_string()) && first == Some(&format!("0x{number}"))
    });
    assert!(Process::of(pid).is_some(), "it lives");
    running.signal(signal);
    let status = running.wait();
    assert_eq!(status.signal(), Some(signal as i32), "{unread:?} {signal}: {status}");
    drop(reader);
    running.assert_no_survivor();
}

#[test]
fn a_command_that_prints_dies_of_a_signal() {
    let world = World::new();
    world.write("litestream.yml", "dbs: [{path: app.db, replica: {path: backup}}]\n");
    std::fs::create_dir_all(world.path("project/prisma")).expect("ours");
    let schema = "datasource db {\n  provider = \"sqlite\"\n  url = \"file:./dev.db\"\n}\n";
    world.write("project/prisma/schema.prisma", schema);
    let command = |name: &str| Keeper::new(&world).command(name);
    let init = |option: &str| command("init").arg(option).cwd(&world.path("project"));
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        dies(init("--stdout"), Unread::Output, signal);
        dies(init("--dry-run"), Unread::Log, signal);
    }
    let file = |name: &str| command(name).config(&world.path("litestream.yml"));
    dies(file("check"), Unread::Output, Signal::SIGTERM);
    dies(file("check"), Unread::Log, Signal::SIGTERM);
    dies(file("config"), Unread::Output, Signal::SIGTERM);
    dies(command("init").arg("--no-such-option"), Unread::Log, Signal::SIGTERM);
    dies(command("init").arg("--help"), Unread::Output, Signal::SIGTERM);
    let installed = command("install").args(["--from", "pip", "--dir"]).arg(world.path("bin"));
    dies(installed, Unread::Log, Signal::SIGTERM);
}
