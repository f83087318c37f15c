//! A server of somebody else's, started for one test on a free port, that can be taken away and brought back.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use super::procfs::Process;
use super::wait::{DEADLINE, wait_until};

/// A port that nobody has.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("there are ports").port()
}

/// A program of the system, also where only root's `PATH` leads to it.
#[track_caller]
pub fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("this test needs {name}: install Debian's {package}, as .ci/run does"))
}

/// A server that answers everything with this page, as a portal or a console does; returns its endpoint.
pub fn portal(page: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|length| length > 0) {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
                        page.len()
                    );
                    if stream.write_all(format!("{head}{page}").as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

/// It goes with the value, and all that it started with it.
pub struct Server {
    command: Command,
    port: u16,
    log: PathBuf,
    running: Option<Child>,
    is_asked: bool,
}

impl Server {
    /// Starts it and waits until it listens on `port`. It gets no variables but `PATH`, and writes its log beside the
    /// files of `folder`.
    #[track_caller]
    pub fn start(program: &Path, folder: &Path, port: u16, set: impl FnOnce(&mut Command)) -> Self {
        let log = folder.join(format!("server-{port}.log"));
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(folder);
        command.process_group(0).stdin(Stdio::null());
        set(&mut command);
        // SAFETY: prctl(2) is async-signal-safe.
        unsafe { command.pre_exec(die_with_the_test) };
        let mut server = Self { command, port, log, running: None, is_asked: false };
        server.up();
        server
    }

    /// Starts it again.
    #[track_caller]
    pub fn up(&mut self) {
        let log =
            File::options().create(true).append(true).open(&self.log).expect("the folder is the test's");
        let twin = log.try_clone().expect("a descriptor is left");
        let mut child = self.command.stdout(twin).stderr(log).spawn().expect("it can be started");
        let (port, log) = (self.port, self.log.clone());
        wait_until("a server that listens", DEADLINE, || {
            let ended = child.try_wait().expect("nobody else waits for it");
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "{:?} ended: {}", self.command, said());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        self.running = Some(child);
    }

    /// Has it told to end before it is killed: it keeps in memory what it has not written yet.
    pub fn told_to_end(mut self) -> Self {
        self.is_asked = true;
        self
    }

    /// Stops its process; it can be taken away then.
    pub fn pause(&self) {
        let running = self.running.as_ref().and_then(|child| Process::of(child.id().cast_signed()));
        running.expect("it runs").signal(Signal::SIGSTOP);
    }

    /// Kills it: what listens first, then whatever serves a connection.
    pub fn down(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        if self.is_asked && !std::thread::panicking() {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            wait_until("a server that was told to end", DEADLINE, || !matches!(child.try_wait(), Ok(None)));
        }
        let mut tree = vec![child.id().cast_signed()];
        let mut next = 0;
        while let Some(pid) = tree.get(next) {
            tree.extend(Process::children(*pid).iter().map(|process| process.pid));
            next += 1;
        }
        // Nobody has taken their numbers meanwhile: they are looked up a moment ago.
        let mine = tree.iter().filter_map(|pid| Process::of(*pid));
        mine.for_each(|process| process.signal(Signal::SIGKILL));
        let _ = child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let end = log.lines().rev().take(40).collect::<Vec<_>>();
            eprintln!("--- the server's last lines ---");
            end.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// `PR_SET_PDEATHSIG` (prctl(2)): of the thread that is the test.
fn die_with_the_test() -> std::io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(std::io::Error::from)
}
