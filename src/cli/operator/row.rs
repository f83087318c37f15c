//! What is known of a database, as `litekeeper status` prints it: by what its keeper says, the files, and the replica.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::asker::{Asker, NAMELESS};
use super::candidate::Candidate;
use super::keeper::Running;
use super::reach::backup_of;
use super::remembered::Remembered;
use super::shown::{self, Lines};
use crate::backup::{self, Apart};
use crate::core::State;
use crate::holder::Holder;
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::control;
use crate::litestream::database::with_suffix;
use crate::litestream::ltx;
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;
use crate::os::permit;
use crate::printer::Paint;
use crate::replica::helper::Formats;
use crate::status::{self, Verification};

/// What is known of a database.
pub(super) struct Row {
    path: String,
    alias: Option<String>,
    replica: Option<String>,
    /// A keeper runs on it.
    has_keeper: bool,
    is_here: bool,
    /// Its keeper alone knows it.
    is_told: bool,
    /// What its keeper says.
    said: Option<status::Database>,
    /// How large its file is.
    pub(super) size: Option<u64>,
    wal: Option<u64>,
    local: Option<Position>,
    /// All that was committed is in that.
    is_synced: bool,
    replicated: Option<Position>,
    lag: Option<Duration>,
    restorable: Option<(String, String)>,
    error: Option<String>,
    verified: Option<Verification>,
}

impl Row {
    /// What the file system and its keeper tell, if it `has_keeper`.
    pub(super) fn new(
        one: &Candidate,
        has_keeper: bool,
        said: Option<status::Database>,
        remembered: &Remembered,
    ) -> Self {
        let length = |path: &Path| permit::theirs(|| path.metadata()).ok().map(|found| found.len());
        let size = length(&one.db.path);
        Self {
            path: one.db.path.to_string_lossy().into_owned(),
            alias: one.aliases.first().cloned(),
            replica: one.replicas.first().map(|(place, _)| place.clone()),
            has_keeper,
            is_here: one.db.exists(),
            is_told: one.is_told,
            said,
            wal: length(&with_suffix(&one.db.path, "-wal")).or(size.map(|_| 0)),
            size,
            local: None,
            is_synced: false,
            replicated: None,
            lag: None,
            restorable: None,
            error: None,
            verified: remembered.verdict_of(&one.db.path, &one.db.replica),
        }
    }

    /// With what Litestream and the replica say, the one within `patience`, the other within `limit`; nothing is known here by
    /// which those of one that its keeper alone knows could be asked.
    pub(super) async fn looked_at(
        self,
        asker: &Asker,
        (one, keeper): (&Candidate, Option<&Holder>),
        apart: Option<&Apart>,
        (limit, patience): (Duration, Duration),
    ) -> Self {
        let mut row = self;
        if row.is_told {
            return row;
        }
        // What is in the WAL is in no file of Litestream's yet; without a keeper, or a socket, those files have to do.
        let running = keeper.filter(|_| asker.version.confirms() && row.is_here);
        if let Some(running) = running.cloned().and_then(Running::of) {
            let peers = running.peers();
            let synced =
                control::sync_locally_by(&running.socket, &one.db.path, patience, Some(&peers)).await;
            row.is_synced = synced.is_ok();
            row.error = synced.err().map(|error| error.to_string());
        }
        row.local = position::local(asker.version, &one.db.meta);
        let Some((config, env)) = apart else {
            row.error = Some(NAMELESS.to_owned());
            return row;
        };
        let runner = Runner { env: env.clone(), ..asker.runner.clone() };
        match backup_of(asker.version, &runner, config, one, limit).await {
            Ok(found) => {
                (row.replicated, row.restorable, row.lag) = (found.newest, found.window, found.lag);
                if let Some(lacks) = found.lacks {
                    row.error.get_or_insert(lacks);
                }
                row.tell_untold(asker.version);
            }
            Err(error) => {
                row.error.get_or_insert(error);
            }
        }
        // What was copied and uploaded since then is here before it is there.
        let overtaken = row
            .local
            .as_ref()
            .zip(row.replicated.as_ref())
            .is_some_and(|(here, there)| here.is_behind(there));
        if overtaken {
            row.local = position::local(asker.version, &one.db.meta);
        }
        if asker.version.is_ltx() {
            row.lag = row.lag(&one.db.meta);
        }
        row.tell_ahead();
        row.tell_unknown(&runner, one, limit).await;
        row
    }

    /// With why nobody could be asked but its keeper.
    pub(super) fn unseen(self, why: &str) -> Self {
        Self { error: Some(why.to_owned()), ..self }
    }

    /// Says that the replica has what this database has not, where it has.
    fn tell_ahead(&mut self) {
        let (Some(here), Some(there), None) = (&self.local, &self.replicated, &self.error) else { return };
        if here.is_behind(there) {
            let shown = |position| txid(Some(position)).unwrap_or_else(|| "further".to_owned());
            self.error =
                Some(format!("its replica is ahead of it: {} there, {} here", shown(there), shown(here)));
        }
    }

    /// Litestream 0.3 goes by the time of the database's file, which its last user changes when he closes it: without a keeper nobody knows
    /// whether that was more.
    fn tell_untold(&mut self, version: Version) {
        let is_later = self.lag.is_some_and(|lag| lag > Duration::ZERO);
        if version.is_ltx() || self.has_keeper || !is_later {
            return;
        }
        self.lag = None;
        let why = "its file is younger than what is at its replica, and whether there is more in it litestream 0.3 does not say: `verify` finds \
                   out";
        self.error.get_or_insert_with(|| why.to_owned());
    }

    /// Says why nobody can tell how they compare, where one of them says nothing; what the place holds is looked at for that.
    async fn tell_unknown(&mut self, runner: &Runner, one: &Candidate, limit: Duration) {
        if self.error.is_some() || !self.is_here || self.local.is_some() && self.replicated.is_some() {
            return;
        }
        let held = backup::held_formats(runner, &one.db, limit).await.and_then(Result::ok);
        let why = match (&self.replicated, held) {
            (Some(_), _) => {
                "nothing of litestream's is beside it, so nobody knows what its replica has to do with it"
            }
            (None, Some(Formats { ltx: Some(_), .. })) => "its replica holds a backup of Litestream 0.5",
            (None, Some(Formats { generations: Some(_), .. })) => {
                "its replica holds a backup of Litestream 0.3"
            }
            (None, _) => "its replica holds no backup",
        };
        self.error = Some(why.to_owned());
    }

    /// The age of the oldest change that the replica has not.
    fn lag(&self, meta: &Path) -> Option<Duration> {
        let (local, replicated) = (self.local.as_ref()?, self.replicated.as_ref()?);
        if self.error.is_some() {
            return None;
        }
        if !local.is_behind(replicated) && !replicated.is_behind(local) {
            return Some(Duration::ZERO);
        }
        let (Position::Txid(_), Position::Txid(there)) = (local, replicated) else { return None };
        let folder = ltx::folder(meta);
        let written = permit::theirs(|| fs::read_dir(&folder)).ok()?.flatten().filter(|entry| {
            let name = entry.file_name();
            name.to_str().and_then(ltx::span).is_some_and(|span| span.end() > there)
        });
        let oldest = written.filter_map(|entry| entry.metadata().ok()?.modified().ok()).min()?;
        Some(SystemTime::now().duration_since(oldest).unwrap_or_default())
    }

    /// The worse of what its keeper says and what was seen: the one knows what is in no file yet, the other whether the replica
    /// has it.
    fn state(&self, max_lag: Duration) -> State {
        let said = self.said.as_ref().map(|said| State::of(&said.state).unwrap_or(State::Unknown));
        match said {
            Some(state) if self.is_told => state,
            Some(state @ (State::Replaced | State::Lagging)) => state,
            // It looks once in a while for a file that was not there.
            Some(State::Missing | State::Replicated | State::Unknown) | None => self.seen(max_lag),
        }
    }

    /// What was seen.
    fn seen(&self, max_lag: Duration) -> State {
        if !self.is_here {
            return State::Missing;
        }
        let (Some(local), Some(replicated), None) = (&self.local, &self.replicated, &self.error) else {
            return State::Unknown;
        };
        match self.lag {
            Some(lag) if lag > max_lag => State::Lagging,
            Some(_) => State::Replicated,
            // The replica has what this database has not.
            None if local.is_behind(replicated) => State::Unknown,
            None => State::Lagging,
        }
    }

    /// A keeper runs on it, and its replica has it.
    pub(super) fn is_well(&self, max_lag: Duration) -> bool {
        match self.state(max_lag) {
            State::Replicated => self.has_keeper,
            State::Lagging | State::Missing | State::Replaced | State::Unknown => false,
        }
    }

    /// What it is called, for people.
    pub(super) fn name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.path)
    }

    /// What is wrong with it, in a few words.
    pub(super) fn told(&self, max_lag: Duration) -> String {
        match self.error() {
            Some(error) => error.to_owned(),
            None if !self.has_keeper => "has no keeper".to_owned(),
            None => format!("is {}", self.state(max_lag).word()),
        }
    }

    fn error(&self) -> Option<&str> {
        // Of one that is replicated it is what was once the matter.
        let said = || self.said.as_ref().filter(|said| said.state != State::Replicated.word());
        self.error.as_deref().or_else(|| said()?.error.as_deref())
    }

    /// How far its copy here is.
    fn txid(&self) -> Option<String> {
        txid(self.local.as_ref()).or_else(|| self.said.as_ref()?.txid.clone())
    }

    /// How far its replica is: what lies there, or else what was confirmed.
    fn replicated_txid(&self) -> Option<String> {
        txid(self.replicated.as_ref()).or_else(|| self.said.as_ref()?.replicated_txid.clone())
    }

    /// The age of the oldest change that is not known to be on the replica.
    pub(super) fn age(&self) -> Option<Duration> {
        let said = self.said.as_ref().and_then(|said| said.lag_seconds);
        let said = said.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        // With all that was committed copied, what lies at the replica is the last word; the keeper's is of a while ago.
        if self.is_synced && self.lag.is_some() { self.lag } else { self.lag.into_iter().chain(said).max() }
    }

    fn last_confirmed_at(&self) -> Option<&str> {
        self.said.as_ref()?.last_confirmed_at.as_deref()
    }

    /// It as JSON.
    pub(super) fn json(&self, max_lag: Duration) -> Value {
        json!(status::Database {
            path: self.path.clone(),
            alias: self.alias.clone(),
            replica: self.replica.clone(),
            state: self.state(max_lag).word().to_owned(),
            size_bytes: self.size,
            wal_bytes: self.wal,
            txid: self.txid(),
            replicated_txid: self.replicated_txid(),
            lag_seconds: self.age().map(|lag| lag.as_secs_f64()),
            last_confirmed_at: self.last_confirmed_at().map(str::to_owned),
            error: self.error().map(str::to_owned),
            restorable: self.restorable.clone().map(|(from, to)| status::Restorable { from, to }),
            verified: self.verified.clone(),
        })
    }

    /// It as a line of a table.
    pub(super) fn add_to(&self, lines: &mut Lines, max_lag: Duration) {
        let state = self.state(max_lag);
        let paint = if self.is_well(max_lag) { Paint::Good } else { Paint::Bad };
        let lag = self.age().map(|lag| format!("{:.1} s", lag.as_secs_f64()));
        let confirmed = self.last_confirmed_at().map(str::to_owned);
        let restorable = self.restorable.as_ref().map(|(from, to)| format!("{from} to {to}"));
        let (local, replicated) = (self.txid(), self.replicated_txid());
        let sizes = [shown::size(self.size), shown::size(self.wal)];
        let error = self.error().map(str::to_owned);
        let verified = self.verified.as_ref().map(|last| format!("{} {}", last.verdict, last.at));
        let rest = [local, replicated, lag, confirmed, restorable, verified, error].map(shown::known);
        let first = [self.name().to_owned(), state.word().to_owned()];
        lines.add(paint, first.into_iter().chain(sizes).chain(rest));
    }
}

/// A position as it is printed; one of Litestream 0.3 is none.
fn txid(position: Option<&Position>) -> Option<String> {
    match position? {
        Position::Txid(txid) => Some(argv::txid_text(*txid)),
        Position::Wal { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_LAG: Duration = Duration::from_secs(60);

    /// One that is here, with a keeper that says this of it, and these transactions here and at its replica.
    fn row(said: status::Database, here: u64, there: u64) -> Row {
        let mut row = Row {
            path: "/app.db".to_owned(),
            alias: None,
            replica: None,
            has_keeper: true,
            is_here: true,
            is_told: false,
            said: Some(said),
            size: None,
            wal: None,
            local: Some(Position::Txid(here)),
            is_synced: true,
            replicated: Some(Position::Txid(there)),
            lag: None,
            restorable: None,
            verified: None,
            error: None,
        };
        row.lag = row.lag(Path::new("/nowhere"));
        row.tell_ahead();
        row
    }

    fn said(state: State, lag_seconds: f64, error: Option<&str>) -> status::Database {
        let (state, error) = (state.word().to_owned(), error.map(str::to_owned));
        status::Database { state, lag_seconds: Some(lag_seconds), error, ..status::Database::default() }
    }

    #[test]
    fn what_is_there_counts_more_than_what_its_keeper_knew_a_while_ago() {
        let equal = row(said(State::Missing, 9.0, None), 7, 7);
        assert!(equal.is_well(MAX_LAG), "it looks once in a while for a file that was not there");
        assert_eq!(equal.age(), Some(Duration::ZERO), "all that was committed is at the replica");
        let gone = Row { is_here: false, ..row(said(State::Missing, 0.0, None), 7, 7) };
        assert_eq!(gone.state(MAX_LAG).word(), "missing");
        let unsynced = Row { is_synced: false, ..row(said(State::Replicated, 9.0, None), 7, 7) };
        assert_eq!(unsynced.age(), Some(Duration::from_secs(9)), "something may be in the WAL alone");
        for state in [State::Replaced, State::Lagging] {
            let word = state.word();
            assert_eq!(row(said(state, 0.0, Some("why")), 7, 7).state(MAX_LAG).word(), word);
        }
        assert_eq!(row(said(State::Replicated, 0.0, Some("once")), 7, 7).error(), None);
        assert_eq!(row(said(State::Lagging, 90.0, Some("now")), 7, 7).error(), Some("now"));
    }

    #[test]
    fn a_replica_that_is_ahead_is_told() {
        let ahead = row(said(State::Replicated, 0.0, None), 7, 8);
        assert_eq!(ahead.state(MAX_LAG).word(), "unknown");
        let why = "its replica is ahead of it: 0000000000000008 there, 0000000000000007 here";
        assert_eq!(ahead.error(), Some(why));
    }
}
