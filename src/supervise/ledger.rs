//! Asking whether a database is what its backup has ([`crate::ledger`]).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::core::ExitCode;
use crate::error::Failure;
use crate::foreign::piece;
use crate::ledger::{Answer, FileState, Request, Task};
use crate::litestream::command::Runner;
use crate::litestream::control;
use crate::litestream::database::Database;
use crate::litestream::replica_error::MIXED;
use crate::os::permit;

/// How long a process may take beyond what it was given.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a look may take: what changed since the last one.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// How long the comparison of a whole database may take while nothing waits for it, and before a start.
const WHOLE: Duration = Duration::from_secs(3600);
/// While Litestream makes a checkpoint its copy is not the database for a moment: so often it is asked to
/// come to an end and compared again.
const TRIES: usize = 3;

/// How often it is said that something waits for a comparison.
const REPORT: Duration = Duration::from_secs(10);

/// How long the end may be held up by remembering how a database was left.
pub(super) const LEAVING: Duration = Duration::from_secs(2);

/// Asks about one database.
///
/// # Errors
/// Why nobody can tell.
pub(super) async fn ask(
    runner: &Runner,
    task: Task,
    database: &Database,
    limit: Duration,
) -> Result<Answer, String> {
    ask_with(runner, task, database, limit, 0).await
}

/// As [`ask`], with what Litestream says to be on the replica.
async fn ask_with(
    runner: &Runner,
    task: Task,
    database: &Database,
    limit: Duration,
    confirmed: u64,
) -> Result<Answer, String> {
    let args = Request { task, database: &database.path, meta: &database.meta, limit, confirmed }.args();
    let asked = runner.ask_own(&args, Vec::new(), limit.saturating_add(LIMIT));
    tokio::pin!(asked);
    let began = Instant::now();
    loop {
        match tokio::time::timeout(REPORT, &mut asked).await {
            Ok(printed) => return Answer::parse(&printed?),
            Err(_) if task == Task::Background => {}
            Err(_) => tracing::info!(
                "comparing {} with its backup: {} s so far",
                database.path.display(),
                began.elapsed().as_secs()
            ),
        }
    }
}

/// What a database is that is here at a start, and whether something of it is known to be on no replica.
///
/// # Errors
/// Why nobody can tell.
pub(super) async fn inspect(runner: &Runner, database: &Database) -> Result<(FileState, bool), String> {
    match ask(runner, Task::Inspect, database, WHOLE).await? {
        Answer::Stands(freshness) => Ok((freshness, false)),
        Answer::Owes(freshness) => Ok((freshness, true)),
        other @ (Answer::Equal { .. }
        | Answer::Diverged { .. }
        | Answer::New
        | Answer::Unfounded
        | Answer::Broken(_)
        | Answer::Resized { .. }
        | Answer::Unfinished(_)
        | Answer::Whole
        | Answer::Malformed(_)) => Err(format!("no answer: {other:?}")),
    }
}

/// Why Litestream has to copy a database as a whole that neither it nor the app has now; none when it has not.
///
/// # Errors
/// Why nobody can tell, or what is found out about the file itself.
pub(super) async fn whole_for(
    runner: &Runner,
    database: &Database,
    limit: Option<Duration>,
    damaged: Damaged,
    had: Had,
) -> Result<Option<String>, Failure> {
    let unknown = |error: String| {
        let path = database.path.display();
        let message = format!("{path}: cannot be compared with what litestream has copied: {error}");
        Failure::new(ExitCode::LITESTREAM, message)
    };
    let answer = ask(runner, Task::All, database, limit.unwrap_or(WHOLE)).await.map_err(unknown)?;
    let (why, is_broken) = match answer {
        Answer::Equal { .. }
        | Answer::New
        | Answer::Stands(_)
        | Answer::Owes(_)
        | Answer::Unfinished(_)
        | Answer::Whole
        | Answer::Malformed(_) => return Ok(None),
        Answer::Diverged { why, since } => (diverged(&why, since.filter(|_| had == Had::Always)), false),
        Answer::Unfounded => (UNFOUNDED.to_owned(), false),
        Answer::Broken(why) => (broken(&why), true),
        Answer::Resized { was, now } => return Err(resized(database, was, now)),
    };
    check(runner, database, &why, damaged).await?;
    if is_broken {
        reset(runner, database).await.map_err(unknown)?;
    }
    Ok(Some(why))
}

/// Whether Litestream had a database whenever somebody could write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Had {
    /// It did, as far as anybody knows.
    Always,
    /// It did not: that they differ is no wonder.
    NotAlways,
}

/// What is done about a file that SQLite cannot read, before all of it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damaged {
    /// It was looked at already.
    Seen,
    /// It is not copied.
    Refused,
    /// It is, since the user wants to go on from it, who is told.
    Told,
}

/// Asks whether a database that is to be copied as a whole is a database at all: else the copy takes the place of a
/// backup that may be whole.
///
/// # Errors
/// It is not, and that is refused.
pub(super) async fn check(
    runner: &Runner,
    database: &Database,
    why: &str,
    damaged: Damaged,
) -> Result<(), Failure> {
    if damaged == Damaged::Seen {
        return Ok(());
    }
    match ask(runner, Task::Check, database, WHOLE).await {
        Ok(Answer::Malformed(words)) if damaged == Damaged::Told => {
            let path = database.path.display();
            tracing::error!(
                "{path}: sqlite cannot read it: {}: going on from it, as --if-behind ignore says, and so the latest restore will \
                 give a malformed database",
                piece(&words)
            );
            Ok(())
        }
        Ok(Answer::Malformed(words)) => {
            Err(damage(database, &format!("{why}, and sqlite cannot read it: {}", piece(&words))))
        }
        Ok(_) => Ok(()),
        Err(reason) => {
            let path = database.path.display();
            tracing::warn!("{path}: it is copied without a look at whether it is whole: {reason}");
            Ok(())
        }
    }
}

/// A database that is damaged, as the program's end.
pub(super) fn damage(database: &Database, why: &str) -> Failure {
    let message = format!("{}: the file is damaged: {}", database.path.display(), piece(why));
    Failure::new(ExitCode::UNAVAILABLE, message).hint(
        "its backup is as litestream had it before: `--if-behind restore` keeps this file under another name and restores the backup, which is looked at first; \
         `--if-behind ignore` goes on from it, and it is what the latest restore gives",
    )
}

/// A database whose backup has pages of another size, as the program's end. Litestream fetches the newest file of its
/// replica, goes on from where that ends, and so never begins anew on top of what is there.
pub(super) fn resized(database: &Database, was: u32, now: u32) -> Failure {
    let (path, replica) = (database.path.display(), &database.replica);
    let message = format!(
        "{path}: its pages have {now} bytes now, and those of its backup on {replica} have {was}: litestream cannot add the former to \
         the latter"
    );
    Failure::new(ExitCode::UNAVAILABLE, message).hint(format!(
        "name another, empty place for its replica: it is copied anew to there, and the old backup stays as it is; or, to go on \
         in this one, change it back: sqlite3 {path} 'PRAGMA journal_mode=DELETE; PRAGMA page_size={was}; VACUUM; PRAGMA \
         journal_mode=WAL'"
    ))
}

/// As [`resized`], for what is an older copy, or another file, as well.
pub(super) fn resized_other(database: &Database, was: u32, now: u32, why: &str) -> Failure {
    let Failure { message, hint, .. } = resized(database, was, now);
    Failure::new(ExitCode::UNAVAILABLE, format!("{message}; and it is not what was left: {why}")).hint(format!(
        "`--if-behind restore` keeps this file under another name and restores the backup. To go on from it, `--if-behind ignore`, and: {}",
        hint.unwrap_or_default()
    ))
}

/// Puts Litestream's own files into quarantine, from which nothing can go on.
///
/// # Errors
/// Why it cannot be done.
pub(super) async fn reset(runner: &Runner, database: &Database) -> Result<(), String> {
    ask(runner, Task::Reset, database, LOOK).await.map(drop)
}

/// Whether a database is, page by page, what was restored of its backup to this file.
///
/// # Errors
/// Why nobody can tell.
pub(super) async fn is_restored(
    runner: &Runner,
    database: &Database,
    restored: PathBuf,
) -> Result<bool, String> {
    let other = Database { meta: restored, ..database.clone() };
    Ok(matches!(ask(runner, Task::Restored, &other, WHOLE).await?, Answer::Equal { .. }))
}

/// Says why a database is copied whose metadata is in quarantine.
fn broken(why: &str) -> String {
    format!("litestream's own file is broken, and was put aside with the others ({why})")
}

/// Why a database is copied of which nothing is known.
pub(super) const UNFOUNDED: &str =
    "the beginning of what litestream has copied is not here to compare it with";

/// Why a copy cannot be trusted, and since when.
pub(super) fn diverged(why: &str, since: Option<u64>) -> String {
    let since = since.and_then(|since| jiff::Timestamp::from_second(since.cast_signed()).ok());
    match since {
        Some(since) => {
            format!("{why}; its backup cannot be trusted since {since}, or the file was damaged since then")
        }
        None => why.to_owned(),
    }
}

/// What a comparison means for a confirmation.
pub(super) enum Compared {
    /// It counts.
    Same {
        /// All of the database has to be compared, at some time.
        proof_due: bool,
    },
    /// Only a new copy of the whole database helps.
    Diverged(String),
    /// Nobody can tell now.
    Unknown(String),
}

/// Compares a database with what Litestream says that it has replicated, by its control socket.
pub(super) async fn compared(
    runner: &Runner,
    socket: &Path,
    database: &Database,
    task: Task,
    limit: Duration,
    confirmed: u64,
) -> Compared {
    let mut last = String::new();
    for _ in 0..TRIES {
        match ask_with(runner, task, database, limit, confirmed).await {
            Ok(Answer::Equal { due }) => return Compared::Same { proof_due: due },
            Ok(Answer::Unfinished(share)) if matches!(task, Task::All | Task::Last) => {
                return Compared::Unknown(format!(
                    "{share} % of it were compared with its backup and are the same, and there was no time for the rest"
                ));
            }
            Ok(Answer::Unfinished(_)) => {
                return Compared::Unknown("it changes too fast to be compared with its backup".to_owned());
            }
            Ok(Answer::New) => {
                return Compared::Unknown("litestream has copied nothing of it yet".to_owned());
            }
            Ok(Answer::Diverged { why, since }) => last = diverged(&why, since),
            Ok(Answer::Unfounded) => last = UNFOUNDED.to_owned(),
            // Litestream says so as well, and the next start puts it right.
            Ok(Answer::Broken(why)) => return Compared::Unknown(why),
            Ok(Answer::Resized { was, now }) => {
                return Compared::Unknown(format!("{MIXED} ({now} bytes, not {was})"));
            }
            Ok(answer @ (Answer::Stands(_) | Answer::Owes(_) | Answer::Whole | Answer::Malformed(_))) => {
                return Compared::Unknown(format!("no answer: {answer:?}"));
            }
            Err(reason) => return Compared::Unknown(reason),
        }
        if let Err(error) = control::sync_locally(socket, &database.path, limit).await {
            return Compared::Unknown(error.to_string());
        }
    }
    Compared::Diverged(last)
}

/// Does as [`compared`], for a confirmation while the app runs.
pub(super) async fn looked_at(
    runner: &Runner,
    socket: &Path,
    database: &Database,
    confirmed: u64,
) -> Compared {
    compared(runner, socket, database, Task::Look, LOOK, confirmed).await
}

/// Compares all of a database while nobody waits for it.
pub(super) async fn prove(runner: &Runner, socket: &Path, database: &Database) -> Compared {
    compared(runner, socket, database, Task::Background, WHOLE, 0).await
}

/// Takes in Litestream's files before they are deleted. What it finds is found again, by whoever can act on it.
pub(super) async fn follow(runner: Runner, database: Database) {
    if let Err(reason) = ask(&runner, Task::Look, &database, LOOK).await {
        tracing::debug!("{}: {reason}", database.path.display());
    }
}

/// Remembers that not all of a database was confirmed.
pub(super) async fn owe(runner: Runner, database: Database) {
    if let Err(reason) = ask(&runner, Task::Owe, &database, LEAVING).await {
        tracing::debug!("{}: {reason}", database.path.display());
    }
}

/// Remembers how a database was left; what was found to differ.
pub(super) async fn leave(runner: &Runner, database: &Database) -> Option<String> {
    if permit::theirs(|| database.path.symlink_metadata()).is_err() {
        return None;
    }
    match ask(runner, Task::Leave, database, LEAVING).await {
        Ok(Answer::Diverged { why, since }) => Some(diverged(&why, since)),
        Ok(_) => None,
        Err(reason) => {
            tracing::debug!("{reason}");
            None
        }
    }
}
