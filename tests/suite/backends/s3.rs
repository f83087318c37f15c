//! S3, by the server of this suite.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::backend::Backend;
use crate::support::config::Replica;
use crate::support::keeper::Keeper;
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::s3_host::NAME;
use crate::support::sqlite;
use crate::support::world::World;
use crate::support::wrap;

/// A server with a bucket.
pub fn start(_: &World) -> Backend {
    backend(S3::start(), Vec::new())
}

/// The same, which keeps to no conditions.
pub fn start_careless(_: &World) -> Backend {
    let s3 = S3::start();
    s3.ignore_conditions();
    backend(s3, Vec::new())
}

/// The same over TLS, with a certificate that only a file of the test's vouches for.
pub fn start_over_tls(world: &World) -> Backend {
    let (s3, certificate) = S3::start_over_tls();
    let file = world.write("certificate.pem", &certificate);
    backend(s3, vec![("SSL_CERT_FILE", file.to_str().expect("UTF-8").to_owned())])
}

fn backend(s3: S3, env: Vec<(&'static str, String)>) -> Backend {
    s3.bucket("backups");
    let folder = s3.folder("backups");
    let endpoint = s3.endpoint();
    let order = move |name: &str| {
        json!({"S3": {
            "bucket": "backups", "prefix": name, "endpoint": endpoint, "region": "us-east-1", "path_style": true,
            "skip_verify": false, "access_key_id": KEY, "secret_access_key": SECRET,
        }})
    };
    let (right, nowhere) = (s3.replica("backups", "app"), s3.replica("nowhere", "app"));
    let replica = right.clone();
    let at = move |name: &str| replica.clone().set("path", name);
    let in_folder = {
        let at = at.clone();
        move |name: &str| at(&format!("tenants/{name}"))
    };
    Backend {
        server: Box::new(s3),
        at: Box::new(at),
        folder: Some(Box::new(in_folder)),
        refused: vec![
            (right.clone().set("secret-access-key", "sesame-closed"), "LITESTREAM_ACCESS_KEY_ID"),
            (right.set("access-key-id", format!("{KEY}X")), "LITESTREAM_ACCESS_KEY_ID"),
            (nowhere, "create the bucket"),
        ],
        env,
        left: None,
        read_only: None,
        stays: Some(0),
        is_listed: true,
        order: Some(Box::new(order)),
        empty: Some(Box::new(move || emptied(&folder))),
        gives_up: false,
        has_arrived: None,
    }
}

/// Takes all out of a folder, each at once: more may be on its way there.
fn emptied(folder: &Path) {
    let away = tempfile::tempdir_in(folder.parent().expect("it is in a world's")).expect("it can be written");
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        if !entry.file_name().to_string_lossy().starts_with('.') {
            let _ = fs::rename(entry.path(), away.path().join(entry.file_name()));
        }
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_named() {
    let world = World::new();
    let (s3, _) = S3::start_over_tls();
    s3.bucket("backups");
    sqlite::create(&world.db(), 3);
    let config = world.config(&s3.replica("backups", "app"));
    let keeper =
        || Keeper::new(&world).config(&config).args(["--restore-timeout", "2s", "--gate-timeout", "2s"]);
    let checked = keeper().command("check").args(["--online"]).run().expect_code(78);
    let ended = keeper().app(["true"]).run().expect_code(69);
    for said in [checked.stdout, ended.log] {
        assert!(said.contains("invalid peer certificate"), "{said}");
        assert!(said.contains("name the server's own with SSL_CERT_FILE"), "{said}");
    }
}

/// Litestream's client writes, ours removes what it wrote: both have to find key and server in the same places.
#[test]
fn both_clients_read_the_same_settings() {
    let world = World::new();
    let s3 = S3::start();
    s3.bucket("backups");
    sqlite::create(&world.db(), 3);
    fs::create_dir(world.path(".aws")).expect("the world is ours");
    let keys = format!("aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    let wrong = "aws_access_key_id = AKIAWRONG\naws_secret_access_key = wrong\n";
    world.write(".aws/credentials", &format!("[default]\n{wrong}\n[work]\n{keys}"));
    let profile = format!("[profile home]\nendpoint_url = {}\nregion = us-east-1\n{keys}", s3.endpoint());
    world.write(".aws/config", &profile);
    let elsewhere = world.write("elsewhere", &format!("[default]\n{keys}"));
    let elsewhere = elsewhere.to_str().expect("UTF-8");
    let bare = Replica::new("s3").set("bucket", "backups").set("path", "app").set("region", "us-east-1");
    let there = bare.clone().set("endpoint", s3.endpoint());
    let endpoint = s3.endpoint();
    let key = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    for (name, replica, env) in [
        ("a profile's key", &there, vec![("AWS_PROFILE", "work")]),
        ("another file of keys", &there, vec![("AWS_SHARED_CREDENTIALS_FILE", elsewhere)]),
        ("a profile with key and server", &bare, vec![("AWS_PROFILE", "home")]),
        ("a variable for S3's server", &bare, [&key[..], &[("AWS_ENDPOINT_URL_S3", &endpoint)]].concat()),
        ("a variable for each server", &bare, [&key[..], &[("AWS_ENDPOINT_URL", &endpoint)]].concat()),
        ("variables before a profile", &there, [&key[..], &[("AWS_PROFILE", "home")]].concat()),
        ("a token", &there, [&key[..], &[("AWS_SESSION_TOKEN", "a-token")]].concat()),
        (
            "Litestream's own variables",
            &there,
            vec![("LITESTREAM_ACCESS_KEY_ID", KEY), ("LITESTREAM_SECRET_ACCESS_KEY", SECRET)],
        ),
    ] {
        let keeper = Keeper::new(&world).config(&world.config(replica)).envs(env);
        let ended = keeper.command("check").args(["--online"]).run().expect_code(0);
        assert!(!ended.stdout.contains("[left-behind]"), "{name}: {}", ended.stdout);
        assert!(!ended.stdout.contains("[replica-"), "{name}: {}", ended.stdout);
        assert_eq!(s3.objects("backups"), [""; 0], "{name}");
    }
    assert!(s3.seen().iter().any(|request| request.starts_with("DeleteObject")), "our client was there");
    assert_eq!(s3.in_host(), 0, "an address has no bucket before it");

    // With the bucket in the host's name, which only the file of a namespace of its own knows.
    let hosts = world.write("hosts", &format!("127.0.0.1 localhost {NAME} backups.{NAME}\n"));
    let named = s3.named_endpoint();
    let in_host = bare.clone().set("endpoint", named.as_str()).set("force-path-style", false);
    for (name, replica, env) in
        [("a key", &in_host, vec![]), ("a variable", &bare, vec![("AWS_ENDPOINT_URL_S3", named.as_str())])]
    {
        let before = s3.in_host();
        let keeper = Keeper::new(&world).config(&world.config(replica)).envs(key).envs(env);
        let keeper = keeper.wrapped(wrap::bound(&hosts, Path::new("/etc/hosts")));
        let ended = keeper.command("check").args(["--online"]).run().expect_code(0);
        assert!(!ended.stdout.contains("[left-behind]"), "{name}: {}", ended.stdout);
        assert_eq!(s3.objects("backups"), [""; 0], "{name}");
        assert!(s3.in_host() > before, "{name}");
    }
}
