//! What it costs that a resolver names a database, without what is done for it outside of this process: the answer read and checked,
//! the reconciliation until Litestream has all of them, the file that Litestream gets, and the same answer once more.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use litekeeper::config::{self, LoadOptions};
use litekeeper::core::{Event, Moment, Reconciliation, Step, Turn, Wanted};
use litekeeper::inventory::{Entry, Environment, Inventory, Named, Old};
use litekeeper::litestream::version::Version;

use super::stats::{Samples, ratio};
use super::table::{Bar, Row};
use super::{Effort, Error};

/// What each of many may cost more than each of a thousand.
const LIMIT: f64 = 2.0;

/// The configuration of whoever has a resolver.
const FILE: &str = "\
litekeeper:
  resolver: {command: [bin/tenants], interval: 30s}
  replicas:
    main: {type: s3, bucket: backups, region: eu-central-1, path: tenants}
dbs: []
";

const WHERE: &str = "/run/litekeeper/litestream.sock";

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let numbers = effort.of([1000, 2000, 4000, 8000], [100, 200, 400, 800]);
    let mut costs = numbers.map(|number| (number, Cost::default()));
    for _ in 0..effort.of(5, 2) {
        for (number, cost) in &mut costs {
            cost.take(*number)?;
        }
    }
    let [(few, first), ..] = &costs;
    let rows = costs.iter().flat_map(|(number, cost)| {
        cost.parts().into_iter().zip(first.parts()).map(move |((what, ours), (_, theirs))| {
            let growth = ours.min() / theirs.min();
            let bar = || Bar::at_most(&format!("to each of {few}"), growth, LIMIT, "times");
            Row {
                what: format!("{what}, for each of {number} databases that a resolver names"),
                n: ours.n(),
                ours: ours.spread("µs"),
                peer: format!("each of {few}"),
                theirs: theirs.spread("µs"),
                compared: ratio(ours.min(), theirs.min()),
                bar: if number == few { None } else { bar() },
            }
        })
    });
    Ok(rows.collect())
}

/// What each of so many took, in microseconds.
#[derive(Default)]
struct Cost {
    read: Samples,
    taken_in: Samples,
    generated: Samples,
    tried: Samples,
    again: Samples,
}

impl Cost {
    fn parts(&self) -> [(&'static str, &Samples); 5] {
        [
            ("an answer read", &self.read),
            ("its databases taken in one by one", &self.taken_in),
            ("Litestream's file", &self.generated),
            ("what each place is written to on trial with", &self.tried),
            ("the same answer once more", &self.again),
        ]
    }

    fn take(&mut self, number: usize) -> Result<(), Error> {
        let each = |took: Duration| took.as_secs_f64() * 1e6 / number as f64;
        let (inventory, answer) = (inventory()?, answer(number));
        let mut all = Reconciliation::new(0);

        let start = Instant::now();
        let named = read(&inventory, &answer)?;
        self.read.push(each(start.elapsed()));
        let entries: Vec<Entry> = named.iter().map(|tenant| tenant.named.entry.clone()).collect();

        let start = Instant::now();
        let here = take_in(&mut all, named);
        self.taken_in.push(each(start.elapsed()));
        if here != number {
            return Err(format!("{here} of {number} were taken in"));
        }

        let start = Instant::now();
        let inputs = inventory.generate(Path::new(WHERE), &entries);
        self.generated.push(each(start.elapsed()));
        if inputs.config.matches("/srv/tenants/").count() != number {
            return Err(format!("not all of {number} are in Litestream's file"));
        }

        let start = Instant::now();
        let trial = inventory.trials(entries.clone());
        let is_tried =
            |number: usize| trial(&path_of(number), Path::new("/run/trial.db"), ".trial").is_some();
        let tried = (0..number).filter(|number| is_tried(*number)).count();
        self.tried.push(each(start.elapsed()));
        if tried != number {
            return Err(format!("{tried} of {number} places can be written to on trial"));
        }

        let start = Instant::now();
        let named = read(&inventory, &answer)?;
        let here = take_in(&mut all, named);
        self.again.push(each(start.elapsed()));
        if here == 0 { Ok(()) } else { Err(format!("{here} came again")) }
    }
}

fn inventory() -> Result<Rc<Inventory>, Error> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("litestream.yml");
    std::fs::write(&path, FILE).map_err(|error| error.to_string())?;
    let options =
        LoadOptions { no_expand_env: true, env: &|_| None, cwd: Path::new("/srv"), home: None, pid: 1 };
    let config = config::load(&path, &options).map_err(|error| error.to_string())?;
    let environment = Environment { variable: |_| None, mounted: Vec::new, seen: Vec::new() };
    let old = Rc::new(Old::of(Path::new("litestream"), Version::parse("0.5.17")));
    Ok(Rc::new(Inventory::new(config, None, Duration::from_secs(1), true, environment, old)))
}

fn path_of(number: usize) -> PathBuf {
    PathBuf::from(format!("/srv/tenants/{number:05}.db"))
}

fn answer(number: usize) -> Vec<u8> {
    let entry = |number| format!(r#"{{"path": "{}", "replica": "main"}}"#, path_of(number).display());
    let all: Vec<String> = (0..number).map(entry).collect();
    format!("[{}]", all.join(",\n")).into_bytes()
}

fn read(inventory: &Inventory, answer: &[u8]) -> Result<Vec<Tenant>, Error> {
    let named = inventory.read(answer, &[]).map_err(|failure| failure.message)?;
    Ok(named.into_iter().map(|named| Tenant { named: Rc::new(named) }).collect())
}

/// Has Litestream take in whatever is named, each as soon as it can be, and says how many came.
fn take_in(all: &mut Reconciliation<Tenant>, wanted: Vec<Tenant>) -> usize {
    let moment = Moment { runs: true, goes_on: true, ..Moment::default() };
    let mut came = BTreeSet::new();
    all.handle(moment, Turn::Answered { wanted, by_hand: false });
    while let Some(step) = all.poll_step() {
        match step {
            Step::Look { db, number, .. } => {
                all.handle(moment, Turn::LookedAt { db, number, result: Ok(()) });
            }
            Step::Tell(Event::Named(db)) => all.handle(moment, Turn::Registered { db, result: Ok(()) }),
            Step::Came(db) => drop(came.insert(db)),
            _ => {}
        }
    }
    came.len()
}

/// One as the keeper has it, on a machine without links.
#[derive(Clone)]
struct Tenant {
    named: Rc<Named>,
}

impl Wanted for Tenant {
    type File = PathBuf;
    type Lock = ();
    type Reason = String;

    fn file(&self) -> &PathBuf {
        &self.named.database.path
    }

    fn is_same(&self, other: &Self) -> bool {
        self.named.tells_the_same(&other.named)
    }

    fn is_written_as(&self, other: &Self) -> bool {
        self.named.entry.is_same(&other.named.entry)
    }

    fn collides(&self, other: &Self) -> bool {
        let (one, two) = (&self.named.database, &other.named.database);
        one.replica == two.replica || one.meta == two.meta || one.path == two.path
    }

    fn claims(&self) -> Vec<u64> {
        let database = &self.named.database;
        let claim = |what: u8, path: &Path| {
            let mut hasher = DefaultHasher::new();
            (what, path.as_os_str()).hash(&mut hasher);
            hasher.finish()
        };
        vec![claim(0, database.replica.as_ref()), claim(1, &database.meta), claim(2, &database.path)]
    }

    fn is_found(&self) -> bool {
        false
    }
}
