//! One database held against its ledger: which pages, what was found of them, and what that is for the task.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Instant, SystemTime};

use super::answer::{Answer, CHECKING, FileState, Task};
use super::book::{Book, Copied, Head, Mark, Proof};
use super::compare::{Effort, Found, Which, compare};
use super::damage;
use super::follow::{Followed, follow};
use super::freshness::{self, Age, Differs};
use super::owed;
use super::restored;
use crate::litestream::{ltx, position};
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

/// One question about one database.
pub(super) struct Ledger<'a> {
    pub(super) bounds: Bounds,
    pub(super) task: Task,
    pub(super) deadline: Instant,
    pub(super) database: &'a Path,
    pub(super) meta: &'a Path,
}

impl Ledger<'_> {
    /// Answers the question.
    ///
    /// # Errors
    /// Something cannot be read, or the ledger not be written.
    pub(super) fn answer(&self) -> io::Result<Answer> {
        if matches!(self.task, Task::Inspect | Task::All) {
            repair::roll_back(self.database).map_err(io::Error::other)?;
        }
        match self.task {
            Task::Reset => self.reset(),
            Task::Restored => restored::compare(self.database, self.meta, self.deadline),
            Task::Check => self.check(),
            Task::Owe => owed::note(self.meta).map(|()| Answer::Equal { due: false }),
            Task::Look | Task::All | Task::Background | Task::Last | Task::Leave | Task::Inspect => {
                self.hold_against_copy()
            }
        }
    }

    fn inspects(&self) -> bool {
        self.task == Task::Inspect
    }

    fn hold_against_copy(&self) -> io::Result<Answer> {
        let is_new = position::txids(&ltx::folder(self.meta)).next().is_none();
        if self.inspects() && !damage::is_sqlite(self.database)? {
            let damaged = || FileState::Malformed { why: NO_LONGER_SQLITE.to_owned() };
            return Ok(Answer::Stands(if is_new { FileState::NotSqlite } else { damaged() }));
        }
        if is_new {
            return match self.inspects() {
                true => damage::of_new(self.database).map(Answer::Stands),
                false => Ok(Answer::New),
            };
        }
        let mut book = Book::open(self.meta)?;
        match follow(&mut book, self.meta, matches!(self.task, Task::Inspect | Task::All)) {
            Ok(Some(_)) if self.task == Task::Background => self.prove(book),
            Ok(Some(followed)) => self.hold_against(book, &followed),
            Ok(None) => self.without_beginning(book),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let why = error.to_string();
                Ok(if self.inspects() { Answer::Stands(FileState::Broken(why)) } else { Answer::Broken(why) })
            }
            Err(error) => Err(error),
        }
    }

    /// Answers where the beginning of the copy is not here any more.
    fn without_beginning(&self, mut book: Book) -> io::Result<Answer> {
        book.write_head()?;
        if !self.inspects() {
            return Ok(Answer::Unfounded);
        }
        let known = freshness::of_unfounded(self.database, self.meta, self.deadline)?;
        let mut freshness = known.unwrap_or(FileState::Unfounded);
        damage::refine(self.database, &mut freshness, false);
        Ok(Answer::Stands(freshness))
    }

    /// Answers by the ledger, which has all that was copied by now.
    fn hold_against(&self, mut book: Book, followed: &Followed) -> io::Result<Answer> {
        if self.inspects()
            && let Some(why) = damage::of_log(self.database, &book.head)?
        {
            return Ok(Answer::Stands(FileState::Malformed { why }));
        }
        let is_as_left = self.inspects()
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
        let mut which = self.which(&book, followed)?;
        let mut found = self.compare_counted(&mut book, &which)?;
        let mut short = None;
        if self.inspects() && found == Found::Ahead {
            (found, short) = self.compare_short(&mut book, &which)?;
        }
        if self.inspects() && matches!(found, Found::Equal { .. }) {
            found = self.compare_log(&mut book, found)?;
        }
        if self.task == Task::Last && matches!((&which, &found), (Which::These(_), Found::Equal { .. })) {
            let half = self.deadline.saturating_duration_since(Instant::now()) / 2;
            let again = self.compare_by(&mut book, &Which::All, Instant::now() + half)?;
            if !matches!(again, Found::Unfinished(_)) {
                (which, found) = (Which::All, again);
            }
        }
        let mut answer = self.conclude(&mut book, followed, &which, found, short)?;
        book.head.left = self.left(&mut book.head, &answer)?;
        book.write_head()?;
        drop(book);
        if let Answer::Stands(freshness) = &mut answer {
            damage::refine(self.database, freshness, is_as_left);
        }
        Ok(answer)
    }

    /// Compares, and once more where what SQLite counts had to be put right before.
    fn compare_counted(&self, book: &mut Book, which: &Which) -> io::Result<Found> {
        let found = self.compare(book, which)?;
        let may_count =
            self.inspects() && matches!(found, Found::Different(..)) && wal::header(self.database)?.is_some();
        if !may_count && !matches!(found, Found::Ahead | Found::Unmade) {
            return Ok(found);
        }
        // As long as nobody has written over what Litestream took for a commit, it can be made one; and at a start
        // the index may be another log's.
        repair::count(self.database).map_err(io::Error::other)?;
        self.compare(book, which)
    }

    /// What is found of a database whose log is shorter than what was copied of it, and where the log ends. It may have any of two
    /// reasons; the pages tell.
    fn compare_short(&self, book: &mut Book, which: &Which) -> io::Result<(Found, Option<u64>)> {
        let Some(end) = end_of(wal::index(self.database)?) else { return Ok((Found::Ahead, None)) };
        let head = Head { newest: Copied { end, ..book.head.newest }, ..book.head.clone() };
        let effort = self.effort(self.deadline);
        let found = compare(self.database, &head, |page| book.get(page), which, effort)?;
        Ok((if matches!(found, Found::Equal { .. }) { Found::Ahead } else { found }, Some(end)))
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

    /// Makes an answer of what was found, and keeps in the ledger what that says.
    fn conclude(
        &self,
        book: &mut Book,
        followed: &Followed,
        which: &Which,
        found: Found,
        short: Option<u64>,
    ) -> io::Result<Answer> {
        let since = book.head.since();
        Ok(match found {
            Found::Equal { salt } => self.agrees(book, which, salt)?,
            Found::Different(pages, why) if self.inspects() => {
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
                match self.inspects() {
                    true => Answer::Stands(FileState::Diverged { why, since }),
                    false => Answer::Diverged { why, since },
                }
            }
            Found::Unfinished(share) => {
                followed.pages.iter().for_each(|page| book.head.suspect(*page));
                Answer::Unfinished(share)
            }
        })
    }

    /// Answers where nothing differs; `salt` is the run of the WAL.
    fn agrees(&self, book: &mut Book, which: &Which, salt: Option<[u8; 8]>) -> io::Result<Answer> {
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
        let end = end_of(wal::index(self.database)?);
        if end.is_none_or(|end| salt != Some(newest.salt) || newest.end <= end) {
            book.head.agreed = Some(newest);
        }
        book.head.seen = Some(freshness::seen(self.database)?);
        Ok(match self.inspects() {
            // Litestream does not get past it.
            true if wal::is_headless(self.database)? => Answer::Stands(damage::headless()),
            true => Answer::Stands(FileState::Current),
            false => Answer::Equal { due: !proven },
        })
    }

    /// How the database was left, by which the next start knows it again.
    fn left(&self, head: &mut Head, answer: &Answer) -> io::Result<Option<Mark>> {
        Ok(match self.task {
            // What is not all compared is not known again, and compared at the next start.
            Task::Leave if *answer == (Answer::Equal { due: false }) => {
                Age::of(self.database).remember(head);
                Some(freshness::mark(self.database)?)
            }
            Task::Inspect => head.left.take(),
            Task::Look
            | Task::All
            | Task::Background
            | Task::Last
            | Task::Leave
            | Task::Owe
            | Task::Check
            | Task::Reset
            | Task::Restored => None,
        })
    }
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
