//! `litekeeper sync`: has a running keeper's Litestream copy now what it would copy within the second.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::args;
use super::candidate::{self, Candidate};
use super::keeper::{self, Running};
use super::shown::{self, Lines};
use crate::cli::one_shot;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::argv;
use crate::litestream::control::{self, Synced};
use crate::litestream::version::Version;
use crate::printer::Paint;

/// Since when Litestream confirms at its socket.
const SYNC: (&str, Version) = ("control socket that confirms", Version::CONFIRMS);
/// So many are asked for at a time.
const PARALLEL: usize = 8;

/// Has the databases synced: to Litestream's own files, and with `--wait` up to their replicas.
///
/// # Errors
/// No keeper runs, or one of them was not synced.
pub(in crate::cli) fn sync(args: &args::Sync) -> Result<ExitCode, Failure> {
    let (opened, _, chosen) = candidate::chosen(&args.given, &args.dbs)?;
    let with_keeper: Vec<_> =
        chosen.iter().map(|one| Ok((Running::on(one)?, one))).collect::<Result<_, Failure>>()?;
    if with_keeper.iter().all(|(running, _)| running.is_none()) {
        return Err(keeper::none(&chosen));
    }
    let each = with_keeper.iter().map(|(running, one)| Done::of(running.as_ref(), one, args));
    let done: Vec<Done> = one_shot::block_on(|_| stream::iter(each).buffered(PARALLEL).collect())?;
    if done.iter().all(|one| one.synced.is_err())
        && let Some(failure) = keeper::too_old(&opened, &chosen, SYNC)
    {
        return Err(failure);
    }
    if args.json {
        shown::json(&done.iter().map(Done::json).collect())?;
    } else {
        let mut lines = Lines::new(["DATABASE", "RESULT", "TXID", "REPLICATED", ">TIME"]);
        done.iter().for_each(|one| one.add_to(&mut lines));
        lines.print("")?;
    }
    let failed: Vec<String> = done.iter().filter_map(Done::complaint).collect();
    if failed.is_empty() {
        return Ok(ExitCode::OK);
    }
    Err(Failure::lines(ExitCode::UNAVAILABLE, failed).hint(
        "what is not synced stays with the keeper, whose Litestream goes on trying: its log has the reason; --timeout waits longer",
    ))
}

/// What came of one database.
struct Done {
    path: String,
    synced: Result<Synced, String>,
    /// Up to the replica.
    waited: bool,
    took: Duration,
}

impl Done {
    async fn of(running: Option<&Running>, one: &Candidate, args: &args::Sync) -> Self {
        let began = Instant::now();
        let synced = match running {
            None => Err("no keeper runs on it".to_owned()),
            // Litestream has an answer for it all the same.
            Some(_) if !one.db.exists() => Err("the database is not there".to_owned()),
            Some(running) => {
                let (socket, db, peers) = (&running.socket, &one.db.path, running.peers());
                let asked = match args.wait {
                    true => control::confirm_by(socket, db, args.timeout, Some(&peers)).await,
                    false => control::sync_locally_by(socket, db, args.timeout, Some(&peers)).await,
                };
                match asked {
                    Ok(synced) if args.wait && !synced.is_replicated() => Err(format!(
                        "the replica is at txid {}, and the database at {}",
                        argv::txid_text(synced.replicated_txid),
                        argv::txid_text(synced.txid)
                    )),
                    asked => asked.map_err(|error| error.to_string()),
                }
            }
        };
        let path = one.db.path.to_string_lossy().into_owned();
        Self { path, synced, waited: args.wait, took: began.elapsed() }
    }

    fn result(&self) -> &'static str {
        match (&self.synced, self.waited) {
            (Ok(_), true) => "synced",
            (Ok(_), false) => "synced-local",
            (Err(_), _) => "failed",
        }
    }

    fn txids(&self) -> (Option<String>, Option<String>) {
        let Ok(synced) = &self.synced else { return (None, None) };
        // Of the replica it knows nothing before it has reached it.
        let replicated = Some(synced.replicated_txid).filter(|txid| *txid > 0);
        (Some(argv::txid_text(synced.txid)), replicated.map(argv::txid_text))
    }

    fn json(&self) -> Value {
        let (txid, replicated) = self.txids();
        json!({
            "path": self.path,
            "result": self.result(),
            "txid": txid,
            "replicated_txid": replicated,
            "duration_ms": shown::milliseconds(self.took),
            "error": self.synced.as_ref().err(),
        })
    }

    fn add_to(&self, lines: &mut Lines) {
        let paint = if self.synced.is_ok() { Paint::Good } else { Paint::Bad };
        let (txid, replicated) = self.txids();
        let txids = [shown::known(txid), shown::known(replicated)];
        let first = [self.path.clone(), self.result().to_owned()];
        lines.add(paint, first.into_iter().chain(txids).chain([shown::took(Some(self.took))]));
    }

    fn complaint(&self) -> Option<String> {
        self.synced.as_ref().err().map(|error| format!("{}: {error}", self.path))
    }
}
