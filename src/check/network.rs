//! What this machine needs to reach a server, and to know it: images of containers often have neither.

use std::net::IpAddr;
use std::path::Path;

use super::context::CheckContext;
use super::rules::{NO_CERTIFICATES, NO_NAMES};
use super::text::text;
use crate::config::Kind;
use crate::config::lint::Lint;
use crate::remote::{Azure, Place, S3};
use crate::replica::helper::{CERTIFICATE_FILES, CERTIFICATE_FOLDERS};
use crate::replica::reach;

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let asked = asked(context);
    let certificates = asked.iter().find(|server| server.is_tls).filter(|_| !has_certificates(context));
    let names = asked.iter().find(|server| server.host.as_deref().is_some_and(|host| !is_known(host)));
    let names = names.filter(|_| !has_nameserver());
    let mut found = Vec::new();
    if let Some(Server { replica, line, .. }) = certificates {
        let message =
            format!("{replica} is asked over https, and there are no certificates here to know it by");
        found.push(context.lint(NO_CERTIFICATES, *line, message).hint(
            "install them (Debian and Alpine: the package ca-certificates), or name a file of them with SSL_CERT_FILE",
        ));
    }
    if let Some(Server { replica, host: Some(host), line, .. }) = names {
        let message =
            format!("{replica}: nothing here resolves the name `{host}`: /etc/resolv.conf names no server");
        found.push(
            context
                .lint(NO_NAMES, *line, message)
                .hint("give the container a network with DNS, or the server's address in /etc/hosts"),
        );
    }
    found
}

/// A server that is asked.
struct Server {
    replica: String,
    line: usize,
    is_tls: bool,
    /// Its name, if it is known.
    host: Option<String>,
}

fn asked(context: &CheckContext<'_>) -> Vec<Server> {
    let databases = context.config.databases().iter().filter_map(|database| {
        let replica = database.replicas.first()?;
        match (&database.place, &replica.kind) {
            (Some(Place::S3(s3)), _) => Some(of_s3(s3, replica.display.clone(), replica.line)),
            (Some(Place::Azure(azure)), _) => of_azure(azure, replica.display.clone(), replica.line),
            (Some(Place::Gcs(_)), _) | (None, Kind::Gcs) => Some(Server {
                replica: replica.display.clone(),
                line: replica.line,
                // Its emulator is named by a variable.
                is_tls: (context.variable)("STORAGE_EMULATOR_HOST").is_none(),
                host: None,
            }),
            (None, _) => None,
        }
    });
    databases.collect()
}

fn of_azure(azure: &Azure, replica: String, line: usize) -> Option<Server> {
    Some(at(&azure.server()?, false, replica, line))
}

fn of_s3(s3: &S3, replica: String, line: usize) -> Server {
    at(s3.endpoint.as_deref().unwrap_or(reach::AMAZON), s3.skip_verify, replica, line)
}

fn at(endpoint: &str, skip_verify: bool, replica: String, line: usize) -> Server {
    let (scheme, host, _) = reach::parts(endpoint);
    let is_tls = !scheme.eq_ignore_ascii_case("http") && !skip_verify;
    Server { replica, line, is_tls, host: Some(host.to_owned()).filter(|host| !host.is_empty()) }
}

fn has_certificates(context: &CheckContext<'_>) -> bool {
    let named = |name: &str| (context.variable)(name).filter(|value| !value.is_empty());
    let has_any = |folder: &Path| std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    // What is named and wrong is another mistake.
    named("SSL_CERT_FILE").is_some()
        || named("SSL_CERT_DIR").is_some()
        || CERTIFICATE_FILES.iter().any(|file| Path::new(file).metadata().is_ok_and(|found| found.len() > 0))
        || CERTIFICATE_FOLDERS.iter().any(|folder| has_any(Path::new(folder)))
}

/// An address, or a name that needs nobody.
fn is_known(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || text(Path::new("/etc/hosts")).is_some_and(|hosts| names(&hosts, host))
}

/// Whether such a file (hosts(5)) has this name.
fn names(hosts: &str, host: &str) -> bool {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.split_whitespace().skip(1)).any(|name| name.eq_ignore_ascii_case(host))
}

/// Whether somebody is asked who is not on this machine, or is there; without a file it is the machine itself (resolv.conf(5)).
fn has_nameserver() -> bool {
    text(Path::new("/etc/resolv.conf")).is_some_and(|conf| servers(&conf))
}

fn servers(conf: &str) -> bool {
    conf.lines().any(|line| line.split_whitespace().next() == Some("nameserver"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_names_are_read() {
        assert!(servers("search x\nnameserver 10.0.0.1\n") && !servers("# nameserver 10.0.0.1\nsearch x\n"));
        assert!(names("127.0.0.1 localhost\n10.0.0.2\tminio s3.local # store\n", "S3.local"));
        assert!(!names("10.0.0.2 minio # s3.local\n", "s3.local"));
        let s3 = |endpoint: Option<&str>, skip_verify| {
            let s3 = S3 {
                bucket: "b".into(),
                prefix: String::new(),
                endpoint: endpoint.map(str::to_owned),
                region: None,
                path_style: true,
                skip_verify,
                access_key_id: None,
                secret_access_key: None,
            };
            let server = of_s3(&s3, "s3://b".into(), 0);
            (server.is_tls, server.host.unwrap_or_default())
        };
        assert_eq!(s3(None, false), (true, "s3.amazonaws.com".to_owned()));
        assert_eq!(s3(Some("https://user:x@minio:9000/x"), false), (true, "minio".to_owned()));
        assert_eq!(s3(Some("http://[::1]:9000"), false), (false, "::1".to_owned()));
        assert_eq!(s3(Some("https://minio"), true), (false, "minio".to_owned()));
    }
}
