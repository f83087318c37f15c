//! `litekeeper uninstall`.

use std::io::{self, IsTerminal as _};
use std::path::Path;

use super::args;
use super::install::{failure, folder};
use super::operator::asked;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign;
use crate::litestream::install::{self, Uninstalled};
use crate::os::proc;
use crate::printer;

/// Removes the Litestream that an install has put into a folder.
///
/// # Errors
/// It was put there by somebody else; somebody runs it; nobody has said yes; it cannot be removed.
pub(super) fn uninstall(args: &args::Uninstall) -> Result<ExitCode, Failure> {
    let dir = folder(args.dir.clone())?;
    let dir = std::path::absolute(&dir).unwrap_or(dir);
    let place = dir.join(install::BINARY);
    let shown = place.display();
    let found = install::look(&dir).map_err(|error| failure(&error, None))?;
    let version = match found {
        Uninstalled::Nothing => {
            printer::note(&format!("there is nothing to remove: no {shown}"));
            return Ok(ExitCode::OK);
        }
        Uninstalled::NotOurs => {
            let message = format!("{shown} was not put there by `litekeeper install`, or was changed since");
            return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(
                "nothing was removed; --dir names another folder, and whoever put it there can remove it",
            ));
        }
        Uninstalled::Found(version) => version,
    };
    refuse_in_use(&place)?;
    if !args.yes {
        if !(asked::is_possible() && io::stderr().is_terminal()) {
            return Err(Failure::new(ExitCode::USAGE, "nobody is there who could be asked")
                .hint("--yes says so without a question"));
        }
        asked::yes(&format!("remove litestream {version} ({shown})? [y/N]"))?;
        refuse_in_use(&place)?;
    }
    let removed = install::remove(&dir).map_err(|error| failure(&error, None))?;
    printer::note(&format!("litestream {version} was removed"));
    for path in removed {
        printer::data(&format!("{}\n", foreign::line(&path.display().to_string())))?;
    }
    Ok(ExitCode::OK)
}

/// A keeper that runs with it could not start it again.
fn refuse_in_use(place: &Path) -> Result<(), Failure> {
    let Some(pid) = proc::identity(place).and_then(|file| proc::running(file).first().copied()) else {
        return Ok(());
    };
    let by = proc::parent(pid).map(|parent| format!(", started by {}", named(parent))).unwrap_or_default();
    Err(Failure::new(ExitCode::LOCKED, format!("{}: {} runs it{by}", place.display(), named(pid)))
        .hint("stop the keeper first"))
}

fn named(pid: i32) -> String {
    let words = proc::words(pid).unwrap_or_default();
    let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    format!("pid {pid} (`{}`)", foreign::piece(&program))
}
