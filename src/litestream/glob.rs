//! Go's `filepath.Match`, by which Litestream knows the databases of a folder.
//!
//! Whoever writes the pattern may not be who names the files, so the time is that of Go: the places of a star are
//! tried one after the other, and once what stands behind it was found, no earlier star is tried again.

use std::ops::RangeInclusive;

/// Says whether the whole `name` is what `pattern` says; a pattern that Go calls malformed says nothing.
///
/// As in Go, neither `*` nor `?` is a slash, a class may have one, and names need not be UTF-8.
pub fn matches(pattern: &str, name: &[u8]) -> bool {
    counted(pattern, name, &mut 0)
}

/// Says whether a text means more than one name.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?']) || text.find('[').is_some_and(|at| text[at..].contains(']'))
}

/// One thing that a pattern wants.
enum Token {
    /// This very character.
    Literal(char),
    /// Any character but a slash.
    Any,
    /// One of these, or one of no others.
    Class { negated: bool, ranges: Vec<RangeInclusive<char>> },
}

/// What stands between two stars.
struct Chunk {
    after_star: bool,
    tokens: Vec<Token>,
}

fn counted(pattern: &str, name: &[u8], steps: &mut u64) -> bool {
    let Some(chunks) = chunks(pattern) else { return false };
    let mut rest = name;
    for (place, chunk) in chunks.iter().enumerate() {
        let is_last = place + 1 == chunks.len();
        if chunk.after_star && chunk.tokens.is_empty() {
            // Only the last star has nothing behind it.
            return !rest.contains(&b'/');
        }
        let mut skipped = 0;
        rest = loop {
            match chunk.take(&rest[skipped..], steps) {
                // What is left behind the last chunk may be what its star is for.
                Some(after) if !is_last || after.is_empty() => break after,
                Some(_) | None => {}
            }
            if !chunk.after_star || rest.get(skipped).is_none_or(|byte| *byte == b'/') {
                return false;
            }
            skipped += 1;
        };
    }
    rest.is_empty()
}

/// Returns the pattern in parts; none if it is malformed.
fn chunks(pattern: &str) -> Option<Vec<Chunk>> {
    let mut found: Vec<Chunk> = Vec::new();
    let mut rest = pattern;
    let mut star = false;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '*' {
            star = true;
            continue;
        }
        if star || found.is_empty() {
            found.push(Chunk { after_star: std::mem::take(&mut star), tokens: Vec::new() });
        }
        let token = match c {
            '?' => Token::Any,
            '[' => class(&mut rest)?,
            '\\' => Token::Literal(next(&mut rest)?),
            literal => Token::Literal(literal),
        };
        found.last_mut()?.tokens.push(token);
    }
    if star {
        found.push(Chunk { after_star: true, tokens: Vec::new() });
    }
    Some(found)
}

/// Reads `^`, then ranges, then `]`.
fn class(rest: &mut &str) -> Option<Token> {
    let after = rest.strip_prefix('^');
    let negated = after.is_some();
    *rest = after.unwrap_or(rest);
    let mut ranges = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(']').filter(|_| !ranges.is_empty()) {
            *rest = after;
            return Some(Token::Class { negated, ranges });
        }
        let low = member(rest)?;
        let high = match rest.strip_prefix('-') {
            Some(after) => {
                *rest = after;
                member(rest)?
            }
            None => low,
        };
        // Go reads on for what ends the class.
        if rest.is_empty() {
            return None;
        }
        ranges.push(low..=high);
    }
}

fn member(rest: &mut &str) -> Option<char> {
    match next(rest)? {
        '-' | ']' => None,
        '\\' => next(rest),
        c => Some(c),
    }
}

fn next(rest: &mut &str) -> Option<char> {
    let c = rest.chars().next()?;
    *rest = &rest[c.len_utf8()..];
    Some(c)
}

impl Chunk {
    /// Returns what follows the chunk at the beginning of `name`.
    fn take<'a>(&self, mut name: &'a [u8], steps: &mut u64) -> Option<&'a [u8]> {
        for token in &self.tokens {
            *steps += 1;
            let (c, length) = first(name)?;
            let fits = match token {
                // What is no UTF-8 is no character, not even the one that stands for it.
                Token::Literal(literal) => name.starts_with(literal.encode_utf8(&mut [0; 4]).as_bytes()),
                Token::Any => c != '/',
                Token::Class { negated, ranges } => {
                    *steps += ranges.len() as u64;
                    ranges.iter().any(|range| range.contains(&c)) != *negated
                }
            };
            if !fits {
                return None;
            }
            name = &name[length..];
        }
        Some(name)
    }
}

/// Does what `utf8.DecodeRune` does: a byte that begins no character is U+FFFD by itself.
fn first(name: &[u8]) -> Option<(char, usize)> {
    let start = &name[..name.len().min(4)];
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => Some((c, c.len_utf8())),
        None => (!name.is_empty()).then_some((char::REPLACEMENT_CHARACTER, 1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table of path/filepath's match_test.go, and what its code says of the rest.
    #[test]
    fn patterns_are_those_of_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("a[^a][^a][^a]b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("a[/]b", "a/b", true),
            ("a[^x]b", "a/b", true),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "x", true),
            ("[x\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "x", true),
            ("[\\-x]", "a", false),
            ("[]a]", "]", false),
            ("[-]", "-", false),
            ("[x-]", "x", false),
            ("[-x]", "x", false),
            ("\\", "a", false),
            ("[a-b-c]", "a", false),
            ("[", "a", false),
            ("[^", "a", false),
            ("[^bc", "a", false),
            ("a[", "a", false),
            ("a[", "ab", false),
            ("a[", "x", false),
            ("a/b[", "x", false),
            ("*x", "xxx", true),
            ("**", "a", true),
            ("**", "a/b", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "", false),
            ("*.db", "t.db", true),
            ("*.db", "t.db-wal", false),
            // A star may stand for a part of a character.
            ("*??", "☺", true),
        ] {
            assert_eq!(matches(pattern, name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(
            matches("a?b", b"a\xffb") && matches("a[^x]b", b"a\xffb") && !matches("a\u{fffd}b", b"a\xffb")
        );
    }

    /// Every way of every star.
    fn naively(tokens: &[Option<Token>], name: &[u8]) -> bool {
        match tokens.split_first() {
            None => name.is_empty(),
            Some((None, rest)) => (0..=name.len()).any(|taken| naively(rest, &name[taken..])),
            Some((Some(token), rest)) => {
                let Some((c, after)) = name.split_first() else { return false };
                let c = char::from(*c);
                let fits = match token {
                    Token::Literal(literal) => *literal == c,
                    Token::Any => true,
                    Token::Class { negated, ranges } => {
                        ranges.iter().any(|range| range.contains(&c)) != *negated
                    }
                };
                fits && naively(rest, after)
            }
        }
    }

    fn flat(pattern: &str) -> Option<Vec<Option<Token>>> {
        let with_star = |chunk: Chunk| {
            let star = chunk.after_star.then_some(None);
            star.into_iter().chain(chunk.tokens.into_iter().map(Some)).collect::<Vec<_>>()
        };
        chunks(pattern).map(|chunks| chunks.into_iter().flat_map(with_star).collect())
    }

    proptest! {
        #[test]
        fn it_finds_what_trying_all_ways_finds(
            pattern in "([ab*?]|\\[a\\]|\\[\\^a-b\\]|\\\\\\*){0,8}",
            name in "[abc*]{0,10}",
        ) {
            let tokens = flat(&pattern).expect("a pattern");
            prop_assert_eq!(matches(&pattern, name.as_bytes()), naively(&tokens, name.as_bytes()), "{}", pattern);
        }

        #[test]
        fn its_time_is_the_product_of_both_lengths(
            pattern in "[ab*?\\[\\]^/\\\\-]{0,60}",
            name in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut steps = 0;
            counted(&pattern, &name, &mut steps);
            prop_assert!(steps <= (2 * pattern.len() as u64 + 1) * (name.len() as u64 + 1), "{pattern}: {steps}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let mut steps = 0;
        assert!(!counted(&format!("{}b", "*a".repeat(100)), &[b'a'; 255], &mut steps));
        assert!(steps < 100 * 255, "{steps}");
    }
}
