//! What keeper and shim keep in memory, beside Litestream and other supervisors.

use std::time::Duration;

use super::bed::{self, Bed, Then, Unit};
use super::stats::{Samples, ratio};
use super::support::process::Spec;
use super::table::{Bar, Row};
use super::{Effort, Error, look};

/// How long everybody is idle before the look: the keeper gives the memory of its start back after 5 s.
const IDLE: Duration = Duration::from_secs(8);

/// A supervisor that may be installed: its package, and how it runs the app.
type Peer = (&'static str, fn(&Bed) -> Option<Spec>);

const PEERS: [Peer; 3] = [("tini", Bed::tini), ("supervisord", Bed::supervisord), ("foreman", Bed::foreman)];

/// The rows.
pub fn measure(effort: Effort) -> Result<Vec<Row>, Error> {
    let (mut ours, mut keepers, mut shims, mut litestreams) =
        <(Samples, Samples, Samples, Samples)>::default();
    let mut peers: [Samples; PEERS.len()] = Default::default();
    for _ in 0..effort.of(5, 2) {
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
        let (keeper, shim) = (look::pss(unit.keeper)?, look::pss(unit.shim)?);
        ours.push(keeper + shim);
        keepers.push(keeper);
        shims.push(shim);
        litestreams.push(look::pss(unit.litestream)?);
        for (place, running, _bed) in others {
            peers[place].push(look::pss(running.pid())?);
            bed::end(running);
        }
        bed::end(running);
    }
    let row = |peer: &str, theirs: &Samples, bar| Row {
        what: "memory (PSS) of keeper and shim, one database".to_owned(),
        n: ours.n(),
        ours: format!("{}: {:.1} + {:.1}", ours.spread("MiB"), keepers.median(), shims.median()),
        peer: peer.to_owned(),
        theirs: if theirs.n() == 0 { "not installed".to_owned() } else { theirs.spread("MiB") },
        compared: if theirs.n() == 0 { "–".to_owned() } else { ratio(ours.median(), theirs.median()) },
        bar,
    };
    let bar = Bar::at_most("median", ours.median(), 4.0, "MiB");
    let mut rows = vec![row("Litestream in the same unit", &litestreams, bar)];
    rows.extend(PEERS.iter().zip(&peers).map(|((name, _), theirs)| row(name, theirs, None)));
    Ok(rows)
}
