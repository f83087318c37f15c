//! Which Litestream there is.

use std::path::PathBuf;

use super::rules::{LITESTREAM_BAD, LITESTREAM_MISSING, LITESTREAM_OLD, LITESTREAM_OTHER};
use crate::config::Origin;
use crate::config::lint::Lint;
use crate::litestream::binary;
use crate::litestream::command::Runner;
use crate::litestream::version::{Judged, Version, judge};

/// What was found.
#[derive(Default)]
pub struct FoundLitestream {
    /// The binary and its version, if it is one that can be used.
    pub usable: Option<(PathBuf, Version)>,
    /// What there is to say about it.
    pub lints: Vec<Lint>,
}

/// Looks for Litestream and asks it for its version.
///
/// `wanted` is the version that the settings ask for, `allowed` the one that runs although it is bad.
pub async fn look(
    binary: Result<PathBuf, binary::Error>,
    runner: impl FnOnce(PathBuf) -> Runner,
    wanted: Option<Version>,
    allowed: Option<&str>,
) -> FoundLitestream {
    let lint = |rule, message: String| Lint::new(rule, &Origin::Environment, message);
    let path = match binary {
        Ok(path) => path,
        Err(error) => {
            let lint = lint(LITESTREAM_MISSING, error.to_string()).hint(error.hint());
            return FoundLitestream { usable: None, lints: vec![lint] };
        }
    };
    let shown = path.display();
    let output = match runner(path.clone()).version().await {
        Ok(output) => output,
        Err(error) => {
            let lint = lint(LITESTREAM_MISSING, format!("`{shown} version`: {error}"));
            let hint = "`litekeeper install` gets a litestream that runs here";
            return FoundLitestream { usable: None, lints: vec![lint.hint(hint)] };
        }
    };
    let Some(Judged { version, other, is_bad }) = judge(&output.stdout, wanted, allowed) else {
        let (message, hint) = output.no_version(&path);
        return FoundLitestream { usable: None, lints: vec![lint(LITESTREAM_MISSING, message).hint(hint)] };
    };
    let mut lints = Vec::new();
    if is_bad {
        let message = format!("litestream {version} ({shown}) is known to stop replicating without a word");
        lints.push(lint(LITESTREAM_BAD, message).hint("`litekeeper install` gets a good one"));
    } else if !version.confirms() {
        let message = format!("litestream {version} ({shown}) cannot confirm replication while the app runs");
        lints.push(lint(LITESTREAM_OLD, message).hint("use 0.5.12 or later: `litekeeper install` gets it"));
    }
    if let Some(wanted) = other {
        let message = format!("litestream {version} ({shown}) is not the {wanted} that the settings ask for");
        let hint = format!("`litekeeper install --version {wanted}` gets it");
        lints.push(lint(LITESTREAM_OTHER, message).hint(hint));
    }
    FoundLitestream { usable: Some((path, version)), lints }
}
