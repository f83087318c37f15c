//! The examples: the image of `examples/docker` is built and run as its comments say, the Compose file's service is run
//! with what it says, the manifest of `examples/kubernetes` is played.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use rusqlite::Connection;
use serde_json::Value;

use crate::Scenario;
use crate::podman::{BASE, Podman};
use crate::scene::fresh;
use crate::support::litestream::{self, LATEST};
use crate::support::s3::{KEY, S3, SECRET};
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

pub const ALL: &[Scenario] =
    &[("deploy::docker", docker), ("deploy::compose", compose), ("deploy::kubernetes", kubernetes)];

/// The image of `examples/docker/Dockerfile`, built once. Its two bases are images of the same names made here: Debian is the
/// base of all, and Rust's has a `cargo` that takes what is built already.
fn image(podman: &Podman) -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    const NAME: &str = "localhost/guestbook:latest";
    BUILT.get_or_init(|| {
        let world = World::new();
        for name in ["litekeeper", "litestream"] {
            fs::copy(podman.bin.join(name), world.path(name)).expect("the world is empty");
        }
        world.program(
            "cargo",
            "#!/bin/sh\nmkdir -p target/release && exec cp /built/litekeeper target/release/\n",
        );
        world.write(
            "Dockerfile",
            &format!(
                "FROM {BASE}\nCOPY litekeeper /built/\n# `litekeeper install` leaves the right one alone.\n\
                 COPY litestream cargo /usr/local/bin/\n"
            ),
        );
        let root = world.root().display().to_string();
        podman.ok(["build", "--quiet", "--tag", "docker.io/library/rust:1-slim-bookworm", &root]);
        podman.ok(["tag", BASE, "docker.io/library/debian:bookworm-slim"]);
        let top = env!("CARGO_MANIFEST_DIR");
        let file = format!("{top}/examples/docker/Dockerfile");
        // The certificates come from Debian.
        podman.ok(["build", "--network", "host", "--pull=never", "--file", &file, "--tag", NAME, top]);
    });
    NAME
}

/// An S3 server, and the example's configuration with its address in it: everything else is as it stands there.
struct Place {
    world: World,
    s3: S3,
}

impl Place {
    fn new() -> Self {
        let (world, s3) = (World::new(), S3::start());
        s3.bucket("examples");
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/docker/litestream.yml"))
                .expect("the example");
        let address = format!("      endpoint: {}\n      force-path-style: true\n", s3.endpoint());
        world.write("litestream.yml", &format!("{}\n{address}", text.trim_end()));
        world.write("s3.env", &Self::variables().map(|(name, value)| format!("{name}={value}\n")).concat());
        fs::set_permissions(world.root(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
        Self { world, s3 }
    }

    fn variables() -> [(&'static str, &'static str); 3] {
        [
            ("LITESTREAM_REPLICA_BUCKET", "examples"),
            ("LITESTREAM_ACCESS_KEY_ID", KEY),
            ("LITESTREAM_SECRET_ACCESS_KEY", SECRET),
        ]
    }

    fn config(&self) -> String {
        format!("{}:/etc/litestream.yml:ro", self.world.path("litestream.yml").display())
    }

    /// The messages in a plain restore.
    fn restored(&self) -> Vec<String> {
        let out = self.world.path("restored.db");
        let mut command = Command::new(litestream::binary(LATEST));
        command.args(["restore", "-o"]).arg(&out).arg(self.s3.url("examples", "guestbook"));
        command.env_remove("AWS_CA_BUNDLE").envs(S3::env());
        litestream::run(&mut command).expect("there is a backup");
        let database = Connection::open(&out).expect("a database");
        let mut select = database.prepare("SELECT message FROM entries ORDER BY id").expect("its table");
        let rows = select.query_map([], |row| row.get(0)).expect("no parameters");
        rows.collect::<Result<_, _>>().expect("texts")
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Has the guest book take ten messages; returns those that it has acknowledged.
fn write_ten(port: u16) -> Vec<String> {
    wait_until("the guest book", DEADLINE, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let post = |message: &String| {
        let body = format!("name=Ada&message={message}");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.starts_with("HTTP/1.1 2") || answer.starts_with("HTTP/1.1 3")
    };
    let acked: Vec<String> = (0..10).map(|n| format!("message-{n}")).filter(post).collect();
    assert_eq!(acked.len(), 10);
    acked
}

fn guest_book(port: u16) -> Vec<String> {
    let port = port.to_string();
    ["litekeeper", "demo", "--app", "--db", "/data/guestbook.db", "--port", &port].map(str::to_owned).to_vec()
}

/// Starts it, writes, stops it, and counts.
fn around(podman: &Podman, place: &Place, options: &[&str], stop: &str) {
    let (name, port) = (fresh("deploy"), free_port());
    let mut words = vec!["run", "--detach", "--name", &name];
    words.extend(options);
    let config = place.config();
    words.extend(["--volume", &config, image(podman)]);
    let command = guest_book(port);
    words.extend(command.iter().map(String::as_str));
    podman.ok(words);
    let acked = write_ten(port);
    podman.ok(["stop", "--time", stop, &name]);
    let code = podman.ok(["inspect", "--format", "{{.State.ExitCode}}", &name]);
    let log = podman.ok(["logs", &name]);
    assert!(log.contains("everything is on the replica") && code.trim() == "0", "{code}: {log}");
    assert_eq!(place.restored(), acked);
    podman.ok(["rm", &name]);
}

/// As the Dockerfile's comments say.
fn docker(podman: &Podman) {
    let place = Place::new();
    let (file, volume) =
        (place.world.path("s3.env").display().to_string(), format!("{}:/data", fresh("data")));
    around(podman, &place, &["--network", "host", "-v", &volume, "--env-file", &file], "10");
}

/// There is no Compose here: its service is run by the same settings, and each setting is one that is known here.
fn compose(podman: &Podman) {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/docker/compose.yaml");
    let text = fs::read_to_string(text).expect("the example");
    let tree: Value = serde_yaml::from_str(&text).expect("YAML");
    let service = &tree["services"]["app"];
    assert_eq!(service["build"]["dockerfile"], "examples/docker/Dockerfile");
    assert_eq!(tree["volumes"], serde_json::json!({"data": null}));
    let place = Place::new();
    let mut options = Vec::new();
    let mut stop = "10".to_owned();
    for (key, value) in service.as_object().expect("a mapping") {
        let text = value.as_str().unwrap_or_default().to_owned();
        match key.as_str() {
            "build" | "image" => {}
            "stop_grace_period" => stop = text.trim_end_matches('s').to_owned(),
            "environment" => {
                for (name, value) in value.as_object().expect("a mapping") {
                    options
                        .extend(["--env".to_owned(), format!("{name}={}", value.as_str().expect("a text"))]);
                }
            }
            "env_file" => {
                options.extend(["--env-file".to_owned(), place.world.path(&text).display().to_string()]);
            }
            "volumes" => {
                assert_eq!(*value, serde_json::json!(["data:/data"]));
                options.extend(["--volume".to_owned(), format!("{}:/data", fresh("data"))]);
            }
            "network_mode" => options.extend(["--network".to_owned(), text]),
            "restart" => options.extend(["--restart".to_owned(), text]),
            other => panic!("nobody runs `{other}`"),
        }
    }
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    around(podman, &place, &options, &stop);
}

/// The manifest, with the names of this image and of this test's pod, volume and secret.
fn kubernetes(podman: &Podman) {
    let place = Place::new();
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/kubernetes/app.yaml");
    let text = fs::read_to_string(text).expect("the example");
    let (name, port) = (fresh("kube"), free_port());
    // This Podman reads a secret as the tree of its values, each in Base64.
    let packed = |text: &str| {
        let script = format!("printf %s '{text}' | base64 -w0");
        let output = Command::new("sh").args(["-c", &script]).output().expect("it is in coreutils");
        Value::from(String::from_utf8(output.stdout).expect("it is ASCII"))
    };
    let secret: serde_json::Map<_, _> =
        Place::variables().map(|(name, value)| (name.to_owned(), packed(value))).into_iter().collect();
    let secret = place.world.write("secret.json", &Value::from(secret).to_string()).display().to_string();
    podman.ok(["secret", "create", &name, &secret]);
    let replace = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{from:?} is not in the example");
        text.replace(from, to)
    };
    let args = guest_book(port).iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let text =
        replace(text, "image: guestbook\n", &format!("image: {}\n          args: [{args}]\n", image(podman)));
    let text = replace(text, "claimName: app-data", &format!("claimName: {name}"));
    let text = replace(text, "name: app-data", &format!("name: {name}"));
    let text = replace(
        text,
        "secretRef:\n                name: app\n",
        &format!("secretRef:\n                name: {name}\n"),
    );
    let text = replace(text, "  name: app\nspec:", &format!("  name: {name}\nspec:"));
    // What only a cluster has, or this Podman does not know.
    let text = replace(
        text,
        "          emptyDir: {}",
        &format!("          hostPath: {{path: {}}}", {
            let tmp = place.world.path("tmp");
            fs::create_dir(&tmp).expect("the world is empty");
            fs::set_permissions(&tmp, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).expect("ours");
            tmp.display().to_string()
        }),
    );
    let config = place.world.path("litestream.yml");
    let text = replace(
        text,
        "            - name: tmp\n",
        "            - {name: config, mountPath: /etc/litestream.yml}\n            - name: tmp\n",
    );
    let text = replace(
        text,
        "\n        - name: tmp\n",
        &format!(
            "\n        - {{name: config, hostPath: {{path: {}, type: File}}}}\n        - name: tmp\n",
            config.display()
        ),
    );
    let text = replace(text, "    spec:\n      # What", "    spec:\n      hostNetwork: true\n      # What");
    let file = place.world.write("app.yaml", &text).display().to_string();
    podman.ok(["kube", "play", "--network", "host", &file]);
    let names = podman.ok(["ps", "--format", "{{.Names}}", "--filter", &format!("name={name}")]);
    let container = names.lines().find(|name| name.ends_with("-app")).expect("it runs").to_owned();
    let acked = write_ten(port);
    podman.ok(["stop", "--time", "30", &container]);
    let log = podman.ok(["logs", &container]);
    assert!(log.contains("everything is on the replica"), "{log}");
    assert_eq!(place.restored(), acked);
    podman.ok(["kube", "down", &file]);
}
