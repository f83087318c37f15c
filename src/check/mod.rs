//! Findings about the machine: what needs files, mounts, SQLite headers, or Litestream to be told.
//!
//! ```text
//! litestream  which Litestream there is, and what it cannot do
//! discovered  databases that the file does not name itself: of folders, and of a resolver
//! filesystem  file systems, disk space, the runtime folder
//! uri         paths that Litestream opens another file for
//! sqlite      the databases' own headers
//! framework   what the framework's settings do to SQLite
//! folder      what is in the folders of databases
//! dotenv      what only the app's `.env` says
//! network     what this machine needs to reach a server and to know it
//! limits      open files and memory, for so many databases
//! files       who may read and write what; who may read secrets; who runs already
//! online      each replica listed, written and read, only when that is asked for
//! stop        the stop budget, and what the platform allows
//! ```
//!
//! Architecture invariant: nothing but `online` writes, and a database is only ever read as a plain file, without
//! a lock and without SQLite: it may be in use by somebody who must not notice.

mod context;
mod discovered;
mod dotenv;
mod files;
mod filesystem;
mod folder;
mod framework;
mod glob;
mod limits;
mod litestream;
mod network;
mod online;
mod rules;
mod sqlite;
mod stop;
mod text;
mod uri;

pub use context::CheckContext;
pub use discovered::Discovered;
pub use litestream::{FoundLitestream, look as look_for_litestream};
pub use online::{Online, try_replicas};
pub use rules::{
    APP_MISSING, APP_SHELL, NO_APP, OF_ANOTHER, ON_NETWORK, RESOLVER, RESOLVER_MISSING, RULES,
    SECOND_LITESTREAM, SETTING, SWITCHED_OFF, TERMINAL,
};

use std::collections::BTreeSet;

use crate::config::lint::{Lint, Rule, Severity};
use crate::litestream::folder::{Contents, Folder};

/// Everything that can be found without asking a replica.
pub fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found = filesystem::look(context);
    found.extend(theirs(|| folder::look(context)));
    found.extend(theirs(|| sqlite::look(context)));
    found.extend(network::look(context));
    found.extend(framework::look(context));
    found.extend(theirs(|| glob::look(context)));
    found.extend(theirs(|| uri::look(context)));
    found.extend(files::look(context));
    found.extend(dotenv::look(context));
    found.extend(stop::look(context));
    found.extend(limits::look(context));
    found
}

/// What keeps Litestream from replicating, of all that is configured: what a start need not try.
pub fn faults(context: &CheckContext<'_>) -> Vec<Lint> {
    // Root looks at nothing by path where somebody else decides what is there.
    let fresh = files::fresh(context);
    let mut found = framework::look(context);
    found.extend(theirs(|| {
        let mut found = filesystem::faults(context);
        found.extend(folder::look(context));
        found.extend(limits::look(context));
        found.extend(glob::look(context));
        found.extend(uri::look(context));
        found.extend(files::faults(context, &fresh));
        found.extend(sqlite::look(context));
        found
    }));
    only_faults(found)
}

/// The same of the context's databases alone.
pub fn faults_of_databases(context: &CheckContext<'_>) -> Vec<Lint> {
    // Nothing is given away for what a source names.
    let fresh = files::Fresh::new();
    only_faults(theirs(|| {
        let mut found = files::rights(context, &fresh);
        found.extend(glob::of_named(context));
        found.extend(uri::of_named(context));
        found.extend(sqlite::look(context));
        found
    }))
}

/// What is too little here for so many databases.
pub fn too_many(databases: usize) -> Vec<Lint> {
    only_faults(limits::of(databases))
}

/// Databases that are copies which were broken off, where nothing is restored in their place.
pub fn broken_off(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found = theirs(|| sqlite::look(context));
    found.retain(|lint| lint.rule == rules::CUT_OFF);
    found
}

/// A file that is damaged or was broken off, and a folder without databases, can be put right by the start itself, from the backup.
const MAY_BE_RESTORED: &[&Rule] = &[rules::CUT_OFF, rules::DAMAGED, rules::EMPTY_DIR];

/// With these Litestream replicates something else than the database, and says nothing of it: a start without a gate would end
/// without a backup, and call it one.
pub const WHATEVER_THE_GATE: &[&Rule] = &[rules::DATABASE_LINK, rules::MISREAD_PATH];

fn only_faults(mut found: Vec<Lint>) -> Vec<Lint> {
    found.retain(|lint| lint.rule.severity == Severity::Error && !MAY_BE_RESTORED.contains(&lint.rule));
    found
}

/// What is in folders of databases now, as far as so many names go.
pub fn contents(folders: &[Folder], most: usize) -> Vec<Contents> {
    folders.iter().map(|folder| folder.look(&BTreeSet::new(), most)).collect()
}

/// Looks at what lies in folders of those who will run, with their rights (`os::permit`).
fn theirs(look: impl FnOnce() -> Vec<Lint>) -> Vec<Lint> {
    // Only root acts as somebody else, and root may.
    crate::os::permit::theirs(|| Ok(look())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::rules::*;
    use super::*;

    /// What is certain to be lost stops `run`, a resolver's answer and `reload`: a new finding says here who does that.
    #[test]
    fn every_error_stops_a_start() {
        // `faults`, whatever is configured.
        const OF_THE_MACHINE: &[&Rule] =
            &[CA_BUNDLE, EXCLUSIVE_LOCKING, FEW_FILES, JOURNAL_MODE, ON_NETWORK, PIPE_IN_DIR];
        // `faults` and `faults_of_databases`, of each database that is named or found.
        const OF_A_DATABASE: &[&Rule] =
            &[DATABASE_LINK, IN_THE_WAY, MISREAD_PATH, NOT_READABLE, NOT_SQLITE, NOT_WRITABLE, ONE_FILE];
        // The start itself, in words of its own: the settings, the version, locks, what is executed.
        const OF_THE_START: &[&Rule] = &[
            APP_MISSING,
            LITESTREAM_BAD,
            LITESTREAM_MISSING,
            LITESTREAM_OTHER,
            OF_ANOTHER,
            REPLICA_TAKEN,
            RESOLVER,
            RESOLVER_MISSING,
            RUNTIME_FOLDER,
            SECOND_LITESTREAM,
            SETTING,
        ];
        // The same by asking the replica, which may be reached in a way that nobody thought of.
        const ONLINE: &[&Rule] = &[
            DATABASE_BEHIND,
            NO_BEGINNING,
            NO_CERTIFICATES,
            NO_NAMES,
            OTHER_BACKUP,
            REPLICA_LIST,
            REPLICA_READ,
            REPLICA_WRITE,
        ];
        let told = [OF_THE_MACHINE, OF_A_DATABASE, OF_THE_START, ONLINE, MAY_BE_RESTORED].concat();
        for rule in RULES.iter().filter(|rule| rule.severity == Severity::Error) {
            let times = told.iter().filter(|other| *other == rule).count();
            assert_eq!(times, 1, "who refuses a start for `{}`?", rule.code);
        }
        let origin = crate::config::Origin::CommandLine;
        let found = |rules: &[&'static Rule]| {
            only_faults(rules.iter().map(|rule| Lint::new(rule, &origin, "x")).collect()).len()
        };
        assert_eq!(found(OF_THE_MACHINE) + found(OF_A_DATABASE), OF_THE_MACHINE.len() + OF_A_DATABASE.len());
        assert_eq!(found(MAY_BE_RESTORED), 0);
    }
}
