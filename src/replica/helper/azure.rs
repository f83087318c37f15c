//! The client for Azure's storage, and who may go there, as Litestream finds it out (`Init` in its abs/replica_client.go, and
//! `NewDefaultAzureCredential` of `azidentity`).

use std::fmt;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use http_body_util::BodyExt as _;
use object_store::azure::{AzureAuthorizer, AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::HttpClient;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::{Request, StatusCode};

use super::agent::{Agent, Listing};
use super::client::{Later, retries, variable, words};
use super::order::CANNOT;
use crate::os::{fd, open};
use crate::remote::Azure;

/// A token is a line; nobody reads a longer one.
const LONGEST: usize = 1 << 20;

/// Who says that somebody may go there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Credential {
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
fn source(place: &Azure, variable: &dyn Fn(&str) -> Option<String>) -> Result<Credential, String> {
    let own = |own: &Option<String>, name| own.clone().or_else(|| variable(name));
    if let Some(token) = own(&place.token, "LITESTREAM_AZURE_SAS_TOKEN") {
        return Ok(Credential::Token(token));
    }
    if let Some(key) = own(&place.key, "LITESTREAM_AZURE_ACCOUNT_KEY").filter(|_| place.account.is_some()) {
        return Ok(Credential::Key(key));
    }
    // It leaves some of the ways out that follow, and may name others.
    if variable("AZURE_TOKEN_CREDENTIALS").is_some() {
        return Err(format!("AZURE_TOKEN_CREDENTIALS says who gives a token, {CANNOT}"));
    }
    let client = variable("AZURE_CLIENT_ID");
    let Some((tenant, client)) = variable("AZURE_TENANT_ID").zip(client.clone()) else {
        return Ok(Credential::Machine(client));
    };
    if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
        return Ok(Credential::Secret { tenant, client, secret });
    }
    for (name, by) in
        [("AZURE_CLIENT_CERTIFICATE_PATH", "a certificate"), ("AZURE_USERNAME", "a user's name and password")]
    {
        if variable(name).is_some() {
            return Err(format!("the token is got for {by} ({name}), {CANNOT}"));
        }
    }
    Ok(match variable("AZURE_FEDERATED_TOKEN_FILE") {
        Some(file) => Credential::Workload { tenant, client, file },
        None => Credential::Machine(Some(client)),
    })
}

/// Opens a place's container.
pub(super) async fn store(place: &Azure, max_retries: usize) -> Result<Container, String> {
    let Some(endpoint) = place.server() else {
        return Err("account name is required when endpoint is not specified".to_owned());
    };
    let is_plain = endpoint.starts_with("http://");
    let agent = Agent::new(false, !is_plain).listing(Listing::Container(place.container.clone()));
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    // A token needs none.
    let account = place.account.clone().unwrap_or_else(|| "none".to_owned());
    let url = format!("{endpoint}/{}", escape(&place.container));
    let builder = MicrosoftAzureBuilder::new()
        .with_account(&account)
        .with_container_name(&place.container)
        .with_endpoint(endpoint)
        .with_allow_http(is_plain)
        .with_http_connector(agent.clone())
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
        Credential::Token(token) => {
            set(builder, &[(AzureConfigKey::SasKey, token), (AzureConfigKey::CredentialType, "sas_token")])
        }
        Credential::Key(key) => builder.with_access_key(key),
        Credential::Secret { tenant, client, secret } => {
            at_authority(builder.with_client_secret_authorization(client, secret, tenant))
        }
        Credential::Workload { tenant, client, file } => {
            let read = open::whole(std::path::Path::new(file), LONGEST).and_then(|text| fd::memory(&text));
            let file = token.insert(read.map_err(|error| format!("{file}: {error}"))?);
            let path = fd::path(file).display().to_string();
            let builder =
                builder.with_client_id(client).with_tenant_id(tenant).with_federated_token_file(path);
            at_authority(set(builder, &[(AzureConfigKey::CredentialType, "workload_identity")]))
        }
        Credential::Machine(client) => {
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
        Ok(_) => Ok(Container { store, client: HttpClient::new(agent), url, account }),
        // Where a machine has no such server, Litestream goes on to Azure's command line and others.
        Err(error) if matches!(source, Credential::Machine(_)) => Err(format!(
            "the machine's own server gives no token, and there are other ways, {CANNOT}: {error}"
        )),
        Err(error) => Err(error),
    }
}

/// What is not escaped in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escape(part: &str) -> String {
    utf8_percent_encode(part, PLAIN).to_string()
}

/// A container of Azure's: the library's, which removes things one by one. The library would have them removed by a request that has
/// requests in it, which not everybody may make who may remove something: it fails with a token (SAS).
#[derive(Clone, Debug)]
pub(super) struct Container {
    store: MicrosoftAzure,
    client: HttpClient,
    url: String,
    account: String,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Container {
    /// `Delete Blob` of Azure's documentation.
    async fn remove(&self, location: &Path) -> object_store::Result<()> {
        let other =
            |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic { store: "Azure", source };
        let parts: Vec<String> = location.parts().map(|part| escape(part.as_ref())).collect();
        let request = Request::delete(format!("{}/{}", self.url, parts.join("/"))).body(Vec::new().into());
        let mut request = request.map_err(|error| other(error.into()))?;
        let credential = self.store.credentials().get_credential().await?;
        AzureAuthorizer::new(&credential, &self.account).try_authorize(&mut request)?;
        let answer = self.client.execute(request).await.map_err(|error| other(error.into()))?;
        let (parts, body) = answer.into_parts();
        if parts.status.is_success() {
            return Ok(());
        }
        let said = body.collect().await.map_err(|error| other(error.into()))?.to_bytes();
        let said: String = String::from_utf8_lossy(&said).chars().take(500).collect();
        let source = format!("{}: {said}", parts.status).into();
        Err(match parts.status {
            StatusCode::NOT_FOUND => Error::NotFound { path: location.to_string(), source },
            _ => other(source),
        })
    }
}

// The shape that `#[async_trait]` gives the methods.
impl ObjectStore for Container {
    fn put_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Later<'c, PutResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.store.put_opts(location, payload, options)
    }

    fn put_multipart_opts<'a, 'b, 'c>(
        &'a self,
        location: &'b Path,
        options: PutMultipartOptions,
    ) -> Later<'c, Box<dyn MultipartUpload>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.store.put_multipart_opts(location, options)
    }

    fn get_opts<'a, 'b, 'c>(&'a self, location: &'b Path, options: GetOptions) -> Later<'c, GetResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.store.get_opts(location, options)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let container = self.clone();
        locations
            .and_then(move |location| {
                let container = container.clone();
                async move { container.remove(&location).await.map(|()| location) }.boxed()
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'c>(&'a self, prefix: Option<&'b Path>) -> Later<'c, ListResult>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        self.store.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'c, 'd>(
        &'a self,
        from: &'b Path,
        to: &'c Path,
        options: CopyOptions,
    ) -> Later<'d, ()>
    where
        'a: 'd,
        'b: 'd,
        'c: 'd,
        Self: 'd,
    {
        self.store.copy_opts(from, to, options)
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
        let key_of = |text: &str| Credential::Key(text.to_owned());
        let token_of = |text: &str| Credential::Token(text.to_owned());
        let (tenant, client) = ("t".to_owned(), "i".to_owned());
        for (place, env, found) in [
            (place(Some("a"), Some("k"), Some("t")), &[key, token][..], token_of("t")),
            (place(Some("a"), Some("k"), None), &[key, token], token_of("et")),
            (place(Some("a"), Some("k"), None), &[key], key_of("k")),
            (place(Some("a"), None, None), &[key, secret], key_of("ek")),
            (place(None, Some("k"), None), &[key], Credential::Machine(None)),
            (
                place(Some("a"), None, None),
                &[app[0], app[1], secret, file],
                Credential::Secret { tenant: tenant.clone(), client: client.clone(), secret: "s".to_owned() },
            ),
            (
                place(Some("a"), None, None),
                &[app[0], app[1], file],
                Credential::Workload { tenant, client, file: "/f".to_owned() },
            ),
            (place(Some("a"), None, None), &[app[1], secret], Credential::Machine(Some("i".to_owned()))),
            (place(Some("a"), None, None), &[app[0], app[1]], Credential::Machine(Some("i".to_owned()))),
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
