//! Who runs, and whose the volume is.

use crate::Scenario;
use crate::podman::Podman;
use crate::scene::Scene;

pub const ALL: &[Scenario] = &[
    ("users::of_the_container", container),
    ("users::of_the_keeper", keeper),
    ("users::without_capabilities", bare),
    ("users::without_capabilities_and_another_user", bare_user),
];

/// It runs, and stops with every row.
fn good(scene: &Scene<'_>, options: &[&str], keeper: &[&str]) {
    let running = scene.run(options, keeper, scene.writer());
    scene.trace().wait_acked(10);
    running.stop(10).expect_code(0).expect_log("everything is on the replica");
    scene.assert_nothing_lost();
}

/// It is refused before anything runs, with a word about what is missing.
fn refused(scene: &Scene<'_>, options: &[&str], keeper: &[&str], said: &[&str]) {
    let ended = scene.run(options, keeper, scene.writer()).finish().expect_code(78);
    assert!(scene.trace().is_empty() && !scene.db().exists(), "nothing ran");
    said.iter().fold(ended.expect_log("hint: "), |ended, said| ended.expect_log(said));
}

/// `podman run --user`: everything is that user.
fn container(podman: &Podman) {
    let user = ["--user", "1000:1000"];
    good(&Scene::new(podman).owned(1000, 0o755), &user, &[]);
    good(&Scene::new(podman).owned(0, 0o777), &user, &[]);
    good(&Scene::new(podman).owned(2000, 0o777), &user, &[]);
    for owner in [0, 2000] {
        refused(
            &Scene::new(podman).owned(owner, 0o755),
            &user,
            &[],
            &["/data", "give the folder to that user"],
        );
    }
    good(&Scene::new(podman).owned(0, 0o755), &[], &[]);
    good(&Scene::new(podman).owned(1000, 0o755), &[], &[]);
}

/// `litekeeper run --user` below root: an empty volume of root's becomes that user's.
fn keeper(podman: &Podman) {
    let user = ["--user", "1000:1000"];
    good(&Scene::new(podman).owned(0, 0o755), &[], &user);
    good(&Scene::new(podman).owned(1000, 0o755), &[], &user);
    good(&Scene::new(podman).owned(1000, 0o700), &[], &user);
    refused(&Scene::new(podman).owned(2000, 0o755), &[], &user, &["/data", "1000"]);
}

/// Root without capabilities is an ordinary user that owns what is root's.
fn bare(podman: &Podman) {
    let drop = ["--cap-drop", "ALL"];
    good(&Scene::new(podman).owned(0, 0o755), &drop, &[]);
    good(&Scene::new(podman).owned(1000, 0o755), &["--cap-drop", "ALL", "--user", "1000:1000"], &[]);
    refused(&Scene::new(podman).owned(1000, 0o755), &drop, &[], &["/data", "CAP_DAC_OVERRIDE"]);
}

fn bare_user(podman: &Podman) {
    let scene = Scene::new(podman).owned(1000, 0o755);
    let said = [
        "--user: to become 1000:1000 this process lacks CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN",
        "--cap-add=SETUID --cap-add=SETGID --cap-add=KILL --cap-add=CHOWN",
    ];
    refused(&scene, &["--cap-drop", "ALL"], &["--user", "1000:1000"], &said);
    let scene = Scene::new(podman).owned(1000, 0o755);
    let adds = ["SETUID", "SETGID", "KILL", "CHOWN"].map(|name| format!("--cap-add={name}"));
    let options = [&["--cap-drop", "ALL"][..], &adds.each_ref().map(String::as_str)].concat();
    good(&scene, &options, &["--user", "1000:1000"]);
}
