//! Databases that sources name, as the core has them, and what is done when it has decided.

use std::path::PathBuf;
use std::rc::Rc;

use super::driver::Driver;
use super::effects::World;
use super::outside::has_any;
use super::reload::Reason;
use super::twins;
use crate::core::{Event, Reconciliation, Step, Turn, Wanted, Why};
use crate::inventory::{Entry, Named};
use crate::litestream::others::Others;
use crate::os::guarded;
use crate::os::lock::Lock;
use crate::os::place;

/// All of them.
pub(super) type Tenants = Reconciliation<Tenant>;

/// One of them. No `Debug`: what a source said may hold secrets.
#[derive(Clone)]
pub(super) struct Tenant {
    pub(super) named: Rc<Named>,
    /// Where its file was, when that was looked at last.
    file: PathBuf,
    /// The folder that it is replicated to, by the same look.
    place: Option<PathBuf>,
    /// The path that this keeper has the same file by, if that is another one: it was renamed, or has both names.
    other_name: Option<PathBuf>,
}

impl Tenant {
    pub(super) fn new(named: Named) -> Self {
        let mut tenant = Self { named: Rc::new(named), file: PathBuf::new(), place: None, other_name: None };
        tenant.refile();
        tenant
    }

    /// Looks again where its file is.
    pub(super) fn refile(&mut self) {
        self.file = twins::resolved(&self.named.database.path);
        self.place = self.named.database.replica_folder.as_deref().map(place::real);
        self.other_name = guarded::other_name(&self.named.database.path);
    }

    /// Whether its file is this one's, by another name.
    fn is_file_of(&self, there: &Self) -> bool {
        self.other_name.as_ref() == Some(&there.named.database.path)
    }

    pub(super) fn path(&self) -> String {
        self.named.database.path.display().to_string()
    }
}

impl Wanted for Tenant {
    type File = PathBuf;
    type Lock = Lock;
    type Reason = Reason;

    fn file(&self) -> &PathBuf {
        &self.file
    }

    fn is_same(&self, other: &Self) -> bool {
        self.named.tells_the_same(&other.named)
    }

    fn is_written_as(&self, other: &Self) -> bool {
        self.named.entry.is_same(&other.named.entry)
    }

    fn collides(&self, other: &Self) -> bool {
        let (one, two) = (&self.named.database, &other.named.database);
        let is_one_folder = self.place.is_some() && self.place == other.place;
        let is_one_place = one.replica == two.replica || is_one_folder || one.meta == two.meta;
        is_one_place || self.file == other.file || self.is_file_of(other) || other.is_file_of(self)
    }

    fn is_found(&self) -> bool {
        matches!(self.named.entry, Entry::InFolder(..))
    }
}

impl Driver {
    /// Has the core decide what follows, and does it.
    pub(super) fn turn(&mut self, turn: Turn<Tenant>) {
        self.decide(turn);
        // The looks that begin together ask once.
        let mut others = None;
        while let Some(step) = self.world.tenants.poll_step() {
            self.take_step(step, &mut others);
        }
    }

    fn decide(&mut self, turn: Turn<Tenant>) {
        self.world.tenants.handle(self.machine.moment(), turn);
    }

    fn take_step(&mut self, step: Step<Tenant>, others: &mut Option<Rc<Others>>) {
        let world = &mut self.world;
        match step {
            Step::Tell(event) => self.handle(event),
            Step::Await(db) => {
                let exists = world.tenants.get(db).is_some_and(|tenant| has_any(&tenant.named.database));
                self.handle(Event::Awaited(db));
                if exists {
                    self.handle(Event::Changed(db));
                }
            }
            Step::Look { db, number, had } => {
                // Who has it since a moment ago, the looks at all of them would tell.
                let others = if had {
                    Rc::default()
                } else {
                    others.get_or_insert_with(|| Rc::new(Others::now())).clone()
                };
                if let Err(reason) = world.look_at(db, number, others) {
                    self.decide(Turn::LookedAt { db, number, result: Err(reason) });
                }
            }
            Step::Probe(db, number, tenant) => {
                if let Err(reason) = world.probe(db, number, &tenant.named) {
                    self.decide(Turn::Probed { db, number, result: Err(reason) });
                }
            }
            Step::Stop(number) => world.outside.stop(number),
            Step::Lock(db) => {
                let Some(tenant) = world.tenants.get(db) else { return };
                if !tenant.is_found() {
                    world.returned.insert(tenant.named.database.path.clone());
                }
                let locked = twins::lock_now(&tenant.named.database, &world.folder);
                let result = locked.map_err(Reason::from);
                self.decide(Turn::Locked { db, result });
            }
            Step::Take(db, lock) => {
                if let Some(tenant) = world.tenants.get(db) {
                    world.roster.put(db, tenant.named.clone(), lock);
                }
            }
            Step::Release(lock) => lock.release(),
            Step::Respell(db) => {
                if let Some(tenant) = world.tenants.get(db) {
                    world.roster.rename(db, tenant.named.clone());
                }
            }
            Step::RegisterAgain(db, before) => world.register_again(db, before.named),
            Step::Came(db) => {
                let (path, replica) = world.place_of(db);
                tracing::info!("replicating {path} -> {replica}");
                world.warn_of_a_backup(db);
                world.watch_too(db);
                world.abort_registration(db);
                world.rounds.said.remove(&path);
            }
            Step::Drain(db) => world.drain_too(db),
            Step::Went { db, given_up } => {
                let (path, replica) = world.place_of(db);
                let exists = world.roster.get(db).is_some_and(|database| database.exists());
                if given_up {
                    tracing::info!("{path}: not taken in, since it is named no more");
                } else if exists {
                    tracing::info!("{path} is on {replica}, and not replicated any more");
                }
                world.rounds.said.remove(&path);
                if !exists {
                    world.note_that_it_went(db);
                }
            }
            Step::LetGo(db) => world.let_go(db),
            Step::Dropped(tenant) => {
                let path = tenant.path();
                world.rounds.said.remove(&path);
                if has_any(&tenant.named.database) {
                    let reason = format!(
                        "{path}: named no more before litestream could take it in: what is in it is on this machine alone"
                    );
                    world.refuse(&path, Reason::from(reason));
                    world.rounds.said.remove(&path);
                }
            }
            Step::Refuse(tenant, why) => world.refuse(&tenant.path(), reason(&tenant, why)),
            Step::GoBack { from, to, why } => {
                let reason =
                    reason(&from, why).and(&format!("; going back to {}", to.named.database.replica));
                world.refuse(&to.path(), reason);
            }
            Step::Hold(db, reason) => {
                let (path, _) = world.place_of(db);
                world.refuse(&path, reason.and(": kept until it can be drained"));
            }
            Step::Keep(db, reason) => {
                let (path, replica) = world.place_of(db);
                world.refuse(&path, reason.and(&format!("; it is still replicated to {replica}")));
            }
            Step::Added(tenant) => world.rounds.report.added.push(tenant.path()),
            Step::Removed(tenant) => world.rounds.report.removed.push(tenant.path()),
        }
    }
}

/// Why a database is not where it is wanted, for people.
fn reason(tenant: &Tenant, why: Why<Tenant>) -> Reason {
    let path = tenant.path();
    match why {
        Why::Told(reason) => return reason,
        Why::Occupied(there) => {
            let (other, place) = (there.path(), &there.named.database.replica);
            let other =
                if tenant.is_file_of(&there) { format!("it is the file of {other}, which") } else { other };
            format!("{path}: {other} is still replicated to {place}: that has to be let go first")
        }
        Why::Unconfirmed => {
            let place = &tenant.named.database.replica;
            format!("{path}: replica {place}: nothing was confirmed there before the end")
        }
        Why::Ended => {
            let place = &tenant.named.database.replica;
            format!("{path}: replica {place}: litestream ended before anything was confirmed there")
        }
    }
    .into()
}

impl World {
    /// Litestream has nothing of it any more, and neither has this process.
    fn let_go(&mut self, db: crate::core::Db) {
        self.abort_registration(db);
        self.watch.remove(db);
        self.reasons.remove(&db);
        self.roster.remove(db);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::litestream::database::Database;

    #[test]
    fn one_folder_is_one_place_by_whatever_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("backup")).unwrap();
        std::os::unix::fs::symlink("backup", dir.path().join("link")).unwrap();
        let tenant = |name: &str, place: &str| {
            let folder = dir.path().join(place);
            let database = Database {
                path: dir.path().join(name),
                meta: dir.path().join(format!("{name}-meta")),
                replica: folder.display().to_string(),
                replica_folder: Some(folder),
                s3: None,
            };
            let entry = Entry::InFolder(0, name.into());
            Tenant::new(Named { database, url: Err(String::new()), told: None, entry })
        };
        assert!(tenant("a", "backup/x").collides(&tenant("b", "link/x")));
        assert!(tenant("a", "backup").collides(&tenant("b", "link")));
        assert!(!tenant("a", "backup/x").collides(&tenant("b", "link/y")));
    }
}
