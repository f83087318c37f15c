//! Which transactions are restored in place of the newest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::litestream::argv;

/// What `--restore-txid` says, or `restore --txid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// For which database which.
    pub txids: BTreeMap<PathBuf, u64>,
    /// There is one database alone: it need not be named.
    pub is_alone: bool,
    /// It is `restore --txid` that says it.
    pub by_restore: bool,
}

impl Chosen {
    /// The one for a database.
    pub fn of(&self, db: &Path) -> Option<u64> {
        self.txids.get(db).copied()
    }

    /// The option that chooses this one.
    pub fn option(&self, db: &Path, txid: u64) -> String {
        let txid = argv::txid_text(txid);
        if self.by_restore {
            return format!("--txid {txid}");
        }
        if self.is_alone {
            return format!("--restore-txid {txid}");
        }
        format!("--restore-txid {}={txid}", db.display())
    }
}
