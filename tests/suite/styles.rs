//! One configuration written in every way that YAML has, and Litestream reads the same in each.

use proptest::prelude::*;

use crate::differential::{self, Outcome};
use crate::support::corpus::{Reader, runner};
use crate::support::litestream::LATEST;

/// Texts that look like something else, or that some way of writing has trouble with.
const TEXTS: &[&str] = &[
    "app.db",
    "/data/a b.db",
    "yes",
    "0600",
    "0o17",
    "1_000",
    "1e3",
    ".5",
    "~x",
    "null",
    "2001-01-01",
    "1:30",
    "a: b",
    "a #b",
    "#a",
    "- a",
    "-a",
    "? a",
    "it's",
    "\"a\"",
    "a\\b",
    "é ü",
    "a,b",
    "[a]",
    "{a}",
    "&a",
    "*a",
    "!a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    "a\tb",
    " a",
    "a ",
    "two\nlines",
    "a\n\nb",
    "a: ",
    ":a",
    "=",
    "<<",
    "$$",
    "a$",
    "😀",
];

#[derive(Clone, Debug)]
enum Tree {
    Text(&'static str),
    /// Without quotes, whatever it looks like.
    Plain(&'static str),
    Map(Vec<(&'static str, Tree)>),
    List(Vec<Tree>),
}

fn text() -> impl Strategy<Value = Tree> {
    prop::sample::select(TEXTS).prop_map(Tree::Text)
}

fn database() -> impl Strategy<Value = Tree> {
    let duration =
        prop::sample::select(vec!["1s", "1m30s", "250ms", "1000000000", "!!str 2s", "1_000_000_000"]);
    let settings = (text(), text(), text(), duration, any::<[bool; 4]>());
    (text(), settings).prop_map(|(path, (bucket, place, other, duration, has))| {
        let mut replica = vec![("path", place)];
        if has[0] {
            replica.extend([("type", Tree::Text("s3")), ("bucket", bucket), ("region", Tree::Text("no"))]);
        }
        if has[1] {
            replica.push(("sync-interval", Tree::Plain(duration)));
        }
        let replica = Tree::Map(replica);
        let mut database = vec![("path", path)];
        if has[2] {
            database.push(("unknown", Tree::List(vec![other.clone(), Tree::Map(vec![("x", other)])])));
        }
        database.push(if has[3] { ("replica", replica) } else { ("replicas", Tree::List(vec![replica])) });
        Tree::Map(database)
    })
}

/// Writes a tree; each choice is the next number of `dice`.
struct Pen<'a> {
    out: String,
    dice: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl Pen<'_> {
    fn roll(&mut self, sides: u8) -> u8 {
        self.dice.next().map_or(0, |number| number % sides)
    }

    fn block(&mut self, tree: &Tree, indent: usize) {
        let pad = " ".repeat(indent);
        match tree {
            Tree::Map(entries) if self.roll(4) > 0 => {
                for (key, value) in entries {
                    self.comment(indent);
                    let way = self.roll(5);
                    match way {
                        0 => self.out += &format!("{pad}? {key}\n{pad}:"),
                        1 => self.out += &format!("{pad}\"{key}\" :"),
                        2 => self.out += &format!("{pad}'{key}':"),
                        _ => self.out += &format!("{pad}{key}:"),
                    }
                    // After a mark Litestream takes a tab for indentation.
                    self.value(value, indent, way > 0);
                }
            }
            Tree::List(items) if self.roll(4) > 0 => {
                for item in items {
                    self.comment(indent);
                    self.out += &format!("{pad}-");
                    self.value(item, indent, false);
                }
            }
            _ => {
                self.out += &pad;
                self.flow(tree);
                self.out.push('\n');
            }
        }
    }

    fn comment(&mut self, indent: usize) {
        match self.roll(8) {
            0 => self.out += &format!("{}# {{[ it's: \"\n", " ".repeat(indent)),
            1 => self.out.push('\n'),
            _ => {}
        }
    }

    /// What comes after a colon or a dash.
    fn value(&mut self, tree: &Tree, indent: usize, may_tab: bool) {
        let blank = if may_tab && self.roll(6) == 0 { "\t" } else { " " };
        if self.roll(6) == 0 {
            let name = self.roll(9);
            self.out += &format!("{blank}&a{name}");
        }
        match tree {
            Tree::Map(_) | Tree::List(_) => {
                self.out.push('\n');
                let deeper = indent + 1 + usize::from(self.roll(4));
                self.block(tree, deeper);
            }
            Tree::Text(text) if self.roll(4) == 0 && !text.starts_with([' ', '\n']) => {
                let body = text.replace('\n', &format!("\n{}", " ".repeat(indent + 3)));
                self.out += &format!(" |-\n{}{body}\n", " ".repeat(indent + 3));
            }
            Tree::Text(_) | Tree::Plain(_) => {
                self.out += blank;
                self.flow(tree);
                let end = if self.roll(5) == 0 { "  # c\n" } else { "\n" };
                self.out += end;
            }
        }
    }

    fn flow(&mut self, tree: &Tree) {
        let parts: Vec<String> = match tree {
            Tree::Plain(text) => return self.out += text,
            Tree::Text(text) => return self.quoted(text),
            Tree::Map(entries) => {
                entries.iter().map(|(key, value)| format!("{key}: {}", self.apart(value))).collect()
            }
            Tree::List(items) => items.iter().map(|item| self.apart(item)).collect(),
        };
        let (open, close) = if matches!(tree, Tree::Map(_)) { ('{', '}') } else { ('[', ']') };
        let comma = if self.roll(4) == 0 { "," } else { "" };
        let space = if self.roll(3) == 0 { " " } else { "" };
        self.out += &format!("{open}{space}{}{comma}{space}{close}", parts.join(", "));
    }

    fn apart(&mut self, tree: &Tree) -> String {
        let before = std::mem::take(&mut self.out);
        self.flow(tree);
        std::mem::replace(&mut self.out, before)
    }

    fn quoted(&mut self, text: &str) {
        let is_word = text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._/".contains(&c));
        let written = match self.roll(4) {
            0 if is_word && !["null"].contains(&text) => text.to_owned(),
            1 => {
                let code = |c: char| {
                    if u32::from(c) < 0x10000 {
                        format!("\\u{:04x}", u32::from(c))
                    } else {
                        format!("\\U{:08X}", u32::from(c))
                    }
                };
                format!("\"{}\"", text.chars().map(code).collect::<String>())
            }
            2 if !text.contains('\n') => format!("'{}'", text.replace('\'', "''")),
            _ => {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{}\"", text.replace('\n', "\\n").replace('\t', "\\t"))
            }
        };
        self.out += &written;
    }
}

/// The same configurations at each run, unless `PROPTEST_CASES` asks for a number of new ones.
#[test]
fn litestream_reads_every_style_as_litekeeper_does() {
    let mut runner = runner(64);
    let cases = runner.config().cases;
    let reader = Reader::new();
    let file = reader.cwd().join("styled.yml");
    let same = std::cell::Cell::new(0);
    let any = (prop::collection::vec(database(), 1..4), prop::collection::vec(any::<u8>(), 1..40));
    let checked = runner.run(&any, |(databases, dice)| {
        let mut pen = Pen { out: String::new(), dice: dice.iter().cycle() };
        pen.block(&Tree::Map(vec![("dbs", Tree::List(databases))]), 0);
        std::fs::write(&file, &pen.out).expect("a file");
        let (outcome, why) = differential::compare(&reader, &file, LATEST, true);
        same.set(same.get() + usize::from(outcome == Outcome::Same));
        // Two databases in one place are refused by Litekeeper alone.
        prop_assert!(
            matches!(outcome, Outcome::Same | Outcome::Stricter | Outcome::Refused),
            "{outcome:?}: {why}\n{}",
            pen.out
        );
        Ok(())
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(same.get() * 2 > cases as usize, "only {} of {cases} mean anything", same.get());
}
