//! What is known of the unit, as a document in pieces: whoever asks has one of them in memory, and so has this process.

use std::time::Duration;

use super::world::World;
use crate::core::{Db, Ended, Lost, Standing, State, Status, Unready};
use crate::foreign;
use crate::litestream::argv;
use crate::litestream::database::{self, Database};
use crate::litestream::position::{self, Position};
use crate::os::{cgroup, permit, proc, signal};
use crate::status::{self, Document, Piece};

/// So many databases are in one piece.
const PIECE: usize = 32;
/// So many reasons are told one by one.
const MOST_REASONS: usize = 16;

/// It is another keeper that is meant.
pub(super) fn of_another() -> Piece {
    Piece { head: Some(Document::of_another()), databases: Vec::new(), next: None }
}

/// The processes, and the first databases.
pub(super) fn first(world: &World, unit: &Status, standing: impl Fn(Db) -> Standing) -> Piece {
    let head = Document {
        version: status::VERSION,
        holds: true,
        keeper: Some(keeper(world, unit)),
        app: Some(app(world, unit)),
        litestream: Some(litestream(world, unit)),
        max_lag_ms: u64::try_from(world.setup.policy.max_lag.as_millis()).ok(),
        memory: cgroup::memory()
            .map(|memory| status::Memory { used_bytes: memory.used, limit_bytes: memory.limit }),
        databases: Vec::new(),
    };
    Piece { head: Some(head), ..next(world, Db(0), standing) }
}

/// So many databases as one piece has, from this one on.
pub(super) fn next(world: &World, from: Db, standing: impl Fn(Db) -> Standing) -> Piece {
    let listed = world.databases.table.listed();
    let begin = listed.partition_point(|(db, _)| *db < from);
    let here = listed.iter().skip(begin).take(PIECE + 1).cloned();
    let is_here = |db: &Db| world.databases.table.get(*db).is_some();
    let outside = world.discovery.tenants.outside().filter(|(db, _)| *db >= from && !is_here(db));
    let outside = outside.take(PIECE + 1).map(|(db, tenant)| (db, tenant.named.database.clone()));
    let mut all: Vec<(Db, Database)> = here.chain(outside).collect();
    all.sort_by_key(|(db, _)| *db);
    let next = all.get(PIECE).map(|(db, _)| db.0);
    all.truncate(PIECE);
    let aliases = world.setup.inventory.aliases();
    let databases = all.iter().map(|(db, database)| {
        let alias = aliases.iter().find(|(_, of)| *of == database.path).map(|(alias, _)| alias.clone());
        described(world, *db, database, alias, standing(*db))
    });
    Piece { head: None, databases: databases.collect(), next }
}

fn described(
    world: &World,
    db: Db,
    database: &Database,
    alias: Option<String>,
    Standing { state, lag }: Standing,
) -> status::Database {
    let size = |path: &std::path::Path| permit::theirs(|| path.metadata()).ok().map(|found| found.len());
    let size_bytes = size(&database.path);
    let local = position::local(world.litestream.version, &database.meta);
    let confirmation = world.confirmation(db);
    let is_known = match state {
        State::Replicated | State::Lagging | State::Replaced => true,
        State::Missing | State::Unknown => false,
    };
    status::Database {
        path: database.path.to_string_lossy().into_owned(),
        alias,
        replica: Some(database.replica.clone()),
        state: state.word().to_owned(),
        size_bytes,
        wal_bytes: size(&database::with_suffix(&database.path, "-wal")).or(size_bytes.map(|_| 0)),
        txid: local.and_then(|local| match local {
            Position::Txid(txid) => Some(argv::txid_text(txid)),
            Position::Wal { .. } => None,
        }),
        replicated_txid: confirmation.map(|confirmation| argv::txid_text(confirmation.txid)),
        lag_seconds: lag.map(|lag| lag.as_secs_f64()).or(is_known.then_some(0.0)),
        last_confirmed_at: confirmation.map(|confirmation| shown(confirmation.at)),
        error: error(world, db, database),
        restorable: None,
        verified: None,
    }
}

/// What keeps a database from being replicated, as far as anybody has said.
pub(super) fn error(world: &World, db: Db, database: &Database) -> Option<String> {
    let refused = || {
        let path = database.path.display().to_string();
        Some(world.discovery.rounds.said.get(&path)?.said.clone())
    };
    world.notices.reason_of(db).or_else(refused).map(|error| foreign::piece(&error))
}

/// The keeper, and what it says of the unit.
pub(super) fn keeper(world: &World, unit: &Status) -> status::Keeper {
    status::Keeper {
        pid: std::process::id().cast_signed(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: Some(shown(world.began)),
        phase: unit.phase.to_owned(),
        ready: unit.ready,
        reasons: if unit.ready { Vec::new() } else { reasons(world, unit) },
    }
}

/// How the unit is, in a line for the service manager; no time is in it, so it changes when something does.
pub(super) fn in_words(world: &World, unit: &Status) -> String {
    let count =
        |count: usize| if count == 1 { "1 database".to_owned() } else { format!("{count} databases") };
    let line = match unit.reasons.as_slice() {
        _ if unit.undrained > 0 => {
            format!("draining: {} not confirmed on the replica yet", count(unit.undrained))
        }
        _ if unit.ready && unit.behind > 0 => {
            format!("running, {} not confirmed for longer than is allowed", count(unit.behind))
        }
        _ if unit.ready => "running, all replicated".to_owned(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
            format!("not ready: {}{more}", unready(world, *first, false))
        }
        [] => {
            let stage = match (unit.stops_within, world.notices.manager.has_begun) {
                (Some(_), _) => "stopping",
                (None, true) => "not ready",
                (None, false) => "starting",
            };
            format!("{stage}: {}", where_it_is(world, unit))
        }
    };
    foreign::line(&line).into_owned()
}

/// Where the unit is, and what holds it up there.
fn where_it_is(world: &World, unit: &Status) -> String {
    let why = world.notices.shut_by().filter(|_| world.is_gated());
    let why = why.map_or_else(String::new, |why| format!(": {}", foreign::piece(why)));
    format!("{}{why}", unit.told)
}

/// Why the unit is not ready.
fn reasons(world: &World, unit: &Status) -> Vec<String> {
    if unit.reasons.is_empty() {
        return vec![where_it_is(world, unit)];
    }
    let mut told: Vec<String> =
        unit.reasons.iter().take(MOST_REASONS).map(|reason| unready(world, *reason, true)).collect();
    if unit.reasons.len() > MOST_REASONS {
        told.push(format!("and {} more", unit.reasons.len() - MOST_REASONS));
    }
    told
}

/// Why it is not, with for how long or without.
fn unready(world: &World, reason: Unready, with_age: bool) -> String {
    let since = |age: Duration| if with_age { format!(" for {} s", age.as_secs()) } else { String::new() };
    let name = |db: Db| {
        let (path, replica) = world.place_of(db);
        if !path.is_empty() {
            return (path, replica);
        }
        let gone = world.databases.gone().find(|(gone, _)| *gone == db);
        gone.map(|(_, database)| (database.path.display().to_string(), database.replica)).unwrap_or_default()
    };
    match reason {
        Unready::Lagging(db, age) => {
            let (path, replica) = name(db);
            let why = world.notices.reason_of(db);
            let why = why.map_or_else(String::new, |why| format!(": {}", foreign::piece(&why)));
            format!("{path}: {replica} has not confirmed a change{}{why}", since(age))
        }
        Unready::Missing(db, age) => {
            format!("{}: the file has not been there{}", name(db).0, since(age))
        }
        Unready::Replaced(db) => {
            let (path, replica) = name(db);
            format!("{path}: the file was deleted or replaced, and {replica} has nothing of the new one")
        }
    }
}

fn app(world: &World, unit: &Status) -> status::App {
    let (pid, since) = world.tree.app().unzip();
    let last = unit.app.last();
    status::App {
        pid,
        command: world.tree.app_words(),
        started_at: since.map(shown),
        restarts: unit.app.restarts(),
        last_exit: last.map(|last| ended(last.how, Some(last.why.told()))),
    }
}

fn litestream(world: &World, unit: &Status) -> status::Litestream {
    let version = world.litestream.version;
    let why = unit.litestream.last().map(Lost::told);
    status::Litestream {
        pid: world.litestream.pid(),
        version: (!world.is_starting()).then(|| version.to_string()),
        started_at: world.litestream.started().map(shown),
        restarts: unit.litestream.restarts(),
        last_exit: world.litestream.last_end().map(|how| ended(how, why)),
        memory_bytes: world.litestream.pid().and_then(proc::resident),
    }
}

/// How a process ended, and what for.
fn ended(how: Ended, why: Option<&str>) -> String {
    let how = match how {
        Ended::Code(code) => format!("code {code}"),
        Ended::Signal(number) => format!("SIG{}", signal::name(number)),
    };
    why.map_or_else(|| how.clone(), |why| format!("{how}, {why}"))
}

fn shown(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
