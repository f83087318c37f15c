//! What can be had of a backup that does not restore whole.

use crate::litestream::argv;

/// The newest transaction that restores whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newest {
    /// It is this one.
    Found {
        /// It.
        txid: u64,
        /// What the backup reaches to.
        of: u64,
        /// The option that takes it.
        option: String,
        /// A file behind it cannot be read.
        is_broken: bool,
    },
    /// None does.
    Nothing {
        /// How many were tried.
        tries: usize,
        /// The snapshot that they all begin with, where other files have what is in it.
        covered: Option<String>,
    },
    /// Looking for it was given up.
    GivenUp(String),
    /// It was not looked for.
    Unasked,
    /// This Litestream knows of no transactions.
    NoTxids,
}

impl Newest {
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Found { txid, of, option, .. } if txid == of => {
                format!("`{option}` takes the newest txid that is there, which restores whole")
            }
            Self::Found { txid, of, option, is_broken } => format!(
                "`{option}` takes the newest txid that restores whole: what came after it, up to {}, is left out{}",
                argv::txid_text((*of).max(*txid)),
                if *is_broken {
                    "; if the broken file is the newest one there, move it away first: litestream goes on from no other"
                } else {
                    ""
                }
            ),
            Self::Nothing { tries, covered: Some(snapshot) } => format!(
                "none of its txids restores whole ({tries} tried), and all begin with {snapshot}: other files of the backup have what is in \
                 that, so keep it elsewhere, away from the replica, and restore again"
            ),
            Self::Nothing { tries, covered: None } => format!(
                "none of its txids restores whole ({tries} tried): bring the database from elsewhere, or name another place for its replica"
            ),
            Self::GivenUp(why) => {
                format!("which txid restores whole was not found out ({why}); `--restore-txid` takes one")
            }
            Self::Unasked => {
                "bring the broken file back, or name another place for its replica: a running keeper makes a fresh copy there".to_owned()
            }
            Self::NoTxids => {
                "`litekeeper restore -o FILE --timestamp TIME` may find a time before the damage".to_owned()
            }
        }
    }
}
