//! What a container may be started with.

use crate::Scenario;
use crate::podman::Podman;
use crate::scene::Scene;
use crate::support::app::App;

pub const ALL: &[Scenario] = &[
    ("flags::read_only", read_only),
    ("flags::init", init),
    ("flags::pid_host", pid_host),
    ("flags::pids_limit", pids_limit),
    ("flags::no_network", no_network),
    ("flags::exec", exec),
];

fn good(podman: &Podman, options: &[&str]) {
    let scene = Scene::new(podman);
    let container = scene.run(options, &[], scene.writer());
    scene.trace().wait_acked(10);
    container.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
}

/// With a tmpfs for what is written beside the volume; without one it is told what is missing.
fn read_only(podman: &Podman) {
    good(podman, &["--read-only"]);
    good(podman, &["--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp"]);
    let scene = Scene::new(podman);
    let ended = scene.run(&["--read-only", "--read-only-tmpfs=false"], &[], scene.writer()).finish();
    assert!(scene.trace().is_empty(), "nothing ran");
    ended.expect_code(78).expect_log("hint: ").expect_log("LITEKEEPER_RUNTIME_DIR");
}

fn init(podman: &Podman) {
    good(podman, &["--init"]);
}

/// Its processes are among the machine's: none is left, and none of those is touched.
fn pid_host(podman: &Podman) {
    good(podman, &["--pid", "host"]);
}

/// With too few nothing runs, and it is not waited for.
fn pids_limit(podman: &Podman) {
    good(podman, &["--pids-limit", "64"]);
    let scene = Scene::new(podman);
    let ended = scene.run(&["--pids-limit", "6"], &[], scene.writer()).finish();
    let code = ended.status.code().expect("it ended by itself");
    assert!([69, 70, 78].contains(&code), "{code}: {}", ended.log);
    assert!(scene.trace().is_empty(), "nothing ran");
    ended.expect_log("error: ");
}

/// A folder needs none; of a server it is told in time.
fn no_network(podman: &Podman) {
    good(podman, &["--network", "none"]);
    let scene = Scene::new(podman);
    let keeper = [
        "--restore-timeout",
        "2s",
        "--db",
        &scene.db().display().to_string(),
        "--replica",
        "s3://bucket/app?endpoint=http://192.0.2.1:9000",
    ];
    let key = ["--env", "LITESTREAM_ACCESS_KEY_ID=k", "--env", "LITESTREAM_SECRET_ACCESS_KEY=s"];
    let ended = scene.run(&key, &keeper, App::new(&scene.trace()).exit(0)).finish();
    assert!(scene.trace().is_empty() && !scene.db().exists(), "nothing ran");
    ended.expect_code(69).expect_log("unreachable");
}

/// One-off commands in a container that runs.
fn exec(podman: &Podman) {
    let scene = Scene::new(podman);
    let container = scene.run(&[], &[], scene.writer());
    scene.trace().wait_acked(10);
    let keeps = scene.keeps();
    let with = |command: &'static str| {
        [vec!["litekeeper", command], keeps.iter().map(String::as_str).collect()].concat()
    };
    let (code, said) = container.exec(&with("check"));
    assert_eq!(code, 0, "{said}");
    let (code, said) = container.exec(&with("config"));
    assert!(code == 0 && said.contains("timeout: 9s\n"), "{code}: {said}");
    let db = scene.db().display().to_string();
    let (code, said) = container.exec(&["litekeeper", "reload", "--db", &db]);
    assert!([0, 78].contains(&code), "{code}: {said}");
    // A second keeper is one too many.
    let run = [with("run"), vec!["--", "true"]].concat();
    let (code, said) = container.exec(&run);
    assert!(code == 75 && said.contains("another keeper"), "{code}: {said}");
    container.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
}
