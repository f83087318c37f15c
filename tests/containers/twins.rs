//! Two containers on one volume.

use crate::Scenario;
use crate::podman::Podman;
use crate::scene::Scene;

pub const ALL: &[Scenario] =
    &[("twins::the_second_is_refused", refused), ("twins::the_second_waits_for_its_turn", waits)];

fn refused(podman: &Podman) {
    let scene = Scene::new(podman);
    let first = scene.run(&["--hostname", "first"], &[], scene.writer());
    scene.trace().wait_acked(10);
    let second = scene.run(&["--hostname", "second"], &[], scene.writer()).finish();
    second.expect_code(75).expect_log("first");
    first.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
    assert_eq!(scene.trace().all("start").len(), 1);
}

/// A deployment that overlaps.
fn waits(podman: &Podman) {
    let scene = Scene::new(podman);
    let first = scene.run(&[], &[], scene.writer());
    scene.trace().wait_acked(10);
    let second = scene.run(&[], &["--on-lock", "wait=60s"], scene.writer());
    second.running.wait_line(|line| line.contains("waiting"));
    let before = scene.trace().acked().len();
    first.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.trace().wait_nth(2, "start");
    scene.trace().wait_acked(before + 10);
    second.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
}
