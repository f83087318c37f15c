//! What looks like a secret: the one list of names, and the one way in which a text is shown without them.
//!
//! Whatever is shown to people goes through [`mask`]: settings, findings, errors and the log.

use std::borrow::Cow;

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

/// Whether a setting, a variable or an option of this name is a secret, as far as a name can say it.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    if OPEN_SETTINGS.contains(&name.as_str()) {
        return false;
    }
    SECRET_SETTINGS.contains(&name.as_str())
        || PARTS.iter().any(|part| name.contains(part))
        || name.split(['-', '.', ' ']).any(|word| WORDS.contains(&word))
}

/// A text with all its URLs shown without what may be a secret: user and password, query and fragment.
pub fn mask(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        let end = url.find(char::is_whitespace).unwrap_or(url.len());
        shown.push_str(before);
        shown.push_str(&without_secrets(&url[..end]));
        rest = &url[end..];
    }
    shown.push_str(rest);
    Cow::Owned(shown)
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
    let place = match place.rsplit_once('@') {
        Some((_, place)) => format!("{HIDDEN}@{place}"),
        None => place.to_owned(),
    };
    match tail.chars().next() {
        Some(mark) => format!("{place}{mark}{HIDDEN}"),
        None => place,
    }
}

/// The words of a command: `--token=x`, `--token x`, `TOKEN=x` and `Token: x` keep their names only.
pub fn mask_words(words: &[String]) -> Vec<String> {
    let mut after_secret = false;
    let shown = words.iter().map(|word| {
        let was_after = std::mem::take(&mut after_secret);
        let option = word.trim_start_matches('-');
        if was_after && !word.starts_with('-') {
            return hidden(word);
        }
        if let Some((name, mark, value)) = assignment(word) {
            return match is_secret_name(name.trim_start_matches('-')) {
                true => format!("{name}{mark}{}", hidden(value)),
                false => format!("{name}{mark}{}", mask_script(value)),
            };
        }
        after_secret = word.starts_with('-') && is_secret_name(option);
        mask_script(word)
    });
    shown.collect()
}

/// A text that may be commands by itself (`sh -c '…'`).
fn mask_script(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if words.len() < 2 {
        return mask(text).into_owned();
    }
    let shown = mask_words(&words);
    if shown == words { text.to_owned() } else { shown.join(" ") }
}

/// `NAME=value` and `Name: value`, taken apart.
fn assignment(word: &str) -> Option<(&str, &str, &str)> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
    };
    [": ", "="].into_iter().find_map(|mark| {
        let (name, value) = word.split_once(mark)?;
        is_name(name).then_some((name, mark, value))
    })
}

fn hidden(text: &str) -> String {
    if text.is_empty() { String::new() } else { HIDDEN.to_owned() }
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
            ("/data/app@home.db?x", "/data/app@home.db?x"),
        ] {
            assert_eq!(mask(text), shown, "{text}");
        }
    }

    #[test]
    fn words_of_a_command_keep_their_names() {
        for (words, shown) in [
            (
                &["bin/x", "--token=hunter2", "--api-key", "hunter2", "-v"][..],
                "bin/x --token=(hidden) --api-key (hidden) -v",
            ),
            (&["--password", "-w", "A_SECRET=hunter2"], "--password -w A_SECRET=(hidden)"),
            (
                &["--url=pg://u:hunter2@h/d", "pg://u:hunter2@h/d", "--port", "80"],
                "--url=pg://(hidden)@h/d pg://(hidden)@h/d --port 80",
            ),
            (&["postgres://u:hunter2@h/d?sslmode=require"], "postgres://(hidden)@h/d?(hidden)"),
            (&["curl", "-H", "Authorization: Bearer hunter2"], "curl -H Authorization: (hidden)"),
            (&["sh", "-c", "MYSQL_PWD=hunter2 mysql  -e x"], "sh -c MYSQL_PWD=(hidden)"),
            (&["sh", "-c", "exec mysql --password hunter2  x"], "sh -c exec mysql --password (hidden) x"),
            (&["sh", "-c", "a  b\nc"], "sh -c a  b\nc"),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(mask_words(&words).join(" "), shown);
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
        for name in ["keyboard", "RAILS_ENV", "path", "monkey", "author", "compass"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    proptest! {
        /// A secret of two parts that are found again, with what takes URLs apart between them.
        #[test]
        fn no_piece_of_a_secret_is_shown(
            odd in "[@?#=%:&/]{0,4}",
            (before, after) in ("[@?#=%:&]{0,2}", "[@?#=%:&]{0,2}"),
            form in 0..8_usize,
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
