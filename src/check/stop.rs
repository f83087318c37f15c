//! The time of a stop: enough for the drain, and less than what the platform gives.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::CheckContext;
use super::rules::{KILL_MODE, KILLED_EARLY, RUNTIME_DIRECTORY, SHORT_STOP};
use super::text::text;
use crate::compose;
use crate::config::Origin;
use crate::config::duration::{self, of_platform};
use crate::config::lint::{Lint, Rule};
use crate::core::policy::{STOP_IN_CONTAINER, STOP_ON_FLY, drain_of, stop_for};
use crate::os::open;
use crate::toml;

/// An upload needs a connection, and a second try when the first one fails.
const LEAST_DRAIN: Duration = Duration::from_secs(2);
/// What one more database adds, though they are drained side by side.
const DRAIN_OF_EACH: Duration = Duration::from_millis(100);

/// systemd's `DefaultTimeoutStopSec` (`systemd-system.conf(5)`).
const SYSTEMD: Duration = Duration::from_secs(90);
/// Compose's `stop_grace_period`.
const COMPOSE: Duration = Duration::from_secs(10);

const STOP_TIMEOUT: &str = "LITEKEEPER_STOP_TIMEOUT";

pub(super) fn look(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found = short(context);
    found.extend(
        unit_files()
            .iter()
            .find_map(|path| {
                let limit = systemd(&text(path)?)?;
                Some(limit.lints(context, path, context.default_stop))
            })
            .unwrap_or_default(),
    );
    for folder in folders(context) {
        let mut names: Vec<PathBuf> = fs::read_dir(&folder)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        names.sort();
        for path in names {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let read = || text(&path).unwrap_or_default();
            found.extend(match name {
                "fly.toml" => fly(&read()).lints(context, &path, STOP_ON_FLY),
                _ if compose::FILES.contains(&name) => compose(&read())
                    .iter()
                    .flat_map(|limit| limit.lints(context, &path, STOP_IN_CONTAINER))
                    .collect(),
                _ if name.ends_with(".service") => systemd(&read())
                    .map_or_else(Vec::new, |limit| limit.lints(context, &path, context.default_stop)),
                _ => Vec::new(),
            });
        }
    }
    found
}

/// The folder of the configuration, and the one that the app runs in.
fn folders(context: &CheckContext<'_>) -> Vec<PathBuf> {
    let config = context.config.origin().file().and_then(Path::parent).map(|folder| context.cwd.join(folder));
    let mut folders = vec![context.cwd.to_owned()];
    folders.extend(config.filter(|folder| folder != context.cwd));
    folders
}

/// Where the unit that this process runs in may stand, the strongest first (`systemd.unit(5)`).
fn unit_files() -> Vec<PathBuf> {
    let text = open::kernel_text("/proc/self/cgroup").unwrap_or_default();
    let folders =
        ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let files = |unit: &str| folders.map(|folder| Path::new(folder).join(unit)).to_vec();
    unit_of(&text).map(files).unwrap_or_default()
}

/// The service of a process by its groups (`cgroups(7)`), in whichever tree systemd has them.
fn unit_of(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.rsplit('/').next().filter(|name| name.ends_with(".service")))
}

fn short(context: &CheckContext<'_>) -> Vec<Lint> {
    let mut found = Vec::new();
    let databases = u32::try_from(context.config.databases().len()).unwrap_or(u32::MAX);
    let (stop, drain) = (seconds(context.stop()), seconds(drain_of(context.stop())));
    let needed = LEAST_DRAIN.max(DRAIN_OF_EACH.saturating_mul(databases));
    if databases > 0 && drain_of(context.stop()) < needed {
        let message = format!(
            "a stop takes {stop} at most, {drain} of it for uploads: short for {databases} database{}",
            if databases == 1 { "" } else { "s" }
        );
        let hint = format!(
            "set --stop-timeout to {} or more, and the platform's own limit above it",
            seconds(stop_for(needed))
        );
        found.push(Lint::new(SHORT_STOP, context.config.origin(), message).hint(hint));
    }
    for node in context.replica_settings("sync-interval") {
        let interval = duration::of_setting(node).unwrap_or_default();
        if interval > context.stop() {
            let message = format!(
                "a sync interval of {} leaves as much for the {drain} of a stop's uploads",
                seconds(interval)
            );
            let hint = "a shorter interval costs more requests and loses less when the machine dies";
            found.push(context.lint(SHORT_STOP, node.line, message).hint(hint));
        }
    }
    found
}

/// What a platform's file says about a stop.
#[derive(Debug, Default, PartialEq, Eq)]
struct Limit {
    /// How long it waits before it kills, and the line that says so; 0 if none does.
    kills_after: Option<Duration>,
    line: usize,
    /// What it sets the keeper's own stop to.
    stop: Option<Duration>,
    /// The setting, for messages.
    setting: &'static str,
    /// Where the signal goes, if that is wrong.
    kill_mode: Option<(usize, String)>,
    /// The line of a runtime folder that goes with the keeper.
    folder: Option<usize>,
}

impl Limit {
    fn lints(&self, context: &CheckContext<'_>, path: &Path, default_stop: Duration) -> Vec<Lint> {
        let origin = Origin::File(path.strip_prefix(context.cwd).unwrap_or(path).to_owned());
        let lint = |rule: &'static Rule, line, message: String| Lint::new(rule, &origin, message).at(line, 0);
        let mut found = Vec::new();
        let stop = self.stop.or(context.stop_timeout).unwrap_or(default_stop);
        if let Some(limit) = self.kills_after.filter(|limit| *limit < stop) {
            let by_default = if self.line == 0 { " by default" } else { "" };
            let message = format!(
                "`{}` is {}{by_default}, but a stop takes up to {}: the drain would be cut off",
                self.setting,
                seconds(limit),
                seconds(stop)
            );
            found.push(lint(KILLED_EARLY, self.line, message).hint(format!(
                "set `{}` above {}, or {STOP_TIMEOUT} below {}",
                self.setting,
                seconds(stop),
                seconds(limit)
            )));
        }
        if let Some((line, mode)) = &self.kill_mode {
            let what = if mode == "mixed" {
                "kills Litestream as soon as the keeper is killed, with all that it has still to upload"
            } else {
                "signals Litestream as well, which cuts its last upload short"
            };
            found.push(lint(KILL_MODE, *line, format!("`KillMode={mode}` {what}")).hint(
                "set `KillMode=process`: the keeper alone is signalled and stops the rest, which ends by itself, and in \
                 order, if the keeper is killed",
            ));
        }
        if let Some(line) = self.folder {
            let message = "`RuntimeDirectory` goes as soon as the keeper is killed, with the socket on which Litestream confirms the rest";
            found.push(
                lint(RUNTIME_DIRECTORY, line, message.to_owned()).hint("add `RuntimeDirectoryPreserve=yes`"),
            );
        }
        found
    }
}

/// `kill_timeout` stands at the top of a fly.toml, variables in `[env]`.
fn fly(text: &str) -> Limit {
    let mut limit = Limit { kills_after: Some(STOP_ON_FLY), setting: "kill_timeout", ..Limit::default() };
    for setting in toml::settings(text) {
        match (setting.table, setting.key) {
            ("", "kill_timeout") => {
                (limit.kills_after, limit.line) = (of_platform(setting.value), setting.number)
            }
            ("env", STOP_TIMEOUT) => limit.stop = own_stop(setting.value),
            _ => {}
        }
    }
    limit
}

/// A unit that starts litekeeper (`systemd.service(5)`, `systemd.kill(5)`).
fn systemd(text: &str) -> Option<Limit> {
    let settings = (1..).zip(text.lines()).filter_map(|(number, line)| {
        let (key, value) = line.split_once('=')?;
        Some((number, key.trim(), value.trim()))
    });
    let settings: Vec<(usize, &str, &str)> = settings.collect();
    settings.iter().find(|(_, key, value)| *key == "ExecStart" && value.contains("litekeeper"))?;
    let last = |name: &str| settings.iter().rfind(|(_, key, _)| *key == name);
    let timeout = last("TimeoutStopSec").or_else(|| last("TimeoutSec"));
    let environment = settings.iter().filter(|(_, key, _)| *key == "Environment");
    let words = environment.flat_map(|(_, _, value)| shlex::split(value).unwrap_or_default());
    let stop =
        words.filter_map(|word| own_stop(word.strip_prefix(STOP_TIMEOUT)?.strip_prefix('=')?)).next_back();
    let folder = last("RuntimeDirectory").map(|(line, _, _)| *line);
    let is_kept = last("RuntimeDirectoryPreserve").is_some_and(|(_, _, value)| *value == "yes");
    let mode = last("KillMode").map_or((0, "control-group"), |(line, _, mode)| (*line, *mode));
    Some(Limit {
        kills_after: timeout.map_or(Some(SYSTEMD), |(_, _, value)| of_platform(value)),
        line: timeout.map_or(0, |(line, _, _)| *line),
        stop,
        setting: "TimeoutStopSec",
        kill_mode: ["control-group", "mixed"].contains(&mode.1).then(|| (mode.0, mode.1.to_owned())),
        folder: folder.filter(|_| !is_kept),
    })
}

/// The services of a Compose file that have litekeeper in what they run.
fn compose(text: &str) -> Vec<Limit> {
    let limit = |service: compose::Service| {
        let mut runs = service.command.iter().chain(&service.entrypoint).flatten();
        let stop = service.environment.iter().find(|(name, _)| name == STOP_TIMEOUT);
        let grace = service.stop_grace_period.as_ref();
        runs.any(|word| word.contains("litekeeper")).then(|| Limit {
            kills_after: grace.map_or(Some(COMPOSE), |(period, _)| of_platform(period)),
            line: grace.map_or(0, |(_, line)| *line),
            stop: stop.and_then(|(_, value)| own_stop(value)),
            setting: "stop_grace_period",
            ..Limit::default()
        })
    };
    compose::services(text).into_iter().filter_map(limit).collect()
}

/// The keeper's own variable in a platform's file: as the keeper itself will read it.
fn own_stop(text: &str) -> Option<Duration> {
    duration::at_least(Duration::from_millis(1))(text).ok()
}

fn seconds(duration: Duration) -> String {
    format!("{}s", (duration.as_millis() as f64 / 100.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Option<Duration> = |seconds| Some(Duration::from_secs(seconds));

    #[test]
    fn a_toml_is_read() {
        let text = "app = \"x\"\nkill_timeout = \"30s\" # room\n[env]\n  LITEKEEPER_STOP_TIMEOUT = '28s'\n[vm]\nkill_timeout = 1\n";
        let limit = fly(text);
        assert_eq!((limit.kills_after, limit.line, limit.stop), (S(30), 2, S(28)));
        assert_eq!((fly("app = \"x\"\n").kills_after, fly("kill_timeout = 7\n").kills_after), (S(5), S(7)));
    }

    #[test]
    fn a_unit_is_read_if_it_runs_litekeeper() {
        assert_eq!(systemd("[Service]\nExecStart=/bin/server\n"), None);
        let limit = systemd(
            "[Service]\nExecStart=/bin/litekeeper run\nEnvironment=A=1 \"LITEKEEPER_STOP_TIMEOUT=1min 5s\"\nTimeoutStopSec=1min\n",
        )
        .unwrap();
        assert_eq!((limit.kills_after, limit.line, limit.stop), (S(60), 4, S(65)));
        assert_eq!(limit.kill_mode, Some((0, "control-group".to_owned())));
        let limit = systemd("ExecStart=litekeeper run\nKillMode=process\nTimeoutStopSec=infinity\n").unwrap();
        assert_eq!((limit.kills_after, limit.kill_mode), (None, None));
        let limit = systemd("ExecStart=litekeeper run\nKillMode=mixed\nRuntimeDirectory=x\n").unwrap();
        assert_eq!((limit.kill_mode, limit.folder), (Some((2, "mixed".to_owned())), Some(3)));
        let kept = "ExecStart=litekeeper run\nRuntimeDirectory=x\nRuntimeDirectoryPreserve=yes\n";
        assert_eq!(systemd(kept).unwrap().folder, None);
    }

    #[test]
    fn the_unit_that_this_process_is_in_is_found() {
        let unit = |text: &str| unit_of(text).map(str::to_owned);
        assert_eq!(unit("0::/system.slice/app.service\n").as_deref(), Some("app.service"));
        let hybrid =
            "12:pids:/docker/1a\n1:name=systemd:/docker/1a/system.slice/my-app@2.service\n0::/docker/1a\n";
        assert_eq!(unit(hybrid).as_deref(), Some("my-app@2.service"));
        assert_eq!(unit("0::/user.slice/user-0.slice/session-1.scope\n"), None);
        assert_eq!(unit("0::/system.slice/docker.service/x\n"), None, "it is further down");
    }

    #[test]
    fn a_compose_file_is_read() {
        let limits = compose(concat!(
            "services:\n  db: {image: x}\n  app:\n    command: [litekeeper, run]\n    stop_grace_period: 1m\n",
            "    environment: [LITEKEEPER_STOP_TIMEOUT=50s]\n  b:\n    entrypoint: litekeeper run\n",
            "    environment: {LITEKEEPER_STOP_TIMEOUT: 9s}\n",
        ));
        let read: Vec<_> = limits.iter().map(|limit| (limit.kills_after, limit.line, limit.stop)).collect();
        assert_eq!(read, [(S(60), 5, S(50)), (S(10), 0, S(9))]);
    }
}
