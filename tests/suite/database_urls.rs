//! `DATABASE_URL`: one reader for `run`, `check` and `init`, and both readings where two can be meant.

use std::fs;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::sqlite;
use crate::support::world::World;

fn keeper(world: &World, url: &str) -> Keeper {
    Keeper::new(world).env("DATABASE_URL", url).env("LITESTREAM_REPLICA_URL", world.replica_url())
}

/// Runs an app that writes to this database, and says that it is what is replicated.
#[track_caller]
fn replicates(world: &World, url: &str, name: &str) {
    let app = App::new(&world.trace()).insert(&world.path(name), 1).exit(0);
    let ended = keeper(world, url).app(app).run().expect_code(0);
    ended.expect_log(&world.path(name).display().to_string());
}

#[test]
fn a_file_that_is_here_is_the_one_that_is_meant() {
    let world = World::new();
    sqlite::create(&world.path("lk-here.db"), 1);
    for url in ["sqlite:///lk-here.db", "sqlite+aiosqlite:///lk-here.db", "sqlite+pysqlite:///lk-here.db"] {
        replicates(&world, url, "lk-here.db");
        let checked = keeper(&world, url).command("check").run().expect_code(0);
        assert!(!checked.stdout.contains("no-database-yet"), "{url}: {}", checked.stdout);
    }
    keeper(&world, "sqlite:///lk-here.db").command("init").run().expect_code(0);
    let written = fs::read_to_string(world.path("litestream.yml")).expect("it was written");
    assert!(written.contains("path: lk-here.db") || written.contains("path: ./lk-here.db"), "{written}");
}

#[test]
fn two_readings_are_refused_with_both() {
    let world = World::new();
    let place = format!("{}/x.db", world.root().display());
    fs::create_dir_all(world.path(&place[1..]).parent().expect("a folder")).expect("ours");
    let url = format!("sqlite://{place}");
    let inside = world.path(&place[1..]).display().to_string();
    for command in ["run", "check"] {
        let keeper = keeper(&world, &url).command(command).app(["true"]);
        let ended = keeper.run().expect_code(78);
        let text = format!("{}{}", ended.stdout, ended.log);
        assert!(text.contains(&inside) && text.contains(&format!("{place} to Rails")), "{command}: {text}");
    }
    // Four slashes are the root to everybody; a file that is there is the one that is meant.
    replicates(&world, &format!("sqlite:///{place}"), "x.db");
    let again = App::new(&world.trace()).exit(0);
    keeper(&world, &url).app(again).run().expect_code(0);
}

#[test]
fn prismas_file_is_the_same_to_run_and_init() {
    let world = World::new();
    fs::create_dir(world.path("prisma")).expect("ours");
    let schema = "datasource db {\n  provider = \"sqlite\"\n  url = env(\"DATABASE_URL\")\n}\n";
    world.write("prisma/schema.prisma", schema);
    world.write("package.json", "{}");
    replicates(&world, "file:./dev.db", "prisma/dev.db");
    let init = keeper(&world, "file:./dev.db").command("init").run().expect_code(0);
    let written = fs::read_to_string(world.path("litestream.yml")).expect("it was written");
    assert!(written.contains("prisma/dev.db"), "{written}\n{}", init.log);
}
