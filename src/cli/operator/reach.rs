//! How far a backup is, and which times can be restored, by what lies at its replica: names, sizes and times.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::candidate::Candidate;
use super::lists::File;
use super::shown;
use crate::backup;
use crate::backup::search::Hole;
use crate::litestream::argv;
use crate::litestream::command::Runner;
use crate::litestream::position::{self, Position};
use crate::litestream::version::Version;

/// Litestream 0.3 copies once a second, and its times are whole seconds.
const COPYING: SignedDuration = SignedDuration::from_secs(3);

/// What the files of a backup tell, by their names and times.
pub(super) struct Backup {
    /// The newest that can be restored.
    pub(super) newest: Option<Position>,
    /// From when to when it can be.
    pub(super) window: Option<(String, String)>,
    /// The lag, where Litestream itself says that.
    pub(super) lag: Option<Duration>,
    /// Why what is newest in it cannot be restored.
    pub(super) lacks: Option<String>,
}

/// As Litestream 0.3 tells it: how much younger the database's files are than what is at its replica, which tells that something is missing there
/// and not for how long; that is at most the age of what is there.
fn lag_of_old(lag: &str, to: &str) -> Option<Duration> {
    let lag: SignedDuration = lag.parse().ok()?;
    if lag <= COPYING {
        return Some(Duration::ZERO);
    }
    let age = Timestamp::now().duration_since(to.parse::<Timestamp>().ok()?);
    Some(age.unsigned_abs())
}

/// How far a backup is, and which times can be restored: by the files that lie there.
pub(super) async fn backup_of(
    version: Version,
    runner: &Runner,
    config: &Path,
    one: &Candidate,
    limit: Duration,
) -> Result<Backup, String> {
    let shown = |error: backup::Error| error.to_string();
    if version.is_ltx() {
        let text = backup::files(runner, config, &one.db, limit).await.map_err(shown)?;
        let files = File::listed(&text);
        let hole = Hole::listed(&text);
        let last = files.iter().map(|file| file.max).max();
        let newest = hole.as_ref().map_or(last, |hole| hole.reached);
        // A restore begins with a file that begins with the first transaction.
        let begins = files.iter().filter(|file| file.min == 1).filter_map(|file| file.created.as_deref());
        let ends =
            files.iter().filter(|file| Some(file.max) <= newest).filter_map(|file| file.created.as_deref());
        // Which times need what was cut off only a restore tells.
        let is_cut = hole.as_ref().is_some_and(|hole| hole.cut.is_some());
        let window = window(begins, ends).filter(|_| !is_cut);
        let lacks = hole.map(|hole| hole.to_string());
        return Ok(Backup { newest: newest.map(Position::Txid), window, lag: None, lacks });
    }
    let ask = async |command: &str| {
        let args = argv::list(command, config, &one.db.path, &[]);
        backup::listed(runner, &one.db, &args, limit).await.map_err(shown)
    };
    let wal = ask("wal").await?;
    let newest = position::replicated(version, &wal);
    let snapshots = ask("snapshots").await?;
    let lacks = position::missing(&wal, &snapshots).map(|what| {
        format!("its replica has a hole: {what} is gone or empty, and what is after it cannot be restored")
    });
    // name generation lag start end
    let text = ask("generations").await?;
    let rows: Vec<Vec<&str>> =
        text.lines().skip(1).map(|line| line.split_ascii_whitespace().collect()).collect();
    let cell = |place: usize| rows.iter().filter_map(move |row| row.get(place).copied());
    let of = |place| cell(place).filter_map(shown::time).collect::<Vec<_>>();
    let (from, to) = (of(3), of(4));
    let last = rows.iter().max_by_key(|row| row.get(4).and_then(|to| to.parse::<Timestamp>().ok()));
    let lag = last.and_then(|row| lag_of_old(row.get(2)?, row.get(4)?));
    // Up to when it can be restored is not known then.
    let window =
        window(from.iter().map(String::as_str), to.iter().map(String::as_str)).filter(|_| lacks.is_none());
    Ok(Backup { newest, window, lag, lacks })
}

/// From the first of the ones to the last of the others.
fn window<'a>(
    from: impl Iterator<Item = &'a str>,
    to: impl Iterator<Item = &'a str>,
) -> Option<(String, String)> {
    let parse = |text: &str| text.parse::<Timestamp>().ok();
    Some((from.filter_map(parse).min()?.to_string(), to.filter_map(parse).max()?.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_series_tells_lag_in_its_own_words() {
        let long_ago = "2020-01-02T03:04:05Z";
        for none in ["0s", "1s", "-1s", "-22h0m5s", "500ms"] {
            assert_eq!(lag_of_old(none, long_ago), Some(Duration::ZERO), "{none}");
        }
        for some in ["4s", "1m0s", "22h0m5s"] {
            assert!(
                lag_of_old(some, long_ago).is_some_and(|lag| lag > Duration::from_secs(1 << 20)),
                "{some}"
            );
        }
        assert_eq!(lag_of_old("-", long_ago), None);
    }

    #[test]
    fn a_window_is_from_the_first_to_the_last() {
        let times = ["2026-01-02T03:04:06Z", "2026-01-02T03:04:05.5Z"];
        let found = window(times.into_iter(), times.into_iter()).expect("both");
        assert_eq!(found, ("2026-01-02T03:04:05.5Z".to_owned(), "2026-01-02T03:04:06Z".to_owned()));
        assert_eq!(window(std::iter::empty(), times.into_iter()), None);
    }
}
