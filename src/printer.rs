//! Where lines for people come out: one stream on standard error, text or JSON, and the one
//! rendering of a failure.

pub mod recent;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::os::fd;
use crate::os::outlet::Outlet;
use crate::os::signal;
use crate::secrets;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For eyes.
    Text,
    /// For machines, with the keys that Litestream uses: `time`, `level`, `msg`, and `source`.
    Json,
}

/// How long the last words wait for their reader: there is nothing else left to do.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Standard error, where the log goes.
pub static STDERR: Outlet = Outlet::new(nix::libc::STDERR_FILENO, dropped);

/// Whether lines are JSON, for the one that says how many were dropped.
static JSON: AtomicBool = AtomicBool::new(false);

/// Sends log lines to standard error from now on. A second call changes nothing.
pub fn start(format: Format, level: tracing::Level) {
    JSON.store(format == Format::Json, Ordering::Relaxed);
    let subscriber = tracing_subscriber::fmt()
        .event_format(Lines(format))
        .with_max_level(level)
        .with_writer(Stderr)
        .finish();
    // Only a second call fails, and the first one's choice stands.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Renders what ended the program.
pub fn failure(failure: &Failure, format: Format) {
    let mut lines = String::new();
    match format {
        Format::Text => {
            lines.push_str(&format!("error: {}\n", foreign::lines(&failure.message)));
            if let Some(hint) = &failure.hint {
                lines.push_str(&format!("hint: {}\n", foreign::line(hint)));
            }
        }
        Format::Json => {
            let line = serde_json::json!({
                "time": now(), "level": "ERROR", "msg": failure.message, "source": "litekeeper",
                "hint": failure.hint, "exit_code": failure.exit.get(),
            });
            lines = format!("{}\n", foreign::json(&line));
        }
    }
    STDERR.line(lines.as_bytes());
}

/// What stands in the place of lines that nobody made room for.
fn dropped(lines: u64) -> String {
    let message = format!("{lines} lines of this log were dropped: nobody read them in time");
    if JSON.load(Ordering::Relaxed) {
        let line =
            serde_json::json!({"time": now(), "level": "WARN", "msg": message, "source": "litekeeper"});
        format!("{line}\n")
    } else {
        format!("{}warn  litekeeper: {message}\n", stamp())
    }
}

/// Gives whoever reads the log a last chance to read what waits: call it before the process ends.
pub fn finish() {
    STDERR.wait(LAST_WORDS);
}

/// Tells people something beside the data, in one line on standard error. Whoever reads it is waited for: a command
/// that has nobody to look after.
pub fn note(text: &str) {
    notes(&foreign::line(&secrets::mask(text)));
}

/// The same in several lines; what others wrote in them went through [`foreign::line`] before.
pub fn notes(text: &str) {
    finish();
    // Nobody is left to tell when standard error is closed.
    let _ = signal::without_ttou(|| io::stderr().write_all(format!("{}\n", foreign::lines(text)).as_bytes()));
}

/// Writes data to standard output: as it is, but on a terminal without what that would obey. That nobody reads it to
/// the end is no failure.
///
/// # Errors
/// It cannot be written for another reason: a full disk.
pub fn data(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        write_data(foreign::lines(text).as_bytes())
    } else {
        write_data(text.as_bytes())
    }
}

fn write_data(bytes: &[u8]) -> Result<(), Failure> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(ExitCode::UNAVAILABLE, format!("standard output cannot be written: {error}"))
                .hint("send it elsewhere, or free some space there"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Empties the terminal that data goes to, where it does.
pub fn clear() {
    if io::stdout().is_terminal() {
        // What comes next fails as well, and says so.
        let _ = write_data(b"\x1b[H\x1b[2J");
    }
}

/// How a line of data looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// It names what stands below it.
    Head,
    /// All is well.
    Good,
    /// Something is not.
    Bad,
}

/// As [`data`], line by line, with colours on a terminal, unless `NO_COLOR` says no (<https://no-color.org>).
///
/// # Errors
/// As [`data`].
pub fn painted(lines: &[(Paint, String)]) -> Result<(), Failure> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let has_colours = io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb;
    if !has_colours {
        return data(&lines.iter().map(|(_, line)| format!("{line}\n")).collect::<String>());
    }
    let line = |(paint, line): &(Paint, String)| {
        let line = foreign::line(line);
        match paint {
            Paint::Plain => format!("{line}\n"),
            Paint::Head => format!("\x1b[1m{line}\x1b[0m\n"),
            Paint::Good => format!("\x1b[32m{line}\x1b[0m\n"),
            Paint::Bad => format!("\x1b[31m{line}\x1b[0m\n"),
        }
    };
    write_data(lines.iter().map(line).collect::<String>().as_bytes())
}

/// The time before a line of text, unless the journal of systemd writes its own (`JOURNAL_STREAM` in `systemd.exec(5)`).
fn stamp() -> String {
    static IN_JOURNAL: LazyLock<bool> = LazyLock::new(|| {
        let said = std::env::var("JOURNAL_STREAM").ok();
        said.is_some_and(|said| {
            fd::identity(io::stderr()).is_ok_and(|(device, inode)| said == format!("{device}:{inode}"))
        })
    });
    if *IN_JOURNAL { String::new() } else { format!("{} ", now()) }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Standard error, unbuffered: a line is there when the process dies after it, and a job in the
/// background may write it whatever `stty tostop` says.
///
/// It never waits, since the one thread has a drain to see to, and it never fails: nobody is left to tell, and
/// `tracing_subscriber` would tell all the same, by `eprintln!`, which panics on a pipe without a reader.
#[derive(Clone, Copy)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        STDERR.line(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

struct Lines(Format);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut message = Message(String::new());
        event.record(&mut message);
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let source = target.split("::").next().unwrap_or(target);
        recent::take(*level, || recent::Line {
            at: now(),
            level: word(*level),
            source: source.to_owned(),
            text: foreign::line(&secrets::mask(&message.0)).into_owned(),
        });
        match self.0 {
            Format::Text => {
                let (level, message) = (word(*level), foreign::line(&secrets::mask(&message.0)).into_owned());
                writeln!(writer, "{}{level:5} {source}: {message}", stamp())
            }
            Format::Json => {
                let level = level.as_str();
                let line = serde_json::json!({"time": now(), "level": level, "msg": foreign::bounded(&secrets::mask(&message.0)), "source": source});
                writeln!(writer, "{}", foreign::json(&line))
            }
        }
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
