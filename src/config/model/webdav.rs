//! Where a replica on WebDAV is, as a client of our own needs it.

use percent_encoding::percent_decode_str;

use super::settings::text;
use super::url::{Url, escape};
use super::whole::Config;
use crate::remote::Webdav;
use crate::yaml::Node;

/// Returns the place of the only database of a [`super::probe::probe`], if it is on WebDAV
/// (`newWebDAVReplicaClientFromConfig` in Litestream's main.go).
pub fn webdav_of_probe(config: &Config) -> Option<Webdav> {
    let root = config.root();
    let entry = root.get("dbs").and_then(Node::as_list)?.first()?;
    let node = entry.get("replicas").and_then(Node::as_list)?.first()?;
    let own = |key| text(node, key).ok().flatten().map(str::to_owned);
    let either = |key| own(key).or_else(|| text(root, key).ok().flatten().map(str::to_owned));
    let written = own("url");
    let url = written.as_deref().and_then(|url| Url::parse(url).ok());
    let (user, password) = written.as_deref().map_or((None, None), who);
    let server = either("webdav-url").or_else(|| {
        let url = url.as_ref().filter(|url| !url.host.is_empty())?;
        Some(format!("{}://{}", if url.scheme == "webdavs" { "https" } else { "http" }, url.host))
    })?;
    let path = own("path").or(url.map(|url| url.path))?;
    let path: String = path
        .split('/')
        .filter(|part| !part.is_empty())
        .fold(String::new(), |path, part| path + "/" + &escape(part));
    let url = format!("{}{path}/", server.trim_end_matches('/'));
    let (user, password) = (either("webdav-username").or(user), either("webdav-password").or(password));
    Some(Webdav { url, user, password })
}

/// Returns user and password of a URL.
fn who(url: &str) -> (Option<String>, Option<String>) {
    let authority =
        url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    match authority.rsplit_once('@').map(|(user, _)| user.split_once(':').unwrap_or((user, ""))) {
        Some((user, password)) => (Some(decoded(user)), Some(decoded(password))),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::model::probe::{Owner, probe};
    use crate::config::tests::sound;

    #[test]
    fn a_folder_is_where_litestream_writes() {
        for (top, replica, expected) in [
            ("", "{url: 'webdavs://u:a%40b@h:8443/x y'}", "https://h:8443/x%20y/.trial/ u a@b"),
            (
                "webdav-username: v",
                "{type: webdav, webdav-url: 'http://h/dav/', path: /x, webdav-password: p}",
                "http://h/dav/x/.trial/ v p",
            ),
        ] {
            let config = sound(&format!("{top}\ndbs: [{{path: a.db, replica: {replica}}}]\n"));
            let alone =
                probe(&config, Owner::Database(0), 0, Path::new("/a"), Some(".trial")).expect("a replica");
            let found = super::webdav_of_probe(&alone).expect("it is on WebDAV");
            let shown = format!(
                "{} {} {}",
                found.url,
                found.user.unwrap_or_default(),
                found.password.unwrap_or_default()
            );
            assert_eq!(shown, expected);
        }
    }
}
