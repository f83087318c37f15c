//! The keeper's side of restores by our own reader ([`super::reader`]): which ones it is asked for, and what becomes of the others.

use std::path::Path;
use std::time::Duration;

use super::quarantine;
use super::reader::{Answer, Job, Order};
use super::restorer::Restorer;
use super::whole::Whole;
use crate::foreign::piece;
use crate::litestream::database::Database;
use crate::os::fd;

/// The most restores that one process does: its answers come all at once.
const MOST: usize = 32;
/// Each restore that is done side by side gets several turns, so that none is left alone with many at the end.
const TURNS: usize = 4;

/// How many restores one process does, of so many of which some are done side by side.
pub(super) fn share(count: usize, parallel: usize) -> usize {
    count.div_ceil(parallel.max(1) * TURNS).clamp(1, MOST)
}

impl Restorer {
    /// Has a process restore those of these databases that it can, each to the file beside it here, and returns what came of it and how long
    /// that took; none is left to Litestream.
    pub(super) async fn read_small(&self, wanted: &[(&Database, &Path)]) -> Vec<Option<(Whole, Duration)>> {
        let mut answers: Vec<Option<(Whole, Duration)>> = wanted.iter().map(|_| None).collect();
        let Some(before) = self.before() else { return answers };
        let asked: Vec<(usize, Job)> =
            wanted.iter().enumerate().filter_map(|(place, one)| Some((place, self.job(one)?))).collect();
        if asked.is_empty() || !self.version.is_ltx() {
            return answers;
        }
        let (places, jobs): (Vec<usize>, Vec<Job>) = asked.into_iter().unzip();
        let order = Order { jobs, depth: self.manner.depth.word().to_owned(), before };
        let said = match self.ask_reader(&order).await {
            Ok(said) => said,
            Err(why) => {
                tracing::debug!("the reader of small backups left all to litestream: {}", piece(&why));
                Vec::new()
            }
        };
        for (place, answer) in places.iter().copied().zip(said) {
            match answer {
                Answer::Restored { txid, took } => {
                    answers[place] = Some((Whole { txid: Some(txid), said: None }, took));
                }
                Answer::Left(why) => {
                    let path = wanted[place].0.path.display();
                    tracing::debug!("{path}: left to litestream: {}", piece(&why));
                }
            }
        }
        // It may have been killed, and what it left is in Litestream's way.
        places
            .into_iter()
            .filter(|place| answers[*place].is_none())
            .for_each(|place| quarantine::remove_partial(wanted[place].1));
        answers
    }

    /// The time before which all was there that is restored, in nanoseconds since 1970, or that there is none; nothing where it
    /// depends on something else, which Litestream alone knows.
    fn before(&self) -> Option<Option<u64>> {
        match self.manner.point.as_slice() {
            [] => Some(None),
            [option, time] if option == "-timestamp" => {
                let time: jiff::Timestamp = time.to_str()?.parse().ok()?;
                Some(Some(u64::try_from(time.as_nanosecond()).ok()?))
            }
            _ => None,
        }
    }

    /// What the reader is told of one; nothing where there is no folder to read, a name that JSON does not have, or a transaction was
    /// chosen, which is done for one at a time.
    fn job(&self, (db, output): &(&Database, &Path)) -> Option<Job> {
        let (replica, output) = (db.replica_folder.clone()?, output.to_path_buf());
        let is_text = replica.to_str().is_some() && output.to_str().is_some();
        let is_newest = self.chosen.of(&db.path).is_none();
        (is_text && is_newest).then_some(Job { replica, output })
    }

    async fn ask_reader(&self, order: &Order) -> Result<Vec<Answer>, String> {
        let order = serde_json::to_vec(order).map_err(|error| error.to_string())?;
        let order = fd::memory(&order).map_err(|error| error.to_string())?;
        let args = ["__restore".into(), fd::number(&order).to_string().into()];
        let said = self.runner.ask_own_busy(&args, vec![fd::number(&order)], self.timeout).await?;
        serde_json::from_str(&said).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_gets_a_fair_share() {
        for (count, parallel, expected) in
            [(0, 2, 1), (1, 2, 1), (8, 2, 1), (9, 2, 2), (100, 2, 13), (1000, 2, 32), (5, 0, 2)]
        {
            assert_eq!(share(count, parallel), expected, "{count} by {parallel}");
        }
    }
}
