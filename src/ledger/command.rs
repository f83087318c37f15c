//! `litekeeper __ledger TASK MILLISECONDS TXID DATABASE METADATA`: one question, answered by a process of its own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::answer::{Answer, CHECKING, FileState, Task};
use super::book::{Book, Copied, Head, Proof};
use super::compare::{Effort, Found, Which, compare};
use super::copy::{self, Copy};
use super::follow::{Followed, follow};
use super::freshness::{self, Age, Differs};
use super::owed;
use super::restored;
use super::size;
use super::whole::{self, Whole};
use crate::database_header;
use crate::litestream::{ltx, position};
use crate::os::{fd, open, priority};
use crate::sqlite::check::{self, Verdict};
use crate::sqlite::{repair, wal};

/// How large a database is of which all is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Each time, in bytes: these take some milliseconds.
    pub(super) cheap: u64,
    /// At each start, and once in each run of the WAL: these take some hundredths of a second.
    pub(super) moderate: u64,
}

pub(super) const BOUNDS: Bounds = Bounds { cheap: 8 << 20, moderate: 64 << 20 };

/// Of so many pages the checksums are in memory at once.
const MOST_AT_ONCE: u32 = 1 << 26;

/// What litestream has copied was a database.
const NO_LONGER_SQLITE: &str = "it does not begin as a database of sqlite's does any more";

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

struct Ledger<'a> {
    bounds: Bounds,
    task: Task,
    deadline: Instant,
    database: &'a Path,
    meta: &'a Path,
}

impl Ledger<'_> {
    /// Looks at one that Litestream has copied nothing of.
    fn inspect_new(&self) -> io::Result<FileState> {
        if wal::is_headless(self.database)? {
            return Ok(headless());
        }
        Ok(match check::schema_of_used(self.database) {
            Ok(Verdict::Malformed(words)) => {
                FileState::Malformed { why: format!("sqlite cannot read it: {words}") }
            }
            Ok(Verdict::Whole | Verdict::Odd(_)) | Err(_) => FileState::New,
        })
    }

    fn answer(&self) -> io::Result<Answer> {
        let inspects = self.task == Task::Inspect;
        if matches!(self.task, Task::Inspect | Task::All) {
            repair::roll_back(self.database).map_err(io::Error::other)?;
        }
        if self.task == Task::Reset {
            return self.reset();
        }
        if self.task == Task::Restored {
            return restored::compare(self.database, self.meta, self.deadline);
        }
        if self.task == Task::Check {
            return self.check();
        }
        if self.task == Task::Owe {
            return owed::note(self.meta).map(|()| Answer::Equal { due: false });
        }
        let is_new = position::txids(&ltx::folder(self.meta)).next().is_none();
        if inspects && !is_sqlite(self.database)? {
            let damaged = || FileState::Malformed { why: NO_LONGER_SQLITE.to_owned() };
            return Ok(Answer::Stands(if is_new { FileState::NotSqlite } else { damaged() }));
        }
        if is_new {
            return if inspects { self.inspect_new().map(Answer::Stands) } else { Ok(Answer::New) };
        }
        let mut book = Book::open(self.meta)?;
        let followed = match follow(&mut book, self.meta, matches!(self.task, Task::Inspect | Task::All)) {
            Ok(Some(followed)) => followed,
            Ok(None) => {
                book.write_head()?;
                if !inspects {
                    return Ok(Answer::Unfounded);
                }
                let known = freshness::of_unfounded(self.database, self.meta, self.deadline)?;
                let mut freshness = known.unwrap_or(FileState::Unfounded);
                self.refine(&mut freshness, false);
                return Ok(Answer::Stands(freshness));
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let why = error.to_string();
                return Ok(if inspects {
                    Answer::Stands(FileState::Broken(why))
                } else {
                    Answer::Broken(why)
                });
            }
            Err(error) => return Err(error),
        };
        if self.task == Task::Background {
            return self.prove(book);
        }
        if inspects && let Some(why) = self.damage_of_log(&book.head)? {
            return Ok(Answer::Stands(FileState::Malformed { why }));
        }
        let is_as_left = inspects
            && followed.pages.is_empty()
            && book.head.left.as_ref() == Some(&freshness::mark(self.database)?);
        if is_as_left && bytes(&book.head) > self.bounds.moderate {
            // A mark says that nobody wrote, and nothing of what the disk did: that is for the background. What was
            // proved before this run is not proved in it.
            if let Some(proof) = &mut book.head.proof {
                proof.salt = None;
            }
            book.write_head()?;
            return Ok(Answer::Stands(FileState::Current));
        }
        let mut which = self.which(&book, &followed)?;
        let mut found = self.compare(&mut book, &which)?;
        let may_count =
            inspects && matches!(found, Found::Different(..)) && wal::header(self.database)?.is_some();
        if may_count || matches!(found, Found::Ahead | Found::Unmade) {
            // As long as nobody has written over what Litestream took for a commit, it can be made one; and at a start
            // the index may be another log's.
            repair::count(self.database).map_err(io::Error::other)?;
            found = self.compare(&mut book, &which)?;
        }
        let mut short = None;
        if inspects && found == Found::Ahead {
            // Whose log is shorter than what was copied of it may have any of two reasons; the pages tell.
            short = end_of(wal::index(self.database)?);
            if let Some(end) = short {
                let head = Head { newest: Copied { end, ..book.head.newest }, ..book.head.clone() };
                found =
                    compare(self.database, &head, |page| book.get(page), &which, self.effort(self.deadline))?;
                if matches!(found, Found::Equal { .. }) {
                    found = Found::Ahead;
                }
            }
        }
        if inspects && matches!(found, Found::Equal { .. }) {
            found = self.compare_log(&mut book, found)?;
        }
        if self.task == Task::Last && matches!((&which, &found), (Which::These(_), Found::Equal { .. })) {
            let half = self.deadline.saturating_duration_since(Instant::now()) / 2;
            let again = self.compare_by(&mut book, &Which::All, Instant::now() + half)?;
            if !matches!(again, Found::Unfinished(_)) {
                (which, found) = (Which::All, again);
            }
        }
        let mut answer = self.conclude(&mut book, &followed, &which, found, short)?;
        book.write_head()?;
        drop(book);
        if let Answer::Stands(freshness) = &mut answer {
            self.refine(freshness, is_as_left);
        }
        Ok(answer)
    }

    /// Whether the log of a database that was left in order does not agree with its own checksums any more. After another end
    /// that is as it may be: what was never synced is lost.
    fn damage_of_log(&self, head: &Head) -> io::Result<Option<String>> {
        let Some((_, salt, ..)) = head.left.as_ref().and_then(|left| left.log) else { return Ok(None) };
        if salt != [0; 8] && wal::is_headless(self.database)? {
            return Ok(Some(
                "the header of its WAL is damaged, and sqlite leaves out all that is in it".to_owned(),
            ));
        }
        let run = wal::Run::open(self.database)?.filter(|run| run.header.salt == salt);
        let Some(run) = run.filter(|_| salt == head.newest.salt) else { return Ok(None) };
        let at = run.agrees_up_to()?;
        let was_copied = run
            .frames(wal::HEADER)?
            .iter()
            .any(|frame| at < frame.content && frame.content < head.newest.end);
        Ok(was_copied
            .then(|| format!("its WAL is damaged behind byte {at}, and sqlite leaves out what follows")))
    }

    /// What differs and is to be copied as a whole takes the place of a backup that may be better than the file.
    fn refine(&self, freshness: &mut FileState, is_as_left: bool) {
        let differs = |pages: u64| format!("{pages} of its pages are not as they were left");
        let why = match freshness {
            FileState::Diverged { why, .. } => why.clone(),
            FileState::Written { pages, .. } | FileState::Damaged { pages, .. } => differs(*pages),
            FileState::Unfounded => "nothing of its copy is here".to_owned(),
            FileState::New
            | FileState::Broken(_)
            | FileState::NotSqlite
            | FileState::Current
            | FileState::Malformed { .. }
            | FileState::Older(_)
            | FileState::Resized { .. } => return,
            // Of what SQLite does not open nothing else can be told.
            FileState::Other { why } => match freshness::fault(self.database) {
                Some(_) => why.clone(),
                None => return,
            },
        };
        if let Some(fault) = freshness::fault(self.database) {
            *freshness = FileState::Malformed { why: format!("{why}, and {fault}") };
        } else if let Ok(Verdict::Malformed(words)) = check::of_used(self.database, CHECKING) {
            *freshness = FileState::Malformed { why: format!("{why}, and sqlite cannot read it: {words}") };
        } else if let (FileState::Written { pages, txid }, true) = (&*freshness, is_as_left) {
            *freshness = FileState::Damaged { pages: *pages, txid: *txid };
        }
    }

    fn check(&self) -> io::Result<Answer> {
        let limit = self.deadline.saturating_duration_since(Instant::now());
        Ok(match check::of_used(self.database, limit.min(CHECKING)).map_err(io::Error::other)? {
            Verdict::Malformed(words) => Answer::Malformed(words),
            Verdict::Whole | Verdict::Odd(_) => Answer::Whole,
        })
    }

    /// Litestream without files of its own asks the replica where it was, and copies the whole database behind that
    /// (`checkDatabaseBehindReplica` in its db.go).
    fn reset(&self) -> io::Result<Answer> {
        let (ltx, quarantine) = (self.meta.join("ltx"), self.meta.join("ltx-broken"));
        match std::fs::remove_dir_all(&quarantine) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => std::fs::remove_file(&quarantine)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
        std::fs::rename(ltx, quarantine)?;
        Ok(Answer::New)
    }

    /// Compares all without keeping others from the ledger meanwhile.
    fn prove(&self, mut book: Book) -> io::Result<Answer> {
        let head = book.head.clone();
        if head.commit > MOST_AT_ONCE {
            let found = self.compare(&mut book, &Which::All)?;
            drop(book);
            return self.proven(&head, found);
        }
        let sums = book.up_to(head.commit)?;
        book.write_head()?;
        drop(book);
        let expected = |page: u32| Ok(sums.get(page as usize).copied().unwrap_or(0));
        let found = compare(self.database, &head, expected, &Which::All, self.effort(self.deadline))?;
        self.proven(&head, found)
    }

    fn proven(&self, head: &Head, found: Found) -> io::Result<Answer> {
        let since = head.since();
        Ok(match found {
            Found::Equal { salt } => {
                let mut book = Book::open(self.meta)?;
                book.head.proof = Some(Proof { txid: head.newest.txid, salt, at: now() });
                Age::of(self.database).remember(&mut book.head);
                book.write_head()?;
                Answer::Equal { due: false }
            }
            Found::Different(_, why) => Answer::Diverged { why, since },
            // The next look sees to it.
            Found::Ahead | Found::Unmade => Answer::Equal { due: true },
            Found::Unfinished(share) => Answer::Unfinished(share),
        })
    }

    fn compare(&self, book: &mut Book, which: &Which) -> io::Result<Found> {
        self.compare_by(book, which, self.deadline)
    }

    fn compare_by(&self, book: &mut Book, which: &Which, deadline: Instant) -> io::Result<Found> {
        let head = book.head.clone();
        compare(self.database, &head, |page| book.get(page), which, self.effort(deadline))
    }

    fn effort(&self, deadline: Instant) -> Effort {
        Effort { deadline, is_gentle: self.task == Task::Background }
    }

    /// What is found of a database whose log is another than the one that was copied, which a comparison leaves alone: what is
    /// in it comes after the copy, unless it is an older log.
    fn compare_log(&self, book: &mut Book, found: Found) -> io::Result<Found> {
        let Some(log) = wal::header(self.database)?.filter(|log| log.salt != book.head.newest.salt) else {
            return Ok(found);
        };
        repair::count(self.database).map_err(io::Error::other)?;
        let Some(end) = end_of(wal::index(self.database)?) else { return Ok(found) };
        let head = Head { newest: Copied { salt: log.salt, end, ..book.head.newest }, ..book.head.clone() };
        let effort = self.effort(self.deadline);
        let whole = compare(self.database, &head, |page| book.get(page), &Which::All, effort)?;
        match &whole {
            Found::Different(pages, _)
                if freshness::is_another_log(self.database, self.meta, &book.head, pages)? =>
            {
                Ok(whole)
            }
            _ => Ok(found),
        }
    }

    /// Which pages have to be compared.
    fn which(&self, book: &Book, followed: &Followed) -> io::Result<Which> {
        let head = &book.head;
        let bytes = bytes(head);
        if followed.whole || head.all_suspect || self.task == Task::Inspect {
            return Ok(Which::All);
        }
        // It is all compared again afterwards, as far as there is time.
        let is_last = self.task == Task::Last;
        if bytes <= self.bounds.cheap && !is_last {
            return Ok(Which::All);
        }
        let wants_all = bytes <= self.bounds.moderate || is_last || self.task == Task::All;
        if wants_all && !self.is_proven(book)? {
            return Ok(Which::All);
        }
        let pages: BTreeSet<u32> = followed.pages.iter().chain(&head.suspects).copied().collect();
        Ok(Which::These(pages))
    }

    /// Whether all was the same in this run of the WAL: since then only what is in it has changed.
    fn is_proven(&self, book: &Book) -> io::Result<bool> {
        let salt = wal::header(self.database)?.map(|header| header.salt);
        Ok(salt.is_some() && book.head.proof.is_some_and(|proof| proof.salt == salt))
    }

    fn conclude(
        &self,
        book: &mut Book,
        followed: &Followed,
        which: &Which,
        found: Found,
        short: Option<u64>,
    ) -> io::Result<Answer> {
        let since = book.head.since();
        let is_inspection = self.task == Task::Inspect;
        let answer = match found {
            Found::Equal { salt } => {
                book.head.suspects.clear();
                let proven = matches!(which, Which::All) || self.is_proven(book)?;
                if proven {
                    book.head.all_suspect = false;
                    let is_new = book.head.proof.is_none_or(|proof| proof.salt != salt);
                    book.head.proof = Some(Proof { txid: book.head.newest.txid, salt, at: now() });
                    if is_new || book.head.seq.is_none() {
                        Age::of(self.database).remember(&mut book.head);
                    }
                }
                let newest = book.head.newest;
                // Behind an index that somebody is writing nobody has looked.
                if end_of(wal::index(self.database)?)
                    .is_none_or(|end| salt != Some(newest.salt) || newest.end <= end)
                {
                    book.head.agreed = Some(newest);
                }
                book.head.seen = Some(freshness::seen(self.database)?);
                match is_inspection {
                    // Litestream does not get past it.
                    true if wal::is_headless(self.database)? => Answer::Stands(headless()),
                    true => Answer::Stands(FileState::Current),
                    false => Answer::Equal { due: !proven },
                }
            }
            Found::Different(pages, why) if is_inspection => {
                let differs = Differs { pages, why, short };
                Answer::Stands(freshness::of_different(self.database, self.meta, book, differs)?)
            }
            Found::Different(pages, why) => {
                pages.iter().for_each(|(page, _)| book.head.suspect(*page));
                book.head.all_suspect |= pages.is_empty();
                if let Some(proof) = &mut book.head.proof {
                    proof.salt = None;
                }
                Answer::Diverged { why, since }
            }
            Found::Ahead | Found::Unmade => {
                let why = "litestream has copied what sqlite does not count as committed".to_owned();
                book.head.all_suspect = true;
                if is_inspection {
                    Answer::Stands(FileState::Diverged { why, since })
                } else {
                    Answer::Diverged { why, since }
                }
            }
            Found::Unfinished(share) => {
                followed.pages.iter().for_each(|page| book.head.suspect(*page));
                Answer::Unfinished(share)
            }
        };
        book.head.left = match self.task {
            // What is not all compared is not known again, and compared at the next start.
            Task::Leave if answer == (Answer::Equal { due: false }) => {
                Age::of(self.database).remember(&mut book.head);
                Some(freshness::mark(self.database)?)
            }
            Task::Inspect => book.head.left.take(),
            Task::Look
            | Task::All
            | Task::Background
            | Task::Last
            | Task::Leave
            | Task::Owe
            | Task::Check
            | Task::Reset
            | Task::Restored => None,
        };
        Ok(answer)
    }
}

/// What SQLite leaves out without a word, and Litestream does not get past: it has to be emptied.
fn headless() -> FileState {
    FileState::Diverged { why: "the header of its WAL is damaged".to_owned(), since: None }
}

/// Whether a file can be a database at all: it begins as one (<https://sqlite.org/fileformat2.html>), or is empty.
fn is_sqlite(path: &Path) -> io::Result<bool> {
    let file = open::file(path)?;
    let header: Option<[u8; 16]> = fd::read_at(&file, 0)?;
    Ok(header.is_some_and(|header| &header == database_header::MAGIC))
}

/// Where the log ends by its index.
fn end_of(state: wal::State) -> Option<u64> {
    match state {
        wal::State::Made(index) => Some(index.end),
        wal::State::Unmade | wal::State::Unknown => None,
    }
}

/// How large a database is, in bytes.
fn bytes(head: &Head) -> u64 {
    u64::from(head.commit) * u64::from(head.page_size)
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
