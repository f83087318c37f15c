//! What is found, and not named, and who else could have put it there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use nix::unistd::geteuid;

use crate::support::keeper::Keeper;
use crate::user::Shared;

const OTHER: u32 = 61817;

/// What it is, the configuration's name, and what is done to its folder and to it.
type Case<'a> = (&'a str, &'a str, &'a dyn Fn(&Path, &Path));

/// Options, the folder, variables.
type Place<'a> = (&'a [&'a str], &'a Path, &'a [(&'a str, &'a Path)]);

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

fn theirs(path: &Path) {
    chown(path, Some(OTHER), Some(OTHER)).expect("root may");
}

/// What a configuration says that somebody else may have written: each way to run something.
fn text(shared: &Shared) -> String {
    let touch = format!("touch {}", shared.world.path("data/ran").display());
    serde_json::json!({
        "litekeeper": {"before": [format!("sh -c '{touch}'")]},
        "dbs": [{"path": shared.db(), "replica": {"path": shared.world.path("data/replica")}}],
    })
    .to_string()
}

fn keeper(shared: &Shared, command: &str, cwd: &Path, flags: &[&str]) -> Keeper {
    let keeper = Keeper::new(&shared.world).command(command).cwd(cwd).args(flags);
    let keeper = keeper.env("LITESTREAM_BINARY_PATH", shared.world.path("litestream"));
    if command == "config" || command == "reload" { keeper } else { keeper.app(["true"]) }
}

#[test]
fn a_configuration_that_somebody_else_can_write_is_taken_where_it_is_named_only() {
    if !geteuid().is_root() {
        return;
    }
    // The name, and what is done to its folder and to the file.
    let sticky = |folder: &Path, file: &Path| {
        set(folder, 0o1777);
        theirs(file);
    };
    let cases: [Case<'_>; 11] = [
        ("a sticky folder", "litekeeper.yml", &sticky),
        ("a sticky folder with a file of root's", "litekeeper.yml", &|folder, _| set(folder, 0o1777)),
        ("a folder that all may write to", "litestream.yml", &|folder, _| set(folder, 0o777)),
        ("config/ of another user", "config/litestream.yml", &|folder, file| {
            theirs(&folder.join("config"));
            theirs(file);
        }),
        ("a file of another user", "litestream.yml", &|_, file| theirs(file)),
        ("a file that all may write to", "litekeeper.yml", &|_, file| set(file, 0o666)),
        ("a file that its group may write to", "litekeeper.yml", &|_, file| {
            chown(file, None, Some(OTHER)).expect("root may");
            set(file, 0o664);
        }),
        ("a folder that its group may write to", "litekeeper.yml", &|folder, _| {
            chown(folder, None, Some(OTHER)).expect("root may");
            set(folder, 0o775);
        }),
        ("all of another user", "litestream.yml", &|folder, file| {
            theirs(folder);
            theirs(file);
        }),
        ("root's link to a file of another user", "config/litestream.yml", &|folder, file| {
            let real = folder.join("real.yml");
            fs::rename(file, &real).expect("ours");
            symlink(&real, file).expect("a link");
            theirs(&real);
        }),
        ("a link of another user to a file of root's", "litestream.yml", &|folder, file| {
            let real = folder.join("real.yml");
            fs::rename(file, &real).expect("ours");
            symlink(&real, file).expect("a link");
            std::os::unix::fs::lchown(file, Some(OTHER), None).expect("root may");
        }),
    ];
    for (what, name, change) in cases {
        let shared = Shared::new();
        let folder = shared.world.path("project");
        let file = folder.join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("ours");
        fs::write(&file, text(&shared)).expect("ours");
        change(&folder, &file);
        for flags in [&[][..], &["--user", "nobody"]] {
            for command in ["run", "check", "config", "reload"] {
                if command == "reload" && !flags.is_empty() {
                    continue;
                }
                let ended = keeper(&shared, command, &folder, flags).run();
                let shown = format!("{}{}", ended.stdout, ended.log);
                assert!(shown.contains("it was found, not named"), "{what}: {command} {flags:?}: {shown}");
                assert!(shown.contains(&format!("--config {name}")), "{what}: {command}: {shown}");
                ended.expect_code(78);
            }
        }
        keeper(&shared, "run", &folder, &[]).env("LITEKEEPER_ENABLED", "0").run().expect_code(78);
        assert!(!shared.world.path("data/ran").exists(), "{what}");
        // Databases that are named need no file.
        let db = shared.db().display().to_string();
        let replica = format!("file://{}", shared.world.path("data/replica").display());
        keeper(&shared, "config", &folder, &["--db", &db, "--replica", &replica]).run().expect_code(0);
        keeper(&shared, "run", &folder, &["--config", name]).run().expect_code(0);
        assert!(shared.world.path("data/ran").exists(), "{what}");
    }
    // As a checkout under `umask 002` has it that was copied into an image.
    for flags in [&[][..], &["--user", "nobody"]] {
        let shared = Shared::new();
        let folder = shared.world.path("project");
        fs::create_dir(&folder).expect("ours");
        let file = folder.join("litestream.yml");
        fs::write(&file, text(&shared)).expect("ours");
        set(&file, 0o664);
        set(&folder, 0o775);
        keeper(&shared, "run", &folder, flags).run().expect_code(0);
    }
}

/// A Litestream that leaves a mark if it is run.
fn planted(shared: &Shared, folder: &Path) {
    fs::create_dir_all(folder).expect("ours");
    let script = folder.join("litestream");
    let ran = shared.world.path("data/ran");
    fs::write(&script, format!("#!/bin/sh\nid -u >> {}\necho 0.5.16\n", ran.display())).expect("ours");
    set(&script, 0o755);
    theirs(&script);
}

#[test]
fn a_litestream_that_somebody_else_can_replace_is_run_where_it_is_named_only() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let ran = shared.world.path("data/ran");
    let home = shared.world.path("home");
    let folder = home.join(".local/share/litekeeper/bin");
    planted(&shared, &folder);
    let xdg = shared.world.path("xdg");
    planted(&shared, &xdg.join("litekeeper/bin"));
    // With the file of root's own in it, what counts is the folder.
    let open = shared.world.path("open");
    planted(&shared, &open);
    chown(open.join("litestream"), Some(0), Some(0)).expect("root may");
    theirs(&open);
    let binary = folder.join("litestream").display().to_string();
    let own = shared.world.path("own");
    fs::create_dir(&own).expect("ours");
    let config = serde_json::json!({
        "litekeeper": {"litestream": {"binary": binary}},
        "dbs": [{"path": shared.db(), "replica": {"path": shared.world.path("data/replica")}}],
    });
    fs::write(own.join("litekeeper.yml"), config.to_string()).expect("ours");
    let db = shared.db().display().to_string();
    let replica = format!("file://{}", shared.world.path("data/replica").display());
    let databases = ["--db", &db, "--replica", &replica];
    let start = |command: &str, cwd: &Path, flags: &[&str], env: &[(&str, &Path)]| {
        let keeper = Keeper::new(&shared.world).command(command).cwd(cwd).args(flags);
        let keeper = keeper.env("LITESTREAM_BINARY_PATH", "").env("HOME", "/root").env("XDG_DATA_HOME", "");
        let keeper = env.iter().fold(keeper, |keeper, (name, value)| keeper.env(name, value));
        if command == "install" { keeper.run() } else { keeper.app(["true"]).run() }
    };
    let nowhere = Path::new("/nowhere");
    let places: [Place<'_>; 5] = [
        (&databases, shared.world.root(), &[("PATH", nowhere), ("HOME", &home)]),
        (&databases, shared.world.root(), &[("PATH", nowhere), ("XDG_DATA_HOME", &xdg)]),
        (&databases, shared.world.root(), &[("LITESTREAM_INSTALL_DIR", &open)]),
        (&databases, shared.world.root(), &[("PATH", &open)]),
        (&[], &own, &[("PATH", nowhere)]),
    ];
    for (flags, cwd, env) in places {
        for command in ["check", "run"] {
            let ended = start(command, cwd, flags, env);
            let shown = format!("{}{}", ended.stdout, ended.log);
            assert!(
                shown.contains("not named") && shown.contains("--litestream-binary /"),
                "{env:?}: {shown}"
            );
            ended.expect_code(78);
            assert!(!ran.exists(), "{command} {env:?}");
        }
    }
    for (dir, env) in [(home.as_path(), ("HOME", home.as_path())), (&open, ("LITESTREAM_INSTALL_DIR", &open))]
    {
        start(
            "install",
            shared.world.root(),
            &["--version", "0.5.16", "--url", "http://127.0.0.1:9/x"],
            &[env],
        );
        assert!(!ran.exists(), "{}", dir.display());
    }
    // What is named is meant.
    start("check", shared.world.root(), &[&databases[..], &["--litestream-binary", &binary]].concat(), &[]);
    assert!(ran.exists());
    fs::remove_file(&ran).expect("it is there");
    start("check", &own, &["--config", "litekeeper.yml"], &[]);
    assert!(ran.exists());
}
