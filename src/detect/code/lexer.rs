//! Source code in words, texts and marks.

/// The languages, which differ in comments, quotes and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::detect) enum Language {
    Ruby,
    Python,
    Php,
    Elixir,
    JavaScript,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a keyword.
    Word(String),
    /// A text, with the code that is interpolated.
    Text(Vec<Piece>),
    /// A number, as written.
    Number(String),
    /// Anything else.
    Mark(&'static str),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Code(String),
}

/// A token, whether it is the first one of its line, and how far from the line's beginning it is then.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub token: Token,
    pub first: bool,
    pub column: usize,
}

/// Marks of several characters, the longer first.
const MARKS: [&str; 52] = [
    "===", "!==", "...", "**=", "<=>", "||=", "=>", "->", "::", "||", "&&", "??", "?:", "?.", "==", "!=",
    "<=", ">=", "<>", "|>", "+=", ".=", "**", "//", "<<", ">>", ":=", "&.", "=", "(", ")", "[", "]", "{",
    "}", ",", ":", ";", ".", "+", "-", "*", "/", "%", "<", ">", "!", "?", "|", "&", "~", "^",
];

/// Splits a text into tokens. Other characters are skipped; an open text or comment ends with the file.
pub(super) fn tokens(text: &str, language: Language) -> Vec<Placed> {
    let mut lexer = Lexer { rest: text, language };
    let mut found = Vec::new();
    let (mut first, mut column) = (true, 0);
    while let Some(c) = lexer.rest.chars().next() {
        if c == '\n' {
            (first, column) = (true, 0);
        } else if c.is_whitespace() {
            column += 1;
        }
        if c.is_whitespace() {
            lexer.skip(c.len_utf8());
            continue;
        }
        if lexer.comment() {
            continue;
        }
        match lexer.token(c) {
            Some(token) => found.push(Placed { token, first: std::mem::take(&mut first), column }),
            None => lexer.skip(c.len_utf8()),
        }
    }
    found
}

struct Lexer<'a> {
    rest: &'a str,
    language: Language,
}

impl<'a> Lexer<'a> {
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn comment(&mut self) -> bool {
        use Language::{JavaScript, Php};
        let starts = |mark: &str| self.rest.starts_with(mark);
        let slashes = matches!(self.language, Php | JavaScript);
        let attribute = self.language == Php && starts("#[");
        if slashes && starts("/*") {
            let length = self.rest.find("*/").map_or(self.rest.len(), |end| end + 2);
            self.skip(length);
        } else if (slashes && starts("//")) || (self.language != JavaScript && starts("#") && !attribute) {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.language == Php && (starts("<?php") || attribute) {
            self.skip(if starts("<?php") { 5 } else { 1 });
        } else {
            return false;
        }
        true
    }

    fn token(&mut self, c: char) -> Option<Token> {
        if let Some(text) = self.text(c) {
            return Some(Token::Text(text));
        }
        if c.is_ascii_digit() {
            let length = self.length(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
            return Some(Token::Number(self.take(length).to_owned()));
        }
        if c.is_alphabetic() || c == '_' || c == '@' || c == '$' {
            return Some(self.word());
        }
        let mark = *MARKS.iter().find(|mark| self.rest.starts_with(**mark))?;
        self.skip(mark.len());
        Some(Token::Mark(mark))
    }

    fn word(&mut self) -> Token {
        let length = self.length(|c| c.is_alphanumeric() || "_@$".contains(c));
        let tail = &self.rest[length..];
        // Ruby's and Elixir's `present?` and `fetch_env!`; not `a != b`.
        let marked = matches!(self.language, Language::Ruby | Language::Elixir)
            && tail.starts_with(['?', '!'])
            && !tail[1..].starts_with('=');
        Token::Word(self.take(length + usize::from(marked)).to_owned())
    }

    fn length(&self, is_part: impl Fn(char) -> bool) -> usize {
        self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len())
    }

    /// Takes a text, if one begins here.
    fn text(&mut self, c: char) -> Option<Vec<Piece>> {
        let mut quote_at = 0;
        let (mut raw, mut formatted) = (false, false);
        if self.language == Language::Python {
            let prefix = self.length(|c| c.is_ascii_alphabetic());
            let letters = self.rest[..prefix].to_ascii_lowercase();
            let is_prefix = prefix <= 2 && letters.chars().all(|c| "rbuf".contains(c));
            if is_prefix && self.rest[prefix..].starts_with(['"', '\'']) {
                (quote_at, raw, formatted) = (prefix, letters.contains('r'), letters.contains('f'));
            }
        }
        let quote = self.rest[quote_at..].chars().next().filter(|quote| match quote {
            '"' | '\'' => true,
            '`' => self.language == Language::JavaScript,
            _ => false,
        });
        let quote = quote.filter(|quote| quote_at > 0 || *quote == c)?;
        self.skip(quote_at);
        let triple = matches!(self.language, Language::Python | Language::Elixir)
            && self.rest.starts_with(&quote.to_string().repeat(3));
        let end = quote.to_string().repeat(if triple { 3 } else { 1 });
        self.skip(end.len());
        let opening = match (self.language, quote) {
            (Language::Ruby | Language::Elixir, '"') => Some("#{"),
            (Language::JavaScript, '`') => Some("${"),
            (Language::Python, _) if formatted => Some("{"),
            (Language::Php, '"') => Some("{$"),
            _ => None,
        };
        // In single quotes Ruby, PHP and Elixir know only the quote itself and the backslash.
        let plain = raw || (quote == '\'' && matches!(self.language, Language::Ruby | Language::Php));
        Some(self.pieces(&end, opening, plain))
    }

    fn pieces(&mut self, end: &str, opening: Option<&str>, plain: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        while let Some(c) = self.rest.chars().next() {
            if self.rest.starts_with(end) {
                self.skip(end.len());
                break;
            }
            if let Some(opening) = opening.filter(|opening| self.rest.starts_with(opening)) {
                self.skip(opening.len());
                let code = self.interpolated();
                // `{$name}`: the sign is a part of PHP's name.
                let code = if opening == "{$" { format!("${code}") } else { code };
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Code(code));
                continue;
            }
            self.skip(c.len_utf8());
            match self.rest.chars().next() {
                Some(next) if c == '\\' => {
                    self.skip(next.len_utf8());
                    match next {
                        'n' if !plain => literal.push('\n'),
                        't' if !plain => literal.push('\t'),
                        '\\' | '\'' | '"' | '`' | '$' | '#' | '{' => literal.push(next),
                        _ => literal.extend([c, next]),
                    }
                }
                _ => literal.push(c),
            }
        }
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        pieces
    }

    /// Takes the code up to the brace that closes it.
    fn interpolated(&mut self) -> String {
        let mut depth = 1usize;
        let end = self.rest.find(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let code = self.take(end.unwrap_or(self.rest.len())).to_owned();
        self.skip(1);
        code
    }
}
