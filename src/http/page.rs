//! The page: one document, without anything from elsewhere, that is whole without its script.

use maud::{DOCTYPE, Markup, html};

use super::history::History;
use crate::printer::recent::Line;
use crate::status::{App, Database, Document, Keeper, Litestream};

/// What it looks like.
pub(super) const STYLE: &str = include_str!("page/page.css");
/// What keeps it fresh.
pub(super) const SCRIPT: &str = include_str!("page/page.js");
/// So many databases are shown.
const DATABASES: usize = 200;
/// So many lines of the log are.
const LINES: usize = 30;

/// The page, or the part of it that changes.
pub(super) fn html(
    document: &Document,
    since: jiff::Timestamp,
    history: &History,
    lines: &[Line],
    part: bool,
) -> String {
    let main = main(document, since, history, lines);
    if part {
        return main.into_string();
    }
    let ready = document.keeper.as_ref().is_some_and(|keeper| keeper.ready);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (if ready { "replicated" } else { "not replicated" }) " · Litekeeper" }
                link rel="stylesheet" href="page.css";
                script src="page.js" defer {}
                noscript { meta http-equiv="refresh" content="15"; }
            }
            body { (main) }
        }
    }
    .into_string()
}

fn main(document: &Document, since: jiff::Timestamp, history: &History, lines: &[Line]) -> Markup {
    html! {
        main {
            @if let Some(keeper) = &document.keeper { (headline(keeper, &document.databases, since)) }
            (chain(document))
            (databases(&document.databases, history))
            (events(lines))
            footer { "litekeeper " (document.keeper.as_ref().map_or("", |keeper| &keeper.version)) " · as of " (now()) }
        }
    }
}

fn headline(keeper: &Keeper, databases: &[Database], since: jiff::Timestamp) -> Markup {
    let of = |state: &str| databases.iter().filter(|one| one.state == state).count();
    let (all, replicated, unknown) = (databases.len(), of("replicated"), of("unknown"));
    let words = match keeper.ready {
        true if all == 0 => "The app runs, and no database is named.".to_owned(),
        true if replicated == all && all == 1 => "The database is replicated.".to_owned(),
        true if replicated == all => format!("All {all} databases are replicated."),
        true if unknown == all && all == 1 => {
            "The app runs; how far its replica is nobody can tell.".to_owned()
        }
        true if unknown == all => "The app runs; how far its replicas are nobody can tell.".to_owned(),
        true => format!("The app runs; {replicated} of {all} databases are replicated."),
        false => format!("Not ready: {}.", keeper.phase),
    };
    html! {
        header.headline.good[keeper.ready].bad[!keeper.ready] {
            h1 { (words) }
            p { "Since " (time(&shown(since))) "." }
            @if !keeper.reasons.is_empty() {
                ul { @for reason in &keeper.reasons { li { (reason) } } }
            }
        }
    }
}

/// The processes, each below the one that has started it.
fn chain(document: &Document) -> Markup {
    html! {
        section aria-labelledby="processes" {
            h2 id="processes" { "Processes" }
            ol.chain {
                @if let Some(keeper) = &document.keeper { (of_keeper(keeper)) }
                @if let Some(litestream) = &document.litestream { (of_litestream(litestream)) }
                @if let Some(app) = &document.app { (of_app(app)) }
            }
        }
    }
}

fn of_keeper(keeper: &Keeper) -> Markup {
    process("keeper", Some(keeper.pid), keeper.started_at.as_deref(), None, None, &keeper.phase)
}

fn of_litestream(litestream: &Litestream) -> Markup {
    let Litestream { pid, version, started_at, restarts, last_exit, memory_bytes } = litestream;
    let version = version.as_deref().unwrap_or_default();
    let memory = memory_bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
    let detail = format!("{version}{memory}");
    process("litestream", *pid, started_at.as_deref(), Some(*restarts), last_exit.as_deref(), &detail)
}

fn of_app(app: &App) -> Markup {
    let App { pid, command, started_at, restarts, last_exit } = app;
    process("app", *pid, started_at.as_deref(), Some(*restarts), last_exit.as_deref(), command)
}

fn process(
    name: &str,
    pid: Option<i32>,
    started: Option<&str>,
    restarts: Option<u64>,
    last_exit: Option<&str>,
    detail: &str,
) -> Markup {
    html! {
        li.up[pid.is_some()].down[pid.is_none()] {
            strong { (name) }
            span.detail { (detail) }
            dl {
                @match pid {
                    Some(pid) => { div { dt { "pid" } dd { (pid) } } },
                    None => { div { dt { "pid" } dd { "does not run" } } },
                }
                @if let Some(started) = started { div { dt { "since" } dd { (time(started)) } } }
                @if let Some(restarts) = restarts { div { dt { "restarts" } dd { (restarts) } } }
                @if let Some(last) = last_exit { div { dt { "last exit" } dd { (last) } } }
            }
        }
    }
}

fn databases(all: &[Database], history: &History) -> Markup {
    html! {
        section aria-labelledby="databases" {
            h2 id="databases" { "Databases" }
            @if all.is_empty() { p { "None is named." } }
            @for one in all.iter().take(DATABASES) { (database(one, history)) }
            @if all.len() > DATABASES {
                p { "And " (all.len() - DATABASES) " more: see " a href="status.json" { "status.json" } "." }
            }
        }
    }
}

fn database(one: &Database, history: &History) -> Markup {
    let is_well = one.state == "replicated";
    html! {
        article.good[is_well].bad[!is_well] {
            h3 {
                (one.alias.as_deref().unwrap_or(&one.path))
                span.state { (one.state) }
            }
            @if one.alias.is_some() { p.path { (one.path) } }
            dl {
                (fact("lag", one.lag_seconds.map(|lag| format!("{lag:.1} s"))))
                (fact("size", one.size_bytes.map(size)))
                (fact("WAL", one.wal_bytes.map(size)))
                (fact("txid", one.txid.clone()))
                (fact("on the replica", one.replicated_txid.clone()))
                div { dt { "last confirmed" } dd { @if let Some(at) = &one.last_confirmed_at { (time(at)) } @else { "–" } } }
                (fact("replica", one.replica.clone()))
            }
            (chart(history.of(&one.path)))
            @if let Some(error) = &one.error { p.error { (error) } }
        }
    }
}

fn fact(name: &str, value: Option<String>) -> Markup {
    html! { div { dt { (name) } dd { (value.unwrap_or_else(|| "–".to_owned())) } } }
}

/// The lag of the last hour; it ends at the right.
fn chart(seen: impl ExactSizeIterator<Item = Option<f32>>) -> Markup {
    const WIDTH: f32 = 240.0;
    const HEIGHT: f32 = 32.0;
    let lags: Vec<f32> = seen.map(|lag| lag.unwrap_or(0.0)).collect();
    let most = lags.iter().copied().fold(1.0, f32::max);
    #[expect(clippy::cast_precision_loss, reason = "there are 240 of them")]
    let first = WIDTH - lags.len() as f32;
    let points = lags.iter().zip(0u16..).map(|(lag, place)| {
        format!("{:.0},{:.1} ", first + f32::from(place), HEIGHT - lag / most * (HEIGHT - 2.0) - 1.0)
    });
    let points: String = points.collect();
    html! {
        @if lags.len() > 1 {
            svg.chart viewBox="0 0 240 32" preserveAspectRatio="none" role="img" aria-label={ "lag of the last hour, at most " (format!("{most:.0}")) " s" } {
                polyline points=(points) fill="none" {}
            }
        }
    }
}

fn events(lines: &[Line]) -> Markup {
    html! {
        section aria-labelledby="events" {
            h2 id="events" { "Recent events" }
            ol.events {
                @for line in lines.iter().rev().take(LINES) {
                    li.{ (line.level) } { (time(&line.at)) " " span.source { (line.source) } " " (line.text) }
                }
            }
        }
    }
}

fn time(at: &str) -> Markup {
    let short = at.split_once('.').map_or_else(|| at.to_owned(), |(whole, _)| format!("{whole}Z"));
    html! { time datetime=(at) { (short.replace('T', " ").replace('Z', " UTC")) } }
}

fn shown(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn now() -> Markup {
    time(&shown(jiff::Timestamp::now()))
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_named_is_text() {
        let one = Database {
            path: "/<script>alert(1)</script>\"'&".to_owned(),
            state: "lagging".to_owned(),
            error: Some("<img src=x onerror=1>".to_owned()),
            ..Database::default()
        };
        let document = Document { databases: vec![one], ..Document::of_another() };
        let line = Line {
            at: "x\" onload=\"1".to_owned(),
            level: "warn",
            source: "<b>".to_owned(),
            text: "</li><script>".to_owned(),
        };
        let page = html(&document, jiff::Timestamp::UNIX_EPOCH, &History::default(), &[line], false);
        let tags: Vec<&str> = page
            .split('<')
            .skip(1)
            .filter(|tag| tag.starts_with("script") || tag.starts_with("img") || tag.starts_with("b>"))
            .collect();
        assert_eq!(tags, ["script src=\"page.js\" defer>"], "{page}");
        assert!(!page.contains("x\" onload"), "{page}");
    }

    #[test]
    fn sizes_are_for_eyes() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (u64::MAX, "16777216.0 TiB")] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_chart_ends_at_the_right() {
        let drawn = chart([Some(0.0), None, Some(2.0)].into_iter()).into_string();
        assert!(drawn.contains("237,31.0 238,31.0 239,1.0 "), "{drawn}");
        assert_eq!(chart([Some(1.0)].into_iter()).into_string(), "");
    }
}
