//! What is to be restored, and where its backups may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use super::prepare::Owing;
use super::table::Listed;
use crate::backup::Elsewhere;
use crate::core::Db;
use crate::litestream::database::Database;
use crate::litestream::position::Position;

/// What is missing here, and what is known of its backups.
pub(super) struct Restores {
    missing: Vec<Database>,
    /// The configuration that names those.
    pub(super) config: PathBuf,
    /// Where backups may be that are not on the replica.
    pub(super) elsewhere: Rc<Vec<Elsewhere>>,
    /// What a Litestream needs that reads the configuration of what is named just now.
    pub(super) named_env: Rc<Vec<(String, String)>>,
    /// How new the backups are of the databases that are looked at next, where that was listed.
    newest: BTreeMap<PathBuf, Option<Position>>,
    /// Of these something that an earlier run left is on no replica.
    pub(super) owing: Owing,
}

impl Restores {
    /// None yet, of what this configuration names.
    pub(super) fn new(config: PathBuf) -> Self {
        Self {
            missing: Vec::new(),
            config,
            elsewhere: Rc::default(),
            named_env: Rc::default(),
            newest: BTreeMap::new(),
            owing: Owing::default(),
        }
    }

    /// These are missing.
    pub(super) fn miss(&mut self, missing: impl IntoIterator<Item = Database>) {
        self.missing.extend(missing);
    }

    pub(super) fn is_any_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// They are about to be restored.
    pub(super) fn take_missing(&mut self) -> Vec<Database> {
        std::mem::take(&mut self.missing)
    }

    /// How new the backups are was listed.
    pub(super) fn listed(&mut self, newest: BTreeMap<PathBuf, Option<Position>>) {
        self.newest = newest;
    }

    /// That, for those who look next.
    pub(super) fn take_newest(&mut self) -> BTreeMap<PathBuf, Option<Position>> {
        std::mem::take(&mut self.newest)
    }

    /// Of which it is known since it was last asked that something is owed.
    pub(super) fn take_owed(&self, listed: &Listed) -> Vec<Db> {
        let owed: BTreeSet<PathBuf> = std::mem::take(&mut *self.owing.borrow_mut());
        listed.iter().filter(|(_, database)| owed.contains(&database.path)).map(|(db, _)| *db).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_owed_is_taken_once() {
        let database = |name: &str| Database::at(name.into());
        let mut restores = Restores::new("litestream.yml".into());
        assert!(!restores.is_any_missing());
        restores.miss([database("a")]);
        restores.miss([database("b")]);
        assert!(restores.is_any_missing());
        assert_eq!((restores.take_missing().len(), restores.take_missing().len()), (2, 0));
        restores.owing.borrow_mut().extend(["b".into(), "c".into()]);
        let listed = Rc::new(vec![(Db(0), database("a")), (Db(1), database("b"))]);
        assert_eq!(restores.take_owed(&listed), [Db(1)]);
        assert_eq!(restores.take_owed(&listed), []);
        restores.listed(BTreeMap::from([("a".into(), None)]));
        assert_eq!((restores.take_newest().len(), restores.take_newest().len()), (1, 0));
    }
}
