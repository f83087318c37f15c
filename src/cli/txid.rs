//! `--restore-txid`: which transaction, and of which database.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::layers::Layers;
use crate::backup::Chosen;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::litestream::argv;
use crate::litestream::database::Database;

/// One transaction, with a database or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreTxid {
    db: Option<PathBuf>,
    txid: u64,
}

/// Reads `[PATH=]TXID`; a transaction is sixteen hex digits, as Litestream prints and reads them.
///
/// # Errors
/// A fragment that says what is wrong.
pub fn parse(text: &str) -> Result<RestoreTxid, String> {
    let (db, txid) = match text.rsplit_once('=') {
        Some((db, txid)) => (Some(PathBuf::from(db)), txid),
        None => (None, text),
    };
    let is_one = txid.len() == 16 && txid.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u64::from_str_radix(txid, 16) {
        Ok(number) if is_one && number > 0 && db.as_deref() != Some(Path::new("")) => {
            Ok(RestoreTxid { db, txid: number })
        }
        Ok(_) | Err(_) => Err(format!(
            "not a txid: write it as litestream does, {}, behind the path of its database where there are several",
            argv::txid_text(0x12)
        )),
    }
}

/// Which databases are meant. `more` says whether there may be others than `dbs`.
///
/// # Errors
/// That is not clear.
pub(super) fn chosen(layers: &Layers, dbs: &[Database], more: bool, cwd: &Path) -> Result<Chosen, Failure> {
    let origin = layers.origin("restore_txid");
    let wrong =
        |what: &str, hint: &str| Err(Failure::new(ExitCode::CONFIG, format!("{origin}: {what}")).hint(hint));
    let is_alone = dbs.len() == 1 && !more;
    let mut txids = BTreeMap::new();
    for RestoreTxid { db, txid } in &layers.args.restore_txid {
        let path = match (db, dbs) {
            (Some(db), _) => cwd.join(db),
            (None, [db]) if is_alone => db.path.clone(),
            (None, _) => {
                return wrong(
                    "which database is meant is not clear",
                    "say it before the txid: --restore-txid PATH=TXID",
                );
            }
        };
        if !more && dbs.iter().all(|db| db.path != path) {
            let names: Vec<String> = dbs.iter().map(|db| db.path.display().to_string()).collect();
            return wrong(
                &format!("{} is no database of this configuration", path.display()),
                &format!("these are: {}", names.join(", ")),
            );
        }
        if txids.insert(path.clone(), *txid).is_some_and(|other| other != *txid) {
            return wrong(&format!("two txids for {}", path.display()), "leave one of them out");
        }
    }
    Ok(Chosen { txids, is_alone })
}

/// Refuses what a Litestream without transactions cannot do.
///
/// # Errors
/// Then.
pub(super) fn check(chosen: &Chosen, is_ltx: bool) -> Result<(), Failure> {
    if is_ltx || chosen.txids.is_empty() {
        return Ok(());
    }
    Err(Failure::new(ExitCode::CONFIG, "--restore-txid: litestream 0.3 has no txids")
        .hint("leave it out; `litestream restore -timestamp TIME` or `-index` goes back by hand"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_txid_is_written_as_litestream_does() {
        let one = |db: Option<&str>, txid| Ok(RestoreTxid { db: db.map(PathBuf::from), txid });
        assert_eq!(parse("0000000000000012"), one(None, 0x12));
        assert_eq!(parse("00000000000000aF"), one(None, 0xaf));
        assert_eq!(parse("data/a=b.db=0000000000000012"), one(Some("data/a=b.db"), 0x12));
        for rubbish in [
            "",
            "12",
            "0000000000000000",
            "00000000000000000012",
            "+000000000000012",
            "x",
            "=0000000000000012",
        ] {
            assert!(parse(rubbish).unwrap_err().contains("0000000000000012"), "{rubbish}");
        }
    }
}
