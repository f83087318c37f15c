//! What a process of its own is told, and what it answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::litestream::wal::Applied;
use crate::remote::{Place, Webdav};

/// The beginning of the name of a folder, or a file, that something is written to on trial.
pub const TRIAL: &str = ".litekeeper-check-";

/// Stands in each reason why our own client cannot go where Litestream's can.
pub(super) const CANNOT: &str = "which litestream can and this client cannot";

/// What is to be done. No `Debug`: it may hold a key.
#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    /// At a place on a server.
    At(Place, Task),
    /// Remove the folder of a trial.
    Webdav(Webdav),
    /// Write to a folder on trial, and leave no trace.
    Folder(PathBuf),
    /// Make a database for a trial, with this in its row.
    Sample(PathBuf, String),
    /// Tell which transactions these places have files of.
    Held(Vec<Place>),
    /// Read the marks of these places.
    Marks(Vec<Place>),
    /// See whether the files in a folder that make up its state up to this transaction, or its newest, hold what their names say.
    NamesIn(PathBuf, Option<u64>),
    /// See whether the pieces of a WAL in a folder go on where others end.
    SegmentsIn(PathBuf, Segments),
    /// The same at a place on a server.
    SegmentsAt(Place, Segments),
    /// Read or write the locks of these places.
    Locks(Vec<(Place, LockTask)>),
}

/// What is done at a place.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Task {
    /// List the backups below it.
    List {
        /// At any depth.
        recursive: bool,
    },
    /// Remove what was written on trial.
    Remove,
    /// See whether the snapshot up to this transaction is whole.
    Snapshot(u64),
    /// Read the header of the newest file of a single transaction up to this one.
    Header(u64),
    /// Tell when the newest file of each series was written.
    Formats,
    /// Write something, and remove it again.
    Write,
    /// Write the mark.
    Mark(Put),
    /// Tell what keeps a connection from being made, or what its server answers instead of a listing.
    Reach,
}

/// The pieces of a WAL of Litestream 0.3's that a restore has put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segments {
    /// Which ones.
    pub applied: Applied,
    /// None that is younger, in milliseconds since 1970.
    pub until: Option<u64>,
}

/// What was seen of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pieces {
    /// Each goes on where the one before ends.
    Whole,
    /// One does not, in Litestream's words.
    Missing(String),
    /// Nobody can tell without the key.
    Encrypted,
}

/// A mark to be written.
#[derive(Clone, Serialize, Deserialize)]
pub struct Put {
    /// What it says.
    pub text: String,
    /// One that is there is written over.
    pub over: bool,
}

/// What is done about the lock of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockTask {
    /// Read it.
    Read,
    /// Write this over that version, or where there is none.
    Write(String, Option<String>),
    /// See whether the server keeps to conditions, by writes of this text that it has to refuse: that is what stands there.
    Try(String),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockSaid {
    /// Nothing stands there.
    Nothing,
    /// This stands there, in this version, and nothing was written.
    Found(String, String),
    /// It was written, and has this version.
    Written(String),
    /// The server keeps to conditions.
    Kept,
    /// It does not, for this reason.
    NotKept(String),
}

impl LockSaid {
    /// The version of what stands there, if something does.
    pub(super) fn version(&self) -> Option<&String> {
        match self {
            Self::Found(_, version) | Self::Written(version) => Some(version),
            Self::Nothing | Self::Kept | Self::NotKept(_) => None,
        }
    }
}

/// What became of a snapshot that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Snapshot {
    /// It is whole, or not there any more.
    Sound,
    /// It was cut off, and was removed: the backup begins elsewhere as well.
    Removed,
    /// It was cut off, and cannot be removed for this reason.
    Left(String),
    /// It was cut off, and the backup has no other beginning.
    Only,
}

/// When the newest file of each series was written, in milliseconds since 1970; none where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formats {
    /// `generations/…` of 0.3.
    pub generations: Option<u64>,
    /// Files of transactions, of 0.5.
    pub ltx: Option<u64>,
}
