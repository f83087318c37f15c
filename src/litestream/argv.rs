//! Litestream's command lines.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::version::Version;

/// What stays as it is in the path of a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

/// Makes the words of `litestream version`.
pub fn version() -> Vec<OsString> {
    vec!["version".into()]
}

/// Makes the words of `litestream replicate` with the shim as its child.
///
/// Litestream splits `exec` like a shell (its `-exec` flag), so it holds nothing that needs quoting.
pub fn replicate(config: &Path, exec: &str) -> Vec<OsString> {
    with_config("replicate", config, [OsString::from("-exec"), exec.into()])
}

/// Makes the words of `litestream replicate -once` (0.5.6): one sync of each database, and the end.
pub fn replicate_once(config: &Path) -> Vec<OsString> {
    with_config("replicate", config, ["-once".into()])
}

/// Returns the same of one database, to a folder of this machine.
pub fn replicate_to(db: &Path, folder: &Path) -> Vec<OsString> {
    let folder = percent_encode(folder.as_os_str().as_bytes(), PATH);
    vec!["replicate".into(), "-once".into(), db.into(), format!("file://{folder}").into()]
}

/// Does as [`replicate_once`], with a snapshot of each database, which is a beginning of its own for restores.
pub fn snapshot_once(config: &Path) -> Vec<OsString> {
    with_config("replicate", config, ["-once".into(), "-force-snapshot".into()])
}

/// Makes the words of `litestream restore` to `output`, where "no backup" is no failure: then there is no output.
pub fn restore(config: &Path, output: &Path, db: &Path) -> Vec<OsString> {
    restore_with(config, output, db, &[])
}

/// The same with further options.
pub fn restore_with(config: &Path, output: &Path, db: &Path, options: &[OsString]) -> Vec<OsString> {
    let options = ["-if-replica-exists".into()].into_iter().chain(options.iter().cloned());
    with_config("restore", config, options.chain(["-o".into(), output.into(), db.into()]))
}

/// The same up to one transaction (0.5), which must be there.
pub fn restore_txid(
    config: &Path,
    output: &Path,
    db: &Path,
    txid: u64,
    options: &[OsString],
) -> Vec<OsString> {
    let options = ["-txid".into(), txid_text(txid).into()].into_iter().chain(options.iter().cloned());
    with_config("restore", config, options.chain(["-o".into(), output.into(), db.into()]))
}

/// A restore that goes on with what comes (0.5.9).
pub fn follow(config: &Path, output: &Path, db: &Path, options: &[OsString]) -> Vec<OsString> {
    with_config("restore", config, options.iter().cloned().chain(["-o".into(), output.into(), db.into()]))
}

/// What a restore would fetch, as `restore -dry-run -json` tells it (0.5.12).
pub fn plan(config: &Path, db: &Path, options: &[OsString]) -> Vec<OsString> {
    let options = ["-dry-run".into(), "-json".into()].into_iter().chain(options.iter().cloned());
    with_config("restore", config, options.chain(["-o".into(), "/dev/null".into(), db.into()]))
}

/// A listing by a command of this name (`ltx`, `snapshots`, `generations`, `wal`).
pub fn list(command: &str, config: &Path, db: &Path, options: &[OsString]) -> Vec<OsString> {
    with_config(command, config, options.iter().cloned().chain([db.into()]))
}

/// Returns a transaction as Litestream 0.5 prints and reads it.
pub fn txid_text(txid: u64) -> String {
    format!("{txid:016x}")
}

/// Makes the words that list every file of a backup (0.5): `min_txid max_txid size created`, before which may stand its level.
/// Releases that do not know of levels here list those of single transactions alone.
pub fn files(config: &Path, db: &Path, all_levels: bool) -> Vec<OsString> {
    let levels: &[&str] = if all_levels { &["-level", "all"] } else { &[] };
    with_config("ltx", config, levels.iter().map(OsString::from).chain([db.into()]))
}

/// Says what a replica holds, in the words that this version has for it; see [`super::position`].
pub fn listing(version: Version, config: &Path, db: &Path) -> Vec<OsString> {
    if version.plans() {
        plan(config, db, &[])
    } else if version.is_ltx() {
        with_config("ltx", config, [db.into()])
    } else {
        with_config("wal", config, [db.into()])
    }
}

fn with_config(command: &str, config: &Path, further: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args = vec![command.into(), "-config".into(), config.into()];
    args.extend(further);
    args
}
