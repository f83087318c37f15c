//! Whose servers are believed.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::client::variable;
use crate::os::open;

/// The files that Go looks for on Linux, the stronger first (`root_linux.go` in its `crypto/x509`).
pub const CERTIFICATE_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The folders, each of which counts.
pub const CERTIFICATE_FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// The system's certificates, where Go looks for them as well (`loadSystemRoots` in its `crypto/x509`): in the first file
/// that is there, and in each folder; else Mozilla's.
pub(super) fn roots() -> ureq::tls::RootCerts {
    // Of many places each has a client of its own.
    static ROOTS: OnceLock<ureq::tls::RootCerts> = OnceLock::new();
    ROOTS.get_or_init(read).clone()
}

fn read() -> ureq::tls::RootCerts {
    let certificates = certificates(&variable);
    if certificates.is_empty() {
        ureq::tls::RootCerts::WebPki
    } else {
        ureq::tls::RootCerts::new_with_certs(&certificates)
    }
}

fn certificates(variable: &dyn Fn(&str) -> Option<String>) -> Vec<ureq::tls::Certificate<'static>> {
    // Mozilla's has 250 KB.
    const LONGEST_LIST: usize = 16 << 20;
    let files = variable("SSL_CERT_FILE")
        .map_or_else(|| CERTIFICATE_FILES.map(str::to_owned).into(), |file| vec![file]);
    let folders = variable("SSL_CERT_DIR").unwrap_or_else(|| CERTIFICATE_FOLDERS.join(":"));
    let whole = |path: &Path| open::whole(path, LONGEST_LIST).ok();
    let first = files.iter().find_map(|file| whole(Path::new(file)));
    let entries = folders.split(':').flat_map(fs::read_dir).flatten().flatten();
    // A certificate has another name beside its own, by its hash, which leads to it.
    let is_twin = |path: &Path| fs::read_link(path).is_ok_and(|to| to.components().count() == 1);
    let each =
        entries.map(|entry| entry.path()).filter(|path| !is_twin(path)).filter_map(|path| whole(&path));
    let mut seen = HashSet::new();
    let mut certificates = Vec::new();
    for pem in first.into_iter().chain(each) {
        for item in ureq::tls::parse_pem(&pem) {
            if let Ok(ureq::tls::PemItem::Certificate(certificate)) = item
                && seen.insert(certificate.der().to_vec())
            {
                certificates.push(certificate);
            }
        }
    }
    certificates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_found_where_litestream_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let pem = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["one", "two"] {
            fs::create_dir(path(name)).unwrap();
        }
        for (name, body) in
            [("list", "AAAA"), ("one/a.pem", "AAAB"), ("one/same.pem", "AAAA"), ("two/b.crt", "AAAC")]
        {
            fs::write(path(name), pem(body)).unwrap();
        }
        std::os::unix::fs::symlink("a.pem", path("one/0123abcd.0")).unwrap();
        let found = |file: &str, folders: &str| {
            let (file, folders) = (path(file), folders.split(':').map(path).collect::<Vec<_>>().join(":"));
            let variable =
                |name: &str| Some(if name == "SSL_CERT_FILE" { file.clone() } else { folders.clone() });
            certificates(&variable).len()
        };
        assert_eq!(found("list", "none"), 1);
        assert_eq!(found("none", "one"), 2);
        assert_eq!(found("list", "one:two"), 3);
        assert_eq!(found("none", "none"), 0);
    }
}
