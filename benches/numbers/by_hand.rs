//! How long it takes to restore many databases by hand (`litekeeper restore`), against a loop in a shell: over a link with a delay, and from
//! a folder, where most of a tiny restore is the start of a process.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::bed;
use super::link::Link;
use super::stats::{Samples, ratio};
use super::support::config::Replica;
use super::support::process::Spec;
use super::support::s3::S3;
use super::support::world::World;
use super::support::{litestream, sqlite};
use super::table::{Bar, Row};
use super::{Effort, Error};

/// A thousand databases on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1200);
/// What a packet needs from one end to the other.
const DELAY: Duration = Duration::from_millis(20);
/// How many are restored side by side over the link, which is waited for most of the time.
const AT_ONCE: &str = "16";

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    Ok(vec![over_a_link(effort)?, from_a_folder(effort)?])
}

fn over_a_link(effort: Effort) -> Result<Row, Error> {
    let number = effort.of(200, 20);
    let server = S3::start();
    server.bucket("bucket");
    let many = Many::new(number);
    many.back_up(&server.replica("bucket", "0"), &server.folder("bucket"))?;
    let link = Link::start(&server.endpoint(), DELAY)?;
    let endpoint = link.endpoint();
    let config = many.configure(|place| server.replica("bucket", place).set("endpoint", endpoint.clone()));
    let url =
        |place: &str| format!("s3://bucket/{place}?endpoint={endpoint}&region=us-east-1&forcePathStyle=true");
    let what =
        format!("{number} databases restored from S3, {} ms away, {AT_ONCE} at once", DELAY.as_millis());
    many.compare(what, &config, url, AT_ONCE, effort.of(3, 1))
}

fn from_a_folder(effort: Effort) -> Result<Row, Error> {
    let number = effort.of(1000, 50);
    let many = Many::new(number);
    let replicas = many.world.path("replica");
    let replica = |place: &str| Replica::folder(&replicas.join(place));
    many.back_up(&replica("0"), &replicas)?;
    let config = many.configure(replica);
    let url = |place: &str| format!("file://{}", replicas.join(place).display());
    let at_once = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    let what = format!("{number} tiny databases restored from a folder, {at_once} at once");
    many.compare(what, &config, url, &at_once, effort.of(3, 1))
}

/// Databases that are missing, whose backups are copies of one.
struct Many {
    world: World,
    number: usize,
}

impl Many {
    fn new(number: usize) -> Self {
        Self { world: World::new(), number }
    }

    fn database(&self, place: usize) -> PathBuf {
        self.world.path(&format!("data/{place}.db"))
    }

    /// Backs one up, to a folder `0` in `folder`, and copies that.
    fn back_up(&self, replica: &Replica, folder: &Path) -> Result<(), Error> {
        let first = self.database(0);
        fs::create_dir(self.world.path("data")).map_err(|error| error.to_string())?;
        sqlite::create(&first, 100);
        let one = self.world.config_of("", [(first.as_path(), replica)]);
        litestream::back_up(&self.world, litestream::LATEST, &one, &[&first]);
        let copied = (1..self.number)
            .try_for_each(|place| bed::copy(&folder.join("0"), &folder.join(place.to_string())));
        copied.map_err(|error| format!("{}: {error}", folder.display()))
    }

    fn configure(&self, replica: impl Fn(&str) -> Replica) -> PathBuf {
        let paths: Vec<_> = (0..self.number).map(|place| self.database(place)).collect();
        let replicas: Vec<_> = (0..self.number).map(|place| replica(&place.to_string())).collect();
        self.world.config_of("", paths.iter().map(PathBuf::as_path).zip(&replicas))
    }

    fn compare(
        &self,
        what: String,
        config: &Path,
        url: impl Fn(&str) -> String,
        at_once: &str,
        rounds: usize,
    ) -> Result<Row, Error> {
        let mut lines = String::new();
        for place in 0..self.number {
            let (database, url) = (self.database(place), url(&place.to_string()));
            writeln!(lines, "{} {url}", database.display()).expect("a String takes any text");
        }
        let list = self.world.write("list", &lines);
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        for _ in 0..rounds {
            self.lose()?;
            let began = Instant::now();
            self.by_loop(&list)?;
            theirs.push_time(began.elapsed());
            let restored = self.bytes()?;
            self.lose()?;
            let began = Instant::now();
            self.by_hand(config, at_once)?;
            ours.push_time(began.elapsed());
            if self.bytes()? != restored {
                return Err("what was restored is not what the loop restored".to_owned());
            }
        }
        let times = theirs.median() / ours.median();
        Ok(Row {
            what,
            n: ours.n(),
            ours: ours.spread("ms"),
            peer: "a loop of `litestream restore`".to_owned(),
            theirs: theirs.spread("ms"),
            compared: ratio(ours.median(), theirs.median()),
            bar: Bar::at_least("faster", times, 5.0, "times"),
        })
    }

    fn lose(&self) -> Result<(), Error> {
        let data = self.world.path("data");
        let lost = fs::remove_dir_all(&data).and_then(|()| fs::create_dir(&data));
        lost.map_err(|error| format!("{}: {error}", data.display()))
    }

    fn bytes(&self) -> Result<Vec<Vec<u8>>, Error> {
        let read = |place| {
            let path = self.database(place);
            fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        (0..self.number).map(read).collect()
    }

    fn by_loop(&self, list: &Path) -> Result<(), Error> {
        // By its URL: it reads no configuration of all of them each time.
        let script =
            "while read -r database url; do \"$0\" restore -o \"$database\" \"$url\" || exit 1; done";
        let list = fs::File::open(list).map_err(|error| error.to_string())?;
        let done = Command::new("sh")
            .args(["-c", script])
            .arg(litestream::binary(litestream::LATEST))
            .env_remove("AWS_CA_BUNDLE")
            .envs(S3::env())
            .stdin(list)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("sh: {error}"))?;
        if done.success() { Ok(()) } else { Err(format!("the loop ended with {done}")) }
    }

    fn by_hand(&self, config: &Path, at_once: &str) -> Result<(), Error> {
        let mut spec = Spec::new(&bed::keeper_binary(), self.world.root());
        spec.env("LITEKEEPER_RUNTIME_DIR", self.world.runtime_dir());
        spec.env("LITESTREAM_BINARY_PATH", litestream::binary(litestream::LATEST));
        spec.args(["restore".as_ref(), "--config".as_ref(), config.as_os_str()]);
        spec.args(["--parallel", at_once]);
        spec.run(PATIENCE).expect_code(0);
        Ok(())
    }
}
