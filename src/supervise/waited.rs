//! What whoever waits for a database is told of it, by what the owners know.

use std::collections::BTreeSet;
use std::path::Path;

use super::durability::{TOLD, Told, WaitAnswer};
use super::status;
use super::waits::WaitAsked;
use super::world::World;
use crate::core::{Db, Standing, State, Status};
use crate::litestream::argv;
use crate::litestream::database::Database;
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;
use crate::os::permit;
use crate::status::Copied;

/// Those that somebody waits for who names one, or none for all of them.
///
/// # Errors
/// What he is told instead.
pub(super) fn meant(world: &World, asked: &WaitAsked) -> Result<BTreeSet<Db>, WaitAnswer> {
    if asked.holding.is_some_and(|lock| !world.databases.table.has_lock(lock)) {
        return Err(WaitAnswer::Another);
    }
    if let Some(version) = cannot_confirm(world) {
        return Err(WaitAnswer::NotConfirmable(version));
    }
    let all = all(world);
    match &asked.database {
        None => Ok(all.into_iter().map(|(db, _)| db).collect()),
        Some(name) => named(world, &all, name).map(|db| BTreeSet::from([db])),
    }
}

/// Which Litestream this is, if it is known and none that confirms.
pub(super) fn cannot_confirm(world: &World) -> Option<Version> {
    let version = world.litestream.version;
    let is_known = version > Version::new(0, 0, 0);
    (is_known && !version.confirms()).then_some(version)
}

/// All that this keeper has or should have.
fn all(world: &World) -> Vec<(Db, Database)> {
    let here = world.databases.table.listed();
    let is_here = |db: &Db| world.databases.table.get(*db).is_some();
    let outside = world.discovery.tenants.outside().filter(|(db, _)| !is_here(db));
    let outside = outside.map(|(db, tenant)| (db, tenant.named.database.clone()));
    here.iter().cloned().chain(outside).collect()
}

/// The only one that is meant by its path, an alias or its base name, whichever is the first.
fn named(world: &World, all: &[(Db, Database)], name: &str) -> Result<Db, WaitAnswer> {
    let path = Path::new(name);
    let aliases = world.setup.inventory.aliases();
    let is_called =
        |database: &Database| aliases.iter().any(|(alias, of)| alias == name && *of == database.path);
    let means: [&dyn Fn(&Database) -> bool; 3] =
        [&|database| path.is_absolute() && is_same(&database.path, path), &is_called, &|database| {
            database.path.file_name().is_some_and(|file| file == name)
        }];
    for means in means {
        let found: Vec<&(Db, Database)> = all.iter().filter(|(_, database)| means(database)).collect();
        match found.as_slice() {
            [] => {}
            [(db, _)] => return Ok(*db),
            several => {
                let error = format!("`{name}` can be more than one database");
                let hint = format!("say which one: {}", names(several.iter().map(|(_, one)| one)));
                return Err(WaitAnswer::Unknown { error, hint: Some(hint) });
            }
        }
    }
    let error = format!("`{name}` is no database of this keeper");
    let these = names(all.iter().map(|(_, one)| one));
    let hint = if all.is_empty() { "it has none".to_owned() } else { format!("these are: {these}") };
    Err(WaitAnswer::Unknown { error, hint: Some(hint) })
}

/// Whether both lead to the same name in the same folder.
fn is_same(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| Some(permit::real(path.parent()?).join(path.file_name()?));
    one == other || one.file_name() == other.file_name() && resolved(one) == resolved(other)
}

fn names<'a>(all: impl Iterator<Item = &'a Database>) -> String {
    let mut names: Vec<String> = all.map(|one| one.path.display().to_string()).collect();
    let more = names.len().saturating_sub(TOLD);
    names.truncate(TOLD);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

/// One that is confirmed.
pub(super) fn durable(world: &World, db: Db) -> Copied {
    let confirmed = world.confirmation(db).map(|confirmation| argv::txid_text(confirmation.txid));
    Copied {
        durable: true,
        txid: confirmed.clone(),
        replicated_txid: confirmed,
        lag_seconds: None,
        error: None,
        ..copied(world, db, None)
    }
}

/// How far these are that somebody has waited for.
pub(super) fn behind(
    world: &World,
    unit: &Status,
    dbs: &BTreeSet<Db>,
    standing: impl Fn(Db) -> Standing,
) -> Told {
    let mut told = Told::default();
    // What is named no more, and was never taken in, is nobody's.
    let known = dbs.iter().filter(|db| known(world, **db).is_some());
    known.for_each(|db| told.add(|| one_behind(world, unit, *db, standing(*db))));
    told
}

/// How far one of them is.
pub(super) fn one_behind(world: &World, unit: &Status, db: Db, Standing { state, lag }: Standing) -> Copied {
    let database = known(world, db);
    let said = || status::error(world, db, database.as_ref()?);
    let error = match state {
        State::Missing => Some("the file is not there".to_owned()),
        State::Replaced => {
            Some("the file was deleted or replaced, and litestream has the one that was there".to_owned())
        }
        State::Replicated | State::Lagging | State::Unknown => said(),
    };
    // Nobody is asked before the app, or what comes before it, runs.
    let error = error.or_else(|| (state == State::Unknown).then(|| unit.told.to_owned()));
    Copied { lag_seconds: lag.map(|lag| lag.as_secs_f64()), ..copied(world, db, error) }
}

fn known(world: &World, db: Db) -> Option<Database> {
    let outside = || world.discovery.tenants.get(db).map(|tenant| &tenant.named.database);
    world.databases.table.get(db).or_else(outside).cloned()
}

fn copied(world: &World, db: Db, error: Option<String>) -> Copied {
    let Database { path, replica, meta, .. } = known(world, db).unwrap_or_else(|| Database::at("".into()));
    let aliases = world.setup.inventory.aliases();
    let alias = aliases.into_iter().find(|(_, of)| *of == path).map(|(alias, _)| alias);
    let local = match position::local(world.litestream.version, &meta) {
        Some(Position::Txid(txid)) => Some(argv::txid_text(txid)),
        Some(Position::Wal { .. }) | None => None,
    };
    Copied {
        path: path.to_string_lossy().into_owned(),
        alias,
        replica: Some(replica),
        durable: false,
        txid: local,
        replicated_txid: world.confirmation(db).map(|confirmation| argv::txid_text(confirmation.txid)),
        lag_seconds: None,
        error,
    }
}
