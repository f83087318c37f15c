//! Places that are one by different names: a link on the way to them.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::keeper::Keeper;
use crate::support::refused::refused;
use crate::support::world::World;

/// A world in which `link` is another name of `real`.
fn world() -> World {
    let world = World::new();
    fs::create_dir(world.path("real")).expect("the world can be written");
    symlink("real", world.path("link")).expect("the world can be written");
    world
}

fn refuse(world: &World, dbs: &str, code: &str) {
    let config = world.write("a.yml", dbs);
    refused(world, || Keeper::new(world).config(&config), code);
}

#[test]
fn two_databases_never_share_a_replica_by_two_names() {
    let world = world();
    for place in ["bk", "deep/down/bk"] {
        let entry = |name: &str, folder: &str| {
            format!("- {{path: {name}.db, replica: {{path: {folder}/{place}}}}}\n")
        };
        refuse(&world, &format!("dbs:\n{}{}", entry("a", "real"), entry("b", "link")), "same-replica");
    }
    // The folder itself is the link.
    symlink("real/bk", world.path("bk")).expect("the world can be written");
    fs::create_dir(world.path("real/bk")).expect("the world can be written");
    let text = "dbs:\n- {path: a.db, replica: {path: real/bk}}\n- {path: b.db, replica: {path: bk}}\n";
    refuse(&world, text, "same-replica");
    let entry = |dir: &str, folder: &str| {
        format!("- {{dir: {dir}, pattern: '*.db', watch: true, replica: {{path: {folder}/all}}}}\n")
    };
    refuse(&world, &format!("dbs:\n{}{}", entry("t", "real"), entry("u", "link")), "same-replica");
}

#[test]
fn a_replica_is_no_metadata_folder_by_another_name() {
    let world = world();
    let text = "dbs:\n- {path: real/app.db, replica: {path: link/.app.db-litestream}}\n";
    refuse(&world, text, "replica-in-metadata");
}

#[test]
fn one_database_has_one_entry_by_whatever_names() {
    let world = world();
    let text = "dbs:\n- {path: real/app.db, replica: {path: a}}\n- {path: link/app.db, replica: {path: b}}\n";
    refuse(&world, text, "same-database");
}

/// The system follows a link before it goes up, Litestream after: the app would write to another file.
#[test]
fn a_path_up_from_a_link_is_refused() {
    let world = world();
    fs::create_dir(world.path("real/deep")).expect("the world can be written");
    symlink("real/deep", world.path("down")).expect("the world can be written");
    for entry in [
        "{path: down/../app.db, replica: {path: r}}",
        "{path: app.db, replica: {path: down/../r}}",
        "{dir: down/.., pattern: '*.db', replica: {path: r}}",
    ] {
        refuse(&world, &format!("dbs: [{entry}]\n"), "database-path");
    }
    let db = world.path("down/../app.db");
    let keeper = || Keeper::new(&world).args(["--db", db.to_str().expect("UTF-8"), "--replica", "/r"]);
    refused(&world, keeper, "database-path");
}

#[test]
fn a_link_that_leads_elsewhere_is_fine() {
    let world = world();
    let text =
        "dbs:\n- {path: real/a.db, replica: {path: link/a}}\n- {path: link/b.db, replica: {path: real/b}}\n";
    let config = world.write("a.yml", text);
    Keeper::new(&world).config(&config).command("check").run().expect_code(0);
    Keeper::new(&world).config(&config).app(["true"]).run().expect_code(0);
}
