//! Settings and secrets that are mounted as files, as Docker and Kubernetes do it.

use std::fs;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST};
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::world::World;

fn server() -> (World, S3) {
    let (world, s3) = (World::new(), S3::start());
    s3.bucket("backups");
    (world, s3)
}

fn assert_replicates(world: &World, s3: &S3, keeper: Keeper) {
    let app = App::new(&world.trace()).insert(&world.db(), 5).ready().on_exit("TERM", 0).wait();
    let unit = keeper.app(app).start();
    world.trace().wait("ready");
    for entry in walk(&world.runtime_dir()) {
        let text = fs::read(&entry).unwrap_or_default();
        assert!(!text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{}", entry.display());
    }
    unit.stop(0).expect_log("everything is on the replica");
    let config = world.config(&s3.replica("backups", "app"));
    assert_eq!(Backup::Config(&config, &world.db()).assert_holds_acked(world, LATEST, &world.trace()), 5);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn a_file_has_the_value_of_a_setting() {
    let (world, s3) = server();
    let (id, secret) =
        (world.write("id", &format!("{KEY}\n")), world.write("secret", &format!("{SECRET}\r\n")));
    let config = world.write(
        "litestream.yml",
        &format!(
            "dbs:\n- path: {}\n  replica: {{type: s3, bucket: {{env: NO_BUCKET, default: backups}}, path: app, endpoint: '{}', \
             region: us-east-1, force-path-style: {{env: NO_STYLE, default: true}}, access-key-id: {{file: {}}}, \
             secret-access-key: {{file: {}}}}}\n",
            world.db().display(),
            s3.endpoint(),
            id.display(),
            secret.display()
        ),
    );
    assert_replicates(&world, &s3, Keeper::new(&world).config(&config));
}

#[test]
fn a_secrets_variable_may_name_its_file() {
    let (world, s3) = server();
    let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "app"));
    let keeper = keeper.env("LITESTREAM_ACCESS_KEY_ID", KEY);
    let secret = world.write("secret", SECRET);
    assert_replicates(&world, &s3, keeper.env("LITESTREAM_SECRET_ACCESS_KEY_FILE", secret));
}

#[test]
fn a_file_of_variables_is_for_litestream_too() {
    let (world, s3) = server();
    let file = world.write(
        "secrets.env",
        &format!("LITESTREAM_ACCESS_KEY_ID={KEY}\nLITESTREAM_SECRET_ACCESS_KEY='{SECRET}'\nOTHER=x\n"),
    );
    let keeper = Keeper::new(&world).db(&world.db()).replica(&s3.url("backups", "app"));
    assert_replicates(&world, &s3, keeper.arg("--env-file").arg(file));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let world = World::new();
    let run = |replica: &str, file: &str| {
        let text = format!("dbs:\n- path: {}\n  replica: {replica}\n", world.db().display());
        let keeper = Keeper::new(&world).config(&world.write("litestream.yml", &text));
        let keeper = if file.is_empty() { keeper } else { keeper.env("AWS_SECRET_ACCESS_KEY_FILE", file) };
        keeper.app(["true"]).run().expect_code(78).expect_log("hint: mount")
    };
    run("{url: 's3://b/p', access-key-id: {file: /nowhere/id}}", "")
        .expect_log("litestream.yml:3: `access-key-id` takes its value from the file /nowhere/id")
        .expect_log("No such file");
    let empty = world.write("empty", "\n");
    run(&format!("{{url: 's3://b/p', access-key-id: {{file: {}}}}}", empty.display()), "")
        .expect_log("is empty");
    run("{url: 's3://b/p'}", "/nowhere/key")
        .expect_log("AWS_SECRET_ACCESS_KEY_FILE names /nowhere/key, which cannot be");
}

#[test]
fn a_resolver_names_no_file() {
    let world = World::new();
    let secret = world.write("secret", SECRET);
    let answer = serde_json::json!([{"path": world.db(), "replica": {"url": "s3://b/p", "access-key-id": {"file": secret}}}]);
    world.write("answer", &answer.to_string());
    world.program("resolver", "#!/bin/sh\ncat answer\n");
    let config = world.write("litestream.yml", "litekeeper: {resolver: {command: [./resolver]}}\n");
    let ended = Keeper::new(&world).config(&config).app(["true"]).run().expect_code(78);
    assert!(!ended.log.contains(SECRET), "{}", ended.log);
    ended.expect_log("which no source may name");
}
