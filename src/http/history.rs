//! How far each replica was behind in the last hour.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::status::Database;

/// How often it is looked.
pub(super) const EVERY: Duration = Duration::from_secs(15);
/// An hour of looks.
const MOST: usize = 240;
/// Of no more databases is anything remembered.
const DATABASES: usize = 100;

/// What was seen of each database, the oldest first; seconds, and nothing where nobody knew.
#[derive(Default)]
pub(super) struct History(BTreeMap<String, VecDeque<Option<f32>>>);

impl History {
    /// Takes in one look.
    pub(super) fn take(&mut self, databases: &[Database]) {
        self.0.retain(|path, _| databases.iter().any(|one| one.path == *path));
        for one in databases {
            if !self.0.contains_key(&one.path) && self.0.len() >= DATABASES {
                continue;
            }
            let seen = self.0.entry(one.path.clone()).or_default();
            if seen.len() >= MOST {
                seen.pop_front();
            }
            #[expect(clippy::cast_possible_truncation, reason = "a chart of it is a few pixels high")]
            seen.push_back(one.lag_seconds.map(|lag| lag as f32));
        }
    }

    /// What was seen of one.
    pub(super) fn of(&self, path: &str) -> impl ExactSizeIterator<Item = Option<f32>> + '_ {
        const NONE: &VecDeque<Option<f32>> = &VecDeque::new();
        self.0.get(path).unwrap_or(NONE).iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(path: &str, lag: f64) -> Database {
        Database { path: path.to_owned(), lag_seconds: Some(lag), ..Database::default() }
    }

    #[test]
    fn an_hour_of_a_hundred_databases_is_all_that_is_kept() {
        let mut history = History::default();
        for look in 0..MOST + 10 {
            let all: Vec<Database> =
                (0..DATABASES + 5).map(|one| database(&format!("/{one:03}"), look as f64)).collect();
            history.take(&all);
        }
        assert_eq!(history.0.len(), DATABASES);
        assert_eq!(history.of("/000").len(), MOST);
        assert_eq!(history.of("/000").next(), Some(Some(10.0)));
        assert_eq!(history.of("/104").len(), 0);
        history.take(&[database("/104", 0.0)]);
        assert_eq!((history.of("/000").len(), history.of("/104").len()), (0, 1), "who is gone is forgotten");
    }
}
