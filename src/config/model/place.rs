//! Where a backup is, as a client of our own needs it, whatever kind of bucket that is in.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::kind::Kind;
use super::s3;
use super::settings::text;
use super::url::Url;
use crate::remote::{Azure, Gcs, Place};
use crate::yaml::Node;

/// Returns the first replica of an entry of `dbs`, which is of this kind, with what stands at the top of the file;
/// none where only Litestream can go.
pub(in crate::config) fn of(kind: &Kind, entry: &Node, root: &Node) -> Result<Option<Place>, &'static str> {
    match kind {
        Kind::S3 => Ok(s3::of(entry, root)?.map(Place::S3)),
        Kind::Gcs => Ok(gcs(entry, root)?.map(Place::Gcs)),
        Kind::Abs => Ok(azure(entry, root)?.map(Place::Azure)),
        Kind::File | Kind::Oss | Kind::Sftp | Kind::Webdav | Kind::Nats | Kind::Other(_) => Ok(None),
    }
}

/// Does as `newGSReplicaClientFromConfig` in Litestream's main.go.
fn gcs(entry: &Node, root: &Node) -> Result<Option<Gcs>, &'static str> {
    let Some(said) = WithDefaults::of(entry, root) else { return Ok(None) };
    let Some(bucket) = said.bucket() else { return Ok(None) };
    Ok(Some(Gcs { bucket, prefix: said.prefix()? }))
}

/// Does as `newABSReplicaClientFromConfig` there.
fn azure(entry: &Node, root: &Node) -> Result<Option<Azure>, &'static str> {
    let Some(said) = WithDefaults::of(entry, root) else { return Ok(None) };
    let Some(container) = said.bucket() else { return Ok(None) };
    let user = said.url.as_ref().and_then(|url| url.user.as_deref());
    let user = user.and_then(|user| percent_decode_str(user).decode_utf8().ok()).map(Cow::into_owned);
    Ok(Some(Azure {
        container,
        prefix: said.prefix()?,
        account: said.either("account-name").or(user),
        endpoint: said.either("endpoint"),
        key: said.either("account-key"),
        token: said.either("sas-token"),
    }))
}

/// What a replica says, and what stands in the place of what it does not.
struct WithDefaults<'a> {
    node: &'a Node,
    root: &'a Node,
    url: Option<Url>,
}

impl<'a> WithDefaults<'a> {
    fn of(entry: &'a Node, root: &'a Node) -> Option<Self> {
        let listed = entry.get("replicas").and_then(Node::as_list).and_then(<[Node]>::first);
        let node = entry.get("replica").or(listed)?;
        let url = text(node, "url").ok().flatten().and_then(|url| Url::parse(url).ok());
        Some(Self { node, root, url })
    }

    fn own(&self, key: &'static str) -> Option<&'a str> {
        text(self.node, key).ok().flatten()
    }

    fn either(&self, key: &'static str) -> Option<String> {
        self.own(key).or_else(|| text(self.root, key).ok().flatten()).map(str::to_owned)
    }

    fn bucket(&self) -> Option<String> {
        let host = || Some(self.url.as_ref()?.host.clone());
        self.either("bucket").or_else(host).filter(|bucket| !bucket.is_empty())
    }

    /// Says what names begin with: Litestream's are made by `path.Join` (`LTXFilePath` in its litestream.go), which
    /// takes what is not needed out of a path.
    fn prefix(&self) -> Result<String, &'static str> {
        let path = self.own("path").or(self.url.as_ref().map(|url| url.path.as_str())).unwrap_or_default();
        if self.own("path").is_some_and(|path| path.starts_with('/')) {
            return Err(
                "its replica's path begins with a slash, which is part of the names there: leave it out",
            );
        }
        // A URL's begins at its root, above which there is nothing.
        let (is_rooted, mut parts) = (self.own("path").is_none(), Vec::new());
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.pop().is_none() && !is_rooted => return Err("its replica's path goes up"),
                ".." => {}
                part => parts.push(part),
            }
        }
        Ok(parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::on_s3::place_of_folder;
    use crate::config::tests::sound;

    fn place(top: &str, replica: &str) -> Result<Option<Place>, &'static str> {
        let config = sound(&format!("{top}\ndbs: [{{dir: d, pattern: '*', replica: {replica}}}]\n"));
        place_of_folder(&config, 0)
    }

    fn gcs(replica: &str) -> Option<(String, String)> {
        match place("", replica).expect("it can be listed")? {
            Place::Gcs(Gcs { bucket, prefix }) => Some((bucket, prefix)),
            other @ (Place::S3(_) | Place::Azure(_)) => panic!("{other:?} is not on Google's storage"),
        }
    }

    fn azure(top: &str, replica: &str) -> Azure {
        match place(top, replica).expect("it can be listed") {
            Some(Place::Azure(place)) => place,
            other => panic!("{other:?} is not on Azure's storage"),
        }
    }

    #[test]
    fn a_place_of_googles_is_the_one_that_litestream_means() {
        for (replica, bucket, prefix) in [
            ("{type: gs, bucket: b, path: a}", "b", "a"),
            ("{type: gcs, bucket: b, path: 'a//./c/../d/'}", "b", "a/d"),
            ("{type: gs, bucket: b}", "b", ""),
            ("{url: 'gs://b/a%20b/c/'}", "b", "a b/c"),
            ("{url: 'gs://b'}", "b", ""),
            ("{url: 'gs://b/../a'}", "b", "a"),
        ] {
            assert_eq!(gcs(replica), Some((bucket.to_owned(), prefix.to_owned())), "{replica}");
        }
        for replica in ["{type: gs, bucket: b, path: /a}", "{type: gs, bucket: b, path: ../a}"] {
            assert!(place("", replica).is_err(), "{replica}");
        }
    }

    #[test]
    fn a_place_of_azures_is_the_one_that_litestream_means() {
        let url = azure("account-key: k", "{url: 'abs://acc@c/a/b'}");
        assert_eq!((url.container.as_str(), url.prefix.as_str()), ("c", "a/b"));
        assert_eq!((url.account.as_deref(), url.key.as_deref()), (Some("acc"), Some("k")));
        assert_eq!(url.server().as_deref(), Some("https://acc.blob.core.windows.net"));
        let own = azure(
            "account-name: top\nendpoint: 'http://top'",
            "{type: abs, account-name: own, endpoint: 'http://h:1/own', sas-token: '?s=1', bucket: c, path: a}",
        );
        assert_eq!((own.account.as_deref(), own.token.as_deref()), (Some("own"), Some("?s=1")));
        assert_eq!(own.server().as_deref(), Some("http://h:1/own"));
        assert_eq!(
            azure("endpoint: 'http://top'", "{type: abs, bucket: c}").server().as_deref(),
            Some("http://top")
        );
        assert_eq!(azure("", "{type: abs, bucket: c}").server(), None);
        let shown = format!("{:?}", Place::Azure(azure("account-key: hunter2", "{url: 'abs://acc@c/a'}")));
        assert_eq!(shown, "abs://c/a");
    }

    #[test]
    fn what_only_litestream_reaches_has_none() {
        for replica in ["{type: oss, bucket: b, path: a}", "{url: 'webdavs://h/a'}", "{url: 'sftp://u@h/a'}"]
        {
            assert_eq!(place("", replica), Ok(None), "{replica}");
        }
    }
}
