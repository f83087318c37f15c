//! Azure's storage, by azurite: Microsoft's own server for tests, of npm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::backend::{Backend, ReadOnly};
use super::scenarios;
use crate::support::app::App;
use crate::support::careless;
use crate::support::config::Replica;
use crate::support::fetched;
use crate::support::keeper::Keeper;
use crate::support::litestream::run;
use crate::support::server::{Server, free_port, portal, program};
use crate::support::world::World;

const PACKAGE: &str = "azurite@3.35.0";
/// An account of its own, and a key that is none of azurite's well-known one.
const ACCOUNT: &str = "backups";
const KEY: &str = "c2VzYW1lLW9wZW4tc2VzYW1lLW9wZW4tc2VzYW1lLW9wZW4=";
const WRONG: &str = "c2VzYW1lLWNsb3NlZC1zZXNhbWUtY2xvc2VkLXNlc2FtZS0=";

/// Makes a container, or removes it (`Shared Key` of Azure's documentation).
const MAKE: &str = r#"
const [method, port, account, key, name] = process.argv.slice(1), crypto = require("crypto");
const date = new Date().toUTCString(), version = "2021-12-02";
const text = [method, ...Array(11).fill(""), `x-ms-date:${date}`, `x-ms-version:${version}`,
  `/${account}/${account}/${name}`, "restype:container"].join("\n");
const sign = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64");
const headers = { "x-ms-date": date, "x-ms-version": version, "content-length": 0, authorization: `SharedKey ${account}:${sign}` };
const path = `/${account}/${name}?restype=container`;
require("http").request({ host: "127.0.0.1", port, path, method, headers }, (answer) => {
  answer.resume();
  if (answer.statusCode !== 201 && answer.statusCode !== 202) { console.error(answer.statusCode); process.exit(1); }
}).end();
"#;

/// Prints a token of the account's with these permissions (`Create an account SAS` there).
const TOKEN: &str = r#"
const [account, key, sp] = process.argv.slice(1), crypto = require("crypto");
const [sv, ss, srt, se] = ["2021-12-02", "b", "sco", "2099-01-01T00:00:00Z"];
const text = [account, sp, ss, srt, "", se, "", "", sv, "", ""].join("\n");
const sig = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64");
process.stdout.write("?" + new URLSearchParams({ sv, ss, srt, sp, se, sig }));
"#;

fn token(permissions: &str) -> String {
    let mut make = Command::new(program("node", "nodejs"));
    let made = make.args(["-e", TOKEN, "--", ACCOUNT, KEY, permissions]).output();
    String::from_utf8(made.expect("it can be started").stdout).expect("it is escaped")
}

/// A server with a container.
pub fn start(world: &World) -> Backend {
    let port = free_port();
    fs::create_dir(world.path("azure")).expect("the world is ours");
    let node = program("node", "nodejs");
    let server = Server::start(&node, world.root(), port, |command| {
        command.arg(script()).args(["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location"]);
        command.arg(world.path("azure")).args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}"));
    });
    let container = move |method: &str| {
        let mut make = Command::new(&node);
        run(make.args(["-e", MAKE, "--", method, &port.to_string(), ACCOUNT, KEY, "container"]))
            .expect("it makes a container, or removes it");
    };
    container("PUT");
    let at = move |name: &str| {
        Replica::new("abs")
            .set("endpoint", format!("http://127.0.0.1:{port}/{ACCOUNT}"))
            .set("account-name", ACCOUNT)
            .set("account-key", KEY)
            .set("bucket", "container")
            .set("path", name)
    };
    // Everything can be read and listed, and nothing else.
    let token = token("rl");
    let read_only = move |name: &str| {
        Replica::new("abs")
            .set("endpoint", format!("http://127.0.0.1:{port}/{ACCOUNT}"))
            .set("account-name", ACCOUNT)
            .set("sas-token", token.as_str())
            .set("bucket", "container")
            .set("path", name)
    };
    Backend {
        server: Box::new(server.told_to_end()),
        at: Box::new(at),
        folder: Some(Box::new(move |name: &str| at(&format!("tenants/{name}")))),
        refused: vec![
            (at("app").set("account-key", WRONG), "LITESTREAM_AZURE_ACCOUNT_KEY"),
            (at("app").set("account-key", "abc!"), "it is base64, and what is there is not"),
            (at("app").set("bucket", "nowhere"), "create the container"),
        ],
        env: Vec::new(),
        left: None,
        read_only: Some(ReadOnly {
            at: Box::new(read_only),
            hint: "LITESTREAM_AZURE_SAS_TOKEN",
            env: Vec::new(),
        }),
        stays: Some(0),
        is_listed: true,
        order: Some(Box::new(move |name: &str| {
            json!({"Azure": {
                "container": "container", "prefix": name, "account": ACCOUNT, "key": KEY, "token": null,
                "endpoint": format!("http://127.0.0.1:{port}/{ACCOUNT}"),
            }})
        })),
        empty: Some(Box::new(move || {
            container("DELETE");
            container("PUT");
        })),
        gives_up: false,
        has_arrived: None,
    }
}

/// The same, where a token stands in the place of the key.
pub fn start_by_token(world: &World) -> Backend {
    let backend = start(world);
    let token = token("rwdlac");
    let (at, order, own) = (backend.at, backend.order.expect("our own client looks there"), token.clone());
    Backend {
        at: Box::new(move |name: &str| at(name).set("account-key", "").set("sas-token", token.as_str())),
        order: Some(Box::new(move |name: &str| {
            let mut place = order(name);
            place["Azure"]["key"] = Value::Null;
            place["Azure"]["token"] = json!(own);
            place
        })),
        folder: None,
        ..backend
    }
}

/// The same on a way on which conditions are lost. What a key has signed they are a part of.
pub fn start_careless(world: &World) -> Backend {
    let backend = start_by_token(world);
    let place = backend.order.as_ref().expect("our own client looks there")("app");
    let endpoint = place["Azure"]["endpoint"].as_str().and_then(|endpoint| endpoint.rsplit_once(':'));
    let port = endpoint.and_then(|(_, port)| port.split('/').next()?.parse().ok()).expect("a port");
    let (at, careless) = (backend.at, careless::front(port));
    let at = move |name: &str| at(name).set("endpoint", format!("http://127.0.0.1:{careless}/{ACCOUNT}"));
    Backend { at: Box::new(at), order: None, ..backend }
}

#[test]
fn what_is_written_on_trial_is_removed_by_a_token() {
    let world = World::new();
    scenarios::checked(&world, &start_by_token(&world));
}

#[test]
fn a_page_is_no_empty_replica() {
    for page in [
        "<EnumerationResults ServiceEndpoint=\"http://x/\" ContainerName=\"other\"><Blobs></Blobs><NextMarker/></EnumerationResults>",
        "<EnumerationResults><Blobs></Blobs></EnumerationResults>",
        "<!DOCTYPE html><html><body>Welcome</body></html>",
    ] {
        let world = World::new();
        let replica = Replica::new("abs").set("endpoint", format!("{}/{ACCOUNT}", portal(page)));
        let replica = replica.set("account-name", ACCOUNT).set("account-key", KEY).set("bucket", "container");
        let config = world.config(&replica.set("path", "app"));
        let keeper = Keeper::new(&world).config(&config).args(["--restore-timeout", "5s"]);
        let ended = keeper.app(App::new(&world.trace()).exit(0)).run().expect_code(69);
        assert!(world.trace().is_empty() && !world.db().exists(), "{page}: {}", ended.log);
    }
}

/// It is fetched once, with npm, into `target/azurite/`.
#[track_caller]
fn script() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("azurite");
    let packages = folder.join("packages");
    fetched::once(&folder, &packages, install).unwrap_or_else(|why| {
        panic!("this test needs {PACKAGE}: make `npm install {PACKAGE}` work, which said: {why}")
    });
    packages.join("node_modules/azurite/dist/src/blob/main.js")
}

fn install(folder: &Path) -> Result<PathBuf, String> {
    fs::write(folder.join("package.json"), "{\"private\":true}\n").map_err(|error| error.to_string())?;
    let mut npm = Command::new(program("npm", "npm"));
    npm.args(["install", "--silent", "--no-audit", "--no-fund", PACKAGE]).current_dir(folder);
    run(&mut npm)?;
    Ok(folder.to_owned())
}
