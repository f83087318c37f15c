//! What lets Litestream in, for each kind of storage but S3.

use super::kinds::kinds;
use super::replica::Target;
use crate::detect::Plan;

/// What Litestream 0.5.17 looks up by itself, or has to be told (`replica_client.go` of `abs`, `gs`, `oss`, `sftp`, `nats` and
/// `webdav`, and the libraries that they are made with).
struct Way {
    schemes: &'static [&'static str],
    variables: &'static [&'static str],
    /// Settings of a replica that say it instead.
    settings: &'static [&'static str],
    more: Option<&'static str>,
}

const WAYS: [Way; 6] = [
    Way {
        schemes: &["abs"],
        variables: &["LITESTREAM_AZURE_ACCOUNT_KEY"],
        settings: &["account-key", "sas-token"],
        more: Some("for abs: or LITESTREAM_AZURE_SAS_TOKEN, or an identity of the machine's"),
    },
    Way {
        schemes: &["gs", "gcs"],
        variables: &["GOOGLE_APPLICATION_CREDENTIALS"],
        settings: &[],
        more: Some("for gs: the path of the account's key file; on Google's own machines none is needed"),
    },
    Way {
        schemes: &["oss"],
        variables: &["OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"],
        settings: &["access-key-id"],
        more: None,
    },
    Way {
        schemes: &["sftp"],
        variables: &[],
        settings: &["key-path", "password"],
        more: Some(
            "for sftp Litestream reads no variable: write `key-path: FILE` or `password: ${NAME}` into the replica",
        ),
    },
    Way {
        schemes: &["nats"],
        variables: &[],
        settings: &["creds", "token", "username", "password", "nkey", "jwt", "client-cert"],
        more: Some(
            "for nats Litestream reads no variable: if the server wants to know who it is, write `creds: FILE`, or `username` \
             and `password: ${NAME}`, into the replica",
        ),
    },
    Way {
        schemes: &["webdav", "webdavs"],
        variables: &[],
        settings: &["webdav-password"],
        more: Some(
            "for webdav Litestream reads no variable: write `webdav-username` and `webdav-password: ${NAME}` into the replica",
        ),
    },
];

/// The variables, and what else is to be said of each kind.
pub(super) fn of(plan: &Plan, target: Target<'_>) -> (Vec<&'static str>, Vec<&'static str>) {
    let kinds = kinds(plan, target);
    let is_wanted = |way: &&Way| {
        kinds.iter().any(|kind| {
            way.schemes.contains(&kind.scheme.as_str())
                && !kind.is_let_in
                && !way.settings.iter().any(|setting| kind.settings.iter().any(|known| known == setting))
        })
    };
    let ways: Vec<&Way> = WAYS.iter().filter(is_wanted).collect();
    let variables = ways.iter().flat_map(|way| way.variables).copied().collect();
    (variables, ways.iter().filter_map(|way| way.more).collect())
}
