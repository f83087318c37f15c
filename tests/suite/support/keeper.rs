//! The real `litekeeper`, in a clean environment.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use super::litestream;
use super::process::{Ended, Running, Spec};
use super::pty::Terminal;
use super::world::World;

/// A command line of the keeper in the making; the app comes last, after `--`.
pub struct Keeper {
    spec: Spec,
    command: OsString,
    options: Vec<OsString>,
    app: Vec<OsString>,
    wrapper: Vec<OsString>,
}

impl Keeper {
    /// `litekeeper run` in the world's folder, with the latest Litestream.
    pub fn new(world: &World) -> Self {
        let mut spec = Spec::new(Path::new(env!("CARGO_BIN_EXE_litekeeper")), world.root());
        spec.env("LITEKEEPER_RUNTIME_DIR", world.runtime_dir());
        let keeper =
            Self { spec, command: "run".into(), options: Vec::new(), app: Vec::new(), wrapper: Vec::new() };
        keeper.litestream(litestream::LATEST)
    }

    /// Another command than `run`.
    pub fn command(mut self, command: &str) -> Self {
        self.command = command.into();
        self
    }

    /// Another version of Litestream.
    pub fn litestream(self, version: &str) -> Self {
        self.env("LITESTREAM_BINARY_PATH", litestream::binary(version))
    }

    /// `--db PATH`.
    pub fn db(self, path: &Path) -> Self {
        self.args(["--db".as_ref(), path.as_os_str()])
    }

    /// `--replica URL`.
    pub fn replica(self, url: &str) -> Self {
        self.args(["--replica", url])
    }

    /// `--config FILE`.
    pub fn config(self, path: &Path) -> Self {
        self.args(["--config".as_ref(), path.as_os_str()])
    }

    /// One more option.
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// More options.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.options.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the keeper, and thus of the app.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.spec.env(name, value);
        self
    }

    /// Sets several variables.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(self, all: impl IntoIterator<Item = (K, V)>) -> Self {
        all.into_iter().fold(self, |keeper, (name, value)| keeper.env(name, value))
    }

    /// Sets the working directory.
    pub fn cwd(mut self, path: &Path) -> Self {
        self.spec.cwd(path);
        self
    }

    /// Makes stdin a pipe.
    pub fn piped_stdin(mut self) -> Self {
        self.spec.piped_stdin();
        self
    }

    /// Has the kernel refuse a system call.
    pub fn forbid(mut self, call: i64) -> Self {
        self.spec.forbid(call);
        self
    }

    /// The app: a [`super::app::App`], or words.
    pub fn app(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.app = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// Puts a program in front, which must end by running the rest, see [`super::wrap`].
    pub fn wrapped(mut self, wrapper: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.wrapper = wrapper.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// Starts it.
    pub fn start(self) -> Running {
        self.into_spec().start()
    }

    /// Its command without standard descriptors, and the mark of all that it starts, for a test that has its own.
    pub fn command_and_mark(self) -> (Command, String) {
        let spec = self.into_spec();
        (spec.command(), spec.mark().to_owned())
    }

    /// Starts it, and waits for its end and for the end of all that it started.
    #[track_caller]
    pub fn run(self) -> Ended {
        self.start().finish()
    }

    /// Opens a shell on a terminal, in the environment and folder of this keeper, and returns with it the line that
    /// starts the keeper.
    pub fn terminal(self) -> (Terminal, String) {
        let spec = self.into_spec();
        let words: Vec<_> = spec.words().map(|word| word.to_string_lossy()).collect();
        let line = shlex::try_join(words.iter().map(|word| word.as_ref())).expect("no NUL in the words");
        (Terminal::shell(&spec), line)
    }

    fn into_spec(self) -> Spec {
        let Self { mut spec, command, options, app, wrapper } = self;
        spec.args([command]);
        spec.args(options);
        if !app.is_empty() {
            spec.args(["--"]);
            spec.args(app);
        }
        spec.wrap(wrapper);
        spec
    }
}
