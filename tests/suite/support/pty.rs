//! A shell with job control on a terminal of its own (`pty(7)`), for Ctrl-C, Ctrl-Z and `fg`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{pipe2, setsid};

use super::process::{Running, Spec};
use super::wait::DEADLINE;

nix::ioctl_write_int_bad!(
    /// Makes the terminal the controlling one of this session (`ioctl_tty(2)`).
    set_controlling_terminal,
    libc::TIOCSCTTY
);
nix::ioctl_write_ptr_bad!(
    /// Sets the terminal's size; its foreground group gets WINCH (`ioctl_tty(2)`).
    set_window_size,
    libc::TIOCSWINSZ,
    Winsize
);

/// What the shell prints when it waits for a line.
pub const PROMPT: &str = "prompt> ";

/// A shell on a terminal. Echo is off, so that all that can be read was written by a program.
pub struct Terminal {
    running: Running,
    keyboard: File,
    screen: Screen,
    /// Who reads the screen, until this end of a pipe is closed.
    reader: JoinHandle<()>,
    reading: OwnedFd,
}

/// What the terminal showed, and how far it was looked at.
#[derive(Clone, Default)]
struct Screen(Arc<(Mutex<Shown>, Condvar)>);

#[derive(Default)]
struct Shown {
    text: String,
    seen: usize,
    ended: bool,
}

impl Terminal {
    /// An interactive `sh` in the environment and folder of `spec`.
    pub fn shell(spec: &Spec) -> Self {
        // Not openpty(3): a descriptor that another test's child inherits keeps the terminal open for ever.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a terminal can be had");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is a new terminal");
        let name = ptsname_r(&master).expect("it has a name");
        let slave = open(name.as_str(), flags, Mode::empty()).expect("it can be opened");
        let keyboard = File::from(OwnedFd::from(master));
        set_size(&keyboard, 24, 80);
        let mut settings = tcgetattr(&slave).expect("it is a terminal");
        settings.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&slave, SetArg::TCSANOW, &settings).expect("it is a terminal");

        let mut command = spec.command_of(Path::new("sh"), &[OsString::from("-i")]);
        command.env("PS1", PROMPT).env("TERM", "dumb");
        let end = |slave: &OwnedFd| Stdio::from(slave.try_clone().expect("a descriptor can be copied"));
        command.stdin(end(&slave)).stdout(end(&slave)).stderr(end(&slave));
        // SAFETY: setsid(2) and ioctl(2) are async-signal-safe; descriptor 0 is the terminal by then.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                set_controlling_terminal(0, 0)?;
                Ok(())
            });
        }
        let running = Running::new(command, spec.mark().to_owned());
        let screen = Screen::default();
        let (ending, reading) = pipe2(OFlag::O_CLOEXEC).expect("a pipe can be had");
        let reader = screen.collect(keyboard.try_clone().expect("a descriptor can be copied"), ending);
        let mut terminal = Self { running, keyboard, screen, reader, reading };
        terminal.wait(PROMPT);
        terminal
    }

    /// The shell and all that it started.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Types a line.
    pub fn line(&mut self, text: &str) {
        self.send(format!("{text}\n").as_bytes());
    }

    /// Types Ctrl and a letter.
    pub fn ctrl(&mut self, letter: char) {
        let code = letter.to_ascii_uppercase() as u8 - b'@';
        self.send(&[code]);
    }

    /// Changes the window's size.
    pub fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.keyboard, rows, columns);
    }

    /// Waits until the terminal shows `text` behind what was waited for before; returns all up to its end.
    #[track_caller]
    pub fn wait(&mut self, text: &str) -> String {
        let (shown, changed) = &*self.screen.0;
        let start = Instant::now();
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let fresh = &shown.text[shown.seen..];
            if let Some(at) = fresh.find(text) {
                let found = fresh[..at + text.len()].to_owned();
                shown.seen += found.len();
                return found;
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            if left.is_zero() || shown.ended {
                let all = shown.text.clone();
                drop(shown);
                panic!("the terminal does not show {text:?}; all that it showed:\n{all}");
            }
            shown = changed.wait_timeout(shown, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Types `exit` and asserts that nothing is left.
    #[track_caller]
    pub fn close(mut self) {
        self.line("exit");
        self.running.wait();
        self.running.assert_no_survivor();
    }

    /// Closes the terminal's window: the shell is hung up on, and nobody can read or write there any more.
    pub fn hang_up(self) -> Running {
        drop(self.reading);
        self.reader.join().expect("the reader only reads");
        drop(self.keyboard);
        self.running
    }

    fn send(&mut self, bytes: &[u8]) {
        self.keyboard.write_all(bytes).expect("the terminal takes a few bytes");
    }
}

impl Screen {
    /// Reads until the other end of `ending` is closed, or the terminal's.
    fn collect(&self, mut terminal: File, ending: OwnedFd) -> JoinHandle<()> {
        let screen = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let mut waiting =
                    [&terminal.as_fd(), &ending.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
                let ended = poll(&mut waiting, PollTimeout::NONE).is_err() || waiting[1].any() == Some(true);
                // Reading fails with EIO when the last program has closed the other end.
                let read = if ended { Ok(0) } else { terminal.read(&mut buffer) };
                let Ok(bytes @ 1..) = read else { break };
                let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
                screen.change(|shown| shown.text.push_str(&text));
            }
            screen.change(|shown| shown.ended = true);
        })
    }

    fn change(&self, change: impl FnOnce(&mut Shown)) {
        let (shown, changed) = &*self.0;
        change(&mut shown.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }
}

fn set_size(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open and the pointer is valid for the call.
    unsafe { set_window_size(std::os::fd::AsRawFd::as_raw_fd(terminal), &size) }.expect("it is a terminal");
}
