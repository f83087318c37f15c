//! A replica's place that holds a backup which was not made of the database, by its number an older one; or the rest of one.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST, NO_SOCKET};
use crate::support::process::Ended;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::unit;
use crate::support::world::World;

const META: &str = ".app.db-litestream";
/// All that is here of a database that nobody has open.
const STATE: [&str; 4] = ["app.db", "app.db-wal", "app.db-shm", META];
const LOCAL: &str = ".app.db-litestream/ltx/0";

impl Store {
    fn start(&self, world: &World, name: &str, options: &[&str], app: App) -> Ended {
        let config = world.config(&self.replica(world, name));
        let keeper = Keeper::new(world).config(&config).envs(S3::env()).args(["--gate-timeout", "20s"]);
        keeper.args(options).app(app).run()
    }

    /// Starts and stops a unit whose app writes a row.
    fn run(&self, world: &World, name: &str, options: &[&str]) -> Ended {
        self.start(world, name, options, App::new(&world.trace()).insert(&world.db(), 1).exit(0))
    }

    fn restored(&self, world: &World, name: &str) -> Vec<i64> {
        let config = world.config(&self.replica(world, name));
        sqlite::ids(&Backup::Config(&config, &world.db()).restore(world, LATEST))
    }

    /// Backs the database up there, in so many transactions at least.
    fn fill(&self, world: &World, name: &str, transactions: usize) {
        for _ in 0..transactions {
            self.run(world, name, &[]).expect_code(0);
        }
    }

    /// The backup is one of a Litestream that nobody kept: it says nothing of whose it is.
    fn unmark(&self, world: &World, name: &str) {
        fs::remove_file(self.mark(world, name)).expect("it is marked");
    }

    fn refuses(&self, world: &World, name: &str) {
        let state =
            || (files(&self.folder(world, name)), files(&world.path(META)), fs::read(world.db()).ok());
        let (before, events) = (state(), world.trace().events().len());
        let ended = self.run(world, name, &[]).expect_code(69).expect_log("that transaction is another one");
        ended.expect_log("name this database's own place").expect_log(&world.db().display().to_string());
        assert_eq!(world.trace().events().len(), events, "the app was not started");
        let after = state();
        assert_eq!(after.0, before.0, "nothing is changed there");
        assert_eq!(
            (after.1.iter().filter(|(path, _)| path.contains("ltx/")).collect::<Vec<_>>(), after.2),
            (before.1.iter().filter(|(path, _)| path.contains("ltx/")).collect(), before.2)
        );
    }

    fn goes_on(&self, world: &World, name: &str) {
        let ended = self.run(world, name, &[]).expect_code(0).expect_log("everything is on the replica");
        // What was killed may not be gone yet.
        let is_odd = |line: &str| line.contains("warn") && !line.contains("is being stopped: waiting");
        assert!(!ended.log.lines().any(is_odd), "{}", ended.log);
        assert_eq!(self.restored(world, name), sqlite::ids(&world.db()));
    }
}

/// What a folder has, at any depth, but for the lock that whoever looks takes and lets go.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.ends_with("lock.json") => {}
                path => found.push((path.display().to_string(), fs::read(&path).unwrap_or_default())),
            }
        }
    }
    found.sort();
    found
}

/// What is not there is not copied.
fn copy(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    let done = std::process::Command::new("cp").arg("-a").args([from, to]).status();
    assert!(done.expect("cp is everywhere").success());
}

/// The highest transaction that there is a local file of.
fn newest(world: &World) -> usize {
    let name = world.list(LOCAL).pop().expect("it was backed up");
    usize::from_str_radix(&name[..16], 16).expect("a transaction")
}

/// Removes the database, and all that Litestream knows of it here.
fn remove(world: &World) {
    for gone in STATE {
        let gone = world.path(gone);
        let _ = if gone.is_dir() { fs::remove_dir_all(gone) } else { fs::remove_file(gone) };
    }
}

/// A world with a small database.
fn small() -> World {
    let world = World::new();
    sqlite::create(&world.db(), 3);
    world
}

/// Another small one in its place.
fn anew(world: &World) {
    remove(world);
    sqlite::create(&world.db(), 3);
}

/// Two databases of the same app, one after the other in the same file; the second one has as many transactions more.
/// The first one's backup is in `others`, the second one's in `own`.
fn two(store: &Store, more: usize) -> World {
    let world = World::new();
    for (name, more) in [("others", 0), ("own", more)] {
        anew(&world);
        store.fill(&world, name, 2 + more);
    }
    store.unmark(&world, "others");
    world
}

#[test]
fn an_older_backup_of_another_database_is_refused() {
    for store in Store::all() {
        let world = two(&store, 2);
        let found = |name: &str| {
            let config = world.config(&store.replica(&world, name));
            let keeper = Keeper::new(&world).command("check").config(&config).envs(S3::env());
            keeper.args(["--online", "--limit", "2m"]).run().stdout
        };
        let (others, own) = (found("others"), found("own"));
        assert!(others.contains("[other-backup]") && !own.contains("[other-backup]"), "{others}\n{own}");
        store.refuses(&world, "others");
        // Its own place is as good as before.
        store.goes_on(&world, "own");
    }
}

#[test]
fn a_backup_of_another_database_is_refused_that_ends_at_the_same_transaction() {
    for store in Store::all() {
        let world = small();
        store.fill(&world, "others", 2);
        store.unmark(&world, "others");
        let there = newest(&world);
        anew(&world);
        while world.list(LOCAL).is_empty() || newest(&world) < there {
            store.fill(&world, "own", 1);
        }
        assert_eq!(newest(&world), there);
        store.refuses(&world, "others");
    }
}

#[test]
fn a_newer_backup_of_another_database_is_refused() {
    for store in Store::all() {
        let world = small();
        store.fill(&world, "others", 4);
        store.unmark(&world, "others");
        anew(&world);
        store.fill(&world, "own", 1);
        store.run(&world, "others", &[]).expect_code(69).expect_log("is older than its backup");
    }
}

/// A copy of the database went on elsewhere, and this one was not on the replica when it was left.
#[test]
fn a_backup_that_another_copy_went_on_with_is_refused() {
    for store in Store::all() {
        let world = small();
        store.fill(&world, "own", 2);
        fs::create_dir(world.path("copy")).expect("the world can be written");
        for name in STATE {
            copy(&world.path(name), &world.path("copy"));
        }
        store.fill(&world, "own", 1);
        let reached = newest(&world);
        remove(&world);
        for name in STATE {
            copy(&world.path("copy").join(name), &world.path(name));
        }
        while newest(&world) < reached {
            store.fill(&world, "elsewhere", 1);
        }
        store.refuses(&world, "own");
    }
}

#[test]
fn what_if_behind_says_is_done_with_a_backup_of_another_database() {
    for store in Store::all() {
        let world = two(&store, 2);
        let own = sqlite::ids(&world.db());
        store
            .run(&world, "others", &["--if-behind", "ignore"])
            .expect_code(0)
            .expect_log("with a fresh copy on top");
        let now = sqlite::ids(&world.db());
        assert_eq!(now.len(), own.len() + 1);
        assert_eq!(store.restored(&world, "others"), now);
        store.goes_on(&world, "others");
    }
    for store in Store::all() {
        let world = two(&store, 2);
        let others = store.restored(&world, "others");
        let ended = store.run(&world, "others", &["--if-behind", "restore"]).expect_code(0);
        ended.expect_log("the backup is restored in its place").expect_log("kept as ");
        assert_eq!(sqlite::ids(&world.db()).len(), others.len() + 1);
        store.goes_on(&world, "others");
    }
}

#[test]
fn a_replica_that_lost_its_newest_files_is_gone_on_with() {
    for store in Store::all() {
        let world = small();
        store.fill(&world, "own", 1);
        copy(&store.folder(&world, "own"), &store.folder(&world, "before"));
        store.fill(&world, "own", 2);
        fs::remove_dir_all(store.folder(&world, "own")).expect("it is there");
        copy(&store.folder(&world, "before"), &store.folder(&world, "own"));
        store.goes_on(&world, "own");
    }
}

#[test]
fn an_older_copy_of_the_own_backup_elsewhere_is_gone_on_with() {
    for store in Store::all() {
        let world = small();
        store.fill(&world, "own", 1);
        let copied = store.folder(&world, "elsewhere");
        copy(&store.folder(&world, "own"), &copied);
        // Whoever copies it may leave out the times.
        for (path, _) in files(&copied) {
            let now = std::time::SystemTime::now();
            fs::File::options()
                .write(true)
                .open(path)
                .and_then(|file| file.set_modified(now))
                .expect("a time");
        }
        store.fill(&world, "own", 2);
        store.goes_on(&world, "elsewhere");
    }
}

#[test]
fn after_a_kill_the_own_backup_is_known_again() {
    for store in Store::all() {
        let world = small();
        let config = world.config(&store.replica(&world, "own"));
        let keeper = || Keeper::new(&world).config(&config).envs(S3::env());
        let running = keeper().app(unit::writer(&world.trace(), &world.db(), 0)).start();
        world.trace().wait_acked(20);
        running.kill(&running.keeper(), Signal::SIGKILL);
        running.finish();
        store.goes_on(&world, "own");
    }
}

#[test]
fn a_restored_database_knows_its_backup() {
    for store in Store::all() {
        let world = small();
        store.fill(&world, "own", 2);
        remove(&world);
        store.run(&world, "own", &[]).expect_code(0);
        store.goes_on(&world, "own");
    }
}

/// Our own client may not read there: then Litestream's listing has to do.
#[test]
fn without_our_own_client_the_sizes_tell() {
    let s3 = S3::start();
    s3.bucket("backups");
    let store = Store::S3(s3);
    let world = World::new();
    sqlite::create(&world.db(), 300);
    store.fill(&world, "others", 2);
    anew(&world);
    store.fill(&world, "own", 4);
    let Store::S3(s3) = &store else { unreachable!() };
    s3.forbid_gets();
    let ended = store.run(&world, "others", &[]).expect_code(69);
    ended.expect_log("that transaction is another one");
}

#[test]
fn an_older_litestream_makes_no_difference() {
    for store in Store::all() {
        let world = World::new();
        for (name, times) in [("others", 1), ("own", 3)] {
            anew(&world);
            let config = world.config(&store.replica(&world, name));
            for _ in 0..times {
                litestream::back_up(&world, NO_SOCKET, &config, &[&world.db()]);
            }
        }
        let config = world.config(&store.replica(&world, "others"));
        let keeper = Keeper::new(&world).litestream(NO_SOCKET).config(&config).envs(S3::env());
        keeper.app(["true"]).run().expect_code(69).expect_log("that transaction is another one");
    }
}

/// Removed by a rule of the bucket, or by hand.
#[test]
fn a_backup_without_its_beginning_is_not_taken_for_none() {
    for store in Store::all() {
        let world = small();
        store.fill(&world, "own", 3);
        let begins = format!("/{:016x}-", 1);
        let gone = files(&store.folder(&world, "own")).into_iter().filter(|(path, _)| path.contains(&begins));
        let gone = gone.map(|(path, _)| fs::remove_file(path).expect("it is there")).count();
        assert!(gone > 0, "it was backed up from the beginning");
        let there = files(&store.folder(&world, "own"));
        let config = world.config(&store.replica(&world, "own"));
        let keeper = || Keeper::new(&world).config(&config).envs(S3::env());
        let checked = keeper().command("check").args(["--online", "--limit", "2m"]).run().stdout;
        assert!(checked.contains("[no-beginning]") && !checked.contains("[no-backup]"), "{checked}");
        // With the database, which would be confirmed behind what is left; and without, when the app would begin anew.
        for loss in [false, true] {
            if loss {
                remove(&world);
            }
            let events = world.trace().events().len();
            let ended = store.run(&world, "own", &["--if-behind", "restore"]).expect_code(69);
            ended
                .expect_log("nothing that a restore could begin with")
                .expect_log("move what is left there away");
            assert_eq!(world.trace().events().len(), events, "the app was not started");
            assert_eq!(world.db().exists(), !loss);
            assert_eq!(files(&store.folder(&world, "own")), there);
        }
        // As the hint says.
        let away = store.folder(&world, "own").with_file_name("away");
        fs::rename(store.folder(&world, "own"), away).expect("both can be written");
        sqlite::create(&world.db(), 3);
        store.goes_on(&world, "own");
    }
}
