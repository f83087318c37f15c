//! A place on S3, as a client of our own needs it: Litestream's has no command that lists, or removes anything.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place on S3 and the way to it. It may hold the key, so its `Debug` shows the place alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3 {
    /// The place, for people.
    pub place: String,
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
        f.write_str(&self.place)
    }
}
