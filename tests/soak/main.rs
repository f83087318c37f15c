//! The soak: lives of the keeper with writers of every shape and faults of every kind, each compared as a whole.
//!
//! A *world* is one or two databases with squeezed settings of Litestream, on a folder or on S3. *Lives* follow each other in
//! it, each a keeper from its start to its end. After each end that the keeper calls confirmed, the databases are compared with
//! what Litestream restores. `--help` has the options; the same seed gives the same worlds, settings and faults, timing aside.
//!
//! ```text
//! options  the command line                      writer   the app: a leader and its writing processes
//! random   numbers that can be had again         dying    a writer that dies in the middle of a commit
//! plan     what a seed means                     faults   signals and networks, in their time
//! scene    a world, made; what is kept of it     proxy    what stands between Litestream and S3
//! life     one run of the keeper, and its end    compare  two databases as a whole
//! tally    the sums                      tenants  hundreds that come and go (`--tenants`)
//! ```

mod compare;
mod dying;
mod faults;
mod life;
mod options;
mod plan;
mod proxy;
mod random;
mod scene;
#[expect(dead_code, reason = "the harness of the suite, of which the soak needs a part")]
#[path = "../suite/support/mod.rs"]
mod support;
mod tally;
mod tenants;
mod writer;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use compare::Failure;
use life::{Ending, Report};
use options::{Asked, Options};
use plan::{Backend, Life};
use random::Random;
use scene::{Programs, Scene};
use tally::Tally;

/// So many failures are kept; a disk is not without end.
const KEPT: u64 = 30;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["__leader", file] => return writer::lead(file),
        ["__writer", file, number, before] => {
            let number = number.parse().expect("the leader writes a number");
            return writer::write(file, number, before.parse().expect("the leader writes a number"));
        }
        ["__tenants", live, trace] => return tenants::app(live, trace),
        _ => (),
    }
    match options::parse(words.into_iter()) {
        Ok(Asked::Soak(options)) => soak(&options),
        Ok(Asked::List { terse }) => {
            println!("soak: test{}", if terse { "" } else { "\n\n1 test, 0 benchmarks" });
            ExitCode::SUCCESS
        }
        Ok(Asked::Nothing) => {
            println!("0 passed, 0 failed");
            ExitCode::SUCCESS
        }
        Err(text) if text == options::HELP => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::from(2)
        }
    }
}

/// The only place that sleeps: other people's processes have no event to wait on.
#[expect(clippy::disallowed_methods, reason = "the pause between two looks, or two transactions of an app")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn soak(options: &Options) -> ExitCode {
    let folder = tempfile::tempdir().expect("the temp folder can be written");
    let programs = Programs {
        keeper: folder.path().join("litekeeper"),
        soak: folder.path().join("soak"),
        litestream: folder.path().join("litestream"),
    };
    let keeper = options.keeper.as_deref().unwrap_or(Path::new(env!("CARGO_BIN_EXE_litekeeper")));
    let soak = std::env::current_exe().expect("this program has a path");
    let litestream = support::litestream::binary(support::litestream::LATEST);
    for (from, to) in
        [(keeper, &programs.keeper), (&soak, &programs.soak), (&litestream, &programs.litestream)]
    {
        fs::copy(from, to).unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
    }
    if let Some(count) = options.tenants {
        println!("seed {}, {count} tenants, {:?}", options.seed, options.time);
        return if tenants::soak(options, &programs, count) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    println!("seed {}, {} worlds side by side, {:?}", options.seed, options.jobs, options.time);

    let soak = Soak {
        options,
        programs,
        until: Instant::now() + options.time,
        next: AtomicU64::new(0),
        kept: AtomicU64::new(0),
        tally: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..if options.world.is_some() { 1 } else { options.jobs } {
            scope.spawn(|| soak.work());
        }
    });
    let tally = soak.tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}", tally.text());
    if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the jobs share.
struct Soak<'a> {
    options: &'a Options,
    programs: Programs,
    until: Instant,
    next: AtomicU64,
    kept: AtomicU64,
    tally: Mutex<Tally>,
}

impl Soak<'_> {
    /// One world after the other, until the time is over.
    fn work(&self) {
        if let Some(world) = self.options.world {
            return self.world(world);
        }
        while !self.is_over() {
            self.world(self.next.fetch_add(1, Relaxed));
        }
    }

    fn is_over(&self) -> bool {
        self.options.world.is_none() && Instant::now() >= self.until
    }

    fn world(&self, number: u64) {
        let Options { seed, backends, without, .. } = self.options;
        let backend = backends[(number % backends.len() as u64) as usize];
        let plan = plan::World::new(*seed, number);
        let mut scene = Scene::new(&self.programs, backend, &plan, Random::new(*seed, &[number, 0]));
        let mut idle = 0;
        for life in 0..plan.lives {
            if self.is_over() {
                return;
            }
            let start = Instant::now();
            let life_plan = Life::new(&plan, backend, (*seed, number, life), without);
            let report = catch_unwind(AssertUnwindSafe(|| life::run(&mut scene, life, &life_plan)));
            let report = report.unwrap_or_else(|panic| Report {
                ending: Ending::Unconfirmed("soak".to_owned()),
                rows: 0,
                failures: vec![Failure::new("soak-panic", text_of(&*panic))],
                ran: true,
            });
            self.tell(number, life, backend, &plan, &life_plan, &report, start.elapsed());
            self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(&report, life_plan.calm);
            if !report.failures.is_empty() {
                self.keep(number, life, backend, &scene, &report);
                return;
            }
            idle = if report.ran { 0 } else { idle + 1 };
            if idle == 2 {
                self.tally.lock().unwrap_or_else(PoisonError::into_inner).add_stuck();
                self.keep(number, life, backend, &scene, &report);
                return;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a line of all that is known")]
    fn tell(
        &self,
        world: u64,
        life: u64,
        backend: Backend,
        plan: &plan::World,
        life_plan: &Life,
        report: &Report,
        time: Duration,
    ) {
        let end = match &report.ending {
            Ending::Confirmed(code) => format!("confirmed {code}"),
            Ending::Unconfirmed(how) => format!("unconfirmed {how}"),
        };
        let verdict = if report.failures.is_empty() { "ok" } else { "FAILED" };
        println!(
            "{verdict} {}:{world}.{life} {backend}{}, {}, {}: {end}, {} rows, {} ms",
            self.options.seed,
            if life_plan.calm { " calm" } else { "" },
            plan.short(),
            life_plan.short(),
            report.rows,
            time.as_millis()
        );
        for failure in &report.failures {
            println!("    {failure}");
        }
    }

    /// Keeps all that belongs to a world that failed.
    fn keep(&self, world: u64, life: u64, backend: Backend, scene: &Scene<'_>, report: &Report) {
        let Options { seed, keep, without, .. } = self.options;
        let both = if self.options.backends.len() > 1 { "both".to_owned() } else { backend.to_string() };
        let mut replay = format!("cargo test --test soak -- --seed {seed} --backend {both} --world {world}");
        for kind in without {
            replay += &format!(" --without {kind}");
        }
        println!("    again: {replay}");
        if self.kept.fetch_add(1, Relaxed) >= KEPT {
            println!("    not kept: there are {KEPT} already");
            return;
        }
        let folder = keep.join(format!("{seed}-{both}-{world}-{life}"));
        let _ = fs::remove_dir_all(&folder);
        let kept = scene.keep(&folder).and_then(|()| {
            let failures: String = report.failures.iter().map(|failure| format!("{failure}\n")).collect();
            fs::write(
                folder.join("README"),
                format!("{replay}\nlife {life}: {:?}\n{failures}", report.ending),
            )
        });
        match kept {
            Ok(()) => println!("    kept: {}", folder.display()),
            Err(error) => println!("    cannot keep it in {}: {error}", folder.display()),
        }
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    text.unwrap_or("no word").to_owned()
}
