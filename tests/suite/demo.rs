//! What the README's first command promises, step by step.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::keeper::Keeper;
use crate::support::process::Running;
use crate::support::wait::{DEADLINE, wait_for};
use crate::support::world::World;

/// The address that the guest book prints each time it listens; the `n`-th.
fn url(demo: &Running, n: usize) -> String {
    let listening = || {
        let output = demo.stdout();
        let line = output.lines().filter(|line| line.starts_with("guest book: http")).nth(n - 1);
        line.and_then(|line| line.split(' ').nth(2)).map(str::to_owned)
    };
    wait_for("the guest book to listen", DEADLINE, listening)
}

fn write(url: &str, message: &str) {
    let form = format!("name=Ada&message={message}");
    // 303 leads back to the page, which `ureq` follows.
    ureq::post(url).header("Content-Type", "application/x-www-form-urlencoded").send(form).expect("a row");
}

fn rows(url: &str) -> String {
    ureq::get(&format!("{url}rows")).call().expect("rows").body_mut().read_to_string().expect("text")
}

fn demo(world: &World) -> Running {
    Keeper::new(world).command("demo").args(["--dir", "d"]).start()
}

#[test]
fn rows_survive_a_killed_litestream_and_a_deleted_database() {
    let world = World::new();
    let first = demo(&world);
    let page = url(&first, 1);
    write(&page, "one");
    first.kill(&first.litestream(), Signal::SIGKILL);
    let page = url(&first, 2);
    assert!(rows(&page).contains("one"));
    write(&page, "two");
    first.stop(0).expect_log("everything is on the replica").expect_log("pkill -9 -P");

    for entry in fs::read_dir(world.path("d")).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("guestbook.db") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    // Nobody commits what the demo has made.
    assert_eq!(fs::read_to_string(world.path("d/.gitignore")).unwrap(), "*\n");
    let second = demo(&world);
    let kept = rows(&url(&second, 1));
    assert!(kept.contains("one") && kept.contains("two"), "{kept}");
    second.stop(0);
}

/// In a folder that is somebody's own, such a line would hide all that is theirs.
#[test]
fn a_folder_that_was_there_before_the_demo_keeps_its_own_list() {
    let world = World::new();
    fs::create_dir(world.path("d")).unwrap();
    let running = demo(&world);
    url(&running, 1);
    running.stop(0);
    assert!(!world.path("d/.gitignore").exists());
}
