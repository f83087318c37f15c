//! The kinds of storage that there are.

use std::fmt;

/// The kinds of storage that Litestream writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    File,
    /// S3 and everything that speaks it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Abs,
    /// Alibaba Cloud OSS.
    Oss,
    /// A folder of an SSH server.
    Sftp,
    /// A NATS object store.
    Nats,
    /// A WebDAV server.
    Webdav,
    /// A type that is not known here; whether Litestream knows it, it says itself.
    Other(String),
}

impl Kind {
    /// Makes the kind of this type, or of this scheme of a URL.
    pub(in crate::config) fn of(name: &str) -> Self {
        match name {
            "file" => Self::File,
            "s3" => Self::S3,
            // Litestream 0.3 says `gcs`.
            "gs" | "gcs" => Self::Gcs,
            "abs" => Self::Abs,
            "oss" => Self::Oss,
            "sftp" => Self::Sftp,
            "nats" => Self::Nats,
            "webdav" | "webdavs" => Self::Webdav,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Makes the kind of a place as it is shown to people: without a scheme it is a folder.
    pub fn of_shown(place: &str) -> Self {
        place.split_once("://").map_or(Self::File, |(scheme, _)| Self::of(scheme))
    }

    /// Returns the name that Litestream has for it.
    pub fn name(&self) -> &str {
        match self {
            Self::File => "file",
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Abs => "abs",
            Self::Oss => "oss",
            Self::Sftp => "sftp",
            Self::Nats => "nats",
            Self::Webdav => "webdav",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
