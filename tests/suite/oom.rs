//! A container without memory: what the kernel has killed is named as such.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, binary};
use crate::support::operator::{operator, printed};
use crate::support::procfs::Process;
use crate::support::store::Store;
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

/// The keeper and the shim ask the kernel to look elsewhere; Litestream is what it would be without them, and the app a little more.
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
    assert_eq!([score(&unit.app()), score(&unit.litestream())], [600, 500], "the app before litestream");
    unit.stop(0);
}

/// What there is no more of.
#[test]
fn an_app_that_asks_for_all_keeps_that() {
    let world = World::new();
    let raised = ["sh", "-c", "echo 1000 > /proc/self/oom_score_adj && exec \"$@\"", "sh"];
    let keeper = unit::keeper(&world).wrapped(raised.map(str::to_owned).to_vec());
    let ended = keeper.app(["cat", "/proc/self/oom_score_adj"]).run().expect_code(0);
    assert_eq!(ended.stdout, "1000\n");
}

/// What a process's environment says of Litestream's memory.
fn told(process: &Process) -> Option<String> {
    let env = fs::read(format!("/proc/{}/environ", process.pid)).expect("it runs");
    let env = String::from_utf8_lossy(&env).into_owned();
    env.split('\0').find_map(|line| line.strip_prefix("GOMEMLIMIT=")).map(str::to_owned)
}

/// Litestream gets along with a share of what the container has; the app is told nothing.
#[test]
fn litestream_is_told_to_get_along_with_a_share_of_the_container() {
    let Some(cgroup) = Cgroup::new_or_say() else { return };
    // 64 MiB and one for the database are more than 40 % of 128 MiB.
    for (option, expected) in [(None, 65 << 20), (Some("75%"), 96 << 20), (Some("20MiB"), 20 << 20)] {
        let world = World::new();
        let config = world.config(&Store::Folder.replica(&world, "app"));
        let options = option.map(|option| ["--litestream-memory", option]);
        let keeper = Keeper::new(&world).config(&config).args(options.into_iter().flatten());
        let keeper = keeper.wrapped(cgroup.wrapper());
        let unit = unit::start_writing(&world, keeper);
        let bytes = told(&unit.litestream()).and_then(|bytes| bytes.parse::<u64>().ok()).expect("a number");
        assert!(bytes.abs_diff(expected) < 100, "{bytes} for {option:?}");
        assert_eq!(told(&unit.app()), None);
        let seen: serde_json::Value = printed(operator(&world, "status"), 0);
        let (used, limit) = (&seen["memory"]["used_bytes"], &seen["memory"]["limit_bytes"]);
        assert_eq!(limit, 134_217_728, "{seen}");
        assert!(used.as_u64().is_some_and(|used| used > 1 << 20 && used < 134_217_728), "{seen}");
        unit.stop(0);
    }
}

/// Who has told it something, or does not want it.
#[test]
fn what_the_user_tells_litestream_of_memory_counts() {
    let Some(cgroup) = Cgroup::new_or_say() else { return };
    let world = World::new();
    let keeper = unit::keeper(&world).env("GOMEMLIMIT", "100MiB").wrapped(cgroup.wrapper());
    let unit = unit::start_writing(&world, keeper);
    assert_eq!(
        [told(&unit.litestream()), told(&unit.app())],
        [Some("100MiB".to_owned()), Some("100MiB".to_owned())]
    );
    unit.stop(0);
    let world = World::new();
    let keeper = unit::keeper(&world).env("LITEKEEPER_LITESTREAM_MEMORY", "off").wrapped(cgroup.wrapper());
    let unit = unit::start_writing(&world, keeper);
    assert_eq!(told(&unit.litestream()), None);
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
