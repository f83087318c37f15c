//! The examples in the README and on every page of `docs/`, run as they are: a page is a world, and its blocks are run in it
//! one after another. A block of a kind that nobody runs fails.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::migrations::variables;
use crate::support::app::App;
use crate::support::docs::{self, Fence, Page};
use crate::support::litestream;
use crate::support::process::{Ended, Spec};
use crate::support::s3::S3;
use crate::support::sqlite;
use crate::support::world::World;

/// Kinds that are shown and not run, and what they are.
const SHOWN: &[(&str, &str)] = &[
    ("text", "what a program prints, or a picture"),
    ("json", "what `--json` prints: operator_lists and operator_restore compare it"),
    ("c", "a part of a reproduction for Litestream's people"),
    ("python", "a reproduction for Litestream's people, or an app's code that wants a library of its own"),
];

/// Blocks that are run by somebody else: the page, how it begins, and by whom.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("README.md", "cargo run --release -- demo\n", "demo.rs, without cargo"),
    ("README.md", "cargo test\n", "whoever runs this"),
    ("docs/http.md", "litekeeper:\n  http:", "http.rs, on ports that are free"),
    ("docs/replicas.md", "dbs:\n", "backends, on a server of each kind; here it is looked at"),
    (
        "docs/litestream-orphaned-commit.md",
        "#!/bin/sh\n# usage: repro.sh",
        "by hand: it shows a fault of Litestream's",
    ),
];

/// What a page without a configuration of its own is about.
const DEFAULT: &str = "dbs:\n  - path: data/app.db\n    replica: {path: backups/app}\n";

/// A folder with an app, its database, both programs in `PATH`, and the variables that examples name.
struct Place {
    world: World,
    s3: S3,
}

impl Place {
    fn new() -> Self {
        let (world, s3) = (World::new(), S3::start());
        for folder in ["bin", "data"] {
            fs::create_dir(world.path(folder)).expect("the world is empty");
        }
        symlink(env!("CARGO_BIN_EXE_litekeeper"), world.path("bin/litekeeper")).expect("a link");
        symlink(litestream::binary(litestream::LATEST), world.path("bin/litestream")).expect("a link");
        let db = world.path("data/app.db");
        sqlite::create(&db, 3);
        let app = App::new(&world.trace()).insert(&db, 1).exit(0);
        world.program("bin/server", &format!("#!/bin/sh\nexec {}\n", app.line()));
        for quiet in ["migrate", "rails", "php", "python"] {
            world.program(&format!("bin/{quiet}"), "#!/bin/sh\nexit 0\n");
        }
        sqlite::create(&world.path("data/tenant.db"), 3);
        let tenant =
            format!(r#"[{{"path": "data/tenant.db", "replica": {{"url": "{}"}}}}]"#, world.replica_url());
        world.program("bin/tenants", &format!("#!/bin/sh\necho '{tenant}'\n"));
        world.write(".env", "");
        Self { world, s3 }
    }

    fn run(&self, program: &Path, args: &[&str]) -> Ended {
        let mut spec = Spec::new(program, self.world.root());
        let path = std::env::var("PATH").expect("a PATH");
        spec.env("PATH", format!("{}:{path}", self.world.path("bin").display()));
        spec.env("LITEKEEPER_RUNTIME_DIR", self.world.runtime_dir());
        spec.env("SERVER_TOKEN", "t0ken");
        for (name, value) in variables(&self.s3) {
            spec.env(name, value);
        }
        let key = variables(&self.s3);
        for (name, amazon) in [
            ("LITESTREAM_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"),
            ("LITESTREAM_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"),
        ] {
            spec.env(amazon, &key.iter().find(|(known, _)| *known == name).expect("it is there").1);
        }
        spec.args(args);
        spec.run(Duration::from_secs(120))
    }

    fn shell(&self, lines: &str) -> Ended {
        self.run(Path::new("/bin/sh"), &["-euc", lines])
    }

    fn litekeeper(&self, args: &[&str]) -> Ended {
        self.run(Path::new(env!("CARGO_BIN_EXE_litekeeper")), args)
    }

    /// A configuration: nothing is wrong with it, and it replicates.
    fn configuration(&self, text: &str) {
        let text = if text.contains("dbs:") { text.to_owned() } else { format!("{text}{DEFAULT}") };
        for bucket in buckets(&text) {
            if !self.s3.folder(&bucket).exists() {
                self.s3.bucket(&bucket);
            }
        }
        let file = self.world.write("litestream.yml", &text);
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("ours");
        let found = self.litekeeper(&["check", "--", "true"]).expect_code(0).stdout;
        for code in ["unknown-key", "misplaced-key", "dropped-key", "no-effect", "unset-variable"] {
            assert!(!found.contains(&format!("[{code}]")), "{found}");
        }
        let shown = self.litekeeper(&["config"]).expect_code(0).stdout;
        for path in shown.lines().filter_map(|line| line.strip_prefix("  - path: \"")?.strip_suffix('"')) {
            let path = Path::new(path);
            if !path.exists() {
                fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
                sqlite::create(path, 3);
            }
        }
        self.litekeeper(&["run", "--restart", "never", "--", "true"])
            .expect_code(0)
            .expect_log("everything is on the replica");
    }

    fn example(&self, fence: &Fence) {
        let text = &fence.text;
        match fence.kind {
            "yaml" => self.configuration(text),
            "sh" => drop(self.shell(text).expect_code(0)),
            "procfile" => {
                let (_, line) = text.trim().split_once(": ").expect("a name and a command");
                let url = format!("export LITESTREAM_REPLICA_URL='{}'; {line}", self.world.replica_url());
                self.shell(&url).expect_code(0).expect_log("everything is on the replica");
            }
            "dockerfile" => {
                let words = |name: &str| -> Vec<String> {
                    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("its line");
                    serde_json::from_str(line).expect("a list of words")
                };
                let words = [words("ENTRYPOINT "), words("CMD ")].concat();
                let line = shlex::try_join(words.iter().map(String::as_str)).expect("no NUL");
                self.shell(&line).expect_code(0).expect_log("everything is on the replica");
            }
            // The lines that `init` prints for that file.
            "dockerignore" | "gitignore" => {
                let printed = self.litekeeper(&["init", "--dry-run", "--force"]).expect_code(0);
                let printed = printed.stdout + &printed.log;
                let (_, lines) = printed
                    .split_once(&format!("\n.{}:\n", fence.kind))
                    .unwrap_or_else(|| panic!("{printed}"));
                let lines: Vec<_> = lines.lines().map_while(|line| line.strip_prefix("  ")).collect();
                assert_eq!(lines, text.lines().collect::<Vec<_>>());
            }
            other => panic!("nobody runs blocks of the kind {other:?}; what is only shown is `text`"),
        }
    }
}

/// The buckets that a configuration names.
fn buckets(text: &str) -> Vec<String> {
    let names = text.split("bucket: ").skip(1).chain(text.split("s3://").skip(1));
    let names =
        names.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap_or_default());
    let mut names: Vec<String> =
        names.filter(|name| !name.is_empty()).map(str::to_owned).chain(["my-bucket".to_owned()]).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether somebody else runs it, or it is only shown.
fn is_elsewhere(page: &Page, fence: &Fence) -> bool {
    SHOWN.iter().any(|(kind, _)| *kind == fence.kind)
        || ELSEWHERE.iter().any(|(name, begin, _)| *name == page.name && fence.text.starts_with(begin))
}

fn walk(page: &Page) {
    let (fences, _) = page.split();
    let mut fences = fences.iter().filter(|fence| !is_elsewhere(page, fence)).peekable();
    if fences.peek().is_none() {
        return;
    }
    let place = Place::new();
    place.s3.bucket("my-bucket"); // in which `init` begins
    if !page.text.contains("\nlitekeeper init\n") {
        place.configuration(DEFAULT);
    }
    for fence in fences {
        eprintln!("--- {}:{} ({})", page.name, fence.line, fence.kind);
        place.example(fence);
    }
}

#[test]
fn every_example_runs() {
    let pages = docs::pages();
    thread::scope(|scope| {
        for page in &pages {
            scope.spawn(move || walk(page));
        }
    });
}

/// Each kind of replica as it is written there is one that Litestream and `check` know.
#[test]
fn nothing_is_wrong_with_the_replicas_of_their_page() {
    let page = docs::page("docs/replicas.md");
    let (fences, _) = page.split();
    let text = &fences.iter().find(|fence| fence.kind == "yaml").expect("a configuration").text;
    let world = World::new();
    world.write("litestream.yml", text);
    let mut spec = Spec::new(Path::new(env!("CARGO_BIN_EXE_litekeeper")), world.root());
    for name in ["SFTP_PASSWORD", "NATS_PASSWORD", "WEBDAV_PASSWORD"] {
        spec.env(name, "x");
    }
    spec.env(
        "LITESTREAM_BINARY_PATH",
        crate::support::litestream::binary(crate::support::litestream::LATEST),
    );
    spec.args(["check", "--", "true"]);
    let found = spec.run(Duration::from_secs(60)).expect_code(0).stdout;
    assert!(!found.contains("error:") && !found.contains("warning:"), "{found}");
    for kind in ["folder", "s3", "sftp", "azure", "gcs", "nats", "webdav"] {
        assert!(found.contains(&format!("data/{kind}.db` does not exist yet")), "{kind}: {found}");
    }
}

#[test]
fn what_is_run_elsewhere_is_still_there() {
    let pages = docs::pages();
    for (name, begin, _) in ELSEWHERE {
        let page = pages.iter().find(|page| page.name == *name).expect("the page");
        assert!(page.split().0.iter().any(|fence| fence.text.starts_with(begin)), "{name}: {begin}");
    }
}

/// The walk fails where it has to: at a kind that nobody runs, at a command that fails, at a wrong key.
#[test]
fn a_page_that_lies_is_found() {
    for (kind, text, said) in [
        ("", "x\n", "nobody runs blocks"),
        ("rust", "x\n", "nobody runs blocks"),
        ("sh", "litekeeper chek\n", "'chek'"),
        ("yaml", "dbz: []\ndbs: [{path: data/app.db, replica: {path: backups/app}}]\n", "[unknown-key]"),
    ] {
        let text = format!("# A page\n\n```{kind}\n{text}```\n");
        let page = Page { name: "docs/new.md".into(), text };
        let why = thread::spawn(move || walk(&page)).join().expect_err("it lies");
        let why = why.downcast_ref::<String>().expect("a reason");
        assert!(why.contains(said), "{kind:?}: {why}");
    }
}
