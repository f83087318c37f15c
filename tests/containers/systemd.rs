//! `examples/systemd` under a systemd of its own, with nothing of the machine's groups mounted.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Scenario;
use crate::podman::Podman;
use crate::scene::{Container, Scene, words};
use crate::support::wait::{DEADLINE, wait_for, wait_until};

pub const ALL: &[Scenario] = &[("systemd::the_example", example)];

/// Where it can run at all, it is there long before.
const BOOT: Duration = Duration::from_secs(60);

/// Started, stopped, its keeper killed, and started again by systemd; then checked with another `KillMode`.
fn example(podman: &Podman) {
    let scene = Scene::new(podman);
    let trace = scene.trace();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd/app.service"));
    let text = text.expect("the example");
    let said = |line: &str| {
        let found = text.lines().find(|text| text.starts_with(line));
        found.unwrap_or_else(|| panic!("{line:?} is not in the example"))
    };
    let app: Vec<String> = words(scene.writer()).iter().map(|word| format!("\"{word}\"")).collect();
    let keeps = scene.keeps().join(" ");
    let unit = text
        .replace(said("User="), "")
        .replace(said("WorkingDirectory="), "")
        .replace(said("EnvironmentFile="), "")
        .replace(
            said("ExecStart="),
            &format!("ExecStart=/usr/local/bin/litekeeper run {keeps} -- {}", app.join(" ")),
        );
    fs::create_dir(scene.world.path("units")).expect("the world is ours");
    scene.world.write("units/app.service", &unit);
    let checked = format!(
        "[Service]\nType=oneshot\nExecStart=/usr/local/bin/litekeeper check {keeps}\nKillMode=mixed\n"
    );
    scene.world.write("units/checked.service", &checked);
    let units = scene.world.path("units").display().to_string();
    let container = scene.raw(
        &["--systemd=always", "--volume", &format!("{units}:/run/units:ro")],
        &["sh", "-c", "cp /run/units/* /etc/systemd/system/ && exec /sbin/init"].map(str::to_owned),
    );
    let begin = Instant::now();
    let state = wait_for("systemd's word", DEADLINE, || {
        let (_, state) = container.exec(&["systemctl", "is-system-running"]);
        let is_up = ["running", "degraded"].contains(&state.trim());
        (is_up || begin.elapsed() > BOOT).then_some((is_up, state))
    });
    if !state.0 {
        println!("not tested: systemd, which does not get up in a container here: {}", state.1.trim());
        return;
    }

    systemctl(&container, "start", "app");
    trace.wait_acked(20);
    systemctl(&container, "stop", "app");
    wait_journal(&container, "everything is on the replica");
    assert_eq!(show(&container, "Result"), "success");
    scene.assert_nothing_lost();

    systemctl(&container, "start", "app");
    trace.wait_nth(2, "start");
    let rows = trace.acked().len();
    trace.wait_acked(rows + 20);
    container.exec(&["kill", "-KILL", &show(&container, "MainPID")]);
    wait_journal(&container, "litestream has confirmed each database");
    scene.assert_nothing_lost();
    trace.wait_nth(3, "start");
    let rows = trace.acked().len();
    trace.wait_acked(rows + 20);
    systemctl(&container, "stop", "app");
    scene.assert_nothing_lost();

    systemctl(&container, "start", "checked");
    let (_, said) = container.exec(&["journalctl", "--no-pager", "--output", "cat", "--unit", "checked"]);
    assert!(said.contains("[kill-mode]"), "{said}");
    container.stop(10);
}

#[track_caller]
fn systemctl(container: &Container<'_>, verb: &str, unit: &str) {
    let (code, said) = container.exec(&["systemctl", verb, unit]);
    assert_eq!(code, 0, "{verb} {unit}: {said}{}", journal(container));
}

fn show(container: &Container<'_>, property: &str) -> String {
    container.exec(&["systemctl", "show", "--property", property, "--value", "app"]).1.trim().to_owned()
}

fn journal(container: &Container<'_>) -> String {
    container.exec(&["journalctl", "--no-pager", "--output", "cat", "--unit", "app"]).1
}

#[track_caller]
fn wait_journal(container: &Container<'_>, text: &str) {
    wait_until(text, DEADLINE, || journal(container).contains(text));
}
