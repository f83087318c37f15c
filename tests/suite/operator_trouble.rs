//! The operator's commands on a full disk, and where they may not do what they want.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::LATEST;
use crate::support::operator::{backed_up, operator, quiet, read};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// Nobody can tell, which is no word against the backup; nothing is left, and the database stays as it was.
#[test]
fn a_disk_that_is_full_and_a_folder_that_cannot_be_written_make_verify_inconclusive() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let (disk, before) = (world.path("disk"), fs::read(world.db()).expect("ours"));
        fs::create_dir(&disk).expect("ours");
        // No configuration fits, no database fits, nothing can be made.
        for wrapper in [wrap::small_disk(&disk, 4), wrap::small_disk(&disk, 8), wrap::read_only(&disk)] {
            let ended =
                operator(&world, "verify").env("TMPDIR", &disk).wrapped(wrapper).run().expect_code(75);
            let ended = ended.expect_log("hint: ");
            // The wrapper lists what is there.
            assert!(!ended.stdout.contains("litekeeper"), "{}", ended.stdout);
        }
        assert_eq!(fs::read(world.db()).expect("ours"), before);
        operator(&world, "verify").run().expect_code(0);
    }
}

#[test]
fn a_restore_to_a_full_disk_or_without_permission_leaves_nothing() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let disk = world.path("disk");
        fs::create_dir(&disk).expect("ours");
        for wrapper in [wrap::small_disk(&disk, 4), wrap::read_only(&disk)] {
            let keeper = operator(&world, "restore").args(["-o", "disk/copy.db"]).wrapped(wrapper);
            let ended = keeper.run().expect_code(69).expect_log("hint: ");
            assert!(!ended.stdout.contains("litekeeper-restore"), "{}", ended.stdout);
        }
        assert_eq!(world.list("disk"), [""; 0]);
        if nix::unistd::geteuid().is_root() {
            fs::set_permissions(world.root(), Permissions::from_mode(0o755)).expect("ours");
            fs::set_permissions(world.path("litestream.yml"), Permissions::from_mode(0o644)).expect("ours");
            for command in ["restore", "drill"] {
                let option =
                    if command == "restore" { ["-o", "disk/copy.db"] } else { ["--to-dir", "disk/to"] };
                let ended = operator(&world, command).args(option).wrapped(wrap::nobody()).run();
                let code = ended.status.code();
                assert!(
                    matches!(code, Some(69 | 75)) && ended.log.contains("hint: "),
                    "{code:?} {}",
                    ended.log
                );
                assert_eq!(world.list("disk"), [""; 0]);
            }
        }
    }
}

/// What a user may not read is not compared, and not called good.
#[test]
fn a_database_or_a_replica_that_may_not_be_read_is_never_in_sync() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let private = world.path("private");
    fs::create_dir(&private).expect("ours");
    for (path, mode) in
        [(world.root().to_owned(), 0o755), (world.path("litestream.yml"), 0o644), (private.clone(), 0o777)]
    {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    }
    for hidden in [world.db(), world.path("app")] {
        let before = fs::metadata(&hidden).expect("there").permissions();
        fs::set_permissions(&hidden, Permissions::from_mode(0o700)).expect("ours");
        let ended = operator(&world, "verify").env("TMPDIR", &private).wrapped(wrap::nobody()).run();
        let code = ended.status.code();
        assert!(
            matches!(code, Some(69 | 75)) && ended.log.contains("hint: "),
            "{code:?} {}{}",
            ended.stdout,
            ended.log
        );
        assert!(!ended.stdout.contains("in-sync"), "{}", ended.stdout);
        fs::set_permissions(&hidden, before).expect("ours");
    }
    assert_eq!(world.list("private"), [""; 0]);
}

/// Litestream cannot make its copy, and says so; once it can, it goes on.
#[test]
fn a_sync_on_a_full_disk_is_told_and_goes_on_when_there_is_space() {
    for store in Store::all() {
        let world = World::new();
        let disk = world.path("disk");
        fs::create_dir(&disk).expect("ours");
        sqlite::create(&world.db(), 1);
        let config = world.config(&store.replica(&world, "app"));
        let text = fs::read_to_string(&config).expect("ours");
        let meta = format!("    meta-path: {}\n    replicas:", disk.join("meta").display());
        fs::write(&config, text.replace("    replicas:", &meta)).expect("ours");
        let trace = world.trace();
        let app = App::new(&trace).on_exit("TERM", 0).ready().wait();
        let keeper = Keeper::new(&world).config(&config).envs(S3::env()).app(app);
        let running = keeper.wrapped(wrap::kept_on_small_disk(&disk, 2048)).start();
        trace.wait("ready");
        let sync = || operator(&world, "sync").args(["--wait", "--json", "--timeout", "5s"]);
        sync().run().expect_code(0);
        let inside = PathBuf::from(format!("/proc/{}/root", running.keeper().pid));
        let fill = inside.join(disk.strip_prefix("/").expect("absolute")).join("fill");
        let filled = fs::write(&fill, vec![1; 4 << 20]);
        assert!(filled.is_err(), "it is full");
        sqlite::insert(&world.db(), 5);
        let ended = sync().run().expect_code(69).expect_log("hint: ");
        let said = read::<Value>(&ended.stdout);
        assert_eq!((&said[0]["result"], said[0]["error"].is_string()), (&"failed".into(), true), "{said}");
        fs::remove_file(fill).expect("it is there");
        wait_until("the sync", DEADLINE, || sync().run().status.success());
        running.stop(0);
    }
}

/// Whoever may not ask a keeper has nothing done by it.
#[test]
fn a_sync_by_somebody_else_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (1, ""));
    for (path, mode) in [(world.root().to_owned(), 0o755), (world.path("litestream.yml"), 0o644)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    }
    let ended = operator(&world, "sync").args(["--wait", "--timeout", "2s"]).wrapped(wrap::nobody()).run();
    ended.expect_code(69).expect_log("hint: ");
    running.stop(0);
}
