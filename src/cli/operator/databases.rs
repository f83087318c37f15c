//! `litekeeper databases`.

use std::time::Duration;

use serde_json::json;

use super::args;
use super::candidate::{self, Candidate};
use super::shown::{self, Lines};
use super::told;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::printer::Paint;

/// How long a running keeper may take to say what its sources name.
const LIMIT: Duration = Duration::from_secs(10);

/// Lists the databases and where they go. Nobody is asked but a running keeper, where sources name databases.
///
/// # Errors
/// What is wrong with the configuration.
pub(in crate::cli) fn databases(args: &args::Databases) -> Result<ExitCode, Failure> {
    let (_, _, chosen, _) = candidate::chosen_beside(&args.given, &args.dbs, LIMIT, told::has_sources)?;
    let rows = |one: &Candidate| -> Vec<_> {
        let (path, alias) = (one.db.path.to_string_lossy().into_owned(), one.aliases.first().cloned());
        let replicas = one.replicas.iter().cloned();
        replicas.map(|(replica, kind)| (path.clone(), alias.clone(), replica, kind)).collect()
    };
    let rows: Vec<_> = chosen.iter().flat_map(rows).collect();
    if args.json {
        let row = |(path, alias, replica, kind): &(String, Option<String>, String, String)| json!({"path": path, "alias": alias, "replica": replica, "type": kind});
        shown::json(&rows.iter().map(row).collect())?;
        return Ok(ExitCode::OK);
    }
    let mut lines = Lines::new(["DATABASE", "ALIAS", "TYPE", "REPLICA"]);
    for (path, alias, replica, kind) in rows {
        lines.add(Paint::Plain, [path, shown::known(alias), kind, replica]);
    }
    lines.print("no database")?;
    Ok(ExitCode::OK)
}
