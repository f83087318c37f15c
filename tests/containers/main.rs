//! Litekeeper in real containers: Podman with runc, on an image that `debootstrap` makes.
//!
//! `cargo test` only says that this is here; `cargo test --test containers -- --podman [NAME]…` runs it, as `.ci/run` does. Where
//! Podman cannot run, one line says why. All that Podman keeps lies in `target/containers`, and goes at the end but for the
//! base image.
//!
//! ```text
//! podman    the command, its store, the base image
//! scene     a volume, containers on it, and their rows counted
//! stops     stop and kill, of each kind
//! memory    what the kernel kills for want of it
//! flags     read-only, init, pid host, pids-limit, cap-drop, no network, exec
//! users     who runs, and whose the volume is
//! twins     two containers on one volume
//! kube      pods
//! deploy    the examples: Docker, Compose, Kubernetes
//! systemd   the example under a systemd of its own
//! ```

mod deploy;
mod flags;
mod kube;
mod memory;
mod podman;
mod scene;
mod stops;
#[expect(dead_code, reason = "the harness of the suite, of which the containers need a part")]
#[path = "../suite/support/mod.rs"]
mod support;
mod systemd;
mod twins;
mod users;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use podman::Podman;

/// A scenario, and its name.
type Scenario = (&'static str, fn(&Podman));

/// So many at a time.
const JOBS: usize = 3;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| {
        let names: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
        names.is_empty() || names.iter().any(|word| name.contains(word.as_str()))
    };
    let all =
        [stops::ALL, memory::ALL, flags::ALL, users::ALL, twins::ALL, kube::ALL, deploy::ALL, systemd::ALL]
            .concat();
    let scenarios: Vec<Scenario> = all.into_iter().filter(|(name, _)| wanted(name)).collect();
    if words.iter().any(|word| word == "--list") {
        scenarios.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if !words.iter().any(|word| word == "--podman") {
        println!("{} scenarios in containers: `cargo test --test containers -- --podman`", scenarios.len());
        return ExitCode::SUCCESS;
    }
    let podman = match Podman::open() {
        Ok(podman) => podman,
        Err(why) => {
            println!("not tested: containers, since {why}");
            return ExitCode::SUCCESS;
        }
    };
    run(&podman, &scenarios)
}

fn run(podman: &Podman, scenarios: &[Scenario]) -> ExitCode {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                while let Some((name, scenario)) = scenarios.get(next.fetch_add(1, Relaxed)) {
                    let start = Instant::now();
                    let ended = catch_unwind(AssertUnwindSafe(|| scenario(podman)));
                    let verdict = if ended.is_ok() { "ok" } else { "FAILED" };
                    println!("test {name} ... {verdict} ({:.1} s)", start.elapsed().as_secs_f32());
                    failed.fetch_add(usize::from(ended.is_err()), Relaxed);
                }
            });
        }
    });
    let failed = failed.into_inner();
    println!("containers: {} passed; {failed} failed", scenarios.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
