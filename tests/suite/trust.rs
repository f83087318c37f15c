//! What is promised against an app, and against others on the same machine: nothing of root's by path in folders of
//! others, never two keepers on one file, and no app that goes on writing behind the last confirmation.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::process::Running;
use crate::support::unit;
use crate::support::world::World;
use crate::support::{sqlite, strace};
use crate::user::Shared;

const LOCK: &str = ".app.db-litekeeper.lock";

/// Says that a test says nothing here, so that nobody takes it for one that passed.
fn does_not_apply(why: &str) {
    // Not by `eprintln!`, which is shown of tests that fail only.
    let _ = writeln!(std::io::stderr(), "NOT APPLICABLE, so not tested: {why}");
}

/// Another user's files are at stake only where root is.
fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        does_not_apply("this needs root, who acts for another user");
    }
    is_root
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("it is there").permissions().mode() & 0o7777
}

/// A shared world whose configuration has a resolver that prints what a file says.
fn with_resolver(shared: &Shared) -> std::path::PathBuf {
    let world = &shared.world;
    world.write("answer", "[]");
    fs::set_permissions(world.path("answer"), Permissions::from_mode(0o644)).expect("ours");
    world.write(
        "litestream.yml",
        &serde_json::json!({
            "litekeeper": {"resolver": {"command": ["cat", world.path("answer")]}},
            "dbs": [{"path": shared.db(), "replica": {"path": world.path("data/replica")}}],
        })
        .to_string(),
    )
}

fn keeper(shared: &Shared, config: &Path) -> Keeper {
    let keeper = Keeper::new(&shared.world).config(config);
    keeper.env("LITESTREAM_BINARY_PATH", shared.world.path("litestream"))
}

fn start(shared: &Shared, keeper: Keeper, app: App) -> Running {
    let mut words: Vec<_> = app.into_iter().collect();
    words[0] = shared.world.path("probe").into();
    keeper.args(["--user", "nobody"]).app(words).start()
}

/// Everything that root does in folders of the app's user, it does as that user or by a descriptor.
#[test]
fn root_does_nothing_by_path_below_a_folder_of_the_apps_user() {
    if !is_root() {
        return;
    }
    if !strace::is_there() {
        // It is installed by .ci/run: without it nothing holds the rule.
        panic!("this test needs strace, and may trace: apt-get install strace");
    }
    let shared = Shared::new();
    let (world, db, trace) = (&shared.world, shared.db(), shared.world.trace());
    let config = with_resolver(&shared);
    let theirs = [world.path("data/"), world.runtime_dir().join("run-")];
    let theirs = theirs.map(|path| path.display().to_string());
    let mut traced = Vec::new();
    let mut file = |name: &str| {
        let path = world.path(&format!("strace-{name}"));
        traced.push(path.clone());
        strace::wrapper(&path)
    };
    let app = || App::new(&trace).on_last("TERM", &db, 0).insert_forever(&db, 3);
    let unit = start(&shared, keeper(&shared, &config).wrapped(file("first")), app());
    trace.wait_acked(10);
    let tenant = serde_json::json!([{"path": world.path("data/tenants/a.db"), "replica": {"path": world.path("data/a")}}]);
    fs::write(world.path("answer"), tenant.to_string()).expect("ours");
    let reload = keeper(&shared, &config).command("reload").wrapped(file("reload"));
    reload.run().expect_code(0).expect_output("added");
    // It is looked at once a second.
    fs::remove_file(world.path("data").join(LOCK)).expect("root may");
    unit.wait_log(1, "taken anew");
    let check = keeper(&shared, &config).command("check").args(["--user", "nobody", "--online"]);
    let check = check.wrapped(file("check")).run();
    assert!(check.log.contains("keeper") || check.stdout.contains("keeper"), "{check:?}");
    unit.stop(0);
    for name in ["app.db", "app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(world.path("data").join(name));
    }
    let unit = start(&shared, keeper(&shared, &config).wrapped(file("restore")), app());
    unit.wait_log(1, "restored ");
    trace.wait_acked(trace.acked().len() + 5);
    unit.stop(0);
    for path in traced {
        let found = strace::by_path(&path, &theirs, !path.ends_with("strace-check"));
        assert_eq!(found, [""; 0], "{}", path.display());
    }
}

/// What a lock's name may stand for instead: the file of somebody else is as it was, and nothing is waited for.
#[test]
fn whatever_stands_in_the_place_of_a_lock_is_left_as_it_is() {
    let world = World::new();
    let victim = world.write("victim", "precious");
    let lock = world.path(LOCK);
    let run = |what: &str| {
        let ended = unit::keeper(&world).app(["true"]).run().expect_code(78);
        let ended = ended.expect_log(".app.db-litekeeper.lock: it ").expect_log("hint: ");
        assert_eq!(fs::read_to_string(&victim).expect("ours"), "precious", "{what}: {}", ended.log);
    };
    symlink(&victim, &lock).expect("a link");
    run("a link");
    fs::remove_file(&lock).expect("ours");
    fs::hard_link(&victim, &lock).expect("another name");
    run("another name");
    fs::remove_file(&lock).expect("ours");
    symlink(world.db(), &lock).expect("a link");
    run("a link to the database");
    fs::remove_file(&lock).expect("ours");
    mkfifo(&lock, Mode::S_IRWXU).expect("a pipe");
    run("a pipe");
    fs::remove_file(&lock).expect("ours");
    fs::create_dir(&lock).expect("a folder");
    run("a folder");
    fs::remove_dir(&lock).expect("ours");
    world.write(LOCK, "");
    fs::set_permissions(&lock, Permissions::from_mode(0o644)).expect("ours");
    unit::keeper(&world).app(["true"]).run().expect_code(0);
    assert_eq!(mode(&lock), 0o600, "whoever can open it can hold it");
}

#[test]
fn a_folder_that_only_root_can_make_is_not_made_because_a_resolver_says_so() {
    if !is_root() {
        return;
    }
    let shared = Shared::new();
    let (world, db, trace) = (&shared.world, shared.db(), shared.world.trace());
    let config = with_resolver(&shared);
    let unit =
        start(&shared, keeper(&shared, &config), App::new(&trace).on_exit("TERM", 0).insert_forever(&db, 3));
    trace.wait_acked(1);
    fs::create_dir(world.path("roots")).expect("a folder");
    for name in ["roots/new/x.db", "roots/x.db"] {
        let answer =
            serde_json::json!([{"path": world.path(name), "replica": {"path": world.path("data/x")}}]);
        fs::write(world.path("answer"), answer.to_string()).expect("ours");
        let ended = keeper(&shared, &config).command("reload").run();
        assert!(ended.status.code() != Some(0), "{ended:?}");
    }
    assert_eq!(world.list("roots"), [""; 0]);
    assert_eq!(fs::metadata(world.path("roots")).expect("it is there").uid(), 0);
    unit.stop(0);
}

/// A fresh volume of Docker's is an empty folder of root's.
#[test]
fn an_empty_folder_of_roots_is_given_to_the_user() {
    if !is_root() {
        return;
    }
    for name in [None, Some(LOCK), Some("lost+found")] {
        let shared = Shared::new();
        let (data, db, trace) = (shared.world.path("data"), shared.db(), shared.world.trace());
        chown(&data, Some(0), Some(0)).expect("root may");
        if let Some(name) = name {
            fs::write(data.join(name), "").expect("root may");
        }
        let unit = shared.start(App::new(&trace).on_exit("TERM", 0).insert_forever(&db, 3));
        trace.wait_acked(1);
        unit.stop(0);
        assert_ne!(fs::metadata(&data).expect("it is there").uid(), 0, "{name:?}");
    }
    let shared = Shared::new();
    chown(shared.world.path("data"), Some(0), Some(0)).expect("root may");
    fs::write(shared.world.path("data/other"), "").expect("root may");
    let unit = shared.start(App::new(&shared.world.trace()).wait());
    unit.finish().expect_code(78).expect_log("cannot write into the folder");
}

#[test]
fn whoever_locks_the_runtime_root_holds_nobody_up() {
    let world = World::new();
    let root = world.path("root");
    fs::create_dir(&root).expect("a folder");
    fs::set_permissions(&root, Permissions::from_mode(0o755)).expect("ours");
    let held = File::open(&root).expect("anybody may");
    held.lock().expect("nobody else has it");
    mkfifo(&root.join("run-1"), Mode::S_IRWXU).expect("a pipe");
    fs::create_dir(root.join("run-2")).expect("a folder");
    mkfifo(&root.join("run-2/lock"), Mode::S_IRWXU).expect("a pipe");
    let keeper = unit::keeper(&world).env("LITEKEEPER_RUNTIME_DIR", &root);
    keeper.app(["true"]).run().expect_code(0);
    let lock = File::create(root.join("lock")).expect("ours");
    lock.lock().expect("nobody else has it");
    let keeper = unit::keeper(&world).env("LITEKEEPER_RUNTIME_DIR", &root);
    keeper.app(["true"]).run().expect_code(78).expect_log("somebody has held its lock for 5 s");
}

#[test]
fn a_runtime_root_that_somebody_else_has_made_is_passed_over() {
    let world = World::new();
    let temp = world.path("tmp");
    fs::create_dir(&temp).expect("a folder");
    let theirs = temp.join(format!("litekeeper-{}", geteuid()));
    fs::create_dir(&theirs).expect("a folder");
    fs::set_permissions(&theirs, Permissions::from_mode(0o777)).expect("ours");
    // Nothing can be made there, by nobody.
    let wrapper = ["env", "-u", "LITEKEEPER_RUNTIME_DIR", "-u", "XDG_RUNTIME_DIR"];
    let isolated = crate::support::wrap::read_only(Path::new("/run"));
    let keeper = unit::keeper(&world).env("TMPDIR", &temp).app(["true"]);
    let ended = keeper.wrapped(isolated.into_iter().chain(wrapper.map(str::to_owned))).run().expect_code(0);
    let ended = ended.expect_log(&theirs.display().to_string());
    ended.expect_log("the runtime folder is");
    assert_eq!(fs::read_dir(&temp).expect("ours").count(), 1, "nothing is left of it");
}

/// Whoever owns a folder puts something else in the place of what is in it.
#[test]
fn a_runtime_root_below_a_folder_of_somebody_else_is_passed_over() {
    if !geteuid().is_root() {
        return;
    }
    for (name, owner, mode) in [("theirs", 1234, 0o755), ("open", 0, 0o777)] {
        let world = World::new();
        let above = world.path(name);
        fs::create_dir_all(above.join("a")).expect("a folder");
        std::os::unix::fs::chown(&above, Some(owner), None).expect("root may");
        fs::set_permissions(&above, Permissions::from_mode(mode)).expect("root may");
        std::os::unix::fs::symlink("/tmp", above.join("link")).expect("root may");
        for (root, place) in [("a/root", &above), ("link/litekeeper-no-such", &above)] {
            let root = above.join(root);
            let keeper = unit::keeper(&world).env("LITEKEEPER_RUNTIME_DIR", &root).app(["true"]);
            let ended = keeper.run().expect_code(78).expect_log("they decide what is below it");
            ended.expect_log(&place.display().to_string());
            assert!(!root.exists());
        }
        let unset = ["env", "-u", "LITEKEEPER_RUNTIME_DIR"].map(str::to_owned);
        let isolated = crate::support::wrap::read_only(Path::new("/run"));
        let keeper = unit::keeper(&world).env("XDG_RUNTIME_DIR", above.join("a"));
        let keeper = keeper.env("TMPDIR", world.path("."));
        keeper.app(["true"]).wrapped(isolated.into_iter().chain(unset)).run().expect_code(0);
        assert_eq!(fs::read_dir(above.join("a")).expect("root may").count(), 0);
    }
}

/// The place of a run whose number comes again, and is full.
#[test]
fn what_an_app_left_in_the_runtime_folder_delays_no_stop() {
    let world = World::new();
    let root = world.path("root");
    let left = root.join("run-1/left");
    fs::create_dir_all(&left).expect("a folder");
    fs::set_permissions(&root, Permissions::from_mode(0o700)).expect("ours");
    fs::write(root.join("run-1/lock"), "").expect("ours");
    for number in 0..60_000 {
        fs::write(left.join(number.to_string()), "").expect("ours");
    }
    let start = || unit::keeper(&world).env("LITEKEEPER_RUNTIME_DIR", &root).app(["true"]).run();
    start().expect_code(0);
    let starts = (1..).take_while(|_| {
        start().expect_code(0);
        root.join("run-1").exists()
    });
    assert!(starts.count() < 60, "each start removes some of it");
}

#[test]
fn a_lock_that_is_removed_is_taken_anew_and_keeps_others_away() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let first = unit::start_writing(&world, unit::keeper(&world));
    fs::remove_file(world.path(LOCK)).expect("ours");
    // The file itself is locked as well, so it does not matter who is first.
    unit::keeper(&world).app(["true"]).run().expect_code(75);
    first.wait_log(1, "taken anew");
    unit::keeper(&world).app(["true"]).run().expect_code(75).expect_log(&format!("pid {}", first.pid()));
    first.stop(0);
    unit::assert_nothing_lost(&world, &world.trace());
}

#[test]
fn another_name_of_the_same_file_is_the_same_database() {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let first = unit::start_writing(&world, unit::keeper(&world));
    let other = world.path("elsewhere/other.db");
    fs::create_dir(world.path("elsewhere")).expect("a folder");
    fs::hard_link(world.db(), &other).expect("another name");
    let second = Keeper::new(&world).db(&other).replica(&world.replica_url());
    second.app(["true"]).run().expect_code(75).expect_log("the same file under another name");
    first.stop(0);
}

#[test]
fn a_lock_that_another_keeper_got_ends_this_one() {
    let world = World::new();
    let trace = world.trace();
    let first = unit::start_writing(&world, unit::keeper(&world));
    // One that does not know of the other lock, or has a file of its own under that name.
    let other = world.write("other", "pid 1\n");
    let held = File::open(&other).expect("ours");
    held.lock().expect("nobody else has it");
    fs::rename(&other, world.path(LOCK)).expect("ours");
    first.finish().expect_code(75).expect_log("another keeper");
    unit::assert_nothing_lost(&world, &trace);
}

/// The shim runs as the same user as its app, which can stop it.
#[test]
fn an_app_that_stops_its_shim_writes_nothing_behind_the_last_confirmation() {
    for leaves in [false, true] {
        let world = World::new();
        let (db, trace) = (world.db(), world.trace());
        let writer = App::new(&trace).ignore("TERM").insert_forever(&db, 3);
        let app =
            if leaves { App::new(&trace).ignore("TERM").spawn("setsid", &writer).wait() } else { writer };
        let unit = unit::keeper(&world).args(["--stop-timeout", "20s"]).app(app).start();
        trace.wait_acked(10);
        unit.shim().signal(Signal::SIGSTOP);
        let ended = unit.stop(143).expect_log("everything is on the replica");
        assert!(ended.log.contains("killing both"), "{}", ended.log);
        unit::assert_nothing_lost(&world, &trace);
    }
}

/// The shim and Litestream run as the user of the app, which can take their descriptors.
#[test]
fn an_app_that_speaks_for_its_shim_writes_nothing_behind_the_last_confirmation() {
    let world = World::new();
    let (db, trace, go) = (world.db(), world.trace(), world.path("go"));
    let writer = App::new(&trace).ignore("TERM").insert_forever(&db, 3);
    let app = App::new(&trace).ignore("TERM").spawn("child", &writer).once(&world.path("once"));
    let app = app.until(&go).forge().wait();
    let unit = unit::keeper(&world).args(["--stop-timeout", "20s", "--restart", "never"]).app(app).start();
    trace.wait_acked(10);
    unit.shim().signal(Signal::SIGSTOP);
    world.write("go", "");
    unit.wait_log(1, "somebody said in the name of its shim that the app");
    unit.stop(143).expect_log("everything is on the replica");
    unit::assert_nothing_lost(&world, &trace);
}

/// What it says of the shim is looked at as well: of a stranger nothing would be found below.
#[test]
fn an_app_that_has_another_shim_greet_writes_nothing_behind_the_last_confirmation() {
    for stops in [true, false] {
        let world = World::new();
        let (db, trace, go) = (world.db(), world.trace(), world.path("go"));
        let mut stranger =
            std::process::Command::new("sleep").arg("1000").spawn().expect("sleep is everywhere");
        let writer = App::new(&trace).ignore("TERM").insert_forever(&db, 3);
        let app = App::new(&trace).ignore("TERM").spawn("child", &writer).once(&world.path("once"));
        let app = app.until(&go).greet(stranger.id()).wait();
        let unit =
            unit::keeper(&world).args(["--stop-timeout", "20s", "--restart", "never"]).app(app).start();
        trace.wait_acked(10);
        if stops {
            unit.shim().signal(Signal::SIGSTOP);
        }
        world.write("go", "");
        unit.wait_log(1, "somebody said in the name of its shim that the app");
        let ended = unit.stop(143).expect_log("everything is on the replica");
        assert!(ended.log.contains("killing both"), "{}", ended.log);
        unit::assert_nothing_lost(&world, &trace);
        stranger.kill().and_then(|()| stranger.wait()).expect("ours");
    }
}
