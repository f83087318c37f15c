//! What an operator asks for: which databases there are, and what is in their backups.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::keeper::Keeper;
use crate::support::litestream::{LATEST, NO_SOCKET, OLD};
use crate::support::operator::{backed_up, operator, printed};
use crate::support::process::Ended;
use crate::support::server::free_port;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::unit;
use crate::support::vfs;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z'))
}

fn is_hex(value: &Value, digits: usize) -> bool {
    value.as_str().is_some_and(|text| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[test]
fn a_backup_of_the_other_series_is_not_called_nothing() {
    for store in Store::all() {
        for (by, version, commands) in
            [(OLD, LATEST, ["ltx", "snapshots"]), (LATEST, OLD, ["wal", "generations"])]
        {
            let world = World::new();
            backed_up(&world, &store, by);
            for command in commands {
                let ended = operator(&world, command).litestream(version).run().expect_code(69);
                ended.expect_log("holds a backup of Litestream 0.").expect_log("hint: litestream 0.");
            }
            if let Store::S3(s3) = &store {
                s3.objects("backups").iter().for_each(|key| {
                    fs::remove_file(s3.folder("backups").join(key)).expect("ours");
                });
            }
        }
    }
}

#[test]
fn files_and_snapshots_are_listed_of_folders_and_s3() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, LATEST);
        let files = printed::<Value>(operator(&world, "ltx"), 0);
        let files = files.as_array().expect("a list");
        assert!(!files.is_empty());
        for file in files {
            assert!(file["level"].is_u64() && file["size_bytes"].is_u64() && is_time(&file["created_at"]));
            assert!(is_hex(&file["min_txid"], 16) && is_hex(&file["max_txid"], 16), "{file}");
        }
        let first = printed::<Value>(operator(&world, "ltx").args(["app.db", "--level", "0"]), 0);
        assert!(first.as_array().is_some_and(|first| first.iter().all(|file| file["level"] == 0)), "{first}");
        let snapshots = printed::<Value>(operator(&world, "snapshots").arg(world.db()), 0);
        let levels = files.iter().filter(|file| file["level"] == 9).count();
        assert_eq!(snapshots.as_array().map(Vec::len), Some(levels));
        let table = operator(&world, "ltx").run().expect_code(0);
        assert!(table.stdout.starts_with("LEVEL  FIRST TXID"), "{}", table.stdout);
        assert!(!table.stdout.contains('\u{1b}'), "{}", table.stdout);
        assert_eq!(table.stdout.lines().count(), 1 + files.len());
    }
}

#[test]
fn generations_and_wal_are_listed_of_the_old_series() {
    for store in Store::all() {
        let world = World::new();
        backed_up(&world, &store, OLD);
        let old = |command: &str| operator(&world, command).litestream(OLD);
        let snapshots = printed::<Value>(old("snapshots"), 0);
        let one = &snapshots[0];
        assert!(is_hex(&one["generation"], 16) && is_hex(&one["index"], 8), "{snapshots}");
        assert!(one["txid"].is_null() && one["size_bytes"].is_u64() && is_time(&one["created_at"]));
        let generations = printed::<Value>(old("generations"), 0);
        assert_eq!(generations[0]["generation"], one["generation"]);
        assert!(is_time(&generations[0]["from"]) && is_time(&generations[0]["to"]), "{generations}");
        let name = one["generation"].as_str().expect("a text");
        let wal = printed::<Value>(old("wal").args(["app.db", "--generation", name]), 0);
        assert!(wal[0]["offset"].is_u64() && is_hex(&wal[0]["index"], 8), "{wal}");
        assert_eq!(printed::<Value>(old("wal").args(["--generation", "0123456789abcdef"]), 0), json!([]));
    }
}

#[test]
fn what_a_series_has_not_is_one_line_with_the_one_that_has() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    world.config(&world.replica());
    for (command, version, has) in [
        ("generations", LATEST, "litestream 0.5.17 has no generations: litestream 0.3.13 has"),
        ("wal", LATEST, "litestream 0.5.17 has no WAL files: litestream 0.3.13 has"),
        ("ltx", OLD, "litestream 0.3.13 has no LTX files: litestream 0.5 has"),
    ] {
        let ended = operator(&world, command).litestream(version).run().expect_code(64).expect_log(has);
        assert_eq!((ended.log.lines().count(), ended.stdout.as_str()), (2, ""), "{}", ended.log);
    }
    let ended = operator(&world, "snapshots").args(["--replica", "file"]).run().expect_code(64);
    ended.expect_log("--replica is for litestream 0.3.13");
}

/// It lists without levels.
#[test]
fn files_are_listed_by_a_release_that_knows_no_levels() {
    let world = World::new();
    backed_up(&world, &Store::Folder, NO_SOCKET);
    let files = printed::<Value>(operator(&world, "ltx").litestream(NO_SOCKET), 0);
    assert!(files.as_array().is_some_and(|files| !files.is_empty()), "{files}");
}

#[test]
fn a_url_needs_no_configuration() {
    for store in Store::all() {
        let world = World::new();
        let config = backed_up(&world, &store, LATEST);
        fs::remove_file(config).expect("ours");
        let url = match &store {
            Store::Folder => format!("file://{}", world.path("app").display()),
            Store::S3(s3) => s3.url("backups", "app"),
        };
        let files = printed::<Value>(operator(&world, "ltx").arg(&url), 0);
        assert!(files.as_array().is_some_and(|files| !files.is_empty()), "{files}");
        assert!(!world.list("").iter().any(|name| name.contains("url.db")), "{:?}", world.list(""));
    }
}

/// Three databases, two of one name, in a file with aliases, and a folder of databases.
fn several(world: &World) {
    for folder in ["a", "b", "tenants"] {
        fs::create_dir(world.path(folder)).expect("ours");
    }
    for name in ["a/app.db", "b/app.db", "other.db", "tenants/one.db"] {
        sqlite::create(&world.path(name), 1);
    }
    let text = "litekeeper: {aliases: {main: a/app.db}}\n\
                dbs:\n\
                - {path: main, replica: {path: backups/a}}\n\
                - {path: b/app.db, replica: {path: backups/b}}\n\
                - {path: other.db, replica: {url: \"s3://bucket/other?secret-access-key=hunter2\"}}\n\
                - {dir: tenants, pattern: \"*.db\", replica: {path: backups/tenants}}\n";
    world.write("litestream.yml", text);
}

#[test]
fn databases_are_told_by_path_alias_and_base_name() {
    let world = World::new();
    several(&world);
    let root = world.root().display().to_string();
    let all = printed::<Value>(operator(&world, "databases"), 0);
    let expected = json!([
        {"path": format!("{root}/a/app.db"), "alias": "main", "replica": format!("{root}/backups/a"), "type": "file"},
        {"path": format!("{root}/b/app.db"), "alias": null, "replica": format!("{root}/backups/b"), "type": "file"},
        {"path": format!("{root}/other.db"), "alias": null, "replica": "s3://bucket/other", "type": "s3"},
        {"path": format!("{root}/tenants/one.db"), "alias": null, "replica": format!("{root}/backups/tenants/one.db"), "type": "file"},
    ]);
    assert_eq!(all, expected);
    let paths = |word: &str| {
        let found = printed::<Value>(operator(&world, "databases").arg(word), 0);
        found.as_array().expect("a list").iter().map(|one| one["path"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(paths("main"), [json!(format!("{root}/a/app.db"))]);
    assert_eq!(paths("other.db"), [json!(format!("{root}/other.db"))]);
    assert_eq!(paths("./b/../b/app.db"), [json!(format!("{root}/b/app.db"))]);
    assert_eq!(paths("one.db"), [json!(format!("{root}/tenants/one.db"))]);
    // It is not there, and would be its folder's.
    assert_eq!(paths("tenants/two.db"), [json!(format!("{root}/tenants/two.db"))]);

    let ended = operator(&world, "databases").arg("app.db").run().expect_code(64);
    ended
        .expect_log("`app.db` can be more than one database")
        .expect_log(&format!("hint: say which one: {root}/a/app.db (main), {root}/b/app.db"));
    let ended = operator(&world, "databases").arg("app2.db").run().expect_code(64);
    ended.expect_log("`app2.db` is no database of this configuration").expect_log("these are: ");
    let ended = operator(&world, "ltx").run().expect_code(64);
    ended.expect_log("there is more than one database").expect_log(&format!("{root}/other.db"));
    let table = operator(&world, "databases").run().expect_code(0);
    assert!(!format!("{}{}", table.stdout, table.log).contains("hunter2"), "{}", table.stdout);
}

/// They are known to a running keeper alone, and can be looked at by their replica.
#[test]
fn what_a_resolver_names_is_not_among_them_and_that_is_said() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let text =
        "litekeeper: {resolver: {command: [bin/tenants]}}\ndbs: [{path: app.db, replica: {path: replica}}]\n";
    world.write("litestream.yml", text);
    let all = operator(&world, "databases").run().expect_code(0);
    let all = all.expect_log("what the resolver names is not among them");
    assert_eq!(all.stdout.lines().count(), 2, "{}", all.stdout);
    let one = operator(&world, "databases").arg("tenant.db").run().expect_code(64);
    one.expect_log("one that the resolver names is meant by its replica's URL");
}

#[test]
fn without_a_configuration_there_is_one_clear_error() {
    let world = World::new();
    for command in ["databases", "ltx", "snapshots", "generations", "wal", "info", "list"] {
        let ended = operator(&world, command).run().expect_code(64);
        assert_eq!(ended.log.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{}", ended.log);
        ended.expect_log("hint: name a litestream.yml with --config");
    }
    let config = world.path("nowhere.yml");
    let ended = operator(&world, "ltx").config(&config).run().expect_code(78);
    ended.expect_log("nowhere.yml").expect_log("or set LITEKEEPER_DB and LITEKEEPER_REPLICA");
    for words in [&["ltx"][..], &["restore", "-o", "copy.db"]] {
        let given = operator(&world, words[0]).config(&config).args(&words[1..]).arg("file:///nowhere/app");
        given.run().expect_code(64).expect_log("a replica's URL and --config cannot be combined");
    }
}

/// Refused in the words of the server, and soon.
#[track_caller]
fn refused(keeper: Keeper, code: i32, words: &str) -> Ended {
    let ended = keeper.args(["--timeout", "3s"]).run().expect_code(code);
    assert_eq!(ended.stdout, "");
    ended.expect_log(words).expect_log("hint: ")
}

#[test]
fn a_replica_that_does_not_answer_or_refuses_is_told() {
    let world = World::new();
    let store = Store::all().into_iter().next_back().expect("two");
    backed_up(&world, &store, LATEST);
    let Store::S3(s3) = &store else { panic!("S3 is the last") };
    for command in ["ltx", "snapshots"] {
        let ask = || operator(&world, command);
        let gone = format!("s3://backups/app?endpoint=http://127.0.0.1:{}&region=us-east-1", free_port());
        refused(ask().arg(&gone), 69, "error: replica s3://backups/app");
        let other = s3.url("nowhere", "app");
        refused(ask().arg(&other), 69, "replica s3://nowhere/app");
        let wrong = ask().arg(s3.url("backups", "app")).env("LITESTREAM_SECRET_ACCESS_KEY", "wrong");
        refused(wrong, 69, "replica s3://backups/app");
    }
}

#[test]
fn a_running_keepers_litestream_is_asked_over_its_socket() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let config = world.config(&world.replica());
    let nobody = operator(&world, "info").run().expect_code(69);
    nobody.expect_log(&format!("no keeper runs on {}", world.db().display())).expect_log("hint: ");
    let running = unit::start_writing(&world, Keeper::new(&world).config(&config));
    let info = printed::<Value>(operator(&world, "info"), 0);
    assert_eq!(info["keeper_pid"], running.keeper().pid);
    let litestream = &info["litestream"];
    assert_eq!(litestream["pid"], running.litestream().pid);
    assert!(litestream["version"].as_str().is_some_and(|version| version.contains(LATEST)), "{info}");
    assert!(litestream["databases"] == 1 && is_time(&litestream["started_at"]), "{info}");
    let list = printed::<Value>(operator(&world, "list").arg("app.db"), 0);
    assert_eq!(list[0]["path"], world.db().to_str().expect("UTF-8"));
    assert!(list[0]["status"].is_string(), "{list}");
    running.stop(0);
}

/// Whoever can write the lock, or bind the socket, is not believed for that.
#[test]
fn a_socket_of_somebody_else_is_not_believed() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    sqlite::create(&world.db(), 1);
    world.config(&world.replica());
    let socket = world.path("foreign.sock");
    let lock = world.path(".app.db-litekeeper.lock");
    let text = format!("pid 1\nsocket {}\n", socket.display());
    fs::write(&lock, text).expect("ours");
    // Another user's process that listens, and holds the lock.
    let script = format!(
        "import fcntl, os, socket\n\
         lock = open({lock:?}, 'r+'); fcntl.flock(lock, fcntl.LOCK_EX)\n\
         os.setuid(65534)\n\
         s = socket.socket(socket.AF_UNIX); os.umask(0)\n\
         s.bind('/tmp/' + os.path.basename({root:?}) + '.sock'); s.listen()\n\
         print('ready', flush=True)\n\
         while True:\n\
         \tc = s.accept()[0]; c.recv(4096); c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\n{{\"version\": \"forged\"}}'); c.close()\n",
        lock = lock.display().to_string(),
        root = world.root().display().to_string(),
    );
    let real = format!("/tmp/{}.sock", world.root().file_name().expect("a name").to_string_lossy());
    std::os::unix::fs::symlink(&real, &socket).expect("ours");
    let mut server = std::process::Command::new("python3")
        .args(["-c", &script])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("python3");
    wait_until("the foreign socket", DEADLINE, || Path::new(&real).exists());
    // The owner of the link is root: what listens behind it is not.
    let ended = operator(&world, "info").run().expect_code(69);
    server.kill().expect("it runs");
    server.wait().expect("it was killed");
    fs::remove_file(&real).expect("it is there");
    let ended = ended.expect_log("answers there, whose litestream this is not");
    assert!(!ended.stdout.contains("forged"), "{}", ended.stdout);
}

#[test]
fn a_version_is_told_with_and_without_a_litestream() {
    let world = World::new();
    let version = printed::<Value>(operator(&world, "version"), 0);
    assert_eq!(version["litekeeper"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (version["litestream"].as_str(), version["litestream_path"].is_string()),
        (Some(LATEST), true)
    );
    assert_eq!(printed::<Value>(operator(&world, "version").litestream(OLD), 0)["litestream"], OLD);
    let none = operator(&world, "version").env("LITESTREAM_BINARY_PATH", world.path("nowhere"));
    let ended = none.arg("--json").run().expect_code(0).expect_log("is not an executable file");
    let found: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(found["litestream"].is_null() && found["litestream_path"].is_null(), "{found}");
}

/// A table on a terminal has colours, and none where nobody wants them.
#[test]
fn colours_are_for_terminals() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    world.config(&world.replica());
    for (no_color, has) in [("", true), ("1", false)] {
        let keeper = operator(&world, "databases");
        let (mut terminal, line) = keeper.terminal();
        terminal.line(&format!("TERM=xterm NO_COLOR={no_color} {line}; echo en''d"));
        let said = terminal.wait("end");
        assert_eq!(said.contains("\u{1b}[1mDATABASE"), has, "{said}");
    }
}

/// The page has the names that the commands print.
#[test]
fn the_page_about_json_has_every_name() {
    let page = crate::support::docs::page("docs/json.md").text;
    let world = World::new();
    backed_up(&world, &Store::Folder, LATEST);
    let mut all: Vec<(&str, Value)> = ["databases", "ltx", "verify", "version"]
        .into_iter()
        .map(|command| (command, printed::<Value>(operator(&world, command), 0)))
        .collect();
    // It has a snapshot at once; the others make one when its time has come.
    let old = World::new();
    backed_up(&old, &Store::Folder, OLD);
    all.extend(
        ["snapshots", "generations", "wal"]
            .map(|command| (command, printed::<Value>(operator(&old, command).litestream(OLD), 0))),
    );
    let asked = operator(&world, "query").env("LITEKEEPER_VFS_LIBRARY", vfs::library());
    all.push(("query", printed::<Value>(asked.args(["app.db", "SELECT 7 AS id"]), 0)));
    for (command, value) in all {
        let (_, rest) = page.split_once(&format!("## `{command}`")).unwrap_or_else(|| panic!("no {command}"));
        let part = rest.split("\n## ").next().unwrap_or_default();
        let one = value.get(0).unwrap_or(&value);
        let names = one.as_object().unwrap_or_else(|| panic!("{command}: {one}")).keys();
        names.for_each(|name| assert!(part.contains(&format!("\"{name}\"")), "no {name} in {command}"));
        let told = part.matches("\": ").count();
        assert_eq!(told, one.as_object().expect("an object").len(), "{command}: {part}");
    }
}

#[test]
fn a_place_that_is_none_is_not_called_empty() {
    for (version, command) in [(LATEST, "ltx"), (LATEST, "snapshots"), (OLD, "wal")] {
        let world = World::new();
        let url = format!("file://{}", world.path("nowhere").display());
        let ended = operator(&world, command).litestream(version).arg(&url).run().expect_code(69);
        ended.expect_log("nowhere: there is no such folder");
        let ended = operator(&world, command).litestream(version).arg("ftp://b/x").run().expect_code(64);
        ended.expect_log("ftp://b/x: litestream replicates to no `ftp://`").expect_log("s3://, file://");
    }
}

/// Litestream 0.3 asks Amazon.
#[test]
fn parameters_that_a_release_does_not_read_are_refused() {
    let world = World::new();
    for command in ["snapshots", "wal", "restore"] {
        let keeper = operator(&world, command).litestream(OLD).arg("s3://b/p?endpoint=http://127.0.0.1:1");
        let keeper = if command == "restore" { keeper.args(["-o", "x.db"]) } else { keeper };
        keeper.run().expect_code(64).expect_log("litestream 0.3.13 reads no parameters in a URL");
    }
}

#[test]
fn a_page_in_the_place_of_a_bucket_is_not_called_empty() {
    let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("a port"));
    let serving = server.clone();
    let answering = std::thread::spawn(move || {
        for request in serving.incoming_requests() {
            let html = tiny_http::Header::from_bytes("Content-Type", "text/html").expect("a header");
            let _ = request.respond(tiny_http::Response::from_string("<html></html>").with_header(html));
        }
    });
    let address = server.server_addr().to_ip().expect("a port");
    let world = World::new();
    let text = format!(
        "dbs:\n  - path: app.db\n    replica: {{type: s3, bucket: b, path: p, region: us-east-1, endpoint: 'http://{address}', force-path-style: true}}\n"
    );
    world.write("litestream.yml", &text);
    for command in ["ltx", "snapshots"] {
        let ended = operator(&world, command).run().expect_code(69);
        ended.expect_log("nothing is listed there, which proves nothing");
    }
    server.unblock();
    answering.join().expect("a server");
}
