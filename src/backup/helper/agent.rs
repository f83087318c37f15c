//! The connections of our clients for S3 and WebDAV.

use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use super::certificates;

/// The client: what `litekeeper install` uses as well. No redirect is followed.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    client: ureq::Agent,
    /// A listing has to be one of this bucket.
    bucket: Option<String>,
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
        Self { client: config.new_agent(), bucket: None }
    }

    /// The same, which believes a listing only if it is one of this bucket: a portal's page, the console of a server and a list of
    /// buckets answer 200 as well, and have none of its names.
    pub(super) fn listing(self, bucket: &str) -> Self {
        Self { bucket: Some(bucket.to_owned()), ..self }
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
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
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
    let lists = parts.method == ureq::http::Method::GET
        && parts.uri.query().is_some_and(|query| query.split('&').any(|word| word == LISTS));
    let bucket = agent.bucket.as_deref().filter(|_| lists);
    let agent = &agent.client;
    let answer = if body.is_empty() {
        agent.run(ureq::http::Request::from_parts(parts, ()))
    } else {
        agent.run(ureq::http::Request::from_parts(parts, body))
    };
    let (parts, mut body) = answer.map_err(failed)?.into_parts();
    let bytes = body.read_to_vec().map_err(failed)?;
    if let Some(bucket) = bucket.filter(|_| parts.status.is_success())
        && let Err(why) = is_listing(&bytes, bucket)
    {
        // Of this kind nothing is asked again.
        return Err(HttpError::new(HttpErrorKind::Decode, std::io::Error::other(why)));
    }
    Ok(HttpResponse::from_parts(parts, bytes.into()))
}

/// In the query of a listing (`ListObjectsV2`).
const LISTS: &str = "list-type=2";

/// Whether an answer is the listing of a bucket (`ListBucketResult` of S3's API), which has the bucket's name.
fn is_listing(answer: &[u8], bucket: &str) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some((_, behind)) =
        rest.strip_prefix("<?").or(rest.strip_prefix("<!--")).and_then(|rest| rest.split_once('>'))
    {
        rest = behind.trim_start();
    }
    let root: String = rest.chars().skip(1).take_while(|c| c.is_ascii_alphanumeric()).take(40).collect();
    if !rest.starts_with('<') || root != "ListBucketResult" {
        let what = if rest.is_empty() { "nothing".to_owned() } else { format!("a page (`{}`)", start(rest)) };
        return Err(format!("the answer is no listing of a bucket, but {what}"));
    }
    let name = rest.split_once("<Name>").and_then(|(_, behind)| behind.split_once("</Name>"));
    match name {
        // The name of an access point is another one than its bucket's.
        Some(_) if bucket.contains(':') => Ok(()),
        Some((name, _)) if name == bucket => Ok(()),
        Some((name, _)) => Err(format!("the answer is the listing of another bucket: {}", start(name))),
        None => Err("the answer is a listing without the bucket's name".to_owned()),
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
        let good = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><KeyCount>0</KeyCount></ListBucketResult>";
        for text in [
            good.to_owned(),
            format!("<?xml version=\"1.0\"?>\n<!-- x -->{good}"),
            format!("\u{feff} {good}"),
        ] {
            assert_eq!(is_listing(text.as_bytes(), "b"), Ok(()), "{text}");
        }
        assert_eq!(is_listing(good.as_bytes(), "arn:aws:s3:us-east-1:1:accesspoint/x"), Ok(()));
        for (text, why) in [
            ("", "nothing"),
            ("welcome", "a page"),
            ("<!DOCTYPE html><html><body>ListBucketResult</body></html>", "a page"),
            ("<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", "ListAllMyBucketsResult"),
            ("<ListBucketResultX><Name>b</Name></ListBucketResultX>", "a page"),
            ("<ListBucketResult><Name>other</Name></ListBucketResult>", "another bucket: other"),
            ("<ListBucketResult></ListBucketResult>", "without the bucket's name"),
        ] {
            let refused = is_listing(text.as_bytes(), "b").unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
