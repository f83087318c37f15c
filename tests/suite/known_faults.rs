//! What `check` knows to be wrong, `run` says at once, in the same words.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::refused::{findings, refused};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::world::World;
use crate::support::wrap;

fn simple(world: &World) -> Keeper {
    Keeper::new(world).db(&world.db()).replica(&world.replica_url())
}

#[test]
fn a_database_that_is_none_is_refused_at_once() {
    let world = World::new();
    for (what, code) in [
        ("link", "database-link"),
        ("dangling", "database-link"),
        ("text", "not-sqlite"),
        ("folder", "not-sqlite"),
        ("pipe", "not-sqlite"),
    ] {
        let db = world.db();
        match what {
            "link" => {
                sqlite::create(&world.path("real.db"), 1);
                symlink(world.path("real.db"), &db).expect("the world can be written");
            }
            "dangling" => symlink(world.path("nowhere.db"), &db).expect("the world can be written"),
            "text" => fs::write(&db, "this is no database, but a text\n").expect("the world can be written"),
            "folder" => fs::create_dir(&db).expect("the world can be written"),
            _ => mkfifo(&db, Mode::S_IRWXU).expect("the world can be written"),
        }
        refused(&world, || simple(&world), code);
        let _ = fs::remove_file(&db).or_else(|_| fs::remove_dir(&db));
    }
}

#[test]
fn what_cannot_be_written_is_refused_at_once() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let folder = world.path("replica");
    fs::create_dir(&folder).expect("the world can be written");
    refused(&world, || simple(&world).wrapped(wrap::read_only(&folder)), "not-writable");
    fs::create_dir(world.path("data")).expect("the world can be written");
    sqlite::create(&world.path("data/a.db"), 1);
    let data = world.path("data");
    let keeper = || {
        let keeper = Keeper::new(&world).db(&data.join("a.db")).replica(&world.replica_url());
        keeper.wrapped(wrap::read_only(&data))
    };
    refused(&world, keeper, "not-writable");
}

#[test]
fn a_file_where_a_folder_belongs_is_refused_at_once() {
    let world = World::new();
    let file = world.write("file", "no folder");
    let below = |path: PathBuf| Keeper::new(&world).db(&path).replica(&world.replica_url());
    let ended = refused(&world, || below(file.join("app.db")), "not-writable");
    ended.expect_log("file` is no folder");
    for replica in [file.clone(), file.join("backup"), file.join("deep/backup")] {
        let replica = format!("file://{}", replica.display());
        let ended = refused(&world, || Keeper::new(&world).db(&world.db()).replica(&replica), "not-writable");
        ended.expect_log("file` is no folder").expect_log("the replica is written there");
    }
}

#[test]
fn settings_that_take_the_wal_away_are_refused_at_once() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    fs::create_dir(world.path("config")).expect("the world can be written");
    let text = "production:\n  adapter: sqlite3\n  pragmas:\n    journal_mode: delete\n";
    world.write("config/database.yml", text);
    refused(&world, || simple(&world), "journal-mode");
}

#[test]
fn a_copy_that_was_broken_off_is_refused_unless_the_backup_takes_its_place() {
    let world = World::new();
    sqlite::big(&world.db(), 1);
    for name in ["app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(world.path(name));
    }
    let file = fs::File::options().write(true).open(world.db()).expect("it is there");
    file.set_len(200_000).expect("ours");
    simple(&world).command("check").run().expect_code(78).expect_output("[cut-off]");
    let ended = simple(&world).app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    ended.expect_log("has 200000 bytes, but says that it has ").expect_log("[cut-off]");
    assert!(world.trace().is_empty());
}

#[test]
fn several_faults_are_told_together_with_their_lines() {
    let world = World::new();
    fs::write(world.path("a.db"), "no database at all").expect("the world can be written");
    symlink("a.db", world.path("b.db")).expect("the world can be written");
    let replicas = [Replica::folder(&world.path("ra")), Replica::folder(&world.path("rb"))];
    let (a, b) = (world.path("a.db"), world.path("b.db"));
    let config = world.config_of("", [(a.as_path(), &replicas[0]), (b.as_path(), &replicas[1])]);
    let ended = refused(&world, || Keeper::new(&world).config(&config), "database-link");
    ended.expect_log("litestream.yml:2: ").expect_log("[not-sqlite]").expect_log("litestream.yml:5: ");
}

#[test]
fn a_pipe_in_a_folder_of_databases_is_refused_at_once() {
    let world = World::new();
    fs::create_dir(world.path("tenants")).expect("the world can be written");
    mkfifo(&world.path("tenants/a.db"), Mode::S_IRWXU).expect("the world can be written");
    let text = "dbs: [{dir: tenants, pattern: '*.db', watch: true, replica: {path: backup}}]\n";
    let config = world.write("a.yml", text);
    refused(&world, || Keeper::new(&world).config(&config), "pipe-in-dir");
}

#[test]
fn a_database_that_a_resolver_names_is_looked_at_as_well() {
    let world = World::new();
    sqlite::create(&world.path("real.db"), 1);
    symlink(world.path("real.db"), world.path("t.db")).expect("the world can be written");
    let resolver = world.program(
        "resolver",
        "#!/bin/sh\necho '[{\"path\": \"t.db\", \"replica\": {\"path\": \"backup\"}}]'\n",
    );
    let config =
        world.write("a.yml", &format!("litekeeper: {{resolver: {{command: ['{}']}}}}\n", resolver.display()));
    let ended =
        Keeper::new(&world).config(&config).app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    let line = |ended: &Ended, code: &str| {
        let found = ended.log.lines().find(|line| line.contains(code)).map(str::to_owned);
        found.unwrap_or_else(|| panic!("no {code}: {}", ended.log))
    };
    let said = line(&ended, "[database-link]");
    // No line of the file has it.
    assert!(said.contains("resolver: `") && said.contains("is a link to "), "{said}");
    assert!(!said.contains("a.yml"), "{said}");
    assert!(world.trace().is_empty());
    let of_many = "#!/bin/sh\necho '[{\"path\": \"*.db\", \"replica\": {\"path\": \"backup\"}}]'\n";
    world.program("resolver", of_many);
    let ended =
        Keeper::new(&world).config(&config).app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    let said = line(&ended, "[database-path]");
    assert!(said.contains("resolver: `path: ") && !said.contains("a.yml"), "{said}");
}

/// A pattern in its place would find what Litestream misreads as well.
#[test]
fn a_question_mark_in_a_name_that_is_not_there_is_told_as_one() {
    for name in ["a?b.db", "a?.db", "w?/a.db", "[ab]%41.db", "*#.db"] {
        let world = World::new();
        let path = world.path(name);
        let keeper = || Keeper::new(&world).db(&path).replica(&world.replica_url());
        let ended = refused(&world, keeper, "misread-path");
        assert!(!ended.log.contains("pattern"), "{name}: {}", ended.log);
    }
}

#[test]
fn with_gate_none_what_is_wrong_is_a_warning() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    fs::create_dir(world.path("config")).expect("the world can be written");
    let text = "production:\n  adapter: sqlite3\n  pragmas:\n    journal_mode: delete\n";
    world.write("config/database.yml", text);
    let keeper = simple(&world).args(["--gate", "none", "--stop-timeout", "2s"]);
    let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_log("[journal-mode]");
    assert!(!world.trace().is_empty(), "{}", ended.log);
}

#[test]
fn two_replicas_are_refused_as_a_configuration() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let text = "dbs: [{path: app.db, replicas: [{path: ra}, {path: rb}]}]\n";
    let config = world.write("a.yml", text);
    let ended =
        Keeper::new(&world).config(&config).app(App::new(&world.trace()).exit(0)).run().expect_code(78);
    ended.expect_log("a.yml:1");
    assert!(world.trace().is_empty());
}

/// Without a scheme it is https to Litestream, and this server speaks none.
#[test]
fn an_endpoint_without_a_scheme_is_told_by_check_and_at_the_end() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let bare = s3.endpoint().replace("http://", "");
    let config = world.config(&s3.replica("backups", "app").set("endpoint", bare.as_str()));
    let keeper = || Keeper::new(&world).config(&config);
    let checked = keeper().command("check").run().expect_code(0);
    checked.expect_output(&format!("Litestream asks https://{bare} [endpoint-scheme]"));
    let app = App::new(&world.trace()).exit(0);
    let ended = keeper().args(["--gate-timeout", "3s"]).app(app).run().expect_code(69);
    ended.expect_log("hint: ").expect_log("http://");
    assert!(world.trace().is_empty());
    for (url, told) in
        [("s3://b/a?endpoint=minio:9000", true), ("s3://b/a?endpoint=http://minio:9000", false)]
    {
        let found = Keeper::new(&world).db(&world.db()).replica(url).command("check").run().expect_code(0);
        assert_eq!(found.stdout.contains("[endpoint-scheme]"), told, "{}", found.stdout);
    }
}

/// What the keeper itself puts right is no fault: a fresh volume is given away.
#[test]
fn a_fresh_volume_of_roots_is_no_fault() {
    let world = World::new();
    fs::set_permissions(world.root(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    fs::create_dir(world.path("volume")).expect("the world can be written");
    let db: &Path = &world.path("volume/a.db");
    let found =
        Keeper::new(&world).db(db).replica("s3://b/a").args(["--user", "nobody"]).command("check").run();
    assert!(!found.stdout.contains("[not-writable]"), "{}", found.stdout);
}

/// Litestream needs five descriptors a database, and says of each that it cannot be opened, for ever.
#[test]
fn too_few_descriptors_are_told_with_the_number_that_is_needed() {
    let world = World::new();
    let names: Vec<_> = (0..60).map(|n| world.path(&format!("d{n}.db"))).collect();
    names.iter().for_each(|db| sqlite::create(db, 1));
    let replicas: Vec<_> = (0..60).map(|n| Replica::folder(&world.path(&format!("r{n}")))).collect();
    let config = world.config_of("", names.iter().map(|db| db.as_path()).zip(&replicas));
    let limited = |most: &str| {
        let shell = ["sh", "-c", "ulimit -n \"$0\"; exec \"$@\"", most].map(str::to_owned);
        Keeper::new(&world).config(&config).wrapped(shell)
    };
    refused(&world, || limited("250"), "few-files")
        .expect_log("60 databases need 476")
        .expect_log("[few-files]");
    // In a folder, and by a resolver, they count as well.
    let folder = world.write("dir.yml", "dbs: [{dir: ., pattern: 'd*.db', replica: {path: backup}}]\n");
    let shell = ["sh", "-c", "ulimit -n 250; exec \"$0\" \"$@\""].map(str::to_owned);
    let keeper = || Keeper::new(&world).config(&folder).wrapped(shell.clone());
    keeper().command("check").run().expect_code(78).expect_output("[few-files]");
    keeper().app(App::new(&world.trace()).exit(0)).run().expect_code(78).expect_log("60 databases need 476");
    assert!(world.trace().is_empty());
    // A soft limit is no obstacle: it is raised.
    let shell = ["sh", "-c", "ulimit -Sn 64; exec \"$0\" \"$@\""].map(str::to_owned);
    let keeper = Keeper::new(&world).config(&config).wrapped(shell);
    keeper.args(["--stop-timeout", "30s"]).app(App::new(&world.trace()).exit(0)).run().expect_code(0);
}

/// Whatever is refused, the next step is said.
#[test]
fn what_is_refused_is_refused_with_a_hint() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let root = world.root().display().to_string();
    let config = |text: &str| text.replace("ROOT", &root).into_bytes();
    let resolver =
        |text: &str| config(&format!("litekeeper: {{resolver: {{command: [echo, {text}]}}}}\ndbs: []\n"));
    let folder = "dbs: [{dir: ROOT/x, pattern: '*.db', replica: {path: ROOT/r}}]";
    for text in [
        resolver("hello"),
        resolver("'{}'"),
        resolver("'[{}]'"),
        config("dbs: [{path: \"a\\0b.db\", replica: {path: ROOT/r}}]"),
        [&config("dbs: [{path: ROOT/")[..], b"\xff.db, replica: {path: r}}]"].concat(),
        config("dbs: [{path: ROOT/a.db, replica: {path: ROOT/r}}]\nx: \"\u{1}\""),
        config(folder),
        config(&folder.replace("ROOT/x", "/proc/nothing")),
        config("litekeeper: {before: [[\"a\\0\"]]}\ndbs: [{path: ROOT/a.db, replica: {path: ROOT/r}}]"),
    ] {
        let file = world.path("bad.yml");
        fs::write(&file, &text).expect("the world can be written");
        fs::create_dir_all(world.path("x")).expect("the world can be written");
        let ended = Keeper::new(&world).config(&file).app(["true"]).run().expect_code(78);
        assert!(ended.log.contains("hint: "), "{}: {}", String::from_utf8_lossy(&text), ended.log);
    }
    simple(&world)
        .args(["--env-file", "nothing"])
        .app(["true"])
        .run()
        .expect_code(78)
        .expect_log("hint: a file");
    for name in ["bad.whl", "bad.tar.gz"] {
        fs::write(world.path(name), "rubbish").expect("the world can be written");
        let install = Keeper::new(&world).command("install").arg("--file").arg(world.path(name));
        install
            .arg("--dir")
            .arg(world.path("bin"))
            .run()
            .expect_code(69)
            .expect_log("hint: name one of litestream's");
    }
}

/// Whoever writes in a folder would have root give away what the name in it leads to.
#[test]
fn nobody_is_told_to_give_away_what_somebody_else_named() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for name in ["link", "hard link", "metadata", "replica", "replica's parent"] {
        let world = World::new();
        let theirs = world.path("theirs");
        fs::create_dir(&theirs).expect("the world can be written");
        fs::write(world.path("secret"), "").expect("the world can be written");
        fs::create_dir_all(world.path("closed/r")).expect("the world can be written");
        for (path, mode) in [("secret", 0o600), ("closed/r", 0o700), ("closed", 0o700)] {
            fs::set_permissions(world.path(path), std::os::unix::fs::PermissionsExt::from_mode(mode))
                .expect("ours");
        }
        match name {
            "link" => symlink(world.path("secret"), theirs.join("app.db")),
            "hard link" => fs::hard_link(world.path("secret"), theirs.join("app.db")),
            "metadata" => symlink(world.path("closed"), theirs.join(".app.db-litestream")),
            _ => symlink(world.path("closed"), theirs.join("backup")),
        }
        .expect("the world can be written");
        std::os::unix::fs::chown(&theirs, Some(1234), Some(1234)).expect("root may");
        let replica = match name {
            "replica" => "backup",
            "replica's parent" => "backup/r",
            _ => "r",
        };
        let replica = format!("file://{}", theirs.join(replica).display());
        for command in ["run", "check"] {
            let keeper = Keeper::new(&world).command(command).db(&theirs.join("app.db")).replica(&replica);
            let ended = keeper.args(["--user", "1234:1234", "--", "true"]).run().expect_code(78);
            let said = format!("{}{}", ended.stdout, ended.log);
            assert!(said.contains("before you"), "{name}, {command}: {said}");
            assert!(
                !said.contains(": give it to") && !said.contains(": give the folder"),
                "{name}, {command}: {said}"
            );
        }
    }
}

/// As a backup by hard links makes one: nothing is wrong until somebody opens the other name.
#[test]
fn a_database_with_two_names_is_replicated_with_a_warning() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let whole = simple(&world).app(["true"]).run().expect_code(0);
    assert!(!whole.log.contains("hard links"), "{}", whole.log);
    fs::hard_link(world.db(), world.path("copy.db")).expect("the world can be written");
    let checked = simple(&world).command("check").app(["true"]).run().expect_code(0);
    checked.expect_output("[several-names]").expect_output("the file has 2 names (hard links)");
    let app = App::new(&world.trace()).insert(&world.db(), 1).exit(0);
    let ended = simple(&world).app(app).run().expect_code(0).expect_log("everything is on the replica");
    assert_eq!(ended.log.matches("the file has 2 names (hard links)").count(), 1, "{}", ended.log);
    // Both are configured.
    let both =
        || simple(&world).db(&world.path("copy.db")).replica(&world.path("r/copy").display().to_string());
    let said = format!("`{}` and `{}` are one file", world.db().display(), world.path("copy.db").display());
    for keeper in [both().command("check"), both()] {
        let ended = keeper.app(["true"]).run().expect_code(78);
        let told = format!("{}{}", ended.stdout, ended.log);
        assert!(told.contains(&said) && told.contains("[one-file]"), "{told}");
    }
    // Of several each is not a line of its own.
    let several = ["b", "c"].map(|name| {
        sqlite::create(&world.path(name), 1);
        fs::hard_link(world.path(name), world.path(&format!("{name}.copy")))
            .expect("the world can be written");
        (world.path(name), format!("file://{}", world.path(&format!("r/{name}")).display()))
    });
    let keeper = several.iter().fold(simple(&world), |keeper, (db, replica)| keeper.db(db).replica(replica));
    let ended = keeper.app(["true"]).run().expect_code(0).expect_log("; the same of 2 more");
    assert_eq!(ended.log.matches("(hard links)").count(), 1, "{}", ended.log);
}

/// An object store's name has no slash, and Litestream makes a name of all that is behind the host.
#[test]
fn a_path_behind_a_bucket_of_nats_is_refused_and_init_writes_none() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let keeper = || Keeper::new(&world).db(&world.db()).replica("nats://127.0.0.1:25020/backups/shop/a.db");
    let code = findings(keeper()).into_iter().find(|lint| lint["severity"] == "error").expect("an error");
    refused(&world, keeper, code["code"].as_str().expect("a text")).expect_log("one name, without a slash");
    for place in
        ["url: 'nats://127.0.0.1:25020/backups'", "type: nats, url: 'nats://127.0.0.1:25020', bucket: b"]
    {
        let text =
            format!("dbs:\n  - path: {}\n    replica: {{{place}, path: shop}}\n", world.db().display());
        let file = world.write("a.yml", &text);
        refused(&world, || Keeper::new(&world).config(&file), "replica-place").expect_log("has no `path`");
    }
    let init = Keeper::new(&world).command("init").cwd(world.root());
    let written = init.args(["--stdout", "--replica", "nats://h:4222/bucket"]).run().expect_code(0);
    let line = written.stdout.lines().find(|line| line.contains("nats://h:4222/bucket"));
    let line = line.unwrap_or_else(|| panic!("{}{}", written.stdout, written.log));
    assert!(line.trim_end_matches(['"', '\'']).ends_with("nats://h:4222/bucket"), "{line}");
}
