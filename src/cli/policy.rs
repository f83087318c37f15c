//! The options as those know them who decide by them: the core, and the driver.

use std::time::Duration;

use super::args;
use super::process::variable;
use crate::core::policy::{STOP, STOP_IN_CONTAINER, STOP_ON_FLY};
use crate::core::{self, BackoffPolicy, Policy};
use crate::os::here;
use crate::os::terminal::Terminal;
use crate::supervise;

/// Litestream's last sync has the part of the budget that the drain has.
pub(super) fn shutdown_sync(policy: &Policy) -> Duration {
    policy.drain_reserve().max(Duration::from_secs(1))
}

pub(super) fn policy(args: &args::Run, stop_timeout: Duration, databases: usize) -> Policy {
    Policy {
        restart: match args.restart {
            args::Restart::Never => core::Restart::Never,
            args::Restart::OnFailure => core::Restart::OnFailure,
            args::Restart::Always => core::Restart::Always,
        },
        backoff: BackoffPolicy {
            initial: args.restart_delay,
            cap: args.restart_delay_max,
            reset_after: args.restart_reset,
            limit: args.start_limit,
            window: args.start_window,
        },
        stop_timeout,
        stop_signal: args.stop_signal,
        gate: match args.gate {
            args::Gate::Replicated => core::Gate::Replicated,
            args::Gate::Reachable => core::Gate::Reachable,
            args::Gate::None => core::Gate::None,
        },
        gate_timeout: args.gate_timeout,
        max_lag: args.max_lag,
        on_lag: match args.on_lag {
            args::OnLag::Warn => core::OnLag::Warn,
            args::OnLag::Unready => core::OnLag::Unready,
            args::OnLag::Stop => core::OnLag::Stop,
        },
        before: args.before.len(),
        databases,
        resolves: false,
        resolve_interval: None,
        orphan_grace: args.orphan_grace,
        terminal: Terminal::open().is_some(),
    }
}

/// The whole time of a stop.
pub(super) fn stop_timeout(args: &args::Run) -> Duration {
    args.stop_timeout.unwrap_or_else(default_stop)
}

/// What the platform gives: a stop that takes all of it would end with 137, and without the names of what is not on the replica.
pub(super) fn default_stop() -> Duration {
    match () {
        () if variable("FLY_APP_NAME").is_some() => STOP_ON_FLY,
        () if here::is_main_of_container() => STOP_IN_CONTAINER,
        () => STOP,
    }
}

pub(super) fn if_behind(given: args::IfBehind) -> supervise::IfBehind {
    match given {
        args::IfBehind::Refuse => supervise::IfBehind::Refuse,
        args::IfBehind::Restore => supervise::IfBehind::Restore,
        args::IfBehind::Ignore => supervise::IfBehind::Ignore,
    }
}

pub(super) fn if_unrelated(given: args::IfUnrelated) -> supervise::IfBehind {
    match given {
        args::IfUnrelated::Refuse => supervise::IfBehind::Refuse,
        args::IfUnrelated::Restore => supervise::IfBehind::Restore,
        args::IfUnrelated::Adopt => supervise::IfBehind::Ignore,
    }
}

pub(super) fn lease(args: &args::Run) -> Option<supervise::Lease> {
    match args.lease {
        args::Lease::Off => None,
        mode @ (args::Lease::Auto | args::Lease::Strict) => Some(supervise::Lease {
            ttl: args.lease_ttl,
            wait: args.lease_wait,
            is_strict: mode == args::Lease::Strict,
        }),
    }
}
