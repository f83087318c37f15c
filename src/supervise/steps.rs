//! What the core has decided of the databases that sources name, done.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::abandoned::Opened;
use super::database_lock;
use super::folders;
use super::outside::{Look, has_any, takes_it};
use super::prepare::Preparation;
use super::reload::Reason;
use super::runtime_folder::Written;
use super::setup::{IfBehind, Looked};
use super::tenants::Tenant;
use super::world::World;
use crate::backup::Restorer;
use crate::core::{Db, Event, ExitCode, Step, Turn, Wanted as _, Why};
use crate::error::Failure;
use crate::inventory::Named;
use crate::litestream::command::Runner;
use crate::litestream::others::Others;

/// What is told next.
pub(super) enum Next {
    /// To the machine.
    Event(Event),
    /// To the reconciliation.
    Turn(Turn<Tenant>),
}

/// Does what was decided; what is to be told of it. The looks that begin together share what `others` there are.
#[expect(clippy::too_many_lines, reason = "one table of what is done for each step")]
pub(super) fn take(world: &mut World, step: Step<Tenant>, others: &mut Option<Rc<Others>>) -> Vec<Next> {
    match step {
        Step::Tell(event) => return vec![Next::Event(event)],
        Step::Await(db) => {
            let exists =
                world.discovery.tenants.get(db).is_some_and(|tenant| has_any(&tenant.named.database));
            let changed = exists.then_some(Next::Event(Event::Changed(db)));
            return [Next::Event(Event::Awaited(db))].into_iter().chain(changed).collect();
        }
        Step::Look { db, number, had } => {
            // Who has it since a moment ago, the looks at all of them would tell.
            let others = if had {
                Rc::default()
            } else {
                others.get_or_insert_with(|| Rc::new(Others::now())).clone()
            };
            if let Err(reason) = look_at(world, db, number, others) {
                return vec![Next::Turn(Turn::LookedAt { db, number, result: Err(reason) })];
            }
        }
        Step::Probe(db, number, tenant) => {
            if let Err(reason) = probe(world, db, number, &tenant.named) {
                return vec![Next::Turn(Turn::Probed { db, number, result: Err(reason) })];
            }
        }
        Step::Stop(number) => world.discovery.outside.stop(number),
        Step::Lock(db) => {
            let Some(tenant) = world.discovery.tenants.get(db) else { return Vec::new() };
            if !tenant.is_found() {
                world.databases.returned(tenant.named.database.path.clone());
            }
            let locked = database_lock::lock_now(&tenant.named.database, &world.folder);
            let result = locked.map_err(Reason::from);
            return vec![Next::Turn(Turn::Locked { db, result })];
        }
        Step::Take(db, lock) => {
            if let Some(tenant) = world.discovery.tenants.get(db) {
                world.databases.table.put(db, tenant.named.clone(), lock);
            }
        }
        Step::Release(lock) => lock.release(),
        Step::Respell(db) => {
            if let Some(tenant) = world.discovery.tenants.get(db) {
                world.databases.table.rename(db, tenant.named.clone());
            }
        }
        Step::RegisterAgain(db, before) => world.register_again(db, before.named),
        Step::Came(db) => came(world, db),
        Step::Drain(db) => world.drain_too(db),
        Step::Went { db, given_up } => went(world, db, given_up),
        Step::LetGo(db) => {
            world.discovery.abort_registration(db);
            let (path, _) = world.place_of(db);
            world.databases.let_go(db);
            world.forget(db);
            // It may be named still, and come.
            if world.discovery.tenants.get(db).is_none() {
                world.waits.forget(db, &path);
            }
        }
        Step::Dropped(tenant) => {
            let (path, rounds) = (tenant.path(), &mut world.discovery.rounds);
            rounds.said.remove(&path);
            if has_any(&tenant.named.database) {
                rounds.refuse(&path, too_late(&path));
                rounds.said.remove(&path);
            }
        }
        Step::Refuse(tenant, why) => world.discovery.rounds.refuse(&tenant.path(), reason(&tenant, why)),
        Step::GoBack { from, to, why } => {
            let reason = reason(&from, why).and(&format!("; going back to {}", to.named.database.replica));
            world.discovery.rounds.refuse(&to.path(), reason);
        }
        Step::Hold(db, reason) => {
            let (path, _) = world.place_of(db);
            world.discovery.rounds.refuse(&path, reason.and(": kept until it can be drained"));
        }
        Step::Keep(db, reason) => {
            let (path, replica) = world.place_of(db);
            world
                .discovery
                .rounds
                .refuse(&path, reason.and(&format!("; it is still replicated to {replica}")));
        }
        Step::Added(tenant) => world.discovery.rounds.report.add(tenant.path()),
        Step::Removed(tenant) => world.discovery.rounds.report.remove(tenant.path()),
    }
    Vec::new()
}

fn came(world: &mut World, db: Db) {
    let (path, replica) = world.place_of(db);
    tracing::info!("replicating {path} -> {replica}");
    folders::warn_of_a_backup(world, db);
    world.databases.watch_too(db, &world.setup.folders);
    world.discovery.abort_registration(db);
    world.discovery.rounds.said.remove(&path);
}

fn went(world: &mut World, db: Db, given_up: bool) {
    let (path, replica) = world.place_of(db);
    let exists = world.databases.table.get(db).is_some_and(|database| database.exists());
    if given_up && exists {
        world.discovery.rounds.refuse(&path, too_late(&path));
    } else if given_up {
        tracing::info!("{path}: not taken in, since it is named no more");
    } else if exists {
        tracing::info!("{path} is on {replica}, and not replicated any more");
    }
    world.discovery.rounds.said.remove(&path);
    if !exists {
        world.databases.went(db, &Opened::below(world.tree.shim_pid()));
    }
}

/// What a Litestream reads that is to know this one, and all that the configuration has itself.
fn written_for(world: &World, number: u64, named: &Named) -> Result<(Written, Runner), Failure> {
    let entries = std::slice::from_ref(&named.entry);
    let (inventory, socket) = (&world.setup.inventory, world.folder.socket());
    let alone = inventory.apart(&socket, entries, &BTreeSet::from([named.database.path.clone()])).pop();
    let inputs = alone.map_or_else(|| inventory.lookup(&socket, entries), |(_, inputs)| inputs);
    let written = world.folder.write_look(number, &inputs.config).map_err(|error| {
        Failure::new(ExitCode::LITESTREAM, format!("{}: {error}", named.database.path.display()))
            .hint("free some space in the runtime folder, or set LITEKEEPER_RUNTIME_DIR")
    })?;
    Ok((written, Runner { env: Rc::new(inputs.env), ..world.runner.clone() }))
}

/// Looks whether a live database can be replicated to another place, before it is let go of.
fn probe(world: &mut World, db: Db, number: u64, named: &Named) -> Result<(), Reason> {
    has_url(named)?;
    let (config, runner) = written_for(world, number, named)?;
    (world.setup.faults)(Looked::Named(&named.database))?;
    let (version, limit) = (world.litestream.version, world.setup.policy.gate_timeout);
    let goes_on = world.setup.if_behind == IfBehind::Ignore;
    let trials = world.trials(vec![named.entry.clone()]);
    let probe = takes_it(runner, version, config, named.database.clone(), trials, limit, goes_on);
    world.discovery.outside.probe(db, number, world.outbox.clone(), probe);
    Ok(())
}

/// Does what has to be done before Litestream can be told of it.
fn look_at(world: &mut World, db: Db, number: u64, others: Rc<Others>) -> Result<(), Reason> {
    let Some(named) = world.discovery.tenants.get(db).map(|tenant| tenant.named.clone()) else {
        return Ok(());
    };
    has_url(&named)?;
    let (config, runner) = written_for(world, number, &named)?;
    let (path, trials) = (config.path().to_owned(), world.trials(vec![named.entry.clone()]));
    let look = Look {
        preparation: Preparation { runner: runner.clone(), ..world.preparation(path.clone(), Rc::default()) },
        restorer: Restorer { runner, trials, ..world.restorer(path) },
        database: named.database.clone(),
        version: world.litestream.version,
        socket: world.folder.socket(),
        keeper: world.folder.keeper_socket(),
        others,
        _config: config,
    };
    world.discovery.outside.look_at(db, number, world.outbox.clone(), look);
    Ok(())
}

/// Whether a running Litestream can be told of it.
fn has_url(named: &Named) -> Result<(), String> {
    let cannot = |reason: &String| format!("{}: {reason}", named.database.path.display());
    named.url.as_ref().map(drop).map_err(cannot)
}

/// What is to be said of one with something in it that was given up on its way in.
fn too_late(path: &str) -> Reason {
    let what = "named no more before litestream could take it in: what is in it is on this machine alone";
    Reason::from(format!("{path}: {what}"))
}

/// Why a database is not where it is wanted, for people.
fn reason(tenant: &Tenant, why: Why<Tenant>) -> Reason {
    let path = tenant.path();
    let at_place = |why: &str| format!("{path}: replica {}: {why}", tenant.named.database.replica);
    match why {
        Why::Told(reason) => return reason,
        Why::Occupied(there) => {
            let (other, place) = (there.path(), &there.named.database.replica);
            let other =
                if tenant.is_file_of(&there) { format!("it is the file of {other}, which") } else { other };
            format!("{path}: {other} is still replicated to {place}: that has to be let go first")
        }
        Why::Unconfirmed => at_place("nothing was confirmed there before the end"),
        Why::Ended => at_place("litestream ended before anything was confirmed there"),
    }
    .into()
}
