//! A time as it is typed: `2026-01-02T03:04:05Z`, `2h ago`, `yesterday 14:00`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan as _, ZonedDateTime};

/// What is accepted.
const FORMS: &str = "write it as 2026-01-02T03:04:05Z, `2026-01-02 03:04` or `yesterday 14:00` (in this machine's time zone), or `2h ago`";

/// Reads a time that is not in the future, as RFC 3339 in UTC, which Litestream reads.
///
/// # Errors
/// A fragment that says what is wrong.
pub fn parse(text: &str) -> Result<String, String> {
    parse_at(text, &ZonedDateTime::now())
}

fn parse_at(text: &str, now: &ZonedDateTime) -> Result<String, String> {
    let time = read(text.trim(), now).ok_or_else(|| format!("not a time: {FORMS}"))?;
    if time > now.timestamp() {
        return Err(format!("{time} is in the future: leave it out for the newest state"));
    }
    Ok(time.to_string())
}

fn read(text: &str, now: &ZonedDateTime) -> Option<jiff::Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    if text.ends_with(" ago") {
        let span: Span = text.parse().ok()?;
        return Some(now.checked_add(span).ok()?.timestamp());
    }
    let zone: &TimeZone = now.time_zone();
    let (day, rest) = text.split_once(' ').unwrap_or((text, ""));
    let date: Option<Date> = match day {
        "today" => Some(now.date()),
        "yesterday" => now.date().checked_sub(1.day()).ok(),
        _ => None,
    };
    let local = match date {
        Some(date) if rest.is_empty() => date.at(0, 0, 0, 0),
        Some(date) => date.to_datetime(rest.parse::<Time>().ok()?),
        None => match text.parse::<DateTime>() {
            Ok(local) => local,
            Err(_) => now.date().to_datetime(text.parse::<Time>().ok()?),
        },
    };
    Some(zone.to_zoned_datetime(local).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now: ZonedDateTime =
            "2026-03-05T12:30:00Z".parse::<jiff::Timestamp>().expect("a time").to_zoned_datetime(zone);
        for (text, time) in [
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
            ("2026-01-02T03:04:05.250+01:00", "2026-01-02T02:04:05.25Z"),
            ("2h ago", "2026-03-05T10:30:00Z"),
            ("90 minutes ago", "2026-03-05T11:00:00Z"),
            ("3 days ago", "2026-03-02T12:30:00Z"),
            ("yesterday 14:00", "2026-03-04T12:00:00Z"),
            ("yesterday", "2026-03-03T22:00:00Z"),
            ("today 14:00:30", "2026-03-05T12:00:30Z"),
            ("2026-01-02 03:04", "2026-01-02T01:04:00Z"),
            ("2026-01-02", "2026-01-01T22:00:00Z"),
            ("14:15", "2026-03-05T12:15:00Z"),
        ] {
            assert_eq!(parse_at(text, &now).as_deref(), Ok(time), "{text}");
        }
        for text in
            ["", "ago", "2h", "tomorrow", "25:00", "yesterday 25:00", "2026-13-01", "x ago", "yesterday at"]
        {
            assert!(parse_at(text, &now).is_err_and(|why| why.starts_with("not a time")), "{text}");
        }
        for text in ["2027-01-01T00:00:00Z", "15:00", "today 23:59"] {
            assert!(parse_at(text, &now).is_err_and(|why| why.contains("in the future")), "{text}");
        }
    }
}
