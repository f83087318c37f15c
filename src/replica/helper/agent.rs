//! The connections of our clients for S3, Google's storage, Azure's and WebDAV.

use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpService,
};

use super::certificates;

/// The client: what `litekeeper install` uses as well. No redirect is followed.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    client: ureq::Agent,
    skip_verify: bool,
    /// A listing has to be this one.
    listing: Option<Listing>,
}

/// Whose listings are believed, by the name that they have in them.
#[derive(Clone, Debug)]
pub(super) enum Listing {
    /// Of this bucket on S3.
    Bucket(String),
    /// Of this container on Azure's storage.
    Container(String),
}

impl Agent {
    /// No redirect is followed: whoever may send one could name any host, which would get the session's token
    /// and be believed; and nothing but TLS where the endpoint asks for it.
    pub(super) fn new(skip_verify: bool, https_only: bool) -> Self {
        let tls = ureq::tls::TlsConfig::builder()
            .disable_verification(skip_verify)
            .root_certs(certificates::roots())
            .build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .https_only(https_only)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(60)))
            .tls_config(tls)
            .build();
        Self { client: config.new_agent(), skip_verify, listing: None }
    }

    /// The same, which believes a listing only if it is this one: a portal's page, the console of a server and a list of
    /// buckets answer 200 as well, and have none of its names.
    pub(super) fn listing(self, listing: Listing) -> Self {
        Self { listing: Some(listing), ..self }
    }

    pub(super) fn agent(&self) -> &ureq::Agent {
        &self.client
    }

    /// AWS tells a bucket's region to everybody (`HeadBucket`).
    pub(super) async fn region_of(&self, bucket: &str) -> Option<String> {
        let (agent, url) = (self.client.clone(), format!("https://s3.amazonaws.com/{bucket}"));
        let answer = tokio::task::spawn_blocking(move || agent.head(url).call()).await.ok()?.ok()?;
        answer.headers().get("x-amz-bucket-region")?.to_str().ok().map(str::to_owned)
    }
}

impl HttpConnector for Agent {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // A machine's own server of keys is asked without TLS (`metadata_options` of the library), whatever the endpoint is asked with.
        let is_plain =
            options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|text| text == "true");
        Ok(HttpClient::new(Self { listing: self.listing.clone(), ..Self::new(self.skip_verify, !is_plain) }))
    }
}

impl HttpService for Agent {
    // The shape that `#[async_trait]` gives the method.
    fn call<'own, 'future>(
        &'own self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'future>>
    where
        'own: 'future,
        Self: 'future,
    {
        let agent = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let asked = tokio::task::spawn_blocking(move || exchange(&agent, parts, &body)).await;
            asked.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
        })
    }
}

fn exchange(
    agent: &Agent,
    parts: ureq::http::request::Parts,
    body: &[u8],
) -> Result<HttpResponse, HttpError> {
    let failed = |error: ureq::Error| {
        let kind = match &error {
            ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Io(_) => {
                HttpErrorKind::Connect
            }
            _ => HttpErrorKind::Unknown,
        };
        HttpError::new(kind, error)
    };
    let asks = |word| parts.uri.query().is_some_and(|query| query.split('&').any(|asked| asked == word));
    let is_get = parts.method == ureq::http::Method::GET;
    let listing = agent.listing.as_ref().filter(|listing| is_get && asks(listing.word()));
    let agent = &agent.client;
    let answer = if body.is_empty() {
        agent.run(ureq::http::Request::from_parts(parts, ()))
    } else {
        agent.run(ureq::http::Request::from_parts(parts, body))
    };
    let (parts, mut body) = answer.map_err(failed)?.into_parts();
    let bytes = body.read_to_vec().map_err(failed)?;
    if let Some(listing) = listing.filter(|_| parts.status.is_success())
        && let Err(why) = listing.is_in(&bytes)
    {
        // Of this kind nothing is asked again.
        return Err(HttpError::new(HttpErrorKind::Decode, std::io::Error::other(why)));
    }
    Ok(HttpResponse::from_parts(parts, bytes.into()))
}

impl Listing {
    /// What stands in the query of such a question (`ListObjectsV2`, `List Blobs`).
    fn word(&self) -> &'static str {
        match self {
            Self::Bucket(_) => "list-type=2",
            Self::Container(_) => "comp=list",
        }
    }

    /// Whether an answer is this one: the `ListBucketResult` of S3's API, or the `EnumerationResults` of Azure's, with its name in it.
    fn is_in(&self, answer: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(answer);
        let mut rest = text.trim_start_matches('\u{feff}').trim_start();
        while let Some((_, behind)) =
            rest.strip_prefix("<?").or(rest.strip_prefix("<!--")).and_then(|rest| rest.split_once('>'))
        {
            rest = behind.trim_start();
        }
        let root: String = rest.chars().skip(1).take_while(|c| c.is_ascii_alphanumeric()).take(40).collect();
        let is_root = |name| rest.starts_with('<') && root == name;
        let no_listing = || {
            let what =
                if rest.is_empty() { "nothing".to_owned() } else { format!("a page (`{}`)", start(rest)) };
            Err(format!("the answer is no listing of a bucket, but {what}"))
        };
        let between = |before: &str, behind: &str| Some(rest.split_once(before)?.1.split_once(behind)?.0);
        let (wanted, name) = match self {
            Self::Bucket(_) if !is_root("ListBucketResult") => return no_listing(),
            Self::Container(_) if !is_root("EnumerationResults") => return no_listing(),
            Self::Bucket(bucket) => (bucket, between("<Name>", "</Name>")),
            Self::Container(container) => (container, between(" ContainerName=\"", "\"")),
        };
        match name {
            // The name of an access point is another one than its bucket's.
            Some(_) if wanted.contains(':') => Ok(()),
            Some(name) if name == wanted => Ok(()),
            Some(name) => Err(format!("the answer is the listing of another bucket: {}", start(name))),
            None => Err("the answer is a listing without the bucket's name".to_owned()),
        }
    }
}

/// The beginning of a text, for a message.
fn start(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_listing_of_its_bucket_or_none() {
        let of = |bucket: &str| Listing::Bucket(bucket.to_owned());
        let good = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><KeyCount>0</KeyCount></ListBucketResult>";
        for text in [
            good.to_owned(),
            format!("<?xml version=\"1.0\"?>\n<!-- x -->{good}"),
            format!("\u{feff} {good}"),
        ] {
            assert_eq!(of("b").is_in(text.as_bytes()), Ok(()), "{text}");
        }
        assert_eq!(of("arn:aws:s3:us-east-1:1:accesspoint/x").is_in(good.as_bytes()), Ok(()));
        for (text, why) in [
            ("", "nothing"),
            ("welcome", "a page"),
            ("<!DOCTYPE html><html><body>ListBucketResult</body></html>", "a page"),
            ("<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", "ListAllMyBucketsResult"),
            ("<ListBucketResultX><Name>b</Name></ListBucketResultX>", "a page"),
            ("<ListBucketResult><Name>other</Name></ListBucketResult>", "another bucket: other"),
            ("<ListBucketResult></ListBucketResult>", "without the bucket's name"),
        ] {
            let refused = of("b").is_in(text.as_bytes()).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn an_answer_is_a_listing_of_its_container_or_none() {
        let good = "\u{feff}<?xml version=\"1.0\"?><EnumerationResults ServiceEndpoint=\"https://a/\" ContainerName=\"c\"><Blobs /></EnumerationResults>";
        let is_in = |text: &str| Listing::Container("c".to_owned()).is_in(text.as_bytes());
        assert_eq!(is_in(good), Ok(()));
        for (text, why) in [
            ("", "nothing"),
            ("<html>EnumerationResults ContainerName=\"c\"</html>", "a page"),
            (&good.replace("\"c\"", "\"other\""), "another bucket: other"),
            (&good.replace("ContainerName", "Name"), "without the bucket's name"),
            ("<ListBucketResult><Name>c</Name></ListBucketResult>", "a page"),
        ] {
            assert!(is_in(text).unwrap_err().contains(why), "{text}");
        }
    }

    /// Whether a server without TLS is asked.
    #[test]
    fn only_a_machines_own_server_of_keys_is_asked_without_tls() {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let address = server.server_addr().to_ip().unwrap();
        std::thread::spawn(move || {
            server
                .incoming_requests()
                .for_each(|request| drop(request.respond(tiny_http::Response::empty(204))));
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let ask = |options: &ClientOptions| {
            let client = Agent::new(false, true).connect(options).unwrap();
            let request =
                ureq::http::Request::get(format!("http://{address}/")).body(Vec::new().into()).unwrap();
            runtime.block_on(client.execute(request)).is_ok()
        };
        assert!(ask(&ClientOptions::new().with_allow_http(true)));
        assert!(!ask(&ClientOptions::new()));
    }
}
