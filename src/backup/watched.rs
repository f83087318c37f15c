//! Litestream's clients of S3 and Google's and Azure's storage try again and again without a word: what keeps it from an answer our own look says meanwhile, and
//! ends the waiting where that does not help.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::litestream::command::Runner;
use crate::litestream::database::Database;
use crate::remote::Place;
use crate::replica::helper;

/// Who answers, answers in less.
const FIRST: Duration = Duration::from_secs(2);
/// How often it is looked again.
const AGAIN: Duration = Duration::from_secs(10);
/// What rustls says of a certificate that Go's client refuses as well, and that nobody changes while somebody waits.
const FINAL: [&str; 6] = [
    "UnknownIssuer",
    "Expired",
    "certificate expired",
    "NotValidForName",
    "not valid for name",
    "BadSignature",
];

/// Does what asks a replica, and looks meanwhile why there is no answer, until there is `any` of one.
///
/// # Errors
/// Why there will be none.
pub(super) async fn ask<T>(
    runner: &Runner,
    db: &Database,
    any: &Cell<bool>,
    work: impl Future<Output = T>,
) -> Result<T, String> {
    let Some(place) = &db.place else { return Ok(work.await) };
    match select(pin!(work), pin!(look(runner, db, place, any))).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right((reason, _)) => Err(reason),
    }
}

/// Says why there is no answer, each reason once; returns with one that does not pass.
async fn look(runner: &Runner, db: &Database, place: &Place, any: &Cell<bool>) -> String {
    let (mut said, mut pause) = (None, FIRST);
    loop {
        tokio::time::sleep(pause).await;
        if any.get() {
            return std::future::pending().await;
        }
        let cause = helper::reach(runner, place).await;
        match cause {
            Some(cause) if is_final(&cause) => return cause,
            // A slow server is none that does not answer.
            None if pause == FIRST => {}
            cause if said.as_ref() != Some(&cause) => {
                let why = cause.as_ref().map_or(String::new(), |cause| format!(" ({cause})"));
                tracing::warn!(
                    "{}: no answer from {} yet{why}: litestream is retrying",
                    db.path.display(),
                    db.replica
                );
                said = Some(cause);
            }
            Some(_) | None => {}
        }
        pause = AGAIN;
    }
}

fn is_final(cause: &str) -> bool {
    cause.contains(helper::DISTRUSTED) && FINAL.iter().any(|kind| cause.contains(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certificate_that_nobody_trusts_is_final() {
        for cause in [
            "UnknownIssuer",
            "certificate not valid for name \"h\"; certificate is only valid for x",
            "Expired",
            "ExpiredContext { .. }",
            "NotValidForNameContext { .. }",
        ] {
            assert!(is_final(&format!("h:443: invalid peer certificate: {cause}")), "{cause}");
        }
        for cause in [
            "h:443: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
            "h:443: connection refused",
            "h:443 answers 503 Service Unavailable",
        ] {
            assert!(!is_final(cause), "{cause}");
        }
    }
}
