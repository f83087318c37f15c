//! Apache's mod_dav.

use std::fs;
use std::os::unix::process::CommandExt;

use super::backend::Backend;
use crate::support::config::Replica;
use crate::support::server::{Server, free_port, program};
use crate::support::world::World;

const MODULES: [&str; 8] =
    ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav", "dav_fs"];

/// A server with one user.
pub fn start(_: &World) -> Backend {
    let port = free_port();
    // Of its own user where this one is root, whom Apache does not serve: the world itself is closed to that.
    let folder = tempfile::Builder::new().prefix("lk-dav-").tempdir_in("/tmp").expect("/tmp can be written");
    let path = folder.path().to_owned();
    let show = path.display();
    fs::create_dir(path.join("files")).expect("it is new");
    // `htpasswd -s` of `sesame-open`.
    fs::write(path.join("users"), "u:{SHA}68IRRwWtv1xgtjvcYAqsSZA1yPE=\n").expect("it is new");
    let modules: String = MODULES
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let text = format!(
        "{modules}ServerRoot \"{show}\"\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {show}/pid\n\
         ErrorLog {show}/error\nDavLockDB {show}/locks\nDocumentRoot {show}/files\nStartServers 1\n\
         <Directory {show}/files>\nDav On\nAuthType Basic\nAuthName backups\nAuthUserFile {show}/users\n\
         Require valid-user\n</Directory>\n"
    );
    fs::write(path.join("apache.conf"), text).expect("it is new");
    let nobody = nix::unistd::geteuid().is_root().then(|| {
        let found = nix::unistd::User::from_name("www-data").ok().flatten();
        found.expect("the package makes that user")
    });
    if let Some(user) = &nobody {
        for path in [&path, &path.join("files")] {
            std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("we are root");
        }
    }
    let apache = program("apache2", "apache2-bin");
    let server = Server::start(&apache, &path, port, |command| {
        command.args(["-X", "-f"]).arg(path.join("apache.conf"));
        if let Some(user) = nobody {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    });
    let at = move |name: &str| {
        Replica::new("webdav")
            .set("webdav-url", format!("http://127.0.0.1:{port}"))
            .set("webdav-username", "u")
            .set("webdav-password", "sesame-open")
            .set("path", format!("/{name}"))
    };
    Backend {
        server: Box::new(WithFolder(server, folder)),
        at: Box::new(at),
        folder: Some(Box::new(move |name: &str| at(&format!("tenants/{name}")))),
        refused: vec![
            (at("app").set("webdav-password", "sesame-closed"), "check the user, and its password or key"),
            (at("app").set("webdav-username", "v"), "check the user, and its password or key"),
        ],
        env: Vec::new(),
        left: None,
        is_listed: false,
        gives_up: true,
        has_arrived: None,
    }
}

/// The folder goes after its server.
struct WithFolder(Server, #[expect(dead_code, reason = "it is held")] tempfile::TempDir);

impl super::backend::Goes for WithFolder {
    fn down(&mut self) {
        self.0.down();
    }

    fn pause(&self) {
        self.0.pause();
    }

    fn up(&mut self) {
        self.0.up();
    }
}
