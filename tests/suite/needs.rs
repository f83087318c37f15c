//! A container, a chroot or a sandbox that lacks what litekeeper needs: the lack is named, with what helps.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use nix::libc;
use nix::unistd::geteuid;

use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::unit;
use crate::support::world::World;
use crate::support::wrap;

/// It has to say so before anything runs, and in one place.
#[track_caller]
fn refused(keeper: Keeper, world: &World, what: &str) -> Ended {
    let ended = keeper.app(["sh", "-c", "echo ran"]).run().expect_code(78);
    assert_eq!(ended.stdout, "");
    assert!(world.list("rt").is_empty() && !world.db().exists());
    ended.expect_log(&format!("error: this system has {what}")).expect_log("hint: ")
}

#[test]
fn without_proc() {
    let world = World::new();
    let keeper = unit::keeper(&world).wrapped(wrap::without(Path::new("/proc")));
    let what = "no /proc: No such file or directory (os error 2)";
    refused(keeper, &world, what).expect_log("mount -t proc proc /proc");
}

#[test]
fn with_the_proc_of_another_namespace() {
    let world = World::new();
    let keeper = unit::keeper(&world).wrapped(wrap::foreign_proc());
    let told = refused(keeper, &world, "the /proc of another PID namespace");
    told.expect_log("--mount-proc");
}

#[test]
fn without_dev_null() {
    let world = World::new();
    let keeper = unit::keeper(&world).wrapped(wrap::without(Path::new("/dev")));
    let told = refused(keeper, &world, "no /dev/null: No such file or directory (os error 2)");
    told.expect_log("mknod -m 666 /dev/null c 1 3");
}

#[test]
fn without_a_system_call() {
    for (call, name) in [
        (libc::SYS_memfd_create, "memfd_create(2)"),
        (libc::SYS_setpgid, "setpgid(2)"),
        (libc::SYS_signalfd4, "signalfd(2)"),
        (libc::SYS_prctl, "prctl(2), PR_SET_PDEATHSIG"),
        (libc::SYS_socketpair, "socketpair(2) of AF_UNIX"),
    ] {
        let world = World::new();
        let what = format!("no {name}: Operation not permitted");
        let told = refused(unit::keeper(&world).forbid(call), &world, &what);
        told.expect_log("seccomp");
    }
}

/// The app alone needs none of it.
#[test]
fn the_app_alone_needs_nothing() {
    for folder in ["/proc", "/dev"] {
        let world = World::new();
        let keeper = unit::keeper(&world).env("LITEKEEPER_ENABLED", "false");
        let keeper = keeper.wrapped(wrap::without(Path::new(folder)));
        keeper.app(["sh", "-c", "exit 12"]).run().expect_code(12);
    }
}

/// Nobody would look for it in an owner and a mode that are as they should be.
#[test]
fn without_the_capability_to_write_where_others_own() {
    if !geteuid().is_root() {
        return;
    }
    let world = World::new();
    let folder = world.path("data");
    fs::create_dir(&folder).expect("the world is empty");
    chown(&folder, Some(1000), Some(1000)).expect("root may");
    let keeper = Keeper::new(&world).db(&folder.join("app.db")).replica(&world.replica_url());
    let keeper = keeper.wrapped(wrap::capabilities("-dac_override"));
    let ended = keeper.app(["true"]).run().expect_code(78);
    ended
        .expect_log("this user cannot write into the folder")
        .expect_log("root lacks CAP_DAC_OVERRIDE (`--cap-drop`): start all as user 1000 (`docker run --user 1000:1000`)")
        .expect_log("--cap-add=DAC_OVERRIDE");
}

#[test]
fn without_the_capabilities_to_become_another_user() {
    if !geteuid().is_root() {
        return;
    }
    for (without, named) in [
        ("-setuid", "CAP_SETUID"),
        ("-setgid,-kill", "CAP_SETGID, CAP_KILL"),
        ("-all", "CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN"),
    ] {
        let world = World::new();
        let keeper = unit::keeper(&world).args(["--user", "nobody"]).wrapped(wrap::capabilities(without));
        let ended = keeper.app(["true"]).run().expect_code(78);
        let adds = named.replace("CAP_", "--cap-add=").replace(", ", " ");
        ended
            .expect_log(&format!("--user: to become nobody this process lacks {named}"))
            .expect_log(&format!("hint: give it (`docker run {adds}`)"));
    }
}
