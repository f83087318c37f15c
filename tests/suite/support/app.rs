//! The app that tests run: `examples/probe.rs` spelled in Rust, and its trace read back.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::wait::{DEADLINE, wait_for};

/// A probe's command line. Steps run in the order of the calls; the table in `examples/probe.rs` says what each does.
#[derive(Clone, Debug)]
pub struct App {
    words: Vec<OsString>,
}

impl App {
    /// An app that writes its trace into `trace`.
    pub fn new(trace: &Trace) -> Self {
        Self { words: vec![binary().into(), trace.path.clone().into()] }
    }

    /// Adds words as they are; the methods below name the usual ones.
    pub fn words(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// On `signal` (`TERM` …, or `all`) it ends with `code`.
    pub fn on_exit(self, signal: &str, code: i32) -> Self {
        self.words(["on", signal, "exit", &code.to_string()])
    }

    /// On `signal` it writes one more row, then ends with `code`.
    pub fn on_last(self, signal: &str, db: &Path, code: i32) -> Self {
        self.words(["on", signal, "last"]).words([db]).words([code.to_string()])
    }

    /// On `signal` it goes on for a while, then ends with `code`.
    pub fn on_linger(self, signal: &str, millis: u64, code: i32) -> Self {
        self.words(["on", signal, "linger", &millis.to_string(), &code.to_string()])
    }

    /// It only writes `signal` down.
    pub fn ignore(self, signal: &str) -> Self {
        self.words(["on", signal, "ignore"])
    }

    /// Traces `ready`.
    pub fn ready(self) -> Self {
        self.words(["ready"])
    }

    /// Inserts `rows` rows at once.
    pub fn insert(self, db: &Path, rows: u64) -> Self {
        self.words(["insert"]).words([db]).words([&rows.to_string(), "0"])
    }

    /// Inserts a row every `millis` until it ends.
    pub fn insert_forever(self, db: &Path, millis: u64) -> Self {
        self.words(["insert"]).words([db]).words(["forever", &millis.to_string()])
    }

    /// Runs `statements` once, on a connection of their own.
    pub fn sql(self, db: &Path, statements: &str) -> Self {
        self.words(["sql"]).words([db]).words(["1", "0", statements])
    }

    /// Runs `statements` every `millis` until it ends.
    pub fn sql_forever(self, db: &Path, millis: u64, statements: &str) -> Self {
        self.words(["sql"]).words([db]).words(["forever", &millis.to_string(), statements])
    }

    /// Waits until there is such a file.
    pub fn until(self, path: &Path) -> Self {
        self.words(["until"]).words([path])
    }

    /// Goes on if it is the first that comes here; each later one waits until a signal ends it.
    pub fn once(self, path: &Path) -> Self {
        self.words(["once"]).words([path])
    }

    /// Traces the number of rows that it finds.
    pub fn count(self, db: &Path) -> Self {
        self.words(["count"]).words([db])
    }

    /// Starts another probe and goes on; `how` is `child`, `group` or `setsid`.
    pub fn spawn(self, how: &str, other: &Self) -> Self {
        self.words(["spawn", how]).words(&other.words[2..]).words(["end"])
    }

    /// Makes orphans that end soon.
    pub fn orphans(self, number: u32) -> Self {
        self.words(["orphans", &number.to_string()])
    }

    /// Takes the line between its shim and the keeper, and says there that it ended with 0.
    pub fn forge(self) -> Self {
        self.words(["forge"])
    }

    /// As [`App::forge`], and says before that another process is its shim.
    pub fn greet(self, pid: u32) -> Self {
        self.words(["greet", &pid.to_string()])
    }

    /// Pauses.
    pub fn sleep(self, millis: u64) -> Self {
        self.words(["sleep", &millis.to_string()])
    }

    /// Stays until a signal ends it.
    pub fn wait(self) -> Self {
        self.words(["wait"])
    }

    /// Ends by a signal.
    pub fn raise(self, signal: &str) -> Self {
        self.words(["raise", signal])
    }

    /// Ends with `code`.
    pub fn exit(self, code: i32) -> Self {
        self.words(["exit", &code.to_string()])
    }

    /// The command line as a shell takes it, for `--before`, `exec:` and terminals.
    pub fn line(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.to_str().expect("a line is UTF-8")).collect();
        shlex::try_join(words).expect("no NUL in the words")
    }
}

impl IntoIterator for App {
    type Item = OsString;
    type IntoIter = std::vec::IntoIter<OsString>;

    fn into_iter(self) -> Self::IntoIter {
        self.words.into_iter()
    }
}

/// What the apps of a world wrote down: `<pid> <event> <rest>` a line.
#[derive(Clone, Debug)]
pub struct Trace {
    path: PathBuf,
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who wrote it.
    pub pid: i32,
    /// Its first word.
    pub name: String,
    /// What follows.
    pub rest: String,
}

impl Trace {
    /// The trace in `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// All events up to now; a line that is still being written is left out.
    pub fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(Event::parse).collect()
    }

    /// The events of one name.
    pub fn all(&self, name: &str) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.name == name).collect()
    }

    /// Waits for the first event of this name.
    #[track_caller]
    pub fn wait(&self, name: &str) -> Event {
        self.wait_nth(1, name)
    }

    /// Waits for the `n`th event (from 1) of this name: the second `start` is the app after a restart.
    #[track_caller]
    pub fn wait_nth(&self, n: usize, name: &str) -> Event {
        wait_for(&format!("event {n} {name:?} in the trace"), DEADLINE, || {
            self.all(name).into_iter().nth(n - 1)
        })
    }

    /// Waits until `rows` rows were acknowledged.
    #[track_caller]
    pub fn wait_acked(&self, rows: usize) {
        self.wait_nth(rows, "acked");
    }

    /// The ids of all rows whose COMMIT returned.
    pub fn acked(&self) -> Vec<i64> {
        self.numbers("acked")
    }

    /// The numbers of all signals that apps got.
    pub fn signals(&self) -> Vec<i64> {
        self.numbers("signal")
    }

    /// Whether an app ever ran.
    pub fn is_empty(&self) -> bool {
        self.events().is_empty()
    }

    fn numbers(&self, name: &str) -> Vec<i64> {
        let number = |event: Event| event.rest.parse().expect("the probe writes a number");
        self.all(name).into_iter().map(number).collect()
    }
}

impl Event {
    fn parse(line: &str) -> Self {
        let mut words = line.splitn(3, ' ');
        let pid = words.next().and_then(|pid| pid.parse().ok()).expect("a line begins with a pid");
        let name = words.next().expect("a line has an event").to_owned();
        Self { pid, name, rest: words.next().unwrap_or_default().to_owned() }
    }

    /// The hexadecimal words of `rest` (`argv`, `cwd`, `env`), decoded.
    pub fn decoded(&self) -> Vec<OsString> {
        self.rest.split(' ').filter_map(unhex).collect()
    }
}

fn unhex(word: &str) -> Option<OsString> {
    if word == "-" {
        return Some(OsString::new());
    }
    let byte = |at| u8::from_str_radix(word.get(at..at + 2)?, 16).ok();
    (0..word.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(OsString::from_vec)
}

/// The probe's binary. `cargo test` builds it, `cargo test --test suite` does not: then it is built here.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let keeper = Path::new(env!("CARGO_BIN_EXE_litekeeper"));
        let folder = keeper.parent().expect("the keeper lies in a folder");
        let probe = folder.join("examples/probe");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/probe.rs");
        let age = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        if age(&probe) < age(&source) {
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["build", "--quiet", "--example", "probe"]).current_dir(env!("CARGO_MANIFEST_DIR"));
            if folder.ends_with("release") {
                cargo.arg("--release");
            }
            let status = cargo.status().expect("cargo runs the tests, so it can be started");
            assert!(status.success(), "cannot build examples/probe.rs");
        }
        probe
    })
}
