//! What is told is what happened, and helps.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::unistd::geteuid;

use crate::support::keeper::Keeper;
use crate::support::world::World;
use crate::support::wrap;

#[test]
fn a_full_disk_at_the_lock_is_told_as_one() {
    let world = World::new();
    let folder = world.path("disk");
    fs::create_dir(&folder).expect("ours");
    let fill = "dd if=/dev/zero of=\"$1/fill\" 2>/dev/null; shift; exec \"$@\"";
    let mut wrapper = wrap::small_disk(&folder, 64);
    wrapper.extend(["sh", "-c", fill, "sh"].map(str::to_owned));
    wrapper.push(folder.to_str().expect("UTF-8").to_owned());
    let keeper = Keeper::new(&world).db(&folder.join("a.db")).replica(&world.replica_url());
    let ended = keeper.wrapped(wrapper).app(["true"]).run().expect_code(78);
    ended.expect_log("the lock cannot be made").expect_log("hint: free some space there");
}

#[test]
fn a_read_only_volume_is_not_said_to_be_given_away() {
    if !geteuid().is_root() {
        return;
    }
    let world = World::new();
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o755)).expect("ours");
    let volume = world.path("volume");
    fs::create_dir(&volume).expect("ours");
    let keeper = Keeper::new(&world)
        .db(&volume.join("a.db"))
        .replica("s3://b/a")
        .args(["--user", "nobody", "--gate", "none"]);
    let ended = keeper.wrapped(wrap::read_only(&volume)).app(["true"]).run().expect_code(78);
    assert!(!ended.log.contains("now belongs"), "{}", ended.log);
}

#[test]
fn a_signal_that_asks_for_nothing_is_refused() {
    let world = World::new();
    for signal in ["KILL", "STOP", "CONT", "19"] {
        let keeper = Keeper::new(&world).db(&world.db()).replica(&world.replica_url());
        let ended = keeper.args(["--stop-signal", signal]).app(["true"]).run().expect_code(2);
        ended.expect_log("it asks nobody to stop");
    }
}

#[test]
fn a_finding_of_a_whole_file_names_no_line() {
    let world = World::new();
    let config = world.config(&world.replica());
    let keeper = || Keeper::new(&world).config(&config).env("LITESTREAM_BUCKET", "b");
    let ended = keeper().app(["true"]).run().expect_code(0);
    let file = config.display();
    ended.expect_log(&format!("{file}: LITESTREAM_BUCKET is set, but nobody reads it"));
}

#[test]
fn a_secret_in_a_url_may_look_like_a_placeholder() {
    let world = World::new();
    for url in ["s3://b/p?secret-access-key=A<hunter2>B", "sftp://u:{hunter2}@h/p"] {
        let ended = Keeper::new(&world).command("check").db(&world.db()).replica(url).run();
        let said = format!("{}{}", ended.stdout, ended.log);
        assert!(!said.contains("hunter2") && !said.contains("placeholder"), "{said}");
    }
}

#[test]
fn root_opens_no_file_of_its_own_through_a_link_in_the_apps_folder() {
    if !geteuid().is_root() {
        return;
    }
    let world = World::new();
    fs::set_permissions(world.root(), fs::Permissions::from_mode(0o755)).expect("ours");
    let (folder, own) = (world.path("folder"), world.path("own"));
    fs::create_dir(&folder).expect("ours");
    fs::write(&own, "what only root may read").expect("ours");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).expect("ours");
    std::os::unix::fs::symlink(&own, folder.join("q.db")).expect("ours");
    let text = format!(
        "dbs: [{{dir: {}, pattern: \"*.db\", watch: true, replica: {{path: {}}}}}]\n",
        folder.display(),
        world.path("replica").display()
    );
    let config = world.write("litestream.yml", &text);
    let check = |user: &str| {
        let keeper = Keeper::new(&world).command("check").config(&config).args(["--user", user]);
        keeper.run().stdout
    };
    let foreign = "is no SQLite database";
    assert!(check("root").contains(foreign), "{}", check("root"));
    assert!(!check("nobody").contains(foreign), "{}", check("nobody"));
}
