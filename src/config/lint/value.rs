//! Values as Go reads them.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks_are_hours() {
        assert_eq!(in_hours("7d").as_deref(), Some("168h"));
        assert_eq!(in_hours("2w").as_deref(), Some("336h"));
        assert_eq!(in_hours("7x"), None);
    }
}
