//! Durations as Go and systemd write them: `10s`, `500ms`, `1m30s`.

use std::time::Duration;

pub use crate::config::duration::of_option as parse;

/// The longest that any setting of time may be.
pub const YEAR: Duration = Duration::from_secs(8760 * 3600);

/// A reader of durations that are no shorter than `least`, and no longer than [`YEAR`].
///
/// # Errors
/// The reader's: as [`parse`], and the range.
pub fn at_least(least: Duration) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let found = parse(text)?;
        if (least..=YEAR).contains(&found) {
            Ok(found)
        } else {
            Err(format!("it must be between {least:?} and 8760h"))
        }
    }
}

/// As [`at_least`], for what means nothing without any time.
pub fn some() -> impl Fn(&str) -> Result<Duration, String> + Clone {
    at_least(Duration::from_millis(1))
}

/// As [`at_least`], for what may be nothing.
pub fn any() -> impl Fn(&str) -> Result<Duration, String> + Clone {
    at_least(Duration::ZERO)
}

/// A reader of whole numbers in a range.
///
/// # Errors
/// The reader's: the range.
pub fn count(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let found = text.parse::<usize>().ok().filter(|found| (least..=most).contains(found));
        found.ok_or_else(|| format!("it must be a whole number between {least} and {most}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_range() {
        for text in ["9999999h", "8761h", "0", "0s", "999us", "99999999999999999999h"] {
            let error = some()(text).expect_err(text);
            assert!(error.contains("between 1ms and 8760h") || error.contains("not a duration"), "{error}");
        }
        assert_eq!(some()("8760h"), Ok(YEAR));
        assert_eq!(any()("0s"), Ok(Duration::ZERO));
        for text in ["0", "1025", "-1", "1.5", "", "2305843009213693952", "99999999999999999999999"] {
            assert_eq!(
                count(1, 1024)(text),
                Err("it must be a whole number between 1 and 1024".to_owned()),
                "{text}"
            );
        }
        assert_eq!(count(1, 1024)("1024"), Ok(1024));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
        assert!(parse("10").unwrap_err().contains("10s"));
        for rubbish in ["", "s", "ten", "-5s", "5x"] {
            assert!(parse(rubbish).is_err(), "{rubbish}");
        }
    }
}
