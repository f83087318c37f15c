//! What a file is that is found at a start.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Instant, UNIX_EPOCH};

use super::answer::{CHECKING, FileState};
use super::book::{Book, Copied, Head, Mark, Seen};
use super::compare::{Effort, Found, Which, compare};
use super::history::{Kinship, Past};
use super::{page_size, seq};
use crate::database_header;
use crate::litestream::database::with_suffix;
use crate::litestream::ltx::{self, Ltx};
use crate::litestream::position;
use crate::os::{fd, open};
use crate::sqlite::check::{self, Verdict};
use crate::sqlite::repair;
use crate::sqlite::wal::{self, Run};

/// Looks how a database's file stands there now.
pub(super) fn mark(database: &Path) -> io::Result<Mark> {
    let file = std::fs::metadata(database)?;
    let log = match std::fs::metadata(with_suffix(database, "-wal")) {
        Ok(log) => {
            let salt = wal::header(database)?.map_or([0; 8], |header| header.salt);
            Some((log.len(), salt, log.mtime(), log.mtime_nsec()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(Mark { file: (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()), log })
}

/// Looks which file is there now.
pub(super) fn seen(database: &Path) -> io::Result<Seen> {
    let file = std::fs::metadata(database)?;
    let born = file.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    Ok(Seen {
        inode: file.ino(),
        born: born.map(|born| (born.as_secs(), born.subsec_nanos())),
        written: (file.mtime(), file.mtime_nsec()),
    })
}

/// What grows with a database, and with nothing else: Litestream's count of its checkpoints, and SQLite's own
/// counter of the commits that had its first page (`pager_write_changecounter` in its pager.c). Neither counts each
/// commit: between two checkpoints most leave the first page alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age {
    seq: Option<i64>,
    counter: Option<u32>,
    /// The number of the schema: each change of it, and each copy that SQLite itself makes, has a new one.
    cookie: Option<u32>,
}

impl Age {
    pub(super) fn of(database: &Path) -> Self {
        let header = header(database).unwrap_or(None);
        let number = |at: usize| header.map(|header| number(&header, at));
        Self { seq: seq::of(database), counter: number(24), cookie: number(40) }
    }

    pub(super) fn remember(self, head: &mut Head) {
        (head.seq, head.counter, head.cookie) = (self.seq, self.counter, self.cookie);
    }

    fn remembered(head: &Head) -> Self {
        Self { seq: head.seq, counter: head.counter, cookie: head.cookie }
    }

    fn is_behind(&self, then: &Self) -> bool {
        self.seq < then.seq || (self.seq == then.seq && self.counter < then.counter)
    }

    fn is_ahead(&self, then: &Self) -> bool {
        self.seq > then.seq || (self.seq == then.seq && self.counter > then.counter)
    }
}

/// Says in what a file is not the one that was left, as far as that shows without its pages.
pub(super) fn other_than_left(database: &Path, head: &Head) -> io::Result<Option<String>> {
    let file = seen(database)?;
    let is_same_file = is_left_file(&file, head);
    let why = match (is_same_file, Age::of(database).is_behind(&Age::remembered(head))) {
        (true, false) => return Ok(None),
        (false, _) => "it is another file",
        (true, true) => "its counter of commits is behind",
    };
    Ok(Some(why.to_owned()))
}

fn number(header: &[u8; 100], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

/// Says why SQLite would not take a database by its header.
pub(super) fn fault(database: &Path) -> Option<&'static str> {
    header(database).ok().flatten().as_ref().and_then(database_header::fault)
}

/// Reads a database's header as SQLite counts it, in its file or its log.
fn header(database: &Path) -> io::Result<Option<[u8; 100]>> {
    if let (Some(run), wal::State::Made(index)) = (Run::open(database)?, wal::index(database)?)
        && run.header.salt == index.salt
    {
        let frames = run.frames(wal::HEADER)?;
        let first = frames.iter().rfind(|frame| frame.page == 1 && frame.content < index.end);
        if let Some(frame) = first {
            let mut page = [0; 100];
            return Ok(run.read(frame.content, &mut page)?.then_some(page));
        }
    }
    fd::read_at(&open::file(database)?, 0)
}

/// Tells whether a file has fewer pages than its own header says: it was cut off. Vacuumed, it says the smaller number.
fn is_cut_off(database: &Path, is_shorter: bool) -> io::Result<bool> {
    let Some(header) = header(database)? else { return Ok(is_shorter) };
    if !is_shorter || wal::header(database)?.is_some() {
        // What the log has is not in the file yet.
        return Ok(false);
    }
    let size = u64::from(page_size::stored([header[page_size::AT], header[page_size::AT + 1]])).max(512);
    let pages = open::file(database)?.metadata()?.len() / size;
    // Which counts only if the version is the one that it was written for.
    Ok(number(&header, 24) != number(&header, 92) || pages < u64::from(number(&header, 28)))
}

/// Tells whether a log is of an earlier run than this one: SQLite counts them, and begins anywhere where there is none.
fn is_earlier(log: Option<wal::Header>, newest: [u8; 8]) -> bool {
    let before = log.map_or(0, |log| wal::run_of(newest).wrapping_sub(wal::run_of(log.salt)));
    (1..1 << 16).contains(&before)
}

/// What was found of a file whose pages are not those of the copy.
pub(super) struct Differs {
    /// These, with what it has there.
    pub(super) pages: Vec<(u32, u64)>,
    /// In words.
    pub(super) why: String,
    /// Its log ends here, before the end of what was copied from the same run of it.
    pub(super) short: Option<u64>,
}

/// So many pages may look older because somebody wrote again what they had once.
const FEW: u64 = 4;

/// Tells what a file is that differs in this from the copy.
pub(super) fn of_different(
    database: &Path,
    meta: &Path,
    book: &Book,
    differs: Differs,
) -> io::Result<FileState> {
    let (freshness, older) = of_pages(database, meta, book, differs)?;
    Ok(match freshness {
        // Nobody's writes leave what SQLite cannot read: part of an older copy stands among newer pages.
        FileState::Written { .. } | FileState::Diverged { .. } if older > 0 => {
            match check::of_used(database, CHECKING) {
                Ok(Verdict::Malformed(words)) => FileState::Other {
                    why: format!(
                        "{older} of its pages are as they once were, and do not fit to the others: {words}"
                    ),
                },
                Ok(Verdict::Whole | Verdict::Odd(_)) | Err(_) => freshness,
            }
        }
        freshness => freshness,
    })
}

/// Tells whether a log that was not copied is something other than what the app wrote then: it has some of these pages as they once were, or
/// comes with another file, and both have nothing of what was copied last.
pub(super) fn is_another_log(
    database: &Path,
    meta: &Path,
    head: &Head,
    pages: &[(u32, u64)],
) -> io::Result<bool> {
    let past = Past::read(meta)?;
    let pages: Vec<_> = pages.iter().copied().filter(|(page, sum)| !past.is_newest(*page, *sum)).collect();
    let kin = past.place(&pages, head);
    let is_same_file = || Ok::<_, io::Error>(is_left_file(&seen(database)?, head));
    Ok(kin.older > 0 || (!kin.has_last && !is_same_file()?))
}

fn is_left_file(file: &Seen, head: &Head) -> bool {
    head.seen.is_none_or(|then| file.is_same_file(&then))
}

/// Does as [`of_different`] by the pages alone, and says how many of them are older.
fn of_pages(database: &Path, meta: &Path, book: &Book, differs: Differs) -> io::Result<(FileState, u64)> {
    let head = &book.head;
    let Differs { mut pages, why, short } = differs;
    let past = Past::read(meta)?;
    let all = pages.len();
    // Is it as all that is known says, it is the ledger that was spoiled, or Litestream's newest files are missing.
    pages.retain(|(page, sum)| !past.is_newest(*page, *sum));
    let kin = past.place(&pages, head);
    let older = kin.older;
    let is_shorter = pages.iter().any(|(_, sum)| *sum == 0);
    let is_cut_off = is_cut_off(database, is_shorter)?;
    if pages.len() < all && older + kin.unknown == 0 && short.is_none() && !is_cut_off {
        let why = format!("what is known of the copy was spoiled: {why}");
        return Ok((FileState::Diverged { why, since: head.since() }, 0));
    }
    let are_own = |pages: &[(u32, u64)]| {
        let own = seq::pages(database);
        pages.iter().all(|(page, _)| own.contains(page))
    };
    if !pages.is_empty() && !is_cut_off && are_own(&pages) {
        // All that an app can see is as it was left.
        let why =
            "litestream's own rows in it are as they once were, and all else is as it was left".to_owned();
        return Ok((FileState::Diverged { why, since: None }, 0));
    }
    let clues = Clues::gather(database, head, &pages, kin, short)?;
    if clues.are_of_a_wrong_copy(head) {
        return Ok((FileState::Diverged { why, since: head.since() }, older));
    }
    let freshness = if clues.has_an_earlier_log(head) {
        // Nothing that writes to it takes that away.
        match clues.kin.unknown {
            0 => FileState::Older(older.max(1)),
            unknown => FileState::Other {
                why: format!(
                    "its log is older than what was copied of it, and {unknown} of its pages are as litestream has never copied them"
                ),
            },
        }
    } else if is_cut_off {
        FileState::Other { why: "it was cut off: it has fewer pages than its header says".to_owned() }
    } else {
        clues.by_age(FileState::Written { pages: pages.len() as u64, txid: head.newest.txid })
    };
    Ok((freshness, older))
}

/// What tells an older copy and another database from one that was only written to.
struct Clues {
    kin: Kinship,
    then: Age,
    now: Age,
    log: Option<wal::Header>,
    is_same_file: bool,
    /// SQLite writes to the file that is there, and that leaves a later time.
    was_written: bool,
    /// The log ends before the end of what was copied from the same run of it.
    is_short: bool,
    /// What was confirmed is not there any more.
    is_lost: bool,
    /// `sqlite3_backup_finish` gives a new number to a schema that is an old one.
    is_backup: bool,
}

impl Clues {
    fn gather(
        database: &Path,
        head: &Head,
        pages: &[(u32, u64)],
        kin: Kinship,
        short: Option<u64>,
    ) -> io::Result<Self> {
        let (then, now) = (Age::remembered(head), Age::of(database));
        let file = seen(database)?;
        let log = wal::header(database)?;
        let is_same_run = log.is_some_and(|log| log.salt == head.newest.salt);
        // A run of the log only grows.
        let is_short_of_agreed = head
            .agreed
            .zip(short)
            .is_some_and(|(agreed, end)| agreed.salt == head.newest.salt && agreed.end > end);
        Ok(Self {
            is_same_file: is_left_file(&file, head),
            was_written: head.seen.is_none_or(|then| file.written > then.written) || is_same_run,
            is_short: short.is_some(),
            is_lost: kin.lost > 0 || is_short_of_agreed,
            is_backup: kin.unknown == 1
                && now.cookie != then.cookie
                && pages.iter().any(|(page, _)| *page == 1),
            kin,
            then,
            now,
            log,
        })
    }

    fn is_behind(&self) -> bool {
        self.now.is_behind(&self.then)
    }

    /// Whether the last run did not end in order, and this is what it had: the copy is wrong.
    fn are_of_a_wrong_copy(&self, head: &Head) -> bool {
        let goes_on =
            |log: wal::Header| wal::run_of(log.salt).wrapping_sub(wal::run_of(head.newest.salt)) < 1 << 31;
        // What writes over an orphan was never copied.
        let is_copy = self.is_short && self.kin.unknown == 0 && head.agreed.is_none();
        let is_lost = self.is_behind() || self.is_lost;
        head.left.is_none() && self.is_same_file && self.log.is_some_and(goes_on) && !is_lost && !is_copy
    }

    fn has_an_earlier_log(&self, head: &Head) -> bool {
        (self.is_short && self.is_lost) || is_earlier(self.log, head.newest.salt)
    }

    /// Tells by how many of the pages are older, unknown and newer.
    fn by_age(&self, written: FileState) -> FileState {
        let Self { then, now, is_same_file, .. } = *self;
        let Kinship { older, unknown, newer, .. } = self.kin;
        let other = |why: String| FileState::Other { why };
        let mixed = || {
            other(format!(
                "{older} of its pages are as they once were, {unknown} are as litestream has never copied them, and {newer} are newer than the former"
            ))
        };
        let is_behind = self.is_behind();
        let goes_on = is_same_file && !is_behind && !self.is_short && !self.kin.first;
        let is_made_of_it = goes_on && self.was_written;
        match (older, unknown, newer) {
            // Nothing of it is old.
            (0, _, _) if now.seq.is_none() && then.seq.is_some() => {
                other("it is a new database, in which litestream has never been".to_owned())
            }
            (0, 0, _) => FileState::Older(1),
            (0, _, _) if now.seq < then.seq => other(format!(
                "litestream has made fewer checkpoints in it than in that one ({} of {})",
                now.seq.unwrap_or(0),
                then.seq.unwrap_or(0)
            )),
            (0, _, _) if is_behind => other(
                "its counter of commits is behind, and none of its other pages was ever copied".to_owned(),
            ),
            (0, _, _) if !is_same_file && !self.kin.has_last => {
                other("it is another file, and nothing of what was copied last is in it".to_owned())
            }
            (0, _, _) => written,
            // No older copy has what came after it, and who writes again what was there once does so in few pages.
            (_, _, 1..) if goes_on && (older <= FEW || older <= unknown + newer) => written,
            (_, _, 1..) => mixed(),
            // All that has changed since is as it was before.
            (_, 0, 0) if is_made_of_it && older <= FEW => written,
            (_, 0, 0) => FileState::Older(older),
            (_, _, 0) if is_made_of_it && !self.is_backup && (older <= FEW || self.outgrows()) => written,
            (_, _, 0) => mixed(),
        }
    }

    /// Whether it has come further since, and more of it is new than old.
    fn outgrows(&self) -> bool {
        self.now.is_ahead(&self.then) && self.kin.older < self.kin.unknown
    }
}

/// Tells what a file is of whose copy only the files of the newest transactions are here; `None` where these do not tell.
pub(super) fn of_unfounded(database: &Path, meta: &Path, deadline: Instant) -> io::Result<Option<FileState>> {
    let folder = ltx::folder(meta);
    let newest = position::txids(&folder).max().unwrap_or(0);
    let Some(ltx) = Ltx::open(&folder.join(ltx::name(newest))).ok().flatten() else { return Ok(None) };
    if wal::header(database)?.is_some() {
        // The index that is here may be another log's. Who keeps SQLite from it has it open, and so has made it.
        let _ = repair::count(database);
    }
    let log = wal::header(database)?;
    if is_earlier(log, ltx.salt) {
        return Ok(Some(FileState::Other {
            why: "its log is an earlier one than litestream has copied".to_owned(),
        }));
    }
    let copied = Copied { txid: newest, made: ltx.made, salt: ltx.salt, end: ltx.piece.end };
    if let wal::State::Made(index) = wal::index(database)?
        && index.salt == copied.salt
        && index.end < copied.end
    {
        let why = "its log ends before what litestream has copied of it".to_owned();
        return Ok(Some(FileState::Other { why }));
    }
    let head = Head { page_size: ltx.page_size, commit: ltx.commit, newest: copied, ..Head::default() };
    let past = Past::of_files(meta)?;
    let known = past.newest();
    let pages = known.keys().copied().filter(|page| *page <= ltx.commit).collect();
    let expected = |page: u32| Ok(known.get(&page).copied().unwrap_or(0));
    let effort = Effort { deadline, is_gentle: false };
    let found = compare(database, &head, expected, &Which::These(pages), effort)?;
    let Found::Different(mut pages, _) = found else { return Ok(None) };
    // Of what the log has of others nothing is known.
    pages.retain(|(page, _)| known.contains_key(page));
    let kin = past.place(&pages, &head);
    // Nothing that came after them is there, so nobody has only written to it.
    Ok((kin.older > 0 && kin.newer == 0 && kin.unknown == 0).then_some(FileState::Older(kin.older)))
}
