//! Which places are claimed for one machine alone before anything is believed of them: those of the configuration's databases, of its
//! folders, and what the databases of a resolver have in common, as far as that is known before it names them.

use std::path::{Path, PathBuf};

use super::prepare;
use super::setup::Setup;
use crate::backup;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory::{Entry, Named};
use crate::litestream::database::{Database, LEASE};
use crate::litestream::folder::{Backups, Folder};
use crate::os::{mount, permit};
use crate::remote::Place;

/// Why nobody can hold a place.
const ONLY_LITESTREAM: &str =
    "litekeeper can write a lock to S3, Azure's and Google's storage, and to a folder of this machine alone";
/// The same of one that could be held.
const NOT_KNOWN: &str = "its place was not known before the resolver named it";

/// What to do about a resolver whose databases have nothing in common.
const NAME_TEMPLATES: &str = "define their replica in `litekeeper.replicas` and have the resolver say that name, or leave it to \
     LITESTREAM_REPLICA_URL; `--lease auto` (LITEKEEPER_LEASE) does without where nobody can";

/// All databases below a place, as if they were one, for a machine's file or folder.
fn all_at(path: &Path, backups: &Backups) -> Database {
    let (replica, replica_folder, place) = match backups {
        Backups::Folder(path) => (path.display().to_string(), Some(path.clone()), None),
        Backups::There(name, place) => (name.clone(), None, Some(place.clone())),
        Backups::Unlisted(_) => ("of its databases".to_owned(), None, None),
    };
    Database { replica, replica_folder, place, ..Database::at(path.to_owned()) }
}

/// All databases of a folder, as if they were one.
pub(super) fn all_of(folder: &Folder) -> Database {
    all_at(&folder.dir, &folder.backups)
}

/// What a resolver's databases have in common, each as if it were one database of the configuration's.
pub(super) fn all_in_common(setup: &Setup) -> impl Iterator<Item = Database> + '_ {
    let path = setup.configuration.as_deref().unwrap_or(Path::new("resolver"));
    setup.common.iter().map(move |backups| all_at(path, backups))
}

/// Whether a lock of this machine keeps a second keeper from it.
fn is_local(db: &Database) -> bool {
    let is_near = |folder: &PathBuf| permit::theirs(|| Ok(!mount::is_remote(folder))).unwrap_or(false);
    db.replica_folder.as_ref().is_some_and(is_near)
}

/// Refuses `--lease strict` where it is plain that not all of these can have one; `common` is what the databases of a resolver have in
/// common, if there is one.
///
/// # Errors
/// Which, and why.
pub fn refuse_strict(
    common: Option<&[Backups]>,
    dbs: &[Database],
    folders: &[Folder],
) -> Result<(), Failure> {
    let can = |backups: &Backups| {
        let all = all_at(Path::new(""), backups);
        backup::has_lock(&all) || is_local(&all)
    };
    if common.is_some_and(|common| !common.iter().any(can)) {
        let message = "--lease strict: where the databases go that the resolver names is not known before it names them: nobody can \
                       hold that for one machine alone";
        return Err(Failure::new(ExitCode::CONFIG, message).hint(NAME_TEMPLATES));
    }
    let folders: Vec<Database> = folders.iter().map(all_of).collect();
    for db in dbs.iter().chain(&folders) {
        if !backup::has_lock(db) && !is_local(db) {
            return Err(prepare::failure(&backup::Error::no_lease(db, ONLY_LITESTREAM.to_owned())));
        }
    }
    Ok(())
}

/// Refuses databases of a resolver that are not below what is held for this machine alone, `common`, where nothing is to run without.
///
/// # Errors
/// The first, and why.
pub fn refuse_apart<'a>(
    common: &[Backups],
    dbs: impl IntoIterator<Item = &'a Database>,
) -> Result<(), Failure> {
    let Some((db, why)) = dbs.into_iter().find_map(|db| Some((db, why_apart(common, db)?))) else {
        return Ok(());
    };
    let failure = prepare::failure(&backup::Error::no_lease(db, why.to_owned()));
    Err(if why == NOT_KNOWN { failure.hint(NAME_TEMPLATES) } else { failure })
}

/// Why a database of a resolver has no lease: its place is below none of these, and no lock of this machine is there.
fn why_apart(common: &[Backups], db: &Database) -> Option<&'static str> {
    let Some(place) = &db.place else { return (!is_local(db)).then_some(ONLY_LITESTREAM) };
    let has = |backups: &Backups| match backups {
        Backups::There(_, there) => there.has(place),
        Backups::Folder(_) | Backups::Unlisted(_) => false,
    };
    (!common.iter().any(has)).then_some(NOT_KNOWN)
}

/// The places in buckets that are held for this machine alone, each for several databases.
fn held_for_many(setup: &Setup) -> Vec<Backups> {
    let folders = setup.folders.iter().map(|folder| &folder.backups);
    setup.common.iter().chain(folders).cloned().collect()
}

/// Looks at what a resolver has named, where one machine alone is to replicate there: what has no lock is told once, of which
/// `is_told` knows.
///
/// # Errors
/// A database is where the lock of all is; or has none, where nothing is to run without.
pub(super) fn look_at_named(setup: &Setup, named: &[Named], is_told: &mut bool) -> Result<(), Failure> {
    let Some(wanted) = setup.lease else { return Ok(()) };
    let held = held_for_many(setup);
    let said = named.iter().filter(|named| matches!(named.entry, Entry::Said(_)));
    let said: Vec<&Database> = said.map(|named| &named.database).collect();
    refuse_in_the_way(&held, &said)?;
    if wanted.is_strict {
        return refuse_apart(&held, said);
    }
    if let Some((first, why)) = said.into_iter().find_map(|db| Some((db, why_apart(&held, db)?)))
        && !std::mem::replace(is_told, true)
    {
        let path = first.path.display();
        tracing::info!(
            "{path}: replica {}: {why}: two machines that replicate there at once are not kept apart",
            first.replica
        );
    }
    Ok(())
}

/// An object and a folder cannot have one name everywhere.
fn refuse_in_the_way(held: &[Backups], dbs: &[&Database]) -> Result<(), Failure> {
    let lock = |backups: &Backups| match backups {
        Backups::There(_, place) => Some(place.below(LEASE)),
        Backups::Folder(_) | Backups::Unlisted(_) => None,
    };
    let locks: Vec<Place> = held.iter().filter_map(lock).collect();
    let is_there = |db: &&&Database| {
        let place = db.place.as_ref();
        place.is_some_and(|place| locks.iter().any(|lock| lock.has(place)))
    };
    let Some(Database { path, replica, .. }) = dbs.iter().find(is_there) else { return Ok(()) };
    let message = format!(
        "resolver: {}: replica {replica}: the lock of all databases there has this name",
        path.display()
    );
    Err(Failure::new(ExitCode::CONFIG, message).hint("give it another `name`, or its replica another `path`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Gcs;

    fn place(prefix: &str) -> Place {
        Place::Gcs(Gcs { bucket: "b".into(), prefix: prefix.into() })
    }

    fn there(prefix: &str) -> Backups {
        Backups::There(format!("gs://b/{prefix}"), place(prefix))
    }

    fn db(prefix: &str) -> Database {
        Database { place: Some(place(prefix)), ..Database::at("/a.db".into()) }
    }

    #[test]
    fn strict_needs_a_place_that_somebody_can_hold() {
        let refused = |common: Option<&[Backups]>| refuse_strict(common, &[], &[]).is_err();
        assert!(!refused(None) && refused(Some(&[])) && refused(Some(&[Backups::Unlisted("sftp".into())])));
        assert!(!refused(Some(&[Backups::Unlisted("sftp".into()), there("t")])));
        assert!(!refused(Some(&[Backups::Folder("/".into())])));
        let failure = refuse_strict(Some(&[]), &[], &[]).expect_err("nothing is known");
        assert_eq!(failure.exit, ExitCode::CONFIG);
        assert!(failure.hint.is_some_and(|hint| hint.contains("litekeeper.replicas")));
    }

    #[test]
    fn what_is_below_a_held_place_is_held_with_it() {
        let held = [Backups::Folder("/f".into()), there("t")];
        let sftp = Database { replica: "sftp://h/a".into(), ..Database::at("/a.db".into()) };
        let local = Database { replica_folder: Some("/".into()), ..sftp.clone() };
        for (db, is_held) in
            [(db("t/a"), true), (db("t"), true), (db("u/a"), false), (sftp, false), (local, true)]
        {
            assert_eq!(refuse_apart(&held, [&db]).is_ok(), is_held, "{db:?}");
        }
    }

    #[test]
    fn no_database_is_where_the_lock_is() {
        let held = [there("t"), Backups::Unlisted("sftp".into())];
        for (prefix, is_free) in
            [("t/a", true), ("t/lock.json", false), ("t/lock.json/a", false), ("u/lock.json", true)]
        {
            assert_eq!(refuse_in_the_way(&held, &[&db(prefix)]).is_ok(), is_free, "{prefix}");
        }
    }
}
