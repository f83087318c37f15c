//! What is gone in the tree: variables, and keys that are there twice.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

use super::Lint;
use super::rules::{DUPLICATE_KEY, UNSET_VARIABLE, UNUSED_VARIABLE};
use crate::config::expand::expand;
use crate::config::load::{Document, LoadOptions};
use crate::config::node::Node;
use crate::config::sources;

/// Looks at the text as it was written.
pub(super) fn lint(document: &Document, options: &LoadOptions<'_>) -> Vec<Lint> {
    let mut found = Vec::new();
    if !options.no_expand_env {
        found.extend(unset_variables(document, options));
    }
    found.extend(unused_variables(document, options));
    found.extend(duplicate_keys(document));
    found
}

/// A variable without a value is nothing at all to Litestream, wherever it stands.
fn unset_variables(document: &Document, options: &LoadOptions<'_>) -> Vec<Lint> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(document.text.split('\n')) {
        let names = std::cell::RefCell::new(Vec::new());
        let look = |name: &str| {
            let value = (options.env)(name).filter(|value| !value.is_empty());
            if value.is_none() {
                names.borrow_mut().push(name.to_owned());
            }
            value
        };
        expand(without_comment(line), options.pid, &look);
        for written in names.into_inner() {
            // What stands behind the name may be a secret that was meant as a default.
            let name = &written
                [..written.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(written.len())];
            let lint = if name == written {
                let message =
                    format!("the variable {name} is not set, or empty: nothing stands in its place");
                let hint =
                    format!("set {name}, or write the value itself; a literal `$` needs --no-expand-env");
                Lint::new(UNSET_VARIABLE, &document.origin, message).hint(hint)
            } else {
                let message = format!("`${{{name}…}}` names no variable: nothing stands in its place");
                let hint = format!("Litestream knows no defaults: write ${{{name}}}, and set {name}");
                Lint::new(UNSET_VARIABLE, &document.origin, message).hint(hint)
            };
            found.push(lint.at(number, 0));
        }
    }
    found
}

/// The environment's replica is for databases without one of their own. Its parts say nothing by themselves to others.
fn unused_variables(document: &Document, options: &LoadOptions<'_>) -> Vec<Lint> {
    let is_set = |name: &str| (options.env)(name).is_some_and(|value| !value.is_empty());
    let is_written = |name: &str| document.text.split('\n').any(|line| without_comment(line).contains(name));
    let own = |entry: &Node| {
        let list = entry.get("replicas").and_then(Node::as_list);
        entry.get("replica").is_some() || list.is_some_and(|list| !list.is_empty())
    };
    let entries = document.root.get("dbs").and_then(Node::as_list).unwrap_or_default();
    let is_asked = entries.is_empty() || !entries.iter().all(own);
    let mut found = Vec::new();
    let mut warn = |message: String, hint: String| {
        found.push(Lint::new(UNUSED_VARIABLE, &document.origin, message).hint(hint));
    };
    for (name, key) in sources::REPLICA_VARIABLES {
        if is_set(name) && !is_asked && !is_written(name) {
            warn(
                format!(
                    "{name} is set, but each database has a replica of its own, and none of them uses it"
                ),
                format!(
                    "write `{key}: ${{{name}}}` in the replica, or leave the whole replica to the environment"
                ),
            );
        }
    }
    // Laravel's own bucket for uploads has this name.
    let [(url, _), (bucket, _), ..] = sources::REPLICA_VARIABLES;
    let is_missing = is_asked && !is_set(url) || is_written(bucket);
    if is_missing && !is_set(bucket) && is_set("AWS_BUCKET") {
        warn(
            format!(
                "AWS_BUCKET is set, and {bucket} is not: it may be the app's bucket for uploads, so no backup goes there"
            ),
            format!("set {bucket} to the same if the backups belong there"),
        );
    }
    found
}

/// The line up to a ` #` outside of quotes.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match (c, quote) {
            ('#', None) if before.is_whitespace() => return &line[..at],
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

/// The keys of one open collection.
enum Open {
    List,
    Mapping { keys: HashMap<String, usize>, at_key: bool },
}

/// The later of two keys counts, unless both are mappings; nobody sees that in a long file.
///
/// The text is looked at unexpanded: keys are hardly ever variables, and a text that is YAML only
/// after its expansion has no findings here.
fn duplicate_keys(document: &Document) -> Vec<Lint> {
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(document.text.trim_start_matches('\u{feff}')) {
        let Ok((event, span)) = event else { return Vec::new() };
        let line = span.start.line();
        match event {
            Event::DocumentEnd | Event::StreamEnd => break,
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop();
            }
            Event::SequenceStart(..) => {
                value_begins(&mut open);
                open.push(Open::List);
            }
            Event::MappingStart(..) => {
                value_begins(&mut open);
                open.push(Open::Mapping { keys: HashMap::new(), at_key: true });
            }
            Event::Alias(_) => value_begins(&mut open),
            Event::Scalar(text, ..) => match open.last_mut() {
                Some(Open::Mapping { keys, at_key: at_key @ true }) => {
                    *at_key = false;
                    let first = keys.get(text.as_ref()).filter(|_| text != "<<");
                    if let Some(first) = first {
                        let message = format!(
                            "the key `{text}` is there twice, first on line {first}: the later one counts"
                        );
                        let lint = Lint::new(DUPLICATE_KEY, &document.origin, message);
                        found.push(lint.at(line, span.start.col() + 1).hint("keep one of them"));
                    }
                    keys.entry(text.into_owned()).or_insert(line);
                }
                Some(_) | None => value_begins(&mut open),
            },
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
        }
    }
    found
}

/// What begins now is the value of a key, or the key itself; then a value comes next.
fn value_begins(open: &mut [Open]) {
    if let Some(Open::Mapping { at_key, .. }) = open.last_mut() {
        *at_key = !*at_key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_cut_off_and_quotes_are_not() {
        for (line, code) in [
            ("a: 1 # $X", "a: 1 "),
            ("# $X", ""),
            ("a: b#c", "a: b#c"),
            ("a: \"x # $Y\" # $Z", "a: \"x # $Y\" "),
            ("a: 'it # $Y'", "a: 'it # $Y'"),
        ] {
            assert_eq!(without_comment(line), code, "{line}");
        }
    }
}
