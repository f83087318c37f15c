//! Folders of databases: Litestream finds what is in them itself, and this keeper has to find the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::reload::Reason;
use super::setup::Looked;
use super::tenants::Tenant;
use super::world::World;
use crate::core::{Db, ExitCode, Turn, Wanted as _};
use crate::error::Failure;
use crate::inventory::{Entry, Named};
use crate::litestream::folder::{Folder, NotDatabase};
use crate::litestream::position::Position;
use crate::replica;
use crate::replica::folders::Unlisted;
use crate::replica::listing::Found;

/// Lists the backups of each folder's databases, at the start.
pub(super) fn backups(
    world: &World,
) -> impl Future<Output = Result<Vec<Option<Vec<Found>>>, Failure>> + use<> {
    let starting = world.litestream.launches() == 0;
    let folders = if starting { world.setup.folders.clone() } else { Vec::new() };
    let (runner, limit) = (world.runner.clone(), world.setup.restore_timeout);
    async move {
        let mut all = Vec::new();
        for folder in folders {
            all.push(match replica::folders::backups(&runner, &folder, limit).await {
                Ok(found) => Some(found),
                Err(Unlisted::FromHere(why)) => {
                    say_unlisted(&folder, &why);
                    None
                }
                Err(refused @ Unlisted::Refused { .. }) => {
                    let message = refused.to_string();
                    return Err(Failure::new(ExitCode::UNAVAILABLE, message).hint(refused.hint()));
                }
            });
        }
        Ok(all)
    }
}

/// What is in the folders, or has a backup and could be; notes how new the backups are.
pub(super) fn found_in_folders(
    world: &mut World,
    backups: Vec<Option<Vec<Found>>>,
    kept: &[Entry],
) -> Result<Vec<Named>, Failure> {
    let mut files = BTreeSet::new();
    let mut newest = BTreeMap::new();
    for (place, (folder, backups)) in world.setup.folders.iter().zip(backups).enumerate() {
        let here = folder.databases(&BTreeSet::new());
        // Where nobody can list the backups, each is asked for by the names that are known.
        let lost = if backups.is_none() { folder.lost() } else { Vec::new() };
        let have_backups = backups.iter().flatten().any(|found| folder.matches(&found.below));
        if !folder.watch && here.is_empty() && !have_backups && lost.is_empty() {
            return Err(without_any(folder));
        }
        let is_unknown = backups.is_none() && here.is_empty() && lost.is_empty();
        if is_unknown && !world.setup.allow_unlistable {
            return Err(without_any_that_is_known(folder));
        }
        if backups.is_some() {
            newest.extend(here.iter().map(|below| (folder.dir.join(below), None)));
        }
        files.extend(lost.into_iter().map(|below| (place, below)));
        files.extend(here.into_iter().map(|below| (place, below)));
        for Found { below, newest: txid } in backups.unwrap_or_default() {
            if folder.matches(&below) {
                newest.insert(folder.dir.join(&below), txid.map(Position::Txid));
                files.insert((place, below));
            }
        }
    }
    world.restores.listed(newest);
    world.setup.inventory.in_folders(files.into_iter().collect(), kept)
}

/// Those of them that no restore has made: their metadata was here, and no backup. Litestream finds none either.
pub(super) fn not_restored(world: &World) -> Vec<Db> {
    let named = world.databases.table.all_named();
    let is_lost =
        |(_, named): &(Db, &Named)| matches!(named.entry, Entry::InFolder(..)) && !named.database.exists();
    named.filter(is_lost).map(|(db, _)| db).collect()
}

/// A folder without a watch, in which there is nothing after all.
pub(super) fn folder_without_any(world: &World) -> Option<Failure> {
    let is_empty = |folder: &&Folder| !folder.watch && folder.databases(&BTreeSet::new()).is_empty();
    world.setup.folders.iter().find(is_empty).map(without_any)
}

/// Litestream takes in whatever appears, also over the backup of another file: that cannot be kept from
/// it, and the latest restore is the new one's from then on.
pub(super) fn warn_of_a_backup(world: &World, db: Db) {
    let Some(Named { entry: Entry::InFolder(_, below), .. }) = world.databases.table.named(db) else {
        return;
    };
    let name = below.file_name().unwrap_or_default().to_string_lossy();
    if world.litestream.heard.strange.borrow_mut().remove(name.as_ref()) {
        let (path, replica) = world.place_of(db);
        tracing::warn!(
            "{path} appeared where {replica} already held a backup, and is replicated over it: what was there before can be \
             restored by `-timestamp` only, until its retention ends"
        );
    }
}

/// What has appeared in the folders since the last look, or has gone that was refused.
pub(super) fn scan(world: &mut World) -> Vec<Turn<Tenant>> {
    let due = world.discovery.folders.is_due();
    if world.setup.folders.is_empty() || !due || !world.litestream.version.confirms() {
        return Vec::new();
    }
    let listed = world.databases.table.listed();
    let known: BTreeSet<PathBuf> = listed.iter().map(|(_, database)| database.path.clone()).collect();
    let mut new = Vec::new();
    for (place, folder) in world.setup.folders.iter().enumerate() {
        let contents = folder.look(&known, usize::MAX);
        for (below, _) in contents.others.iter().filter(|(_, other)| *other == NotDatabase::Pipe) {
            let path = folder.dir.join(below);
            if folder.watch && world.discovery.folders.leave_out(&path) {
                tracing::error!(
                    "{}: a pipe, from which litestream wants to read: it waits for it without an end, and does not come up with it \
                     again. Remove it, or choose a `pattern` that leaves it out",
                    path.display()
                );
            }
        }
        for below in contents.databases {
            let path = folder.dir.join(&below);
            if folder.watch {
                new.push((place, below));
            } else if world.discovery.folders.leave_out(&path) {
                tracing::error!(
                    "{}: appeared in a folder without `watch: true`, so it is not replicated before litekeeper is restarted",
                    path.display()
                );
            }
        }
    }
    world.discovery.folders.looked();
    let mut turns = gone(world, &new);
    if new.is_empty() {
        return turns;
    }
    let kept = world.databases.entries();
    if let Ok(found) = world.setup.inventory.in_folders(new.clone(), &kept) {
        turns.extend(found.into_iter().map(|named| taken(world, named)));
        return turns;
    }
    // One of them is wrong beside the others, and no reason to leave those out.
    for (place, below) in new {
        let path = world.setup.folders[place].dir.join(&below);
        match world.setup.inventory.in_folders(vec![(place, below.clone())], &kept) {
            Ok(found) => turns.extend(found.into_iter().map(|named| taken(world, named))),
            Err(failure) => {
                let unsound = world.setup.inventory.unsound_in_folder(place, below);
                match unsound {
                    Some(named) => turns.push(Turn::Found(Tenant::new(named), Err(failure.into()))),
                    None => world.discovery.rounds.refuse(&path.display().to_string(), failure),
                }
            }
        }
    }
    turns
}

/// Litestream takes in whatever appears. What it cannot replicate as it is counts as named, and not taken in: a lag, and
/// no end with 0.
fn taken(world: &World, named: Named) -> Turn<Tenant> {
    let result = (world.setup.faults)(Looked::Named(&named.database));
    let result = result.map_err(|failure| failure.message);
    Turn::Found(Tenant::new(named), result.map_err(Reason::from))
}

/// Gives up what was refused, and is not in its folder any more.
fn gone(world: &World, found: &[(usize, PathBuf)]) -> Vec<Turn<Tenant>> {
    let folders = &world.setup.folders;
    let is_there = |path: &Path| found.iter().any(|(place, below)| folders[*place].dir.join(below) == path);
    let outside = world.discovery.tenants.outside();
    let gone = outside.filter(|(_, tenant)| tenant.is_found() && !is_there(&tenant.named.database.path));
    gone.map(|(db, _)| Turn::Vanished(db)).collect()
}

/// Litestream ends at once (`FindSQLiteDatabases` in its main.go).
fn say_unlisted(folder: &Folder, why: &str) {
    tracing::warn!(
        "{}: which databases have a backup but are missing here cannot be found out ({why}): those are restored whose metadata folder is here",
        folder.dir.display()
    );
}

/// An app that starts with a new database in the place of a lost one replaces its backup.
fn without_any_that_is_known(folder: &Folder) -> Failure {
    let message = format!(
        "{}: no database is here, and whether there are backups cannot be found out: it may be new, or its disk lost",
        folder.dir.display()
    );
    Failure::new(ExitCode::UNAVAILABLE, message).hint(
        "`--if-unlistable allow` takes it for new; else restore what was there by hand (`litekeeper restore -o FILE URL`), or name its \
         databases in a resolver, which are restored one by one",
    )
}

fn without_any(folder: &Folder) -> Failure {
    let (dir, pattern) = (folder.dir.display(), &folder.pattern);
    let message = format!(
        "{dir}: no database in it is called `{pattern}`, and none has a backup: litestream does not start with that"
    );
    Failure::new(ExitCode::CONFIG, message)
        .hint("correct `dir` or `pattern`, or set `watch: true`: then databases may come later")
}
