//! What lives in the simulated world: Litestream, its shim, the app's tree, the databases.

use crate::core::Db;

use super::plan::Replica;

/// One Litestream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Litestream {
    /// It was the n-th to be launched.
    pub(super) launch: u64,
    /// Its shim has ended with 0, so it ends as well.
    pub(super) closing: bool,
    /// It does nothing at all.
    pub(super) hangs: bool,
}

/// The shim of one Litestream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shim {
    pub(super) launch: u64,
    /// It kills whatever is left of the app's tree.
    pub(super) killing: bool,
    /// Litestream is dead, and the shim ends as soon as the app's tree is gone.
    pub(super) alone: bool,
    /// It is stopped, and can only be killed.
    pub(super) stopped: bool,
}

/// The app's tree, or a one-shot command's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct App {
    /// It was the n-th to be started.
    pub(super) number: u64,
    /// The leader lives; else only what it started.
    pub(super) led: bool,
    /// It was killed and sleeps in the kernel: it is there, and does nothing ever again.
    pub(super) stuck: bool,
}

/// A database and its replica, in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// The app writes to it, and the keeper answers for it.
    pub(super) here: bool,
    /// Litestream knows it.
    pub(super) known: bool,
    /// A source has named it, and Litestream was not told of it.
    pub(super) outside: bool,
    /// A source has named it, and it is being looked at.
    pub(super) looking: bool,
    /// The app makes its file; else it writes elsewhere.
    pub(super) made: bool,
    /// The app was told that these are safe in the file.
    pub(super) written: u64,
    pub(super) replicated: u64,
    /// Litestream holds a file that is not there any more, and confirms whatever it is asked about it.
    pub(super) replaced: bool,
    /// Litestream's copy has diverged from it: nothing is on the replica before a new snapshot.
    pub(super) diverged: bool,
    /// This one's replica is out of reach.
    pub(super) away: bool,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            here: true,
            known: true,
            outside: false,
            looking: false,
            made: true,
            written: 0,
            replicated: 0,
            replaced: false,
            diverged: false,
            away: false,
        }
    }
}

/// All databases, and what their replica says.
#[derive(Clone, Debug)]
pub(super) struct Databases {
    pub(super) rows: Vec<Rows>,
    pub(super) replica: Replica,
}

impl Databases {
    pub(super) fn new(count: usize) -> Self {
        Self { rows: vec![Rows::default(); count], replica: Replica::Answers }
    }

    pub(super) fn all(&self) -> Vec<Db> {
        (0..self.rows.len()).map(Db).filter(|db| self.rows[db.0].here).collect()
    }

    /// One more, which Litestream knows nothing of.
    pub(super) fn add(&mut self) -> Db {
        self.rows.push(Rows { known: false, ..Rows::default() });
        Db(self.rows.len() - 1)
    }

    /// The keeper answers no more for it.
    pub(super) fn forget(&mut self, db: Db) {
        self.put_off(db);
        self.rows[db.0].here = false;
    }

    /// Litestream does not know it, and the keeper does.
    pub(super) fn put_off(&mut self, db: Db) {
        let rows = &mut self.rows[db.0];
        (rows.known, rows.outside, rows.looking) = (false, true, false);
    }

    pub(super) fn write(&mut self) {
        for rows in self.rows.iter_mut().filter(|rows| rows.here && rows.made) {
            rows.written += 1;
        }
    }

    /// Uploads what was written, up to `limit` rows; whether that is confirmed.
    pub(super) fn upload(&mut self, db: Db, limit: u64) -> bool {
        let rows = &mut self.rows[db.0];
        let answers = self.replica == Replica::Answers && !rows.away && !rows.diverged && rows.known;
        if answers && !rows.replaced {
            rows.replicated = rows.replicated.max(rows.written.min(limit));
        }
        answers
    }

    /// Uploads everything; whether all of it is confirmed.
    pub(super) fn upload_all(&mut self) -> bool {
        let known: Vec<Db> = self.all().into_iter().filter(|db| self.rows[db.0].known).collect();
        known.into_iter().filter(|db| !self.upload(*db, u64::MAX)).count() == 0
    }

    /// Those whose copy has diverged from them.
    pub(super) fn diverged(&self) -> Vec<Db> {
        self.all().into_iter().filter(|db| self.rows[db.0].diverged).collect()
    }

    /// Nothing that the app wrote is missing on the replica.
    pub(super) fn is_safe(&self) -> bool {
        self.rows.iter().filter(|rows| rows.here).all(|rows| rows.replicated >= rows.written)
    }
}
