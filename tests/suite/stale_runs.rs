//! What a run left is removed, and nothing beyond it.

use std::fs;

use crate::support::keeper::Keeper;
use crate::support::world::World;
use crate::support::wrap;

#[test]
fn what_is_mounted_in_a_stale_run_is_left_alone() {
    let world = World::new();
    let stale = world.runtime_dir().join("run-99");
    fs::create_dir_all(stale.join("m")).expect("ours");
    fs::create_dir_all(stale.join("deep/er")).expect("ours");
    fs::write(stale.join("lock"), "").expect("ours");
    fs::write(stale.join("deep/er/file"), "").expect("ours");
    let perms = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(world.runtime_dir(), perms).expect("ours");
    fs::create_dir_all(world.path("precious/below")).expect("ours");
    fs::write(world.path("precious/below/file"), "kept").expect("ours");
    let keeper = Keeper::new(&world).db(&world.db()).replica(&world.replica_url());
    let bound = wrap::bound(&world.path("precious"), &stale.join("m"));
    keeper.wrapped(bound).app(["true"]).run().expect_code(0);
    assert_eq!(fs::read_to_string(world.path("precious/below/file")).ok().as_deref(), Some("kept"));
    assert!(!stale.join("deep").exists(), "what is the run's own is removed");
    // Where nothing is mounted it all goes.
    let keeper = Keeper::new(&world).db(&world.db()).replica(&world.replica_url());
    keeper.app(["true"]).run().expect_code(0);
    assert!(!stale.exists());
}
