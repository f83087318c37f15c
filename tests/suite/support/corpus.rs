//! The configurations of `tests/fixtures/config`, and the two that read them: Litekeeper and Litestream itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use litekeeper::config::{self, Config, GenerateOptions, LoadOptions, Series};
use proptest::test_runner::{Config as Chance, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use super::litestream;

/// What `litestream databases` says of each database: its file and the type of its replica.
pub type Listing = Vec<(PathBuf, String)>;

/// What a Litestream that replicates says about itself, one line after the other: each database, each
/// replica with its place and interval, the address of the metrics, and why it cannot start, if so.
pub type Account = Vec<BTreeMap<String, String>>;

/// Every variable that the files use, and nothing else. The last one keeps Litestream from asking a
/// cloud for the keys that it does not find; the two before it from reading certificates.
pub const ENVIRONMENT: [(&str, &str); 15] = [
    ("DATA", "/data"),
    ("STAGE", "test"),
    ("BUCKET", "backups"),
    ("KEY", "key"),
    ("SECRET", "s#cr$t:\\\""),
    ("EMPTY", ""),
    ("LIST", "[{path: /data/from-env.db, replicas: [{path: /backups/from-env}]}]"),
    ("LINES", "a\n    replicas: [{path: /backups/lines}]"),
    ("LITESTREAM_ACCESS_KEY_ID", "key"),
    ("LITESTREAM_SECRET_ACCESS_KEY", "secret"),
    ("AWS_ACCESS_KEY_ID", "key"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("SSL_CERT_FILE", "/dev/null"),
    ("SSL_CERT_DIR", "/dev/null"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

/// One side of a comparison: a folder of its own, in which relative paths are.
pub struct Reader {
    cwd: tempfile::TempDir,
    home: PathBuf,
    cloud: Arc<tiny_http::Server>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.cloud.unblock();
    }
}

impl Reader {
    /// A reader in a folder with nothing but `tenants/one.db`, with the home that the user database has for this user.
    pub fn new() -> Self {
        let user = nix::unistd::User::from_uid(nix::unistd::getuid())
            .expect("the user database")
            .expect("this user");
        let cwd = tempfile::tempdir().expect("a folder");
        // For `dir`: Litestream looks for files that begin like this.
        std::fs::create_dir(cwd.path().join("tenants")).expect("a folder");
        std::fs::write(cwd.path().join("tenants/one.db"), "SQLite format 3\0").expect("a file");
        Self { cwd, home: user.dir, cloud: cloud() }
    }

    /// The folder.
    pub fn cwd(&self) -> PathBuf {
        self.cwd.path().canonicalize().expect("the folder")
    }

    /// Litekeeper's options in this folder.
    pub fn with_options<T>(&self, expand: bool, f: impl FnOnce(&LoadOptions<'_>) -> T) -> T {
        self.with_options_for(None, expand, f)
    }

    fn with_options_for<T>(
        &self,
        file: Option<&Path>,
        expand: bool,
        f: impl FnOnce(&LoadOptions<'_>) -> T,
    ) -> T {
        let variables: BTreeMap<_, _> = ENVIRONMENT.into_iter().chain(file.and_then(bucket)).collect();
        let env = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let cwd = self.cwd();
        f(&LoadOptions {
            no_expand_env: !expand,
            env: &env,
            cwd: &cwd,
            home: Some(&self.home),
            pid: std::process::id(),
        })
    }

    /// What Litekeeper makes of a file for one version of Litestream.
    pub fn load(&self, file: &Path, version: &str, expand: bool) -> Result<Config, config::Error> {
        let config = self.with_options_for(Some(file), expand, |options| config::load(file, options))?;
        config.check(series(version))?;
        Ok(config)
    }

    /// Writes the generated file beside nothing that it could depend on.
    pub fn generated(&self, config: &Config, version: &str) -> File {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("generated.yml");
        let options =
            GenerateOptions { socket: folder.path().join("a \"b\".sock"), ..options(series(version)) };
        let generated = config.generate(&options);
        std::fs::write(&path, generated.text).expect("a file");
        File { path, expand: true, env: generated.env, _folder: Some(folder) }
    }

    /// `litestream databases`: what it lists, or what it complains about.
    pub fn databases(&self, version: &str, file: &File) -> Result<Listing, String> {
        let mut command = self.command(version, "databases", file);
        let json = version == litestream::LATEST;
        command.args(json.then_some("-json"));
        let output = command.output().expect("litestream runs");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        Ok(if json { rows_of_json(&stdout) } else { rows_of_table(&stdout) })
    }

    /// `litestream replicate` with an app that ends at once, or what it complains about.
    ///
    /// # Errors
    /// When it does not accept the configuration. That it cannot reach a server comes later, and is a
    /// line of the account.
    pub fn replicate(&self, version: &str, file: &File) -> Result<Account, String> {
        let mut command = self.command(version, "replicate", file);
        command.args(["-exec", "/bin/true"]);
        let output = command.output().expect("litestream runs");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let lines = || stdout.lines().chain(stderr.lines());
        let mut account: Account = lines().filter_map(record).collect();
        if !output.status.success() {
            // That the server of a replica does not answer comes after the configuration.
            if !stderr.contains("Error: cannot open store: ") {
                return Err(format!("{stdout}{stderr}"));
            }
            account.push(BTreeMap::from([("msg".to_owned(), "cannot open store".to_owned())]));
        }
        Ok(account)
    }

    fn command(&self, version: &str, command: &str, file: &File) -> Command {
        let mut spec = Command::new(litestream::binary(version));
        spec.args([command, "-config"]).arg(&file.path).args((!file.expand).then_some("-no-expand-env"));
        spec.current_dir(self.cwd())
            .env_clear()
            .envs(ENVIRONMENT)
            .envs(bucket(&file.path))
            .envs(file.env.iter().cloned());
        let address = self.cloud.server_addr();
        spec.env("AWS_ENDPOINT_URL", format!("http://{address}"));
        spec.env("STORAGE_EMULATOR_HOST", address.to_string());
        spec
    }
}

/// A server that knows the region of every bucket, which Litestream asks for before it starts.
fn cloud() -> Arc<tiny_http::Server> {
    const REGION: &str = concat!(
        "<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        "eu-test-1</LocationConstraint>"
    );
    let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").expect("a port"));
    let serving = Arc::clone(&server);
    std::thread::spawn(move || {
        for request in serving.incoming_requests() {
            // Whoever asked may be gone.
            let _ = request.respond(tiny_http::Response::from_string(REGION));
        }
    });
    server
}

/// Litekeeper makes a replica of this variable where there is none, so only those have it that name it.
fn bucket(file: &Path) -> Option<(&'static str, &'static str)> {
    const NAME: &str = "LITESTREAM_REPLICA_BUCKET";
    let text = std::fs::read(file).unwrap_or_default();
    text.windows(NAME.len()).any(|part| part == NAME.as_bytes()).then_some((NAME, "backups"))
}

/// A configuration to be read by Litestream.
pub struct File {
    path: PathBuf,
    expand: bool,
    env: Vec<(String, String)>,
    _folder: Option<tempfile::TempDir>,
}

impl File {
    /// A file that is there; without `expand` it is read with `-no-expand-env`.
    pub fn existing(path: &Path, expand: bool) -> Self {
        Self { path: path.to_owned(), expand, env: Vec::new(), _folder: None }
    }

    /// What is written in it.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.path).expect("the file")
    }
}

/// The series that a version belongs to.
pub fn series(version: &str) -> Series {
    if version.starts_with("0.3") { Series::V03 } else { Series::V05 }
}

/// What the tests of generated files have in common.
pub fn options(series: Series) -> GenerateOptions {
    GenerateOptions {
        socket: PathBuf::from("/run/litekeeper/a \"b\"/litestream.sock"),
        shutdown_sync_timeout: Duration::from_secs(4),
        series,
    }
}

/// What Litekeeper sees, in the form of `litestream databases`.
pub fn listing(config: &Config) -> Listing {
    config.databases().iter().map(|d| (d.path.clone(), d.replicas[0].kind.to_string())).collect()
}

/// The files of one folder of fixtures, sorted.
pub fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(folder);
    let entries = std::fs::read_dir(&folder).expect("the fixtures");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

/// The name of a fixture without its ending.
pub fn name(file: &Path) -> String {
    file.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn rows_of_json(text: &str) -> Listing {
    let rows: Vec<BTreeMap<String, String>> = serde_json::from_str(text).expect("JSON");
    rows.into_iter().map(|row| (PathBuf::from(&row["path"]), row["replica"].clone())).collect()
}

fn rows_of_table(text: &str) -> Listing {
    let (path, replica) = text.lines().next().expect("a head line").split_once(' ').expect("two columns");
    assert_eq!((path, replica.trim_start().trim_end_matches('s')), ("path", "replica"));
    let row = |line: &str| {
        let (path, replica) = line.split_once("  ").unwrap_or((line, ""));
        (PathBuf::from(path.trim_end()), replica.trim().to_owned())
    };
    text.lines().skip(1).map(row).collect()
}

/// A line of the log that tells a setting, in either of the two formats.
fn record(line: &str) -> Option<BTreeMap<String, String>> {
    let mut record = match serde_json::from_str::<BTreeMap<String, Value>>(line) {
        Ok(record) => record.into_iter().map(|(key, value)| (key, plain(&value))).collect(),
        Err(_) => fields(line)?,
    };
    if !["initialized db", "replicating to", "serving metrics on"].contains(&record.get("msg")?.as_str()) {
        return None;
    }
    record.retain(|key, _| !["time", "level", "source"].contains(&key.as_str()));
    // JSON has nanoseconds, text what Go calls a duration.
    if let Some(interval) = record.get_mut("sync-interval")
        && let Ok(nanoseconds) = interval.parse::<i64>()
    {
        *interval = go_duration(nanoseconds);
    }
    Some(record)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `key=value key="quoted value"`, as Go's `slog` writes it.
fn fields(line: &str) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            None => {
                after.split_once(' ').map_or((after.to_owned(), ""), |(value, rest)| (value.to_owned(), rest))
            }
            Some(quoted) => unquote(quoted)?,
        };
        fields.insert(key.to_owned(), value);
        rest = after.trim_start();
    }
    Some(fields)
}

/// Go's `strconv.Quote`, undone, without its opening quote; and what comes after it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((text, chars.as_str())),
            '\\' => {
                let code = |chars: &mut std::str::Chars<'_>, digits: usize| {
                    let (digits, rest) = chars.as_str().split_at_checked(digits)?;
                    *chars = rest.chars();
                    u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
                };
                text.push(match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    'x' => code(&mut chars, 2)?,
                    'u' => code(&mut chars, 4)?,
                    'U' => code(&mut chars, 8)?,
                    other => other,
                });
            }
            other => text.push(other),
        }
    }
}

/// Go's `Duration.String` for whole milliseconds and less.
fn go_duration(nanoseconds: i64) -> String {
    if nanoseconds.abs() < 1_000_000_000 {
        return match nanoseconds {
            0 => "0s".to_owned(),
            n if n % 1_000_000 == 0 => format!("{}ms", n / 1_000_000),
            n => format!("{n}ns"),
        };
    }
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let (hours, minutes) = (total / 3_600_000_000_000, total / 60_000_000_000 % 60);
    let rest = total % 60_000_000_000;
    let (seconds, fraction) = (rest / 1_000_000_000, rest % 1_000_000_000);
    let fraction = format!(".{fraction:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}{fraction}s"),
        (0, m) => format!("{sign}{m}m{seconds}{fraction}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}{fraction}s"),
    }
}

/// Runs the same `cases` each time, or as many new ones as `PROPTEST_CASES` asks for.
pub fn runner(cases: u32) -> TestRunner {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Chance {
        cases: if asked { Chance::default().cases } else { cases },
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Chance::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    if asked { TestRunner::new(config) } else { TestRunner::new_with_rng(config, rng) }
}
