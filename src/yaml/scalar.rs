//! A single value, and what it means to Go's yaml.v2 (`resolve.go` of 2.4.0): YAML 1.1 with its own corners.

use std::fmt;

/// A single value as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text without quotes, escapes and line folding.
    pub text: String,
    /// Whether it was written without quotes and not as a block, so that its looks decide its type.
    pub plain: bool,
    /// An explicit type.
    pub tag: Option<Tag>,
    /// Where Litestream is to read the text from, if the generated file must not hold it.
    pub variable: Option<Variable>,
}

/// The variable of Litestream's environment that has a text.
#[derive(Clone, PartialEq, Eq)]
pub enum Variable {
    /// One of the environment, whose value is exactly the text.
    Named(String),
    /// None has exactly this text: it is passed on under a name of Litekeeper's own.
    Own,
}

/// The tags that yaml.v2 knows for scalars, `!!binary` left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `!!str`
    Str,
    /// `!!int`
    Int,
    /// `!!float`
    Float,
    /// `!!bool`
    Bool,
    /// `!!null`
    Null,
    /// `!!timestamp`
    Timestamp,
}

/// The value that a scalar resolves to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resolved {
    /// `~`, `null`, nothing at all.
    Null,
    /// `yes`, `off`, `True` …
    Bool(bool),
    /// Decimal, `0600`, `0o600`, `0x1f`, `0b11`, `1_000`; the range of `i64` and `u64` together.
    Int(i128),
    /// `1.5`, `1e3`, `.inf`; also `0800`, which is no octal number.
    Float(f64),
    /// Everything else, dates included (no setting of Litestream is a date).
    Text,
}

impl Scalar {
    /// The value that Litestream sees: a tag wins, quotes make text, the rest is by its looks.
    pub fn resolve(&self) -> Resolved {
        match self.tag {
            Some(Tag::Str | Tag::Timestamp) => Resolved::Text,
            Some(Tag::Null) => Resolved::Null,
            Some(Tag::Bool | Tag::Int) => resolve_text(&self.text),
            Some(Tag::Float) => match resolve_text(&self.text) {
                #[expect(clippy::cast_precision_loss, reason = "Go converts it the same way")]
                Resolved::Int(number) => Resolved::Float(number as f64),
                other => other,
            },
            None if self.plain => resolve_text(&self.text),
            None => Resolved::Text,
        }
    }

    /// Whether this is null: [`Scalar::resolve`] in less time, for what is asked of every key.
    pub fn is_null(&self) -> bool {
        match self.tag {
            Some(Tag::Str | Tag::Timestamp) => false,
            Some(Tag::Null) => true,
            Some(Tag::Bool | Tag::Int | Tag::Float) => is_null(&self.text),
            None => self.plain && is_null(&self.text),
        }
    }

    /// Whether the text is what its tag says; yaml.v2 refuses `!!int abc`.
    pub fn fits_its_tag(&self) -> bool {
        match (self.tag, resolve_text(&self.text)) {
            (None | Some(Tag::Str), _)
            | (Some(Tag::Null), Resolved::Null)
            | (Some(Tag::Bool), Resolved::Bool(_))
            | (Some(Tag::Int), Resolved::Int(_))
            | (Some(Tag::Float), Resolved::Int(_) | Resolved::Float(_)) => true,
            (Some(Tag::Timestamp), _) => looks_like_date(&self.text),
            (Some(Tag::Null | Tag::Bool | Tag::Int | Tag::Float), _) => false,
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scalar").field("plain", &self.plain).field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// `2001-12-15`, and whatever time may follow.
fn looks_like_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let mut next = || parts.next().unwrap_or_default();
    let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
    let (year, month, rest) = (next(), next(), next());
    (year.len(), digits(year)) == (4, 4)
        && (1..=2).contains(&month.len())
        && digits(month) == month.len()
        && (1..=2).contains(&digits(rest))
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

pub(super) fn resolve_text(text: &str) -> Resolved {
    match text {
        _ if is_null(text) => Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-') => {
            resolve_number(&text.replace('_', ""))
        }
        _ if text.starts_with('.') => float(text),
        _ => Resolved::Text,
    }
}

fn resolve_number(text: &str) -> Resolved {
    match integer(text) {
        Some(number) => Resolved::Int(number),
        None => float(text),
    }
}

/// Go's `ParseInt(text, 0, 64)`, then `ParseUint`: the prefix says the base, a lone 0 means octal.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Rust would take a second sign here.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, base).ok()?;
    let number = if negative { -number } else { number };
    let highest = if text.starts_with('+') { i128::from(i64::MAX) } else { i128::from(u64::MAX) };
    (i128::from(i64::MIN)..=highest).contains(&number).then_some(number)
}

fn float(text: &str) -> Resolved {
    if !looks_like_float(text) {
        return Resolved::Text;
    }
    text.parse().map_or(Resolved::Text, Resolved::Float)
}

/// yaml.v2's pattern: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn looks_like_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |s: &str| s.bytes().all(|c| c.is_ascii_digit());
    digits(whole)
        && fraction.is_none_or(digits)
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty))
        && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Resolved {
        Scalar { text: text.into(), plain: true, tag: None, variable: None }.resolve()
    }

    #[test]
    fn words_are_booleans_and_nulls_as_in_yaml_1_1() {
        for word in ["y", "Yes", "ON", "true", "TRUE"] {
            assert_eq!(plain(word), Resolved::Bool(true), "{word}");
        }
        for word in ["n", "No", "OFF", "false", "False"] {
            assert_eq!(plain(word), Resolved::Bool(false), "{word}");
        }
        for word in ["", "~", "null", "NULL"] {
            assert_eq!(plain(word), Resolved::Null, "{word}");
        }
        for word in ["yEs", "oN", "nULL", "yes ", "10s", "0x", "1_000s", "1:30", "--5", "0x-5", "1.2.3", "."]
        {
            assert_eq!(plain(word), Resolved::Text, "{word}");
        }
    }

    #[test]
    fn numbers_have_the_bases_of_go() {
        for (text, number) in [
            ("0", 0),
            ("12", 12),
            ("-12", -12),
            ("+12", 12),
            ("0600", 0o600),
            ("0o600", 0o600),
            ("0x1F", 31),
            ("0b101", 5),
            ("-0b101", -5),
            ("1_000", 1000),
            ("18446744073709551615", i128::from(u64::MAX)),
        ] {
            assert_eq!(plain(text), Resolved::Int(number), "{text}");
        }
        assert_eq!(plain("0800"), Resolved::Float(800.0));
        assert_eq!(plain("1e3"), Resolved::Float(1000.0));
        assert_eq!(plain("1."), Resolved::Float(1.0));
        assert_eq!(plain(".5"), Resolved::Float(0.5));
        assert_eq!(plain("18446744073709551616"), Resolved::Float(18_446_744_073_709_551_616.0));
    }

    #[test]
    fn quotes_and_tags_win_over_looks() {
        let scalar =
            |text: &str, plain, tag| Scalar { text: text.into(), plain, tag, variable: None }.resolve();
        assert_eq!(scalar("yes", false, None), Resolved::Text);
        assert_eq!(scalar("yes", true, Some(Tag::Str)), Resolved::Text);
        assert_eq!(scalar("yes", false, Some(Tag::Bool)), Resolved::Bool(true));
        assert_eq!(scalar("5", true, Some(Tag::Float)), Resolved::Float(5.0));
        assert_eq!(scalar("", true, Some(Tag::Str)), Resolved::Text);
    }
}
