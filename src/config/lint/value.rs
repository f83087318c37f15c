//! Values as Go reads them.

/// Whether Go's `time.ParseDuration` takes it: `1h30m`, `1.5s`, `-2ms`, a bare `0`.
pub(super) fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &rest[..rest.len() - digits.len()];
        let unit_end = digits.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(digits.len());
        let unit = &digits[..unit_end];
        let is_number = number.bytes().any(|c| c.is_ascii_digit()) && number.matches('.').count() <= 1;
        if !is_number || !["ns", "us", "µs", "μs", "ms", "s", "m", "h"].contains(&unit) {
            return false;
        }
        rest = &digits[unit_end..];
    }
    true
}

/// What days and weeks are in hours; none if it is not written that way.
pub(super) fn in_hours(text: &str) -> Option<String> {
    let (number, hours) = match (text.strip_suffix('d'), text.strip_suffix('w')) {
        (Some(days), _) => (days, 24),
        (None, Some(weeks)) => (weeks, 7 * 24),
        (None, None) => return None,
    };
    let number: u64 = number.trim().parse().ok()?;
    Some(format!("{}h", number.checked_mul(hours)?))
}

/// Whether go-humanize's `ParseBytes` takes it: `5MiB`, `1.5 GB`, `1,024`, a bare number.
pub(super) fn is_size(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    let number = text[..text.len() - unit.len()].replace(',', "");
    let unit = unit.trim().to_ascii_lowercase();
    let prefix =
        unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).or_else(|| unit.strip_suffix('i'));
    let prefix = prefix.unwrap_or(&unit);
    number.parse::<f64>().is_ok()
        && (prefix.is_empty() && !unit.contains('i') || ["k", "m", "g", "t", "p", "e"].contains(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for good in ["10s", "1h30m", "1.5s", ".5s", "1.s", "-2ms", "+3h", "0", "1µs", "1h0m0.5s"] {
            assert!(is_go_duration(good), "{good}");
        }
        for bad in ["", "7d", "1w", "10", "s", "1h30", "1 s", "one", "1..5s", ".s", "1S", "--1s", "∞s"] {
            assert!(!is_go_duration(bad), "{bad}");
        }
        assert_eq!(in_hours("7d").as_deref(), Some("168h"));
        assert_eq!(in_hours("2w").as_deref(), Some("336h"));
        assert_eq!(in_hours("7x"), None);
    }

    #[test]
    fn sizes_are_those_of_go_humanize() {
        for good in ["5MiB", "5 mb", "1.5GB", "1024", "1,024", "7k", "7ki", "3 TiB", "1B"] {
            assert!(is_size(good), "{good}");
        }
        for bad in ["", "MB", "5 bits", "-5MB", "5ib", "1.2.3MB", "5q"] {
            assert!(!is_size(bad), "{bad}");
        }
    }
}
