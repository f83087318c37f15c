//! Places on servers and the way to them: what a configuration says, and clients of our own need. Litestream's have no command
//! that lists, or removes anything.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place on S3 and the way to it. It may hold the key, so its `Debug` shows the place alone.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct S3 {
    /// The bucket, or the ARN of an access point.
    pub bucket: String,
    /// What every key begins with, without slashes around it.
    pub prefix: String,
    /// Another server than AWS's, with its scheme.
    pub endpoint: Option<String>,
    /// The bucket's region, if it is known.
    pub region: Option<String>,
    /// The bucket is part of the path, and not of the host's name.
    pub path_style: bool,
    /// Its certificate is not looked at.
    pub skip_verify: bool,
    /// The key, if it is not in the environment.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<String>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// A place on Google's storage. Who may go there, the environment says.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gcs {
    /// The bucket.
    pub bucket: String,
    /// What every name begins with, without slashes around it.
    pub prefix: String,
}

/// A place on Azure's storage and the way to it. It may hold the key, so its `Debug` shows the place alone.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Azure {
    /// The container.
    pub container: String,
    /// What every name begins with, without slashes around it.
    pub prefix: String,
    /// The account, which the endpoint may have as well.
    pub account: Option<String>,
    /// Another server than the account's own, with its scheme.
    pub endpoint: Option<String>,
    /// The account's key, if it is not in the environment.
    pub key: Option<String>,
    /// A token (SAS) in its place.
    pub token: Option<String>,
}

impl Azure {
    /// Where it is, if anything says so (`Init` in Litestream's abs/replica_client.go).
    pub fn server(&self) -> Option<String> {
        let own = || Some(format!("https://{}.blob.core.windows.net", self.account.as_ref()?));
        self.endpoint.clone().or_else(own)
    }
}

/// A place that a client of our own can look at.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// On S3.
    S3(S3),
    /// On Google's storage.
    Gcs(Gcs),
    /// On Azure's.
    Azure(Azure),
}

impl Place {
    /// What every name begins with there, without slashes around it.
    pub fn prefix(&self) -> &str {
        match self {
            Self::S3(place) => &place.prefix,
            Self::Gcs(place) => &place.prefix,
            Self::Azure(place) => &place.prefix,
        }
    }

    /// Another place in the same bucket, and the same way to it.
    pub fn at(&self, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        match self.clone() {
            Self::S3(place) => Self::S3(S3 { prefix, ..place }),
            Self::Gcs(place) => Self::Gcs(Gcs { prefix, ..place }),
            Self::Azure(place) => Self::Azure(Azure { prefix, ..place }),
        }
    }

    /// The whole bucket, and the same way to it.
    pub fn bucket(&self) -> Self {
        self.at("")
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(place) => place.fmt(f),
            Self::Gcs(Gcs { bucket, prefix }) => write!(f, "gs://{bucket}/{prefix}"),
            Self::Azure(Azure { container, prefix, .. }) => write!(f, "abs://{container}/{prefix}"),
        }
    }
}

/// A folder on a server of WebDAV, and who may write there. It holds a password, so it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Webdav {
    /// The folder's URL, without a user.
    pub url: String,
    /// The user, if there is one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
}
