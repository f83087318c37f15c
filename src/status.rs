//! What a running keeper says of itself, as a document: its names are those that `litekeeper status --json` prints.
//!
//! Architecture invariant: these are names and limits alone; nothing is asked or decided here.

use serde::{Deserialize, Serialize};

/// The word that asks for it at the keeper's own control socket.
pub const ASK: &str = "status";

/// The word that waits there for all that is in a database to be on its replica.
pub const WAIT: &str = "wait";

/// What may follow that in a line of its own: the database that is meant, by its path, alias or base name.
pub const DATABASE: &str = "database ";

/// Which form of the document this is. Further names may come within one.
pub const VERSION: u32 = 1;

/// What answers [`ASK`], in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// See [`VERSION`].
    pub version: u32,
    /// The keeper has the lock that it was asked for; without it nothing else is said.
    pub holds: bool,
    /// The keeper.
    pub keeper: Option<Keeper>,
    /// The app.
    pub app: Option<App>,
    /// Litestream.
    pub litestream: Option<Litestream>,
    /// How old a change may become that no replica has confirmed.
    #[serde(default)]
    pub max_lag_ms: Option<u64>,
    /// What the container may use, and does; none where nobody limits it.
    #[serde(default)]
    pub memory: Option<Memory>,
    /// All that it has or should have.
    #[serde(default)]
    pub databases: Vec<Database>,
}

impl Document {
    /// A keeper that is not the one that is meant.
    pub fn of_another() -> Self {
        Self {
            version: VERSION,
            holds: false,
            keeper: None,
            app: None,
            litestream: None,
            max_lag_ms: None,
            memory: None,
            databases: Vec::new(),
        }
    }
}

/// A part of a document: who asks for all of it has one of them in memory, and so has who answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// All but the databases; in the first one only.
    pub head: Option<Document>,
    /// The next databases.
    pub databases: Vec<Database>,
    /// With which number the next piece goes on; none after the last.
    pub next: Option<usize>,
}

/// How a document ends.
const END: &[u8] = b"]}\n";

impl Piece {
    /// What stands in the document for it: the texts of all pieces, one behind the other, are one line of JSON.
    pub fn into_text(self) -> Vec<u8> {
        let Self { head, databases, next } = self;
        // Its names are texts, and none of its parts refuses to be written.
        let json = |database: &Database| serde_json::to_vec(database).unwrap_or_default();
        let mut text = Vec::new();
        match head {
            Some(head) => {
                text = serde_json::to_vec(&Document { databases, ..head }).unwrap_or_default();
                // All of it but the end of its list, which is its last field.
                text.truncate(text.len().saturating_sub(END.len() - 1));
            }
            None => databases.iter().for_each(|database| {
                text.push(b',');
                text.extend(json(database));
            }),
        }
        if next.is_none() {
            text.extend(END);
        }
        text
    }
}

/// The keeper itself. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keeper {
    /// Its process, as it sees itself.
    pub pid: i32,
    /// Which one it is.
    pub version: String,
    /// Since when it runs.
    pub started_at: Option<String>,
    /// Where the unit is.
    pub phase: String,
    /// The app runs, and no replica is further behind than is allowed.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

/// The app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its leader; none while there is none.
    pub pid: Option<i32>,
    /// Its words, without secrets.
    pub command: String,
    /// Since when it runs.
    pub started_at: Option<String>,
    /// How often it was started again.
    pub restarts: u64,
    /// How it ended last, and what for.
    pub last_exit: Option<String>,
}

/// Litestream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Litestream {
    /// Its process; none while there is none.
    pub pid: Option<i32>,
    /// Which one it is.
    pub version: Option<String>,
    /// Since when it runs.
    pub started_at: Option<String>,
    /// How often it was started again.
    pub restarts: u64,
    /// How it ended last, and what for.
    pub last_exit: Option<String>,
    /// So much of it is in memory.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
}

/// The memory of the container, or of whatever else limits it: the unit's, with its caches that the kernel would not drop at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// So much is used.
    pub used_bytes: u64,
    /// So much may be.
    pub limit_bytes: u64,
}

/// A database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// Its file.
    pub path: String,
    /// What else it is called.
    pub alias: Option<String>,
    /// Where its backup is, without secrets.
    pub replica: Option<String>,
    /// How it compares with that: `replicated`, `lagging`, `missing`, `replaced` or `unknown`.
    pub state: String,
    /// How large its file is.
    pub size_bytes: Option<u64>,
    /// How large its WAL is.
    pub wal_bytes: Option<u64>,
    /// How far Litestream has copied it.
    pub txid: Option<String>,
    /// How far that was confirmed on its replica.
    pub replicated_txid: Option<String>,
    /// The age of the oldest change that is not confirmed.
    pub lag_seconds: Option<f64>,
    /// When a change was confirmed last.
    pub last_confirmed_at: Option<String>,
    /// What keeps it from being replicated.
    pub error: Option<String>,
    /// From when to when it can be restored.
    #[serde(default)]
    pub restorable: Option<Restorable>,
    /// What came of looking whether its backup restores to it.
    #[serde(default)]
    pub verified: Option<Verification>,
}

/// What came of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When it ended.
    pub at: String,
    /// `in-sync`, `out-of-sync` or `not-restorable`.
    pub verdict: String,
}

/// What answers [`WAIT`], in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waited {
    /// See [`VERSION`].
    pub version: u32,
    /// The keeper has the lock that it was asked for; without it nothing else is said.
    pub holds: bool,
    /// `durable`, or why not: `timeout`, `replaced`, `unknown-database`, `stopping`, `not-confirmable`, `busy`.
    pub result: String,
    /// The exit code that stands for it.
    pub exit_code: u8,
    /// Why not, in a line for each database, or in one for all.
    pub error: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Those that are durable, or those of them that are not, in a part.
    pub databases: Vec<Copied>,
    /// There are so many others.
    pub more: usize,
}

/// How far a database was copied that somebody has waited for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copied {
    /// Its file.
    pub path: String,
    /// What else it is called.
    pub alias: Option<String>,
    /// Where its backup is, without secrets.
    pub replica: Option<String>,
    /// All that was in it when it was asked for is on its replica.
    pub durable: bool,
    /// How far Litestream has copied it.
    pub txid: Option<String>,
    /// How far that was confirmed on its replica.
    pub replicated_txid: Option<String>,
    /// The age of the oldest change that is not confirmed.
    pub lag_seconds: Option<f64>,
    /// What keeps it from being replicated.
    pub error: Option<String>,
}

/// From when to when something can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restorable {
    /// The first moment.
    pub from: String,
    /// The last one.
    pub to: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_all_pieces_are_the_document() {
        let database = |path: &str| Database { path: path.to_owned(), ..Database::default() };
        let whole = Document { databases: ["a", "b", "c"].map(database).into(), ..Document::of_another() };
        let piece = |head: Option<Document>, paths: &[&str], next| Piece {
            head,
            databases: paths.iter().map(|path| database(path)).collect(),
            next,
        };
        let head = || Some(Document::of_another());
        for pieces in [
            vec![piece(head(), &["a", "b", "c"], None)],
            vec![piece(head(), &["a"], Some(1)), piece(None, &["b"], Some(2)), piece(None, &["c"], None)],
            vec![piece(head(), &["a", "b", "c"], Some(3)), piece(None, &[], None)],
        ] {
            let text: Vec<u8> = pieces.into_iter().flat_map(Piece::into_text).collect();
            assert_eq!(text.strip_suffix(b"\n"), Some(serde_json::to_vec(&whole).unwrap().as_slice()));
        }
    }
}
