//! `probe`: an app that does what a test asks, one step after the other, and writes down all it does.
//!
//! ```text
//! probe TRACE [STEP]… [-- ANYTHING…]
//! ```
//!
//! | step | what it does | line in TRACE (after `<pid> `) |
//! |---|---|---|
//! | (start) | always the first line | `start` |
//! | (a signal) | any that can be caught, then its rule | `signal NUMBER` |
//! | `on SIG\|all ignore` | rule: only write it down | |
//! | `on SIG\|all exit N` | rule: end with N | `exit N` |
//! | `on SIG\|all die` | rule: what the signal does by default (this is the rule when there is none) | |
//! | `on SIG\|all last DB N` | rule: one more row, then end with N | `acked ID`, `exit N` |
//! | `on SIG\|all linger DUR N` | rule: go on for DUR, then end with N | `exit N` |
//! | `ready` | nothing | `ready` |
//! | `insert DB N DUR` | N rows (`forever`: no end) into `t(id, v)`, DUR after each | `acked ID` after each COMMIT |
//! | `sql DB N DUR TEXT` | statements on one connection, N times (`forever`: no end), DUR after each | `done N` after each |
//! | `until PATH` | waits until there is such a file | `until` |
//! | `once PATH` | makes the file; if it is there already, waits for a signal instead of going on | `again` |
//! | `count DB` | counts the rows; creates nothing | `count N`, or `count none` without a database |
//! | `argv`, `cwd` | nothing | `argv HEX HEX …`, `cwd HEX` (whole argv, without argv\[0\]) |
//! | `env NAME` | nothing | `env NAME HEX`, or `env NAME unset` |
//! | `fds` | nothing | `fds 0 1 2 …`: the descriptors that were open at the start |
//! | `listen` | nothing | `listen own-pid\|other-pid\|no-pid COUNT` (LISTEN_PID, LISTEN_FDS) |
//! | `tty` | nothing | `tty foreground\|background\|none` |
//! | `cat` | copies stdin to stdout until its end | `cat BYTES` |
//! | `line` | reads one line of stdin | `line TEXT` |
//! | `print TEXT`, `eprint TEXT` | a line on stdout, on stderr | |
//! | `spawn child\|group\|setsid STEP… end` | another probe: plain, in its own group, in its own session | `spawned PID` |
//! | `orphans N` | N processes whose parent is gone, and which end soon | `orphans N` |
//! | `forge` | says in the name of its parent, by each socket of it and of its parent, that it ended with 0 | `forged COUNT` |
//! | `greet PID` | as `forge`, and before that that its shim is PID | `forged COUNT` |
//! | `sleep DUR`, `wait` | for DUR; until a signal ends it | |
//! | `raise SIG` | what the signal does by default | |
//! | `exit N` | ends with N; with no step left it ends with 0 | `exit N` |
//!
//! Every line is one write to a file opened for appending, so several processes can share TRACE.
//! All signals are blocked and taken by one thread with `sigwait(3)`: that way even SEGV and TSTP can be
//! written down. What a child finds in `/proc/self/status` is therefore asked of `grep`, not of this app.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal};
use nix::unistd::{getpgrp, getpid, setsid, tcgetpgrp};

type Failed = Box<dyn std::error::Error>;

fn main() {
    let mut words: VecDeque<OsString> = std::env::args_os().skip(1).collect();
    let Some(trace) = words.pop_front() else {
        eprintln!("usage: probe TRACE [STEP]… [-- ANYTHING…]");
        leave(2);
    };
    // Read before anything of our own is opened.
    let descriptors = open_descriptors();
    let mut probe = match Probe::new(Path::new(&trace), words, descriptors) {
        Ok(probe) => probe,
        Err(error) => fail(&*error),
    };
    let code = probe.run().unwrap_or_else(|error| fail(&*error));
    probe.trace.write(&format!("exit {code}"));
    leave(code);
}

fn fail(error: &dyn std::error::Error) -> ! {
    eprintln!("probe: {error}");
    leave(2)
}

#[expect(clippy::disallowed_methods, reason = "the app ends here, from whichever thread")]
fn leave(code: i32) -> ! {
    std::process::exit(code)
}

#[expect(clippy::disallowed_methods, reason = "an app's pace is part of what it plays, nothing waits on it")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The trace file, shared by all probes of a test.
#[derive(Clone)]
struct Trace {
    path: PathBuf,
    file: Arc<File>,
}

impl Trace {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { path: path.to_path_buf(), file: Arc::new(file) })
    }

    fn write(&self, event: &str) {
        let line = format!("{} {event}\n", getpid());
        if let Err(error) = (&*self.file).write_all(line.as_bytes()) {
            eprintln!("probe: cannot write to {}: {error}", self.path.display());
        }
    }
}

/// What a signal does.
#[derive(Clone)]
enum Rule {
    Ignore,
    Die,
    Exit(i32),
    Last(PathBuf, i32),
    Linger(Duration, i32),
}

type Rules = Arc<Mutex<HashMap<Signal, Rule>>>;

struct Probe {
    trace: Trace,
    rules: Rules,
    words: VecDeque<OsString>,
    descriptors: Vec<i32>,
}

impl Probe {
    fn new(trace: &Path, words: VecDeque<OsString>, descriptors: Vec<i32>) -> Result<Self, Failed> {
        let trace = Trace::open(trace)?;
        // Before the first thread, so that every thread inherits it.
        SigSet::all().thread_block()?;
        trace.write("start");
        let rules = Rules::default();
        let (for_thread, rules_for_thread) = (trace.clone(), Arc::clone(&rules));
        std::thread::spawn(move || take_signals(&for_thread, &rules_for_thread));
        Ok(Self { trace, rules, words, descriptors })
    }

    fn run(&mut self) -> Result<i32, Failed> {
        while let Some(step) = self.words.pop_front() {
            match step.to_string_lossy().as_ref() {
                "--" => break,
                "on" => self.on()?,
                "ready" => self.trace.write("ready"),
                "insert" => self.insert()?,
                "sql" => self.sql()?,
                "until" => {
                    let path = self.path()?;
                    while !path.exists() {
                        pause(Duration::from_millis(1));
                    }
                    self.trace.write("until");
                }
                "once" => {
                    if let Err(error) = File::create_new(self.path()?) {
                        if error.kind() != io::ErrorKind::AlreadyExists {
                            return Err(error.into());
                        }
                        self.trace.write("again");
                        loop {
                            std::thread::park();
                        }
                    }
                }
                "count" => {
                    let database = self.path()?;
                    let count = count(&database)?.map_or("none".to_owned(), |n| n.to_string());
                    self.trace.write(&format!("count {count}"));
                }
                "argv" => {
                    let all: Vec<_> = std::env::args_os().skip(1).map(|a| hex(&a)).collect();
                    self.trace.write(&format!("argv {}", all.join(" ")));
                }
                "cwd" => self.trace.write(&format!("cwd {}", hex(std::env::current_dir()?.as_os_str()))),
                "env" => {
                    let name = self.text()?;
                    let value = std::env::var_os(&name).map_or("unset".to_owned(), |v| hex(&v));
                    self.trace.write(&format!("env {name} {value}"));
                }
                "fds" => {
                    let all: Vec<_> = self.descriptors.iter().map(i32::to_string).collect();
                    self.trace.write(&format!("fds {}", all.join(" ")));
                }
                "listen" => self.trace.write(&listen()),
                "tty" => self.trace.write(&terminal()),
                "cat" => {
                    let bytes = io::copy(&mut io::stdin().lock(), &mut io::stdout().lock())?;
                    io::stdout().flush()?;
                    self.trace.write(&format!("cat {bytes}"));
                }
                "line" => self.trace.write(&format!("line {}", read_line()?)),
                "print" => println!("{}", self.text()?),
                "eprint" => eprintln!("{}", self.text()?),
                "spawn" => self.spawn()?,
                "orphans" => self.orphans()?,
                "forge" => self.forge(&[])?,
                "greet" => {
                    // `ToKeeper::Ready`, whose number is zigzag and seven bits a byte.
                    let (mut number, mut said) = (self.number()? as u32 * 2, vec![0]);
                    while number > 127 {
                        said.push(number as u8 | 128);
                        number >>= 7;
                    }
                    said.push(number as u8);
                    self.forge(&[said])?;
                }
                "sleep" => pause(self.duration()?),
                "wait" => loop {
                    std::thread::park();
                },
                "raise" => die_of(self.signal()?),
                "exit" => return self.number(),
                other => return Err(format!("unknown step {other:?}").into()),
            }
        }
        Ok(0)
    }

    fn on(&mut self) -> Result<(), Failed> {
        let which = self.text()?;
        let rule = match self.text()?.as_str() {
            "ignore" => Rule::Ignore,
            "die" => Rule::Die,
            "exit" => Rule::Exit(self.number()?),
            "last" => Rule::Last(self.path()?, self.number()?),
            "linger" => Rule::Linger(self.duration()?, self.number()?),
            other => return Err(format!("unknown rule {other:?}").into()),
        };
        let mut rules = self.rules.lock().map_err(|_| "a thread died with the rules")?;
        match which.as_str() {
            "all" => rules.extend(Signal::iterator().map(|signal| (signal, rule.clone()))),
            name => {
                rules.insert(parse_signal(name)?, rule);
            }
        }
        Ok(())
    }

    fn insert(&mut self) -> Result<(), Failed> {
        let database = open(&self.path()?)?;
        let rows = self.times()?;
        let pace = self.duration()?;
        for _ in 0..rows {
            self.trace.write(&format!("acked {}", insert_row(&database)?));
            pause(pace);
        }
        Ok(())
    }

    fn sql(&mut self) -> Result<(), Failed> {
        let database = open(&self.path()?)?;
        let (times, pace, statements) = (self.times()?, self.duration()?, self.text()?);
        for time in 1..=times {
            database.execute_batch(&statements)?;
            self.trace.write(&format!("done {time}"));
            pause(pace);
        }
        Ok(())
    }

    /// Starts another probe with the words up to the `end` that belongs to this `spawn`.
    fn spawn(&mut self) -> Result<(), Failed> {
        let how = self.text()?;
        let mut inner = Vec::new();
        let mut depth = 1;
        while depth > 0 {
            let word = self.word()?;
            depth += i32::from(word == "spawn") - i32::from(word == "end");
            inner.push(word);
        }
        inner.pop();
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(&self.trace.path).args(inner);
        let own_session = how == "setsid";
        match how.as_str() {
            "child" | "setsid" => (),
            "group" => {
                command.process_group(0);
            }
            other => return Err(format!("unknown way to spawn {other:?}").into()),
        }
        // SAFETY: only sigprocmask(2) and setsid(2) are called, both async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
                if own_session {
                    setsid()?;
                }
                Ok(())
            });
        }
        let mut child = command.spawn()?;
        self.trace.write(&format!("spawned {}", child.id()));
        std::thread::spawn(move || child.wait());
        Ok(())
    }

    fn orphans(&mut self) -> Result<(), Failed> {
        let number = self.number()?;
        let script = "i=0; while [ $i -lt $1 ]; do sleep 0.05 & i=$((i+1)); done";
        let status = Command::new("sh")
            .args(["-c", script, "orphans", &number.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("sh ended with {status}").into());
        }
        self.trace.write(&format!("orphans {number}"));
        Ok(())
    }

    fn forge(&mut self, before: &[Vec<u8>]) -> Result<(), Failed> {
        let parent = std::os::unix::process::parent_id() as i32;
        let status = std::fs::read_to_string(format!("/proc/{parent}/status"))?;
        let above = status.lines().find_map(|line| line.strip_prefix("PPid:")).ok_or("no parent")?;
        let mut count = 0;
        for pid in [parent, above.trim().parse()?] {
            let pid = rustix::process::Pid::from_raw(pid).ok_or("no parent")?;
            let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
            let taken = |number| {
                rustix::process::pidfd_getfd(&process, number, rustix::process::PidfdGetfdFlags::empty()).ok()
            };
            for socket in (0..64).filter_map(taken) {
                // `ToKeeper::Exited` with code 0 and nothing left. What is no line to a keeper does not take it.
                let is_line = nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::SockType)
                    .is_ok_and(|kind| kind == nix::sys::socket::SockType::SeqPacket);
                if is_line {
                    before.iter().try_for_each(|said| nix::unistd::write(&socket, said).map(drop))?;
                }
                count += i32::from(is_line && nix::unistd::write(&socket, &[3, 0, 0]).is_ok());
            }
        }
        self.trace.write(&format!("forged {count}"));
        Ok(())
    }

    fn word(&mut self) -> Result<OsString, Failed> {
        self.words.pop_front().ok_or_else(|| "the last step lacks a word".into())
    }

    fn text(&mut self) -> Result<String, Failed> {
        Ok(self.word()?.to_string_lossy().into_owned())
    }

    fn path(&mut self) -> Result<PathBuf, Failed> {
        self.word().map(PathBuf::from)
    }

    fn number(&mut self) -> Result<i32, Failed> {
        let text = self.text()?;
        text.parse().map_err(|_| format!("not a number: {text:?}").into())
    }

    fn times(&mut self) -> Result<u64, Failed> {
        match self.text()?.as_str() {
            "forever" => Ok(u64::MAX),
            number => Ok(number.parse()?),
        }
    }

    fn signal(&mut self) -> Result<Signal, Failed> {
        parse_signal(&self.text()?)
    }

    /// Milliseconds, with or without `ms`.
    fn duration(&mut self) -> Result<Duration, Failed> {
        let text = self.text()?;
        let number = text.strip_suffix("ms").unwrap_or(&text);
        Ok(Duration::from_millis(number.parse().map_err(|_| format!("not milliseconds: {text:?}"))?))
    }
}

/// Takes every signal that can be caught, writes it down and does what its rule says.
fn take_signals(trace: &Trace, rules: &Rules) {
    loop {
        let mut number = 0;
        // SAFETY: sigwait(3) reads the set and writes one integer, both of which are locals.
        if unsafe { nix::libc::sigwait(SigSet::all().as_ref(), &mut number) } != 0 {
            continue;
        }
        trace.write(&format!("signal {number}"));
        // A real-time signal has no name, and no rule.
        let Ok(signal) = Signal::try_from(number) else { continue };
        let rule = rules.lock().ok().and_then(|rules| rules.get(&signal).cloned()).unwrap_or(Rule::Die);
        let code = match rule {
            Rule::Ignore => continue,
            Rule::Die => {
                die_of(signal);
                continue;
            }
            Rule::Exit(code) => code,
            Rule::Last(database, code) => {
                match open(&database).and_then(|database| Ok(insert_row(&database)?)) {
                    Ok(id) => trace.write(&format!("acked {id}")),
                    Err(error) => fail(&*error),
                }
                code
            }
            Rule::Linger(time, code) => {
                pause(time);
                code
            }
        };
        trace.write(&format!("exit {code}"));
        leave(code);
    }
}

/// What the signal does by default: most end the process, some stop it, some do nothing.
fn die_of(signal: Signal) {
    if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
        // Rust's runtime has a handler for SEGV and BUS, and ignores PIPE.
        // SAFETY: the default disposition runs no code of ours.
        let _ = unsafe { signal::signal(signal, SigHandler::SigDfl) };
    }
    let mut only = SigSet::empty();
    only.add(signal);
    let _ = signal::raise(signal);
    let _ = only.thread_unblock();
    let _ = only.thread_block();
}

fn parse_signal(name: &str) -> Result<Signal, Failed> {
    let full = if name.starts_with("SIG") { name.to_owned() } else { format!("SIG{name}") };
    full.parse().map_err(|_| format!("unknown signal {name:?}").into())
}

/// Opens the app's database the way a careful app does.
fn open(path: &Path) -> Result<rusqlite::Connection, Failed> {
    let database = rusqlite::Connection::open(path)?;
    database.execute_batch(
        "PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v TEXT);",
    )?;
    Ok(database)
}

fn insert_row(database: &rusqlite::Connection) -> rusqlite::Result<i64> {
    database.execute("INSERT INTO t (v) VALUES (?1)", [format!("row of {}", getpid())])?;
    Ok(database.last_insert_rowid())
}

fn count(path: &Path) -> Result<Option<i64>, Failed> {
    if !path.exists() {
        return Ok(None);
    }
    let database = rusqlite::Connection::open(path)?;
    database.execute_batch("PRAGMA busy_timeout = 60000")?;
    Ok(Some(database.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?))
}

fn listen() -> String {
    let pid = match std::env::var("LISTEN_PID") {
        Ok(pid) if pid == getpid().to_string() => "own-pid",
        Ok(_) => "other-pid",
        Err(_) => "no-pid",
    };
    format!("listen {pid} {}", std::env::var("LISTEN_FDS").unwrap_or_else(|_| "0".to_owned()))
}

fn terminal() -> String {
    let stdin = io::stdin();
    let place = match tcgetpgrp(&stdin) {
        _ if !stdin.is_terminal() => "none",
        Ok(group) if group == getpgrp() => "foreground",
        _ => "background",
    };
    format!("tty {place}")
}

/// Reads to the end of a line byte by byte, so that nothing after it is taken.
fn read_line() -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while io::stdin().read(&mut byte)? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    Ok(OsString::from_vec(line).to_string_lossy().into_owned())
}

/// The descriptors that are open, without the one that lists them.
fn open_descriptors() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut open: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    open.retain(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok());
    open.sort_unstable();
    open
}

fn hex(text: &OsStr) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    text.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
