//! The words of a shell script's lines.

use super::path;

/// One word of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Without its quotes.
    pub text: String,
    /// Whether a shell expands something in it.
    pub expands: bool,
}

impl Word {
    /// Makes a word that no shell reads.
    pub fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), expands: false }
    }
}

/// Splits a script into lines with their numbers, those put together that end with a backslash.
pub(super) fn lines(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let (part, next) = match line.strip_suffix('\\') {
            Some(part) if !is_comment(line) => (part, true),
            Some(_) | None => (line, false),
        };
        match found.last_mut().filter(|_| goes_on) {
            Some((_, whole)) => whole.push_str(part),
            None => found.push((number, part.to_owned())),
        }
        goes_on = next;
    }
    found
}

/// Tells whether only a shell can run a line: it has several commands, or redirects one.
pub(super) fn is_shells(line: &str) -> bool {
    line.contains(['&', ';', '|', '<', '>', '(', '`'])
}

/// Tells whether a line is a comment of a shell's or a service manager's.
pub(super) fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') || line.starts_with("//") || line.starts_with(';')
}

/// Splits a line into commands, each with its words.
pub(super) fn commands(line: &str) -> Vec<Vec<Word>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '(' | ')') => {
                if let (Some(done), Some(command)) = (word.take(), all.last_mut()) {
                    command.push(done);
                }
                if !c.is_whitespace() && all.last().is_some_and(|command| !command.is_empty()) {
                    all.push(Vec::new());
                }
            }
            (None, '#') if word.is_none() => break,
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                let next = chars.next();
                let word = word.get_or_insert_default();
                // In double quotes a backslash stays in front of characters that it does not escape.
                if quote.is_some() && !next.is_some_and(|next| "$`\"\\".contains(next)) {
                    word.text.push('\\');
                }
                word.text.extend(next);
            }
            // `$(…)` and its contents belong to one word.
            (None, '$') if chars.peek() == Some(&'(') => {
                let word = word.get_or_insert_default();
                word.expands = true;
                word.text.push('$');
                word.text.push_str(&substitution(&mut chars));
            }
            (quote, c) => {
                let word = word.get_or_insert_default();
                word.expands |= quote != Some('\'') && "$`".contains(c);
                word.text.push(c);
            }
        }
    }
    if let (Some(done), Some(command)) = (word, all.last_mut()) {
        command.push(done);
    }
    all.retain(|command| !command.is_empty());
    all
}

/// Takes a command in brackets, up to the bracket that closes it.
fn substitution(chars: &mut impl Iterator<Item = char>) -> String {
    let mut depth = 0;
    let mut text = String::new();
    for c in chars {
        text.push(c);
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 {
            break;
        }
    }
    text
}

/// Finds the value of `-exec` of a command that is `litestream replicate`.
pub(super) fn exec_of(command: &[Word]) -> Option<&Word> {
    let is_it = |word: &Word| path::name(&word.text) == "litestream";
    let after = &command[command.iter().position(is_it)? + 1..];
    let after = &after[after.iter().position(|word| word.text == "replicate")? + 1..];
    after
        .iter()
        .zip(after.iter().skip(1))
        .find_map(|(option, value)| matches!(option.text.as_str(), "-exec" | "--exec").then_some(value))
}

/// Finds the value of `-exec=COMMAND`, which is one word.
pub(super) fn exec_in_one(command: &[Word]) -> Option<Word> {
    let is_litestream = command.iter().any(|word| path::name(&word.text) == "litestream");
    let replicates = command.iter().any(|word| word.text == "replicate");
    let value = |word: &Word| {
        let text = word.text.trim_start_matches('-').strip_prefix("exec=")?;
        word.text.starts_with('-').then(|| Word { text: text.to_owned(), expands: word.expands })
    };
    command.iter().find_map(value).filter(|_| is_litestream && replicates)
}

#[cfg(test)]
mod unit {
    use super::*;

    fn exec(line: &str) -> Option<(String, bool)> {
        let word = |words: &Vec<Word>| exec_of(words).cloned().or_else(|| exec_in_one(words));
        commands(line).iter().find_map(word).map(|word| (word.text, word.expands))
    }

    #[test]
    fn the_command_of_exec_is_found_in_its_usual_forms() {
        for (line, text, expands) in [
            ("litestream replicate -exec \"node server.js\"", "node server.js", false),
            ("exec litestream replicate -exec 'node server.js'", "node server.js", false),
            ("exec /usr/local/bin/litestream replicate -config /etc/l.yml -exec \"a b\"", "a b", false),
            ("litestream replicate -exec \"a b\" -config /etc/l.yml", "a b", false),
            ("litestream replicate --exec=\"a b\" -config x", "a b", false),
            ("litestream -config x replicate -exec=a", "a", false),
            ("if [ -n \"$X\" ]; then exec litestream replicate -exec \"a b\"; fi", "a b", false),
            ("exec tini -- litestream replicate -exec \"a -p $PORT\" # why", "a -p $PORT", true),
            ("litestream replicate -exec 'a $B'", "a $B", false),
            ("litestream replicate -exec \"sh -c 'a && b'\" &", "sh -c 'a && b'", false),
            ("litestream replicate -exec \"a \\\"b c\\\"\"", "a \"b c\"", false),
            ("litestream replicate -exec a\\ b", "a b", false),
            ("litestream replicate -exec \"$@\"", "$@", true),
            ("litestream restore x && litestream replicate -exec \"$(cat cmd)\"", "$(cat cmd)", true),
        ] {
            assert_eq!(exec(line), Some((text.to_owned(), expands)), "{line}");
        }
        for line in [
            "litestream replicate",
            "litestream restore -exec x",
            "# litestream replicate -exec x",
            "find . -exec litestream replicate",
            "echo 'litestream replicate -exec x'",
            "litestream replicate & x -exec y",
        ] {
            assert_eq!(exec(line), None, "{line}");
        }
    }

    #[test]
    fn lines_that_go_on_are_one() {
        assert_eq!(
            lines("a\nb \\\n  c \\\nd\n# e \\\nf\\"),
            [(1, "a"), (2, "b   c d"), (5, "# e \\"), (6, "f")].map(|(at, line)| (at, line.to_owned()))
        );
    }
}
