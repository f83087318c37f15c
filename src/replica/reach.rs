//! Which server an endpoint names, and what is said where it does not answer, or with errors of its own only (5xx): the client
//! in Litestream tries again and again, and says nothing of it.

/// Where S3 is, unless somebody says otherwise.
pub const AMAZON: &str = "https://s3.amazonaws.com";
/// What stands before the status of a server that does answer; `litestream::replica_error` knows it.
const ANSWERS: &str = " answers ";

/// What is said of a question that had no answer in time, with the reason: a status is one, if no good one.
pub fn told(silence: &str, cause: Option<&str>) -> String {
    match cause {
        Some(cause) if cause.contains(ANSWERS) => {
            format!("{}: {cause}", silence.replacen("no answer", "no good answer", 1))
        }
        Some(cause) => format!("{silence}: {cause}"),
        None => silence.to_owned(),
    }
}

/// What a server says in these words of our own client, where that is that it cannot answer now.
pub fn status(endpoint: Option<&str>, words: &str) -> Option<String> {
    // How `object_store` tells of it (`RequestError::Status` of its client/retry.rs), and our client for Google's storage.
    let (_, said) = words.split_once("status code: ").or(words.split_once("googleapi: Error "))?;
    if !said.starts_with('5') {
        return None;
    }
    let (host, port) = server(endpoint.unwrap_or(AMAZON))?;
    Some(format!("{}{ANSWERS}{}", address(&host, port), said.trim_end_matches([' ', ':'])))
}

/// Host and port, as they are written.
pub fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The scheme of an endpoint, its host, and its port as it is written; without user and path.
pub fn parts(endpoint: &str) -> (&str, &str, Option<&str>) {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    (scheme, host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// Host and port of an endpoint.
pub fn server(endpoint: &str) -> Option<(String, u16)> {
    let (scheme, host, port) = parts(endpoint);
    let usual = if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 };
    let port = port.map_or(Some(usual), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_in_each_endpoint() {
        for (endpoint, host, port) in [
            ("http://minio:9000", "minio", 9000),
            ("https://user:secret@s3.example.com/x", "s3.example.com", 443),
            ("http://h", "h", 80),
            ("h", "h", 443),
            ("http://[::1]:9000", "::1", 9000),
            ("https://[::1]", "::1", 443),
        ] {
            assert_eq!(server(endpoint), Some((host.to_owned(), port)), "{endpoint}");
        }
        assert_eq!(server("http://"), None);
    }

    #[test]
    fn an_error_of_the_servers_own_is_no_silence() {
        let words = "Generic S3 error: Error performing GET http://h/ in 1ms - Server returned non-2xx status code: 503 Service Unavailable: ";
        let cause = status(Some("http://h:9000"), words).unwrap();
        assert_eq!(cause, "h:9000 answers 503 Service Unavailable");
        let silence = "no answer within 2 s";
        assert_eq!(told(silence, Some(&cause)), format!("no good answer within 2 s: {cause}"));
        assert_eq!(told(silence, Some("h:1: refused")), format!("{silence}: h:1: refused"));
        assert_eq!(told(silence, None), silence);
        assert_eq!(status(None, "status code: 403 Forbidden: x"), None);
    }
}
