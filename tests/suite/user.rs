//! `--user`: Litestream and the app run as somebody else, and all the files are theirs.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::litestream::{self, Backup, LATEST};
use crate::support::process::Running;
use crate::support::procfs::Process;
use crate::support::unit;
use crate::support::world::World;

/// The numbers that a process runs as: real, effective and saved user, then the groups.
fn owners(process: &Process) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).expect("it lives");
    let numbers = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("the kernel tells");
        line.split_ascii_whitespace()
            .skip(1)
            .map(|number| number.parse().expect("a number"))
            .collect::<Vec<_>>()
    };
    [numbers("Uid:"), numbers("Gid:"), numbers("Groups:")].concat()
}

/// A world that another user may enter, with a folder of theirs, and the programs where they can be seen.
pub(crate) struct Shared {
    pub(crate) world: World,
    user: User,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let user =
            User::from_name("nobody").expect("the user database can be read").expect("nobody is everywhere");
        fs::set_permissions(world.root(), fs::Permissions::from_mode(0o755)).expect("ours");
        fs::create_dir(world.path("data")).expect("the world can be written");
        chown(world.path("data"), Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may");
        fs::write(world.path("trace"), "").expect("the world can be written");
        fs::set_permissions(world.path("trace"), fs::Permissions::from_mode(0o666)).expect("ours");
        let probe = App::new(&world.trace()).into_iter().next().expect("its program");
        for (from, name) in [(PathBuf::from(probe), "probe"), (litestream::binary(LATEST), "litestream")] {
            // By another process, as `World::program` says.
            let copied = Command::new("install").args(["-m", "755"]).arg(from).arg(world.path(name)).status();
            assert!(copied.is_ok_and(|status| status.success()), "cannot copy {name}");
        }
        Self { world, user }
    }

    pub(crate) fn db(&self) -> std::path::PathBuf {
        self.world.path("data/app.db")
    }

    fn replica(&self) -> String {
        format!("file://{}", self.world.path("data/replica").display())
    }

    pub(crate) fn start(&self, app: App) -> Running {
        self.keeper(app).start()
    }

    fn keeper(&self, app: App) -> Keeper {
        let mut words: Vec<_> = app.into_iter().collect();
        words[0] = self.world.path("probe").into();
        self.keeper_of(words)
    }

    /// A keeper of another app than the probe.
    pub(crate) fn keeper_of(&self, words: Vec<OsString>) -> Keeper {
        let keeper =
            Keeper::new(&self.world).db(&self.db()).replica(&self.replica()).args(["--user", "nobody"]);
        keeper.env("LITESTREAM_BINARY_PATH", self.world.path("litestream")).app(words)
    }

    #[track_caller]
    fn assert_all_theirs(&self) {
        let mut folders = vec![self.world.path("data")];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("root may").flatten() {
                let found = entry.metadata().expect("it is there");
                let path = entry.path();
                // The lock is the keeper's, which stays root.
                if !path.to_string_lossy().ends_with("-litekeeper.lock") {
                    assert_eq!(found.uid(), self.user.uid.as_raw(), "{}", path.display());
                    files += 1;
                }
                if found.is_dir() {
                    folders.push(path);
                }
            }
        }
        assert!(files >= 3, "the database, its WAL and its index");
    }
}

/// What a start as root has left: to give the folder away is not to give what is in it.
#[test]
fn what_lies_deeper_in_a_folder_of_litestreams_has_to_be_theirs_as_well() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let (db, trace) = (shared.db(), shared.world.trace());
    let (uid, gid) = (shared.user.uid.as_raw(), shared.user.gid.as_raw());
    let keeper = || Keeper::new(&shared.world).db(&db).replica(&shared.replica());
    // Litestream gives what it makes to whose the database's folder is.
    chown(shared.world.path("data"), Some(0), Some(0)).expect("root may");
    let as_root = keeper().env("LITESTREAM_BINARY_PATH", shared.world.path("litestream"));
    as_root.app(App::new(&trace).insert(&db, 3)).run().expect_code(0);
    let written = trace.events().len();
    let meta = shared.world.path("data/.app.db-litestream");
    let replica = shared.world.path("data/replica");
    let give = |path: &std::path::Path| chown(path, Some(uid), Some(gid)).expect("root may");
    let beside = fs::read_dir(shared.world.path("data")).expect("ours").flatten().map(|entry| entry.path());
    beside.for_each(|path| give(&path));
    give(&shared.world.path("data"));
    for folder in [&meta, &replica] {
        let hint = format!("chown -R {uid}:{gid} {}", folder.display());
        let deeper = folder.join("ltx");
        let words = format!("user {uid} cannot write `{}", deeper.display());
        keeper().command("check").args(["--user", "nobody"]).run().expect_code(78).expect_output(&words);
        let ended = shared.keeper(App::new(&trace).insert(&db, 3)).run().expect_code(78);
        ended.expect_log(&words).expect_log(&hint);
        assert_eq!(trace.events().len(), written, "the app was not started");
        let given = Command::new("chown").args(["-R", &format!("{uid}:{gid}")]).arg(folder).status();
        assert!(given.is_ok_and(|status| status.success()));
    }
    shared.keeper(App::new(&trace).insert(&db, 3)).run().expect_code(0);
    Backup::Url(&shared.replica()).assert_holds_acked(&shared.world, LATEST, &trace);
}

#[test]
fn litestream_and_the_app_run_as_that_user_and_the_files_are_theirs() {
    if !geteuid().is_root() {
        let world = World::new();
        let keeper = unit::keeper(&world).args(["--user", "nobody"]).app(["true"]);
        keeper.run().expect_code(78).expect_log("only root");
        return;
    }
    let shared = Shared::new();
    let (trace, db, user) = (shared.world.trace(), shared.db(), &shared.user);
    let unit = shared.start(
        App::new(&trace)
            .words(["env", "HOME", "env", "USER", "env", "LOGNAME"])
            .on_last("TERM", &db, 0)
            .insert_forever(&db, 3),
    );
    trace.wait_acked(10);
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    for process in [unit.litestream(), unit.shim(), unit.app()] {
        assert_eq!(owners(&process), [uid, uid, uid, uid, gid, gid, gid, gid, gid], "{process:?}");
    }
    assert_eq!(owners(&unit.keeper())[..4], [0; 4]);
    let told: Vec<_> = (1..=3).flat_map(|n| trace.wait_nth(n, "env").decoded()).collect();
    assert_eq!(told, [user.dir.clone().into_os_string(), "nobody".into(), "nobody".into()]);
    let env = fs::read(format!("/proc/{}/environ", unit.litestream().pid)).expect("root may");
    let home = format!("HOME={}", user.dir.display());
    assert!(
        env.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes()),
        "root's is closed to it"
    );
    shared.assert_all_theirs();

    let app = unit.app();
    unit.litestream().signal(Signal::SIGKILL);
    unit::time_to_death(app.pid);
    unit::wait_successor(&trace, app.pid);
    assert_eq!(owners(&unit.app())[0], uid);
    unit.stop(0);
    let url = shared.replica();
    Backup::Url(&url).assert_holds_acked(&shared.world, LATEST, &trace);

    // What is restored is theirs as well.
    let rows = trace.acked().len();
    for name in ["app.db", "app.db-wal", "app.db-shm"] {
        let _ = fs::remove_file(shared.world.path("data").join(name));
    }
    let _ = fs::remove_dir_all(shared.world.path("data/.app.db-litestream"));
    let unit = shared.start(App::new(&trace).on_exit("TERM", 0).count(&db).insert(&db, 1).ready().wait());
    trace.wait("ready");
    assert_eq!(trace.wait("count").rest, rows.to_string());
    shared.assert_all_theirs();
    unit.signal(Signal::SIGKILL);
    unit.finish();
    Backup::Url(&url).assert_holds_acked(&shared.world, LATEST, &trace);
}

/// A number without an entry, root itself, and the app alone: the variables are always those of the user.
#[test]
fn the_variables_are_those_of_the_user() {
    if !geteuid().is_root() {
        return;
    }
    let root = User::from_name("root").expect("the user database can be read").expect("root is everywhere");
    let root = format!("{} root root 0", root.dir.display());
    for (user, switch, said) in [
        ("4242:4343", "true", "/ 4242 4242 4242"),
        ("root", "true", root.as_str()),
        ("4242:4343", "false", "/ 4242 4242 4242"),
        ("nobody", "false", "/nonexistent nobody nobody 65534"),
    ] {
        let shared = Shared::new();
        let config = shared
            .world
            .write("litestream.yml", "litekeeper: {resolver: {command: [echo, '[]']}}\ndbs: []\n");
        let keeper = Keeper::new(&shared.world).config(&config).args(["--user", user]);
        let keeper = keeper.envs([("USER", "x"), ("LOGNAME", "x"), ("LITEKEEPER_ENABLED", switch)]);
        let keeper = keeper.env("LITESTREAM_BINARY_PATH", shared.world.path("litestream"));
        let ended = keeper.app(["sh", "-c", "echo $HOME $USER $LOGNAME $(id -u)"]).run().expect_code(0);
        assert_eq!(ended.stdout.trim_end(), said, "--user {user}, enabled: {switch}");
    }
}

/// A shell of root's has a folder that nobody else may enter: whoever is started there is there.
#[test]
fn the_folder_may_be_closed_to_the_user() {
    if !geteuid().is_root() {
        return;
    }
    let shared = Shared::new();
    let (trace, db, folder) = (shared.world.trace(), shared.db(), shared.world.path("closed"));
    fs::create_dir(&folder).expect("the world can be written");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("ours");
    let app = App::new(&trace).on_last("TERM", &db, 0).words(["cwd"]).insert(&db, 1).ready().wait();
    let unit = shared.keeper(app.clone()).cwd(&folder).start();
    trace.wait("ready");
    assert_eq!(trace.wait("cwd").decoded(), [folder.clone().into_os_string()]);
    unit.stop(0);
    Backup::Url(&shared.replica()).assert_holds_acked(&shared.world, LATEST, &trace);

    // To be sent there is something else.
    let keeper = shared.keeper(app).args([std::ffi::OsStr::new("--cwd"), folder.as_os_str()]);
    let ended = keeper.run().expect_code(78).expect_log("cannot be entered: Permission denied");
    assert!(ended.log.contains(&*folder.to_string_lossy()), "{}", ended.log);
}

#[test]
fn a_user_who_is_not_there_is_named() {
    let world = World::new();
    let keeper = unit::keeper(&world).args(["--user", "no-such-user"]).app(["true"]);
    keeper.run().expect_code(78).expect_log("there is no user `no-such-user`");
}
