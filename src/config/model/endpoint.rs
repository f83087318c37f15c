//! Endpoints of S3, as they are written.

/// Where an endpoint is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Written {
    /// As a key of its own, or by a variable.
    Key,
    /// In a replica's URL.
    Query,
}

/// Puts the scheme in front of an endpoint that Litestream takes where none is written: https, but for machines of a
/// private network in a URL (`configureEndpoint` in its s3/replica_client.go, `EnsureEndpointScheme` in its
/// replica_url.go).
pub(in crate::config) fn with_scheme(endpoint: &str, written: Written) -> String {
    if endpoint.starts_with("http://") || endpoint.starts_with("https://") {
        return endpoint.to_owned();
    }
    let is_http = written == Written::Query && is_local(endpoint);
    format!("{}://{endpoint}", if is_http { "http" } else { "https" })
}

/// Says whether a server of this name and port is seldom one with a certificate.
pub(in crate::config) fn is_doubtful(endpoint: &str) -> bool {
    let authority = endpoint.split('/').next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
    !host.is_empty() && (port != "443" || !host.contains('.') || is_local(authority))
}

/// Says whether Litestream's `IsLocalEndpoint` holds.
fn is_local(endpoint: &str) -> bool {
    const STARTS: [&str; 9] =
        ["192.168.", "10.", "172.16.", "172.17.", "172.18.", "172.19.", "172.2", "172.30.", "172.31."];
    let host = endpoint.trim().to_ascii_lowercase();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host);
    !host.contains('@')
        && (["localhost", "127.0.0.1"].contains(&host)
            || STARTS.iter().any(|start| host.starts_with(start))
            || host.ends_with(".local")
            || host.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_scheme_is_asked_as_litestream_asks_it() {
        for (endpoint, key, query) in [
            ("minio:9000", "https://minio:9000", "https://minio:9000"),
            ("localhost:9000", "https://localhost:9000", "http://localhost:9000"),
            ("10.0.0.7", "https://10.0.0.7", "http://10.0.0.7"),
            ("8.8.8.8:9", "https://8.8.8.8:9", "https://8.8.8.8:9"),
            ("nas.local:9", "https://nas.local:9", "http://nas.local:9"),
            ("http://minio:9000", "http://minio:9000", "http://minio:9000"),
        ] {
            assert_eq!(with_scheme(endpoint, Written::Key), key);
            assert_eq!(with_scheme(endpoint, Written::Query), query);
        }
    }
}
