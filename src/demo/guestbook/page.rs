//! What the browser and curl get.

use std::fmt::Write as _;
use std::path::Path;

use super::store::Row;

/// Nothing but the page's own style and form.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The newest entries that the page shows.
const SHOWN: usize = 200;

/// The page: a form, then the entries, newest first.
pub fn html(rows: &[Row], db: &Path) -> String {
    let mut entries = String::new();
    for row in rows.iter().rev().take(SHOWN) {
        let (name, message, at) = (escaped(&row.name), escaped(&row.message), escaped(&row.at));
        // Writing to a String cannot fail.
        let _ = writeln!(
            entries,
            "<li><p>{message}</p><footer><b>{name}</b> <time datetime=\"{at}\">{at}</time> <span>#{id}</span></footer></li>",
            id = row.id
        );
    }
    if rows.is_empty() {
        entries.push_str("<li class=\"empty\">Nobody has written yet. Be the first.</li>\n");
    }
    let count = match rows.len() {
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    };
    PAGE.replace("{{count}}", &count)
        .replace("{{db}}", &escaped(&db.display().to_string()))
        .replace("{{style}}", STYLE)
        // Last: what people wrote is not looked at for further placeholders.
        .replacen("{{entries}}", &entries, 1)
}

/// A JSON array, one row a line.
pub fn json(rows: &[Row]) -> String {
    // A row of strings and a number always has a JSON form.
    let line = |row| serde_json::to_string(row).unwrap_or_default();
    let lines: Vec<String> = rows.iter().map(line).collect();
    if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Guest book</title>
<style>{{style}}</style>
</head>
<body>
<main>
<header>
<h1>Guest book</h1>
<p>{{count}}, kept in <code>{{db}}</code> and replicated as you write.</p>
</header>
<form method="post" action="/">
<label>Name <input name="name" maxlength="80" autocomplete="name" placeholder="anonymous"></label>
<label>Message <textarea name="message" rows="3" maxlength="1000" required></textarea></label>
<button>Write it down</button>
</form>
<ol>
{{entries}}</ol>
</main>
</body>
</html>
"#;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1f2430; --soft: #667085; --paper: #f6f4ef; --card: #fff; --line: #e4e0d6; --accent: #2f6f5e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eceae4; --soft: #9aa3af; --paper: #16181d; --card: #1f2229; --line: #31353e; --accent: #6fc3a8 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 ui-serif, Georgia, 'Times New Roman', serif }
main { max-width: 38rem; margin: 0 auto; padding: 3rem 1.25rem 5rem }
h1 { margin: 0; font-size: 2.4rem; letter-spacing: -.02em }
header p { margin: .25rem 0 2rem; color: var(--soft) }
code { font-size: .85em }
form, li { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.25rem }
form { display: grid; gap: .8rem }
label { display: grid; gap: .25rem; font-size: .9rem; color: var(--soft) }
input, textarea { width: 100%; padding: .55rem .7rem; border: 1px solid var(--line); border-radius: 8px; background: var(--paper); color: var(--ink); font: inherit; font-size: 1rem; resize: vertical }
input:focus, textarea:focus { outline: 2px solid var(--accent); outline-offset: 1px }
button { justify-self: start; padding: .55rem 1.1rem; border: 0; border-radius: 8px; background: var(--accent); color: var(--paper); font: inherit; font-weight: 600; cursor: pointer }
ol { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: .8rem }
li p { margin: 0 0 .5rem; white-space: pre-wrap; overflow-wrap: anywhere }
li footer { display: flex; gap: .6rem; font-size: .85rem; color: var(--soft) }
li footer b { color: var(--ink) }
li footer span { margin-left: auto }
li.empty { color: var(--soft); text-align: center; border-style: dashed }
";

#[cfg(test)]
mod tests {
    use super::*;

    fn row(message: &str) -> Row {
        Row { id: 1, at: "2025-01-31T12:00:00Z".into(), name: "<b>".into(), message: message.into() }
    }

    #[test]
    fn what_people_write_is_text() {
        let page = html(&[row("<script>alert('x')</script> & \"q\"")], Path::new("/tmp/<db>"));
        assert!(
            page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot;"),
            "{page}"
        );
        assert!(!page.contains("<script") && !page.contains("<b><b>") && !page.contains("<db>"), "{page}");
    }

    #[test]
    fn placeholders_in_a_message_stay_as_they_are() {
        let page = html(&[row("{{style}} {{entries}}")], Path::new("db"));
        assert!(page.contains("<p>{{style}} {{entries}}</p>"), "{page}");
    }

    #[test]
    fn json_has_a_row_a_line_and_is_json() {
        assert_eq!(json(&[]), "[]\n");
        let text = json(&[row("a\n\"b\""), row("c")]);
        assert_eq!(text.lines().count(), 4);
        let value: serde_json::Value = serde_json::from_str(&text).expect("json");
        assert_eq!(value[0]["message"], "a\n\"b\"");
    }
}
