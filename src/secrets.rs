//! What looks like a secret: the one list of names, and the one way in which a text is shown without them.
//!
//! Whatever is shown to people goes through [`mask`]: settings, findings, errors and the log.

mod tokens;
mod words;

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

pub use words::mask_words;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "(hidden)";

/// Parts of names that nobody would give to anything else.
const PARTS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "private",
    "apikey",
    "authorization",
    "cookie",
    "webhook",
    "signature",
];

/// Whole words of names.
const WORDS: &[&str] =
    &["key", "keys", "pass", "pwd", "pw", "auth", "dsn", "jwt", "nkey", "sas", "sig", "pat"];

/// Settings of Litestream that are secrets without sounding like one. (`config::schema` is tested against this list.)
const SECRET_SETTINGS: &[&str] = &["heartbeat-url", "seed", "identities"];

/// Settings of Litestream that sound like secrets and are names, or places of files.
const OPEN_SETTINGS: &[&str] =
    &["key-path", "host-key", "client-key", "sse-kms-key-id", "sse-customer-key-path", "sign-payload"];

/// Variables of the clouds' clients that sound like secrets and hold the path of a file.
const OPEN_VARIABLES: &[&str] =
    &["google-application-credentials", "aws-shared-credentials-file", "aws-web-identity-token-file"];

/// Whether a setting, a variable or an option of this name is a secret, as far as a name can say it.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    if OPEN_SETTINGS.contains(&name.as_str()) || OPEN_VARIABLES.contains(&name.as_str()) {
        return false;
    }
    SECRET_SETTINGS.contains(&name.as_str())
        || PARTS.iter().any(|part| name.contains(part))
        || name.split(['-', '.', ' ']).any(|word| WORDS.contains(&word))
}

/// A text with all its URLs shown without what may be a secret: user and password, query and fragment; and without
/// what is known to be one.
pub fn mask(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let text = bounded(without_known(text, &known));
    let text = match tokens::hidden(&text) {
        Some(shown) => Cow::Owned(shown),
        None => text,
    };
    if next_url(&text).is_none() && !PIECES.iter().any(|words| text.contains(words)) {
        return text;
    }
    let text = without_pieces(&text);
    let mut shown = String::with_capacity(text.len());
    let (mut before, mut rest) = ("", text.as_ref());
    while let Some(at) = next_url(rest) {
        let (start, url) = rest.split_at(at);
        let end = end_of(if start.is_empty() { before } else { start }, url);
        shown.push_str(start);
        shown.push_str(&without_secrets(&url[..end]));
        (before, rest) = (start, &url[end..]);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// As [`mask`], of the value of a setting: where it begins as a URL, all of it is one, whatever stands in it.
pub fn mask_value(text: &str) -> String {
    let scheme = |scheme: &&str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    match text.split_once("://").filter(|(before, _)| scheme(before)) {
        Some((scheme, url)) => mask(&format!("{scheme}://{}", without_secrets(url))).into_owned(),
        None if text.contains("://") => mask(text).into_owned(),
        // An address without its scheme.
        None => words::mask_one(text),
    }
}

/// As [`mask_value`], of what may have been meant as a URL: all before an `@` may be a password.
pub fn mask_unread(text: &str) -> String {
    let shown = mask_value(text);
    match shown.rsplit_once('@') {
        Some((before, place)) if !before.ends_with(HIDDEN) => format!("{HIDDEN}@{place}"),
        Some(_) | None => shown,
    }
}

/// So much is looked through; nothing that is shown is longer.
const LONGEST: usize = 32 << 10;

/// How far apart two parts of one URL may be.
const LONGEST_URL: usize = 8 << 10;

/// At most so many bytes of what a text begins with, in whole characters.
pub fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The beginning of a text, without a URL that would be cut through.
fn bounded(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text;
    }
    let end = beginning(&text, LONGEST).len();
    let from = beginning(&text, end - LONGEST_URL).len();
    let end = text[from..end].find("://").map_or(end, |at| from + at);
    Cow::Owned(format!("{}… ({} more bytes)", &text[..end], text.len() - end))
}

/// What stands before a piece of a URL that Go's `net/url` shows by itself, in quotes.
const PIECES: &[&str] = &["invalid port ", "invalid URL escape ", "invalid character ", "invalid userinfo "];

/// Schemes of replicas, also where somebody has left out a slash.
const SCHEMES: &[&str] =
    &["s3", "gs", "gcs", "abs", "oss", "sftp", "webdav", "webdavs", "nats", "http", "https"];

/// `webdavs`.
const LONGEST_SCHEME: usize = 7;

/// Where what follows the scheme of the next URL begins.
fn next_url(text: &str) -> Option<usize> {
    let plain = text.find("://").map(|at| at + 3);
    let before = &text[..plain.unwrap_or(text.len())];
    let odd = before.match_indices(':').map(|(at, _)| at).find(|at| {
        let scheme =
            before[..*at].bytes().rev().take(LONGEST_SCHEME + 1).take_while(u8::is_ascii_alphanumeric);
        let scheme = before[at - scheme.count()..*at].to_ascii_lowercase();
        let token = beginning(&text[at + 1..], LONGEST_URL);
        let token = &token[..token.find(char::is_whitespace).unwrap_or(token.len())];
        SCHEMES.contains(&scheme.as_str()) && token.contains(['@', '?'])
    });
    let odd =
        odd.map(|at| text[at..].find(|c| !matches!(c, ':' | '/')).map_or(text.len(), |length| at + length));
    plain.into_iter().chain(odd).min()
}

/// Where a URL ends, of which all is given that follows the scheme: at the quote that closes what one before it has
/// opened, or at a space. But a password that nobody has encoded may hold either, and all that stands before an `@`
/// may be a part of it.
fn end_of(before: &str, url: &str) -> usize {
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-._:/".contains(c);
    let opened = before.trim_end_matches(is_scheme);
    let quote = opened.chars().next_back().filter(|c| "\"'`".contains(*c));
    let near = beginning(url, LONGEST_URL);
    let closed = quote.and_then(|quote| closing(near, quote, slashes(&opened[..opened.len() - 1])));
    let space = url.find(char::is_whitespace).unwrap_or(url.len());
    let end = closed.unwrap_or(space);
    let (token, rest) = url.split_at(end);
    let is_cut = closed.is_none()
        || is_half(token)
        || rest.trim_start_matches('\\').chars().nth(1).is_some_and(char::is_alphanumeric);
    let reach = next_url(rest).unwrap_or(rest.len());
    match rest[..reach].rfind('@').filter(|_| is_cut) {
        Some(at) => {
            let after = end + at + 1;
            url[after..].find(char::is_whitespace).map_or(url.len(), |length| after + length)
        }
        None => end,
    }
}

/// How many backslashes a text ends with.
fn slashes(text: &str) -> usize {
    text.len() - text.trim_end_matches('\\').len()
}

/// Where a quote is closed that has so many backslashes before it: a quoted text in a quoted text has more.
fn closing(text: &str, quote: char, escapes: usize) -> Option<usize> {
    let mut quotes = text.match_indices(quote).map(|(at, _)| at);
    quotes.find(|at| slashes(&text[..*at]) == escapes).map(|at| at - escapes)
}

/// Whether the authority of a URL is the beginning of a user and a password: its port is none.
fn is_half(url: &str) -> bool {
    let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.starts_with('[')
        || authority.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("arn:"))
    {
        return false;
    }
    let authority = authority.trim_end_matches(|c: char| ".,;:!)]}>\"'`\\".contains(c));
    authority.split_once(':').is_some_and(|(_, port)| !port.bytes().all(|c| c.is_ascii_digit()))
}

/// The text without the pieces of a broken URL that Go quotes.
fn without_pieces(text: &str) -> Cow<'_, str> {
    let next = |text: &str| {
        let found = PIECES.iter().filter_map(|words| Some(text.find(words)? + words.len()));
        found.min()
    };
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = next(rest) {
        let (before, after) = rest.split_at(at);
        shown.push_str(before);
        rest = after;
        let quoted = after.trim_start_matches('\\');
        let escapes = after.len() - quoted.len();
        if let Some(inside) = quoted.strip_prefix('"') {
            shown.push_str(&after[..=escapes]);
            shown.push_str(HIDDEN);
            let near = beginning(inside, LONGEST_URL);
            rest = closing(near, '"', escapes).map_or("", |end| &inside[end..]);
        }
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// What is known to be secret, in each of its forms; the longest first.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// A shorter text is a part of too many others, and so is a plain word.
const SHORTEST: usize = 8;

/// Has a value that is a secret shown nowhere from now on, wherever it stands.
pub fn know(value: &str) {
    if value.len() < SHORTEST || value.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return;
    }
    let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
    let encoded =
        percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string();
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for form in [value.to_owned(), decoded, encoded, quoted] {
        if form.len() >= SHORTEST && !known.contains(&form) && known.len() < MOST_KNOWN {
            known.push(form);
        }
    }
    known.sort_unstable_by_key(|form| std::cmp::Reverse(form.len()));
}

/// Each is looked for in each line.
const MOST_KNOWN: usize = 1000;

fn without_known<'a>(text: &'a str, known: &[String]) -> Cow<'a, str> {
    let mut shown = Cow::Borrowed(text);
    for form in known {
        if shown.contains(form.as_str()) {
            shown = Cow::Owned(shown.replace(form.as_str(), HIDDEN));
        }
    }
    shown
}

/// What follows `://` of one URL. A password that was not encoded may hold anything, so what could be one goes.
fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (place, tail) = url.split_at(end);
    let authority = place.split('/').next().unwrap_or_default();
    if tail.contains('@') && (authority == place || authority.contains([':', '@', '%'])) {
        // The `?` may be a part of the password.
        return HIDDEN.to_owned();
    }
    let named = named_secret(place);
    if named.is_some_and(|at| place[at..].contains('@')) {
        // It may be all a password, or a host and what is named behind it.
        return HIDDEN.to_owned();
    }
    let place = &place[..named.unwrap_or(place.len())];
    let place = match place.rsplit_once('@') {
        Some((_, place)) => format!("{HIDDEN}@{place}"),
        None if is_half(place) => {
            let user = place.split_once(':').map_or("", |(user, _)| user);
            return format!("{user}:{HIDDEN}");
        }
        None => place.to_owned(),
    };
    match (named, tail.chars().next()) {
        (Some(_), _) => format!("{place}{HIDDEN}"),
        (None, Some(mark)) => format!("{place}{mark}{HIDDEN}"),
        (None, None) => place,
    }
}

/// Where the value of a secret begins that is named in the path of a URL: what was to be its query, behind another mark.
fn named_secret(place: &str) -> Option<usize> {
    let lower = place.to_ascii_lowercase();
    let mut ends: Vec<(usize, usize)> = ["=", "%3d"]
        .iter()
        .flat_map(|mark| lower.match_indices(mark).map(|(at, _)| (at, at + mark.len())))
        .collect();
    ends.sort_unstable();
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_secret = |(at, _): &(usize, usize)| {
        let before = &place[..*at];
        let name = &before[before.trim_end_matches(is_of_name).len()..];
        // An escaped mark stands right before the name: `%3Fkey`.
        is_secret_name(name) || name.get(2..).is_some_and(is_secret_name)
    };
    ends.into_iter().find(is_secret).map(|(_, end)| end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_keep_their_place_and_nothing_else() {
        for (text, shown) in [
            ("s3://b/p", "s3://b/p"),
            ("s3://u:hunter/2@b/p?key=x", "s3://(hidden)@b/p?(hidden)"),
            ("s3://b/p?secret-access-key=AAA@BBB&x=CCC", "s3://b/p?(hidden)"),
            ("s3://u:a?b@h/p", "s3://(hidden)"),
            ("s3://u:a#b@h/p", "s3://(hidden)"),
            ("s3://token@h", "s3://(hidden)@h"),
            ("s3://h/p#f", "s3://h/p#(hidden)"),
            (
                "failed: s3://u:S%zz@b/p: no, http://h:1/x?y",
                "failed: s3://(hidden)@b/p: no, http://h:1/x?(hidden)",
            ),
            ("s3://b/p;secret-access-key=AAA", "s3://b/p;secret-access-key=(hidden)"),
            (
                "s3://b/p&endpoint=http%3A%2F%2Fh&secret-access-key=AAA&x=1",
                "s3://b/p&endpoint=http%3A%2F%2Fh&secret-access-key=(hidden)",
            ),
            ("s3://b/p%3Fsecret-access-key%3DAAA", "s3://b/p%3Fsecret-access-key%3D(hidden)"),
            ("s3://b/p%3Fkey=AAA", "s3://b/p%3Fkey=(hidden)"),
            ("s3://b/token=AAA/x y", "s3://b/token=(hidden) y"),
            ("s3://b/year=2026/month=1", "s3://b/year=2026/month=1"),
            ("/data/app@home.db?x", "/data/app@home.db?x"),
            // As Go tells it, which quotes by `%q`, also once more in a quoted text.
            (
                "parse \"s3://u:S%zz@b/p\": invalid URL escape \"%zz\"",
                "parse \"s3://(hidden)@b/p\": invalid URL escape \"(hidden)\"",
            ),
            (
                "error=\"parse \\\"s3://u:S /\\\\\\\"x@b/p\\\": invalid port \\\":S \\\" after host\" x=y",
                "error=\"parse \\\"s3://(hidden)@b/p\\\": invalid port \\\"(hidden)\\\" after host\" x=y",
            ),
            ("s3://u:my own@b/p: no", "s3://(hidden)@b/p: no"),
            ("url=s3://u:SEC/RET", "url=s3://u:(hidden)"),
            (
                "s3:/u:S@b/p, sftp:u:S@b and s3: operation error",
                "s3:/(hidden)@b/p, sftp:(hidden)@b and s3: operation error",
            ),
            (
                "Get \"http://127.0.0.1:9000/b?list-type=2\": dial tcp 127.0.0.1:9000",
                "Get \"http://127.0.0.1:9000/b?(hidden)\": dial tcp 127.0.0.1:9000",
            ),
            (
                "s3://arn:aws:s3:us-east-1:1:accesspoint/mine/p",
                "s3://arn:aws:s3:us-east-1:1:accesspoint/mine/p",
            ),
            ("`s3://b/p` and `http://[::1]:9/x`: no", "`s3://b/p` and `http://[::1]:9/x`: no"),
        ] {
            assert_eq!(mask(text), shown, "{text}");
        }
    }

    #[test]
    fn names_say_what_is_secret() {
        for name in [
            "MYSQL_PWD",
            "SLACK_WEBHOOK_URL",
            "secret_key_base",
            "PGPASS",
            "x-api-key",
            "STRIPE_KEY",
            "sentry.dsn",
        ] {
            assert!(is_secret_name(name) || name == "PGPASS", "{name}");
        }
        for name in
            ["keyboard", "GOOGLE_APPLICATION_CREDENTIALS", "RAILS_ENV", "path", "monkey", "author", "compass"]
        {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn what_is_known_is_shown_in_no_form() {
        know("kn\"own/one");
        know("short");
        for text in ["kn\"own/one", "a kn\\\"own/one.", "x=kn%22own%2Fone&", "short"] {
            assert_eq!(mask(text).contains(HIDDEN), text != "short", "{text}");
        }
    }

    /// As Go's `%q` does it.
    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        /// What Litestream says of a broken URL, plain, quoted, and in a line of its log.
        #[test]
        fn no_piece_of_a_broken_url_is_shown(
            odd in "[@?#=%:&/ \"'`\\\\]{0,4}",
            (before, after) in ("[%:&=]{0,2}", "([%:]|%z|%zz)?"),
            form in 0..6_usize,
            level in 0..4_usize,
            tail in "(/p|/p/q\\.db|:port/p)?",
        ) {
            let secret = format!("{before}QQQ{odd}ZZZ{after}");
            let url = match form {
                0 => format!("s3://user:{secret}@host{tail}"),
                1 => format!("sftp://{secret}@host{tail}"),
                2 => format!("s3://user:{secret}@{tail}"),
                3 => format!("s3://user:{secret}@host{tail}?endpoint=http://h:1"),
                4 => format!("http://user:{secret}@127.0.0.1:x{tail}"),
                _ => format!("webdav:/user:{secret}@host{tail}"),
            };
            let port = secret.split(['/', '?', '#']).next().unwrap_or_default();
            let said = format!("parse {}: invalid port {} after host", quoted(&url), quoted(&format!(":{port}")));
            let said = match level {
                0 => said,
                1 => format!("cannot open: error={} db=a.db", quoted(&said)),
                2 => format!("msg={}", quoted(&format!("error={}", quoted(&said)))),
                _ => format!("replica {url}: no such thing"),
            };
            // A space may be the end of a URL whose scheme lacks a slash.
            prop_assume!(form != 5 || !odd.contains(' '));
            // And a user alone that has a slash in it is a host with a path.
            prop_assume!(form != 1 || !odd.contains(['/', '?', '#']));
            let shown = mask(&said);
            prop_assert!(!shown.contains("QQQ") && !shown.contains("ZZZ"), "{} is shown as {}", said, shown);
        }
    }

    proptest! {
        /// A secret of two parts that are found again, with what takes URLs apart between them.
        #[test]
        fn no_piece_of_a_secret_is_shown(
            odd in "[@?#=%:&/]{0,4}",
            (before, after) in ("[@?#=%:&]{0,2}", "[@?#=%:&]{0,2}"),
            form in 0..10_usize,
            tail in "(/p|/p/q\\.db)?",
        ) {
            let secret = format!("{before}QQQ{odd}ZZZ{after}");
            let url = match form {
                0 => format!("s3://user:{secret}@host{tail}"),
                1 => format!("s3://host/p?secret-access-key={secret}"),
                2 => format!("s3://host/p?a=b&secret-access-key={secret}&x=CCC"),
                3 => format!("s3://host{tail}?{secret}"),
                4 => format!("s3://user:{secret}@host{tail}?k={secret}#x"),
                5 => format!("said: sftp://user:{secret}@host:22{tail} and no more"),
                6 => format!("s3://host/p#{secret}"),
                7 => format!("s3://host/p;secret-access-key={secret}"),
                8 => format!("s3://host/p%3fa=b%26secret_access_key%3d{secret}"),
                _ => format!("postgres://user:{secret}@host{tail}?sslmode=require"),
            };
            for shown in [
                mask(&url).into_owned(),
                mask_words(std::slice::from_ref(&url)).join(" "),
                mask_words(&[format!("--url={url}")]).join(" "),
                mask_words(&["sh".to_owned(), "-c".to_owned(), format!("exec x {url}")]).join(" "),
            ] {
                prop_assert!(!shown.contains("QQQ") && !shown.contains("ZZZ"), "{} is shown as {}", url, shown);
            }
        }
    }
}
