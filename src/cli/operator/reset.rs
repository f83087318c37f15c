//! `litekeeper reset`: has Litestream begin with a fresh copy of a database.

use std::io::{self, IsTerminal as _};

use serde_json::json;

use super::args;
use super::asked;
use super::asker;
use super::candidate::{Candidate, Candidates};
use super::opened;
use super::shown;
use crate::backup;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::holder::{self, Holder};
use crate::os::lock::{Lock, Refused};
use crate::os::permit;
use crate::printer;

/// Moves aside what Litestream has beside a database. The database and its backup stay as they are.
///
/// # Errors
/// Somebody has the database; nobody has said yes; it cannot be moved.
pub(in crate::cli) fn reset(args: &args::Reset) -> Result<ExitCode, Failure> {
    let opened = opened::open(&args.given, None)?;
    let inventory = opened.inventory();
    let one = Candidates::look(&opened, &inventory)?.only(Some(&args.db))?;
    refuse_in_use(&one)?;
    let (path, meta) = (one.db.path.display(), one.db.meta.display());
    if permit::theirs(|| one.db.meta.symlink_metadata()).is_err() {
        printer::note(&format!("{path}: there is nothing to reset: no {meta}"));
        return told(args, &one, "nothing", None);
    }
    if args.dry_run {
        printer::note(&format!("{path}: {meta} would be moved aside"));
        return told(args, &one, "would-reset", None);
    }
    if !args.yes {
        if !(asked::is_possible() && io::stderr().is_terminal()) {
            return Err(Failure::new(ExitCode::USAGE, "nobody is there who could be asked")
                .hint("--yes says so without a question; --dry-run shows what would be done"));
        }
        asked::yes(&format!(
            "{path}: move {meta} aside, so that litestream begins with a fresh copy? [y/N]"
        ))?;
    }
    // Who comes now waits for its turn, or is told who has it.
    let lock =
        Lock::acquire(&holder::lock_path(&one.db), &holder::of_restore()).map_err(
            |refused| match refused {
                Refused::Held(text) => Holder::of(&one.db, &text).refusal(&one.db),
                Refused::Io(error) => {
                    Failure::new(ExitCode::UNAVAILABLE, format!("{path}: no lock beside it: {error}"))
                        .hint("run it as the user that the database belongs to, or as root")
                }
            },
        )?;
    let kept = refuse_in_use_by_app(&one)
        .and_then(|()| backup::put_metadata_aside(&one.db).map_err(|error| asker::failure(&error)));
    lock.put_back();
    let kept = kept?;
    printer::note(&format!("{path}: {}", kept.as_deref().unwrap_or("nothing was there")));
    told(args, &one, "reset", kept)
}

fn told(
    args: &args::Reset,
    one: &Candidate,
    result: &str,
    kept: Option<String>,
) -> Result<ExitCode, Failure> {
    if args.json {
        let path = one.db.path.to_string_lossy();
        shown::json(&json!({"path": path, "result": result, "kept": kept}))?;
    }
    Ok(ExitCode::OK)
}

fn refuse_in_use(one: &Candidate) -> Result<(), Failure> {
    match holder::now(&one.db)? {
        Some((holder, _)) => Err(holder.refusal(&one.db)),
        None => refuse_in_use_by_app(one),
    }
}

/// Litestream, or an app that it does not know of, would go on with what was there.
fn refuse_in_use_by_app(one: &Candidate) -> Result<(), Failure> {
    let Some(user) = holder::Users::now().of(&one.db.path) else { return Ok(()) };
    Err(user.refusal(&one.db.path, "stop it first"))
}
