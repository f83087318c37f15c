//! What an operator does beside a running keeper: sync now, a command beside the app, anything of Litestream's.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::app::App;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST, OLD};
use crate::support::operator::{operator, quiet, read};
use crate::support::process::Running;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::world::World;

#[test]
fn what_was_committed_before_a_waiting_sync_is_on_the_replica_after_it() {
    for store in Store::all() {
        let world = World::new();
        let running = quiet(&world, &store, LATEST, (1, ""));
        sqlite::insert(&world.db(), 5);
        let ended = operator(&world, "sync").args(["--wait", "--json"]).run().expect_code(0);
        let synced = read::<Value>(&ended.stdout);
        assert_eq!(synced[0]["result"], "synced");
        assert_eq!(synced[0]["path"], world.db().to_str().expect("UTF-8"));
        assert!(synced[0]["error"].is_null() && synced[0]["duration_ms"].is_u64(), "{synced}");
        assert_eq!(synced[0]["txid"].as_str().map(str::len), Some(16));
        assert!(synced[0]["replicated_txid"].as_str() >= synced[0]["txid"].as_str(), "{synced}");
        let rows = sqlite::count(&world.db());
        let config = world.path("litestream.yml");
        let restored = Backup::Config(&config, &world.db()).restore(&world, LATEST);
        assert_eq!(sqlite::count(&restored), rows);
        let local = operator(&world, "sync").args(["app.db", "--json"]).run().expect_code(0);
        assert_eq!(read::<Value>(&local.stdout)[0]["result"], "synced-local");
        let table = operator(&world, "sync").run().expect_code(0);
        assert!(table.stdout.starts_with("DATABASE"), "{}", table.stdout);
        running.stop(0);
    }
}

/// The first word to a database is the one that does not wait, whoever asks: a program in the place of Litestream's socket writes
/// down what it is asked.
#[test]
fn the_local_half_is_asked_for_first() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    world.config(&world.replica());
    let (socket, lock, log) =
        (world.path("l.sock"), world.path(".app.db-litekeeper.lock"), world.path("asked"));
    fs::write(&lock, format!("pid 1\nsocket {}\n", socket.display())).expect("ours");
    let script = format!(
        "import fcntl, socket, json\n\
         lock = open({lock:?}, 'r+'); fcntl.flock(lock, fcntl.LOCK_EX)\n\
         s = socket.socket(socket.AF_UNIX); s.bind({socket:?}); s.listen()\n\
         open({ready:?}, 'w').close()\n\
         log = open({log:?}, 'a')\n\
         while True:\n\
         \tc = s.accept()[0]; r = c.recv(65536).decode(); log.write(r.split('\\r\\n\\r\\n')[1] + '\\n'); log.flush()\n\
         \tc.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\n{{\"txid\": 7, \"replicated_txid\": 0}}'); c.close()\n",
        lock = lock.to_str().expect("UTF-8"),
        socket = socket.to_str().expect("UTF-8"),
        ready = world.path("ready").to_str().expect("UTF-8"),
        log = log.to_str().expect("UTF-8"),
    );
    let mut server = Command::new("python3").args(["-c", &script]).spawn().expect("python3");
    crate::support::wait::wait_until("the socket", crate::support::wait::DEADLINE, || {
        world.path("ready").exists()
    });
    let ended = operator(&world, "sync").args(["--wait", "--timeout", "2s"]).run();
    server.kill().expect("it runs");
    server.wait().expect("it was killed");
    let ended = ended.expect_code(69);
    ended.expect_log("the replica is at txid 0000000000000000, and the database at 0000000000000007");
    let asked = fs::read_to_string(log).expect("text");
    let waits: Vec<bool> = asked.lines().map(|line| read::<Value>(line)["wait"] == true).collect();
    assert!(waits.first() == Some(&false), "{asked}");
    // Each that waits comes right after one that does not.
    let place = waits.iter().position(|waits| *waits).expect("it waited in the end");
    assert!(!waits[place - 1] && place == waits.len() - 1, "{asked}");
}

#[test]
fn without_a_keeper_there_is_one_clear_error() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let config = world.config(&world.replica());
    let of_db = format!("no keeper runs on {}", world.db().display());
    for keeper in [operator(&world, "sync"), operator(&world, "exec").args(["--", "touch", "ran"])] {
        let ended = keeper.run().expect_code(69).expect_log(&of_db);
        let ended = ended.expect_log("hint: `litekeeper run` starts one");
        assert_eq!((ended.log.lines().count(), ended.stdout.as_str()), (2, ""), "{}", ended.log);
    }
    assert!(!world.path("ran").exists());
    operator(&world, "sync").arg("nowhere.db").run().expect_code(64).expect_log("is no database of this");
    fs::remove_file(config).expect("ours");
    operator(&world, "sync").run().expect_code(64).expect_log("hint: name a litestream.yml");
}

/// A keeper whose section names the app's environment and folder, with an app that waits.
fn start_with_section(world: &World) -> Running {
    sqlite::create(&world.db(), 1);
    fs::create_dir(world.path("home")).expect("ours");
    let top = "litekeeper:\n  app:\n    env: {GREETING: hello}\n    hide-env: [HIDDEN]\n    cwd: home\n  aliases: {main: app.db}\n";
    let config = world.config_of(top, [(world.db().as_path(), &world.replica())]);
    let trace = world.trace();
    let app = App::new(&trace).on_exit("TERM", 0).ready().wait();
    let running = Keeper::new(world).config(&config).app(app).start();
    trace.wait("ready");
    running
}

#[test]
fn a_command_beside_the_app_has_its_environment_and_folder_and_its_own_code() {
    let world = World::new();
    let running = start_with_section(&world);
    let script = "pwd; echo $GREETING-$HIDDEN-$KEPT; echo $LITEKEEPER_DATABASE_MAIN; exit 23";
    let keeper = operator(&world, "exec").env("HIDDEN", "secret").env("KEPT", "kept");
    let ended = keeper.args(["--", "sh", "-c", script]).run().expect_code(23);
    let root = world.root().display();
    assert_eq!(ended.stdout, format!("{root}/home\nhello--kept\n{root}/app.db\n"));
    // What it writes is replicated by the keeper that runs.
    let before = sqlite::count(&world.db());
    sqlite::insert(&world.db(), 3);
    running.stop(0);
    let config = world.path("litestream.yml");
    let restored = Backup::Config(&config, &world.db()).restore(&world, LATEST);
    assert_eq!(sqlite::count(&restored), before + 3);
}

#[test]
fn signals_and_what_cannot_be_started_are_as_without_it() {
    let world = World::new();
    let running = start_with_section(&world);
    operator(&world, "exec").args(["--", "no-such-command"]).run().expect_code(127);
    operator(&world, "exec").run().expect_code(2);
    let script = "trap 'echo told; exit 5' USR1; echo ready; while :; do read -t 1 x; done";
    let beside = operator(&world, "exec").args(["--", "bash", "-c", script]).piped_stdin().start();
    beside.wait_stdout("ready");
    beside.signal(Signal::SIGUSR1);
    let ended = beside.finish().expect_code(5);
    assert!(ended.stdout.contains("told"), "{}", ended.stdout);
    running.stop(0);
}

/// Both series read the configuration that they are given, from memory.
#[test]
fn anything_of_litestreams_runs_with_the_configuration() {
    for version in [LATEST, OLD] {
        for store in Store::all() {
            let world = World::new();
            sqlite::create(&world.db(), 10);
            let config = world.config(&store.replica(&world, "app"));
            litestream::back_up(&world, version, &config, &[&world.db()]);
            let run = |words: &[&str]| {
                operator(&world, "litestream").litestream(version).arg("--").args(words).run()
            };
            let ended = run(&["databases"]).expect_code(0);
            assert!(ended.stdout.contains(world.db().to_str().expect("UTF-8")), "{}", ended.stdout);
            let out = world.path("out.db");
            let db = world.db();
            let words = ["restore", "-o", out.to_str().expect("UTF-8"), db.to_str().expect("UTF-8")];
            run(&words).expect_code(0);
            assert_eq!(sqlite::count(&out), 10);
            // Its own code, and its own words.
            run(&words).expect_code(1).expect_log("cannot restore, output path already exists");
            assert!(world.list("").iter().all(|name| !name.ends_with(".yml") || name == "litestream.yml"));
        }
    }
}

/// The configuration's secrets are in no word and in no file: a program in the place of Litestream says what it got.
#[test]
fn secrets_are_in_no_word_of_the_command_line() {
    let world = World::new();
    let text = format!(
        "dbs:\n- path: {}\n  replica: {{url: \"s3://bucket/app\", access-key-id: AKIA, secret-access-key: \"${{THE_KEY}}\"}}\n",
        world.db().display()
    );
    world.write("litestream.yml", &text);
    let script = "#!/bin/sh\n[ \"$1\" = version ] && { echo 0.5.17; exit; }\necho \"words: $*\"; tr '\\0' ' ' < /proc/$$/cmdline; echo; cat \"$LITESTREAM_CONFIG\"; echo \"key: $THE_KEY\"; exit 7\n";
    let program = world.program("litestream", script);
    let keeper = operator(&world, "litestream").env("LITESTREAM_BINARY_PATH", program);
    let ended = keeper.env("THE_KEY", "hunter2").args(["--", "ltx", "-x"]).run().expect_code(7);
    let (words, rest) = ended.stdout.split_once("#").expect("the configuration");
    assert!(words.starts_with("words: ltx -x\n") && !words.contains("hunter2"), "{words}");
    assert!(rest.contains("${") && rest.contains("s3://bucket/app"), "{rest}");
    assert!(rest.contains("key: hunter2") && rest.matches("hunter2").count() == 1, "{rest}");
}

#[test]
fn what_would_undermine_a_keeper_is_refused_beside_it() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (1, ""));
    let db = world.db();
    let db = db.to_str().expect("UTF-8");
    let run = |words: &[&str]| operator(&world, "litestream").arg("--").args(words).run();
    for words in [&["replicate"][..], &["reset", db], &["restore", "-force", db]] {
        let ended = run(words).expect_code(75);
        let ended = ended.expect_log(&format!("{db}: another keeper runs on this database (pid "));
        ended.expect_log("hint: stop it first");
    }
    run(&["databases"]).expect_code(0);
    running.stop(0);
    // Nobody is in the way any more.
    assert!(Path::new(db).exists());
    run(&["reset", db]).expect_code(0);
    assert_eq!(sqlite::count(&world.db()), 1);
}

#[test]
fn what_a_keepers_litestream_may_not_be_told_is_refused_with_what_to_do() {
    let world = World::new();
    for (word, hint) in
        [("start", "`litekeeper run`"), ("stop", "TERM"), ("register", "reload"), ("unregister", "reload")]
    {
        let ended = operator(&world, word).args(["app.db", "-socket", "x"]).run().expect_code(64);
        ended
            .expect_log(&format!("is not told to {word} a database: "))
            .expect_log("hint: ")
            .expect_log(hint);
    }
    let running = quiet(&world, &Store::Folder, LATEST, (1, ""));
    for word in ["start", "stop", "register", "unregister", "sync"] {
        let ended = operator(&world, "litestream").args(["--", word, "app.db"]).run().expect_code(64);
        ended.expect_log("a keeper's litestream is ").expect_log("hint: ");
    }
    running.stop(0);
}

#[test]
fn what_an_old_litestream_has_not_is_one_line_with_the_one_that_has() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, OLD, (1, ""));
    for (command, since) in [("sync", "0.5.9"), ("info", "0.5.8"), ("list", "0.5.8")] {
        let ended = operator(&world, command).litestream(OLD).run().expect_code(64);
        assert_eq!(ended.log.lines().count(), 2, "{}", ended.log);
        ended.expect_log(&format!("litestream {since} has")).expect_log("hint: ");
    }
    running.stop(0);
}

#[test]
fn a_reset_moves_litestreams_files_aside_and_a_run_goes_on_from_there() {
    for version in [LATEST, OLD] {
        let world = World::new();
        let config = world.config(&world.replica());
        sqlite::create(&world.db(), 10);
        litestream::back_up(&world, version, &config, &[&world.db()]);
        let reset =
            |words: &[&str]| operator(&world, "reset").litestream(version).arg("app.db").args(words).run();
        let aside =
            || world.list("").into_iter().filter(|name| name.starts_with(".app.db-litestream.2")).count();
        let has = || world.path(".app.db-litestream").exists();
        let dry = reset(&["--dry-run", "--json"]).expect_code(0).expect_log("would be moved aside");
        assert_eq!(
            (read::<Value>(&dry.stdout)["result"].as_str(), aside(), has()),
            (Some("would-reset"), 0, true)
        );
        // Nobody can be asked.
        reset(&[]).expect_code(64).expect_log("hint: --yes");
        assert_eq!((aside(), has()), (0, true));
        let done = reset(&["--yes", "--json"]).expect_code(0).expect_log("kept as");
        assert_eq!(
            (read::<Value>(&done.stdout)["result"].as_str(), aside(), has()),
            (Some("reset"), 1, false)
        );
        let again = reset(&["--yes", "--json"]).expect_code(0);
        assert_eq!((read::<Value>(&again.stdout)["result"].as_str(), aside()), (Some("nothing"), 1));
        assert_eq!(sqlite::count(&world.db()), 10);
    }
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (1, ""));
    running.stop(0);
    operator(&world, "reset").args(["app.db", "--yes"]).run().expect_code(0);
    let keeper = Keeper::new(&world).config(&world.path("litestream.yml"));
    keeper.app(App::new(&world.trace()).insert(&world.db(), 3).exit(0)).run().expect_code(0);
    let rows = sqlite::count(&world.db());
    let restored = Backup::Config(&world.path("litestream.yml"), &world.db()).restore(&world, LATEST);
    assert_eq!(sqlite::count(&restored), rows);
}

#[test]
fn a_reset_is_refused_while_somebody_has_the_database() {
    let world = World::new();
    let running = quiet(&world, &Store::Folder, LATEST, (1, ""));
    let reset = || operator(&world, "reset").args(["app.db", "--yes"]).run().expect_code(75);
    reset().expect_log("another keeper runs on this database (pid ");
    running.stop(0);
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1]); c.execute('select count(*) from sqlite_schema')\nprint('open', flush=True)\nsys.stdin.read()";
    let mut app = Command::new("python3");
    app.args(["-c", script])
        .arg(world.db())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut app = app.spawn().expect("python3");
    let mut said = [0; 4];
    std::io::Read::read_exact(app.stdout.as_mut().expect("a pipe"), &mut said).expect("it says so");
    let ended = reset().expect_log(&format!("pid {} (`", app.id()));
    ended.expect_log("has it open").expect_log("hint: stop it first");
    drop(app.stdin.take());
    app.wait().expect("it ends");
    assert!(world.path(".app.db-litestream").exists());
}

#[test]
fn a_question_is_asked_on_a_terminal() {
    let world = World::new();
    let config = world.config(&world.replica());
    sqlite::create(&world.db(), 1);
    litestream::back_up(&world, LATEST, &config, &[&world.db()]);
    let (mut terminal, line) = operator(&world, "reset").arg("app.db").terminal();
    for (answer, code, stays) in [("n", 64, true), ("y", 0, false)] {
        terminal.line(&format!("{line}; echo en''d-{answer}-$?"));
        terminal.wait("[y/N]");
        terminal.line(answer);
        terminal.wait(&format!("end-{answer}-{code}"));
        assert_eq!(world.path(".app.db-litestream").exists(), stays);
    }
}

#[test]
fn what_is_not_there_is_not_called_synced() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let (db, other) = (world.db(), world.path("other.db"));
    let replicas = ["a", "b"].map(|name| Replica::folder(&world.path(name)));
    let config = world.config_of("", [(db.as_path(), &replicas[0]), (other.as_path(), &replicas[1])]);
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    let running = Keeper::new(&world).config(&config).app(app).start();
    world.trace().wait("ready");
    for args in [vec!["other.db"], vec!["other.db", "--wait"]] {
        operator(&world, "sync").args(args).run().expect_code(69).expect_log("the database is not there");
    }
    running.stop(0);
}
