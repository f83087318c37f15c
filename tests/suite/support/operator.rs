//! What an operator types, and what is printed.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::app::App;
use super::keeper::Keeper;
use super::litestream;
use super::process::Running;
use super::s3::S3;
use super::sqlite;
use super::store::Store;
use super::world::World;

/// A command of an operator's, in the world's folder.
pub fn operator(world: &World, command: &str) -> Keeper {
    Keeper::new(world).command(command).envs(S3::env())
}

/// What it prints as JSON, when it ends with this code.
#[track_caller]
pub fn printed<T: DeserializeOwned>(keeper: Keeper, code: i32) -> T {
    read(&keeper.arg("--json").run().expect_code(code).stdout)
}

/// The same of what was printed.
#[track_caller]
pub fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// [`World::db`] with ten rows, backed up by this version.
pub fn backed_up(world: &World, store: &Store, version: &str) -> PathBuf {
    let config = world.config(&store.replica(world, "app"));
    sqlite::create(&world.db(), 10);
    litestream::back_up(world, version, &config, &[&world.db()]);
    config
}

/// [`World::db`] with so much in it that its restore takes a while where the server is slowed down.
pub fn backed_up_far_away(world: &World) -> S3 {
    let s3 = S3::start();
    s3.bucket("backups");
    let config = world.config(&s3.replica("backups", "app"));
    sqlite::big(&world.db(), 8);
    litestream::back_up(world, litestream::LATEST, &config, &[&world.db()]);
    s3
}

/// A keeper on [`World::db`] with so many rows, whose app writes nothing by itself; `top` stands before the databases.
pub fn quiet(world: &World, store: &Store, version: &str, (rows, top): (u64, &str)) -> Running {
    sqlite::create(&world.db(), rows);
    let config = world.config_of(top, [(world.db().as_path(), &store.replica(world, "app"))]);
    let trace = world.trace();
    let app = App::new(&trace).on_exit("TERM", 0).ready().wait();
    let running = Keeper::new(world).litestream(version).config(&config).envs(S3::env()).app(app).start();
    trace.wait("ready");
    running
}
