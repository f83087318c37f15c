//! `POST /wait`: what is asked for, and what is answered.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::answer::{self, Answer, Form};
use super::ask::Wish;
use crate::status::Waited;

/// Reads `db=app.db&timeout=5s`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn wish(query: Option<&str>) -> Result<Wish, String> {
    let mut wish = Wish::default();
    for one in query.unwrap_or_default().split('&').filter(|one| !one.is_empty()) {
        let (name, value) = one.split_once('=').unwrap_or((one, ""));
        let value = percent_decode_str(value).decode_utf8().map_err(|_| format!("{name}: it is no UTF-8"))?;
        match name {
            "db" => wish.database = Some(value.into_owned()),
            "timeout" => wish.within = Some(duration(&value)?),
            name => return Err(format!("{name}: there is no such parameter: there are db and timeout")),
        }
    }
    Ok(wish)
}

/// `5s`, `500ms`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    let written = || text.parse::<jiff::SignedDuration>().ok()?.try_into().ok();
    seconds.or_else(written).ok_or_else(|| format!("timeout={text}: not a duration: write it as 5s or 500ms"))
}

/// Whether a browser sends this for another site's page: no page of ours does.
pub(super) fn is_foreign(site: Option<&str>, origin: Option<&str>, host: Option<&str>) -> bool {
    let is_ours = |origin: &str| {
        let name = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        name.is_some() && name == host
    };
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
        || origin.is_some_and(|origin| !is_ours(origin))
}

/// What came of it.
pub(super) fn answer(waited: &Waited) -> Answer {
    let status = match waited.result.as_str() {
        "durable" => 200,
        "timeout" => 504,
        "replaced" => 409,
        "unknown-database" => 404,
        "not-confirmable" => 501,
        // It is stopping, or too many wait.
        _ => 503,
    };
    let text = serde_json::to_string(waited).unwrap_or_default();
    answer::whole(status, Form::Json, format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_in_the_query() {
        let read = |query: &str| wish(Some(query)).map(|wish| (wish.database, wish.within));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(read(""), Ok((None, None)));
        assert_eq!(
            read("db=%2Fdata%2Fmy%20app.db&timeout=5s"),
            Ok((Some("/data/my app.db".to_owned()), seconds(5)))
        );
        assert_eq!(read("timeout=7"), Ok((None, seconds(7))));
        assert_eq!(read("timeout=250ms"), Ok((None, Some(Duration::from_millis(250)))));
        for wrong in ["timeout=", "timeout=-1s", "timeout=soon", "db=%ff", "database=x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let foreign = |site, origin| is_foreign(site, origin, Some("localhost:9"));
        assert!(!foreign(None, None), "a program");
        assert!(!foreign(Some("same-origin"), Some("http://localhost:9")));
        assert!(foreign(Some("cross-site"), None));
        assert!(foreign(Some("same-site"), None));
        for origin in ["http://evil.example", "http://localhost:99", "null", ""] {
            assert!(foreign(None, Some(origin)), "{origin}");
        }
    }
}
