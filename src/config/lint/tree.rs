//! The tree against the table of all settings.

use super::finding::Lint;
use super::rules::{
    BAD_DURATION, BAD_SIZE, BARE_DURATION, BROKEN_ESCAPE, BROKEN_URL, DROPPED_KEY, LOGGING, MISPLACED_KEY,
    NEWER_KEY, OCTAL, REFUSED_KEY, REPLICA_TYPE, SECRET_IN_FILE, SOCKET_OFF, SOCKET_PATH, UNKNOWN_KEY,
    WRONG_TYPE,
};
use super::value::in_hours;
use crate::config::duration::{go_duration, nanoseconds};
use crate::config::error::Origin;
use crate::config::model::url::{Url, is_escaped};
use crate::config::output::redact::is_reference;
use crate::config::schema::types::is_size;
use crate::config::schema::{Key, Reading, Secrecy, Section, Series, Type};
use crate::config::values::document::Document;
use crate::foreign::piece;
use crate::os::socket::LONGEST_PATH;
use crate::yaml::{Node, NodeKind, Resolved, Scalar};

/// No name of a setting is nearly as long.
const LONGEST_NAME: usize = 64;

/// Looks at every setting.
pub(super) fn lint(document: &Document, series: Series) -> Vec<Lint> {
    let mut tree = Tree { origin: &document.origin, series, found: Vec::new() };
    tree.mapping(&document.root, Section::Top);
    tree.found
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
            let message = format!("`{}` of {} has {what} in the file itself", key.name, name_of(section));
            let lint = Lint::new(SECRET_IN_FILE, &document.origin, message).at(value.line, value.column);
            found.push(
                lint.hint("write ${NAME} and set the variable NAME: whoever reads the file reads the secret"),
            );
        }
    });
    found
}

/// Whether a URL has `user:password@` in front of its host.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// Calls `see` with every known setting that is not a mapping or a list of them.
pub(super) fn each_setting(node: &Node, section: Section, see: &mut dyn FnMut(Section, Key, &Node)) {
    let NodeKind::Mapping(entries) = &node.kind else { return };
    for (name, value) in entries {
        let Some(key) = section.key(&kebab(name)) else { continue };
        match key.kind {
            Type::Mapping(inner) => each_setting(value, inner, see),
            Type::Mappings(inner) => {
                value.as_list().unwrap_or_default().iter().for_each(|item| each_setting(item, inner, see));
            }
            Type::Litekeeper => {
                if let Some(NodeKind::Mapping(templates)) = value.get("replicas").map(|node| &node.kind) {
                    templates.iter().for_each(|(_, template)| each_setting(template, Section::Replica, see));
                }
            }
            Type::Text | Type::Bool | Type::Int | Type::Duration | Type::Size | Type::Octal => {
                see(section, key, value)
            }
            Type::Texts => {
                value.as_list().unwrap_or_default().iter().for_each(|item| see(section, key, item))
            }
        }
    }
}

struct Tree<'a> {
    origin: &'a Origin,
    series: Series,
    found: Vec<Lint>,
}

impl Tree<'_> {
    fn mapping(&mut self, node: &Node, section: Section) {
        let NodeKind::Mapping(entries) = &node.kind else { return };
        for (name, value) in entries {
            match section.key(&kebab(name)) {
                Some(key) => self.setting(section, key, name, value),
                None => self.unknown(section, name),
            }
        }
    }

    fn setting(&mut self, section: Section, key: Key, name: &Node, value: &Node) {
        if value.is_null() || !self.reading(section, key, name) || is_reference(value) {
            return;
        }
        match key.kind {
            Type::Mapping(inner) => match &value.kind {
                NodeKind::Mapping(_) => self.mapping(value, inner),
                // The name of a template.
                NodeKind::Scalar(_) if inner == Section::Replica => {}
                NodeKind::Scalar(_) | NodeKind::Sequence(_) => self.wrong_type(key, value, "a mapping"),
            },
            Type::Mappings(inner) => match value.as_list() {
                None => self.wrong_type(key, value, "a list of mappings"),
                Some(items) => {
                    for item in items {
                        let is_name = inner == Section::Replica && item.as_str().is_some();
                        if !item.is_mapping() && !is_name {
                            self.wrong_type(key, item, "a list of mappings");
                        }
                        self.mapping(item, inner);
                    }
                }
            },
            Type::Litekeeper => {
                if let Some(NodeKind::Mapping(templates)) = value.get("replicas").map(|node| &node.kind) {
                    for (_, template) in templates {
                        self.mapping(template, Section::Replica);
                    }
                }
            }
            Type::Texts => match value.as_list() {
                Some(items) => {
                    for item in items.iter().filter(|item| item.as_str().is_none()) {
                        self.wrong_type(key, item, "a list of texts");
                    }
                }
                None => self.wrong_type(key, value, "a list of texts"),
            },
            Type::Text | Type::Bool | Type::Int | Type::Duration | Type::Size | Type::Octal => {
                self.scalar(section, key, value);
            }
        }
    }

    /// Whether this Litestream does anything with the key at all.
    fn reading(&mut self, section: Section, key: Key, name: &Node) -> bool {
        if key.is_own() {
            return true;
        }
        let (place, key_name) = (name_of(section), key.name);
        let lint = match (self.series, key.v03, key.v05) {
            (Series::V05, _, Reading::Refused) => Lint::new(
                REFUSED_KEY,
                self.origin,
                format!("`{key_name}` of {place} is refused by Litestream 0.5"),
            )
            .hint(replacement(key_name)),
            (Series::V05, _, Reading::Ignored | Reading::Unused) => {
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
            // Litekeeper turns `replica` into `replicas` for 0.3, and has a socket of its own.
            (Series::V03, Reading::Ignored, _)
                if !matches!(key_name, "replica" | "socket" | "shutdown-sync-timeout") =>
            {
                let message = format!("`{key_name}` of {place} is ignored by the Litestream 0.3 found here");
                Lint::new(NEWER_KEY, self.origin, message).hint(if section == Section::Top {
                    "write it into each replica, or use Litestream 0.5: `litekeeper install` gets it"
                } else {
                    "leave it out, or use Litestream 0.5: `litekeeper install` gets it"
                })
            }
            (Series::V03 | Series::V05, _, _) => return true,
        };
        self.found.push(lint.at(name.line, name.column));
        false
    }

    fn unknown(&mut self, section: Section, name: &Node) {
        let written = &clipped(name.key());
        // Where people put what only anchors refer to.
        if section == Section::Top && (written.starts_with("x-") || written.starts_with('.')) {
            return;
        }
        let (kebab, place) = (kebab(name), name_of(section));
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
            .map(name_of)
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
        self.found.push(lint.at(name.line, name.column));
    }

    fn scalar(&mut self, section: Section, key: Key, value: &Node) {
        let NodeKind::Scalar(scalar) = &value.kind else {
            return self.wrong_type(key, value, wanted(key.kind));
        };
        let resolved = scalar.resolve();
        let is_number = matches!(resolved, Resolved::Int(_) | Resolved::Float(_));
        let right = match key.kind {
            Type::Bool => value.as_bool().is_some(),
            Type::Int => is_number,
            Type::Duration => return self.duration(key, value, scalar),
            Type::Octal => return self.octal(key, value, scalar),
            Type::Size if !is_size(&scalar.text) => {
                let lint = Lint::new(
                    BAD_SIZE,
                    self.origin,
                    format!("`{}: {}` is no size", key.name, clipped(&scalar.text)),
                );
                return self.found.push(
                    lint.at(value.line, value.column).hint("write it as 5MiB, 1.5GB, or a number of bytes"),
                );
            }
            Type::Size
            | Type::Text
            | Type::Texts
            | Type::Mapping(_)
            | Type::Mappings(_)
            | Type::Litekeeper => true,
        };
        if !right {
            return self.wrong_type(key, value, wanted(key.kind));
        }
        self.particular(section, key, value);
    }

    fn duration(&mut self, key: Key, value: &Node, scalar: &Scalar) {
        let (name, text) = (key.name, &clipped(&scalar.text));
        let lint = match scalar.resolve() {
            Resolved::Int(0) => return,
            // No duration at all, which is said with all that is out of range.
            Resolved::Int(_) | Resolved::Float(_) if nanoseconds(value).is_none() => return,
            Resolved::Int(_) | Resolved::Float(_) => {
                let message = format!("`{name}: {text}` is {text} nanoseconds to Litestream");
                Lint::new(BARE_DURATION, self.origin, message)
                    .hint(format!("write a unit: {text}s is seconds, {text}m minutes"))
            }
            Resolved::Text if go_duration(&scalar.text).is_some() => return,
            Resolved::Text | Resolved::Bool(_) | Resolved::Null => {
                let message = format!("`{name}: {text}` is no duration to Litestream");
                Lint::new(BAD_DURATION, self.origin, message).hint(match in_hours(text) {
                    Some(hours) => format!("it knows no days or weeks: write {hours}"),
                    None => "write it as 10s, 500ms, 5m or 1h30m".to_owned(),
                })
            }
        };
        self.found.push(lint.at(value.line, value.column));
    }

    fn octal(&mut self, key: Key, value: &Node, scalar: &Scalar) {
        let (name, text) = (key.name, &clipped(&scalar.text));
        let is_octal = text.starts_with('0')
            && (0..=0o7777).contains(&match scalar.resolve() {
                Resolved::Int(number) => number,
                Resolved::Null | Resolved::Bool(_) | Resolved::Float(_) | Resolved::Text => -1,
            });
        if is_octal {
            return;
        }
        let message = match scalar.resolve() {
            Resolved::Text => format!("`{name}: '{text}'` is a text, which Litestream refuses"),
            // Its range is said with all that is out of one.
            Resolved::Int(_) if text.starts_with('0') => return,
            Resolved::Int(number) => format!("`{name}: {text}` is {number:#o} to Litestream, not 0{text}"),
            Resolved::Null | Resolved::Bool(_) | Resolved::Float(_) => {
                format!("`{name}: {text}` is no octal number")
            }
        };
        let lint = Lint::new(OCTAL, self.origin, message).at(value.line, value.column);
        self.found.push(lint.hint("write it without quotes and with a 0 in front, such as 0600"));
    }

    /// Settings whose value matters beyond its type.
    fn particular(&mut self, section: Section, key: Key, value: &Node) {
        let Some(text) = value.as_str() else { return };
        let shown = clipped(text);
        let lint = match (section, key.name) {
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
                let Ok(url) = Url::parse(text) else { return };
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
            _ => return,
        };
        self.found.push(lint.at(value.line, value.column));
    }

    fn wrong_type(&mut self, key: Key, value: &Node, wanted: &str) {
        let is = match &value.kind {
            NodeKind::Mapping(_) => "a mapping",
            NodeKind::Sequence(_) => "a list",
            NodeKind::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => "nothing",
                Resolved::Bool(_) => "a truth value",
                Resolved::Int(_) | Resolved::Float(_) => "a number",
                Resolved::Text => "a text",
            },
        };
        let message = format!("`{}` must be {wanted}, and is {is}", key.name);
        let lint = Lint::new(WRONG_TYPE, self.origin, message).at(value.line, value.column);
        let is_quoted = matches!(&value.kind, NodeKind::Scalar(scalar) if !scalar.plain);
        self.found.push(if is_quoted && matches!(key.kind, Type::Bool | Type::Int) {
            lint.hint("take the quotes away")
        } else {
            lint
        });
    }
}

/// The types of replica that each series knows. Litekeeper gives it its own word for Google's storage.
pub(super) fn replica_types(series: Series) -> &'static [&'static str] {
    match series {
        Series::V03 => &["file", "s3", "gcs", "gs", "abs", "sftp"],
        Series::V05 => &["file", "s3", "gs", "gcs", "abs", "sftp", "webdav", "nats", "oss"],
    }
}

/// What a value of this type is called.
fn wanted(kind: Type) -> &'static str {
    match kind {
        Type::Text => "a single text",
        Type::Bool => "`true` or `false` without quotes",
        Type::Int => "a number without quotes",
        Type::Duration => "a duration",
        Type::Size => "a size",
        Type::Octal => "an octal number",
        Type::Texts => "a list of texts",
        Type::Mapping(_) | Type::Litekeeper => "a mapping",
        Type::Mappings(_) => "a list of mappings",
    }
}

/// What 0.5 has in the place of a setting of 0.3.
fn replacement(name: &str) -> &'static str {
    match name {
        "retention" => "write `snapshot: {retention: …}` into the database or at the top of the file",
        "snapshot-interval" => "write `snapshot: {interval: …}` into the database or at the top of the file",
        "validation-interval" => "write `validation: {interval: …}` at the top of the file",
        "retention-check-interval" => "leave it out: 0.5 looks by itself",
        "max-checkpoint-page-count" => "leave it out; `truncate-page-n` is the nearest in 0.5",
        "age" => "0.5 has no encryption of its own: leave it out, and let the storage encrypt",
        _ => "leave it out",
    }
}

fn name_of(section: Section) -> &'static str {
    match section {
        Section::Top => "the top of the file",
        Section::Database => "a database",
        Section::Replica => "a replica",
        Section::Snapshot => "`snapshot`",
        Section::Level => "`levels`",
        Section::Socket => "`socket`",
        Section::Logging => "`logging`",
        Section::Validation => "`validation`",
        Section::Retention => "`retention`",
        Section::Age => "`age`",
    }
}

/// How many letters are wrong in a name; it is compared only if it is about as long as any name.
pub(super) fn distance(written: &str, known: &str) -> usize {
    if written.len() > LONGEST_NAME { usize::MAX } else { strsim::damerau_levenshtein(written, known) }
}

/// A text of the file that is shown, and may be as long as the file.
pub(super) fn clipped(text: &str) -> String {
    match text.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The name as Litestream spells it; Litekeeper takes snake_case as well.
fn kebab(name: &Node) -> String {
    name.key().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_as_long_as_a_file_is_neither_compared_nor_shown() {
        let name = "x".repeat(1 << 20);
        assert_eq!(distance(&name, "path"), usize::MAX);
        assert_eq!(clipped(&name).chars().count(), LONGEST_NAME + 1);
        assert_eq!((distance("pahts", "path"), clipped("path").as_str()), (2, "path"));
    }
}
