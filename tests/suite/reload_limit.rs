//! `reload` waits as long as it was told, whoever answers, or does not.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use crate::support::keeper::Keeper;
use crate::support::world::World;

/// What two seconds may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A lock as a keeper has it, which names this socket.
fn planted(world: &World, socket: &std::path::Path) -> std::fs::File {
    let path = world.path(".app.db-litekeeper.lock");
    let text = format!("pid {}\nkeeper {}\n", std::process::id(), socket.display());
    std::fs::write(&path, text).expect("ours");
    let lock = std::fs::File::open(&path).expect("it is there");
    lock.lock().expect("nobody has it");
    lock
}

fn reload(world: &World, limit: &str) -> Duration {
    let since = Instant::now();
    let reload = Keeper::new(world).command("reload").db(&world.db()).args(["--timeout", limit]);
    reload.run().expect_code(69).expect_log("no answer within 2s").expect_log("hint: ");
    since.elapsed()
}

#[test]
fn the_limit_is_of_the_whole_and_not_of_each_byte() {
    let world = World::new();
    let socket = world.path("keeper.sock");
    let _lock = planted(&world, &socket);
    let listener = UnixListener::bind(&socket).expect("the world's paths are short");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let _ = stream.read(&mut [0; 64]);
        // A byte every now and then, for as long as somebody listens.
        while stream.write_all(b"x").is_ok() {
            let _ = nix::poll::poll(&mut [], 100_u16);
        }
    });
    let took = reload(&world, "2s");
    assert!(took >= Duration::from_secs(2) && took < SOON, "{took:?}");
}

/// On a busy machine it may be late, and what it says has come true all the same.
#[test]
fn what_a_keeper_says_at_the_end_of_the_limit_is_heard() {
    let world = World::new();
    let socket = world.path("keeper.sock");
    let _lock = planted(&world, &socket);
    let listener = UnixListener::bind(&socket).expect("the world's paths are short");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut said = [0; 256];
        let length = stream.read(&mut said).expect("a question");
        let said = String::from_utf8_lossy(&said[..length]).into_owned();
        let within = said.lines().find_map(|line| line.strip_prefix("within ")).expect("a limit");
        let within = Duration::from_millis(within.parse().expect("a number"));
        // Nobody says more before that, so this waits for just as long.
        stream.set_read_timeout(Some(within + Duration::from_millis(100))).expect("a time");
        let _ = stream.read(&mut [0; 1]);
        let report = r#"{"added":["/a.db"],"removed":[],"failed":[{"database":"/b.db","reason":"/b.db: late"}],"error":null,"hint":null,"holds":true,"exit_code":69}"#;
        let _ = stream.write_all(format!("{report}\n").as_bytes());
    });
    let reload = Keeper::new(&world).command("reload").db(&world.db()).args(["--timeout", "2s"]);
    let ended = reload.run().expect_code(69).expect_log("/b.db: late");
    assert_eq!(ended.stdout, "added /a.db\n", "{}", ended.log);
}

#[test]
fn a_socket_that_takes_nobody_in_has_the_same_limit() {
    let world = World::new();
    let socket = world.path("keeper.sock");
    let _lock = planted(&world, &socket);
    let listener = UnixListener::bind(&socket).expect("the world's paths are short");
    // A full house: nobody accepts.
    let mut waiting = Vec::new();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(1).expect("a number"))
        .expect("it listens");
    while let Ok(stream) = try_connect(&socket) {
        waiting.push(stream);
    }
    let took = reload(&world, "2s");
    assert!(took >= Duration::from_secs(2) && took < SOON, "{took:?}");
    drop(listener);
}

fn try_connect(path: &std::path::Path) -> nix::Result<UnixStream> {
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    let made = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None)?;
    connect(made.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(made.into())
}
