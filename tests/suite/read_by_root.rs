//! What root reads by a path, where another user decides what stands there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::support::keeper::Keeper;
use crate::user::Shared;

/// A file that root alone may read.
fn roots(shared: &Shared, name: &str, text: &str) -> PathBuf {
    let path = shared.world.write(name, text);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
    path
}

fn keeper(shared: &Shared) -> Keeper {
    Keeper::new(&shared.world).env("LITESTREAM_BINARY_PATH", shared.world.path("litestream"))
}

fn with_databases(shared: &Shared) -> Keeper {
    keeper(shared)
        .db(&shared.db())
        .replica(&format!("file://{}", shared.world.path("data/replica").display()))
}

/// Says its variable `WORD`.
const SAYS: [&str; 3] = ["sh", "-c", "echo \"it has <$WORD>\" >&2"];

#[test]
fn what_the_apps_user_cannot_read_does_not_reach_it_by_a_link() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let (world, data) = (&shared.world, shared.world.path("data"));
    let secret = roots(&shared, "roots", "WORD=rootonly\n");
    let dotenv = data.join(".env");
    symlink(&secret, &dotenv).expect("a link");
    let with = |file: &Path, user: bool| {
        let keeper = with_databases(&shared).args(["--env-file"]).arg(file);
        let keeper = if user { keeper.args(["--user", "nobody"]) } else { keeper };
        keeper.app(SAYS).run()
    };
    let refused = with(&dotenv, true).expect_code(78).expect_log("another user decides what stands there");
    assert!(!refused.log.contains("rootonly"), "{}", refused.log);
    // The way there may be a link, or somebody else's folder in the middle.
    let folder = data.join("folder");
    symlink(world.root(), &folder).expect("a link");
    with(&folder.join("roots"), true).expect_code(78);
    // By a path of root's own alone it is what root gives to the app.
    with(&secret, true).expect_code(0).expect_log("it has <rootonly>");
    // What the user may read is no secret to him.
    fs::remove_file(&dotenv).expect("ours");
    fs::write(&dotenv, "WORD=his\n").expect("root may");
    fs::set_permissions(&dotenv, Permissions::from_mode(0o644)).expect("ours");
    with(&dotenv, true).expect_code(0).expect_log("it has <his>");
    // Where nobody becomes another user nothing is hidden from anybody.
    fs::set_permissions(&dotenv, Permissions::from_mode(0o600)).expect("ours");
    with(&dotenv, false).expect_code(0).expect_log("it has <his>");

    let value = data.join("value");
    let token = roots(&shared, "token", "rootonly");
    symlink(&token, &value).expect("a link");
    let config = |file: &Path| {
        let replica = data.join("replica");
        let text = serde_json::json!({
            "litekeeper": {"app": {"env": {"WORD": {"file": file}}}},
            "dbs": [{"path": shared.db(), "replica": {"path": replica}}],
        });
        world.write("mounted.yml", &text.to_string())
    };
    let run = |config: &Path| keeper(&shared).config(config).args(["--user", "nobody"]).app(SAYS).run();
    let refused = run(&config(&value)).expect_code(78);
    assert!(!refused.log.contains("rootonly"), "{}", refused.log);
    keeper(&shared)
        .command("check")
        .config(&config(&value))
        .args(["--user", "nobody"])
        .app(["true"])
        .run()
        .expect_code(78);
    run(&config(&token)).expect_code(0).expect_log("it has <rootonly>");
    // The variables of secrets that are mounted.
    let mounted = |file: &Path| {
        let keeper =
            with_databases(&shared).args(["--user", "nobody"]).env("AWS_SECRET_ACCESS_KEY_FILE", file);
        keeper.app(["true"]).run()
    };
    mounted(&value).expect_code(78);
    mounted(&token).expect_code(0);
}

#[test]
fn a_configuration_that_the_apps_user_put_there_is_not_found_in_the_place_of_roots() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let data = shared.world.path("data");
    let text = |user: &str| {
        serde_json::json!({
            "litekeeper": {"app": if user.is_empty() { serde_json::json!({}) } else { serde_json::json!({"user": user}) }},
            "dbs": [{"path": shared.db(), "replica": {"path": data.join("replica")}}],
        })
        .to_string()
    };
    let who = ["sh", "-c", "echo \"it is <$(id -un)>\" >&2"];
    let run = |flags: &[&str]| keeper(&shared).cwd(&data).args(flags).app(who).run();
    // Another user may take root's own away, and put another one there.
    let own = data.join("litestream.yml");
    fs::write(&own, text("nobody")).expect("root may");
    run(&[]).expect_code(78).expect_log("it was found, not named");
    run(&["--config", "litestream.yml"]).expect_code(0).expect_log("it is <nobody>");
    let check = |flags: &[&str]| keeper(&shared).command("check").cwd(&data).args(flags).app(["true"]).run();
    check(&[]).expect_code(78);
    // Without another user there is nobody who could gain by it.
    fs::write(&own, text("")).expect("root may");
    run(&[]).expect_code(0).expect_log("it is <root>");
    run(&["--user", "nobody"]).expect_code(78);
    // A link to what he cannot read is shown to nobody.
    let secret = roots(&shared, "roots", "rootonly: [\n");
    fs::remove_file(&own).expect("ours");
    symlink(&secret, &own).expect("a link");
    let shown = check(&["--user", "nobody"]).expect_code(78);
    assert!(!format!("{}{}", shown.stdout, shown.log).contains("rootonly"), "{} {}", shown.stdout, shown.log);
}

#[test]
fn of_two_configurations_that_are_found_roots_own_is_not_outdone() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let (root, data) = (shared.world.root().to_owned(), shared.world.path("data"));
    let text = serde_json::json!({"dbs": [{"path": shared.db(), "replica": {"path": data.join("replica")}}]});
    fs::create_dir(root.join("config")).expect("ours");
    shared.world.write("config/litestream.yml", &text.to_string());
    let planted = root.join("litekeeper.yml");
    fs::write(data.join("mine.yml"), "litekeeper: {app: {command: [id]}}\n").expect("root may");
    symlink(data.join("mine.yml"), &planted).expect("a link");
    let run = |flags: &[&str]| keeper(&shared).cwd(&root).args(flags).app(["true"]).run();
    run(&[]).expect_code(78).expect_log("is root's own");
    keeper(&shared).env("LITEKEEPER_ENABLED", "0").cwd(&root).app(["true"]).run().expect_code(78);
    run(&["--config", "config/litestream.yml"]).expect_code(0);
    // Root's own, in the stronger place, is what is meant.
    fs::remove_file(&planted).expect("ours");
    let owner = fs::metadata(&data).expect("it is there");
    shared.world.write("litekeeper.yml", &text.to_string());
    let weaker = root.join("config/litestream.yml");
    chown(&weaker, Some(std::os::unix::fs::MetadataExt::uid(&owner)), None).expect("root may");
    run(&[]).expect_code(0);
}

#[test]
fn what_a_found_configuration_of_another_user_names_is_not_run_by_a_look_at_it() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let (data, ran) = (shared.world.path("data"), shared.world.path("data/ran"));
    let script = data.join("evil");
    fs::write(&script, format!("#!/bin/sh\necho x > {}\necho '[]'\n", ran.display())).expect("root may");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("ours");
    let text = serde_json::json!({
        "litekeeper": {"litestream": {"binary": script}, "resolver": {"command": [script]}},
        "dbs": [{"path": shared.db(), "replica": {"path": data.join("replica")}}],
    });
    fs::write(data.join("litestream.yml"), text.to_string()).expect("root may");
    let check = |flags: &[&str]| {
        let keeper = Keeper::new(&shared.world).command("check").cwd(&data).args(flags);
        keeper.args(["--online"]).app(["true"]).run()
    };
    let shown = check(&[]).expect_code(78).expect_output("[of-another]");
    assert!(!ran.exists(), "{}", shown.stdout);
    Keeper::new(&shared.world).command("config").cwd(&data).run().expect_code(78).expect_log("--config");
    check(&["--config", "litestream.yml"]);
    assert!(ran.exists());
}

/// The same rule in whatever command reads it.
#[test]
fn a_file_that_the_user_cannot_read_is_shown_to_nobody() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let secret = roots(&shared, "secret", "hidden-from-all\n");
    let link = shared.world.path("data/bucket");
    symlink(&secret, &link).expect("a link");
    chown(shared.world.path("data"), Some(65534), None).expect("root may");
    for command in ["config", "check", "run"] {
        let keeper = keeper(&shared).command(command).args(["--user", "nobody"]).db(&shared.db());
        let keeper = keeper.env("LITESTREAM_REPLICA_BUCKET_FILE", &link);
        let keeper = if command == "config" { keeper } else { keeper.app(["true"]) };
        let ended = keeper.run().expect_code(78);
        let shown = format!("{}{}", ended.stdout, ended.log);
        assert!(!shown.contains("hidden-from-all") && shown.contains("cannot read"), "{command}: {shown}");
    }
}
