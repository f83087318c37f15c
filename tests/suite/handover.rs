//! What the app starts with: its words, its environment, its descriptors, its folder, as if nobody stood in between.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::manager::Manager;
use crate::support::procfs::MARK;
use crate::support::unit;
use crate::support::world::World;
use crate::support::wrap;

#[test]
fn argv_arrives_exactly() {
    let world = World::new();
    let trace = world.trace();
    let mut odd: Vec<OsString> = [
        "",
        " ",
        "'",
        "\"",
        "\\",
        "a b",
        "line\nline",
        "\t",
        "$HOME",
        "${X}",
        "`id`",
        "&&",
        ";",
        "|",
        "*",
        "~",
        "à",
        "--",
        "--db",
    ]
    .map(Into::into)
    .into();
    odd.push(OsString::from_vec(vec![0xff, 0xfe, 1]));
    odd.push(OsString::from_vec((1..=255).collect()));
    odd.push("x".repeat(100_000).into());
    odd.push("".into());
    let app = App::new(&trace).words(["argv", "--"]).words(&odd);
    unit::keeper(&world).app(app).run().expect_code(0);
    let got = trace.wait("argv").decoded();
    assert!(got[got.len() - odd.len()..] == odd, "{got:?}");
}

#[test]
fn an_environment_of_a_megabyte_arrives_exactly() {
    let world = World::new();
    let trace = world.trace();
    let value =
        |n: u8| OsString::from_vec((0..100_000).map(|at: u32| (at % 251) as u8 + 1 + n % 4).collect());
    let mut app = App::new(&trace);
    let mut keeper = unit::keeper(&world);
    for n in 0..10 {
        let name = format!("BIG_{n}");
        keeper = keeper.env(&name, value(n));
        app = app.words(["env", &name]);
    }
    keeper = keeper.env("EMPTY", "").env("ODD", OsStr::from_bytes(b"\xff='\"\n$X"));
    keeper.app(app.words(["env", "EMPTY", "env", "ODD"])).run().expect_code(0);
    let all: Vec<_> = trace.all("env").iter().map(|event| event.decoded().pop().expect("a value")).collect();
    for n in 0..10 {
        assert!(all[usize::from(n)] == value(n), "BIG_{n} is another");
    }
    assert_eq!(all[10], "");
    assert_eq!(all[11], OsStr::from_bytes(b"\xff='\"\n$X"));
}

/// No variable of the keeper's making but for where the database and the keeper's socket are, and above all none of Litestream's copies of the credentials.
#[test]
fn the_environment_is_the_users() {
    let world = World::new();
    let keeper = unit::keeper(&world).env("LITESTREAM_ACCESS_KEY_ID", "a-key").env("MINE", "1").app(["env"]);
    let stdout = keeper.run().expect_code(0).stdout;
    let mut names: Vec<_> = stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    let own = [
        "LITEKEEPER_DATABASE",
        "LITEKEEPER_RUNTIME_DIR",
        "LITEKEEPER_SOCKET",
        "LITESTREAM_BINARY_PATH",
        "LITESTREAM_ACCESS_KEY_ID",
    ];
    let mut expected = vec!["HOME", "LANG", "MINE", "PATH", MARK];
    expected.extend(own);
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn the_working_directory_is_the_keepers() {
    let world = World::new();
    let trace = world.trace();
    let folder = world.path("a folder à");
    std::fs::create_dir(&folder).expect("the world can be written");
    unit::keeper(&world).cwd(&folder).app(App::new(&trace).words(["cwd"])).run().expect_code(0);
    assert_eq!(trace.wait("cwd").decoded(), [folder.into_os_string()]);
}

/// The folder itself, and not what stands under its name at a restart.
#[test]
fn a_folder_that_is_renamed_or_deleted_is_still_the_apps() {
    for (named, deleted) in [(false, false), (false, true), (true, false), (true, true)] {
        let world = World::new();
        let trace = world.trace();
        let (folder, gate) = (world.path("folder"), world.path("gate"));
        std::fs::create_dir(&folder).expect("the world can be written");
        // It looks after the folder has gone, and so do its successors.
        let probe = App::new(&trace).ready().until(&gate).line();
        let app = ["sh".to_owned(), "-c".to_owned(), format!("{probe}; readlink /proc/$$/cwd; exit 1")];
        let keeper = unit::keeper(&world).args(["--restart-delay", "10ms", "--start-limit", "2"]);
        let keeper = match named {
            true => keeper.args([std::ffi::OsStr::new("--cwd"), folder.as_os_str()]),
            false => keeper.cwd(&folder),
        };
        let unit = keeper.app(app).start();
        trace.wait("ready");
        match deleted {
            true => std::fs::remove_dir(&folder),
            false => std::fs::rename(&folder, world.path("elsewhere")),
        }
        .expect("it is empty");
        std::fs::write(&gate, "").expect("the world can be written");
        let ended = unit.finish().expect_code(1);
        let place = match deleted {
            true => format!("{} (deleted)", folder.display()),
            false => world.path("elsewhere").display().to_string(),
        };
        assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), [&*place; 3], "{}", ended.log);
    }
}

/// A named folder is looked up again at each start: a new release has taken the place of the old one.
#[test]
fn a_named_folder_is_the_one_that_is_there_at_the_restart() {
    let world = World::new();
    let trace = world.trace();
    let (current, gate) = (world.path("current"), world.path("gate"));
    for name in ["1", "2"] {
        std::fs::create_dir(world.path(name)).expect("the world can be written");
    }
    std::os::unix::fs::symlink(world.path("1"), &current).expect("the world can be written");
    let app = App::new(&trace).words(["cwd"]).ready().until(&gate).exit(1);
    let keeper = unit::keeper(&world).args(["--restart-delay", "10ms", "--start-limit", "1"]);
    let unit = keeper.args([std::ffi::OsStr::new("--cwd"), current.as_os_str()]).app(app).start();
    trace.wait("ready");
    std::fs::remove_file(&current).expect("it is there");
    std::os::unix::fs::symlink(world.path("2"), &current).expect("the world can be written");
    std::fs::write(&gate, "").expect("the world can be written");
    unit.finish().expect_code(1);
    let places: Vec<_> = trace.all("cwd").iter().flat_map(crate::support::app::Event::decoded).collect();
    assert_eq!(places, [world.path("1").into_os_string(), world.path("2").into_os_string()]);
}

#[test]
fn descriptors_above_2_are_closed() {
    let world = World::new();
    let trace = world.trace();
    let keeper = unit::keeper(&world).wrapped(["sh", "-c", "exec \"$@\" 3</dev/null 7>leak 9<&0", "sh"]);
    let before = App::new(&trace).words(["fds"]).line();
    keeper.args(["--before", &before]).app(App::new(&trace).words(["fds"])).run().expect_code(0);
    let all: Vec<_> = trace.all("fds").into_iter().map(|event| event.rest).collect();
    assert_eq!(all, ["0 1 2", "0 1 2"]);
}

#[test]
fn litestream_gets_no_leaked_descriptor() {
    let world = World::new();
    let trace = world.trace();
    let keeper = unit::keeper(&world).wrapped(["sh", "-c", "exec \"$@\" 7>leak", "sh"]);
    let unit = keeper.app(App::new(&trace).on_exit("TERM", 0).ready().wait()).start();
    trace.wait("ready");
    for process in [unit.litestream(), unit.shim()] {
        let leaked: Vec<_> =
            process.descriptors().into_iter().filter(|(_, what)| what.ends_with("leak")).collect();
        assert_eq!(leaked, [], "{process:?}");
    }
    unit.stop(0);
}

/// `sd_listen_fds(3)`: the count, and the app's own number, because the keeper's would mean nothing to it.
#[test]
fn listening_sockets_are_handed_over_each_time() {
    let world = World::new();
    let trace = world.trace();
    let names = ["env", "LISTEN_FDNAMES", "env", "LISTEN_PIDFDID"];
    let app = App::new(&trace).words(["listen", "fds"]).words(names).exit(1);
    let keeper = unit::keeper(&world).args(["--restart-delay", "10ms", "--start-limit", "2"]);
    let before = App::new(&trace).words(["listen"]).words(names).line();
    keeper.args(["--before", &before]).wrapped(wrap::listen_fds()).app(app).run().expect_code(1);
    let of = |name: &str| trace.all(name).into_iter().map(|event| event.rest).collect::<Vec<_>>();
    assert_eq!(of("listen"), ["no-pid 0", "own-pid 1", "own-pid 1", "own-pid 1"]);
    let (unset, web) =
        (["LISTEN_FDNAMES unset", "LISTEN_PIDFDID unset"], ["LISTEN_FDNAMES 776562", "LISTEN_PIDFDID unset"]);
    assert_eq!(of("env"), [unset, web, web, web].concat());
    assert_eq!(of("fds"), ["0 1 2 3"; 3]);
}

/// Sockets that a service manager passed to somebody else are not the app's.
#[test]
fn listening_sockets_of_another_are_not_handed_over() {
    let world = World::new();
    let trace = world.trace();
    let keeper =
        unit::keeper(&world).env("LISTEN_PID", "1").env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web");
    let keeper = keeper.wrapped(["sh", "-c", "exec \"$@\" 3<&0", "sh"]);
    keeper.app(App::new(&trace).words(["listen", "fds", "env", "LISTEN_FDNAMES"])).run().expect_code(0);
    assert_eq!(trace.wait("listen").rest, "no-pid 0");
    assert_eq!(trace.wait("env").rest, "LISTEN_FDNAMES unset");
    assert_eq!(trace.wait("fds").rest, "0 1 2");
}

#[test]
fn the_service_manager_hears_of_readiness_from_the_keeper_alone_and_only_when_the_app_may_run() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    crate::support::sqlite::create(&db, 3);
    let manager = Manager::listen(&world);
    // The command before the app is held until the test has looked.
    let gate = world.path("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("the world can be written");
    let before = format!("sh -c 'echo held; read line < {}'", gate.display());
    let app = App::new(&trace)
        .on_exit("TERM", 0)
        .words(["env", "NOTIFY_SOCKET", "env", "WATCHDOG_USEC", "ready"])
        .wait();
    let keeper =
        unit::keeper(&world).env("NOTIFY_SOCKET", manager.address()).env("WATCHDOG_USEC", "30000000");
    let unit = keeper.args(["--before", &before]).app(app).start();
    unit.wait_stdout("held");
    // Nobody here limits the command.
    let heard = manager.wait("EXTEND_TIMEOUT_USEC=90000000");
    assert!(!heard.contains(&"READY=1".to_owned()), "not ready before the app may run: {heard:?}");
    std::fs::write(&gate, "go\n").expect("somebody reads");
    manager.wait("READY=1");
    trace.wait("ready");
    let all: Vec<_> = trace.all("env").into_iter().map(|event| event.rest).collect();
    assert_eq!(all, ["NOTIFY_SOCKET unset", "WATCHDOG_USEC unset"]);
    unit.stop(0);
}

#[test]
fn stdin_is_the_apps() {
    let world = World::new();
    let trace = world.trace();
    let mut unit = unit::keeper(&world).piped_stdin().app(App::new(&trace).words(["line", "cat"])).start();
    unit.feed(b"first\n");
    assert_eq!(trace.wait("line").rest, "first");
    let rest: Vec<u8> = (0..1_000_000).map(|at: u32| b"abcdefghi\n"[at as usize % 10]).collect();
    unit.feed(&rest);
    unit.end_stdin();
    let stdout = unit.finish().expect_code(0).stdout;
    assert_eq!(trace.wait("cat").rest, "1000000");
    assert!(stdout.as_bytes() == rest, "{} bytes came out", stdout.len());
}

#[test]
fn stdin_that_is_closed_ends_cat() {
    let world = World::new();
    unit::keeper(&world).app(["cat"]).run().expect_code(0);
}

/// The very same open files, and not pipes through somebody: no buffer, no copy, a terminal stays one.
#[test]
fn standard_descriptors_are_the_keepers() {
    let world = World::new();
    let trace = world.trace();
    let app = App::new(&trace)
        .on_exit("TERM", 0)
        .words(["print", "to stdout", "eprint", "to stderr"])
        .ready()
        .wait();
    let unit = unit::keeper(&world).piped_stdin().app(app).start();
    trace.wait("ready");
    let of = |process: crate::support::procfs::Process| {
        process.descriptors().into_iter().take(3).collect::<Vec<_>>()
    };
    assert_eq!(of(unit.app()), of(unit.keeper()));
    assert_ne!(of(unit.litestream()), of(unit.keeper()), "Litestream's lines go through the keeper");
    let ended = unit.stop(0);
    assert_eq!(ended.stdout, "to stdout\n", "nobody else writes there");
    ended.expect_log("to stderr");
}

/// A standard descriptor may be closed altogether.
#[test]
fn closed_standard_descriptors_do_no_harm() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_last("TERM", &db, 0).insert(&db, 3).ready().wait();
    let unit = unit::keeper(&world).wrapped(["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"]).app(app).start();
    trace.wait("ready");
    unit.stop(0);
    unit::assert_nothing_lost(&world, &trace);
}

/// Who reads the log may go: what is written then is lost, and nothing else.
#[test]
fn a_reader_that_goes_does_no_harm() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = App::new(&trace).on_last("TERM", &db, 0).insert_forever(&db, 3);
    let pipe = ["sh", "-c", "\"$@\" 2>&1 | head -n 1 >/dev/null; wait", "sh"];
    let unit = unit::keeper(&world).wrapped(pipe).app(app).start();
    trace.wait_acked(10);
    let (keeper, app) = (unit.keeper(), unit.app());
    unit.litestream().signal(Signal::SIGKILL);
    unit::wait_successor(&trace, app.pid);
    keeper.signal(Signal::SIGTERM);
    unit.finish();
    assert_eq!(trace.signals(), [15]);
    unit::assert_nothing_lost(&world, &trace);
}
