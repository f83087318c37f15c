//! What is certain to be lost stops `run`, a resolver's answer, `reload` and a file that appears alike, and `check` finds it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{NO_SOCKET, OLD};
use crate::support::refused::refused;
use crate::support::sqlite;
use crate::support::tenants::Tenants;
use crate::support::wait::DEADLINE;
use crate::support::world::World;

/// A database of which nothing would be replicated, the name of its file, and what is said of it.
struct Loss {
    name: &'static str,
    code: &'static str,
    words: &'static str,
    make: fn(&Path),
}

fn ours<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.expect("the world can be written")
}

fn database(path: &Path) {
    ours(fs::create_dir_all(path.parent().expect("it is in the world")));
    sqlite::create(path, 3);
}

const LOSSES: [Loss; 12] = [
    Loss {
        name: "link.db",
        code: "database-link",
        words: "is a link to ",
        make: |path| {
            database(&path.with_file_name("real.sqlite"));
            ours(symlink("real.sqlite", path));
        },
    },
    Loss {
        name: "far.db",
        code: "database-link",
        words: "is a link to ",
        make: |path| {
            ours(symlink("nowhere.sqlite", path));
        },
    },
    Loss {
        name: "folder.db",
        code: "not-sqlite",
        words: "it is a folder, and no database",
        make: |path| {
            ours(fs::create_dir(path));
        },
    },
    Loss {
        name: "pipe.db",
        code: "not-sqlite",
        words: "it is a pipe (FIFO), and no database",
        make: |path| {
            ours(mkfifo(path, Mode::S_IRWXU));
        },
    },
    Loss {
        name: "text.db",
        code: "not-sqlite",
        words: "is no SQLite database",
        make: |path| {
            ours(fs::write(path, "no database, but a text that is longer than a header"));
        },
    },
    Loss {
        name: "wal.db",
        code: "in-the-way",
        words: "it is a folder, and no file of SQLite's",
        make: |path| {
            database(path);
            ours(fs::create_dir(path.with_file_name("wal.db-journal")));
        },
    },
    Loss {
        name: "meta.db",
        code: "in-the-way",
        words: "and no folder of litestream's",
        make: |path| {
            database(path);
            ours(fs::write(path.with_file_name(".meta.db-litestream"), ""));
        },
    },
    Loss {
        name: "a?b.db",
        code: "misread-path",
        words: "it takes `?` for the end of the path",
        make: database,
    },
    Loss {
        name: "a#b.db",
        code: "misread-path",
        words: "it takes `#` for the end of the path",
        make: database,
    },
    Loss {
        name: "a%41b.db",
        code: "misread-path",
        words: "it takes `%41` for one character",
        make: database,
    },
    Loss {
        name: "C#/a.db",
        code: "misread-path",
        words: "it takes `#` for the end of the path",
        make: database,
    },
    Loss {
        name: "x%2f/a.db",
        code: "misread-path",
        words: "it takes `%2f` for one character",
        make: database,
    },
];

/// Where Litestream replicates something else, and nobody would learn of it.
const OF_ANOTHER: [&str; 2] = ["misread-path", "database-link"];

#[test]
fn run_refuses_it_wherever_it_is_named() {
    for Loss { name, code, make, words } in LOSSES {
        let world = World::new();
        let path = world.path(name);
        ours(fs::create_dir_all(path.parent().expect("it is in the world")));
        make(&path);
        let options = || Keeper::new(&world).db(&path).replica(&world.replica_url());
        refused(&world, options, code).expect_log(words);
        let variables = || {
            let keeper = Keeper::new(&world).env("LITEKEEPER_DB", &path);
            keeper.env("LITEKEEPER_REPLICA", world.replica_url())
        };
        refused(&world, variables, code).expect_log(words);
        let text = json!({"dbs": [{"path": path, "replica": {"path": world.path("replica")}}]});
        let config = world.write("a.yml", &text.to_string());
        refused(&world, || Keeper::new(&world).config(&config), code).expect_log(words).expect_log("a.yml:1");
    }
}

#[test]
fn no_gate_lets_through_what_litestream_does_not_read_as_the_database() {
    for Loss { name, make, words, .. } in LOSSES.into_iter().filter(|loss| OF_ANOTHER.contains(&loss.code)) {
        let world = World::new();
        make(&world.path(name));
        let keeper = Keeper::new(&world).db(&world.path(name)).replica(&world.replica_url());
        let keeper = keeper.args(["--gate", "none"]).app(App::new(&world.trace()).exit(0));
        keeper.run().expect_code(78).expect_log(words);
        assert!(world.trace().is_empty());
    }
}

/// Litestream 0.3 gives the path to SQLite as it is, up to its parameters.
#[test]
fn what_the_old_litestream_reads_rightly_is_replicated() {
    for name in ["a#b.db", "a%41b.db", "C#/a.db"] {
        let world = World::new();
        database(&world.path(name));
        let keeper = || {
            let keeper = Keeper::new(&world).litestream(OLD).db(&world.path(name));
            keeper.replica(&world.replica_url())
        };
        let ended = keeper().app(App::new(&world.trace()).insert(&world.path(name), 2).exit(0)).run();
        ended.expect_code(0);
        let checked = keeper().command("check").run();
        assert!(!checked.stdout.contains("misread-path"), "{}", checked.stdout);
        ours(fs::remove_dir_all(world.path(name).with_file_name(format!(
            ".{}-litestream",
            Path::new(name).file_name().expect("a name").to_string_lossy()
        ))));
        ours(fs::remove_file(world.path(name)));
        keeper().app(App::new(&world.trace()).count(&world.path(name)).exit(0)).run().expect_code(0);
        assert_eq!(world.trace().wait("count").rest, "5", "{name}");
    }
    let world = World::new();
    sqlite::create(&world.path("a?b.db"), 1);
    let keeper = Keeper::new(&world).litestream(OLD).db(&world.path("a?b.db")).replica(&world.replica_url());
    keeper.app(["true"]).run().expect_code(78).expect_log("[misread-path]");
    // So does the first series that makes a URI of it.
    let keeper = Keeper::new(&world).litestream(NO_SOCKET).db(&world.path("a#b.db"));
    keeper.replica(&world.replica_url()).app(["true"]).run().expect_code(78).expect_log("[misread-path]");
}

#[test]
fn a_resolver_that_names_it_is_refused() {
    for Loss { name, make, words, code } in LOSSES {
        let tenants = Tenants::in_folders();
        let name = name.trim_end_matches(".db");
        ours(fs::create_dir_all(tenants.path(name).parent().expect("it is in the world")));
        make(&tenants.path(name));
        tenants.answer(&json!([tenants.entry(name)]).to_string());
        let began = Instant::now();
        let ended = tenants.keeper("10m").app(App::new(&tenants.world.trace()).exit(0)).run();
        let ended = ended.expect_code(78).expect_log(words);
        assert!(!ended.log.contains("litestream.yml"), "{name}: it is in the answer: {}", ended.log);
        assert!(began.elapsed() < DEADLINE / 3, "{name}: it is one look: {:?}", began.elapsed());
        assert!(tenants.world.trace().is_empty());
        let found = tenants.keeper("10m").command("check").args(["--online", "--json", "--", "true"]).run();
        assert!(found.stdout.contains(code), "{}", found.stdout);
        if OF_ANOTHER.contains(&code) {
            let keeper = tenants.keeper("10m").args(["--gate", "none"]);
            keeper.app(App::new(&tenants.world.trace()).exit(0)).run().expect_code(78).expect_log(words);
            assert!(tenants.world.trace().is_empty());
        }
    }
}

#[test]
fn reload_refuses_it_and_takes_the_others_in() {
    let tenants = Tenants::in_folders();
    tenants.name(&[]);
    let running = tenants.start("10m");
    let mut entries = vec![tenants.entry("good")];
    database(&tenants.path("good"));
    for Loss { name, make, .. } in LOSSES {
        let path = tenants.path(name.trim_end_matches(".db"));
        ours(fs::create_dir_all(path.parent().expect("it is in the world")));
        make(&path);
        entries.push(json!({"path": path, "replica": (tenants.replica)(&format!("r{}", entries.len()))}));
    }
    tenants.answer(&json!(entries).to_string());
    let began = Instant::now();
    let ended = tenants.reload().expect_code(69);
    assert!(began.elapsed() < DEADLINE / 3, "each is one look: {:?}", began.elapsed());
    assert!(ended.stdout.contains(&format!("added {}", tenants.path("good").display())), "{}", ended.stdout);
    for Loss { name, words, .. } in LOSSES {
        let path = tenants.path(name.trim_end_matches(".db"));
        let said = |text: &str| {
            text.lines().any(|line| line.contains(&*path.to_string_lossy()) && line.contains(words))
        };
        let is_beside = name == "wal.db" || name == "meta.db";
        assert!(
            is_beside || said(&ended.log) || said(&ended.stdout),
            "{name}: {} {}",
            ended.stdout,
            ended.log
        );
        assert!(ended.log.contains(words) || ended.stdout.contains(words), "{name}");
    }
    let said = format!("{}{}", ended.stdout, ended.log);
    assert!(!said.contains("litestream.yml"), "all of it is in the answer: {said}");
    let ended = running.stop(74);
    assert!(!ended.log.contains("litestream.yml"), "{}", ended.log);
    for name in ["a?b.db", "a#b.db", "a%41b.db", "link.db"] {
        assert!(ended.log.contains(name), "{name}: {}", ended.log);
    }
    assert_eq!(tenants.backup("good"), 3);
}

/// Litestream takes it in by itself, and nobody can keep it from that.
#[test]
fn what_appears_in_a_folder_and_cannot_be_replicated_is_told_once_and_is_no_good_end() {
    let world = World::new();
    let data = world.path("data");
    ours(fs::create_dir(&data));
    let entry =
        json!({"dir": data, "pattern": "*.db", "watch": true, "replica": {"path": world.path("backup")}});
    let config = world.write("a.yml", &json!({"dbs": [entry]}).to_string());
    let start = || {
        let ready = world.trace().all("ready").len();
        let running =
            Keeper::new(&world).config(&config).app(App::new(&world.trace()).ready().wait()).start();
        world.trace().wait_nth(ready + 1, "ready");
        running
    };
    let running = start();
    database(&data.join("a#b.db"));
    running.wait_log(1, "it takes `#` for the end of the path");
    database(&world.path("real.sqlite"));
    ours(symlink(world.path("real.sqlite"), data.join("link.db")));
    running.wait_log(1, "is a link to ");
    database(&data.join("good.db"));
    running.wait_log(1, &format!("replicating {}", data.join("good.db").display()));
    let reload = Keeper::new(&world).command("reload").config(&config).run().expect_code(69);
    assert!(reload.stdout.contains("a#b.db") || reload.log.contains("a#b.db"), "{}", reload.log);
    // Whoever takes it away has nothing more to answer for.
    ours(fs::remove_file(data.join("link.db")));
    Keeper::new(&world).command("reload").config(&config).run();
    let ended = running.stop(74);
    let told = |words: &str| ended.log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(told("it takes `#` for the end of the path"), 1, "{}", ended.log);
    let last = ended.log.lines().find(|line| line.contains("not everything is on the replica"));
    let last = last.unwrap_or_else(|| panic!("{}", ended.log));
    assert!(last.contains("a#b.db") && !last.contains("link.db"), "{}", ended.log);

    // What is there already at the start, or the folder itself, ends it.
    Keeper::new(&world).config(&config).app(["true"]).run().expect_code(78).expect_log("[misread-path]");
    let world = World::new();
    let odd = world.path("x%41");
    let entry = json!({"dir": odd, "pattern": "*.db", "watch": true, "replica": {"path": world.path("b")}});
    let config = world.write("b.yml", &json!({"dbs": [entry]}).to_string());
    refused(&world, || Keeper::new(&world).config(&config), "misread-path").expect_log("`%41`");
    assert!(!odd.exists(), "nothing is made of it");
}
