//! What `--restore-from` and `--restore-txid` ask for of the databases that there are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::from::RestoreFrom;
use super::layers::Layers;
use super::txid::RestoreTxid;
use crate::backup::Chosen;
use crate::config::lint::{self, Severity};
use crate::config::{self, Config, Series};
use crate::core::ExitCode;
use crate::error::Failure;
use crate::inventory;
use crate::litestream::database::Database;
use crate::secrets;

/// The databases that `--restore-from` restores from elsewhere, each there.
///
/// # Errors
/// A database is not in this configuration, or a text is not a place.
pub(super) fn elsewhere(layers: &Layers, configured: &Config, cwd: &Path) -> Result<Option<Config>, Failure> {
    let origin = layers.origin("restore_from");
    let wrong =
        |what: &str, hint: &str| Err(Failure::new(ExitCode::CONFIG, format!("{origin}: {what}")).hint(hint));
    let (mut all, mut each): (Option<&str>, BTreeMap<PathBuf, String>) = (None, BTreeMap::new());
    for RestoreFrom { db, place } in &layers.args.restore_from {
        config::secrets_of_url(place).for_each(secrets::know);
        let before = match db {
            None => all.replace(place).map(str::to_owned),
            Some(db) => {
                let path = cwd.join(db);
                if configured.databases().iter().all(|known| known.path != path) {
                    let known = configured.databases().iter().map(|known| known.path.display().to_string());
                    let known: Vec<String> = known.collect();
                    return wrong(
                        &format!("{} is no database of this configuration", path.display()),
                        &format!("these are: {}", known.join(", ")),
                    );
                }
                each.insert(path, place.clone())
            }
        };
        if before.is_some_and(|before| before != *place) {
            return wrong("two places for the same databases", "leave one of them out");
        }
    }
    if all.is_none() && each.is_empty() {
        return Ok(None);
    }
    if configured.databases().is_empty() {
        return wrong(
            "no database is named in the configuration",
            "it is for those that stand under `dbs` with a `path`: name them there, or leave it out",
        );
    }
    let config = config::from_elsewhere(configured, all, &each).map_err(|error| {
        let failure = inventory::failure(&error);
        Failure { message: format!("{origin}: {}", failure.message), ..failure }
    })?;
    // Which Litestream runs is not known yet; what none knows is no place.
    let known = [Series::V05, Series::V03].map(|series| lint::replicas(&config, series));
    if let Some(refused) =
        known[0].iter().find(|lint| known[1].contains(lint) && lint.rule.severity == Severity::Error)
    {
        return wrong(
            &refused.message,
            refused.hint.as_deref().unwrap_or("name a place that Litestream knows"),
        );
    }
    Ok(Some(config).filter(|config| !config.databases().is_empty()))
}

/// Which databases `--restore-txid` means. `more` says whether there may be others than `dbs`.
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
    Ok(Chosen { txids, is_alone, by_restore: false })
}

/// Refuses `--restore-txid` for a Litestream that knows no transactions.
///
/// # Errors
/// Then.
pub(super) fn refuse_without_txids(chosen: &Chosen, is_ltx: bool) -> Result<(), Failure> {
    if is_ltx || chosen.txids.is_empty() {
        return Ok(());
    }
    Err(Failure::new(ExitCode::CONFIG, "--restore-txid: litestream 0.3 has no txids")
        .hint("leave it out; `litekeeper restore --timestamp TIME` or `--index` goes back by hand"))
}
