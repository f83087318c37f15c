//! What is gone in the tree: variables, and keys that are there twice.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

use super::finding::Lint;
use super::rules::{DUPLICATE_KEY, UNSET_VARIABLE};
use crate::config::values::document::Document;
use crate::config::values::expand::expand;
use crate::config::values::options::LoadOptions;
use crate::config::variable_names::{plain, unset_hint, unset_words};

/// The most further lines that are named.
const MOST_LINES: usize = 10;

/// Looks at the text as it was written.
pub(super) fn lint(document: &Document, options: &LoadOptions<'_>, told: &[&str]) -> Vec<Lint> {
    let mut found = Vec::new();
    if !options.no_expand_env {
        found.extend(unset_variables(document, options, told));
    }
    found.extend(duplicate_keys(document));
    found
}

/// Finds variables without a value, each once: they are nothing at all to Litestream, wherever they stand.
fn unset_variables(document: &Document, options: &LoadOptions<'_>, told: &[&str]) -> Vec<Lint> {
    let mut found: Vec<(String, Vec<usize>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (number, line) in (1..).zip(document.text.split('\n')) {
        let names = std::cell::RefCell::new(Vec::new());
        let look = |name: &str| {
            let value = (options.env)(name).filter(|value| !value.is_empty());
            if value.is_none() && !told.contains(&name) {
                names.borrow_mut().push(name.to_owned());
            }
            value
        };
        expand(without_comment(line), options.pid, &look);
        for name in names.into_inner() {
            let place = *places.entry(name.clone()).or_insert(found.len());
            match found.get_mut(place) {
                Some((_, lines)) => lines.push(number),
                None => found.push((name, vec![number])),
            }
        }
    }
    let lint = |(name, mut lines): (String, Vec<usize>)| {
        lines.dedup();
        let line = lines.remove(0);
        let mut more: Vec<String> = lines.iter().take(MOST_LINES).map(ToString::to_string).collect();
        if lines.len() > MOST_LINES {
            more.push("…".to_owned());
        }
        let more =
            if more.is_empty() { String::new() } else { format!(" (also on line {})", more.join(", ")) };
        let message = match plain(&name) == name {
            true => format!("{}: nothing stands in its place{more}", unset_words(&name)),
            false => format!("{}{more}", unset_words(&name)),
        };
        Lint::new(UNSET_VARIABLE, &document.origin, message).hint(unset_hint(&name)).at(line, 0)
    };
    found.into_iter().map(lint).collect()
}

/// Returns the line up to a ` #` outside of quotes.
pub(super) fn without_comment(line: &str) -> &str {
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

/// Finds keys that are there twice: the later one counts, unless both are mappings, and that is overlooked in a long file.
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

/// Notes that a value of a key begins, or the key itself: then a value comes next.
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
