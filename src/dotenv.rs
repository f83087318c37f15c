//! Files of variables (`.env`), as Docker Compose and the dotenv libraries of Ruby, Node and PHP agree on them.
//!
//! `NAME=value` a line, comments, `export`, single quotes (as it is), double quotes (with `\n`, `\"`,
//! `\\`, `\$`), both over several lines, and `${NAME}` outside of single quotes. The crates for it
//! name no line, and put the line's text, which may be a secret, into their errors.

use std::cell::Cell;
use std::collections::BTreeMap;

/// The most bytes of all values; a process cannot get more than 2 MiB of them (`execve(2)`).
pub const MAX_BYTES: usize = 1 << 21;

/// No variable has a longer name.
const LONGEST_NAME: usize = 256;

/// Names and values.
pub type Variables = Vec<(String, String)>;

/// Lines, from 1, and the name and value of each.
pub type Lines = Vec<(usize, (String, String))>;

/// Lines, from 1, and why each is wrong.
pub type Wrong = Vec<(usize, &'static str)>;

/// The variables of a file, in its order, or each line that is wrong and why.
///
/// `${NAME}` is the value that `env` has, else the one of an earlier line; one of neither stays as it is.
///
/// # Errors
/// Every line that is none of the above; no text of the file is repeated. Where the values come to more than
/// [`MAX_BYTES`], that alone: twenty lines that use each the one before twice are a million of the first.
pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Variables, Wrong> {
    let (found, wrong) = read(text, env);
    if wrong.is_empty() { Ok(found.into_iter().map(|(_, variable)| variable).collect()) } else { Err(wrong) }
}

/// The variables of a file as they are written, each with its line, whatever is wrong with other lines.
pub fn lines(text: &str) -> Lines {
    read(text, &|_| None).0
}

fn read(text: &str, env: &dyn Fn(&str) -> Option<String>) -> (Lines, Wrong) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    let mut known = BTreeMap::new();
    let mut rest = text;
    let mut line = 1;
    let left = Cell::new(Some(MAX_BYTES));
    while !rest.is_empty() {
        let lookup = |name: &str| {
            let value = env(name).or_else(|| known.get(name).cloned())?;
            left.set(left.get().and_then(|left| left.checked_sub(value.len())));
            left.get().map(|_| value)
        };
        let (entry, after) = entry(rest, &lookup);
        if left.get().is_none() {
            let reason = "the variables come to more than 2 MiB, counting each use of one";
            return (found, vec![(line, reason)]);
        }
        match entry {
            Ok(Some((name, value))) => {
                known.insert(name.clone(), value.clone());
                found.push((line, (name, value)));
            }
            Ok(None) => {}
            Err(reason) => wrong.push((line, reason)),
        }
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    (found, wrong)
}

type Entry = Result<Option<(String, String)>, &'static str>;

/// One entry, and the text after its line.
fn entry<'a>(text: &'a str, lookup: &dyn Fn(&str) -> Option<String>) -> (Entry, &'a str) {
    let (line, after) = split_line(text);
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return (Ok(None), after);
    }
    let Some((name, value)) = line.split_once('=') else {
        return (Err("it has no `=`"), after);
    };
    let name = name.trim();
    let name =
        name.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or(name).trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return (Err("what stands before `=` is not the name of a variable"), after);
    }
    let start = text.len() - after.len() - (line_length(text) - line.len()) - value.len();
    let value_text = text[start..].trim_start_matches([' ', '\t']);
    let (value, after) = match value_text.chars().next() {
        Some(quote @ ('\'' | '"')) => match quoted(&value_text[1..], quote, lookup) {
            Some((value, rest)) => {
                let (tail, after) = split_line(rest);
                let tail = tail.trim();
                let is_clean = tail.is_empty() || tail.starts_with('#');
                (if is_clean { Ok(value) } else { Err("there is text after the closing quote") }, after)
            }
            None => (Err("its quotes are never closed"), after),
        },
        _ => (Ok(expanded(without_comment(value), lookup)), after),
    };
    let value = value.and_then(|value| if value.contains('\0') { Err("it holds a NUL") } else { Ok(value) });
    (value.map(|value| Some((name.to_owned(), value))), after)
}

/// The first line without its end, and what follows it.
fn split_line(text: &str) -> (&str, &str) {
    let (line, after) = text.split_at(line_length(text));
    (line.trim_end_matches(['\n', '\r']), after)
}

/// The length of the first line with its end.
fn line_length(text: &str) -> usize {
    text.find('\n').map_or(text.len(), |end| end + 1)
}

/// What stands before ` #`, trimmed.
fn without_comment(value: &str) -> &str {
    let is_comment = |(at, _): &(usize, &str)| *at == 0 || value[..*at].ends_with([' ', '\t']);
    let end = value.match_indices('#').find(is_comment).map_or(value.len(), |(at, _)| at);
    value[..end].trim()
}

/// The value up to the closing quote, and what follows it.
fn quoted<'a>(
    text: &'a str,
    quote: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, &'a str)> {
    if quote == '\'' {
        let (value, rest) = text.split_once('\'')?;
        return Some((value.to_owned(), rest));
    }
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\', '$'])?;
        value.push_str(&rest[..at]);
        let (special, after) = rest[at..].split_at(1);
        rest = after;
        match special {
            "\"" => return Some((value, rest)),
            "\\" => {
                let escaped = rest.chars().next()?;
                match escaped {
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    't' => value.push('\t'),
                    '"' | '\\' | '$' => value.push(escaped),
                    other => value.extend(['\\', other]),
                }
                rest = &rest[escaped.len_utf8()..];
            }
            _ => {
                let (text, after) = variable(rest, lookup);
                value.push_str(&text);
                rest = after;
            }
        }
    }
}

fn expanded(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        value.push_str(before);
        let (text, after) = variable(after, lookup);
        value.push_str(&text);
        rest = after;
    }
    value + rest
}

/// What a `$` and the text after it become, and what follows.
fn variable<'a>(after: &'a str, lookup: &dyn Fn(&str) -> Option<String>) -> (String, &'a str) {
    let braced = after.strip_prefix('{').and_then(|rest| {
        // A million of `${` would each look through all the rest.
        let end = rest.bytes().take(LONGEST_NAME).position(|byte| byte == b'}')?;
        Some((&rest[..end], &rest[end + 1..]))
    });
    match braced.and_then(|(name, rest)| Some((lookup(name)?, rest))) {
        Some(found) => found,
        None => ("$".to_owned(), after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "HOST").then(|| "from-env".to_owned())
    }

    #[test]
    fn what_the_libraries_agree_on_is_read() {
        let text = concat!(
            "\u{feff}# a comment\n\n  A=1\nexport B = two words  # not this\nC=\nD='as $it is # here'\r\n",
            "E=\"a\\nb \\\"c\\\" \\$HOST \\d\" # comment\nF=a#b\nG='two\nlines'\nH=\"three\nmore\n\"\nexported=x\n",
            "I=${HOST}/${A}/${NONE}/$A\nJ=\"${B}!\"\nK = #nothing\nL=a=b=c\nHOST=here\nM=${HOST}",
        );
        let found = parse(text, &env).expect("every line is fine");
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            found,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", ""),
                ("D", "as $it is # here"),
                ("E", "a\nb \"c\" $HOST \\d"),
                ("F", "a#b"),
                ("G", "two\nlines"),
                ("H", "three\nmore\n"),
                ("exported", "x"),
                ("I", "from-env/1/${NONE}/$A"),
                ("J", "two words!"),
                ("K", ""),
                ("L", "a=b=c"),
                ("HOST", "here"),
                ("M", "from-env"),
            ]
        );
    }

    #[test]
    fn every_wrong_line_is_named() {
        let text =
            "A='two\nlines'\nnonsense\n=x\n1A=x\nA B=x\nB=\"x\" y\nC=\"two\n lines\" z\nD=\"open\nE=1\n";
        assert_eq!(
            parse(text, &|_| None),
            Err(vec![
                (3, "it has no `=`"),
                (4, "what stands before `=` is not the name of a variable"),
                (5, "what stands before `=` is not the name of a variable"),
                (6, "what stands before `=` is not the name of a variable"),
                (7, "there is text after the closing quote"),
                (8, "there is text after the closing quote"),
                (10, "its quotes are never closed"),
            ])
        );
        assert_eq!(parse("", &|_| None), Ok(Vec::new()));
        assert_eq!(parse("A=\0", &|_| None), Err(vec![(1, "it holds a NUL")]));
    }

    #[test]
    fn values_that_double_with_each_line_are_refused_while_they_are_small() {
        use std::fmt::Write as _;
        for (before, after) in [("", ""), ("\"", "\"")] {
            let mut text = "A0=0123456789\nB=1\n".to_owned();
            for n in 1..45 {
                let _ = writeln!(text, "A{n}={before}${{A{0}}}${{A{0}}}{after}", n - 1);
            }
            let wrong = parse(&text, &|_| None).expect_err("it is taken");
            assert_eq!(wrong, [(19, "the variables come to more than 2 MiB, counting each use of one")]);
        }
        // In one line.
        let once = format!("A={}\nB={}\n", "x".repeat(100_000), "${A}".repeat(100_000));
        assert_eq!(parse(&once, &|_| None).expect_err("it is taken")[0].0, 2);
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_an_answer(text in "[A\"'$\\\\#= \\n\\r{}é]{0,40}") {
            let _ = parse(&text, &|_| None);
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[^'\\x00]{0,20}") {
            let found = parse(&format!("A='{value}'\n"), &|_| None);
            proptest::prop_assert_eq!(found, Ok(vec![("A".to_owned(), value)]));
        }
    }

    #[test]
    fn what_is_never_closed_takes_no_time_to_speak_of() {
        let start = std::time::Instant::now();
        for text in ["A=".to_owned() + &"${".repeat(60_000), "A=".to_owned() + &"${".repeat(60_000) + "}"] {
            let found = parse(&text, &env).expect("it is a value");
            assert_eq!(found[0].1.len(), text.len() - 2);
        }
        // Each looked through all the rest, which took minutes; a busy machine may need some seconds.
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
    }
}
