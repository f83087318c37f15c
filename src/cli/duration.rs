//! Durations as Go and systemd write them: `10s`, `500ms`, `1m30s`.

use std::time::Duration;

/// Reads one; the unit is not optional, because a bare number means nanoseconds to Litestream and
/// seconds to everybody else.
///
/// # Errors
/// A fragment that says what is wrong.
pub fn parse(text: &str) -> Result<Duration, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
