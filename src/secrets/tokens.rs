//! Tokens that are known by how they begin, and addresses that are secrets as a whole.

use super::HIDDEN;

/// How they begin, and how many more characters they have at least.
const BEGINNINGS: [(&str, usize); 32] = [
    ("ghp_", 16),
    ("gho_", 16),
    ("ghu_", 16),
    ("ghs_", 16),
    ("ghr_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("sk_live_", 8),
    ("sk_test_", 8),
    ("rk_live_", 8),
    ("rk_test_", 8),
    ("whsec_", 8),
    ("sk-ant-", 8),
    ("sk-proj-", 8),
    ("sk-", 32),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxa-", 8),
    ("xoxr-", 8),
    ("xoxs-", 8),
    ("xapp-", 8),
    ("AIza", 30),
    ("ya29.", 16),
    ("SG.", 16),
    ("npm_", 30),
    ("pypi-", 32),
    ("dop_v1_", 16),
    ("shpat_", 16),
    ("hf_", 24),
    ("dckr_pat_", 16),
    ("fm2_", 16),
    ("AGE-SECRET-KEY-1", 16),
];

/// Whoever has one of these may write there.
const ADDRESSES: [&str; 8] = [
    "hooks.slack.com/services/",
    "hooks.slack.com/workflows/",
    "discord.com/api/webhooks/",
    "discordapp.com/api/webhooks/",
    "api.telegram.org/bot",
    "hooks.zapier.com/hooks/",
    "outlook.office.com/webhook/",
    "hc-ping.com/",
];

/// The text without them; `None` where there is none.
pub(super) fn hidden(text: &str) -> Option<String> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((start, end)) = next(rest) {
        shown.push_str(&rest[..start]);
        shown.push_str(HIDDEN);
        rest = &rest[end..];
    }
    if rest.len() == text.len() {
        return None;
    }
    shown.push_str(rest);
    Some(shown)
}

fn next(text: &str) -> Option<(usize, usize)> {
    let beginnings = BEGINNINGS.iter().filter_map(|(beginning, least)| {
        text.match_indices(beginning).find_map(|(at, _)| token(text, at, beginning.len(), *least))
    });
    let json = text.match_indices("eyJ").find_map(|(at, _)| {
        token(text, at, 3, 16).filter(|(start, end)| text[*start..*end].contains(".eyJ"))
    });
    let addresses = ADDRESSES.iter().filter_map(|address| {
        let start = text.find(address)? + address.len();
        let end = text[start..].find(|c: char| c.is_whitespace() || "\"'`".contains(c));
        let end = end.map_or(text.len(), |end| start + end);
        // What is hidden already is no more.
        (!text[start..end].is_empty() && &text[start..end] != HIDDEN).then_some((start, end))
    });
    beginnings.chain(json).chain(addresses).min()
}

/// Where a token begins and ends, if it stands at a word's beginning and is long enough.
fn token(text: &str, at: usize, beginning: usize, least: usize) -> Option<(usize, usize)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.+/=".contains(c);
    if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return None;
    }
    let end = text[at..].find(|c| !is_part(c)).map_or(text.len(), |length| at + length);
    (end - at >= beginning + least).then_some((at, end))
}
