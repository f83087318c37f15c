//! Which addresses a binary may come from.

use std::net::IpAddr;

use ureq::http::Uri;

use super::error::Error;

/// Refuses an address from which anybody on the way could send anything: all but https, this machine itself, and what is
/// known by its sum.
///
/// # Errors
/// [`Error::Address`], [`Error::Insecure`].
pub(super) fn check(url: &str, has_sum: bool) -> Result<(), Error> {
    let parsed: Option<Uri> = url.parse().ok();
    let host = parsed.as_ref().and_then(Uri::host).filter(|host| !host.is_empty());
    match (parsed.as_ref().and_then(Uri::scheme_str), host) {
        (Some("https"), Some(_)) => Ok(()),
        (Some("http"), Some(host)) if has_sum || is_here(host) => Ok(()),
        (Some("http"), Some(_)) => Err(Error::Insecure(url.to_owned())),
        _ => Err(Error::Address(url.to_owned())),
    }
}

fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Where a server that was asked at `at` sends on to; nothing where that is no place of this kind.
pub(super) fn onward(at: &str, location: &str) -> Option<String> {
    let (scheme, rest) = at.split_once("://")?;
    let origin = rest.split(['/', '?', '#']).next()?;
    match location {
        whole if whole.contains("://") => Some(whole.to_owned()),
        host if host.starts_with("//") => Some(format!("{scheme}:{host}")),
        path if path.starts_with('/') => Some(format!("{scheme}://{origin}{path}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_on_the_way_can_change_is_taken() {
        for good in ["https://h/x", "http://127.0.0.1:80/x", "http://localhost/x", "http://[::1]:1/x"] {
            assert!(check(good, false).is_ok(), "{good}");
        }
        for bare in ["http://h/x", "http://127.0.0.1.example/x", "http://localhost@h/x", "http://10.0.0.1/x"]
        {
            assert!(matches!(check(bare, false), Err(Error::Insecure(_))), "{bare}");
            assert!(check(bare, true).is_ok(), "{bare}");
        }
        for odd in ["", "x", "/x", "file:///x", "ftp://h/x", "https://", "s3://b/x", "https:/x"] {
            assert!(matches!(check(odd, true), Err(Error::Address(_))), "{odd}");
        }
    }

    #[test]
    fn a_server_sends_on_to_a_place() {
        let from = |location| onward("http://h:1/a/b?c", location);
        assert_eq!(from("/x").as_deref(), Some("http://h:1/x"));
        assert_eq!(from("//g/x").as_deref(), Some("http://g/x"));
        assert_eq!(from("https://g/x").as_deref(), Some("https://g/x"));
        assert_eq!(from("x"), None);
    }
}
