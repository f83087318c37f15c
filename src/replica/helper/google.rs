//! Who may go to Google's storage, as Litestream's library finds it out (`FindDefaultCredentials` of `golang.org/x/oauth2/google`), and where that
//! is (`NewClient` of `cloud.google.com/go/storage`).

use serde::Deserialize;

use super::order::CANNOT;

/// A file of credentials has a key and some lines; nobody reads a longer one.
pub(super) const LONGEST: usize = 1 << 20;
/// Google's own cloud.
const UNIVERSE: &str = "googleapis.com";

/// Who gives the token of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenSource {
    /// Nobody is asked for one: an emulator.
    Nobody,
    /// A service account, with its key in this text.
    Account(String),
    /// A user of gcloud's, with what a token is got for in this text.
    User(String),
    /// The machine's own server.
    Machine,
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(rename = "type", default)]
    kind: String,
    universe_domain: Option<String>,
}

/// Who it is; `read` has a file's text.
///
/// # Errors
/// It is got in a way that only Litestream knows, or what is named is not there.
pub(super) fn source(
    variable: &dyn Fn(&str) -> Option<String>,
    read: impl Fn(&str) -> Result<String, String>,
) -> Result<TokenSource, String> {
    if variable("STORAGE_EMULATOR_HOST").is_some() {
        return Ok(TokenSource::Nobody);
    }
    let elsewhere = |domain: &str| format!("the cloud is that of {domain}, {CANNOT}");
    if let Some(domain) = variable("GOOGLE_CLOUD_UNIVERSE_DOMAIN").filter(|domain| domain != UNIVERSE) {
        return Err(elsewhere(&domain));
    }
    let text = match variable("GOOGLE_APPLICATION_CREDENTIALS") {
        Some(path) => Some(read(&path).map_err(|error| {
            format!("GOOGLE_APPLICATION_CREDENTIALS environment variable: {path}: {error}")
        })?),
        // One of gcloud's that cannot be read counts as none.
        None => variable("HOME").and_then(|home| {
            read(&format!("{home}/.config/gcloud/application_default_credentials.json")).ok()
        }),
    };
    let Some(text) = text else { return Ok(TokenSource::Machine) };
    let Credentials { kind, universe_domain } = serde_json::from_str(&text)
        .map_err(|error| format!("the file of credentials cannot be read: {error}"))?;
    match universe_domain.filter(|domain| !domain.is_empty() && domain != UNIVERSE) {
        Some(domain) => Err(elsewhere(&domain)),
        None if kind == "service_account" => Ok(TokenSource::Account(text)),
        None if kind == "authorized_user" => Ok(TokenSource::User(text)),
        None => Err(format!("the credentials are of the type `{kind}`, {CANNOT}")),
    }
}

/// Where the storage is: of an emulator's address nothing but scheme, host and port counts.
pub(super) fn server(variable: &dyn Fn(&str) -> Option<String>) -> String {
    let Some(host) = variable("STORAGE_EMULATOR_HOST") else {
        return format!("https://storage.{UNIVERSE}");
    };
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", &host));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{authority}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(env: &[(&str, &str)]) -> Result<TokenSource, String> {
        source(&|name| of(env, name), |path| match path {
            "/account" => {
                Ok(r#"{"type": "service_account", "universe_domain": "googleapis.com"}"#.to_owned())
            }
            "/federated" => Ok(r#"{"type": "external_account", "audience": "x"}"#.to_owned()),
            "/else" => Ok(r#"{"type": "service_account", "universe_domain": "example.com"}"#.to_owned()),
            "/rubbish" => Ok("sesame".to_owned()),
            "/home/me/.config/gcloud/application_default_credentials.json" => {
                Ok(r#"{"type": "authorized_user"}"#.to_owned())
            }
            _ => Err("no such file".to_owned()),
        })
    }

    fn of(env: &[(&str, &str)], name: &str) -> Option<String> {
        env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn who_it_is_is_found_out_as_litestream_does() {
        const FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
        let home = ("HOME", "/home/me");
        let account = TokenSource::Account(
            r#"{"type": "service_account", "universe_domain": "googleapis.com"}"#.to_owned(),
        );
        let user = TokenSource::User(r#"{"type": "authorized_user"}"#.to_owned());
        for (env, found) in [
            (&[][..], TokenSource::Machine),
            (&[("HOME", "/nowhere")], TokenSource::Machine),
            (&[home], user.clone()),
            (&[home, (FILE, "/account")], account),
            (&[home, ("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "googleapis.com")], user),
            (&[home, (FILE, "/nowhere"), ("STORAGE_EMULATOR_HOST", "h:1")], TokenSource::Nobody),
        ] {
            assert_eq!(look(env), Ok(found), "{env:?}");
        }
        for (env, is_blind, why) in [
            (&[home, (FILE, "/federated")][..], true, "of the type `external_account`"),
            (&[(FILE, "/else")], true, "example.com"),
            (&[("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.com")], true, "example.com"),
            (&[home, (FILE, "/nowhere")], false, "/nowhere: no such file"),
            (&[(FILE, "/rubbish")], false, "cannot be read"),
        ] {
            let refused = look(env).unwrap_err();
            assert!(refused.contains(why) && refused.contains(CANNOT) == is_blind, "{refused}");
            assert!(!refused.contains("sesame"), "{refused}");
        }
    }

    #[test]
    fn an_emulator_is_where_litestream_looks_for_it() {
        for (host, found) in [
            (None, "https://storage.googleapis.com"),
            (Some("localhost:4443"), "http://localhost:4443"),
            (Some("https://localhost:4443/storage/v1/"), "https://localhost:4443"),
            (Some("http://[::1]:9?x"), "http://[::1]:9"),
        ] {
            let variable = |name: &str| host.filter(|_| name == "STORAGE_EMULATOR_HOST").map(str::to_owned);
            assert_eq!(server(&variable), found);
        }
    }
}
