//! What others put where root looks, and what they see.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Child, Command};

use nix::unistd::geteuid;

use crate::init::project;
use crate::support::keeper::Keeper;
use crate::support::world::World;
use crate::user::Shared;

const OTHER: u32 = 61817;

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

/// A process of root's in a folder.
struct InFolder(Child);

impl InFolder {
    fn new(folder: &Path) -> Self {
        Self(Command::new("sleep").arg("1000").current_dir(folder).spawn().expect("sleep is everywhere"))
    }
}

impl Drop for InFolder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_link_of_the_kernels_leads_past_no_closed_folder() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let (world, data) = (&shared.world, shared.world.path("data"));
    let closed = world.path("closed");
    fs::create_dir(&closed).expect("ours");
    set(&closed, 0o700);
    let inner = closed.join("inner");
    fs::create_dir(&inner).expect("ours");
    fs::write(inner.join("secret"), "WORD=rootonly\n").expect("ours");
    set(&inner, 0o755);
    set(&inner.join("secret"), 0o644);
    let roots = InFolder::new(&inner);
    let says = ["sh", "-c", "echo \"it has <$WORD> in $(pwd)\" >&2"];
    let keeper = || {
        let keeper = Keeper::new(world).env("LITESTREAM_BINARY_PATH", world.path("litestream"));
        let keeper = keeper.db(&shared.db()).replica(&format!("file://{}", data.join("replica").display()));
        keeper.args(["--user", "nobody"]).app(says)
    };
    let link = data.join(".env");
    for target in [format!("/proc/{}/cwd/secret", roots.0.id()), "/proc/self/cwd/secret".to_owned()] {
        symlink(&target, &link).expect("a link");
        let ended = keeper().cwd(&inner).args(["--env-file"]).arg(&link).run().expect_code(78);
        assert!(!ended.log.contains("rootonly"), "{target}: {}", ended.log);
        fs::remove_file(&link).expect("ours");
    }
    let folder = data.join("folder");
    symlink(format!("/proc/{}/cwd", roots.0.id()), &folder).expect("a link");
    keeper().args(["--cwd"]).arg(&folder).run().expect_code(78);
    // What root opens itself is what it gives.
    let own = data.join("own");
    fs::write(&own, "WORD=given\n").expect("root may");
    set(&own, 0o600);
    let open = format!("exec \"$@\" 3<'{}'", own.display());
    let given = keeper().wrapped(["sh", "-c", &open, "sh"]);
    given.args(["--env-file", "/proc/self/fd/3"]).run().expect_code(0).expect_log("it has <given>");
    let given = keeper().wrapped(["sh", "-c", &open.replace("3<", "<"), "sh"]);
    given.args(["--env-file", "/dev/stdin"]).run().expect_code(0).expect_log("it has <given>");
}

fn give_away(folder: &Path) {
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            give_away(&entry.path());
        }
        std::os::unix::fs::lchown(entry.path(), Some(OTHER), Some(OTHER)).expect("root may");
    }
    chown(folder, Some(OTHER), Some(OTHER)).expect("root may");
}

fn python(world: &World) {
    let used = world.path("used/by");
    fs::create_dir(world.path("used")).expect("ours");
    set(&world.path("used"), 0o777);
    set(world.root(), 0o755);
    fs::create_dir_all(world.path("project/.venv/bin")).expect("ours");
    let script = format!("#!/bin/sh\necho \"$(id -u) $SOME_TOKEN\" >> {}\nexit 1\n", used.display());
    world.program("project/.venv/bin/python", &script);
}

#[test]
fn a_project_of_another_user_is_asked_as_that_user() {
    if !geteuid().is_root() {
        return;
    }
    let world = project("django");
    python(&world);
    give_away(&world.path("project"));
    let init = || {
        let keeper = Keeper::new(&world).command("init").cwd(&world.path("project")).args(["--dry-run"]);
        keeper.env("SOME_TOKEN", "rootonly-token").run()
    };
    let ended = init().expect_code(0);
    let by = fs::read_to_string(world.path("used/by")).expect("it was asked");
    assert!(by.lines().all(|line| line == format!("{OTHER} ")), "{by}");
    assert!(!by.is_empty(), "{}", ended.log);
    fs::remove_file(world.path("used/by")).expect("ours");
    // What anybody may write to is nobody's word.
    set(&world.path("project"), 0o777);
    init().expect_code(78).expect_log("decides what is in it");
    assert!(!world.path("used/by").exists());
    // In root's own project no file of another user is run.
    set(&world.path("project"), 0o755);
    chown(world.path("project"), Some(0), Some(0)).expect("root may");
    init();
    assert!(!world.path("used/by").exists());
}

#[test]
fn a_project_of_another_user_shows_no_file_of_roots() {
    if !geteuid().is_root() {
        return;
    }
    let world = World::new();
    set(world.root(), 0o755);
    let folder = world.path("project");
    fs::create_dir(&folder).expect("ours");
    let secret = world.write("secret", "DATABASE_URL=sqlite:////var/rootonly.db\n");
    set(&secret, 0o600);
    symlink(&secret, folder.join(".env")).expect("a link");
    give_away(&folder);
    let init = || {
        let keeper = Keeper::new(&world).command("init").cwd(&folder).args(["--dry-run"]);
        let ended = keeper.run();
        assert!(
            !format!("{}{}", ended.stdout, ended.log).contains("rootonly"),
            "{} {}",
            ended.stdout,
            ended.log
        );
    };
    init();
    chown(&folder, Some(0), Some(0)).expect("root may");
    init();
    // Whose link it is decides: of root's own it is what root means.
    std::os::unix::fs::lchown(folder.join(".env"), Some(0), Some(0)).expect("root may");
    let keeper = Keeper::new(&world).command("init").cwd(&folder).args(["--dry-run"]);
    keeper.run().expect_code(0).expect_log("rootonly");
}

#[test]
fn an_address_in_the_wrong_place_shows_no_secret() {
    let world = World::new();
    const SECRET: &str = "hunTer2/x";
    let url = format!("s3://u:{SECRET}@b/p");
    let without = format!("//u:{SECRET}@h/p");
    let bare = "u:hunTer2@h/p".to_owned();
    let db = world.db().display().to_string();
    let pair =
        |replica: &str| vec!["--db".to_owned(), db.clone(), "--replica".to_owned(), replica.to_owned()];
    let from = |place: &str| {
        let good = format!("file://{}", world.path("replica").display());
        [pair(&good), vec!["--restore-from".to_owned(), place.to_owned()]].concat()
    };
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for typed in [&url, &without, &bare] {
        commands.push((typed.clone(), Vec::new()));
        commands.push(("run".to_owned(), vec![typed.clone()]));
        commands.push(("check".to_owned(), vec![format!("--{typed}")]));
        for command in ["check", "config", "run"] {
            commands.push((command.to_owned(), pair(typed)));
            commands.push((command.to_owned(), from(typed)));
            commands.push((command.to_owned(), from(&format!("{db}={typed}"))));
        }
    }
    for (command, flags) in commands {
        let keeper = Keeper::new(&world).command(&command).args(&flags);
        let is_run = command == "run" && flags.len() > 1;
        let ended = if is_run { keeper.app(["false"]).run() } else { keeper.run() };
        let shown = format!("{}{}", ended.stdout, ended.log);
        assert!(!shown.contains("hunTer2"), "{command} {flags:?}: {shown}");
    }
}

/// Where the kernel lets it: `TIOCSTI` in `ioctl_tty(2)`.
#[test]
fn an_app_of_another_user_with_roots_terminal_is_told_of() {
    let allowed = fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti");
    if !geteuid().is_root() || allowed.is_ok_and(|text| text.trim() == "0") {
        return;
    }
    let shared = Shared::new();
    let keeper = |command: &str| {
        let keeper = Keeper::new(&shared.world).command(command);
        let keeper = keeper.env("LITESTREAM_BINARY_PATH", shared.world.path("litestream"));
        let keeper = keeper
            .db(&shared.db())
            .replica(&format!("file://{}", shared.world.path("data/replica").display()));
        keeper.args(["--user", "nobody"]).app(["true"])
    };
    for command in ["run", "check"] {
        let (mut terminal, line) = keeper(command).terminal();
        terminal.line(&line);
        terminal.wait("it can type into its shell");
        if command == "check" {
            terminal.wait("[terminal]");
        }
        terminal.close();
    }
    let ended = keeper("run").wrapped(["setsid", "--wait"]).run().expect_code(0);
    assert!(!ended.log.contains("type into"), "{}", ended.log);
}
