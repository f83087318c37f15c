//! The harness tried on the real tools, so that a failing test is the product's fault.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST, NO_SOCKET, OLD};
use crate::support::process::{Running, Spec};
use crate::support::procfs::{self, Process};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::support::wrap;

/// Runs a probe without a keeper.
fn run_bare(world: &World, app: App) -> Running {
    let mut words = app.into_iter();
    let mut spec = Spec::new(Path::new(&words.next().expect("the probe itself")), world.root());
    spec.args(words);
    spec.start()
}

#[test]
fn every_litestream_backs_up_to_a_folder() {
    for version in [LATEST, NO_SOCKET, OLD] {
        let world = World::named("lk à b-");
        sqlite::create(&world.db(), 10);
        let config = world.config(&world.replica());
        litestream::back_up(&world, version, &config, &[&world.db()]);
        let restored = Backup::Config(&config, &world.db()).restore(&world, version);
        assert_eq!(sqlite::ids(&restored), sqlite::ids(&world.db()), "with {version}");
        assert_eq!(sqlite::max_id(&restored), 10);
        sqlite::insert(&world.db(), 5);
        litestream::back_up(&world, version, &config, &[&world.db()]);
        let restored = Backup::Config(&config, &world.db()).restore(&world, version);
        assert_eq!(sqlite::count(&restored), 15, "with {version}");
    }
}

#[test]
fn every_litestream_backs_up_to_s3() {
    let s3 = S3::start();
    s3.bucket("backups");
    for version in [LATEST, NO_SOCKET, OLD] {
        let world = World::new();
        sqlite::create(&world.db(), 10);
        let config = world.config(&s3.replica("backups", version));
        litestream::back_up(&world, version, &config, &[&world.db()]);
        let restored = Backup::Config(&config, &world.db()).restore(&world, version);
        assert_eq!(sqlite::count(&restored), 10, "with {version}");
    }
    assert!(s3.puts() >= 3 && s3.requests() > s3.puts(), "requests: {:#?}", s3.seen());
    assert!(s3.objects("backups").iter().any(|key| key.starts_with(LATEST)), "{:?}", s3.objects("backups"));
}

#[test]
fn an_s3_url_is_enough_with_the_key_in_the_environment() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    sqlite::create(&world.db(), 3);
    litestream::back_up(&world, LATEST, &world.config(&s3.replica("backups", "app")), &[&world.db()]);
    let mut spec = Spec::new(&litestream::binary(LATEST), world.root());
    S3::env().into_iter().for_each(|(name, value)| spec.env(name, value));
    spec.args(["restore", "-o", "restored.db", &s3.url("backups", "app")]);
    spec.run(DEADLINE).expect_code(0);
    assert_eq!(sqlite::count(&world.path("restored.db")), 3);
}

#[test]
fn a_missing_bucket_and_a_wrong_key_give_the_errors_that_users_see() {
    let s3 = S3::start();
    s3.bucket("backups");
    for version in [LATEST, NO_SOCKET, OLD] {
        let world = World::new();
        let out = world.path("out.db");
        // 0.5.5 takes every failed listing for an empty one: its "no backup" says nothing.
        let nothing_said = (version == NO_SOCKET).then_some("no matching backup");
        let restore = |config: &Path, reason: &str| {
            let ended = Backup::Config(config, &world.db()).try_restore(&world, version, &out);
            ended.expect_code(1).expect_output(nothing_said.unwrap_or(reason));
            assert!(!out.exists(), "a failed restore leaves no file");
        };
        restore(&world.config(&s3.replica("nowhere", "app")), "NoSuchBucket");
        let right = s3.replica("backups", "app");
        restore(&world.config(&right.clone().set("secret-access-key", "wrong")), "SignatureDoesNotMatch");
        restore(&world.config(&right.clone().set("access-key-id", "unknown")), "NotSignedUp");
        restore(&world.config(&right), "no matching backup");
        s3.fail_with(403);
        restore(&world.config(&right), "AccessDenied");
        s3.resume();
    }
}

#[test]
fn a_bucket_goes_and_comes_back() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let config = world.config(&s3.replica("backups", "app"));
    let litestream = litestream::replicate(&world, LATEST, &config);
    // The snapshot and the first transaction file; an upload that fails is not tried again before a listing succeeds.
    wait_until("the first objects", DEADLINE, || s3.objects("backups").len() == 2);
    s3.remove_bucket("backups");
    let (puts, objects) = (s3.puts(), s3.objects("backups"));
    sqlite::insert(&world.db(), 4);
    s3.wait_puts(puts + 1);
    litestream.wait_stdout("NoSuchBucket");
    assert_eq!(s3.objects("backups"), objects);
    s3.restore_bucket("backups");
    wait_until("the upload of the rest", DEADLINE, || s3.objects("backups").len() > objects.len());
    litestream.stop(0);
    assert_eq!(sqlite::count(&Backup::Config(&config, &world.db()).restore(&world, LATEST)), 7);
}

#[test]
fn held_uploads_arrive_but_end_only_when_released() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    sqlite::create(&world.db(), 3);
    let config = world.config(&s3.replica("backups", "app"));
    s3.hold_puts();
    let litestream = litestream::replicate(&world, LATEST, &config);
    s3.wait_puts(1);
    assert!(s3.objects("backups").is_empty());
    // Listings are answered all the same.
    let out = world.path("out.db");
    let restore = Backup::Config(&config, &world.db()).try_restore(&world, LATEST, &out);
    restore.expect_code(1).expect_output("no matching backup");
    s3.resume();
    wait_until("the first object", DEADLINE, || !s3.objects("backups").is_empty());
    litestream.stop(0);
    assert_eq!(sqlite::count(&Backup::Config(&config, &world.db()).restore(&world, LATEST)), 3);
}

#[test]
fn a_paused_server_answers_later() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    let config = world.config(&s3.replica("backups", "app"));
    s3.pause();
    let mut spec = Spec::new(&litestream::binary(LATEST), world.root());
    spec.args(["restore".as_ref(), "-config".as_ref(), config.as_os_str()]);
    spec.args([world.db()]);
    let mut restore = spec.start();
    s3.wait_requests(1);
    assert_eq!(restore.try_wait(), None);
    s3.resume();
    restore.finish().expect_code(1).expect_output("no matching backup");
}

#[test]
fn a_server_refuses_connections_and_listens_again_on_its_port() {
    let mut s3 = S3::start();
    let address = s3.endpoint().replace("http://", "");
    let kept = TcpStream::connect(&address).expect("the server listens");
    s3.refuse();
    let error = TcpStream::connect(&address).expect_err("the server is gone");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    kept.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
    let end = std::io::Read::read(&mut &kept, &mut [0; 1]);
    assert!(matches!(end, Ok(0)) || end.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    s3.listen_again();
    TcpStream::connect(&address).expect("the server listens again");
}

#[test]
fn a_slow_server_takes_its_time() {
    let s3 = S3::start();
    s3.bucket("backups");
    let world = World::new();
    sqlite::big(&world.db(), 1);
    let config = world.config(&s3.replica("backups", "app"));
    litestream::back_up(&world, LATEST, &config, &[&world.db()]);
    let restore = || {
        let start = Instant::now();
        Backup::Config(&config, &world.db()).restore(&world, LATEST);
        start.elapsed()
    };
    s3.throttle(1 << 20);
    assert!(restore() >= Duration::from_secs(1), "1 MiB at 1 MiB/s");
    s3.resume();
    s3.delay(Duration::from_millis(100));
    assert!(restore() >= Duration::from_millis(200), "a listing and an object");
}

#[test]
fn a_probe_does_its_steps_and_writes_them_down() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app =
        App::new(&trace).count(&db).insert(&db, 3).count(&db).words(["argv", "cwd", "fds", "listen", "tty"]);
    let app = app
        .words(["env", "HOME", "env", "NO_SUCH", "print", "out", "eprint", "err"])
        .exit(7)
        .words(["--", "", "à"]);
    let ended = run_bare(&world, app).finish().expect_code(7).expect_log("err");
    assert_eq!(ended.stdout, "out\n");
    let events: Vec<_> =
        trace.events().into_iter().map(|event| format!("{} {}", event.name, event.rest)).collect();
    assert_eq!(events[..6], ["start ", "count none", "acked 1", "acked 2", "acked 3", "count 3"]);
    assert_eq!(
        events[7..],
        [
            format!("cwd {}", trace.wait("cwd").rest),
            "fds 0 1 2".into(),
            "listen no-pid 0".into(),
            "tty none".into(),
            format!("env HOME {}", trace.wait("cwd").rest),
            "env NO_SUCH unset".into(),
            "exit 7".into(),
        ]
    );
    let argv = trace.wait("argv").decoded();
    assert_eq!(argv[argv.len() - 3..], ["--", "", "à"]);
    assert_eq!(trace.wait("cwd").decoded(), [world.root().as_os_str()]);
    sqlite::assert_holds_acked(&db, &trace);
}

#[test]
fn a_probe_takes_every_signal() {
    let world = World::new();
    let trace = world.trace();
    let app = run_bare(&world, App::new(&trace).ignore("all").on_exit("TERM", 143).ready().wait());
    trace.wait("ready");
    let mut sent = Vec::new();
    for signal in
        Signal::iterator().filter(|s| ![Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGTERM].contains(s))
    {
        app.signal(signal);
        sent.push(signal as i64);
        trace.wait_nth(sent.len(), "signal");
    }
    assert_eq!(trace.signals(), sent);
    app.stop(143);
}

#[test]
fn a_probe_dies_as_a_signal_wants() {
    for name in ["TERM", "SEGV", "KILL", "PIPE", "HUP"] {
        let world = World::new();
        let ended = run_bare(&world, App::new(&world.trace()).raise(name)).finish();
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
        let expected: Signal = format!("SIG{name}").parse().expect("a signal");
        assert_eq!(signal, Some(expected as i32), "{name}");
    }
    let world = World::new();
    let trace = world.trace();
    let app = run_bare(&world, App::new(&trace).ready().wait());
    trace.wait("ready");
    app.signal(Signal::SIGTERM);
    let ended = app.finish();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(15));
}

#[test]
fn a_probe_writes_until_the_end() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    let app = run_bare(&world, App::new(&trace).on_last("TERM", &db, 143).insert_forever(&db, 1));
    trace.wait_acked(20);
    app.stop(143);
    sqlite::assert_holds_acked(&db, &trace);
    assert_eq!(sqlite::max_id(&db), trace.acked().into_iter().max().expect("rows"));

    let before = trace.acked().len();
    let app = run_bare(&world, App::new(&trace).on_linger("TERM", 50, 0).insert_forever(&db, 1));
    trace.wait_acked(before + 5);
    app.stop(0);
}

#[test]
fn a_lost_row_is_noticed() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    run_bare(&world, App::new(&trace).insert(&db, 3)).finish().expect_code(0);
    sqlite::assert_sound(&db);
    let other = world.path("other.db");
    sqlite::create(&other, 2);
    let error =
        std::panic::catch_unwind(|| sqlite::assert_holds_acked(&other, &trace)).expect_err("row 3 is lost");
    let message = error.downcast_ref::<String>().expect("a panic with a message");
    assert_eq!(message, "1 of 3 rows are lost: [3]");
}

#[test]
fn a_survivor_in_its_own_session_is_found_and_killed() {
    let world = World::new();
    let trace = world.trace();
    let stubborn = App::new(&trace).ignore("all").ready().wait();
    let parent = App::new(&trace).spawn("setsid", &stubborn).exit(0);
    let app = run_bare(&world, App::new(&trace).spawn("child", &parent).wait());
    let pid = trace.wait("ready").pid;
    wait_until("the child to have left an orphan", DEADLINE, || {
        Process::of(pid).is_some_and(|process| process.sid == pid) && app.tree().len() == 2
    });
    let survivor = app.tree().into_iter().find(|process| process.pid == pid).expect("it carries the mark");
    assert!(survivor.is("probe") && survivor.state != 'Z' && survivor.pgid == pid, "{survivor:?}");
    assert_eq!(survivor.descriptors()[0].0, 0);
    drop(app);
    assert!(!procfs::alive(pid));
}

#[test]
fn orphans_end_by_themselves() {
    let world = World::new();
    let trace = world.trace();
    let app = run_bare(&world, App::new(&trace).orphans(20).ready().wait());
    trace.wait("ready");
    assert!(Process::children(app.pid()).is_empty(), "they are nobody's children here");
    wait_until("the end of the orphans", DEADLINE, || app.tree().len() == 1);
    app.kill(&app.tree()[0], Signal::SIGKILL);
    app.finish();
}

#[test]
fn processes_of_a_dead_suite_are_swept() {
    // No process has this id: it is above the greatest that Linux gives (proc_sys_kernel(5), pid_max).
    let mark = format!("{}.0", i32::MAX);
    let mut left = Command::new("sleep")
        .arg("1000")
        .env(procfs::MARK, &mark)
        .stdin(Stdio::null())
        .spawn()
        .expect("sleep is everywhere");
    // Another suite that begins just now sweeps as well.
    wait_until("the mark in the environment", DEADLINE, || {
        !Process::marked(&mark).is_empty() || !procfs::alive(left.id().cast_signed())
    });
    procfs::sweep_dead_suites();
    let status = left.wait().expect("our child");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
}

#[test]
fn a_keeper_is_called_as_the_builder_says_in_a_clean_environment() {
    let world = World::new();
    let (db, config) = (world.db(), world.config(&world.replica()));
    let mut keeper = Keeper::new(&world)
        .command("check")
        .config(&config)
        .db(&db)
        .replica(&world.replica_url())
        .arg("--flag")
        .envs(S3::env())
        .cwd(&world.runtime_dir())
        .app(["an app", "--", ""])
        .piped_stdin()
        .wrapped(["sh", "-c", "shift; printf '<%s>' \"$@\"; echo; pwd; cat; env", "sh"])
        .start();
    keeper.feed(b"fed\n");
    keeper.wait_stdout("fed");
    keeper.end_stdin();
    let stdout = keeper.finish().expect_code(0).stdout;
    let (words, rest) = stdout.split_once('\n').expect("two lines");
    let (config, db, url) = (config.display(), db.display(), world.replica_url());
    assert_eq!(
        words,
        format!("<check><--config><{config}><--db><{db}><--replica><{url}><--flag><--><an app><--><>")
    );
    let mut names: Vec<_> = rest.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "HOME",
            "LANG",
            "LITEKEEPER_RUNTIME_DIR",
            procfs::MARK,
            "LITESTREAM_ACCESS_KEY_ID",
            "LITESTREAM_BINARY_PATH",
            "LITESTREAM_SECRET_ACCESS_KEY",
            "PATH",
        ]
    );
    assert!(rest.starts_with(&world.runtime_dir().display().to_string()), "{rest}");
}

/// Runs a shell script behind a wrapper.
fn run_wrapped(world: &World, wrapper: Vec<String>, script: &str) -> Running {
    let mut spec = Spec::new(Path::new("sh"), world.root());
    spec.args(["-c", script]);
    spec.wrap(wrapper);
    spec.start()
}

#[test]
fn pid_1_is_pid_1() {
    let world = World::new();
    let running = run_wrapped(&world, wrap::pid_1(), "echo $$; while :; do sleep 1; done");
    assert_eq!(running.wait_stdout(""), "1");
    let shell = running.wait_process("the shell", |process| process.is("sh"));
    running.kill(&shell, Signal::SIGKILL);
    running.finish();
    let ended = Keeper::new(&world).command("--version").wrapped(wrap::pid_1()).run();
    assert!(ended.status.code().is_some(), "{}", ended.status);
}

#[test]
fn a_disk_is_full_and_a_folder_read_only() {
    let world = World::named("lk à 'b'-");
    let folder = world.path("data");
    std::fs::create_dir(&folder).expect("the world can be written");
    let fill = "head -c 10000 /dev/zero > data/small && head -c 1000000 /dev/zero > data/large";
    let ended = run_wrapped(&world, wrap::small_disk(&folder, 64), fill).finish().expect_code(1);
    assert_eq!(ended.stdout, "large\nsmall\n");
    assert!(ended.log.contains("No space left"), "{}", ended.log);
    let ended = run_wrapped(&world, wrap::read_only(&folder), ": > rt/fine && : > data/file").finish();
    assert!(!ended.status.success() && ended.log.contains("Read-only"), "{ended:?}");
    assert_eq!(world.list("data"), [""; 0]);
    assert_eq!(world.list("rt"), ["fine"]);
}

#[test]
fn a_listening_socket_is_handed_over() {
    let world = World::new();
    let trace = world.trace();
    let line = App::new(&trace).words(["listen", "fds"]).line();
    run_wrapped(&world, wrap::listen_fds(), &format!("exec {line}")).finish().expect_code(0);
    assert_eq!(trace.wait("listen").rest, "own-pid 1");
    assert_eq!(trace.wait("fds").rest, "0 1 2 3");
}

/// The shape of the real thing, played by a shell under the names that the harness looks for.
#[test]
fn keeper_litestream_shim_and_app_are_told_apart() {
    let world = World::new();
    let (db, trace) = (world.db(), world.trace());
    sqlite::create(&db, 1);
    world.config(&world.replica());
    let keeper = world.path("litekeeper");
    std::os::unix::fs::symlink("/bin/sh", &keeper).expect("the world can be written");
    // `litekeeper run` is `sh run` by this link, and `litekeeper __shim` is `sh __shim`.
    world.write("run", "$LITESTREAM replicate -config litestream.yml -exec './litekeeper __shim 3' & wait");
    world.write("__shim", &format!("{} & wait", App::new(&trace).insert_forever(&db, 5).line()));
    let mut spec = Spec::new(&keeper, world.root());
    spec.env("LITESTREAM", litestream::binary(LATEST));
    spec.args(["run"]);
    let running = spec.start();
    trace.wait_acked(10);
    litestream::wait_staged(&db);
    let (keeper, litestream) = (running.keeper(), running.litestream());
    let (shim, app) = (running.shim(), running.app());
    assert_eq!(keeper.pid, running.pid());
    assert_eq!([litestream.ppid, shim.ppid, app.ppid], [keeper.pid, litestream.pid, shim.pid]);
    assert_eq!(app.pid, trace.wait("start").pid);
    assert_eq!(running.tree().len(), 4);
    // The app and its shim end, so Litestream closes in order and with it the keeper.
    running.kill(&app, Signal::SIGTERM);
    running.finish().expect_code(0);
    let rows = Backup::Url(&world.replica_url()).assert_holds_acked(&world, LATEST, &trace);
    assert!(rows > 10, "the app wrote rows of its own");
}

#[test]
fn a_group_gets_a_signal_and_a_log_is_waited_for() {
    let world = World::new();
    let trace = world.trace();
    assert!(trace.is_empty());
    let child = App::new(&trace).on_exit("INT", 0).words(["eprint", "line"]).ready().wait();
    let app = App::new(&trace)
        .on_exit("INT", 130)
        .sleep(1)
        .words(["eprint", "line"])
        .spawn("child", &child)
        .ready()
        .wait();
    let app = run_bare(&world, app);
    app.wait_log(2, "line");
    assert_eq!(app.wait_line(|line| line.starts_with("li")), "line");
    trace.wait_nth(2, "ready");
    app.signal_group(Signal::SIGINT);
    app.finish().expect_code(130);
    assert_eq!(trace.signals().iter().filter(|signal| **signal == 2).count(), 2);
}

#[test]
fn a_terminal_has_job_control() {
    let world = World::new();
    let trace = world.trace();
    let app = App::new(&trace).on_exit("INT", 130).ignore("WINCH").words(["tty", "line", "ready"]).wait();
    let (mut terminal, keeper) = Keeper::new(&world).app(["an app"]).terminal();
    assert!(keeper.ends_with("/litekeeper run -- 'an app'"), "{keeper}");
    terminal.line(&app.line());
    assert_eq!(trace.wait("tty").rest, "foreground");
    terminal.line("typed");
    assert_eq!(trace.wait("line").rest, "typed");
    let pid = trace.wait("ready").pid;
    terminal.ctrl('z');
    terminal.wait("Stopped");
    assert_eq!(Process::of(pid).expect("it is only stopped").state, 'T');
    terminal.line("fg");
    wait_until("the app to go on", DEADLINE, || Process::of(pid).is_some_and(|process| process.state != 'T'));
    terminal.resize(50, 120);
    wait_until("WINCH", DEADLINE, || trace.signals().contains(&28));
    terminal.ctrl('c');
    terminal.line("echo code $?");
    terminal.wait("code 130");
    assert!(terminal.running().tree().len() == 1, "only the shell is left");
    terminal.close();
}
