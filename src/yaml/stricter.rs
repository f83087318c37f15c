//! What the parser takes and yaml.v2 does not.

use saphyr_parser::{Event, ScalarStyle, Span};

use super::builder::Builder;
use super::problem::{Located, YamlProblem};

/// yaml.v2 refuses control characters anywhere in the file, comments included.
///
/// To it, and to no editor, the three line breaks of Unicode end a line (and a comment).
pub(super) fn refuse_characters(text: &str) -> Result<(), Located> {
    let is_control = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}')) || c == '\u{fffe}' || c == '\u{ffff}'
    };
    let is_break = |c: char| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    let Some(at) = text.find(|c| is_control(c) || is_break(c)) else { return Ok(()) };
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let problem = match text[at..].chars().next().filter(|c| is_break(*c)) {
        Some(c) => YamlProblem::LineBreak { code: u32::from(c) },
        None => YamlProblem::ControlCharacter,
    };
    Err((line, before[line_start..].chars().count() + 1, problem))
}

/// yaml.v2 knows `%YAML 1.1` and `%TAG`, and goes no further than any other.
pub(super) fn refuse_directives(text: &str) -> Result<(), Located> {
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (None, _) => {}
            (Some(word), _) if word.starts_with('#') => {}
            (Some("%YAML"), Some("1.1")) | (Some("%TAG"), _) if line.starts_with('%') => {}
            _ if line.starts_with('%') => {
                let info = "the directive is neither %YAML 1.1 nor %TAG".to_owned();
                return Err((index + 1, 1, YamlProblem::Syntax { info }));
            }
            _ => break,
        }
    }
    Ok(())
}

/// The text by characters, for what the parser takes and yaml.v2 does not.
pub(super) struct Source(Vec<char>);

impl Source {
    pub(super) fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    /// Refuses what yaml.v2 does.
    pub(super) fn check(&self, event: &Event<'_>, span: Span, builder: &Builder) -> Result<(), YamlProblem> {
        let refuse = |info: &str| Err(YamlProblem::Syntax { info: info.to_owned() });
        match event {
            Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) if self.has_slash(span) => {
                refuse("`\\/` is no escape in YAML 1.1")
            }
            Event::Scalar(text, ScalarStyle::Plain, ..)
                if builder.is_in_flow() && (text.contains('?') || text.starts_with(['|', '>'])) =>
            {
                refuse(
                    "inside of brackets a text with a `?`, or one that begins with `|` or `>`, needs quotes",
                )
            }
            Event::Scalar(text, ScalarStyle::Plain, ..)
                if text.is_empty() && builder.wants_key() && self.is_left_out(span) =>
            {
                refuse("there is no key in front of the `:`")
            }
            Event::Alias(_) if !self.is_name(span) => {
                refuse("a name after `*` has other characters than letters, digits, `_` and `-`")
            }
            Event::Scalar(_, _, 1.., _) | Event::SequenceStart(1.., _) | Event::MappingStart(1.., _)
                if !self.has_plain_anchor(span) =>
            {
                refuse("a name after `&` has other characters than letters, digits, `_` and `-`")
            }
            Event::Scalar(..) if builder.wants_key() && self.is_broken(span) && !self.is_after_mark(span) => {
                refuse("a key must be on one line")
            }
            _ => Ok(()),
        }
    }

    /// Whether a quoted text has the one escape that YAML 1.2 added, as JSON has it.
    fn has_slash(&self, span: Span) -> bool {
        let quoted = self.0.get(span.start.index()..span.end.index()).unwrap_or_default();
        let mut chars = quoted.iter();
        while let Some(c) = chars.next() {
            if *c == '\\' && chars.next() == Some(&'/') {
                return true;
            }
        }
        false
    }

    /// Whether an empty key has nothing at all in front of its colon, not even a `?`.
    fn is_left_out(&self, span: Span) -> bool {
        self.0.get(span.start.index()) == Some(&':') && !self.is_after_mark(span)
    }

    /// Whether an alias has a name that yaml.v2 reads to its end.
    fn is_name(&self, span: Span) -> bool {
        let alias = self.0.get(span.start.index() + 1..span.end.index()).unwrap_or_default();
        alias.iter().all(|c| is_name(*c) || c.is_whitespace())
    }

    /// The same of the anchor that a value begins with; a tag may stand in front of it.
    fn has_plain_anchor(&self, span: Span) -> bool {
        let mut rest = self.0.get(span.start.index()..).unwrap_or_default();
        if rest.first() == Some(&'!') {
            let tag = rest.iter().position(|c| c.is_whitespace()).unwrap_or(rest.len());
            rest = &rest[tag..];
            rest = &rest[rest.iter().position(|c| !c.is_whitespace()).unwrap_or(rest.len())..];
        }
        let Some(rest) = rest.strip_prefix(&['&']) else { return true };
        let end = rest.iter().position(|c| !is_name(*c)).unwrap_or(rest.len());
        rest.get(end).is_none_or(|c| c.is_whitespace() || "?:,]}%@`".contains(*c))
    }

    /// Whether a collection is written in brackets.
    pub(super) fn is_flow(&self, span: Span) -> bool {
        let last = span.end.index().checked_sub(1).filter(|last| *last >= span.start.index());
        matches!(last.and_then(|last| self.0.get(last)), Some('[' | '{'))
    }

    /// Whether a text goes over several lines, or has its colon on another one.
    fn is_broken(&self, span: Span) -> bool {
        let text = self.0.get(span.start.index()..span.end.index()).unwrap_or_default();
        let end = text.iter().rposition(|c| !c.is_whitespace()).unwrap_or(0);
        let after = self.0.get(span.end.index()..).unwrap_or_default();
        let gap = after.iter().take(LONGEST_GAP).position(|c| !c.is_whitespace()).unwrap_or(0);
        let is_apart = after.get(gap) == Some(&':') && after[..gap].contains(&'\n');
        is_apart || text[..end].contains(&'\n')
    }

    /// Whether it stands after the `?` of a key.
    fn is_after_mark(&self, span: Span) -> bool {
        let before = self.0.get(..span.start.index()).unwrap_or_default();
        before.iter().rev().take(LONGEST_GAP).find(|c| !c.is_whitespace()) == Some(&'?')
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// How far in front of a key its `?` is looked for.
const LONGEST_GAP: usize = 1000;
