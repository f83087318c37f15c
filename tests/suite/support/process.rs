//! A started program: its log, its signals, its end, and whatever it left behind.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, kill, killpg, signal};
use nix::unistd::Pid;

use super::procfs::{MARK, Process, sweep_dead_suites};
use super::wait::{DEADLINE, wait_for, wait_until};

/// A program with a clean environment and a mark, not yet started.
pub struct Spec {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    mark: String,
    piped_stdin: bool,
    forbidden: Option<i64>,
}

impl Spec {
    /// A program that will run in `cwd`, with nothing of the suite's own environment but `PATH`:
    /// `AWS_CA_BUNDLE` alone breaks every S3 replica.
    pub fn new(program: &Path, cwd: &Path) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            sweep_dead_suites();
            keep_inherited_descriptors();
        });
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}.{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let env = [
            ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
            ("HOME".into(), cwd.as_os_str().to_owned()),
            ("LANG".into(), "C.UTF-8".into()),
            (MARK.into(), (&mark).into()),
        ];
        Self {
            program: program.to_path_buf(),
            args: Vec::new(),
            env: env.into(),
            cwd: cwd.to_path_buf(),
            mark,
            piped_stdin: false,
            forbidden: None,
        }
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
    }

    /// Sets a variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
    }

    /// Sets the working directory.
    pub fn cwd(&mut self, cwd: &Path) {
        self.cwd = cwd.to_path_buf();
    }

    /// Makes stdin a pipe for [`Running::feed`] instead of `/dev/null`.
    pub fn piped_stdin(&mut self) {
        self.piped_stdin = true;
    }

    /// Has the kernel refuse a system call, see [`super::seccomp`].
    pub fn forbid(&mut self, call: i64) {
        self.forbidden = Some(call);
    }

    /// Puts another program with arguments in front, see [`super::wrap`].
    pub fn wrap(&mut self, wrapper: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        let mut words: Vec<OsString> = wrapper.into_iter().map(|word| word.as_ref().to_owned()).collect();
        words.extend(self.words().map(OsStr::to_owned).collect::<Vec<_>>());
        self.program = words.remove(0).into();
        self.args = words;
    }

    /// The program and its arguments, one word each.
    pub fn words(&self) -> impl Iterator<Item = &OsStr> {
        std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str))
    }

    /// The mark that all descendants will carry.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// The command, without standard descriptors.
    pub fn command(&self) -> Command {
        self.command_of(&self.program, &self.args)
    }

    /// Another program in the same environment and folder, with the same mark.
    pub fn command_of(&self, program: &Path, args: &[OsString]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(self.env.iter().cloned()).current_dir(&self.cwd);
        // SAFETY: sigaction(2) is async-signal-safe.
        unsafe { command.pre_exec(as_from_a_terminal) };
        command
    }

    /// Starts it as the leader of a process group of its own.
    pub fn start(self) -> Running {
        let mut command = self.command();
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.piped_stdin { Stdio::piped() } else { Stdio::null() });
        if let Some(call) = self.forbidden {
            super::seccomp::forbid(&mut command, call);
        }
        Running::new(command, self.mark)
    }

    /// Starts it, waits for its end within `deadline` and for the end of all that it started.
    pub fn run(self, deadline: Duration) -> Ended {
        self.start().finish_within(deadline)
    }
}

/// What `nohup`, or a shell that put the tests into the background, has ignored is nothing that programs start with.
fn as_from_a_terminal() -> std::io::Result<()> {
    for number in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: no handler is set.
        unsafe { signal(number, SigHandler::SigDfl) }?;
    }
    Ok(())
}

/// Marks what this process inherited as its own (`FD_CLOEXEC`), so that a program starts with 0, 1 and 2 alone.
fn keep_inherited_descriptors() {
    for (fd, _) in Process::of(std::process::id().cast_signed()).expect("this process").descriptors() {
        // SAFETY: the descriptor is only looked up for this one call, which fails when it is closed by now.
        let inherited = unsafe { BorrowedFd::borrow_raw(fd) };
        if fd > 2 {
            let _ = fcntl(inherited, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
        }
    }
}

/// What is left of a program that ended, and left no process behind.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its stderr.
    pub log: String,
    /// Its stdout.
    pub stdout: String,
}

impl Ended {
    /// Asserts the exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        let Self { status, log, stdout } = &self;
        assert_eq!(status.code(), Some(code), "ended with {status}; its stderr:\n{log}its stdout:\n{stdout}");
        self
    }

    /// Asserts that stderr or stdout holds `text`: Litestream writes errors to both.
    #[track_caller]
    pub fn expect_output(self, text: &str) -> Self {
        let Self { log, stdout, .. } = &self;
        assert!(log.contains(text) || stdout.contains(text), "no {text:?} in\n{log}nor in stdout:\n{stdout}");
        self
    }

    /// Asserts that stderr holds `text`.
    #[track_caller]
    pub fn expect_log(self, text: &str) -> Self {
        assert!(self.log.contains(text), "no {text:?} in the log:\n{}", self.log);
        self
    }
}

/// A program that was started. Dropping it kills whatever it left; after its own end that is a failed test.
pub struct Running {
    child: Child,
    ended: Option<ExitStatus>,
    stdin: Option<ChildStdin>,
    mark: String,
    log: Lines,
    stdout: Lines,
}

impl Running {
    /// Starts `command`, whose environment carries `mark`.
    pub fn new(mut command: Command, mark: String) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let log = child.stderr.take().map_or_else(Lines::none, Lines::collect);
        let stdout = child.stdout.take().map_or_else(Lines::none, Lines::collect);
        Self { child, ended: None, stdin, mark, log, stdout }
    }

    /// The id of the program itself.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Its stderr up to now.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Its stdout up to now.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits for the first line of stderr that `wanted` takes, old lines included.
    #[track_caller]
    pub fn wait_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        self.log.wait(1, DEADLINE, wanted)
    }

    /// Waits for the `n`th line (from 1) of stderr that holds `text`.
    #[track_caller]
    pub fn wait_log(&self, n: usize, text: &str) -> String {
        self.log.wait(n, DEADLINE, |line| line.contains(text))
    }

    /// Waits for the first line of stdout that holds `text`.
    #[track_caller]
    pub fn wait_stdout(&self, text: &str) -> String {
        self.stdout.wait(1, DEADLINE, |line| line.contains(text))
    }

    /// Writes to its stdin, which was asked for with `piped_stdin`.
    pub fn feed(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("stdin is a pipe and open");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("the program reads its stdin");
    }

    /// Closes its stdin.
    pub fn end_stdin(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal to the program itself.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        assert!(self.ended.is_none(), "a signal for a program that was waited for");
        kill(Pid::from_raw(self.pid()), signal).expect("the program is not yet waited for");
    }

    /// Sends a signal to its whole process group, as a terminal's Ctrl-C does.
    #[track_caller]
    pub fn signal_group(&self, signal: Signal) {
        killpg(Pid::from_raw(self.pid()), signal).expect("the program leads a group");
    }

    /// Waits for its end; panics with its log after [`DEADLINE`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(DEADLINE)
    }

    /// Waits for its end; panics with its log after `deadline`.
    #[track_caller]
    pub fn wait_within(&mut self, deadline: Duration) -> ExitStatus {
        let status = wait_for("the end of the program", deadline, || self.try_wait());
        self.ended = Some(status);
        status
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("nobody else waits for this child");
        }
        self.ended
    }

    /// Waits for its end and for the end of all that it started.
    #[track_caller]
    pub fn finish(self) -> Ended {
        self.finish_within(DEADLINE)
    }

    /// The same with a deadline of one's own.
    #[track_caller]
    pub fn finish_within(mut self, deadline: Duration) -> Ended {
        let status = self.wait_within(deadline);
        self.assert_no_survivor();
        self.log.wait_end();
        self.stdout.wait_end();
        Ended { status, log: self.log(), stdout: self.stdout() }
    }

    /// Sends TERM, waits for the end, and asserts that nothing is left and that the code is `code`.
    #[track_caller]
    pub fn stop(self, code: i32) -> Ended {
        self.signal(Signal::SIGTERM);
        self.finish().expect_code(code)
    }

    /// Asserts that within [`DEADLINE`] no process that this one started is left (promise P5).
    #[track_caller]
    pub fn assert_no_survivor(&self) {
        let start = Instant::now();
        let left = wait_for("nothing", DEADLINE * 2, || {
            let left = self.tree();
            (left.is_empty() || start.elapsed() > DEADLINE).then_some(left)
        });
        assert!(left.is_empty(), "these survived: {left:#?}\nthe log:\n{}", self.log());
    }

    /// Every living process that this one started, and itself, whoever is the parent now.
    pub fn tree(&self) -> Vec<Process> {
        Process::marked(&self.mark)
    }

    /// Waits until exactly one process of the tree is `wanted`, and returns it.
    #[track_caller]
    pub fn wait_process(&self, what: &str, wanted: impl Fn(&Process) -> bool) -> Process {
        wait_for(what, DEADLINE, || {
            let mut found: Vec<_> = self.tree().into_iter().filter(&wanted).collect();
            if found.len() == 1 { found.pop() } else { None }
        })
    }

    /// The keeper itself: the program, unless that is a wrapper such as `unshare`.
    #[track_caller]
    pub fn keeper(&self) -> Process {
        self.wait_process("one keeper", |process| {
            process.is("litekeeper") && process.cmdline.get(1).is_some_and(|command| command == "run")
        })
    }

    /// The running `litestream replicate`.
    #[track_caller]
    pub fn litestream(&self) -> Process {
        self.wait_process("one litestream replicate", |process| {
            process.is("litestream") && process.cmdline.get(1).is_some_and(|command| command == "replicate")
        })
    }

    /// The resident parent of the app.
    #[track_caller]
    pub fn shim(&self) -> Process {
        self.wait_process("one shim", |process| process.cmdline.get(1).is_some_and(|arg| arg == "__shim"))
    }

    /// The app itself: the shim's child, once it runs its own program.
    #[track_caller]
    pub fn app(&self) -> Process {
        let shim = self.shim();
        self.wait_process("one app", |process| {
            process.ppid == shim.pid && process.cmdline.get(1).is_none_or(|arg| arg != "__shim")
        })
    }

    /// Kills one process of the tree and waits until it is gone.
    #[track_caller]
    pub fn kill(&self, process: &Process, signal: Signal) {
        process.signal(signal);
        wait_until("the end of a process that got a signal", DEADLINE, || !super::procfs::alive(process.pid));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let over = self.try_wait().is_some();
        let mut left = self.tree();
        let first = left.clone();
        while !left.is_empty() {
            for process in &left {
                process.signal(Signal::SIGKILL);
            }
            left = self.tree();
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- stdout ---\n{}--- stderr ---\n{}--- end ---", self.stdout(), self.log());
        } else {
            assert!(!over || first.is_empty(), "these survived: {first:#?}\nthe log:\n{}", self.log());
        }
    }
}

/// The lines of a stream, read by a thread that nobody joins: a survivor may hold the pipe open for ever.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Seen>, Condvar)>);

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// A stream that is not ours to read.
    fn none() -> Self {
        let lines = Self::default();
        lines.change(|seen| seen.ended = true);
        lines
    }

    fn collect(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                writer.change(|seen| seen.lines.push(String::from_utf8_lossy(&line).trim_end().to_owned()));
                line.clear();
            }
            writer.change(|seen| seen.ended = true);
        });
        lines
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        let (seen, changed) = &*self.0;
        change(&mut seen.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    fn text(&self) -> String {
        let seen = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// Waits until the stream ended; after [`DEADLINE`] what was read has to do.
    fn wait_end(&self) {
        let (seen, changed) = &*self.0;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_timeout_while(seen, DEADLINE, |seen| !seen.ended));
    }

    #[track_caller]
    fn wait(&self, n: usize, deadline: Duration, wanted: impl Fn(&str) -> bool) -> String {
        let (seen, changed) = &*self.0;
        let start = Instant::now();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = seen.lines.iter().filter(|line| wanted(line)).nth(n - 1) {
                return line.clone();
            }
            let left = deadline.saturating_sub(start.elapsed());
            if seen.ended || left.is_zero() {
                let why = if seen.ended { "the stream ended" } else { "the deadline passed" };
                let all = seen.lines.join("\n");
                drop(seen);
                panic!("{why} before line {n} of its kind came; all lines:\n{all}");
            }
            seen = changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
