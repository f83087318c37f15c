//! Writes of locks and marks that come to no good: two that meet, and such as nobody hears of.

use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Method, Request, header};
use s3s::service::S3Service;
use s3s::{HttpError, HttpResponse};
use tokio::sync::Mutex;

use super::s3::Shared;

/// What happens to the next writes of objects with one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// So many are answered with 409, as two that meet are.
    pub conflicts: usize,
    /// The connections of so many are cut before anything comes of them.
    pub unheard: usize,
    /// So many are carried out, and their connections are cut then.
    pub unanswered: usize,
}

impl Fates {
    /// One of that many, if there are any left.
    pub fn take(left: &mut usize) -> bool {
        let is_left = *left > 0;
        *left = left.saturating_sub(1);
        is_left
    }
}

/// The server, whose connections may be cut.
pub struct Cutting {
    pub service: S3Service,
    pub(super) shared: Arc<Shared>,
    /// `s3s-fs` looks first and writes then: of two at once both would find nothing there.
    pub one_at_a_time: Arc<Mutex<()>>,
}

impl Service<Request<Incoming>> for Cutting {
    type Response = HttpResponse;
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_conditional =
            request.headers().keys().any(|name| *name == header::IF_MATCH || *name == header::IF_NONE_MATCH);
        let is_meant =
            request.method() == Method::PUT && self.shared.state().is_spoiled(request.uri().path());
        // An error is no answer, and ends the connection.
        let cut = || Err(HttpError::new("the test suite wants this connection to be cut".into()));
        if is_meant && Fates::take(&mut self.shared.state().fates.unheard) {
            return Box::pin(async move { cut() });
        }
        let answering = Service::call(&self.service, request);
        let (shared, turn) = (Arc::clone(&self.shared), Arc::clone(&self.one_at_a_time));
        Box::pin(async move {
            let turn = if is_conditional { Some(turn.lock().await) } else { None };
            let answer = answering.await?;
            drop(turn);
            let is_done = is_meant && answer.status().is_success();
            if is_done && Fates::take(&mut shared.state().fates.unanswered) { cut() } else { Ok(answer) }
        })
    }
}
