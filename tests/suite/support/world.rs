//! One test's folder, with all that the test makes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::app::Trace;
use super::config::{self, Replica};

/// A folder that is gone when the test ends; its path is short enough for Unix sockets (107 bytes).
pub struct World {
    folder: TempDir,
}

impl World {
    /// An empty world.
    pub fn new() -> Self {
        Self::named("lk-")
    }

    /// A world whose path holds `part`: spaces, Unicode, quotes.
    pub fn named(part: &str) -> Self {
        let builder = |base: &Path| tempfile::Builder::new().prefix(part).tempdir_in(base);
        // TMPDIR can be long; /tmp is short and everywhere.
        let folder = builder(Path::new("/tmp")).expect("/tmp can be written");
        let world = Self { folder };
        let run = world.runtime_dir();
        fs::create_dir(&run).expect("the world is empty");
        fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).expect("the folder is ours");
        world
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// The database of a test that needs only one; not made yet.
    pub fn db(&self) -> PathBuf {
        self.path("app.db")
    }

    /// The keeper's runtime folder.
    pub fn runtime_dir(&self) -> PathBuf {
        self.path("rt")
    }

    /// A replica in a folder of the world.
    pub fn replica(&self) -> Replica {
        Replica::folder(&self.path("replica"))
    }

    /// The same replica as a URL.
    pub fn replica_url(&self) -> String {
        format!("file://{}", self.path("replica").display())
    }

    /// Writes `litestream.yml` for [`World::db`] on `replica`.
    pub fn config(&self, replica: &Replica) -> PathBuf {
        self.config_of("", [(self.db().as_path(), replica)])
    }

    /// Writes `litestream.yml` for several databases, after the lines of `top`.
    pub fn config_of<'a>(
        &self,
        top: &str,
        databases: impl IntoIterator<Item = (&'a Path, &'a Replica)>,
    ) -> PathBuf {
        self.write("litestream.yml", &config::yaml(top, databases))
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }

    /// Writes a program and returns its path.
    ///
    /// By a process of its own: what another test starts while this one has the file open for writing inherits that
    /// for a moment, in which nobody can execute the file (`ETXTBSY`, execve(2)).
    pub fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let mut install = Command::new("install");
        install.args(["-m", "755", "/dev/stdin"]).arg(&path).stdin(Stdio::piped());
        let mut install = install.spawn().expect("install(1) is everywhere");
        // The pipe is closed when it is dropped.
        let stdin = install.stdin.take().map(|mut stdin| stdin.write_all(text.as_bytes()));
        assert!(stdin.is_some_and(|written| written.is_ok()), "it reads its stdin");
        assert!(install.wait().is_ok_and(|status| status.success()), "cannot write {}", path.display());
        path
    }

    /// The trace of the apps of this world.
    pub fn trace(&self) -> Trace {
        Trace::new(self.path("trace"))
    }

    /// The names in a folder of the world (`""`: the world itself), sorted.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }
}
