//! The connections of our clients for S3 and WebDAV.

use std::pin::Pin;
use std::time::Duration;

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};

use super::certificates;

/// The client: what `litekeeper install` uses as well. No redirect is followed.
#[derive(Clone, Debug)]
pub(super) struct Agent(ureq::Agent);

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
        Self(config.new_agent())
    }

    pub(super) fn agent(&self) -> &ureq::Agent {
        &self.0
    }

    /// AWS tells a bucket's region to everybody (`HeadBucket`).
    pub(super) async fn region_of(&self, bucket: &str) -> Option<String> {
        let (agent, url) = (self.0.clone(), format!("https://s3.amazonaws.com/{bucket}"));
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
        let agent = self.0.clone();
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || exchange(&agent, request)).await;
            asked.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?
        })
    }
}

fn exchange(agent: &ureq::Agent, request: HttpRequest) -> Result<HttpResponse, HttpError> {
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
    let (parts, body) = request.into_parts();
    let answer = if body.is_empty() {
        agent.run(ureq::http::Request::from_parts(parts, ()))
    } else {
        let bytes = body.as_bytes().map(|bytes| bytes.to_vec()).unwrap_or_default();
        agent.run(ureq::http::Request::from_parts(parts, bytes))
    };
    let (parts, mut body) = answer.map_err(failed)?.into_parts();
    let bytes = body.read_to_vec().map_err(failed)?;
    Ok(HttpResponse::from_parts(parts, bytes.into()))
}
