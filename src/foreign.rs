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

/// What Litestream, a server, a resolver, a lock or any other program said, as it may stand in a message of our own:
/// first without secrets, which a cut could make unrecognizable, then no longer than [`LONGEST_PIECE`].
pub fn piece(text: &str) -> String {
    cut(&secrets::mask(text.trim()), LONGEST_PIECE)
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
