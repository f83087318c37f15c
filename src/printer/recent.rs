//! The latest lines of the log, for whoever looks at the page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tracing::Level;

/// So many are kept.
const MOST: usize = 200;
/// No longer than that.
const LONGEST: usize = 400;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: String,
    /// `error`, `warn` or `info`.
    pub level: &'static str,
    /// Who says it.
    pub source: String,
    /// What it says, without secrets.
    pub text: String,
}

/// None while nobody can look.
static LINES: Mutex<Option<VecDeque<Line>>> = Mutex::new(None);

/// Keeps them from now on.
pub fn remember() {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// Those that are kept, the oldest first.
pub fn recent() -> Vec<Line> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.as_ref().map_or_else(Vec::new, |lines| lines.iter().cloned().collect())
}

/// Takes one in, if it is kept.
pub(super) fn take(level: Level, line: impl FnOnce() -> Line) {
    if level > Level::INFO {
        return;
    }
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(lines) = lines.as_mut() else { return };
    if lines.len() >= MOST {
        lines.pop_front();
    }
    let line = line();
    let text = line.text.chars().take(LONGEST).collect();
    lines.push_back(Line { text, ..line });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_lines_are_kept_where_somebody_can_look() {
        let line = |text: &str| Line {
            at: String::new(),
            level: "info",
            source: "x".to_owned(),
            text: text.to_owned(),
        };
        let say = |level, text: &str| take(level, || line(text));
        say(Level::INFO, "nobody looks");
        remember();
        say(Level::DEBUG, "too much");
        (0..MOST + 3).for_each(|place| say(Level::WARN, &format!("{place}{}", "é".repeat(2 * LONGEST))));
        let lines: Vec<Line> = recent().into_iter().filter(|line| line.source == "x").collect();
        assert!(lines.len() <= MOST && lines.len() > MOST / 2, "{}", lines.len());
        assert!(lines.iter().all(|line| line.text.chars().count() == LONGEST), "{lines:?}");
    }
}
