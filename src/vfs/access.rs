//! A replica as the extension is told of it: a URL in its environment, and the keys beside it.

use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::litestream::database::Database;
use crate::remote::{Azure, Gcs, Place, S3};

/// Where the extension finds the replica.
pub const REPLICA_URL: &str = "LITESTREAM_REPLICA_URL";
/// Where it writes what it logs; without it, to standard output, among the rows.
pub const LOG_FILE: &str = "LITESTREAM_LOG_FILE";
/// What would have it write, or keep files beside.
pub const UNWANTED: &[&str] = &[
    "LITESTREAM_WRITE_ENABLED",
    "LITESTREAM_SYNC_INTERVAL",
    "LITESTREAM_BUFFER_PATH",
    "LITESTREAM_HYDRATION_ENABLED",
    "LITESTREAM_HYDRATION_PATH",
];
/// What it would take for the endpoint of any bucket.
const ANY_ENDPOINT: &str = "LITESTREAM_S3_ENDPOINT";

/// All but what stays in a path of a URL.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The way to a replica. It may hold the key, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// Where it is.
    pub place: Where,
    /// Variables for the process that goes there, and for no other.
    pub env: Vec<(String, String)>,
    /// Variables that it must not see.
    pub without: Vec<&'static str>,
}

/// Where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Where {
    /// A folder of this machine, which no URL of Litestream's can name if there is a space in its path.
    Folder(PathBuf),
    /// A URL of Litestream's.
    Url(String),
}

impl Access {
    /// The way to the replica of a database, with what the configuration says of it; none where a URL alone says it.
    pub fn of(db: &Database) -> Option<Self> {
        if let Some(folder) = &db.replica_folder {
            return Some(Self::plain(Where::Folder(folder.clone())));
        }
        match db.place.as_ref()? {
            Place::S3(place) => Some(s3(place)),
            Place::Gcs(Gcs { bucket, prefix }) => {
                Some(Self::plain(Where::Url(format!("gs://{bucket}/{}", path(prefix)))))
            }
            Place::Azure(place) => azure(place),
        }
    }

    /// The way to a replica by its URL, with what the environment says.
    pub fn of_url(url: &str) -> Self {
        Self::plain(match url.strip_prefix("file://").filter(|path| path.starts_with('/')) {
            Some(folder) => Where::Folder(folder.into()),
            None => Where::Url(url.to_owned()),
        })
    }

    /// The same, with these keys of S3 in the place of the environment's.
    pub fn with_keys(mut self, id: Option<&str>, secret: Option<&str>) -> Self {
        self.env.extend(keys(id, secret));
        self
    }

    fn plain(place: Where) -> Self {
        Self { place, env: Vec::new(), without: Vec::new() }
    }
}

fn keys(id: Option<&str>, secret: Option<&str>) -> Vec<(String, String)> {
    let (Some(id), Some(secret)) = (id, secret) else { return Vec::new() };
    vec![
        ("AWS_ACCESS_KEY_ID".to_owned(), id.to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), secret.to_owned()),
    ]
}

fn s3(place: &S3) -> Access {
    let S3 { bucket, prefix, endpoint, region, path_style, skip_verify, access_key_id, secret_access_key } =
        place;
    // What follows an access point is not decoded.
    let prefix = if bucket.starts_with("arn:") { prefix.clone() } else { path(prefix) };
    let all = NON_ALPHANUMERIC;
    let mut query = vec![format!("force-path-style={path_style}")];
    query.extend(endpoint.iter().map(|endpoint| format!("endpoint={}", utf8_percent_encode(endpoint, all))));
    query.extend(region.iter().map(|region| format!("region={}", utf8_percent_encode(region, all))));
    if *skip_verify {
        query.push("skip-verify=true".to_owned());
    }
    let url = format!("s3://{bucket}/{prefix}?{}", query.join("&"));
    let env = keys(access_key_id.as_deref(), secret_access_key.as_deref());
    Access { place: Where::Url(url), env, without: vec![ANY_ENDPOINT] }
}

/// None of a server of its own: no URL of Litestream's names one.
fn azure(place: &Azure) -> Option<Access> {
    let Azure { container, prefix, account, endpoint, key, token } = place;
    if endpoint.is_some() {
        return None;
    }
    let account = account.as_ref().map(|account| format!("{}@", path(account))).unwrap_or_default();
    let url = format!("abs://{account}{container}/{}", path(prefix));
    let named = [("LITESTREAM_AZURE_ACCOUNT_KEY", key), ("LITESTREAM_AZURE_SAS_TOKEN", token)];
    let env = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    Some(Access { place: Where::Url(url), env: env.collect(), without: Vec::new() })
}

fn path(text: &str) -> String {
    utf8_percent_encode(text, IN_PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(access: &Access) -> &str {
        match &access.place {
            Where::Url(url) => url,
            Where::Folder(_) => panic!("it is no folder"),
        }
    }

    fn at(place: Place) -> Option<Access> {
        Access::of(&Database { place: Some(place), ..Database::at("/srv/app.db".into()) })
    }

    #[test]
    fn a_bucket_is_told_with_all_that_the_configuration_says() {
        let place = S3 {
            bucket: "b".to_owned(),
            prefix: "a b/c".to_owned(),
            endpoint: Some("http://h:9000".to_owned()),
            region: Some("r".to_owned()),
            path_style: true,
            skip_verify: true,
            access_key_id: Some("id".to_owned()),
            secret_access_key: Some("hunter2".to_owned()),
        };
        let access = at(Place::S3(place.clone())).expect("a way");
        let expected =
            "s3://b/a%20b/c?force-path-style=true&endpoint=http%3A%2F%2Fh%3A9000&region=r&skip-verify=true";
        assert_eq!(url(&access), expected);
        assert_eq!(access.env[1], ("AWS_SECRET_ACCESS_KEY".to_owned(), "hunter2".to_owned()));
        let plain = S3 {
            endpoint: None,
            region: None,
            path_style: false,
            skip_verify: false,
            secret_access_key: None,
            ..place
        };
        let access = at(Place::S3(plain)).expect("a way");
        assert_eq!((url(&access), access.env.len()), ("s3://b/a%20b/c?force-path-style=false", 0));
    }

    #[test]
    fn other_places_are_told_as_far_as_a_url_can() {
        let gcs = at(Place::Gcs(Gcs { bucket: "b".to_owned(), prefix: "p".to_owned() })).expect("a way");
        assert_eq!(url(&gcs), "gs://b/p");
        let azure = Azure {
            container: "c".to_owned(),
            prefix: "p".to_owned(),
            account: Some("acc".to_owned()),
            endpoint: None,
            key: Some("k".to_owned()),
            token: None,
        };
        let access = at(Place::Azure(azure.clone())).expect("a way");
        assert_eq!((url(&access), access.env.len()), ("abs://acc@c/p", 1));
        assert!(at(Place::Azure(Azure { endpoint: Some("http://h".to_owned()), ..azure })).is_none());
        assert!(Access::of(&Database::at("/srv/app.db".into())).is_none());
    }

    #[test]
    fn a_folder_is_one_by_whatever_name() {
        let of = |url: &str| Access::of_url(url).place;
        assert!(of("file:///srv/a b") == Where::Folder("/srv/a b".into()));
        assert!(of("sftp://u@h/p") == Where::Url("sftp://u@h/p".to_owned()));
        let folder = Database { replica_folder: Some("/srv/x".into()), ..Database::at("/a.db".into()) };
        assert!(Access::of(&folder).is_some_and(|access| access.place == Where::Folder("/srv/x".into())));
    }
}
