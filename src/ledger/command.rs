//! `litekeeper __ledger TASK MILLISECONDS TXID DATABASE METADATA`: one question, answered by a process of its own.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::answer::{Answer, FileState, Task};
use super::copy::{self, Copy};
use super::look::{BOUNDS, Bounds, Ledger};
use super::owed;
use super::size;
use super::whole::{self, Whole};
use crate::os::priority;
use crate::sqlite::check;

/// Nothing is waited for longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Runs the command; the exit code is for the process.
pub fn main(args: impl Iterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.collect();
    if let [word, rest @ ..] = args.as_slice() {
        if word == copy::WORD {
            return Copy::parse(rest).map_or_else(usage, |copy| told(copy.ask()));
        }
        if word == whole::WORD {
            return Whole::parse(rest).map_or_else(usage, |whole| told(whole.ask()));
        }
    }
    let [task, limit, confirmed, database, meta] = args.as_slice() else { return usage() };
    let task = task.to_str().and_then(Task::parse);
    let limit = limit.to_str().and_then(|limit| limit.parse().ok()).map(Duration::from_millis);
    let confirmed = confirmed.to_str().and_then(|confirmed| confirmed.parse().ok());
    let (Some(task), Some(limit), Some(confirmed)) = (task, limit, confirmed) else { return usage() };
    let (database, meta) = (Path::new(database), Path::new(meta));
    if task == Task::Background {
        priority::lower();
    }
    // What the look makes of the log and the ledger tells nothing of this any more.
    let is_owed = task == Task::Inspect && owed::is_any(database, meta).unwrap_or(false);
    let printed = ask(task, limit, database, meta).and_then(|answer| {
        let answer = match answer {
            Answer::Stands(freshness) if is_owed => Answer::Owes(freshness),
            answer => answer,
        };
        if confirmed > 0 && matches!(answer, Answer::Equal { .. }) {
            owed::confirm(meta, confirmed)?;
        }
        Ok(answer)
    });
    told(printed)
}

/// Prints an answer.
fn told(answer: io::Result<Answer>) -> u8 {
    let print = |answer| io::Write::write_all(&mut io::stdout(), serde_json::to_string(&answer)?.as_bytes());
    match answer.and_then(print) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    }
}

/// Answers one question in this process.
///
/// # Errors
/// Something cannot be read, or the ledger not be written.
pub fn ask(task: Task, limit: Duration, database: &Path, meta: &Path) -> io::Result<Answer> {
    answer(BOUNDS, task, limit, database, meta)
}

/// As [`ask`] with other bounds.
pub(super) fn answer(
    bounds: Bounds,
    task: Task,
    limit: Duration,
    database: &Path,
    meta: &Path,
) -> io::Result<Answer> {
    let deadline = Instant::now() + limit.min(LONGEST);
    let answer = match (Ledger { bounds, task, deadline, database, meta }).answer() {
        Err(error) if task == Task::Inspect && check::is_said_of_damage(&error.to_string()) => {
            Answer::Stands(FileState::Malformed { why: format!("sqlite cannot read it: {error}") })
        }
        answer => answer?,
    };
    if matches!(task, Task::Inspect | Task::All) { size::told(database, meta, answer) } else { Ok(answer) }
}

fn usage() -> u8 {
    eprintln!("error: this command is litekeeper's own, and is started by it");
    crate::core::ExitCode::USAGE.get()
}
