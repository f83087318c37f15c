//! What an install does just now, and how large what it gets may be.

use super::error::Reason;

/// More than any archive or binary of Litestream ever had (40 MB); a bound for what a wrong server may send.
pub(super) const MAX_BYTES: u64 = 300 << 20;

/// What an install is doing, for a line or a bar on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The release archive is being read; called for every piece.
    Downloading {
        /// The archive.
        url: &'a str,
        /// Bytes so far.
        received: u64,
        /// Bytes in all, where the server says so.
        total: Option<u64>,
    },
    /// pip is being asked.
    Pip {
        /// The command, as a user would type it.
        command: &'a str,
    },
    /// One way failed and the next is tried.
    NextWay {
        /// Why the first failed.
        reason: &'a Reason,
    },
    /// The checksum and the version are being looked at.
    Verifying,
}
