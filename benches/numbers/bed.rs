//! What a measurement lies in: a folder, an app that reports that it runs, and the programs that run it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::support::config::Replica;
use super::support::process::{Running, Spec};
use super::support::world::World;
use super::support::{litestream, sqlite};
use super::{Error, look};

/// How long anything may take that is measured in milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the app does after it reported.
#[derive(Clone, Copy)]
pub enum Then {
    /// It lives until somebody ends it.
    Stays,
    /// It ends with 0.
    Ends,
}

/// A folder with an app, whose start is a line in a pipe.
pub struct Bed {
    pub world: World,
    pub app: PathBuf,
    pub config: PathBuf,
    pipe: File,
}

impl Bed {
    /// Without a database.
    pub fn without_database(then: Then) -> Result<Self, Error> {
        let world = World::new();
        std::fs::create_dir(world.path("none")).map_err(|error| error.to_string())?;
        let config = world.write(
            "litestream.yml",
            "dbs: [{dir: none, pattern: \"*.db\", watch: true, replica: {path: replica}}]\n",
        );
        Self::new(world, config, then)
    }

    /// With a folder of databases that are all alike, and on no replica yet.
    pub fn with_folder(databases: usize, then: Then) -> Result<Self, Error> {
        let world = World::new();
        let first = world.db();
        sqlite::create(&first, 1);
        let folder = world.path("folder");
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for number in 0..databases {
            let path = folder.join(format!("{number}.db"));
            fs::copy(&first, &path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let config = world.write(
            "litestream.yml",
            "dbs: [{dir: folder, pattern: \"*.db\", watch: true, replica: {path: replica}}]\n",
        );
        Self::new(world, config, then)
    }

    /// With so many missing databases, whose backups are copies of one.
    pub fn with_backups(number: usize) -> Result<Self, Error> {
        let world = World::new();
        let first = world.path("data/0.db");
        fs::create_dir(world.path("data")).map_err(|error| error.to_string())?;
        sqlite::create(&first, 100);
        let replica = |place: usize| Replica::folder(&world.path(&format!("replica/{place}")));
        let one = world.config_of("", [(first.as_path(), &replica(0))]);
        litestream::back_up(&world, litestream::LATEST, &one, &[&first]);
        let copied = (1..number)
            .try_for_each(|place| copy(&world.path("replica/0"), &world.path(&format!("replica/{place}"))));
        copied.map_err(|error| format!("{}: {error}", world.path("replica").display()))?;
        let paths: Vec<_> = (0..number).map(|place| world.path(&format!("data/{place}.db"))).collect();
        let replicas: Vec<_> = (0..number).map(replica).collect();
        let config = world.config_of("", paths.iter().map(PathBuf::as_path).zip(&replicas));
        Self::new(world, config, Then::Stays)
    }

    /// With one database, which is on its replica, a folder.
    pub fn with_database(then: Then) -> Result<Self, Error> {
        let world = World::new();
        sqlite::create(&world.db(), 100);
        let config = world.config(&world.replica());
        litestream::back_up(&world, litestream::LATEST, &config, &[&world.db()]);
        Self::new(world, config, then)
    }

    /// With one of about so many megabytes.
    pub fn with_large_database(mebibytes: u32, then: Then) -> Result<Self, Error> {
        let world = World::new();
        sqlite::big(&world.db(), mebibytes);
        let config = world.config(&world.replica());
        litestream::back_up(&world, litestream::LATEST, &config, &[&world.db()]);
        Self::new(world, config, then)
    }

    /// `litekeeper __ledger …` on the database.
    pub fn ledger(&self, task: &str, meta: &Path) -> Spec {
        let mut spec = Spec::new(&keeper_binary(), self.world.root());
        spec.args(["__ledger", task, "60000", "0"].map(OsStr::new));
        spec.args([self.world.db().as_os_str(), meta.as_os_str()]);
        spec
    }

    /// Whether Litestream has made its first snapshot of the database.
    pub fn has_snapshot(&self) -> bool {
        let folder = self.world.path("replica").join("ltx/9");
        fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
    }

    /// SQLite's own look at the database.
    pub fn quick_check(&self) -> Result<(), Error> {
        let database = sqlite::open(&self.world.db());
        let said = database.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0));
        match said.as_deref() {
            Ok("ok") => Ok(()),
            other => Err(format!("quick_check says {other:?}")),
        }
    }

    fn new(world: World, config: PathBuf, then: Then) -> Result<Self, Error> {
        let fifo = world.path("started");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).map_err(|error| format!("{}: {error}", fifo.display()))?;
        // Open for both, it never ends.
        let pipe = File::options().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&fifo);
        let pipe = pipe.map_err(|error| format!("{}: {error}", fifo.display()))?;
        let last = match then {
            Then::Stays => "exec sleep 100000\n",
            Then::Ends => "",
        };
        let app = world.write("app", &format!("#!/bin/sh\necho $$ >{}\n{last}", fifo.display()));
        fs::set_permissions(&app, fs::Permissions::from_mode(0o755))
            .map_err(|error| format!("{}: {error}", app.display()))?;
        Ok(Self { world, app, config, pipe })
    }

    /// Waits for the app to report, and says when it did and which process it is.
    pub fn started(&mut self) -> Result<(Instant, i32), Error> {
        self.started_within(PATIENCE)
    }

    /// As [`Bed::started`], with as much patience.
    pub fn started_within(&mut self, patience: Duration) -> Result<(Instant, i32), Error> {
        if !look::is_readable_within(&self.pipe, patience)? {
            return Err(format!("the app did not start within {patience:?}"));
        }
        let now = Instant::now();
        let mut line = [0; 32];
        // A line is written at once, and the next app starts only after this one was ended.
        let length = self.pipe.read(&mut line).map_err(|error| format!("the app's pipe: {error}"))?;
        let text = String::from_utf8_lossy(&line[..length]).trim().to_owned();
        Ok((now, text.parse().map_err(|_| format!("the app reported {text:?}"))?))
    }

    /// `litekeeper run … -- APP`.
    pub fn keeper(&self, options: &[&str]) -> Spec {
        let mut spec = Spec::new(&keeper_binary(), self.world.root());
        spec.env("LITEKEEPER_RUNTIME_DIR", self.world.runtime_dir());
        spec.env("LITESTREAM_BINARY_PATH", litestream::binary(litestream::LATEST));
        spec.args(["run".as_ref(), "--config".as_ref(), self.config.as_os_str()]);
        spec.args(options);
        spec.args(["--".as_ref(), self.app.as_os_str()]);
        spec
    }

    /// A command of an operator's, `litekeeper COMMAND --config …`.
    pub fn operator(&self, command: &str) -> Spec {
        let mut spec = Spec::new(&keeper_binary(), self.world.root());
        spec.env("LITESTREAM_BINARY_PATH", litestream::binary(litestream::LATEST));
        spec.args([command.as_ref(), "--config".as_ref(), self.config.as_os_str()]);
        spec
    }

    /// `litestream replicate -exec APP`, with nobody around it.
    pub fn bare(&self) -> Spec {
        let mut spec = Spec::new(&litestream::binary(litestream::LATEST), self.world.root());
        let (config, app) = (self.config.as_os_str(), self.app.as_os_str());
        spec.args([OsStr::new("replicate"), "-config".as_ref(), config, "-exec".as_ref(), app]);
        spec
    }

    /// `tini APP`, where it is installed.
    pub fn tini(&self) -> Option<Spec> {
        let mut spec = Spec::new(&which::which("tini").ok()?, self.world.root());
        spec.args(["-s".as_ref(), "--".as_ref(), self.app.as_os_str()]);
        Some(spec)
    }

    /// supervisord with the app as its only program, where it is installed.
    pub fn supervisord(&self) -> Option<Spec> {
        let mut spec = Spec::new(&which::which("supervisord").ok()?, self.world.root());
        let text = format!(
            "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={}\n\
             [program:app]\ncommand={}\nautorestart=true\n",
            self.world.path("supervisord.pid").display(),
            self.app.display()
        );
        spec.args(["-n".as_ref(), "-c".as_ref(), self.world.write("supervisord.conf", &text).as_os_str()]);
        Some(spec)
    }

    /// foreman with the app as its only process, where it is installed.
    pub fn foreman(&self) -> Option<Spec> {
        let mut spec = Spec::new(&which::which("foreman").ok()?, self.world.root());
        let procfile = self.world.write("Procfile", &format!("app: {}\n", self.app.display()));
        spec.args(["start".as_ref(), "-f".as_ref(), procfile.as_os_str()]);
        Some(spec)
    }
}

/// The three processes of a unit whose app runs.
pub struct Unit {
    pub keeper: i32,
    pub litestream: i32,
    pub shim: i32,
}

impl Unit {
    /// Found from the app upwards.
    pub fn of(app: i32) -> Result<Self, Error> {
        let shim = look::parent(app)?;
        let litestream = look::parent(shim.pid)?;
        let keeper = look::parent(litestream.pid)?;
        if !litestream.is("litestream") {
            return Err(format!("the app's grandparent is {}", litestream.comm));
        }
        Ok(Self { keeper: keeper.pid, litestream: litestream.pid, shim: shim.pid })
    }
}

/// Copies a folder and all in it.
pub fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, place) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() { copy(&entry, &place)? } else { fs::copy(&entry, &place).map(drop)? }
    }
    Ok(())
}

/// Ends what was started for a measurement, whatever its code.
pub fn end(mut running: Running) {
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.wait();
}

/// The line above the table.
pub fn describe() -> Result<String, Error> {
    let binary = keeper_binary();
    let size = fs::metadata(&binary).map_err(|error| format!("{}: {error}", binary.display()))?.len();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    Ok(format!(
        "litekeeper {} ({:.1} MiB), Litestream {}, {cpus} CPUs, load {load}\n",
        env!("CARGO_PKG_VERSION"),
        size as f64 / f64::from(1 << 20),
        litestream::LATEST
    ))
}

/// What is measured.
pub fn keeper_binary() -> PathBuf {
    std::env::var_os("LITEKEEPER_BENCH_BINARY")
        .map_or_else(|| Path::new(env!("CARGO_BIN_EXE_litekeeper")).to_path_buf(), PathBuf::from)
}
