//! Who needs what: of thousands, only those are compared that may collide.

use std::collections::BTreeSet;

use super::Wanted;
use crate::core::Db;

/// The databases by the numbers of what they need.
#[derive(Default)]
pub(super) struct Claims(BTreeSet<(u64, Db)>);

impl Claims {
    /// One needs what is wanted of it.
    pub(super) fn add<W: Wanted>(&mut self, db: Db, wanted: &W) {
        self.0.extend(wanted.claims().into_iter().map(|claim| (claim, db)));
    }

    /// It needs that no more.
    pub(super) fn remove<W: Wanted>(&mut self, db: Db, wanted: &W) {
        for claim in wanted.claims() {
            self.0.remove(&(claim, db));
        }
    }

    /// Those that need something of what is wanted, in the order of their numbers.
    pub(super) fn of<W: Wanted>(&self, wanted: &W) -> BTreeSet<Db> {
        let all = |claim| self.0.range((claim, Db(0))..=(claim, Db(usize::MAX)));
        wanted.claims().into_iter().flat_map(all).map(|(_, db)| *db).collect()
    }
}
