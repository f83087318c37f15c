//! Replica URLs, taken apart as Go's `net/url` and Litestream's `ParseReplicaURL` do it.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The parts of a replica URL that say where it is. The password is not kept.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::config) struct Url {
    /// In lower case.
    pub scheme: String,
    /// The user's name, still encoded.
    pub user: Option<String>,
    /// Host and port, or an ARN.
    pub host: String,
    /// Decoded, with its leading slash.
    pub path: String,
    /// For `file:` the folder, which Litestream leaves encoded.
    pub file: String,
    query: String,
}

/// Matches `^\w+://`, Litestream's own test for "is this a URL".
pub(in crate::config) fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
    })
}

impl Url {
    /// Takes `text` apart; the error says what is wrong with it without showing it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.bytes().any(|c| c.is_ascii_control()) {
            return Err("has a control character");
        }
        if let Some(rest) =
            text.get(..9).filter(|start| start.eq_ignore_ascii_case("s3://arn:")).map(|_| &text[5..])
        {
            return Self::parse_access_point(rest);
        }
        let (text, fragment) =
            text.split_once('#').map_or((text, None), |(text, fragment)| (text, Some(fragment)));
        let (scheme, rest) = text.split_once(':').ok_or("has no scheme such as s3:// or file://")?;
        if !is_scheme(scheme) {
            return Err("has no scheme such as s3:// or file://");
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, raw_path) = match rest.strip_prefix("//") {
            Some(rest) => rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash)),
            None => ("", rest),
        };
        let (user, host) = split_authority(authority)?;
        // "opaque" in Go: no slash after the scheme. Only `file:` makes sense of it.
        let opaque = !rest.starts_with('/');
        let path = if opaque { String::new() } else { unescape(raw_path)? };
        // Go takes both apart before anybody looks at them; of a query it leaves out what it cannot read.
        if !authority.split('@').chain(fragment).all(is_escaped) {
            return Err("has a `%` that is not followed by two hexadecimal digits");
        }
        let mut file = if authority.is_empty() { String::new() } else { format!("//{authority}") };
        file.push_str(&if opaque { Cow::Borrowed(raw_path) } else { escaped_path(raw_path, &path) });
        if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
            file.push('#');
            file.push_str(fragment);
        }
        let scheme = scheme.to_ascii_lowercase();
        Ok(Self { scheme, user, host: host.to_owned(), path, file, query: query.to_owned() })
    }

    /// Returns the first value of a query parameter.
    pub fn query(&self, key: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == key && !value.is_empty()).then(|| unescape(&value.replace('+', " ")).ok()).flatten()
        })
    }

    /// Returns the names of the query parameters.
    pub fn parameters(&self) -> impl Iterator<Item = String> {
        let names = self.query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
        names.filter(|name| !name.is_empty()).map(|name| unescape(name).unwrap_or_else(|_| name.to_owned()))
    }

    /// Returns the names of the parameters that nobody reads, as a `%` in them is not followed by two hexadecimal digits.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        let broken = self.query.split('&').filter(|pair| !is_escaped(pair));
        broken.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
    }

    /// Reads `s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/path`, which is no valid URL.
    fn parse_access_point(text: &str) -> Result<Self, &'static str> {
        const MARKER: &str = ":accesspoint/";
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let bad = "is not a valid S3 access point ARN";
        let name = text.to_ascii_lowercase().find(MARKER).map(|at| at + MARKER.len()).ok_or(bad)?;
        if name == text.len() {
            return Err(bad);
        }
        let end = text[name..].find('/').map_or(text.len(), |slash| name + slash);
        let (host, path) = text.split_at(end);
        Ok(Self {
            scheme: "s3".to_owned(),
            user: None,
            host: host.to_owned(),
            path: path.to_owned(),
            file: String::new(),
            query: query.to_owned(),
        })
    }
}

/// Without user and query: either may hold a secret.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.host, self.path)
    }
}

/// Says whether the path of this replica is its bucket, below which there is nothing.
pub(in crate::config) fn is_nats(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("nats:"))
}

/// Returns the same URL with another path.
pub(in crate::config) fn with_path(text: &str, change: impl FnOnce(&str) -> String) -> String {
    let (start, end) = path_of(text);
    let path = change(&text[start..end]);
    // After a host a path needs its slash.
    let slash = if text[..start].contains("://") && !path.starts_with('/') { "/" } else { "" };
    format!("{}{slash}{path}{}", &text[..start], &text[end..])
}

/// Returns where the path of a URL is.
fn path_of(text: &str) -> (usize, usize) {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let authority = text[..end].find("://").map(|at| at + 3);
    // The slash after `:accesspoint` belongs to the ARN.
    let arn = text[..end].find(":accesspoint/").map(|at| at + ":accesspoint/".len());
    let start = match arn.or(authority) {
        Some(host) => text[host..end].find('/').map_or(end, |slash| host + slash),
        None => text[..end].find(':').map_or(0, |colon| colon + 1),
    };
    (start, end)
}

/// All but what Go leaves in a path (`shouldEscape` of net/url).
const ESCAPED_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// Writes a path as it stands in a URL.
pub(in crate::config) fn escape(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED_IN_PATH).to_string()
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
}

fn split_authority(authority: &str) -> Result<(Option<String>, &str), &'static str> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let allowed_in_user = |c: u8| c.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%@".contains(&c);
    if !user.is_none_or(|user| user.bytes().all(allowed_in_user)) {
        return Err("has a user or password that is not percent-encoded");
    }
    let allowed_in_host =
        |c: u8| !c.is_ascii() || c.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"".contains(&c);
    if !host.bytes().all(allowed_in_host) {
        return Err("has a host or bucket name with characters that do not belong there");
    }
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    if !host.ends_with(']') && !port.bytes().all(|c| c.is_ascii_digit()) {
        return Err("has a port that is no number");
    }
    let name = user.map(|user| user.split_once(':').map_or(user, |(name, _)| name).to_owned());
    Ok((name, host))
}

/// Says whether each `%` is followed by two hexadecimal digits.
pub(in crate::config) fn is_escaped(text: &str) -> bool {
    let is_code = |code: &[u8]| code.iter().all(u8::is_ascii_hexdigit);
    let mut escapes = text.match_indices('%').map(|(at, _)| text.as_bytes().get(at + 1..at + 3));
    escapes.all(|code| code.is_some_and(is_code))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    if !is_escaped(text) {
        return Err("has a `%` that is not followed by two hexadecimal digits");
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| "has a path that is not UTF-8")
}

/// Returns a path as Go's `url.URL` writes it.
pub(in crate::config) fn go_path(path: &str) -> String {
    escaped_path(" ", path).into_owned()
}

/// Returns Go's `URL.EscapedPath`: as it was written if that is valid, else encoded again.
fn escaped_path<'a>(raw: &'a str, path: &str) -> Cow<'a, str> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*[]%".contains(&c);
    if raw.bytes().all(plain) { Cow::Borrowed(raw) } else { Cow::Owned(escape(path)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url =
            Url::parse("S3://key:s3cret@bucket.host:9000/a%20b/c?endpoint=http%3A%2F%2Fx%3A1&region=r#f")
                .expect("a valid URL");
        assert_eq!(
            (url.scheme.as_str(), url.host.as_str(), url.path.as_str()),
            ("s3", "bucket.host:9000", "/a b/c")
        );
        assert_eq!(url.user.as_deref(), Some("key"));
        assert_eq!(url.query("endpoint").as_deref(), Some("http://x:1"));
        assert_eq!(url.query("nothing"), None);
        assert!(!format!("{url:?}").contains("s3cret"));
    }

    #[test]
    fn the_folder_of_a_file_url_stays_encoded() {
        for (text, file) in [
            ("file:///a/b", "/a/b"),
            ("file:///a%20b", "/a%20b"),
            ("file:///a b", "/a%20b"),
            ("file://rel/b", "//rel/b"),
            ("file:rel/b", "rel/b"),
            ("file:/a?x=y", "/a"),
        ] {
            assert_eq!(Url::parse(text).map(|url| url.file), Ok(file.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_path_is_changed_where_it_is() {
        for (text, changed) in [
            ("s3://b", "s3://b/+n"),
            ("s3://b/", "s3://b/+n"),
            ("s3://k:s@b.host:1/p/?endpoint=x#f", "s3://k:s@b.host:1/p+n?endpoint=x#f"),
            ("file:///a/b", "file:///a/b+n"),
            ("file:rel", "file:rel+n"),
            (
                "s3://arn:aws:s3:us-east-1:1:accesspoint/mine/p?x",
                "s3://arn:aws:s3:us-east-1:1:accesspoint/mine/p+n?x",
            ),
            (
                "s3://arn:aws:s3:us-east-1:1:accesspoint/mine",
                "s3://arn:aws:s3:us-east-1:1:accesspoint/mine/+n",
            ),
        ] {
            assert_eq!(
                with_path(text, |path| format!("{}+n", path.trim_end_matches('/'))),
                changed,
                "{text}"
            );
        }
        assert_eq!(escape("a b/ü?#%"), "a%20b/%C3%BC%3F%23%25");
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "/a/b",
            "bucket/path",
            "s3://my bucket/x",
            "s3://u:p/w@b/x",
            "s3://b:port/x",
            "s3://b/%zz",
            "s3://u:p%zz@b/x",
            "s3://u:p%4@b/x",
            "s3://b/x#%zz",
            "s3://b/\u{1}",
            "://x",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_access_point_is_a_bucket() {
        let url = Url::parse("s3://arn:aws:s3:us-east-1:123:accesspoint/mine/a/b").expect("a valid ARN");
        assert_eq!(url.host, "arn:aws:s3:us-east-1:123:accesspoint/mine");
        assert_eq!(url.path, "/a/b");
        assert!(Url::parse("s3://arn:aws:s3:us-east-1:123:bucket/mine").is_err());
    }
}
