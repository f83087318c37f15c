//! What one does with a database's backup beside running the app.
//!
//! | file | what it is |
//! |---|---|
//! | `args` | these commands as they are typed |
//! | `opened` | the settings that `run` would have, for a command that runs no app |
//! | `candidate` | the databases that there are, and those that are meant |
//! | `asker` | Litestream, to be asked about some of them |
//! | `becoming` | Litestream in the place of this process |
//! | `asked` | a question on a terminal |
//! | `moment` | a time as it is typed |
//! | `target` | where a restored database is to be, and what stands there |
//! | `folders` | the databases that are meant, also those of folders that are only on the replica |
//! | `shown` | tables and JSON, sizes and times |
//! | `verifier`, `verdict` | a database held against what its backup restores to, and what comes of it |
//! | `private_file` | a file that only its owner can read, whole or not at all |
//! | `budget`, `turns` | how much is verified at a time, and what |
//! | `keeper` | a keeper that runs on one of them, and its Litestream |
//! | `told` | what that keeper says of itself |
//! | `row` | what is known of a database, for `status` |
//!
//! and a file for each command. None of them imports `supervise`.

pub mod args;
pub(super) mod asked;
mod asker;
mod becoming;
mod beside;
mod budget;
mod candidate;
mod databases;
mod drill;
mod folders;
mod follow;
mod healthcheck;
mod keeper;
pub mod kept_out;
mod lists;
mod moment;
mod opened;
mod passed;
mod private_file;
mod query;
mod reach;
mod remembered;
mod reset;
mod restore;
mod row;
mod shown;
mod status;
mod sync;
mod target;
mod told;
mod turns;
mod verdict;
mod verifier;
mod verify;
mod version;
mod wait;

pub(super) use beside::exec;
pub(super) use databases::databases;
pub(super) use drill::drill;
pub(super) use healthcheck::healthcheck;
pub(super) use keeper::{info, list};
pub(super) use kept_out::kept_out;
pub(super) use lists::{generations, ltx, snapshots, wal};
pub(super) use passed::litestream;
pub(super) use query::query;
pub(super) use reset::reset;
pub(super) use restore::restore;
pub(super) use status::status;
pub(super) use sync::sync;
pub(super) use verify::verify;
pub(super) use version::version;
pub(super) use wait::wait;
