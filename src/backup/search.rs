//! The newest transaction that restores whole: which ones there are to be tried, and in what order.

use std::collections::BTreeSet;

use crate::litestream::{argv, ltx};

/// One file of a backup: the transactions that are in it, first and last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub min: u64,
    /// The last.
    pub max: u64,
}

impl Span {
    /// Those of a listing of Litestream's ([`crate::litestream::argv::files`]).
    pub fn listed(listing: &str) -> Vec<Self> {
        Self::sized(listing).map(|(span, _)| span).collect()
    }

    /// The same, each with the size of its file as it is written there.
    pub fn sized(listing: &str) -> impl Iterator<Item = (Self, &str)> {
        ltx::listed(listing).map(|file| (Self { min: file.min, max: file.max }, file.size))
    }
}

/// The transactions that can be restored, the newest first: those with which a file ends that goes on where
/// others end, down to one that begins at the beginning (`CalcRestorePlan` in Litestream's replica.go).
pub fn candidates(mut files: Vec<Span>) -> Vec<u64> {
    files.sort_unstable_by_key(|file| (file.max, file.min));
    let mut reached = BTreeSet::new();
    for file in files {
        let goes_on =
            file.min <= file.max && reached.range(file.min.saturating_sub(1)..=file.max).next().is_some();
        if file.min <= 1 || goes_on {
            reached.insert(file.max);
        }
    }
    reached.into_iter().rev().collect()
}

/// The newest snapshot of a listing, by its level and name, where other files lead from the beginning to as far as it does.
pub fn covered_snapshot(listing: &str) -> Option<String> {
    let is_snapshot =
        |file: &ltx::Listed<'_>| file.level.and_then(|level| level.parse().ok()) == Some(ltx::SNAPSHOTS);
    let newest = ltx::listed(listing).filter(is_snapshot).map(|file| (file.max, file.min)).max()?;
    let others = ltx::listed(listing).filter(|file| !is_snapshot(file));
    let others = candidates(others.map(|file| Span { min: file.min, max: file.max }).collect());
    let (min, max) = (argv::txid_text(newest.1), argv::txid_text(newest.0));
    others
        .first()
        .is_some_and(|reached| *reached >= newest.0)
        .then(|| format!("the snapshot {}/{min}-{max}.ltx", ltx::SNAPSHOTS))
}

/// What is behind a hole of a backup, so that no restore gets to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The last transaction that can be restored; none where none can.
    pub reached: Option<u64>,
    /// The last that is there.
    pub last: u64,
    /// A file that is too short to be one, which Litestream takes all the same where it needs it.
    pub cut: Option<String>,
}

impl Hole {
    /// That of a listing. A release that tells no levels lists what is not put together yet, and the rest is no hole.
    pub fn listed(listing: &str) -> Option<Self> {
        let tells_levels = ltx::listed(listing).all(|file| file.level.is_some());
        let last = Span::listed(listing).iter().map(|file| file.max).max()?;
        // What is shorter than an empty one is none.
        let is_some = |file: &ltx::Listed<'_>| {
            file.size.parse().is_ok_and(|size: u64| size >= ltx::HEADER as u64 + ltx::END)
        };
        let files = ltx::listed(listing).filter(is_some).map(|file| Span { min: file.min, max: file.max });
        let reached = candidates(files.collect()).first().copied();
        let cut = ltx::listed(listing).find(|file| !is_some(file)).map(|file| {
            let (min, max) = (argv::txid_text(file.min), argv::txid_text(file.max));
            format!("{min}-{max}.ltx of level {} has {} bytes", file.level.unwrap_or("0"), file.size)
        });
        if cut.is_some() {
            return Some(Self { reached, last, cut });
        }
        Self::of(Span::listed(listing), last).filter(|_| tells_levels)
    }

    /// The one that these files have, by what they are called, where this is the last that is there.
    fn of(files: Vec<Span>, last: u64) -> Option<Self> {
        let reached = candidates(files).first().copied();
        (reached != Some(last)).then_some(Self { reached, last, cut: None })
    }
}

impl std::fmt::Display for Hole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = argv::txid_text(self.last);
        if let Some(cut) = &self.cut {
            return write!(
                f,
                "its replica has a file that was cut off ({cut}): what needs it cannot be restored"
            );
        }
        match self.reached {
            Some(reached) => {
                let reached = argv::txid_text(reached);
                write!(
                    f,
                    "its replica has a hole: it ends with {last}, and what is after {reached} cannot be restored"
                )
            }
            None => write!(
                f,
                "its replica has no beginning: it ends with {last}, and nothing of it can be restored"
            ),
        }
    }
}

/// The order of the tries: back in steps that double, then by halves to and fro.
///
/// A restore of a large database takes minutes, and a backup has thousands of transactions. What a spoiled
/// file leaves spoils all that comes after it, until a later file has its pages again: so from the newest back
/// there is one range that is bad, and before it what is whole. Where it is not so, what is found restores
/// whole all the same, and only may not be the newest that does.
#[derive(Debug)]
pub struct Search {
    /// How many there are.
    count: usize,
    /// How many of the newest are not whole, as far as it is known.
    bad: usize,
    /// The place of one that is.
    whole: Option<usize>,
    step: usize,
}

impl Search {
    /// Over so many candidates, of which so many of the newest are known to be bad.
    pub fn new(count: usize, bad: usize) -> Self {
        Self { count, bad, whole: None, step: 1 }
    }

    /// The place of the one to try next, counted from the newest; `None` when there is no more to find out.
    pub fn next(&self) -> Option<usize> {
        match self.whole {
            Some(whole) if whole > self.bad => Some(self.bad + (whole - self.bad) / 2),
            Some(_) => None,
            None if self.bad >= self.count => None,
            None => Some((self.bad + self.step - 1).min(self.count - 1)),
        }
    }

    /// What the try showed.
    pub fn tell(&mut self, place: usize, is_whole: bool) {
        if is_whole {
            self.whole = Some(place);
        } else {
            self.bad = place + 1;
            self.step *= 2;
        }
    }

    /// The place of the newest that is whole, as far as it is known.
    pub fn whole(&self) -> Option<usize> {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(files: &[(u64, u64)]) -> Vec<Span> {
        files.iter().map(|&(min, max)| Span { min, max }).collect()
    }

    #[test]
    fn listings_with_and_without_levels_are_read() {
        let with = "level  min_txid          max_txid          size  created\n\
                    0      000000000000000b  000000000000000b  128   2026-11-25T21:24:18Z\n\
                    9      0000000000000001  000000000000000a  1282  2026-11-25T21:24:18Z\n";
        assert_eq!(Span::listed(with), spans(&[(11, 11), (1, 10)]));
        let without = "min_txid          max_txid          size  created\n\
                       0000000000000001  0000000000000009  627   2026-11-21T04:25:20Z\nrubbish\n";
        assert_eq!(Span::listed(without), spans(&[(1, 9)]));
        assert!(Span::listed("").is_empty());
    }

    #[test]
    fn what_can_be_restored_hangs_together_from_the_beginning() {
        assert_eq!(candidates(spans(&[(1, 1), (2, 2), (3, 3), (1, 3), (1, 2)])), [3, 2, 1]);
        assert_eq!(candidates(spans(&[(1, 4), (5, 5), (7, 7), (7, 9)])), [5, 4], "6 is missing");
        assert_eq!(candidates(spans(&[(5, 5), (6, 6), (1, 5), (2, 4)])), [6, 5], "1 is gone");
        assert_eq!(candidates(spans(&[(3, 6), (1, 4)])), [6, 4], "files may overlap");
        assert_eq!(candidates(spans(&[(9, 3), (0, 0), (u64::MAX, u64::MAX)])), [0]);
        assert!(candidates(Vec::new()).is_empty());
    }

    #[test]
    fn a_snapshot_that_others_cover_is_told() {
        let listing = |files: &[(u8, u64, u64)]| {
            let line =
                |(level, min, max): &_| format!("{level} {min:016x} {max:016x} 9 2026-11-25T21:24:18Z\n");
            covered_snapshot(&format!("head\n{}", files.iter().map(line).collect::<String>()))
        };
        let told = Some("the snapshot 9/0000000000000001-0000000000000003.ltx".to_owned());
        assert_eq!(listing(&[(9, 1, 3), (0, 1, 1), (1, 2, 3)]), told);
        assert_eq!(listing(&[(9, 1, 3), (0, 1, 1), (0, 2, 2), (0, 4, 4)]), None, "3 is in it alone");
        assert_eq!(listing(&[(9, 1, 3), (9, 1, 2), (0, 3, 3)]), None, "an older snapshot may be as broken");
        assert_eq!(listing(&[(0, 1, 1)]), None);
    }

    #[test]
    fn what_is_behind_a_hole_is_told() {
        let of = |files: &[(u64, u64)]| {
            Hole::of(spans(files), files.iter().map(|(_, max)| *max).max().unwrap_or(0))
        };
        let hole = |files: &[(u64, u64)]| of(files).map(|hole| (hole.reached, hole.last));
        assert_eq!(hole(&[(1, 1), (2, 2), (3, 3)]), None);
        assert_eq!(hole(&[(1, 3), (3, 3)]), None, "a snapshot covers what is gone");
        assert_eq!(hole(&[(1, 1), (3, 3)]), Some((Some(1), 3)));
        assert_eq!(hole(&[(2, 2), (3, 3)]), Some((None, 3)));
        let line = "0000000000000002 0000000000000002 900 2026-11-25T21:24:18Z\n";
        assert_eq!(Hole::listed(&format!("head\n{line}")), None, "the rest is not listed");
        let all = Some(Hole { reached: None, last: 2, cut: None });
        assert_eq!(Hole::listed(&format!("head\n0 {line}")), all);
        let first = "0000000000000001 0000000000000001 0 2026-11-25T21:24:18Z\n";
        let emptied = Hole::listed(&format!("head\n0 {first}0 {line}"));
        let told = "0000000000000001-0000000000000001.ltx of level 0 has 0 bytes";
        assert_eq!(emptied.and_then(|hole| hole.cut).as_deref(), Some(told));
        let first = first.replace(" 0 ", " 128 ");
        assert_eq!(Hole::listed(&format!("head\n0 {first}0 {line}")), None);
        assert_eq!(Hole::listed("head\n"), None, "nothing is no hole");
        let told = of(&[(1, 1), (3, 3)]).map(|hole| hole.to_string()).unwrap_or_default();
        assert!(
            told.ends_with(
                "ends with 0000000000000003, and what is after 0000000000000001 cannot be restored"
            ),
            "{told}"
        );
    }

    #[test]
    fn the_newest_before_a_bad_range_is_found_in_few_tries() {
        for count in 0..70_usize {
            for bad in 0..=count {
                for known in 0..=bad.min(1) {
                    let mut search = Search::new(count, known);
                    let mut tries = 0;
                    while let Some(place) = search.next() {
                        assert!(place < count);
                        search.tell(place, place >= bad);
                        tries += 1;
                    }
                    assert_eq!(search.whole(), (bad < count).then_some(bad), "{bad} of {count}");
                    assert!(tries <= 2 * (count + 1).ilog2() + 2, "{tries} for {bad} of {count}");
                }
            }
        }
    }
}
