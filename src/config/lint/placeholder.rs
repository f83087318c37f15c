//! Values that stand for a value: `<BUCKET>`, `YOUR_SECRET_ACCESS_KEY`, `AKIAxxxxxxxx`.
//!
//! Only what is never really used is one: `changeme` is a password that works, if not a good one.

use crate::config::schema::Secrecy;

/// Whole words that stand for something in every manual.
const WORDS: [&str; 22] = [
    "ACCESS_KEY",
    "ACCESS_KEY_ID",
    "ACCOUNT",
    "ACCOUNT_ID",
    "BUCKET",
    "BUCKETNAME",
    "BUCKET_NAME",
    "CONTAINER",
    "ENDPOINT",
    "HOST",
    "HOSTNAME",
    "MYBUCKET",
    "MY_BUCKET",
    "PASSWORD",
    "REGION",
    "SECRET",
    "SECRET_KEY",
    "SECRET_ACCESS_KEY",
    "USER",
    "USERNAME",
    "CHANGE_ME",
    "CHANGEME",
];

/// What marks a text as unfinished, however it is written.
const MARKS: [&str; 8] =
    ["todo", "fixme", "tbd", "placeholder", "replaceme", "replace-me", "replace_me", "insert-here"];

/// Returns the part of the value of a setting that is a placeholder; of a secret only all of it, since what is drawn
/// by lot may have anything in it.
pub(super) fn placeholder<'a>(key: &str, secrecy: Secrecy, text: &'a str) -> Option<&'a str> {
    let is_all = |part: &&str| text.strip_prefix(*part).is_some_and(|rest| rest.chars().all(|c| c == '}'));
    part(key, text).filter(|part| secrecy != Secrecy::Secret || is_all(part))
}

fn part<'a>(key: &str, text: &'a str) -> Option<&'a str> {
    if let Some(part) = enclosed(text, "<", ">").or_else(|| enclosed(text, "{", "}")) {
        return Some(part);
    }
    if matches!(key, "path" | "dir" | "key-path" | "meta-path" | "url") && text.contains("path/to/") {
        return Some("path/to/");
    }
    if matches!(text, "..." | "…") || text.contains("EXAMPLEKEY") || text.ends_with("7EXAMPLE") {
        return Some(text);
    }
    text.split(['/', '@', ':', '?', '&', '=', '.']).find(|part| is_one(part))
}

/// Finds words in brackets: `<BUCKET>`, `{{ bucket }}`.
fn enclosed<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let start = text.find(open)?;
    let inside = &text[start + open.len()..];
    let inside = inside.trim_start_matches(open);
    let end = inside.find(close)?;
    let words = inside[..end].trim();
    let is_name = !words.is_empty()
        && words.starts_with(|c: char| c.is_ascii_alphabetic())
        && words.chars().all(|c| c.is_ascii_alphanumeric() || " _-.".contains(c));
    let begin = text.len() - inside.len();
    // As it is written for a shell.
    let start = if text[..start].ends_with('$') { start - 1 } else { start };
    is_name.then(|| &text[start..(begin + end + close.len())])
}

fn is_one(part: &str) -> bool {
    let lower = part.to_ascii_lowercase();
    let only_x = |text: &str| text.len() >= 3 && text.bytes().all(|c| c == b'x');
    WORDS.contains(&part)
        || MARKS.contains(&lower.as_str())
        || ["your-", "your_", "your ", "replace-with-", "replace_with_"]
            .iter()
            .any(|start| lower.starts_with(start))
        || (part.len() > 4
            && (part.starts_with("YOUR") || part.starts_with("yourB") || lower == "yourbucket"))
        || only_x(&lower)
        || lower.strip_prefix("akia").is_some_and(only_x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_value_is_told_from_values() {
        for (key, text, part) in [
            ("bucket", "<BUCKET>", "<BUCKET>"),
            ("url", "s3://<your bucket>/app", "<your bucket>"),
            ("url", "s3://YOUR_BUCKET/app", "YOUR_BUCKET"),
            ("url", "s3://your-bucket-name/app", "your-bucket-name"),
            ("url", "s3://BUCKET/app", "BUCKET"),
            ("endpoint", "https://<ACCOUNT_ID>.r2.cloudflarestorage.com", "<ACCOUNT_ID>"),
            ("endpoint", "https://{account}.r2.cloudflarestorage.com", "{account}"),
            ("bucket", "{{ bucket }}", "{{ bucket }"),
            ("secret-access-key", "YOUR_SECRET_ACCESS_KEY", "YOUR_SECRET_ACCESS_KEY"),
            ("access-key-id", "AKIAxxxxxxxxxxxxxxxx", "AKIAxxxxxxxxxxxxxxxx"),
            ("access-key-id", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
            ("secret-access-key", "xxxxxxxx", "xxxxxxxx"),
            ("secret-access-key", "...", "..."),
            ("path", "/path/to/app.db", "path/to/"),
            ("region", "REPLACE_WITH_REGION", "REPLACE_WITH_REGION"),
        ] {
            assert_eq!(placeholder(key, Secrecy::Open, text), Some(part), "{text}");
            let secret = placeholder("password", Secrecy::Secret, text);
            assert!(secret.is_none_or(|found| found == part), "{text}");
        }
        for (key, text) in [
            ("bucket", "backups"),
            ("bucket", "yourcompany-backups"),
            ("bucket", "my-bucket"),
            ("password", "changeme"),
            ("url", "s3://b/users/xx"),
            ("path", "data/path-to/app.db"),
            ("region", "us-east-1"),
            ("secret-access-key", "minioadmin"),
        ] {
            assert_eq!(placeholder(key, Secrecy::Open, text), None, "{text}");
        }
        for text in
            ["a<b>c d1$2{3", "x}y{z", "${KEY}x", "it's {a}", "a/BUCKET=", "<a>b</a>", "a:xxxx", "p@SECRET"]
        {
            assert_eq!(placeholder("secret-access-key", Secrecy::Secret, text), None, "{text}");
        }
        for text in ["<SECRET>", "{{ key }}", "{key}", "xxxxxxxx", "YOUR_SECRET"] {
            assert!(placeholder("secret-access-key", Secrecy::Secret, text).is_some(), "{text}");
        }
    }
}
