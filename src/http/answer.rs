//! Answers, with the headers that each has.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::Stream;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use super::route::ALL;
use crate::foreign;

/// Nothing but what this server has itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What an answer holds.
pub(super) enum Content {
    /// All of it.
    Whole(Option<Bytes>),
    /// What comes when it comes.
    Stream(Pin<Box<dyn Stream<Item = Bytes>>>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => {
                stream.as_mut().poll_next(cx).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

pub(super) type Answer = Response<Content>;

/// What kind of text it is.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// For eyes.
    Text,
    /// A document.
    Json,
    /// The page.
    Html,
    /// What it looks like.
    Css,
    /// What keeps it fresh.
    Script,
    /// Numbers in Prometheus' format.
    Prometheus,
    /// The same as its successor has it.
    OpenMetrics,
    /// Events, one after the other.
    Events,
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::Css => "text/css; charset=utf-8",
            Self::Script => "text/javascript; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Events => "text/event-stream",
        }
    }
}

/// An answer that is all there.
pub(super) fn whole(status: u16, form: Form, text: impl Into<Bytes>) -> Answer {
    with(status, form, Content::Whole(Some(text.into())))
}

/// One that goes on.
pub(super) fn stream(form: Form, stream: impl Stream<Item = Bytes> + 'static) -> Answer {
    with(200, form, Content::Stream(Box::pin(stream)))
}

fn with(status: u16, form: Form, content: Content) -> Answer {
    let mut answer = Response::new(content);
    *answer.status_mut() = status.try_into().unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, form.word()),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn because(status: u16, text: &str) -> Answer {
    whole(status, Form::Text, format!("{text}\n"))
}

pub(super) fn no_path() -> Answer {
    because(404, &format!("there is no such page here: there are {ALL}"))
}

pub(super) fn no_method(methods: &'static str) -> Answer {
    let mut answer = because(405, &format!("it is there for {methods}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

pub(super) fn unknown() -> Answer {
    let mut answer =
        because(401, "who asks? send the name and password, or the token, that litekeeper was given");
    let realm = HeaderValue::from_static("Basic realm=\"litekeeper\", charset=\"UTF-8\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, realm);
    answer
}

pub(super) fn forbidden() -> Answer {
    because(
        403,
        "it is not open on this address: set LITESTREAM_USERNAME and LITESTREAM_PASSWORD (or `http.auth`), or open health and metrics by `http.open`",
    )
}

pub(super) fn elsewhere() -> Answer {
    because(
        421,
        "without a password this is answered to who names this machine: ask localhost or 127.0.0.1, or set LITESTREAM_USERNAME and LITESTREAM_PASSWORD",
    )
}

pub(super) fn wrong(why: &str) -> Answer {
    because(400, &foreign::line(why))
}

pub(super) fn foreign() -> Answer {
    because(403, "it is asked for by another site's page")
}

pub(super) fn busy() -> Answer {
    because(503, "too many look on already")
}

pub(super) fn ending() -> Answer {
    because(503, "litekeeper is stopping")
}
