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

impl S3 {
    /// The whole bucket, and the same way to it.
    pub fn bucket(&self) -> Self {
        Self { prefix: String::new(), ..self.clone() }
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
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
