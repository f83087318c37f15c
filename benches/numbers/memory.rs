//! What keeper and shim keep in memory, beside Litestream and other supervisors.

use std::time::Duration;

use super::bed::{self, Bed, Then, Unit};
use super::look::{self, Memory};
use super::stats::{Samples, ratio};
use super::support::process::Spec;
use super::table::{Bar, Row};
use super::{Effort, Error};

/// How long everybody is idle before the look: nothing of a start counts any more.
const IDLE: Duration = Duration::from_secs(60);

/// A supervisor that may be installed: its package, and how it runs the app.
type Peer = (&'static str, fn(&Bed) -> Option<Spec>);

const PEERS: [Peer; 3] = [("tini", Bed::tini), ("supervisord", Bed::supervisord), ("foreman", Bed::foreman)];

/// One way to count memory.
type Count = (&'static str, fn(Memory) -> f64, f64);

/// The proportional set size has pages of the program's file as well, which the system takes back when it needs them.
const COUNTS: [Count; 2] = [
    ("private dirty memory", |memory| memory.private_dirty, 1.2),
    ("memory (PSS)", |memory| memory.pss, 5.0),
];

/// What was seen of one process, again and again.
#[derive(Default)]
struct Seen(Vec<Memory>);

impl Seen {
    fn look(&mut self, pid: i32) -> Result<(), Error> {
        self.0.push(look::memory(pid)?);
        Ok(())
    }

    fn samples(&self, count: fn(Memory) -> f64) -> Samples {
        let mut samples = Samples::default();
        self.0.iter().for_each(|memory| samples.push(count(*memory)));
        samples
    }
}

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let (mut keepers, mut shims, mut litestreams) = <(Seen, Seen, Seen)>::default();
    let mut peers: [Seen; PEERS.len()] = Default::default();
    for _ in 0..effort.of(3, 1) {
        let mut bed = Bed::with_database(Then::Stays)?;
        let running = bed.keeper(&[]).start();
        let (_, app) = bed.started()?;
        let unit = Unit::of(app)?;
        let mut others = Vec::new();
        for (place, (_, spec)) in PEERS.iter().enumerate() {
            let mut bed = Bed::without_database(Then::Stays)?;
            if let Some(spec) = spec(&bed) {
                let running = spec.start();
                bed.started()?;
                others.push((place, running, bed));
            }
        }
        look::idle(IDLE);
        keepers.look(unit.keeper)?;
        shims.look(unit.shim)?;
        litestreams.look(unit.litestream)?;
        for (place, running, _bed) in others {
            peers[place].look(running.pid())?;
            bed::end(running);
        }
        bed::end(running);
    }
    let mut rows = Vec::new();
    for (what, count, limit) in COUNTS {
        let mut ours = Samples::default();
        keepers.0.iter().zip(&shims.0).for_each(|(keeper, shim)| ours.push(count(*keeper) + count(*shim)));
        let (keepers, shims) = (keepers.samples(count), shims.samples(count));
        let row = |peer: &str, theirs: &Samples, bar| Row {
            what: format!("{what} of keeper and shim after {} s, one database", IDLE.as_secs()),
            n: ours.n(),
            ours: format!("{}: {:.1} + {:.1}", ours.spread("MiB"), keepers.median(), shims.median()),
            peer: peer.to_owned(),
            theirs: if theirs.n() == 0 { "not installed".to_owned() } else { theirs.spread("MiB") },
            compared: if theirs.n() == 0 { "–".to_owned() } else { ratio(ours.median(), theirs.median()) },
            bar,
        };
        let bar = Bar::at_most("median", ours.median(), limit, "MiB");
        rows.push(row("Litestream in the same unit", &litestreams.samples(count), bar));
        rows.extend(
            PEERS.iter().zip(&peers).map(|((name, _), theirs)| row(name, &theirs.samples(count), None)),
        );
    }
    Ok(rows)
}
