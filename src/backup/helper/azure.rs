//! The client for Azure's storage, and who may go there, as Litestream finds it out (`Init` in its abs/replica_client.go, and
//! `NewDefaultAzureCredential` of `azidentity`).

use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};

use super::agent::{Agent, Listing};
use super::client::{retries, variable, words};
use super::order::CANNOT;
use crate::os::{fd, open};
use crate::remote::Azure;

/// A token is a line; nobody reads a longer one.
const LONGEST: usize = 1 << 20;

/// Who says that somebody may go there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// A token (SAS), as a query has it.
    Token(String),
    /// The account's key.
    Key(String),
    /// An application, by its secret.
    Secret { tenant: String, client: String, secret: String },
    /// A workload of a cluster, by a token in this file.
    Workload { tenant: String, client: String, file: String },
    /// The machine's own server, which knows this identity of several.
    Machine(Option<String>),
}

/// Who it is.
///
/// # Errors
/// It is got in a way that only Litestream knows.
fn source(place: &Azure, variable: &dyn Fn(&str) -> Option<String>) -> Result<Source, String> {
    let own = |own: &Option<String>, name| own.clone().or_else(|| variable(name));
    if let Some(token) = own(&place.token, "LITESTREAM_AZURE_SAS_TOKEN") {
        return Ok(Source::Token(token));
    }
    if let Some(key) = own(&place.key, "LITESTREAM_AZURE_ACCOUNT_KEY").filter(|_| place.account.is_some()) {
        return Ok(Source::Key(key));
    }
    // It leaves some of the ways out that follow, and may name others.
    if variable("AZURE_TOKEN_CREDENTIALS").is_some() {
        return Err(format!("AZURE_TOKEN_CREDENTIALS says who gives a token, {CANNOT}"));
    }
    let client = variable("AZURE_CLIENT_ID");
    let Some((tenant, client)) = variable("AZURE_TENANT_ID").zip(client.clone()) else {
        return Ok(Source::Machine(client));
    };
    if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
        return Ok(Source::Secret { tenant, client, secret });
    }
    for (name, by) in
        [("AZURE_CLIENT_CERTIFICATE_PATH", "a certificate"), ("AZURE_USERNAME", "a user's name and password")]
    {
        if variable(name).is_some() {
            return Err(format!("the token is got for {by} ({name}), {CANNOT}"));
        }
    }
    Ok(match variable("AZURE_FEDERATED_TOKEN_FILE") {
        Some(file) => Source::Workload { tenant, client, file },
        None => Source::Machine(Some(client)),
    })
}

/// Opens a place's container.
pub(super) async fn store(place: &Azure, max_retries: usize) -> Result<MicrosoftAzure, String> {
    let Some(endpoint) = place.server() else {
        return Err("account name is required when endpoint is not specified".to_owned());
    };
    let is_plain = endpoint.starts_with("http://");
    let agent = Agent::new(false, !is_plain).listing(Listing::Container(place.container.clone()));
    let builder = MicrosoftAzureBuilder::new()
        // A token needs none.
        .with_account(place.account.as_deref().unwrap_or("none"))
        .with_container_name(&place.container)
        .with_endpoint(endpoint.trim_end_matches('/').to_owned())
        .with_allow_http(is_plain)
        .with_http_connector(agent)
        .with_retry(retries(max_retries));
    let set = |builder: MicrosoftAzureBuilder, all: &[(AzureConfigKey, &str)]| {
        all.iter().fold(builder, |builder, (key, value)| builder.with_config(*key, *value))
    };
    // The cluster's has a slash at its end, which the library does not expect.
    let authority = variable("AZURE_AUTHORITY_HOST");
    let at_authority = |builder: MicrosoftAzureBuilder| match &authority {
        Some(host) => builder.with_authority_host(host.trim_end_matches('/')),
        None => builder,
    };
    let source = source(place, &variable)?;
    // It lives for as long as the store.
    let mut token = None;
    let builder = match &source {
        Source::Token(token) => {
            set(builder, &[(AzureConfigKey::SasKey, token), (AzureConfigKey::CredentialType, "sas_token")])
        }
        Source::Key(key) => builder.with_access_key(key),
        Source::Secret { tenant, client, secret } => {
            at_authority(builder.with_client_secret_authorization(client, secret, tenant))
        }
        Source::Workload { tenant, client, file } => {
            let read = open::whole(std::path::Path::new(file), LONGEST).and_then(|text| fd::memory(&text));
            let file = token.insert(read.map_err(|error| format!("{file}: {error}"))?);
            let path = fd::path(file).display().to_string();
            let builder =
                builder.with_client_id(client).with_tenant_id(tenant).with_federated_token_file(path);
            at_authority(set(builder, &[(AzureConfigKey::CredentialType, "workload_identity")]))
        }
        Source::Machine(client) => {
            let builder = set(builder, &[(AzureConfigKey::CredentialType, "managed_identity")]);
            let builder = client.iter().fold(builder, MicrosoftAzureBuilder::with_client_id);
            match variable("IDENTITY_ENDPOINT") {
                Some(server) => builder.with_msi_endpoint(server),
                None => builder,
            }
        }
    };
    let store = builder.build().map_err(|error| words(&error))?;
    let asked = store.credentials().get_credential().await.map_err(|error| words(&error));
    match asked {
        Ok(_) => Ok(store),
        // Where a machine has no such server, Litestream goes on to Azure's command line and others.
        Err(error) if matches!(source, Source::Machine(_)) => Err(format!(
            "the machine's own server gives no token, and there are other ways, {CANNOT}: {error}"
        )),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_it_is_is_found_out_as_litestream_does() {
        let place = |account: Option<&str>, key: Option<&str>, token: Option<&str>| Azure {
            container: "c".to_owned(),
            prefix: String::new(),
            account: account.map(str::to_owned),
            endpoint: None,
            key: key.map(str::to_owned),
            token: token.map(str::to_owned),
        };
        let of = |place: &Azure, env: &[(&str, &str)]| {
            source(place, &|name| {
                env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let key = ("LITESTREAM_AZURE_ACCOUNT_KEY", "ek");
        let token = ("LITESTREAM_AZURE_SAS_TOKEN", "et");
        let app = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "i")];
        let secret = ("AZURE_CLIENT_SECRET", "s");
        let file = ("AZURE_FEDERATED_TOKEN_FILE", "/f");
        let key_of = |text: &str| Source::Key(text.to_owned());
        let token_of = |text: &str| Source::Token(text.to_owned());
        let (tenant, client) = ("t".to_owned(), "i".to_owned());
        for (place, env, found) in [
            (place(Some("a"), Some("k"), Some("t")), &[key, token][..], token_of("t")),
            (place(Some("a"), Some("k"), None), &[key, token], token_of("et")),
            (place(Some("a"), Some("k"), None), &[key], key_of("k")),
            (place(Some("a"), None, None), &[key, secret], key_of("ek")),
            (place(None, Some("k"), None), &[key], Source::Machine(None)),
            (
                place(Some("a"), None, None),
                &[app[0], app[1], secret, file],
                Source::Secret { tenant: tenant.clone(), client: client.clone(), secret: "s".to_owned() },
            ),
            (
                place(Some("a"), None, None),
                &[app[0], app[1], file],
                Source::Workload { tenant, client, file: "/f".to_owned() },
            ),
            (place(Some("a"), None, None), &[app[1], secret], Source::Machine(Some("i".to_owned()))),
            (place(Some("a"), None, None), &[app[0], app[1]], Source::Machine(Some("i".to_owned()))),
        ] {
            assert_eq!(of(&place, env), Ok(found), "{env:?}");
        }
        for env in [
            &[("AZURE_TOKEN_CREDENTIALS", "dev")][..],
            &[app[0], app[1], ("AZURE_CLIENT_CERTIFICATE_PATH", "/c")],
            &[app[0], app[1], ("AZURE_USERNAME", "u")],
        ] {
            assert!(of(&place(Some("a"), None, None), env).unwrap_err().contains(CANNOT), "{env:?}");
        }
    }
}
