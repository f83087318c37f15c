//! What the README's first command promises, step by step.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::keeper::Keeper;
use crate::support::process::Running;
use crate::support::vfs;
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

#[test]
fn a_tour_without_the_extension_says_what_gets_it() {
    let world = World::new();
    let ended = tour(&world).run().expect_code(0);
    assert!(ended.stdout.contains("once `litekeeper install --vfs` has got"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("$ litekeeper query"), "{}", ended.stdout);
}

/// The folders of a tour that are left in the world's temporary folder.
fn left(world: &World) -> Vec<String> {
    world.list("tmp")
}

fn tour(world: &World) -> Keeper {
    fs::create_dir_all(world.path("tmp")).unwrap();
    Keeper::new(world).command("demo").arg("--tour").env("TMPDIR", world.path("tmp"))
}

#[test]
fn a_tour_shows_each_command_on_a_keeper_of_its_own_and_leaves_nothing() {
    let world = World::new();
    let before = world.list("");
    let ended = tour(&world).env("LITEKEEPER_VFS_LIBRARY", vfs::library()).run().expect_code(0);
    let shown = &ended.stdout;
    let mut rest = shown.as_str();
    for wanted in [
        "$ curl -d 'name=Ada&message=hello' http://127.0.0.1:",
        "$ litekeeper sync --wait",
        "$ litekeeper status",
        "replicated",
        "$ litekeeper verify",
        "in-sync",
        "$ curl -d 'name=Mallory&",
        "$ litekeeper restore -o before.db --timestamp ",
        "$ sqlite3 before.db ",
        "Ada|hello\nGrace|good morning\n\n",
        "$ litekeeper query guestbook.db --at ",
        "Grace",
        "$ litekeeper ltx guestbook.db",
        "$ kill ",
    ] {
        let at = rest
            .find(wanted)
            .unwrap_or_else(|| panic!("no {wanted:?} in its turn in:\n{shown}{}", ended.log));
        rest = &rest[at + wanted.len()..];
    }
    // Each has its line in words before it.
    let lines: Vec<&str> = shown.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("$ litekeeper")) {
        assert!(lines[at - 1].ends_with(['.', '?']), "{line}: {}", lines[at - 1]);
    }
    assert_eq!(left(&world), [""; 0]);
    // The folder for what is temporary, and the one of the runs.
    let new: Vec<_> = world.list("").into_iter().filter(|name| !before.contains(name)).collect();
    assert!(new.iter().all(|name| ["rt", "tmp"].contains(&name.as_str())), "{new:?}");
}

#[test]
fn a_tour_that_is_left_or_fails_leaves_nothing_either() {
    let world = World::new();
    let mut running = tour(&world).start();
    running.wait_stdout("$ litekeeper status");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code(), Some(130));
    running.finish().expect_log("the tour was left");
    assert_eq!(left(&world), [""; 0]);

    let ended = tour(&world).litestream("0.3.13").run().expect_code(69);
    assert!(
        ended.log.contains("`litekeeper sync --wait` ended with") && ended.log.contains("hint: "),
        "{}",
        ended.log
    );
    assert_eq!(left(&world), [""; 0]);
}

#[test]
fn a_tour_goes_on_a_terminal_as_well() {
    let world = World::new();
    let (mut terminal, line) = tour(&world).terminal();
    terminal.line(&format!("{line}; echo code-$?"));
    terminal.wait("in-sync");
    terminal.wait("Nothing of this is left.");
    terminal.wait("code-0");
    terminal.close();
    assert_eq!(left(&world), [""; 0]);
}
