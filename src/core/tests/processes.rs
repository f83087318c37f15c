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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    /// The app was told that these are safe in the file.
    pub(super) written: u64,
    pub(super) replicated: u64,
    /// Litestream holds a file that is not there any more, and confirms whatever it is asked about it.
    pub(super) replaced: bool,
    /// This one's replica is out of reach.
    pub(super) away: bool,
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

    pub(super) fn all(&self) -> impl Iterator<Item = Db> + use<> {
        (0..self.rows.len()).map(Db)
    }

    pub(super) fn write(&mut self) {
        for rows in &mut self.rows {
            rows.written += 1;
        }
    }

    /// Uploads what was written, up to `limit` rows; whether that is confirmed.
    pub(super) fn upload(&mut self, db: Db, limit: u64) -> bool {
        let rows = &mut self.rows[db.0];
        let answers = self.replica == Replica::Answers && !rows.away;
        if answers && !rows.replaced {
            rows.replicated = rows.replicated.max(rows.written.min(limit));
        }
        answers
    }

    /// Uploads everything; whether all of it is confirmed.
    pub(super) fn upload_all(&mut self) -> bool {
        self.all().filter(|db| !self.upload(*db, u64::MAX)).count() == 0
    }

    /// Nothing that the app wrote is missing on the replica.
    pub(super) fn is_safe(&self) -> bool {
        self.rows.iter().all(|rows| rows.replicated >= rows.written)
    }
}
