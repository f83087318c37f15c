//! Where health, metrics and the page are, and who may ask for them.

use super::args;
use super::layers::Layers;
use super::mounted::text_variable;
use crate::config::KeeperSection;
use crate::core::ExitCode;
use crate::error::Failure;
use crate::http::{Account, Open, Settings};
use crate::secrets;

/// The name of a person whose password alone is given.
const NAME: &str = "litekeeper";
/// What keeps it from everybody else, for hints.
const AUTH: &str = "set LITESTREAM_USERNAME and LITESTREAM_PASSWORD, or `litekeeper.http.auth`";

/// All that is said of it.
///
/// # Errors
/// It can be answered to nobody, or a name has no password.
pub(super) fn settings(layers: &Layers, section: &KeeperSection) -> Result<Settings, Failure> {
    let opens = |what| layers.args.http_open.contains(&what);
    let settings = Settings {
        address: layers.args.http,
        account: account(section)?,
        open: Open { health: opens(args::HttpOpen::Health), metrics: opens(args::HttpOpen::Metrics) },
    };
    match settings.refused() {
        None => Ok(settings),
        Some(why) => {
            Err(Failure::new(ExitCode::CONFIG, format!("{}: {why}", layers.origin("http"))).hint(format!(
                "{AUTH}; or open what a platform asks for: `--http-open health,metrics`; or listen on this machine alone: \
                 `--http 127.0.0.1:9090`"
            )))
        }
    }
}

fn account(section: &KeeperSection) -> Result<Account, Failure> {
    // The variables of litestream-ruby; one that is empty counts as none.
    let said = |variable: &str, key: &str| {
        let of_file =
            || section.get(&format!("http.auth.{key}")).and_then(|setting| setting.values.first().cloned());
        text_variable(variable).filter(|value| !value.is_empty()).or_else(of_file)
    };
    let (name, password) = (said("LITESTREAM_USERNAME", "username"), said("LITESTREAM_PASSWORD", "password"));
    let token = said("LITEKEEPER_HTTP_TOKEN", "token");
    [&password, &token].into_iter().flatten().for_each(|secret| secrets::know(secret));
    let person = match (name, password) {
        (None, None) => None,
        (name, Some(password)) => Some((name.unwrap_or_else(|| NAME.to_owned()), password)),
        (Some(name), None) => {
            let message = format!("LITESTREAM_USERNAME `{name}`: it has no password");
            return Err(Failure::new(ExitCode::CONFIG, message).hint(AUTH));
        }
    };
    Ok(Account { person, token })
}
