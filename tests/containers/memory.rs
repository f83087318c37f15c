//! What the kernel kills for want of memory: it is named, and comes back; and it is not the keeper.

use std::fs;

use crate::Scenario;
use crate::podman::Podman;
use crate::scene::{Scene, words};
use crate::support::app::App;
use crate::support::wait::{DEADLINE, wait_until};

pub const ALL: &[Scenario] = &[("memory::of_the_app", app), ("memory::of_litestream", litestream)];

const LIMITED: [&str; 4] = ["--memory", "128m", "--memory-swap", "128m"];

fn command(scene: &Scene<'_>, eats: &str, app: App) -> Vec<String> {
    let mut command: Vec<String> = vec!["litekeeper".into(), "run".into()];
    command.extend(scene.keeps());
    command.extend(["--log-level", "debug"].map(str::to_owned));
    command.extend(["--", "sh", "-c", eats, "sh"].map(str::to_owned));
    command.extend(words(app));
    command
}

fn app(podman: &Podman) {
    let scene = Scene::new(podman);
    let mark = scene.volume().join("eaten").display().to_string();
    // The first time it eats all that there is, then it stays.
    let eats =
        format!("if mkdir {mark} 2>/dev/null; then \"$@\" & exec tail /dev/zero; else exec \"$@\"; fi");
    let container = scene.raw(&LIMITED, &command(&scene, &eats, scene.writer()));
    container
        .running
        .wait_log(1, "was ended by SIGKILL, since the kernel had no memory left for this container");
    scene.trace().wait_nth(2, "start");
    scene.trace().wait_acked(5);
    container.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
}

fn litestream(podman: &Podman) {
    let scene = Scene::new(podman);
    let go = scene.volume().join("go").display().to_string();
    let eats =
        format!("(while ! [ -e {go} ]; do sleep 0.05; done; rm {go}; exec tail /dev/zero) & exec \"$@\"");
    let container = scene.raw(&LIMITED, &command(&scene, &eats, scene.writer()));
    scene.trace().wait_acked(20);
    let victim = container.running.litestream();
    fs::write(format!("/proc/{}/oom_score_adj", victim.pid), "1000").expect("root may raise it");
    fs::write(&go, "").expect("the volume can be written");
    container.running.wait_line(|line| line.contains("litestream") && line.contains("no memory left"));
    wait_until("another app", DEADLINE, || scene.trace().all("start").len() == 2);
    scene.trace().wait_acked(40);
    container.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
}
