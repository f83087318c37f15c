//! Waiting until a write is on its replica: `litekeeper wait`, and the keeper's socket as an app asks there.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{Backup, LATEST, OLD};
use crate::support::operator::{operator, printed, quiet, read};
use crate::support::process::Running;
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::store::Store;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::user::Shared;

/// A server with a bucket, as a store.
fn bucket() -> Store {
    let s3 = S3::start();
    s3.bucket("backups");
    Store::S3(s3)
}

fn s3(store: &Store) -> &S3 {
    match store {
        Store::S3(s3) => s3,
        Store::Folder => panic!("it is a bucket"),
    }
}

/// The socket of the only keeper in a world.
fn socket(world: &World) -> PathBuf {
    let runs = fs::read_dir(world.runtime_dir()).expect("a keeper runs").flatten();
    let found = runs.map(|run| run.path().join("keeper.sock")).find(|path| path.exists());
    found.expect("it listens")
}

/// Says it there, and listens to the answer.
fn say(socket: &Path, said: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(socket).expect("a keeper listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time");
    stream.write_all(said.as_bytes()).expect("it takes it");
    BufReader::new(stream)
}

fn answer(mut listener: BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    listener.read_line(&mut line).expect("it answers");
    read(&line)
}

/// Ends everything at once, as a machine does that dies; the first to go is who could still upload.
fn die(running: Running) {
    running.kill(&running.litestream(), Signal::SIGKILL);
    for process in running.tree() {
        process.signal(Signal::SIGKILL);
    }
    running.finish();
}

/// Which rows a plain restore has.
fn restored(world: &World) -> Vec<i64> {
    let config = world.path("litestream.yml");
    sqlite::ids(&Backup::Config(&config, &world.db()).restore(world, LATEST))
}

#[test]
fn what_was_written_right_before_a_wait_survives_the_death_of_everything() {
    for store in Store::all() {
        let world = World::new();
        let running = quiet(&world, &store, LATEST, (1, ""));
        let row = sqlite::insert(&world.db(), 1);
        let ended = operator(&world, "wait").args(["--json"]).run().expect_code(0);
        die(running);
        let waited = read::<Value>(&ended.stdout);
        assert_eq!((&waited["result"], &waited["more"]), (&"durable".into(), &0.into()), "{waited}");
        let one = &waited["databases"][0];
        assert_eq!(one["path"], world.db().to_str().expect("UTF-8"));
        assert!(one["durable"] == true && one["txid"] == one["replicated_txid"], "{waited}");
        assert!(restored(&world).contains(&row), "row {row} is gone");
    }
}

#[test]
fn two_hundred_who_wait_at_once_share_a_handful_of_uploads() {
    let (world, store) = (World::new(), bucket());
    let running = quiet(&world, &store, LATEST, (1, ""));
    operator(&world, "wait").run().expect_code(0);
    let socket = socket(&world);
    let before = s3(&store).puts();
    let row = sqlite::insert(&world.db(), 200);
    let waiters: Vec<_> = (0..200).map(|_| say(&socket, "wait\nwithin 100000\n")).collect();
    for waiter in waiters {
        assert_eq!(answer(waiter)["result"], "durable");
    }
    let puts = s3(&store).puts() - before;
    assert!(puts <= 12, "{puts} uploads");
    die(running);
    assert!(restored(&world).contains(&row));
}

#[test]
fn a_replica_that_is_away_is_74_that_says_how_far_it_is_and_durable_once_it_is_back() {
    let (world, store) = (World::new(), bucket());
    let running = quiet(&world, &store, LATEST, (1, ""));
    operator(&world, "wait").run().expect_code(0);
    s3(&store).pause();
    let row = sqlite::insert(&world.db(), 1);
    let ended = operator(&world, "wait").args(["app.db", "--timeout", "3s", "--json"]).run().expect_code(74);
    let waited = read::<Value>(&ended.stdout);
    let one = &waited["databases"][0];
    assert_eq!((&waited["result"], &one["durable"]), (&"timeout".into(), &false.into()), "{waited}");
    assert!(one["txid"].is_string() && one["replicated_txid"].is_string(), "{waited}");
    assert!(one["lag_seconds"].as_f64().is_some_and(|age| age > 0.0), "{waited}");
    let ended = ended.expect_log("s3://backups/app was confirmed up to").expect_log("hint: ");
    assert!(ended.log.contains(&*world.db().to_string_lossy()), "{}", ended.log);
    s3(&store).resume();
    operator(&world, "wait").args(["--timeout", "100s"]).run().expect_code(0);
    die(running);
    assert!(restored(&world).contains(&row));
}

#[test]
fn a_litestream_that_dies_while_somebody_waits_leaves_the_answer_to_the_next() {
    let (world, store) = (World::new(), bucket());
    let running = quiet(&world, &store, LATEST, (1, ""));
    operator(&world, "wait").run().expect_code(0);
    s3(&store).pause();
    let row = sqlite::insert(&world.db(), 1);
    let asked = s3(&store).requests();
    let waiter = say(&socket(&world), "wait\nwithin 100000\ndatabase app.db\n");
    s3(&store).wait_requests(asked + 1);
    running.kill(&running.litestream(), Signal::SIGKILL);
    s3(&store).resume();
    let waited = answer(waiter);
    assert_eq!(waited["result"], "durable", "{waited}\n{}", running.log());
    world.trace().wait_nth(2, "ready");
    die(running);
    assert!(restored(&world).contains(&row));
}

#[test]
fn nobody_waits_for_what_this_litestream_or_keeper_does_not_know() {
    let (world, store) = (World::new(), Store::Folder);
    let running = quiet(&world, &store, OLD, (1, ""));
    let ended = operator(&world, "wait").litestream(OLD).run().expect_code(64);
    ended.expect_log("litestream 0.3.13 confirms nothing: litestream 0.5.9 does").expect_log("hint: ");
    let waited = answer(say(&socket(&world), "wait\n"));
    assert_eq!((&waited["result"], &waited["exit_code"]), (&"not-confirmable".into(), &64.into()));
    running.stop(0);
    let none = operator(&world, "wait").litestream(OLD).run().expect_code(69);
    none.expect_log("no keeper runs on").expect_log("hint: `litekeeper run` starts one");
}

#[test]
fn a_database_is_named_by_path_alias_or_base_name() {
    let world = World::new();
    let names = ["one.db", "two.db"];
    let databases = names.map(|name| world.path(name));
    databases.iter().for_each(|path| sqlite::create(path, 1));
    let replicas = names.map(|name| Store::Folder.replica(&world, &format!("replica-{name}")));
    let top = "litekeeper:\n  aliases: {first: one.db, second: two.db}\n";
    let config = world.config_of(top, databases.iter().map(|path| path.as_path()).zip(&replicas));
    let trace = world.trace();
    let app = App::new(&trace).on_exit("TERM", 0).ready().wait();
    let running = Keeper::new(&world).config(&config).app(app).start();
    trace.wait("ready");
    let paths = |waited: &Value| -> Vec<String> {
        let all = waited["databases"].as_array().expect("a list").iter();
        all.map(|one| one["path"].as_str().expect("a path").to_owned()).collect()
    };
    let own = |name: &str| world.path(name).to_str().expect("UTF-8").to_owned();
    for (word, name) in [("first", "one.db"), ("second", "two.db"), ("two.db", "two.db")] {
        let waited: Value = printed(operator(&world, "wait").args([word]), 0);
        assert_eq!(paths(&waited), [own(name)], "{word}");
        let waited = answer(say(&socket(&world), &format!("wait\ndatabase {word}\n")));
        assert_eq!((paths(&waited), &waited["result"]), (vec![own(name)], &"durable".into()), "{word}");
    }
    assert_eq!(paths(&printed(operator(&world, "wait"), 0)), [own("one.db"), own("two.db")]);
    assert_eq!(paths(&answer(say(&socket(&world), &format!("wait\ndatabase {}\n", own("two.db"))))).len(), 1);
    let ended = operator(&world, "wait").args(["three.db"]).run().expect_code(64);
    ended.expect_log("`three.db` is no database").expect_log("hint: these are:");
    let waited = answer(say(&socket(&world), "wait\ndatabase three.db\n"));
    assert_eq!((&waited["result"], &waited["exit_code"]), (&"unknown-database".into(), &64.into()));
    running.stop(0);
}

#[test]
fn a_file_that_is_gone_or_another_is_never_called_durable() {
    let (world, store) = (World::new(), Store::Folder);
    let running = quiet(&world, &store, LATEST, (1, ""));
    operator(&world, "wait").run().expect_code(0);
    // The last look may be a second ago, and Litestream has the old file open.
    sqlite::create(&world.path("new.db"), 3);
    fs::rename(world.path("new.db"), world.db()).expect("ours");
    let began = Instant::now();
    let waited: Value = printed(operator(&world, "wait").args(["--timeout", "100s"]), 74);
    assert_eq!(waited["result"], "replaced", "{waited}");
    assert!(began.elapsed() < DEADLINE / 2, "nobody waits for what cannot come");
    let again = answer(say(&socket(&world), "wait\nwithin 100000\n"));
    assert_eq!((&again["result"], &again["exit_code"]), (&"replaced".into(), &74.into()));
    fs::remove_file(world.db()).expect("ours");
    let gone = answer(say(&socket(&world), "wait\nwithin 100000\n"));
    assert_eq!(gone["exit_code"], 74, "{gone}");
    running.stop(74);
}

#[test]
fn a_file_that_nobody_has_made_yet_is_waited_for() {
    let world = World::new();
    let keeper = Keeper::new(&world).db(&world.db()).replica(&world.replica_url());
    let app = App::new(&world.trace()).on_exit("TERM", 0).ready().wait();
    let running = keeper.app(app).start();
    world.trace().wait("ready");
    let waited = answer(say(&socket(&world), "wait\nwithin 1000\n"));
    assert_eq!((&waited["result"], &waited["exit_code"]), (&"timeout".into(), &74.into()), "{waited}");
    assert!(waited["error"].as_str().is_some_and(|why| why.contains("the file is not there")), "{waited}");
    let waiter = say(&socket(&world), "wait\nwithin 100000\n");
    sqlite::create(&world.db(), 7);
    assert_eq!(answer(waiter)["result"], "durable");
    die(running);
    let url = world.replica_url();
    assert_eq!(sqlite::count(&Backup::Url(&url).restore(&world, LATEST)), 7);
}

#[test]
fn what_appears_in_a_folder_is_waited_for_until_litestream_has_it() {
    let world = World::new();
    let text = format!(
        "dbs:\n  - {{dir: {data}, pattern: '*.db', watch: true, replica: {{type: file, path: {replica}}}}}\n",
        data = world.path("data").display(),
        replica = world.path("replica").display()
    );
    let (config, trace) = (world.write("folder.yml", &text), world.trace());
    let (first, second) = (world.path("data/a.db"), world.path("data/b.db"));
    fs::create_dir(world.path("data")).expect("ours");
    sqlite::create(&first, 1);
    let app = App::new(&trace).on_exit("TERM", 0).ready().wait();
    let running = Keeper::new(&world).config(&config).app(app).start();
    trace.wait("ready");
    sqlite::create(&second, 5);
    // Nobody has looked at the folder since.
    wait_until("the keeper to know it", DEADLINE, || {
        let waited = answer(say(&socket(&world), "wait\nwithin 100000\ndatabase b.db\n"));
        assert!(
            ["durable", "unknown-database"].contains(&waited["result"].as_str().expect("a word")),
            "{waited}"
        );
        waited["result"] == "durable"
    });
    die(running);
    let backup =
        Backup::Url(&format!("file://{}", world.path("replica/b.db").display())).restore(&world, LATEST);
    assert_eq!(sqlite::count(&backup), 5);
}

/// What an app does that writes and waits, in Python, as it is in the manual.
const APP: &str = "\
import json, os, signal, socket, sqlite3, sys
def wait():
    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.connect(os.environ['LITEKEEPER_SOCKET'])
        keeper.sendall(b'wait\\nwithin 100000\\n')
        return json.loads(keeper.makefile().readline())
def insert():
    with sqlite3.connect(sys.argv[1], timeout=100) as db:
        db.execute('CREATE TABLE IF NOT EXISTS late (id INTEGER)')
        db.execute('INSERT INTO late VALUES (1)')
def stop(*_):
    insert()
    print('at the end', wait()['result'], flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
insert()
print('at first', wait()['result'], flush=True)
while True:
    signal.pause()
";

#[test]
fn an_app_waits_by_the_socket_that_it_is_told_also_when_it_is_asked_to_stop() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let keeper = Keeper::new(&world).db(&world.db()).replica(&world.replica_url());
    // A keeper of a keeper's: it is not that one's.
    let keeper = keeper.env("LITEKEEPER_SOCKET", "/nowhere").args(["--stop-timeout", "60s"]);
    let app = ["python3".into(), "-c".into(), APP.into(), world.db().into_os_string()];
    let running = keeper.app(app).start();
    running.wait_stdout("at first durable");
    running.stop(0).expect_output("at the end durable");
}

#[test]
fn the_socket_is_open_to_the_user_that_the_app_runs_as() {
    let shared = Shared::new();
    let program = shared
        .world
        .program("app", &format!("#!/bin/sh\nexec python3 -c \"$(cat <<'END'\n{APP}\nEND\n)\" \"$1\"\n"));
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    let running = shared.keeper_of(vec![program.into_os_string(), shared.db().into_os_string()]).start();
    running.wait_stdout("at first durable");
    running.stop(0).expect_output("at the end durable");
}

#[test]
fn a_command_below_the_app_needs_no_configuration_and_a_client_may_say_all_that_it_has_to_and_close() {
    let (world, store) = (World::new(), Store::Folder);
    let running = quiet(&world, &store, LATEST, (1, ""));
    let socket = socket(&world);
    let elsewhere = World::new();
    let below = || operator(&elsewhere, "wait").env("LITEKEEPER_SOCKET", &socket);
    below().run().expect_code(0).expect_output(&world.db().to_string_lossy());
    below().args(["app.db"]).run().expect_code(0);
    below().args(["other.db"]).run().expect_code(64).expect_log("`other.db` is no database of this keeper");
    let half = say(&socket, "wait\nwithin 100000\n");
    half.get_ref().shutdown(std::net::Shutdown::Write).expect("it is open");
    assert_eq!(answer(half)["result"], "durable");
    // A path has room.
    let long = format!("wait\ndatabase /{}\n", "x".repeat(4000));
    assert_eq!(answer(say(&socket, &long))["result"], "unknown-database");
    let program = ["sh", "-c", "echo \"it is $LITEKEEPER_SOCKET\""];
    let beside = operator(&world, "exec").app(program).run().expect_code(0);
    beside.expect_output(&format!("it is {}", socket.display()));
    running.stop(0);
}

#[test]
fn who_waits_when_the_keeper_stops_is_told_so() {
    let (world, store) = (World::new(), bucket());
    let running = quiet(&world, &store, LATEST, (1, ""));
    operator(&world, "wait").run().expect_code(0);
    s3(&store).pause();
    sqlite::insert(&world.db(), 1);
    let asked = s3(&store).requests();
    let waiter = say(&socket(&world), "wait\nwithin 100000\n");
    s3(&store).wait_requests(asked + 1);
    running.signal(Signal::SIGTERM);
    let waited = answer(waiter);
    assert_eq!((&waited["result"], &waited["exit_code"]), (&"stopping".into(), &69.into()), "{waited}");
    s3(&store).resume();
    running.finish();
}

#[test]
fn who_hangs_up_is_forgotten() {
    let (world, store) = (World::new(), bucket());
    let running = quiet(&world, &store, LATEST, (1, ""));
    operator(&world, "wait").run().expect_code(0);
    s3(&store).pause();
    sqlite::insert(&world.db(), 1);
    let keeper = running.keeper();
    let sockets = || {
        let fds = fs::read_dir(format!("/proc/{}/fd", keeper.pid)).expect("it lives").flatten();
        fds.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:")))
            .count()
    };
    let before = sockets();
    let waiters: Vec<_> = (0..50).map(|_| say(&socket(&world), "wait\nwithin 10000000\n")).collect();
    wait_until("all to be heard", DEADLINE, || sockets() >= before + 50);
    drop(waiters);
    wait_until("none to be left", DEADLINE, || sockets() <= before);
    s3(&store).resume();
    running.stop(0);
}
