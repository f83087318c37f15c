//! A database held against what its backup restores to.
//!
//! Where a keeper runs, a row goes the whole way: into the database, to the replica, and into a file that is restored from there. That file is
//! looked at by SQLite, its pages are held against the database at the same transaction, and its tables counted. Where none does nothing
//! replicates, and what is there is compared. Whatever happens, the row and the file go again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt as _};

use super::asker::{self, Asker};
use super::candidate::Candidate;
use super::keeper::Running;
use super::told;
use super::verdict::{Bad, Verdict, Verified};
use crate::backup::trial::Sample;
use crate::backup::{self, Apart, Manner, Restorer};
use crate::cli::args::Run;
use crate::ledger::{self, Answer};
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::control;
use crate::litestream::database::{Database, with_suffix};
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;
use crate::os::{here, permit};
use crate::printer;
use crate::sqlite::check::Depth;
use crate::sqlite::sentinel::{Rows, TABLE, UNPUT};

/// So many are verified side by side.
const TOGETHER: usize = 4;
/// What is newer, or moves while it is compared, is compared again so often.
const TRIES: usize = 3;
/// How long a replica is given that nobody confirms, before it is restored again.
const PAUSE: Duration = Duration::from_millis(300);
/// How long a process of ours may take beyond what it was given.
const LIMIT: Duration = Duration::from_secs(20);

/// How it is done.
pub(super) struct Verifier {
    runner: Runner,
    version: Version,
    restorer: Restorer,
    timeout: Duration,
    read_only: bool,
    /// The rows that are in databases now.
    left: RefCell<BTreeMap<PathBuf, String>>,
}

/// What a keeper is asked for, and what it says.
enum Asked {
    /// Nobody replicates it, or nobody can be asked.
    Nothing,
    /// Up to this transaction it is on the replica.
    Confirmed(u64),
    /// Litestream says why it is not.
    Refused(String),
    /// Litestream says nothing in time.
    Silent(String),
}

/// How one try ended that did not end well.
enum End {
    /// For good.
    For(Bad),
    /// The next may end otherwise.
    Again(Bad),
}

impl From<Bad> for End {
    fn from(bad: Bad) -> Self {
        Self::For(bad)
    }
}

impl Verifier {
    pub(super) fn new(
        asker: &Asker,
        settings: &Run,
        apart: Rc<BTreeMap<PathBuf, Apart>>,
        timeout: Duration,
        read_only: bool,
    ) -> Self {
        let version = asker.version;
        let options = if version.plans() { vec!["-json".into()] } else { Vec::new() };
        let manner = Rc::new(Manner { options, point: Vec::new(), depth: Depth::Quick });
        let restorer = Restorer { manner, ..asker.restorer(settings, apart, timeout) };
        let (runner, left) = (asker.runner.clone(), RefCell::default());
        Self { runner, version, restorer, timeout, read_only, left }
    }

    /// Verifies each; one that fails stops no other.
    pub(super) async fn verify_all(&self, all: &[Candidate]) -> Vec<Verified> {
        let verified = stream::iter(all).map(|one| self.verify(one)).buffered(TOGETHER).collect();
        // What is asked over a socket hears of no signal.
        match select(pin!(verified), pin!(self.runner.children.aborted())).await {
            Either::Left((verified, _)) => verified,
            Either::Right(((), _)) => Vec::new(),
        }
    }

    /// Takes away what an interruption has left.
    pub(super) async fn clean(&self) {
        let left = std::mem::take(&mut *self.left.borrow_mut());
        if left.is_empty() {
            return;
        }
        self.runner.children.go_on();
        for (path, code) in left {
            if let Err(why) = self.rows("take", &path, &code).await {
                printer::note(&format!(
                    "{}: a row of {TABLE} could not be taken away: {why}; a verification after a day does",
                    path.display()
                ));
            }
        }
    }

    async fn verify(&self, one: &Candidate) -> Verified {
        let mut verified = Verified::new(one.db.path.clone(), one.db.replica.clone());
        let judged = match Running::on(one) {
            Err(unknown) => Err(Verdict::Inconclusive
                .because(unknown.message, "run it as the user that the database belongs to, or as root")),
            Ok(Some(running)) => self.running(one, &running, &mut verified).await,
            Ok(None) => {
                if !self.read_only {
                    let path = one.db.path.display();
                    printer::note(&format!(
                        "{path}: no keeper runs on it, so nothing replicates it now: what is there is compared, and nothing written"
                    ));
                }
                self.lying(one, &mut verified).await
            }
        };
        verified.bad = judged.err();
        verified
    }

    /// One that a keeper runs on.
    async fn running(&self, one: &Candidate, running: &Running, verified: &mut Verified) -> Result<(), Bad> {
        refuse_missing(&one.db)?;
        if self.read_only {
            return self.tries(one, Some(running), None, verified, Instant::now()).await;
        }
        let path = &one.db.path;
        let code = here::random().map(|code| format!("{code:032x}")).map_err(|error| {
            Verdict::Inconclusive
                .because(format!("no random number: {error}"), "look at this machine's kernel")
        })?;
        // Whoever is interrupted now may have put it in.
        self.left.borrow_mut().insert(path.clone(), code.clone());
        let began = Instant::now();
        let judged = match self.rows("put", path, &code).await {
            Ok(rows) => self.tries(one, Some(running), Some((&code, rows)), verified, began).await,
            Err(why) => {
                let bad = Verdict::Inconclusive.because(
                    format!("{}: no row can be written to it: {why}", path.display()),
                    "`--read-only` writes none; as the user that the database belongs to it may work",
                );
                if why.starts_with(UNPUT) {
                    self.left.borrow_mut().remove(path);
                    return Err(bad);
                }
                Err(bad)
            }
        };
        if !self.goes_on(one, running).await {
            // Its backup has the row, and what is taken away now would be in the database alone.
            self.left.borrow_mut().remove(path);
            printer::note(&format!(
                "{}: its keeper ended meanwhile, so the row of {TABLE} stays, as its backup has it; a verification after a day takes it away",
                path.display()
            ));
        } else if self.rows("take", path, &code).await.is_ok() {
            self.left.borrow_mut().remove(path);
        }
        judged
    }

    /// Whether what is written to a database now gets to its replica: what its keeper has confirmed for the last time is waited for no more.
    async fn goes_on(&self, one: &Candidate, running: &Running) -> bool {
        let Some(socket) = &running.holder.keeper else { return true };
        let began = Instant::now();
        loop {
            let is_here = matches!(Running::on(one), Ok(Some(_)));
            let phase = is_here.then(|| told::phase(socket, LIMIT.min(self.timeout))).flatten();
            match phase.as_deref() {
                None | Some("exited") => return false,
                // The app may only be started again.
                Some("stopping" | "draining" | "closing") if began.elapsed() < LIMIT => {
                    tokio::time::sleep(PAUSE).await;
                }
                Some("stopping" | "draining" | "closing") => return false,
                Some(_) => return true,
            }
        }
    }

    /// One that nobody replicates.
    async fn lying(&self, one: &Candidate, verified: &mut Verified) -> Result<(), Bad> {
        refuse_missing(&one.db)?;
        let before = written(&one.db.path);
        let judged = self.tries(one, None, None, verified, Instant::now()).await;
        match judged {
            Err(bad) if bad.verdict == Verdict::OutOfSync && written(&one.db.path) != before => {
                let what = format!("{}, and somebody writes to it without a keeper", bad.failure.message);
                Err(Verdict::Inconclusive.because(
                    what,
                    "verify it when nobody writes to it, or while `litekeeper run` does the replication",
                ))
            }
            judged => judged,
        }
    }

    async fn tries(
        &self,
        one: &Candidate,
        running: Option<&Running>,
        row: Option<(&str, Rows)>,
        verified: &mut Verified,
        began: Instant,
    ) -> Result<(), Bad> {
        // Nobody says when it is there, so it is looked for.
        let is_looked_for = running.is_some() && row.is_some() && !self.version.confirms();
        let mut tries = 0;
        loop {
            tries += 1;
            let ended = self.once(one, running, row.as_ref(), verified, began).await;
            let bad = match ended {
                Ok(()) => return Ok(()),
                Err(End::For(bad)) => return Err(bad),
                Err(End::Again(bad)) => bad,
            };
            let is_over = if is_looked_for { began.elapsed() >= self.timeout } else { tries >= TRIES };
            if is_over || self.runner.children.is_aborted() {
                return Err(bad);
            }
            if is_looked_for || running.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn once(
        &self,
        one: &Candidate,
        running: Option<&Running>,
        row: Option<&(&str, Rows)>,
        verified: &mut Verified,
        began: Instant,
    ) -> Result<(), End> {
        let (db, path) = (&one.db, one.db.path.display());
        let before = written(&db.path);
        let asked = match running.filter(|_| self.version.confirms()) {
            Some(running) => self.confirmed(db, running).await?,
            None => Asked::Nothing,
        };
        if matches!(asked, Asked::Confirmed(_)) {
            verified.replicated.get_or_insert_with(|| began.elapsed());
        }
        let sample = private(db)?;
        let file = sample.path("restored.db");
        let began_restore = Instant::now();
        let copied = match self.restorer.copy(db, &file).await {
            Ok(Some(copied)) => copied,
            Ok(None) => return Err(nothing(db, &asked, row.is_some())),
            Err(error) => return Err(of_error(&error).into()),
        };
        verified.restored = Some(began_restore.elapsed());
        verified.integrity = Some(Depth::Quick.word());
        let code = row.map_or("", |(code, _)| *code);
        let restored = self.rows("look", &file, code).await.map_err(|why| {
            Verdict::Inconclusive.because(
                format!("{path}: what was restored cannot be counted: {why}"),
                "see what SQLite says there",
            )
        })?;
        verified.rows = Some(restored.all());
        self.refuse_old(db, &asked, copied.txid)?;
        if row.is_some() && !restored.found {
            let why = match &asked {
                Asked::Refused(why) | Asked::Silent(why) => {
                    format!("litestream did not replicate it: {why}")
                }
                Asked::Confirmed(_) => "litestream says that it is there".to_owned(),
                Asked::Nothing => format!("it was waited for {} s", began.elapsed().as_secs()),
            };
            let what = format!(
                "{path}: a row that was just written is not in what {} restores to: {why}",
                db.replica
            );
            return Err(match asked {
                Asked::Nothing => End::Again(Verdict::OutOfSync.because(what, ANEW)),
                Asked::Confirmed(_) => End::For(Verdict::OutOfSync.because(what, ANEW)),
                Asked::Refused(_) => End::For(Verdict::OutOfSync.because(what, GOES_ON)),
                // It may be on its way, or never get there.
                Asked::Silent(_) => End::For(Verdict::Inconclusive.because(what, GOES_ON)),
            });
        }
        if row.is_some() {
            verified.replicated.get_or_insert_with(|| began.elapsed());
        }
        match asked {
            Asked::Confirmed(txid) => self.whole(db, Some(txid)).await?,
            // A snapshot may be there before the transaction that it ends with.
            Asked::Nothing | Asked::Refused(_) | Asked::Silent(_) => {
                let last = copied.txid.filter(|_| written(&db.path) == before);
                self.whole(db, last).await.map_err(End::Again)?;
            }
        }
        let pages = self.pages(db, &file, copied.txid, running.is_some()).await?;
        let Some((code, counted)) = row else { return self.by_pages(db, pages, running.is_some()) };
        let after = self.rows("count", &db.path, code).await.map_err(|why| {
            Verdict::Inconclusive
                .because(format!("{path}: its tables cannot be counted: {why}"), "`--read-only` counts none")
        })?;
        match other_count(counted, &restored, &after) {
            None => Ok(()),
            Some((table, rows)) => {
                let what = format!(
                    "{path}: table {table} has {} rows, and {} in what {} restores to",
                    known(after.tables.get(&table)),
                    known(rows.as_ref()),
                    db.replica
                );
                // Who deletes what he has just written has had another count in between.
                let is_same = counted.tables.get(&table) == after.tables.get(&table);
                let is_certain = is_same && !matches!(pages, Pages::Equal | Pages::EqualBut);
                let verdict = if is_certain { Verdict::OutOfSync } else { Verdict::Inconclusive };
                let hint = if is_certain {
                    ANEW
                } else {
                    "it is written to all the time: `--read-only` compares pages"
                };
                Err(End::Again(verdict.because(what, hint)))
            }
        }
    }

    /// Asks a keeper's Litestream for all that is in the database now.
    async fn confirmed(&self, db: &Database, running: &Running) -> Result<Asked, Bad> {
        match control::confirm_soon(&running.socket, &db.path, self.timeout, &running.peers()).await {
            Ok(synced) => Ok(Asked::Confirmed(synced.txid)),
            Err(error @ control::Error::Refused { .. }) => Ok(Asked::Refused(error.to_string())),
            Err(error @ control::Error::Timeout(_)) => Ok(Asked::Silent(error.to_string())),
            Err(error @ (control::Error::Io(_) | control::Error::Rubbish)) => Err(Verdict::Inconclusive.because(
                format!("{}: {}: {error}", db.path.display(), running.socket.display()),
                "a Litestream before 0.5.9 confirms nothing; else its keeper is starting, is ending, or runs in another container: ask \
                 there",
            )),
        }
    }

    /// What was restored has to have what was confirmed, and nothing that was never made here.
    fn refuse_old(&self, db: &Database, asked: &Asked, txid: Option<u64>) -> Result<(), End> {
        let Some(Position::Txid(here)) = position::local(self.version, &db.meta) else { return Ok(()) };
        let Some(there) = txid else { return Ok(()) };
        let wanted = match asked {
            Asked::Confirmed(txid) => *txid,
            Asked::Nothing | Asked::Refused(_) | Asked::Silent(_) => here,
        };
        let text = argv::txid_text;
        let (path, replica) = (db.path.display(), &db.replica);
        if there < wanted {
            let what = format!(
                "{path}: {replica} restores to txid {}, and the database is at {}",
                text(there),
                text(wanted)
            );
            return Err(match asked {
                // A Litestream without a keeper may be about to copy it.
                Asked::Nothing => End::Again(Verdict::OutOfSync.because(what, ANEW)),
                Asked::Confirmed(_) | Asked::Refused(_) => End::For(Verdict::OutOfSync.because(what, ANEW)),
                Asked::Silent(why) => {
                    End::For(Verdict::Inconclusive.because(format!("{what}: {why}"), GOES_ON))
                }
            });
        }
        if there > here {
            let what = format!(
                "{path}: {replica} restores to txid {}, which was never made here: the database is at {}",
                text(there),
                text(here)
            );
            return Err(Verdict::OutOfSync.because(what, PARTED).into());
        }
        Ok(())
    }

    /// Reads the files of a backup in a folder; of one elsewhere the restore has read what it needs.
    async fn whole(&self, db: &Database, txid: Option<u64>) -> Result<(), Bad> {
        let Some(folder) = db.replica_folder.as_deref().filter(|_| self.version.is_ltx()) else {
            return Ok(());
        };
        let whole = ledger::Whole { folder, txid, limit: self.timeout };
        let asked = self.runner.ask_own(&whole.args(), Vec::new(), self.timeout.saturating_add(LIMIT)).await;
        let path = db.path.display();
        match asked.and_then(|printed| Answer::parse(&printed)) {
            Ok(Answer::Broken(why)) => {
                let what = format!(
                    "{path}: replica {}: its newest state restores, but a file of it is not what was written, and what needs that \
                     does not restore: {why}",
                    db.replica
                );
                Err(Verdict::NotRestorable.because(what, DAMAGED))
            }
            Ok(Answer::Unfinished(share)) => {
                printer::note(&format!("{path}: {share} % of the files of {} were read in time", db.replica));
                Ok(())
            }
            Ok(
                Answer::Whole
                | Answer::Equal { .. }
                | Answer::Diverged { .. }
                | Answer::New
                | Answer::Unfounded
                | Answer::Resized { .. }
                | Answer::Stands(_)
                | Answer::Owes(_)
                | Answer::Malformed(_),
            ) => Ok(()),
            Err(why) => Err(Verdict::Inconclusive.because(
                format!("{path}: the files of {} cannot be read: {why}", db.replica),
                "see what stands in the way",
            )),
        }
    }

    /// Holds the pages of what was restored against the database's.
    async fn pages(
        &self,
        db: &Database,
        file: &Path,
        txid: Option<u64>,
        is_used: bool,
    ) -> Result<Pages, End> {
        let copy =
            ledger::Copy { database: &db.path, meta: &db.meta, restored: file, txid, limit: self.timeout };
        let asked = self.runner.ask_own(&copy.args(), Vec::new(), self.timeout.saturating_add(LIMIT)).await;
        let path = db.path.display();
        let answer = asked.and_then(|printed| Answer::parse(&printed)).map_err(|why| {
            Verdict::Inconclusive.because(
                format!("{path}: it cannot be compared: {why}"),
                "see what stands in the way of reading it",
            )
        })?;
        match answer {
            Answer::Equal { due: false } => Ok(Pages::Equal),
            Answer::Equal { due: true } => Ok(Pages::EqualBut),
            // What is newest here may only not be there yet.
            Answer::Diverged { .. } if is_used && !self.version.plans() => {
                Ok(Pages::Unknown("it was written to meanwhile".to_owned()))
            }
            Answer::Diverged { why, .. } => {
                let what = format!("{path}: it is not what {} restores to: {why}", db.replica);
                let bad = Verdict::OutOfSync.because(what, PARTED);
                // Litestream's own checkpoint makes it look so for a moment.
                Err(if is_used { End::Again(bad) } else { End::For(bad) })
            }
            Answer::Unfinished(share) => Ok(Pages::Unknown(format!("only {share} % was compared in time"))),
            Answer::Unfounded
            | Answer::New
            | Answer::Broken(_)
            | Answer::Resized { .. }
            | Answer::Stands(_)
            | Answer::Owes(_)
            | Answer::Whole
            | Answer::Malformed(_) => Ok(Pages::Unknown("it was written to meanwhile".to_owned())),
        }
    }

    /// Where there is nothing else to go by.
    fn by_pages(&self, db: &Database, pages: Pages, is_used: bool) -> Result<(), End> {
        let path = db.path.display();
        let knows = self.version.plans();
        match pages {
            Pages::Equal => Ok(()),
            Pages::EqualBut if is_used && knows => Ok(()),
            Pages::EqualBut if knows => {
                let what = format!("{path}: it has commits that {} has not", db.replica);
                let hint = "`litekeeper run` replicates them; who uses it without has no backup";
                Err(End::Again(Verdict::OutOfSync.because(what, hint)))
            }
            Pages::EqualBut | Pages::Unknown(_) if is_used && !knows => {
                let what = format!(
                    "{path}: litestream {} does not say which state it restored, and the database has another one now: litestream 0.5.12 and later do",
                    self.version
                );
                Err(Verdict::Inconclusive
                    .because(what, "stop what writes to it, or leave --read-only out")
                    .into())
            }
            Pages::EqualBut => Ok(()),
            Pages::Unknown(why) => {
                let what = format!("{path}: it could not be compared: {why}");
                Err(End::Again(
                    Verdict::Inconclusive
                        .because(what, "try again when less is written to it, or with a longer --timeout"),
                ))
            }
        }
    }

    /// Has a process of its own put a row in, look for it, or take it away.
    async fn rows(&self, word: &str, database: &Path, code: &str) -> Result<Rows, String> {
        let args = ["__sentinel".into(), word.into(), database.into(), code.into()];
        let printed = self.runner.ask_own(&args, Vec::new(), self.timeout.saturating_add(LIMIT)).await?;
        serde_json::from_str(&printed).map_err(|error| format!("no answer: {error}"))
    }
}

/// The next step where a replica has not what the database has.
const ANEW: &str = "look at what was done to the replica; a keeper that is started anew looks as well, and copies what is missing";
/// The next step where Litestream does not get it there.
const GOES_ON: &str =
    "the keeper's litestream goes on trying: its log has the reason, `litekeeper status` how far it is";
/// The next step where a file is damaged that the newest state does not need.
const DAMAGED: &str = "look at what damaged it; bring the file back from a copy of the replica, or name another place for its replica: \
                       a running keeper makes a fresh copy there, and this one keeps the times before the damage";
/// The next step where both went their own ways.
const PARTED: &str = "keep both, and find out which is right: `litekeeper run` compares them at its start, and `litekeeper ltx` (`wal` with litestream 0.3) lists what is there";

/// How pages compare.
enum Pages {
    /// All are the same.
    Equal,
    /// All but those are the same that were written since.
    EqualBut,
    /// Nobody can tell, for this reason.
    Unknown(String),
}

/// A replica without a backup; a first one may be on its way where somebody waits for it.
fn nothing(db: &Database, asked: &Asked, is_waited_for: bool) -> End {
    let why = match asked {
        Asked::Refused(why) | Asked::Silent(why) => format!(": {why}"),
        Asked::Confirmed(_) | Asked::Nothing => String::new(),
    };
    let what = format!("{}: {} holds no backup{why}", db.path.display(), db.replica);
    let bad = Verdict::NotRestorable.because(what, ANEW);
    match asked {
        Asked::Nothing if is_waited_for => End::Again(bad),
        Asked::Nothing | Asked::Confirmed(_) | Asked::Refused(_) | Asked::Silent(_) => End::For(bad),
    }
}

/// What changes with each write to a database.
fn written(path: &Path) -> [Option<(u64, Option<SystemTime>)>; 2] {
    let of = |path: &Path| {
        let found = permit::theirs(|| path.metadata()).ok().filter(|found| found.len() > 0);
        found.map(|found| (found.len(), found.modified().ok()))
    };
    [of(path), of(&with_suffix(path, "-wal"))]
}

fn refuse_missing(db: &Database) -> Result<(), Bad> {
    if db.exists() {
        return Ok(());
    }
    Err(Verdict::Inconclusive.because(
        format!(
            "{}: the database is not there, so there is nothing to compare its backup with",
            db.path.display()
        ),
        "`litekeeper run` restores it where there is a backup",
    ))
}

/// A private folder to restore a database to, which goes with this.
pub(super) fn private(db: &Database) -> Result<Sample, Bad> {
    Sample::make(None).map_err(|error| {
        Verdict::Inconclusive.because(
            format!("{}: no private folder to restore to: {error}", db.path.display()),
            "set TMPDIR to a folder that this user may write to",
        )
    })
}

/// What a restore that failed says of the backup.
pub(super) fn of_error(error: &backup::Error) -> Bad {
    let is_ours = error.is_of_this_machine();
    let verdict = if is_ours { Verdict::Inconclusive } else { Verdict::NotRestorable };
    let failure = asker::failure(error);
    let otherwise =
        is_ours.then_some("it says nothing of the backup: see what stands in the way, and try again");
    let hint = failure.hint.clone().or(otherwise.map(str::to_owned));
    Bad { verdict, failure: crate::error::Failure { exit: verdict.exit(), hint, ..failure } }
}

/// A table that has another number of rows than it had before or has after, or in between; with that number.
fn other_count(before: &Rows, restored: &Rows, after: &Rows) -> Option<(String, Option<u64>)> {
    let all = [before, restored, after].map(|rows| rows.tables.keys());
    let names: BTreeSet<&String> = all.into_iter().flatten().collect();
    names.into_iter().find_map(|name| {
        let [from, there, to] = [before, restored, after].map(|rows| rows.tables.get(name).copied());
        let is_between = from.min(to) <= there && there <= from.max(to);
        (!is_between).then(|| (name.clone(), there))
    })
}

fn known(rows: Option<&u64>) -> String {
    rows.map_or_else(|| "no".to_owned(), u64::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows<const N: usize>(tables: [(&str, u64); N]) -> Rows {
        let tables = tables.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect();
        Rows { found: true, tables }
    }

    #[test]
    fn a_count_is_one_that_the_database_has_had() {
        let other = |before, restored, after| {
            other_count(&rows([("t", before)]), &rows([("t", restored)]), &rows([("t", after)]))
        };
        assert_eq!(other(3, 3, 3), None);
        assert_eq!(other(3, 4, 5), None);
        assert_eq!(other(5, 4, 3), None);
        assert_eq!(other(3, 2, 3), Some(("t".to_owned(), Some(2))));
        let (none, one) = (rows([]), rows([("t", 1)]));
        assert_eq!(other_count(&one, &none, &one), Some(("t".to_owned(), None)));
        assert_eq!(other_count(&none, &one, &none), Some(("t".to_owned(), Some(1))));
        assert_eq!(other_count(&none, &one, &one), None, "it was made meanwhile");
    }
}
