//! Something else stands where SQLite, Litestream or the keeper has a file or a folder of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::keeper::Keeper;
use crate::support::refused::refused;
use crate::support::sqlite;
use crate::support::world::World;

const META: &str = ".app.db-litestream";

fn put(world: &World, name: &str, what: &str) {
    let path = world.path(name);
    fs::create_dir_all(path.parent().expect("it has one")).expect("ours");
    match what {
        "pipe" => mkfifo(&path, Mode::S_IRWXU).expect("ours"),
        "socket" => drop(UnixListener::bind(&path).expect("the world's paths are short")),
        "folder" => fs::create_dir(&path).expect("ours"),
        "file" => fs::write(&path, "").expect("ours"),
        "dangling" => symlink(world.path("nowhere"), &path).expect("ours"),
        _ => {
            fs::write(world.path("elsewhere"), "").expect("ours");
            symlink(world.path("elsewhere"), &path).expect("ours");
        }
    }
}

fn remove(path: &Path) {
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
}

#[test]
fn what_stands_in_the_way_is_refused_at_once() {
    let world = World::new();
    let keeper = || Keeper::new(&world).db(&world.db()).replica(&world.replica_url());
    let file = ["pipe", "socket", "folder", "link", "dangling"];
    let folder = ["pipe", "socket", "file", "dangling"];
    let ledger = format!("{META}/litekeeper-ledger");
    let history = format!("{META}/litekeeper-history");
    for is_there in [false, true] {
        if is_there {
            sqlite::create(&world.db(), 1);
        }
        for (name, whats) in [
            (META, &folder[..]),
            (&format!("{META}/ltx"), &folder[..]),
            ("app.db-shm", &file[..]),
            ("app.db-wal", &file[..]),
            ("app.db-journal", &file[..]),
            (&ledger, &file[..]),
            (&history, &file[..]),
            (".app.db-litekeeper.lock", &file[..]),
        ] {
            for what in whats {
                remove(&world.path(name));
                put(&world, name, what);
                let ended = refused(&world, keeper, "in-the-way").expect_log("[in-the-way]");
                assert!(
                    ended.log.contains(name.rsplit('/').next().expect("a name")),
                    "{name}: {}",
                    ended.log
                );
            }
            remove(&world.path(META));
            remove(&world.path(name));
        }
        // Whoever made it keeps the other name, and the lock.
        fs::write(world.path("mine"), "").expect("ours");
        fs::hard_link(world.path("mine"), world.path(".app.db-litekeeper.lock")).expect("ours");
        refused(&world, keeper, "in-the-way").expect_log("it is a file with another name");
        for name in ["mine", ".app.db-litekeeper.lock"] {
            remove(&world.path(name));
        }
    }
}

/// A folder of Litestream's may lie elsewhere.
#[test]
fn a_link_to_a_folder_is_one() {
    let world = World::new();
    fs::create_dir(world.path("state")).expect("ours");
    symlink(world.path("state"), world.path(META)).expect("ours");
    let keeper = || Keeper::new(&world).db(&world.db()).replica(&world.replica_url());
    keeper().command("check").run().expect_code(0);
    keeper().app(["true"]).run().expect_code(0);
}
