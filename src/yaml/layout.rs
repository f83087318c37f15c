//! Flow collections and quoted texts that stand further left than YAML 1.2 allows, and tabs where our
//! parser wants spaces.
//!
//! ```yaml
//! dbs:
//!   - path: app.db
//!     replica: {
//!   url: s3://bucket/app
//! }
//! ```
//!
//! yaml.v2 does not look at the indentation inside of brackets and quotes; our parser does. There it
//! has no meaning, so the lines in question are moved to the right until the parser is content. The same
//! goes for tabs there, and for those between a key and its value.

use super::node::{Node, NodeKind};

/// More than any indentation that the depth limit allows in a sensible file.
const PADDING: usize = 256;

/// The most bytes that are parsed again and again for one file.
const MAX_WORK: usize = 16 << 20;

/// A text whose lines can be moved to the right.
pub(super) struct Layout {
    /// The text with the lines moved.
    pub text: String,
    /// By line, from 0: whether it was moved.
    moved: Vec<bool>,
    work: usize,
}

impl Layout {
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), moved: vec![false; text.split('\n').count()], work: 0 }
    }

    /// Moves a line because of what the parser said about `line` and `column` (from 1), or puts spaces
    /// for its tabs; false if that is no remedy.
    pub fn mend(&mut self, line: usize, column: usize, complaint: &str, in_flow: bool) -> bool {
        match complaint {
            _ if complaint.starts_with("tabs disallowed") => return in_flow && self.untab_start(line),
            // Said of quoted texts alone.
            "tab cannot be used as indentation" => return self.untab_start(line),
            "':' must be followed by a valid YAML whitespace" => {
                return self.untab_value(line, column, in_flow);
            }
            _ => {}
        }
        let unmoved = |index: &usize| self.moved.get(*index) == Some(&false);
        let index = match complaint {
            // The parser names the line itself,
            "invalid indentation" | "invalid indentation in flow construct" => {
                line.checked_sub(1).filter(unmoved)
            }
            // or the one where the text begins, which must stay: it is one of the next.
            "invalid indentation in quoted scalar" => (line..self.moved.len()).find(unmoved),
            _ => None,
        };
        self.work += self.text.len();
        let Some(index) = index.filter(|_| self.work <= MAX_WORK) else { return false };
        self.moved[index] = true;
        let start = self.start_of(index + 1);
        self.text.insert_str(start, &" ".repeat(PADDING));
        true
    }

    /// At the start of a line a tab is a space to yaml.v2 inside of brackets and quotes, and only there.
    fn untab_start(&mut self, line: usize) -> bool {
        let start = self.start_of(line);
        let blank = self.text[start..].bytes().take_while(|c| is_blank(*c)).count();
        self.untab(start, start + blank)
    }

    /// So it is between a key and its value, which is at `column`; but not after the colon of a `?`.
    fn untab_value(&mut self, line: usize, column: usize, in_flow: bool) -> bool {
        let start = self.start_of(line);
        let before: String = self.text[start..].chars().take(column - 1).collect();
        let key = before.trim_end_matches([' ', '\t']);
        (in_flow || key.trim_start_matches(' ') != ":") && self.untab(start + key.len(), start + before.len())
    }

    /// Puts spaces for the blanks in a part of the text, if there is a tab among them.
    fn untab(&mut self, start: usize, end: usize) -> bool {
        self.work += self.text.len();
        if self.work > MAX_WORK || !self.text[start..end].contains('\t') {
            return false;
        }
        self.text.replace_range(start..end, &" ".repeat(end - start));
        true
    }

    /// Where a line (from 1) begins.
    fn start_of(&self, line: usize) -> usize {
        self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
    }

    /// Gives every value the column that it has in the text as it was given.
    pub fn restore_columns(&self, node: &mut Node) {
        node.column = self.original_column(node.line, node.column);
        match &mut node.kind {
            NodeKind::Scalar(_) => {}
            NodeKind::Sequence(items) => items.iter_mut().for_each(|item| self.restore_columns(item)),
            NodeKind::Mapping(entries) => {
                for (key, value) in entries {
                    self.restore_columns(key);
                    self.restore_columns(value);
                }
            }
        }
    }

    /// The column in the text as it was given, for one in the text as it is now.
    pub fn original_column(&self, line: usize, column: usize) -> usize {
        let moved = line.checked_sub(1).and_then(|index| self.moved.get(index)) == Some(&true);
        if moved { column.saturating_sub(PADDING).max(1) } else { column }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn text(yaml: &str, path: &str) -> String {
        let node = parse(yaml)
            .unwrap_or_else(|(line, column, problem)| panic!("{line}:{column}: {problem}\n{yaml}"));
        let found = path.split('.').try_fold(&node, |node, key| match key.parse::<usize>() {
            Ok(index) => node.as_list().and_then(|items| items.get(index)),
            Err(_) => node.get(key),
        });
        found.and_then(Node::as_str).unwrap_or_else(|| panic!("no {path}")).to_owned()
    }

    #[test]
    fn brackets_may_stand_further_left_than_what_they_belong_to() {
        let yaml =
            "dbs:\n  - path: a\n    replica: {\n  url: u,\nbucket: b # c\n}\n  - path: b\nx: [\n]\ny: 1\n#\n";
        assert_eq!(text(yaml, "dbs.0.replica.url"), "u");
        assert_eq!(text(yaml, "dbs.0.replica.bucket"), "b");
        assert_eq!(text(yaml, "dbs.1.path"), "b");
        assert_eq!(text(yaml, "y"), "1");
    }

    #[test]
    fn quoted_texts_may_go_on_further_left() {
        let yaml = "a:\n  b:\n    c: \"one\n      two\n\n three\\\n four\"\n    d: 'five\n six'\n";
        assert_eq!(text(yaml, "a.b.c"), "one two\nthreefour");
        assert_eq!(text(yaml, "a.b.d"), "five six");
    }

    #[test]
    fn tabs_are_spaces_inside_of_brackets_only() {
        let yaml = "dbs: [\n\t{\"path\": a,\n \t \"replica\": {\n\t\turl: u}}\n\t]\ny: {\tz: 1\t}\n";
        assert_eq!(text(yaml, "dbs.0.path"), "a");
        assert_eq!(text(yaml, "dbs.0.replica.url"), "u");
        assert_eq!(text(yaml, "y.z"), "1");
        for yaml in ["a:\n\tb: 1\n", "a: [1]\n\tb: 1\n", "a:\n  b: [1]\n\t- c\n"] {
            assert!(parse(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn tabs_are_spaces_in_quotes_and_after_keys() {
        let yaml = concat!(
            "a:\tb\n'c':\t \td\nf:\n  - g:\th\n    i: [j:\tk, {l:\tm}]\n",
            "  - \"n\n\to\n \t\n\t p\"\n  - 'q\n\n\tr'\n",
        );
        for (path, value) in [
            ("a", "b"),
            ("c", "d"),
            ("f.0.g", "h"),
            ("f.0.i.0.j", "k"),
            ("f.0.i.1.l", "m"),
            ("f.1", "n o\np"),
            ("f.2", "q\nr"),
        ] {
            assert_eq!(text(yaml, path), value, "{path}");
        }
        assert_eq!(text("é: {\n\té:\tä}", "é.é"), "ä");
        let node = parse("a:\t\tb\n").map_err(|error| error.2.to_string()).expect("it parses");
        assert_eq!(node.get("a").map(|value| (value.line, value.column)), Some((1, 5)));
        for yaml in ["? a\n:\tb\n", "  :\tb\n", "a:\tb: c\n", "a:\t- b\n", "a: b\n\tc\n"] {
            assert!(parse(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn places_are_those_of_the_file() {
        let node = parse("a:\n  b: {\nc: 1}\n").map_err(|error| error.2.to_string()).expect("it parses");
        let c = node.get("a").and_then(|a| a.get("b")).and_then(|b| b.get("c")).expect("c");
        assert_eq!((c.line, c.column), (3, 4));
        let (line, column, _) = parse("a:\n  b: {\nc: 1, *x\n}\n").expect_err("an unknown alias");
        assert_eq!((line, column), (3, 7));
    }

    #[test]
    fn a_file_full_of_them_ends() {
        let yaml = format!("a:\n  b: [\n{}]\n", "x,\n".repeat(300));
        assert_eq!(text(&yaml, "a.b.299"), "x");
        let endless = format!("a:\n  b: [\n{}]\n", "x,\n".repeat(200_000));
        assert!(parse(&endless).is_err());
    }
}
