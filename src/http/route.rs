//! Which answer a request means.

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Whether the keeper does its work.
    Live,
    /// Whether the unit is ready.
    Ready {
        /// With each check.
        verbose: bool,
        /// A verification that failed, or never was, counts.
        strict: bool,
    },
    /// The numbers.
    Metrics,
    /// The document.
    Status,
    /// What changes.
    Events,
    /// The page, or the part of it that changes.
    Page {
        /// Only that part.
        part: bool,
    },
    /// What the page looks like.
    Style,
    /// What keeps it fresh.
    Script,
    /// Until all that was committed is on its replica.
    Wait,
}

/// What can be opened by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `/livez` and `/readyz`.
    Health,
    /// `/metrics`.
    Metrics,
    /// All else.
    Rest,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// There is no such thing.
    Path,
    /// It is there for these methods.
    Method(&'static str),
}

/// All that is there, for whoever asks for something else.
pub(super) const ALL: &str = "/, /livez, /readyz, /metrics, /status.json, /events, /wait";

impl Route {
    /// Reads the first line of a request.
    pub(super) fn of(method: &str, path: &str, query: Option<&str>) -> Result<Self, Missing> {
        let has = |name: &str| {
            let mut all = query.unwrap_or_default().split('&');
            all.any(|one| {
                one == name || one.strip_prefix(name).is_some_and(|rest| matches!(rest, "=" | "=1" | "=true"))
            })
        };
        let route = match path {
            "/livez" | "/healthz" => Self::Live,
            "/readyz" => Self::Ready { verbose: has("verbose"), strict: has("strict") },
            "/metrics" => Self::Metrics,
            "/status.json" => Self::Status,
            "/events" => Self::Events,
            "/" => Self::Page { part: has("part") },
            "/page.css" => Self::Style,
            "/page.js" => Self::Script,
            "/wait" => Self::Wait,
            _ => return Err(Missing::Path),
        };
        match (route, method) {
            (Self::Wait, "POST") => Ok(route),
            (Self::Wait, _) => Err(Missing::Method("POST")),
            (_, "GET" | "HEAD") => Ok(route),
            _ => Err(Missing::Method("GET, HEAD")),
        }
    }

    /// Of which kind it is.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Live | Self::Ready { .. } => Kind::Health,
            Self::Metrics => Kind::Metrics,
            Self::Status | Self::Events | Self::Page { .. } | Self::Style | Self::Script | Self::Wait => {
                Kind::Rest
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_told_by_path_and_query() {
        let ready = |verbose, strict| Ok(Route::Ready { verbose, strict });
        assert_eq!(Route::of("GET", "/readyz", None), ready(false, false));
        assert_eq!(Route::of("HEAD", "/readyz", Some("verbose")), ready(true, false));
        assert_eq!(Route::of("GET", "/readyz", Some("strict=1&verbose=")), ready(true, true));
        assert_eq!(Route::of("GET", "/readyz", Some("strictly&verbose=0")), ready(false, false));
        assert_eq!(Route::of("GET", "/livez/", None), Err(Missing::Path));
        assert_eq!(Route::of("POST", "/", None), Err(Missing::Method("GET, HEAD")));
        assert_eq!(Route::of("POST", "/wait", Some("db=a")), Ok(Route::Wait));
        assert_eq!(Route::of("GET", "/wait", None), Err(Missing::Method("POST")));
    }

    #[test]
    fn health_and_metrics_alone_can_be_opened() {
        for path in ALL.split(", ").chain(["/page.css", "/page.js"]) {
            let method = if path == "/wait" { "POST" } else { "GET" };
            let kind = Route::of(method, path, None).map(Route::kind);
            let expected = match path {
                "/livez" | "/readyz" => Kind::Health,
                "/metrics" => Kind::Metrics,
                _ => Kind::Rest,
            };
            assert_eq!(kind, Ok(expected), "{path}");
        }
    }
}
