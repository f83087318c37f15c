//! Findings about the machine: what needs files, mounts, SQLite headers, or Litestream to be told.
//!
//! ```text
//! litestream  which Litestream there is, and what it cannot do
//! further     databases that the file does not name itself: of folders, and of a resolver
//! place       file systems, disk space, the runtime folder
//! sqlite      the databases' own headers
//! framework   what the framework's settings do to SQLite
//! folder      what is in the folders of databases
//! dotenv      what only the app's `.env` says
//! files       who may read and write what; who may read secrets; who runs already
//! online      each replica listed, written and read, only when that is asked for
//! stop        the stop budget, and what the platform allows
//! ```
//!
//! Architecture invariant: nothing but `online` writes, and a database is only ever read as a plain file, without
//! a lock and without SQLite: it may be in use by somebody who must not notice.

mod dotenv;
mod files;
mod folder;
mod framework;
mod further;
mod glob;
mod litestream;
mod online;
mod place;
mod rules;
mod site;
mod sqlite;
mod stop;

pub use further::Further;
pub use litestream::{Found, look as look_for_litestream};
pub use online::{Online, try_replicas};
pub use rules::{APP_MISSING, NO_APP, RESOLVER, RESOLVER_MISSING, RULES, SETTING};
pub use site::Site;

use crate::config::lint::Lint;

/// Everything that can be found without asking a replica.
pub fn look(site: &Site<'_>) -> Vec<Lint> {
    let mut found = place::look(site);
    found.extend(theirs(|| folder::look(site)));
    found.extend(theirs(|| sqlite::look(site)));
    found.extend(framework::look(site));
    found.extend(theirs(|| glob::look(site)));
    found.extend(files::look(site));
    found.extend(dotenv::look(site));
    found.extend(stop::look(site));
    found
}

/// Looks at what lies in folders of those who will run, with their rights (`os::place`).
fn theirs(look: impl FnOnce() -> Vec<Lint>) -> Vec<Lint> {
    // Only root acts as somebody else, and root may.
    crate::os::place::theirs(|| Ok(look())).unwrap_or_default()
}

/// The text of a settings file. What is none, or longer than any is, is not read.
fn text(path: &std::path::Path) -> Option<String> {
    const LONGEST: usize = 1 << 20;
    String::from_utf8(crate::os::open::whole(path, LONGEST).ok()?).ok()
}

/// The lock that a keeper holds on a database, see `supervise::twins`.
fn lock_of(database: &std::path::Path) -> std::path::PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(database.file_name().unwrap_or_default());
    name.push("-litekeeper.lock");
    database.with_file_name(name)
}
