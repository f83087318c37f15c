//! A restored copy for whoever only looks at it.

use std::path::Path;

use super::error::Error;
use super::newest::Newest;
use super::restorer::Restorer;
use super::whole::is_there;
use crate::litestream::database::Database;

/// A copy that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The last transaction that is in it, where Litestream says it.
    pub txid: Option<u64>,
}

impl Restorer {
    /// Restores the newest of a backup to a file that goes with its folder; nothing where there is no backup. One that is not whole is an
    /// error, and what else could be had is not looked for.
    ///
    /// # Errors
    /// It cannot be restored, or is not proven to be none.
    pub async fn copy(&self, db: &Database, output: &Path) -> Result<Option<Copied>, Error> {
        let restorer = self.only(db);
        match restorer.tried(db, output, None).await? {
            Ok(whole) if is_there(output) => Ok(Some(Copied { txid: whole.txid })),
            Ok(_) => restorer.prove_nothing(db).await.map(|()| None),
            Err((what, _)) => {
                let (db, replica) = (db.path.clone(), db.replica.clone());
                Err(Error::Spoiled { db, replica, what, newest: Newest::Unasked })
            }
        }
    }
}
