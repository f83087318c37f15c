//! A container without memory: what the kernel has killed is named as such.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use crate::support::app::App;
use crate::support::unit;
use crate::support::world::World;

/// A memory cgroup of its own with 128 MiB, which goes with the value; `None` where none can be made.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new() -> Option<Self> {
        let name = format!("lk-test-{}", std::process::id());
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
    let Some(cgroup) = Cgroup::new() else {
        let _ = writeln!(
            std::io::stderr(),
            "NOT APPLICABLE, so not tested: no cgroup for memory can be made here"
        );
        return;
    };
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
