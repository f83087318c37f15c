//! The one reader of durations. The same text is not the same time to Litestream, to an option and to a platform, so each has a
//! function of its own.
//!
//! | text | a setting of Litestream | an option of Litekeeper | a platform (Fly, systemd, Compose) |
//! |---|---|---|---|
//! | `1m30s` | 90 s | 90 s | 90 s |
//! | `30` | 30 ns | refused | 30 s |
//! | `1min 5s`, `2 days` | refused | 65 s, 48 h | 65 s, 48 h |

use std::time::Duration;

use crate::yaml::{Node, Resolved};

/// Returns what Litestream takes a setting for. None is no duration to it, or a negative one.
pub fn of_setting(value: &Node) -> Option<Duration> {
    let nanoseconds = nanoseconds(value).filter(|nanoseconds| *nanoseconds >= 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the reader's own range is that of 63 bits, and the sign is looked at"
    )]
    Some(Duration::from_nanos(nanoseconds as u64))
}

/// Returns what an option of Litekeeper says. The unit is not optional, because a bare number means nanoseconds to
/// Litestream and seconds to everybody else.
///
/// # Errors
/// A fragment that says what is wrong.
pub fn of_option(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text != "0" {
        return Err(format!("a unit is missing: `{text}s` is seconds, `{text}ms` milliseconds"));
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| "not a duration: write it as 10s, 500ms or 1m30s".to_owned())?;
    Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// The longest that any setting of time may be.
pub const YEAR: Duration = Duration::from_secs(8760 * 3600);

/// Returns a reader of options, as [`of_option`], that are no shorter than `least` and no longer than [`YEAR`].
///
/// # Errors
/// The reader's: as [`of_option`], and the range.
pub fn at_least(least: Duration) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let found = of_option(text)?;
        if (least..=YEAR).contains(&found) {
            Ok(found)
        } else {
            Err(format!("it must be between {least:?} and 8760h"))
        }
    }
}

/// Returns what a platform's file says: a bare number is seconds, and `infinity` none at all.
pub fn of_platform(text: &str) -> Option<Duration> {
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => of_option(text).ok(),
    }
}

/// Returns what Go's yaml.v2 makes of a duration: a number counts nanoseconds, a text is for `time.ParseDuration`.
pub(super) fn nanoseconds(value: &Node) -> Option<f64> {
    const MOST: f64 = 9_223_372_036_854_775_807.0;
    let nanoseconds = match value.resolve()? {
        #[expect(clippy::cast_precision_loss, reason = "only its size is asked for")]
        Resolved::Int(number) => number as f64,
        Resolved::Float(number) => number,
        Resolved::Text => go_duration(value.as_str()?)?,
        Resolved::Null | Resolved::Bool(_) => return None,
    };
    (nanoseconds.abs() <= MOST).then_some(nanoseconds)
}

/// Returns what Go's `time.ParseDuration` makes of it, in nanoseconds: `1h30m`, `1.5s`, `-2ms`, a bare `0`.
pub(super) fn go_duration(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Some(0.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        if !digits.bytes().any(|c| c.is_ascii_digit()) {
            return None;
        }
        total += digits.parse::<f64>().ok()? * scale;
        rest = after;
    }
    Some(if text.starts_with('-') { -total } else { total })
}

/// Says what days and weeks are in hours; none if it is not written that way.
pub(super) fn in_hours(text: &str) -> Option<String> {
    let (number, hours) = match (text.strip_suffix('d'), text.strip_suffix('w')) {
        (Some(days), _) => (days, 24),
        (None, Some(weeks)) => (weeks, 7 * 24),
        (None, None) => return None,
    };
    let number: u64 = number.trim().parse().ok()?;
    Some(format!("{}h", number.checked_mul(hours)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn a_bare_number_is_what_its_reader_takes_it_for() {
        let setting = |text: &str| {
            let root = parse(&format!("x: {text}")).unwrap_or_else(|(_, _, problem)| panic!("{problem}"));
            of_setting(root.get("x").expect("a value"))
        };
        assert_eq!(setting("30"), Some(Duration::from_nanos(30)));
        assert_eq!(setting("\"30\""), None, "a text without a unit is no duration to Go");
        assert_eq!((setting("30s"), setting("-1s")), (Some(Duration::from_secs(30)), None));
        assert_eq!(of_platform("30"), Some(Duration::from_secs(30)));
        assert_eq!((of_platform("1min 5s"), of_platform("infinity")), (Some(Duration::from_secs(65)), None));
        assert!(of_option("30").is_err());
        assert_eq!(of_option("1m30s"), Ok(Duration::from_secs(90)));
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, duration) in [
            ("0", 0.0),
            ("+5m", 300e9),
            ("-1.5h", -5400e9),
            ("1.s", 1e9),
            (".5s", 0.5e9),
            ("1µs", 1e3),
            ("1h0m0.5s", 3_600.5e9),
        ] {
            assert_eq!(go_duration(text), Some(duration), "{text}");
        }
        for text in ["", "+", "5", "s", ".s", "7d", "1w", "1 s", "1h 2m", "1S", "1h30", "--1s", "1..5s", "∞s"]
        {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(of_option("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(of_option("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(of_option("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(of_option("0"), Ok(Duration::ZERO));
        assert!(of_option("10").unwrap_err().contains("10s"));
        for rubbish in ["", "s", "ten", "-5s", "5x"] {
            assert!(of_option(rubbish).is_err(), "{rubbish}");
        }
    }

    #[test]
    fn days_and_weeks_are_hours() {
        assert_eq!(in_hours("7d").as_deref(), Some("168h"));
        assert_eq!(in_hours("2w").as_deref(), Some("336h"));
        assert_eq!(in_hours("7x"), None);
    }
}
