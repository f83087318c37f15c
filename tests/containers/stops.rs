//! Stop and kill, of each kind.

use crate::Scenario;
use crate::podman::Podman;
use crate::scene::Scene;
use crate::support::app::App;
use crate::support::s3::S3;

pub const ALL: &[Scenario] = &[
    ("stops::ten_seconds", ten_seconds),
    ("stops::three_seconds", three_seconds),
    ("stops::three_seconds_for_a_stubborn_app", stubborn),
    ("stops::the_replica_is_away", away),
    ("stops::kill_term_and_int", term_and_int),
    ("stops::kill_hup_quit_usr1", passed_on),
    ("stops::kill_kill", killed),
];

fn ten_seconds(podman: &Podman) {
    let scene = Scene::new(podman);
    let container = scene.run(&[], &[], scene.writer());
    scene.trace().wait_acked(20);
    container.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
}

fn three_seconds(podman: &Podman) {
    let scene = Scene::new(podman);
    let container = scene.run(&[], &["--stop-timeout", "2800ms"], scene.writer());
    scene.trace().wait_acked(20);
    container.stop(3).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
}

/// It is told of nine seconds and gets three: the kernel ends it, and the volume has the rest.
fn stubborn(podman: &Podman) {
    let scene = Scene::new(podman);
    let app = App::new(&scene.trace()).ignore("TERM").insert_forever(&scene.db(), 3);
    let container = scene.run(&[], &[], app);
    scene.trace().wait_acked(20);
    container.stop(3).expect_code(137);
    scene.start_again();
}

/// Ten seconds are what Docker gives by default: the keeper ends before, with the names.
fn away(podman: &Podman) {
    for init in [&[][..], &["--init"], &["--pid", "host"]] {
        let scene = Scene::new(podman);
        let s3 = S3::start();
        s3.bucket("away");
        let config = scene.world.config_of("", [(scene.db().as_path(), &s3.replica("away", "app"))]);
        let config = {
            let inside = scene.volume().join("litestream.yml");
            std::fs::copy(config, &inside).expect("the volume can be written");
            inside.display().to_string()
        };
        let options = [&["--network", "host"], init].concat();
        // An app that does not go by itself takes all of its share.
        let app = App::new(&scene.trace()).ignore("TERM").insert_forever(&scene.db(), 3);
        let container = scene.run(&options, &["--config", &config], app);
        scene.trace().wait_acked(20);
        s3.pause();
        let ended = container.stop(10);
        s3.resume();
        ended.expect_code(74).expect_log("app.db");
        let app = App::new(&scene.trace()).exit(0);
        let next = scene.run(&options, &["--config", &config], app);
        next.finish().expect_code(0).expect_log("everything is on the replica");
    }
}

fn term_and_int(podman: &Podman) {
    for signal in ["TERM", "INT"] {
        let scene = Scene::new(podman);
        let container = scene.run(&[], &[], scene.writer());
        scene.trace().wait_acked(20);
        container.kill(signal);
        container.finish().expect_code(0).expect_log("everything is on the replica");
        scene.assert_nothing_lost();
    }
}

/// They are the app's, and nobody else hears of them.
fn passed_on(podman: &Podman) {
    let scene = Scene::new(podman);
    let app = App::new(&scene.trace()).ignore("HUP").ignore("QUIT").ignore("USR1");
    let app = app.on_last("TERM", &scene.db(), 0).insert_forever(&scene.db(), 3);
    let container = scene.run(&[], &[], app);
    scene.trace().wait_acked(5);
    for (n, signal) in (1..).zip(["HUP", "QUIT", "USR1"]) {
        container.kill(signal);
        scene.trace().wait_nth(n, "signal");
    }
    assert_eq!(scene.trace().signals(), [1, 3, 10]);
    container.stop(10).expect_code(0);
    scene.assert_nothing_lost();
}

/// Nobody drains after PID 1: the next start on the volume does.
fn killed(podman: &Podman) {
    for options in [&[][..], &["--init"], &["--pid", "host"]] {
        let scene = Scene::new(podman);
        let container = scene.run(options, &[], scene.writer());
        scene.trace().wait_acked(20);
        container.kill("KILL");
        container.finish().expect_code(137);
        scene.start_again();
    }
}
