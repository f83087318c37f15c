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

    /// A place below it, by this name.
    pub fn below(&self, name: &str) -> Self {
        match self.prefix() {
            "" => self.at(name),
            prefix => self.at(&format!("{prefix}/{name}")),
        }
    }

    /// Says whether this is certain: the other one is the same place or below it, by whatever key.
    pub fn has(&self, other: &Self) -> bool {
        let is_one_bucket = match (self, other) {
            (Self::S3(one), Self::S3(other)) => {
                (&one.bucket, &one.endpoint) == (&other.bucket, &other.endpoint)
            }
            (Self::Gcs(one), Self::Gcs(other)) => one.bucket == other.bucket,
            (Self::Azure(one), Self::Azure(other)) => {
                (&one.container, one.server()) == (&other.container, other.server())
            }
            (Self::S3(_) | Self::Gcs(_) | Self::Azure(_), _) => false,
        };
        let below = other.prefix().strip_prefix(self.prefix());
        let is_below =
            below.is_some_and(|rest| self.prefix().is_empty() || rest.is_empty() || rest.starts_with('/'));
        // Litestream may make another place of one that goes up.
        is_one_bucket && is_below && !other.prefix().split('/').any(|part| part == "..")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: &str, endpoint: Option<&str>) -> Place {
        Place::S3(S3 {
            bucket: bucket.into(),
            prefix: prefix.into(),
            endpoint: endpoint.map(str::to_owned),
            region: None,
            path_style: false,
            skip_verify: false,
            access_key_id: None,
            secret_access_key: None,
        })
    }

    #[test]
    fn a_place_has_itself_and_what_is_below_it() {
        let at = |prefix: &str| s3("b", prefix, None);
        for (one, other, is_there) in [
            ("t", "t", true),
            ("t", "t/a", true),
            ("", "a", true),
            ("", "", true),
            ("t", "tt", false),
            ("t/a", "t", false),
            ("t", "t/../a", false),
            ("t", "", false),
        ] {
            assert_eq!(at(one).has(&at(other)), is_there, "{one} {other}");
        }
        assert!(!at("t").has(&s3("c", "t/a", None)) && !at("t").has(&s3("b", "t/a", Some("http://h"))));
        assert!(!at("t").has(&Place::Gcs(Gcs { bucket: "b".into(), prefix: "t/a".into() })));
        assert_eq!((at("").below("x"), at("t").below("x")), (at("x"), at("t/x")));
    }
}
