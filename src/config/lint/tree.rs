//! The tree against the table of all settings.

use super::finding::Lint;
use super::problem::of_finding;
use super::rules::{
    BROKEN_ESCAPE, BROKEN_URL, DROPPED_KEY, LOGGING, MISPLACED_KEY, NEWER_KEY, REPLICA_TYPE, SECRET_IN_FILE,
    SOCKET_OFF, SOCKET_PATH, UNKNOWN_KEY,
};
use crate::config::error::{Finding, Origin, Problem};
use crate::config::model::url::{Url, is_escaped};
use crate::config::output::redact::is_reference;
use crate::config::schema::types::{LONGEST_SHOWN, clipped, refused};
use crate::config::schema::walk::{KeyValue, kebab, walk};
use crate::config::schema::{Key, Reading, Secrecy, Section, Series, Type};
use crate::config::values::document::Document;
use crate::foreign::piece;
use crate::os::socket::LONGEST_PATH;
use crate::yaml::{Node, NodeKind};

/// Looks at every setting.
pub(super) fn lint(document: &Document, series: Series) -> Vec<Lint> {
    let origin = &document.origin;
    let finding = |(at, problem): (&Node, Problem)| {
        let (line, column) = (at.line, at.column);
        of_finding(&Finding { origin: origin.clone(), line, column, problem })
    };
    let mut found: Vec<Lint> = refused(&document.root, series).into_iter().map(finding).collect();
    let tree = Tree { origin, series };
    walk(&document.root, Section::Top, &mut |KeyValue { section, name, key, value }| {
        let Some(key) = key else {
            found.extend(tree.unknown(section, name));
            return false;
        };
        if value.is_null() {
            return false;
        }
        if let Some(lint) = tree.unread(section, key) {
            found.push(lint.at(name.line, name.column));
            return false;
        }
        let lint = tree.particular(section, key, value).filter(|_| !is_reference(value));
        found.extend(lint.map(|lint| lint.at(value.line, value.column)));
        key.reading(series) != Reading::Refused && !is_reference(value)
    });
    found
}

/// Secrets that stand in the file itself and not in a variable.
pub(super) fn plain_secrets(document: &Document) -> Vec<Lint> {
    let mut found = Vec::new();
    each_setting(&document.root, Section::Top, &mut |section, key, value| {
        let is_plain = matches!(&value.kind, NodeKind::Scalar(scalar) if scalar.variable.is_none());
        let text = value.as_str().filter(|text| is_plain && !text.is_empty());
        let is_secret = match key.secrecy {
            Secrecy::Open => false,
            Secrecy::Address => text.is_some_and(has_password),
            Secrecy::Secret => text.is_some(),
        };
        if is_secret {
            let what = if key.secrecy == Secrecy::Address { "a password in its URL" } else { "its value" };
            let message = format!("`{}` of {} has {what} in the file itself", key.name, section.words());
            let lint = Lint::new(SECRET_IN_FILE, &document.origin, message).at(value.line, value.column);
            found.push(
                lint.hint("write ${NAME} and set the variable NAME: whoever reads the file reads the secret"),
            );
        }
    });
    found
}

/// Says whether a URL has `user:password@` in front of its host.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// Calls `see` with every known setting that is not a mapping or a list of them.
pub(super) fn each_setting(node: &Node, section: Section, see: &mut dyn FnMut(Section, Key, &Node)) {
    walk(node, section, &mut |KeyValue { section, key, value, .. }| {
        let Some(key) = key else { return false };
        match key.kind {
            Type::Mapping(_) | Type::Mappings(_) | Type::Litekeeper => {}
            Type::Text | Type::Bool | Type::Int | Type::Duration | Type::Size | Type::Octal => {
                see(section, key, value);
            }
            Type::Texts => {
                value.as_list().unwrap_or_default().iter().for_each(|item| see(section, key, item));
            }
        }
        true
    });
}

struct Tree<'a> {
    origin: &'a Origin,
    series: Series,
}

impl Tree<'_> {
    /// Returns a key with which this Litestream does nothing.
    fn unread(&self, section: Section, key: Key) -> Option<Lint> {
        if key.is_own() {
            return None;
        }
        let (place, key_name) = (section.words(), key.name);
        Some(match (self.series, key.reading(self.series)) {
            (Series::V05, Reading::Ignored | Reading::Unused) => {
                let message = if key.v03 == Reading::Read {
                    format!("`{key_name}` of {place} is a setting of Litestream 0.3, which 0.5 ignores")
                } else {
                    format!(
                        "`{key_name}` counts in a replica only: Litestream does not hand it down from {place}"
                    )
                };
                Lint::new(DROPPED_KEY, self.origin, message).hint(if key.v03 == Reading::Read {
                    replacement(key_name)
                } else {
                    "write it into each replica"
                })
            }
            (Series::V03, Reading::Ignored) => {
                let message = format!("`{key_name}` of {place} is ignored by the Litestream 0.3 found here");
                Lint::new(NEWER_KEY, self.origin, message).hint(if section == Section::Top {
                    "write it into each replica, or use Litestream 0.5: `litekeeper install` gets it"
                } else {
                    "leave it out, or use Litestream 0.5: `litekeeper install` gets it"
                })
            }
            (Series::V03 | Series::V05, _) => return None,
        })
    }

    fn unknown(&self, section: Section, name: &Node) -> Option<Lint> {
        let written = &clipped(name.key());
        // Where people put what only anchors refer to.
        if section == Section::Top && (written.starts_with("x-") || written.starts_with('.')) {
            return None;
        }
        let (kebab, place) = (kebab(name), section.words());
        let close = section.keys().map(|key| (distance(&kebab, key.name), key.name));
        let close = close.min().filter(|(distance, key)| *distance <= 1 + key.len() / 5).map(|(_, key)| key);
        let elsewhere: Vec<&str> = Section::ALL
            .into_iter()
            .rev()
            .filter(|other| {
                other
                    .key(&kebab)
                    .is_some_and(|key| key.v05 != Reading::Ignored || key.v03 != Reading::Ignored)
            })
            .map(Section::words)
            .collect();
        let lint = match (elsewhere.as_slice(), close) {
            ([_, ..], _) => {
                let message = format!("`{written}` does not belong to {place}: nobody reads it there");
                Lint::new(MISPLACED_KEY, self.origin, message)
                    .hint(format!("it is a setting of {}", elsewhere.join(" or of ")))
            }
            ([], Some(close)) => {
                let message = format!("`{written}` is no setting of {place}: nobody reads it");
                Lint::new(UNKNOWN_KEY, self.origin, message).hint(format!("did you mean `{close}`?"))
            }
            ([], None) => {
                let message = format!("`{written}` is no setting of {place}: nobody reads it");
                let lint = Lint::new(UNKNOWN_KEY, self.origin, message);
                if section == Section::Top {
                    lint.hint("take it out; a name that starts with `x-` is taken for your own")
                } else {
                    lint.hint("take it out")
                }
            }
        };
        Some(lint.at(name.line, name.column))
    }

    /// Settings whose value matters beyond its type.
    #[expect(clippy::too_many_lines, reason = "one table of values and words")]
    fn particular(&self, section: Section, key: Key, value: &Node) -> Option<Lint> {
        let text = value.as_str()?;
        let shown = clipped(text);
        Some(match (section, key.name) {
            (Section::Replica, "type") if !replica_types(self.series).contains(&text) && !text.is_empty() => {
                let close =
                    replica_types(self.series).iter().map(|known| (distance(text, known), known)).min();
                let hint = match close {
                    Some((distance, known)) if distance <= 2 => format!("did you mean `{known}`?"),
                    _ => format!("it knows {}", replica_types(self.series).join(", ")),
                };
                Lint::new(
                    REPLICA_TYPE,
                    self.origin,
                    format!("`{shown}` is no type of replica that Litestream knows"),
                )
                .hint(hint)
            }
            (Section::Logging, "type") if !["text", "json", "pretty", ""].contains(&text) => {
                let message =
                    format!("`{shown}` is no type of log: a Litestream without Litekeeper panics at it");
                Lint::new(LOGGING, self.origin, message)
                    .hint("write `text`, `json` or `pretty`; under Litekeeper it is always `json`")
            }
            (Section::Logging, "level")
                if !["trace", "debug", "info", "warn", "warning", "error", ""]
                    .contains(&text.to_ascii_lowercase().as_str()) =>
            {
                let message = format!("`{shown}` is no level that Litestream knows: it logs as with `info`");
                Lint::new(LOGGING, self.origin, message)
                    .hint("write `error`, `warn`, `info`, `debug` or `trace`")
            }
            (Section::Socket, "enabled") if value.as_bool() == Some(false) => {
                let message = "the control socket is switched off, but Litekeeper confirms replication over it: it is on all the same";
                Lint::new(SOCKET_OFF, self.origin, message).hint("leave `enabled` out")
            }
            (_, "endpoint" | "webdav-url" | "heartbeat-url") if !is_escaped(text) => {
                let message = format!("`{}` has a broken escape: {}", key.name, piece(text));
                let rule = if key.name == "heartbeat-url" { BROKEN_ESCAPE } else { BROKEN_URL };
                Lint::new(rule, self.origin, message)
                    .hint("write each `%` that is meant as one as `%25`, in a password as well")
            }
            (Section::Replica, "url") if Url::parse(text).is_ok_and(|url| url.unread().next().is_some()) => {
                let url = Url::parse(text).ok()?;
                let names: Vec<String> = url.unread().map(|name| format!("`{}`", clipped(name))).collect();
                let message = format!(
                    "`url` has a broken escape in {}, which Litestream leaves out without a word: {}",
                    names.join(" and "),
                    piece(text)
                );
                Lint::new(BROKEN_ESCAPE, self.origin, message)
                    .hint("write each `%` that is meant as one as `%25`")
            }
            (Section::Socket, "path") if text.len() > LONGEST_PATH => {
                let message = format!(
                    "the socket's path has {} bytes, but no unix socket takes more than {LONGEST_PATH}",
                    text.len()
                );
                Lint::new(SOCKET_PATH, self.origin, message)
                    .hint("choose a shorter folder, such as /run/litestream")
            }
            _ => return None,
        })
    }
}

/// Returns the types of replica that each series knows. Litekeeper gives it its own word for Google's storage.
pub(super) fn replica_types(series: Series) -> &'static [&'static str] {
    match series {
        Series::V03 => &["file", "s3", "gcs", "gs", "abs", "sftp"],
        Series::V05 => &["file", "s3", "gs", "gcs", "abs", "sftp", "webdav", "nats", "oss"],
    }
}

/// Says what 0.5 has in the place of a setting of 0.3.
fn replacement(name: &str) -> &'static str {
    match name {
        "retention" => "write `snapshot: {retention: …}` into the database or at the top of the file",
        "snapshot-interval" => "write `snapshot: {interval: …}` into the database or at the top of the file",
        "validation-interval" => "write `validation: {interval: …}` at the top of the file",
        "retention-check-interval" => "leave it out: 0.5 looks by itself",
        "max-checkpoint-page-count" => "leave it out; `truncate-page-n` is the nearest in 0.5",
        _ => "leave it out",
    }
}

/// Says how many letters are wrong in a name; it is compared only if it is about as long as any name.
pub(super) fn distance(written: &str, known: &str) -> usize {
    if written.len() > LONGEST_SHOWN { usize::MAX } else { strsim::damerau_levenshtein(written, known) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_as_long_as_a_file_is_neither_compared_nor_shown() {
        let name = "x".repeat(1 << 20);
        assert_eq!(distance(&name, "path"), usize::MAX);
        assert_eq!(clipped(&name).chars().count(), LONGEST_SHOWN + 1);
        assert_eq!((distance("pahts", "path"), clipped("path").as_str()), (2, "path"));
    }
}
