//! The variables that make `run` get out of the way.

use super::process::variable;
use crate::config::{self, Origin, Problem};

/// Their names.
const SWITCHES: [&str; 2] = ["LITEKEEPER_ENABLED", "LITESTREAM_ENABLED"];

/// The one that switches replication off, if one does.
///
/// # Errors
/// One says neither: nobody knows whether its app is to be replicated.
pub(super) fn off() -> Result<Option<&'static str>, config::Error> {
    let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
    config::refuse_unread(SWITCHES.map(|name| (name, false)), &text)?;
    let mut found = None;
    for name in SWITCHES {
        let Some(value) = text(name) else { continue };
        match config::switch(value.trim()) {
            Some(true) => {}
            Some(false) => found = found.or(Some(name)),
            None => {
                let wanted = "true, 1, yes or on, or else false, 0, no or off";
                let problem = Problem::Variable { variable: name, value, wanted };
                return Err(config::Error::new(Origin::Environment, 0, 0, problem));
            }
        }
    }
    Ok(found)
}
