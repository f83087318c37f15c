//! What held up against hostile neighbours, and is to go on doing so: others' users, floods, bombs and thousands.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::geteuid;

use crate::support::keeper::Keeper;
use crate::support::procfs::Process;
use crate::support::unit::{self, start_writing};
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// The sockets of the only keeper of a world.
fn sockets(world: &World) -> [PathBuf; 2] {
    let run = world.list("rt").into_iter().find(|name| name.starts_with("run-")).expect("a keeper runs");
    ["keeper.sock", "litestream.sock"].map(|name| world.runtime_dir().join(&run).join(name))
}

/// Whether a process of this user can connect.
fn connects(socket: &Path, user: Option<u32>) -> bool {
    let script = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])";
    let mut command = Command::new("python3");
    command.args(["-I", "-c", script]).arg(socket).stderr(Stdio::null()).current_dir("/");
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.status().expect("there is python3").success()
}

#[test]
fn another_user_reaches_no_socket_of_a_keeper() {
    if !geteuid().is_root() {
        return println!("does not apply: only root can be another user");
    }
    let world = World::new();
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o755)).expect("ours");
    let unit = start_writing(&world, unit::keeper(&world));
    for socket in sockets(&world) {
        assert!(connects(&socket, None), "{} is there", socket.display());
        assert!(!connects(&socket, Some(65534)), "{}", socket.display());
    }
    // Nor where somebody has opened the folders.
    fs::set_permissions(world.runtime_dir(), fs::Permissions::from_mode(0o755)).expect("ours");
    for socket in sockets(&world) {
        assert!(!connects(&socket, Some(65534)), "{}", socket.display());
    }
    unit.stop(0);
}

/// The memory that a process has, in KiB.
fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn a_flood_of_connections_and_reloads_holds_nobody_up() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the kernel tells");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the hard limit");
    let world = World::new();
    let trace = world.trace();
    let unit = start_writing(&world, unit::keeper(&world));
    let reload = || Keeper::new(&world).command("reload").db(&world.db()).run();
    let quiet = reload();
    let before = resident(&unit.keeper());
    let [socket, _] = sockets(&world);
    let connect = || UnixStream::connect(&socket).expect("it listens");
    // Those who say nothing, those who go away at once, and those who do not wait for an answer.
    let silent: Vec<_> = (0..1500).map(|_| connect()).collect();
    (0..12_000).for_each(|_| drop(connect()));
    for _ in 0..1500 {
        // It may have said no already.
        let _ = connect().write_all(b"reload\n");
    }
    let rows = trace.acked().len();
    let flooded = reload();
    assert_eq!(flooded.status.code(), quiet.status.code(), "{}", flooded.log);
    trace.wait_acked(rows + 10);
    let after = resident(&unit.keeper());
    assert!(after < before + 32 * 1024, "{after} KiB, and {before} before");
    drop(silent);
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

/// Each process starts the next one and ends, in sessions of their own, and none hears SIGTERM: whoever kills what he has
/// found finds others. A real one would take the machine along.
#[test]
fn a_bomb_of_forks_is_gone_with_the_app() {
    let world = World::new();
    let bomb = world.program("bomb", "#!/bin/sh\ntrap '' TERM\necho >> \"$1\"\nsetsid \"$0\" \"$1\" &\n");
    let count = world.path("count");
    let app = format!(
        "trap '' TERM; for n in 1 2 3 4 5 6 7 8; do '{0}' '{1}'; done; while :; do sleep 1; done",
        bomb.display(),
        count.display()
    );
    let unit = unit::keeper(&world).args(["--stop-timeout", "3s"]).app(["sh", "-c", &app]).start();
    let born = || fs::metadata(&count).map_or(0, |count| count.len());
    wait_until("a hundred processes", DEADLINE, || born() > 100);
    unit.signal(nix::sys::signal::Signal::SIGTERM);
    // Asserts that nobody is left.
    unit.finish();
    let last = born();
    assert!(last > 100);
    std::thread::yield_now();
    assert_eq!(born(), last);
}

#[test]
fn ten_thousand_databases_are_checked_in_little_memory() {
    let world = World::new();
    fs::create_dir(world.path("data")).expect("ours");
    rusqlite::Connection::open(world.path("data/0.db"))
        .and_then(|database| database.execute_batch("PRAGMA page_size = 512; CREATE TABLE t (x)"))
        .expect("a database");
    let one = fs::read(world.path("data/0.db")).expect("ours");
    (1..10_000).for_each(|number| fs::write(world.path(&format!("data/{number}.db")), &one).expect("ours"));
    let config = world.write("litestream.yml", "dbs: [{dir: data, pattern: '*.db', replica: {path: b}}]\n");
    // The real one is a program of Go's, which takes a gigabyte of addresses for nothing.
    let litestream = world.program("litestream", "#!/bin/sh\necho v0.5.17\n");
    let check =
        Keeper::new(&world).command("check").config(&config).env("LITESTREAM_BINARY_PATH", litestream);
    let ended = check.app(["true"]).wrapped(wrap::address_space(256 << 10)).run();
    // Where fewer files may be open than so many databases need, that is found, and nothing else.
    let errors: Vec<_> = ended.stdout.lines().filter(|line| line.contains(": error: ")).collect();
    assert!(errors.iter().all(|line| line.ends_with("[few-files]")), "{errors:?}");
    let code = if errors.is_empty() { 0 } else { 78 };
    ended.expect_code(code);
}
