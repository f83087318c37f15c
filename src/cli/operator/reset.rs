//! `litekeeper reset`: has Litestream begin with a fresh copy of a database.

use std::io::{self, BufRead as _, IsTerminal as _};

use serde_json::json;

use super::args;
use super::asker;
use super::candidate::{Candidate, Candidates};
use super::opened;
use super::shown;
use crate::backup;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign::piece;
use crate::holder::{self, Holder};
use crate::os::lock::{Lock, Refused};
use crate::os::permit;
use crate::printer;

/// The end of what this command leaves in a lock itself.
const END_OF_OWN: &str = "\nrestore\n";

/// Moves aside what Litestream has beside a database. The database and its backup stay as they are.
///
/// # Errors
/// Somebody has the database; nobody has said yes; it cannot be moved.
pub(in crate::cli) fn reset(args: &args::Reset) -> Result<ExitCode, Failure> {
    let opened = opened::open(&args.given, None)?;
    let inventory = opened.inventory(asker::series(&opened));
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
        ask(&format!("{path}: move {meta} aside, so that litestream begins with a fresh copy? [y/N] "))?;
    }
    // Who comes now waits for its turn, or is told who has it.
    let mut lock =
        Lock::acquire(&holder::lock_path(&one.db), &holder::of_restore()).map_err(
            |refused| match refused {
                Refused::Held(text) => Holder::of(&one.db, &text).refusal(&one.db),
                Refused::Io(error) => {
                    Failure::new(ExitCode::UNAVAILABLE, format!("{path}: no lock beside it: {error}"))
                        .hint("run it as the user that the database belongs to, or as root")
                }
            },
        )?;
    // By what the last keeper left the next one knows that the place of its backup is still its own.
    let before = lock.before().rsplit(END_OF_OWN).next().unwrap_or_default().to_owned();
    let _ = lock.add(&before);
    refuse_in_use_by_app(&one)?;
    let kept = backup::put_metadata_aside(&one.db).map_err(|error| asker::failure(&error))?;
    lock.release();
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
    match holder::now(&one.db) {
        Some((holder, _)) => Err(holder.refusal(&one.db)),
        None => refuse_in_use_by_app(one),
    }
}

/// Litestream, or an app that it does not know of, would go on with what was there.
fn refuse_in_use_by_app(one: &Candidate) -> Result<(), Failure> {
    let Some(user) = holder::Users::now().of(&one.db.path) else { return Ok(()) };
    let (path, program) = (one.db.path.display(), piece(&user.program));
    Err(Failure::new(ExitCode::LOCKED, format!("{path}: pid {} (`{program}`) has it open", user.pid))
        .hint("stop it first"))
}

/// Asks somebody who is there.
fn ask(question: &str) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::new(ExitCode::USAGE, "nobody is there who could be asked")
            .hint("--yes says so without a question; --dry-run shows what would be done"));
    }
    printer::note(question);
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(ExitCode::USAGE, "nothing was done").hint("answer y to go on, or say --yes"))
}
