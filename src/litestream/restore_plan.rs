//! Which files of a replica make up a database at a point, as Litestream chooses them (`CalcRestorePlan` in its replica.go).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ltx;

/// What is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The newest that there is.
    Newest,
    /// What was there before this time.
    Before(SystemTime),
}

impl Point {
    fn has(self, file: &PlannedFile) -> bool {
        match self {
            Self::Newest => true,
            Self::Before(time) => file.created < time,
        }
    }
}

/// One file of a replica that is a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFile {
    /// Where it is.
    pub path: PathBuf,
    /// The first transaction in it.
    pub min: u64,
    /// The last.
    pub max: u64,
    /// Its size in bytes.
    pub size: u64,
    level: u8,
    created: SystemTime,
}

/// Lists the files of a replica that is this folder.
///
/// # Errors
/// It cannot be read.
pub fn list(replica: &Path) -> io::Result<Vec<PlannedFile>> {
    let mut files = Vec::new();
    // The first one is that of all levels.
    for (level, folder) in (0_u8..).zip(ltx::levels(replica).skip(1)) {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Some(span) = entry.file_name().to_str().and_then(ltx::span) else { continue };
            let found = entry.metadata()?;
            let (path, created, size) = (entry.path(), found.modified()?, found.len());
            files.push(PlannedFile { path, min: *span.start(), max: *span.end(), size, level, created });
        }
    }
    Ok(files)
}

/// Chooses those of them that make up the database at a point, in the order in which they count; none where they do not, or where
/// Litestream would refuse to say which.
pub fn plan(files: Vec<PlannedFile>, point: Point) -> Option<Vec<PlannedFile>> {
    let (mut snapshots, mut others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| file.level == ltx::SNAPSHOTS);
    snapshots.retain(|file| point.has(file));
    let mut chosen: Vec<PlannedFile> =
        snapshots.into_iter().max_by_key(|file| (file.min, file.max)).into_iter().collect();
    let mut reached = chosen.first().map_or(0, |snapshot| snapshot.max);
    others.sort_by_key(|file| file.min);
    let mut others = others.into_iter().peekable();
    loop {
        let mut next: Option<PlannedFile> = None;
        while let Some(file) = others.next_if(|file| file.min <= reached.saturating_add(1)) {
            let is_better = next.as_ref().is_none_or(|next| is_better(next, &file));
            if file.max > reached && point.has(&file) && is_better {
                next = Some(file);
            }
        }
        let Some(next) = next else { break };
        reached = next.max;
        chosen.push(next);
    }
    let is_there = match point {
        // What comes behind a hole is lost to it.
        Point::Newest => others.peek().is_none(),
        Point::Before(_) => true,
    };
    (is_there && !chosen.is_empty()).then_some(chosen)
}

/// `restoreCandidateBetter`: the one that reaches farther, then the one that begins earlier.
fn is_better(current: &PlannedFile, next: &PlannedFile) -> bool {
    let rank = |file: &PlannedFile| (file.max, std::cmp::Reverse(file.min), file.level);
    (rank(next), current.created) > (rank(current), next.created)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// `level, min, max`, made in the second of its last transaction.
    fn file((level, min, max): (u8, u64, u64)) -> PlannedFile {
        let created = UNIX_EPOCH + Duration::from_secs(max);
        PlannedFile { path: PathBuf::new(), min, max, size: 0, level, created }
    }

    fn planned(files: &[(u8, u64, u64)], point: Point) -> Option<Vec<(u8, u64, u64)>> {
        let chosen = plan(files.iter().copied().map(file).collect(), point)?;
        Some(chosen.iter().map(|file| (file.level, file.min, file.max)).collect())
    }

    const ALL: &[(u8, u64, u64)] =
        &[(0, 6, 6), (0, 4, 4), (0, 5, 5), (1, 3, 4), (1, 1, 2), (9, 1, 1), (9, 1, 3), (2, 1, 4), (0, 7, 7)];

    #[test]
    fn a_snapshot_and_what_reaches_farthest_behind_it_are_chosen() {
        let newest = vec![(9, 1, 3), (2, 1, 4), (0, 5, 5), (0, 6, 6), (0, 7, 7)];
        assert_eq!(planned(ALL, Point::Newest), Some(newest));
        assert_eq!(planned(&[], Point::Newest), None);
    }

    #[test]
    fn before_a_time_only_what_was_there_counts() {
        let before = |second| Point::Before(UNIX_EPOCH + Duration::from_secs(second));
        assert_eq!(planned(ALL, before(3)), Some(vec![(9, 1, 1), (1, 1, 2)]));
        assert_eq!(planned(ALL, before(6)), Some(vec![(9, 1, 3), (2, 1, 4), (0, 5, 5)]));
        assert_eq!(planned(ALL, before(1)), None);
    }

    #[test]
    fn with_a_hole_there_is_no_newest() {
        let files = &[(9, 1, 3), (0, 4, 4), (0, 6, 6)];
        assert_eq!(planned(files, Point::Newest), None);
        let before = Point::Before(UNIX_EPOCH + Duration::from_secs(9));
        assert_eq!(planned(files, before), Some(vec![(9, 1, 3), (0, 4, 4)]));
        assert_eq!(planned(&[(0, 2, 2)], Point::Newest), None);
    }

    #[test]
    fn without_a_snapshot_all_is_put_together_from_the_first() {
        let files = &[(0, 1, 1), (0, 2, 2), (1, 1, 2), (1, 2, 5), (0, 3, 3)];
        assert_eq!(planned(files, Point::Newest), Some(vec![(1, 1, 2), (1, 2, 5)]));
    }
}
