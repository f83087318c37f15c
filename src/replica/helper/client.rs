//! What the clients for buckets of all kinds have in common.

use std::pin::Pin;
use std::time::Duration;

use object_store::RetryConfig;

/// What `#[async_trait]` makes of an answer that is waited for.
pub(super) type Later<'a, T> = Pin<Box<dyn Future<Output = object_store::Result<T>> + Send + 'a>>;

/// A variable that says something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Tries of one request.
pub(super) fn retries(max_retries: usize) -> RetryConfig {
    RetryConfig { max_retries, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() }
}

/// The reasons from the outside in: the library's own words leave them out.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the server says that somebody else writes there just now (409): the library takes that for an object that is there.
pub(super) fn is_conflict(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::AlreadyExists { .. })
        && words(error).contains("status code: 409 Conflict")
}
