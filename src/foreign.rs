//! Text that others wrote, in a line that people read: names of files, what Litestream, a server, a resolver or a
//! project says.
//!
//! A newline in it would make a line that nobody has logged, ESC would be obeyed by a terminal, and a mark of
//! direction shows a text as another one.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::secrets;

/// The most bytes of one line: some pieces that others wrote, and two of the longest paths.
pub const LONGEST: usize = 12 << 10;

/// The most bytes of one piece that others wrote.
pub const LONGEST_PIECE: usize = 2 << 10;

/// What may stand behind that: how much was cut off. A line that was cut is not cut again.
const SUFFIX: usize = 64;

/// A word of a command, without what is a secret in it.
pub fn word(text: &str) -> String {
    secrets::mask_words(&[text.to_owned()]).concat()
}

/// The words of a command in a line, without what is a secret in them, and no longer than [`LONGEST_PIECE`].
pub fn words(words: &[String]) -> String {
    cut(&secrets::mask_words(words).join(" "), LONGEST_PIECE)
}

/// What Litestream, a server, a resolver, a lock or any other program said, as it may stand in a message of our own:
/// a server's document in its own words ([`condensed`]), without secrets, which a cut could make unrecognizable, then no longer
/// than [`LONGEST_PIECE`].
pub fn piece(text: &str) -> String {
    cut(&secrets::mask(condensed(text.trim()).trim()), LONGEST_PIECE)
}

/// What separates the parts of an answer of Azure's.
const RULE: &str = "\n----------";

/// A text in which each document that a server sends with a refusal is what it says: of Azure's client, whose answer is a dozen
/// lines with one in them (`exported.ResponseError` of its azcore), the status line; of XML (S3, Azure) Code and Message; of a
/// page of HTML (a proxy's) its title.
pub fn condensed(text: &str) -> Cow<'_, str> {
    let text = match rules(text) {
        Cow::Borrowed(text) if !text.contains('<') => return Cow::Borrowed(text),
        text => text,
    };
    let mut said = String::with_capacity(text.len().min(LONGEST));
    let mut rest = &*text;
    // Each is looked for in all that is left.
    for _ in 0..MOST_DOCUMENTS {
        let Some((before, words, after)) = document(rest) else { break };
        said.push_str(before);
        said.push_str(&words);
        rest = after;
    }
    said.push_str(rest);
    Cow::Owned(said)
}

/// So many documents of a text are looked at; what more there are is cut off anyway.
const MOST_DOCUMENTS: usize = 8;

fn rules(text: &str) -> Cow<'_, str> {
    let (mut said, mut rest) = (String::new(), text);
    for _ in 0..MOST_DOCUMENTS {
        let Some((words, after)) = rule(rest) else { break };
        said.push_str(&words);
        rest = after;
        if rest.is_empty() {
            break;
        }
        said.push('\n');
    }
    if said.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(said + rest) }
}

/// The text up to the end of its first such answer, and what stands behind that.
fn rule(text: &str) -> Option<(String, &str)> {
    let (before, answer) = text.split_at(text.find(RULE)?);
    let mut parts = answer.splitn(4, RULE).map(|part| part.trim_start_matches('-'));
    let head = parts.nth(1)?.trim_start().strip_prefix("RESPONSE ")?;
    let (status, code) = head.split_once("ERROR CODE")?;
    let status = status.split_once(": ").map_or(status, |(_, status)| status).trim();
    let code = code.trim_start_matches([':', ' ']).lines().next().unwrap_or_default();
    // The document is the part behind it; what follows its rule is the rest of the text.
    let rest = parts.nth(1).map_or("", |rest| rest.trim_start_matches('\n'));
    Some((format!("{before}: {status} ({code})"), rest))
}

/// What stands before the first document of a text, what that says, and what stands behind it.
fn document(text: &str) -> Option<(&str, String, &str)> {
    let kinds = [("<Error>", "</Error>"), ("<html", "</html>"), ("<HTML", "</HTML>")];
    let found = kinds.into_iter().filter_map(|(open, close)| {
        let start = text.find(open)?;
        let end = start + text[start..].find(close)? + close.len();
        Some((start, end))
    });
    let (start, end) = found.min()?;
    let inner = |names: [&str; 2]| {
        let [open, close] = names;
        let (_, rest) = text[start..end].split_once(open)?;
        // Azure puts the request's number and the time on further lines.
        let said = rest.split_once(close)?.0.trim().lines().next()?.trim();
        (!said.is_empty()).then_some(said)
    };
    let words = match (inner(["<Code>", "</Code>"]), inner(["<Message>", "</Message>"])) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(message)) => message.to_owned(),
        (None, None) => inner(["<title>", "</title>"]).or_else(|| inner(["<TITLE>", "</TITLE>"]))?.to_owned(),
    };
    let mut before = text[..start].trim_end_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    for prolog in ["<?xml", "<!DOCTYPE", "<!doctype"] {
        let start = before.rfind(prolog).filter(|_| before.ends_with('>'));
        before = start.map_or(before, |start| before[..start].trim_end_matches(['\u{feff}', '\n', '\r']));
    }
    let is_apart = before.is_empty() || before.ends_with(' ');
    let words = if is_apart { words } else { format!(" {words}") };
    Some((before, words, &text[end..]))
}

/// A text for a machine: with all its characters, but no longer than a line.
pub fn bounded(text: &str) -> String {
    cut(text, LONGEST)
}

/// The beginning of a text, and how much it is that was left out. One that was cut is not cut again.
fn cut(text: &str, most: usize) -> String {
    if text.len() < most + SUFFIX {
        return text.to_owned();
    }
    let start = secrets::beginning(text, most);
    format!("{start}{}", left_out(text.len() - start.len()))
}

fn left_out(bytes: usize) -> String {
    format!("… ({bytes} more bytes)")
}

/// The text as one line without control characters, which are written as in Rust: `\n`, `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.len() < LONGEST + SUFFIX && !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for (at, c) in text.char_indices() {
        if line.len() >= LONGEST {
            line.push_str(&left_out(text.len() - at));
            break;
        }
        if is_obeyed(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}

/// The same of each line of a text whose newlines are meant.
pub fn lines(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// JSON in one line, in which serde leaves more than a terminal should get.
pub fn json(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if !text.contains(is_obeyed) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len()), |mut text, c| {
        if is_obeyed(c) {
            // All of them are in the first plane; a String takes everything.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
        text
    })
}

/// What a terminal obeys, a reader of lines takes for an end, or nobody sees: C0, C1, the separators, joiners and marks
/// of direction of Unicode (UAX #9), what has no width, and the byte order mark.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_servers_document_is_what_it_says() {
        let rule = "-".repeat(80);
        let azure = |code: &str, status: &str| {
            format!(
                "GET http://h/c\n{rule}\nRESPONSE {}: {status}\nERROR CODE: {code}\n{rule}\n\u{feff}<?xml version=\"1.0\"?>\n<Error>\n  \
                 <Code>{code}</Code><Message>x\nRequestId:1\nTime:2</Message>\n</Error>\n{rule}\n",
                &status[..3]
            )
        };
        let denied = azure("AuthorizationFailure", "403 Server failed.");
        let gone = azure("ContainerNotFound", "404 Gone.");
        let two = condensed(&format!("a: {denied}b: {gone}c")).into_owned();
        assert_eq!(
            two,
            "a: GET http://h/c: 403 Server failed. (AuthorizationFailure)\nb: GET http://h/c: 404 Gone. (ContainerNotFound)\nc"
        );
        for (text, said) in [
            (
                "status 503: \u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code><Message>Less.\nRequestId:1</Message></Error>",
                "status 503: SlowDown: Less.",
            ),
            ("<Error><Code>A</Code></Error>, <Error><Message>b</Message></Error>!", "A, b!"),
            (
                "body: <!DOCTYPE html>\r\n<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>\r\n",
                "body: 502 Bad Gateway",
            ),
            ("<Error></Error> <html>", "<Error></Error> <html>"),
            ("a < b", "a < b"),
        ] {
            assert_eq!(piece(text), said);
        }
        for text in
            ["", "a", "a\n----------", "a\n----------\nRESPONSE ", "a\n----------\nRESPONSE 1\nERROR CODE"]
        {
            condensed(text);
        }
        // Who answers may do as it likes.
        for answer in [
            format!("\n{rule}\nRESPONSE 1: x\nERROR CODE: y\n{rule}\nz"),
            "<Error><Code>x</Code></Error>".to_owned(),
        ] {
            assert!(piece(&answer.repeat(20_000)).len() < LONGEST_PIECE + SUFFIX);
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        assert_eq!(line("a\nb\r\u{1b}[31mc\u{9b}2J\u{202e}ü☺"), "a\\nb\\r\\u{1b}[31mc\\u{9b}2J\\u{202e}ü☺");
        for hidden in ["\u{200b}", "\u{200f}", "\u{202a}", "\u{2066}", "\u{feff}", "\u{2029}"] {
            assert!(!line(hidden).contains(hidden), "{hidden:?}");
        }
        assert_eq!(line("plain: \\n"), "plain: \\n");
        assert_eq!(lines("a\u{7}\nb\r\n"), "a\\u{7}\nb\\r\n");
        assert_eq!(json(&serde_json::json!("\u{1b}\u{9b}\u{2028}é")), "\"\\u001b\\u009b\\u2028é\"");
        let long = line(&"é".repeat(LONGEST)).into_owned();
        assert!(long.len() < LONGEST + 40 && long.ends_with("é… (12288 more bytes)"), "{}", &long[LONGEST..]);
    }

    /// Wherever the cut goes through it.
    #[test]
    fn a_secret_is_hidden_before_it_is_cut() {
        for length in LONGEST_PIECE - 100..LONGEST_PIECE + 200 {
            let text = format!(
                "{} s3://user:QQQQQQQQQQQQQQQQQQQQQQQQ@bucket/p {}",
                "x".repeat(length),
                "y".repeat(9999)
            );
            assert!(!piece(&text).contains("QQ"), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_one_bounded_line(text in "\\PC{0,8}|(?s:.){0,40}", times in 1..3000_usize) {
            let text = text.repeat(times);
            let one = line(&text);
            prop_assert!(!one.contains(is_obeyed) && one.len() < LONGEST + SUFFIX);
            prop_assert_eq!(line(&one), one.as_ref());
            let part = piece(&text);
            prop_assert!(part.len() < LONGEST_PIECE + SUFFIX);
            prop_assert_eq!(&piece(&part), &part);
            let value = serde_json::json!({"msg": text});
            let written = json(&value);
            prop_assert!(!written.contains(is_obeyed));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).expect("JSON"), value);
        }
    }
}
