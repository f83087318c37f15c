//! A container without memory: what the kernel has killed is named as such.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::app::App;
use crate::support::litestream::{LATEST, binary};
use crate::support::procfs::Process;
use crate::support::unit;
use crate::support::world::World;

/// A memory cgroup of its own with 128 MiB, which goes with the value; `None` where none can be made.
struct Cgroup(PathBuf);

impl Cgroup {
    /// One, or a word that there can be none.
    fn new_or_say() -> Option<Self> {
        let made = Self::new();
        if made.is_none() {
            let _ = writeln!(
                std::io::stderr(),
                "NOT APPLICABLE, so not tested: no cgroup for memory can be made here"
            );
        }
        made
    }

    fn new() -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("lk-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let version = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        version.iter().find_map(|(root, limit)| {
            let path = PathBuf::from(root).join(&name);
            fs::create_dir(&path).ok()?;
            let made = Self(path);
            fs::write(made.0.join(limit), "134217728").ok()?;
            // Nothing goes to a disk in its place.
            let _ = fs::write(made.0.join("memory.swap.max"), "0");
            Some(made)
        })
    }

    fn wrapper(&self) -> Vec<String> {
        let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        ["sh", "-c", script, &self.0.display().to_string()].map(str::to_owned).to_vec()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn an_app_that_the_kernel_kills_for_want_of_memory_is_said_to_be() {
    let Some(cgroup) = Cgroup::new_or_say() else { return };
    let world = World::new();
    let app = App::new(&world.trace()).insert(&world.db(), 3);
    let eats = ["sh", "-c", "\"$@\" && exec tail /dev/zero", "sh"].map(Into::into);
    let app: Vec<std::ffi::OsString> = eats.into_iter().chain(app.exit(0)).collect();
    let keeper = unit::keeper(&world).args(["--restart", "never"]).wrapped(cgroup.wrapper());
    let ended = keeper.app(app).run().expect_code(137);
    let ended =
        ended.expect_log("was ended by SIGKILL, since the kernel had no memory left for this container");
    ended.expect_log("everything is on the replica");
    // Somebody's SIGKILL is no want of memory.
    let app = ["sh", "-c", "kill -9 $$"];
    let keeper = unit::keeper(&world).args(["--restart", "never"]).wrapped(cgroup.wrapper());
    let ended = keeper.app(app).run().expect_code(137).expect_log("was ended by SIGKILL");
    assert!(!ended.log.contains("no memory left"), "{}", ended.log);
}

/// What it is asked to restore is what it has no memory for.
#[test]
fn a_restore_that_the_kernel_kills_for_want_of_memory_is_said_to_be() {
    let Some(cgroup) = Cgroup::new_or_say() else { return };
    let world = World::new();
    let app = App::new(&world.trace()).insert(&world.db(), 3).exit(0);
    unit::keeper(&world).app(app).run().expect_code(0);
    fs::remove_file(world.db()).expect("it is there");
    for kills in ["exec tail /dev/zero", "kill -9 $$"] {
        let real = binary(LATEST);
        let script = format!("#!/bin/sh\n[ \"$1\" = restore ] && {kills}\nexec {} \"$@\"\n", real.display());
        let litestream = world.program("litestream", &script);
        let keeper = unit::keeper(&world).env("LITESTREAM_BINARY_PATH", litestream);
        let ended = keeper.wrapped(cgroup.wrapper()).app(["true"]).run().expect_code(69);
        let ended = ended.expect_log("litestream was ended by SIGKILL");
        let is_said = ended.log.contains("SIGKILL, since the kernel had no memory left for this container");
        // Somebody's SIGKILL is no want of memory.
        assert_eq!(is_said, kills.contains("zero"), "{}", ended.log);
        assert_eq!(ended.log.contains("hint: give the container more memory"), is_said, "{}", ended.log);
    }
}

/// What the kernel would kill first, of a process of the unit.
fn score(process: &Process) -> i32 {
    let file = format!("/proc/{}/oom_score_adj", process.pid);
    fs::read_to_string(file).expect("it runs").trim().parse().expect("a number")
}

/// The keeper and the shim ask the kernel to look elsewhere; what they start is what it would be without them.
#[test]
fn keeper_and_shim_are_the_last_to_be_killed_for_want_of_memory() {
    let world = World::new();
    let trace = world.trace();
    let raised = ["sh", "-c", "echo 500 > /proc/self/oom_score_adj && exec \"$@\"", "sh"];
    let keeper = unit::keeper(&world).wrapped(raised.map(str::to_owned).to_vec());
    let unit = keeper.app(unit::writer(&trace, &world.db(), 0)).start();
    trace.wait_acked(3);
    // Where the tests have CAP_SYS_RESOURCE it is less than nothing.
    let least = |process: &Process| [-900, 0].contains(&score(process));
    assert!(least(&unit.keeper()), "{}", score(&unit.keeper()));
    assert!(least(&unit.shim()), "{}", score(&unit.shim()));
    assert_eq!([score(&unit.app()), score(&unit.litestream())], [500, 500]);
    unit.stop(0);
}

/// What is run without replication has no keeper, and nothing is asked for it.
#[test]
fn an_app_alone_keeps_its_own_place() {
    let world = World::new();
    let raised = ["sh", "-c", "echo 300 > /proc/self/oom_score_adj && exec \"$@\"", "sh"];
    let keeper = unit::keeper(&world).env("LITEKEEPER_ENABLED", "false");
    let keeper = keeper.wrapped(raised.map(str::to_owned).to_vec());
    let ended = keeper.app(["cat", "/proc/self/oom_score_adj"]).run().expect_code(0);
    assert_eq!(ended.stdout, "300\n");
}
