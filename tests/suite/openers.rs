//! Whatever stands where a file is wanted: nobody waits for it, TERM is served, and one line says what it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::app::App;
use crate::support::keeper::Keeper;
use crate::support::process::Ended;
use crate::support::sqlite;
use crate::support::unit;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// What a command may take on a busy machine that has no limit of its own to wait for.
const SOON: Duration = Duration::from_secs(60);

/// What stands there.
#[derive(Clone, Copy, Debug)]
enum Thing {
    Pipe,
    Socket,
    Folder,
    Device,
}

const ALL: [Thing; 4] = [Thing::Pipe, Thing::Socket, Thing::Folder, Thing::Device];

impl Thing {
    /// Puts it there, in the place of whatever was.
    fn put(self, path: &Path) {
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
        fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
        match self {
            Self::Pipe => mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).expect("ours"),
            Self::Socket => {
                // A socket's path is short; what is moved stays one.
                let short = tempfile::tempdir_in("/tmp").expect("/tmp can be written");
                drop(UnixListener::bind(short.path().join("s")).expect("ours"));
                fs::rename(short.path().join("s"), path).expect("ours");
            }
            Self::Folder => fs::create_dir(path).expect("ours"),
            Self::Device => symlink("/dev/zero", path).expect("ours"),
        }
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Pipe => &["pipe"],
            Self::Socket => &["socket"],
            Self::Folder => &["folder", "directory"],
            Self::Device => &["device", "link"],
        }
    }
}

/// A world whose database was replicated once, so that all files are there that a keeper leaves.
fn used() -> World {
    let world = World::new();
    sqlite::create(&world.db(), 10);
    unit::keeper(&world).app(["true"]).run().expect_code(0);
    world
}

/// The newest file of Litestream's own.
fn newest_ltx(world: &World) -> PathBuf {
    let folder = world.path(".app.db-litestream/ltx/0");
    let mut names: Vec<_> =
        fs::read_dir(&folder).expect("it ran").flatten().map(|file| file.path()).collect();
    names.sort();
    names.pop().expect("a file")
}

fn keeper(world: &World) -> Keeper {
    unit::keeper(world).args(unit::BUDGET).args(["--gate-timeout", "5s", "--restore-timeout", "5s"])
}

/// Lets a keeper run until its app is there or it ends by itself, and ends it with TERM.
#[track_caller]
fn run(world: &World, keeper: Keeper) -> Ended {
    let trace = world.trace();
    let mut running = keeper.app(App::new(&trace).ready().wait()).start();
    let is_ready = || trace.events().iter().any(|event| event.name == "ready");
    wait_until("the app, or the end", SOON, || running.try_wait().is_some() || is_ready());
    if running.try_wait().is_none() {
        running.signal(Signal::SIGTERM);
    }
    running.finish_within(DEADLINE)
}

/// One clear word at the end, or an orderly one.
#[track_caller]
fn assert_clear(ended: &Ended, what: &str, words: &[&str]) {
    let errors = ended.log.lines().filter(|line| line.starts_with("error: ")).count();
    let code = ended.status.code().unwrap_or_else(|| panic!("{what}: {}\n{}", ended.status, ended.log));
    assert!(!ended.log.contains("panicked"), "{what}: {}", ended.log);
    if [0, 143].contains(&code) {
        assert_eq!(errors, 0, "{what}: {}", ended.log);
        return;
    }
    assert_eq!(errors, 1, "{what}: ended with {code}: {}", ended.log);
    assert!(words.iter().any(|word| ended.log.contains(word)), "{what}: ended with {code}: {}", ended.log);
}

/// Before a start: the files of a database.
fn before_a_start(place: impl Fn(&World) -> PathBuf, things: &[Thing]) {
    for thing in things {
        let world = used();
        let path = place(&world);
        thing.put(&path);
        let what = format!("{thing:?} as {}", path.display());
        let ended = run(&world, keeper(&world));
        assert_clear(&ended, &what, thing.words());
        let checked = keeper_of(&world, "check").start().finish_within(SOON);
        assert!(checked.status.code().is_some_and(|code| code <= 78), "{what}: {}", checked.log);
        keeper_of(&world, "config").start().finish_within(SOON).expect_code(0);
    }
}

fn keeper_of(world: &World, command: &str) -> Keeper {
    unit::keeper(world).command(command)
}

#[test]
fn as_the_database() {
    before_a_start(World::db, &ALL);
}

#[test]
fn as_the_log() {
    before_a_start(|world| world.path("app.db-wal"), &ALL);
}

#[test]
fn as_the_index_or_the_journal() {
    before_a_start(|world| world.path("app.db-shm"), &[Thing::Pipe, Thing::Device]);
    before_a_start(|world| world.path("app.db-journal"), &[Thing::Pipe, Thing::Socket]);
}

#[test]
fn as_the_lock() {
    before_a_start(|world| world.path(".app.db-litekeeper.lock"), &ALL);
}

#[test]
fn as_the_metadata() {
    before_a_start(|world| world.path(".app.db-litestream"), &[Thing::Pipe]);
    before_a_start(|world| world.path(".app.db-litestream/ltx"), &[Thing::Pipe]);
    before_a_start(|world| world.path(".app.db-litestream/ltx-broken"), &[Thing::Pipe]);
}

#[test]
fn as_a_file_of_litestreams() {
    before_a_start(newest_ltx, &ALL);
}

#[test]
fn as_the_ledger_or_its_history() {
    before_a_start(|world| world.path(".app.db-litestream/litekeeper-ledger"), &[Thing::Pipe, Thing::Folder]);
    before_a_start(
        |world| world.path(".app.db-litestream/litekeeper-history"),
        &[Thing::Pipe, Thing::Device],
    );
}

#[test]
fn in_the_runtime_folder() {
    before_a_start(|world| world.runtime_dir().join("run-1/lock"), &ALL);
    before_a_start(|world| world.runtime_dir().join("lock"), &ALL);
    before_a_start(World::runtime_dir, &[Thing::Pipe, Thing::Socket]);
}

/// A database that is missing is restored, whatever lies beside it.
#[test]
fn where_a_database_is_restored() {
    for name in [
        "app.db-wal",
        "app.db-journal",
        ".app.db-litekeeper.lock",
        ".app.db-litekeeper-restore",
        ".app.db-litekeeper-restore.tmp",
        ".app.db-litestream",
    ] {
        let world = used();
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(world.path(&format!("app.db{suffix}")));
        }
        let _ = fs::remove_dir_all(world.path(".app.db-litestream"));
        Thing::Pipe.put(&world.path(name));
        let ended = run(&world, keeper(&world));
        assert_clear(&ended, name, &["pipe"]);
    }
}

#[test]
fn as_a_file_that_is_named() {
    for thing in ALL {
        let world = World::new();
        sqlite::create(&world.db(), 1);
        let yaml = world.config(&world.replica());
        thing.put(&world.path("env"));
        thing.put(&world.path(".env"));
        for command in ["run", "check", "config"] {
            let app = if command == "run" { &["true"][..] } else { &[] };
            let of = || Keeper::new(&world).command(command).cwd(world.root()).app(app);
            let with_env = of().config(&yaml).args(["--env-file", "env"]);
            let ended = if command == "config" { of().config(&yaml) } else { with_env }.start();
            let ended = ended.finish_within(SOON);
            let what = format!("{command} with {thing:?} as env file");
            match command {
                "run" => assert_clear(&ended.expect_code(78), &what, thing.words()),
                _ => assert!(ended.status.code().is_some_and(|code| code <= 78), "{what}: {}", ended.log),
            }
        }
        thing.put(&world.path("c.yml"));
        for command in ["run", "check", "config", "reload"] {
            let app = if command == "run" { &["true"][..] } else { &[] };
            let ended = Keeper::new(&world).command(command).config(&world.path("c.yml")).app(app).start();
            let ended = ended.finish_within(SOON).expect_code(78);
            let said = format!("{}{}", ended.stdout, ended.log);
            assert!(thing.words().iter().any(|word| said.contains(word)), "{command} {thing:?}: {said}");
        }
    }
}

#[test]
fn as_a_file_of_a_project() {
    let names = [
        "package.json",
        "Procfile",
        "Dockerfile",
        "fly.toml",
        "render.yaml",
        "Gemfile",
        "bin/rails",
        "config/database.yml",
        "config/application.rb",
        "manage.py",
        "pyproject.toml",
        "requirements.txt",
        "composer.json",
        "artisan",
        "config/database.php",
        "prisma/schema.prisma",
        "drizzle.config.ts",
        "mix.exs",
        "config/runtime.exs",
        "litestream.yml",
        "etc/litestream.yml",
        ".env",
        "compose.yml",
        "docker-compose.yml",
        "app.service",
    ];
    for thing in ALL {
        let world = World::new();
        for name in names {
            thing.put(&world.path(name));
        }
        for args in [&["--dry-run"][..], &["--stdout"], &[]] {
            let ended = Keeper::new(&world).command("init").args(args).cwd(world.root()).start();
            let ended = ended.finish_within(SOON);
            assert!(ended.status.code().is_some_and(|code| code <= 78), "{thing:?}: {}", ended.log);
            assert!(!ended.log.contains("panicked"), "{thing:?}: {}", ended.log);
        }
        // One at a time, beside a project that is one.
        for name in ["config/database.yml", "Gemfile", ".env", "Procfile", "Dockerfile", "litestream.yml"] {
            let world = World::new();
            for (file, text) in [
                ("Gemfile", "gem \"rails\"\n"),
                ("bin/rails", "#!/bin/sh\n"),
                ("config/application.rb", "module A\nend\n"),
                ("config/database.yml", "production: {adapter: sqlite3, database: storage/p.sqlite3}\n"),
            ] {
                fs::create_dir_all(world.path(file).parent().expect("a folder")).expect("ours");
                world.write(file, text);
            }
            thing.put(&world.path(name));
            let ended = Keeper::new(&world).command("init").arg("--dry-run").cwd(world.root()).start();
            let ended = ended.finish_within(SOON);
            assert!(ended.status.code().is_some_and(|code| code <= 78), "{thing:?} as {name}: {}", ended.log);
        }
    }
}

#[test]
fn where_reload_looks() {
    for thing in ALL {
        let world = World::new();
        sqlite::create(&world.db(), 1);
        thing.put(&world.path(".app.db-litekeeper.lock"));
        let ended = Keeper::new(&world).command("reload").db(&world.db()).start().finish_within(SOON);
        assert_ne!(ended.status.code(), Some(0));
        assert_clear(&ended, "reload", &["keeper", "lock"]);
        thing.put(&world.runtime_dir().join("run-1/lock"));
        let ended = Keeper::new(&world).command("reload").start().finish_within(SOON);
        assert_ne!(ended.status.code(), Some(0));
    }
}

/// While the app runs: each file in turn becomes a pipe, under the keeper's eyes.
#[track_caller]
fn while_it_runs(place: impl Fn(&World) -> PathBuf) {
    let world = World::new();
    sqlite::create(&world.db(), 1);
    let running = unit::start_writing(&world, keeper(&world));
    let trace = world.trace();
    let path = place(&world);
    Thing::Pipe.put(&path);
    // Until it was looked at a few times.
    let before = trace.events().len();
    wait_until("some hundred rows more", SOON, || trace.events().len() > before + 800);
    let reload = Keeper::new(&world).command("reload").db(&world.db()).start().finish_within(SOON);
    assert!(reload.status.code().is_some(), "{}", reload.log);
    running.signal(Signal::SIGTERM);
    let ended = running.finish_within(DEADLINE);
    let code = ended.status.code();
    assert!(
        code.is_some_and(|code| [0, 70, 74, 75, 78, 143].contains(&code)),
        "{}: {code:?}: {}",
        path.display(),
        ended.log
    );
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
}

#[test]
fn as_the_database_while_it_runs() {
    while_it_runs(World::db);
}

#[test]
fn as_the_log_while_it_runs() {
    while_it_runs(|world| world.path("app.db-wal"));
}

#[test]
fn as_the_index_while_it_runs() {
    while_it_runs(|world| world.path("app.db-shm"));
}

#[test]
fn as_the_journal_while_it_runs() {
    while_it_runs(|world| world.path("app.db-journal"));
}

#[test]
fn as_the_lock_while_it_runs() {
    while_it_runs(|world| world.path(".app.db-litekeeper.lock"));
}

#[test]
fn as_a_file_of_litestreams_while_it_runs() {
    while_it_runs(newest_ltx);
}

#[test]
fn as_the_ledger_while_it_runs() {
    while_it_runs(|world| world.path(".app.db-litestream/litekeeper-ledger"));
}

#[test]
fn in_the_runtime_folder_while_it_runs() {
    while_it_runs(|world| {
        let run = world.list("rt").into_iter().find(|name| name.starts_with("run-")).expect("it runs");
        world.runtime_dir().join(run).join("lock")
    });
}
