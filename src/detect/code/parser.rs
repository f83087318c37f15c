//! Expressions, as far as configuration files have them.

use std::cell::Cell;

use super::lexer::{Language, Piece, Placed, Token, tokens};

/// More nesting than this is no configuration.
const MAX_DEPTH: usize = 64;

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::detect) enum Expr {
    /// A text, with the expressions that are interpolated.
    Text(Vec<Result<String, Expr>>),
    Number(String),
    /// A name with its members, whatever joins them: `Rails.root`, `process.env.X`.
    Name(String),
    /// A member of an expression.
    Member(Box<Expr>, String),
    /// A call: what, its arguments with their keywords, and Ruby's block.
    Call(Box<Expr>, Vec<Argument>, Option<Box<Expr>>),
    Index(Box<Expr>, Box<Expr>),
    Infix(&'static str, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// Condition, then, else.
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Table(Vec<(Expr, Expr)>),
    /// Code that ends the program instead of having a value.
    Raise,
    Unknown,
}

/// An argument with its keyword.
pub(in crate::detect) type Argument = (Option<String>, Expr);

/// A statement of Python, as far as settings are made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::detect) enum Statement {
    Assign(Expr, Expr),
    /// `from X import *`, the module with its dots.
    Star(String),
    If(Expr),
    Elif(Expr),
    Else,
    /// A block that is run as it stands.
    Try,
    /// A block that is not run now, or an unknown number of times.
    Later,
}

/// Reads tokens from one place on.
pub(super) struct Parser<'a> {
    tokens: &'a [Placed],
    pub at: usize,
    depth: usize,
    language: Language,
    /// How often tokens may still be looked at.
    work: &'a Cell<usize>,
}

impl<'a> Parser<'a> {
    pub fn new(tokens: &'a [Placed], at: usize, language: Language, work: &'a Cell<usize>) -> Self {
        Self { tokens, at, depth: 0, language, work }
    }

    fn peek(&self) -> Option<&Token> {
        // When the work is used up, the file ends here.
        self.work.set(self.work.get().checked_sub(1)?);
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// Tells whether the next token begins a line.
    fn at_line_start(&self) -> bool {
        self.tokens.get(self.at).is_some_and(|placed| placed.first)
    }

    pub fn peek_mark(&self, mark: &str) -> bool {
        matches!(self.peek(), Some(Token::Mark(found)) if *found == mark)
    }

    pub fn eat(&mut self, marks: &[&str]) -> bool {
        let eaten = marks.iter().any(|mark| self.peek_mark(mark));
        self.at += usize::from(eaten);
        eaten
    }

    fn eat_word(&mut self, words: &[&str]) -> bool {
        let eaten = matches!(self.peek(), Some(Token::Word(word)) if words.contains(&word.as_str()));
        self.at += usize::from(eaten);
        eaten
    }

    /// Skips `: Type` of Python, up to the `=` on the same line.
    pub fn skip_annotation(&mut self) {
        let start = self.at;
        while self.at < self.tokens.len() && !self.peek_mark("=") {
            self.at += 1;
            if self.at_line_start() {
                self.at = start;
                return;
            }
        }
    }

    pub fn statement(&mut self) -> Option<Statement> {
        let word = match self.peek() {
            Some(Token::Word(word)) => word.clone(),
            _ => return None,
        };
        self.at += 1;
        match word.as_str() {
            "if" => Some(Statement::If(self.condition())),
            "elif" => Some(Statement::Elif(self.condition())),
            "else" => Some(Statement::Else),
            "try" | "with" | "finally" => Some(Statement::Try),
            "except" | "def" | "class" | "async" | "for" | "while" => Some(Statement::Later),
            "from" => self.star_import().map(Statement::Star),
            _ => {
                self.at -= 1;
                self.assignment().map(|(target, value)| Statement::Assign(target, value))
            }
        }
    }

    /// Reads a condition up to its colon; unknown if there is more in front of that.
    fn condition(&mut self) -> Expr {
        let condition = self.expr(0);
        if self.peek_mark(":") { condition } else { Expr::Unknown }
    }

    fn star_import(&mut self) -> Option<String> {
        let mut module = String::new();
        loop {
            match self.next()? {
                Token::Mark(mark @ ("." | "...")) => module.push_str(mark),
                Token::Word(word) if word == "import" => return self.eat(&["*"]).then_some(module),
                Token::Word(word) => module.push_str(&word),
                Token::Mark(_) | Token::Text(_) | Token::Number(_) => return None,
            }
        }
    }

    pub fn assignment(&mut self) -> Option<(Expr, Expr)> {
        while self.eat_word(&["const", "let", "var", "export"]) {}
        let target = self.postfix();
        if self.language == Language::Python && self.peek_mark(":") {
            self.skip_annotation();
        }
        let is_target = matches!(target, Expr::Name(_) | Expr::Index(..));
        (is_target && self.eat(&["="])).then(|| (target, self.expr(0)))
    }

    pub fn expr(&mut self, power: u8) -> Expr {
        if self.depth >= MAX_DEPTH {
            return Expr::Unknown;
        }
        self.depth += 1;
        let mut left = self.postfix();
        while let Some((op, binds)) = self.infix().filter(|(_, binds)| *binds > power) {
            self.at += 1;
            left = match op {
                "?" => {
                    let then = self.expr(0);
                    let otherwise = if self.eat(&[":"]) { self.expr(binds - 1) } else { Expr::Unknown };
                    Expr::Choice(left.into(), then.into(), otherwise.into())
                }
                "if" => {
                    let condition = self.expr(binds);
                    let otherwise =
                        if self.eat_word(&["else"]) { self.expr(binds - 1) } else { Expr::Unknown };
                    Expr::Choice(condition.into(), left.into(), otherwise.into())
                }
                "|>" => match self.expr(binds) {
                    Expr::Call(callee, mut args, block) => {
                        args.insert(0, (None, left));
                        Expr::Call(callee, args, block)
                    }
                    _ => Expr::Unknown,
                },
                op => Expr::Infix(op, left.into(), self.expr(binds).into()),
            };
        }
        self.depth -= 1;
        left
    }

    /// Peeks at the next operator, under one name for all languages, and how tightly it binds.
    fn infix(&self) -> Option<(&'static str, u8)> {
        let php = self.language == Language::Php;
        Some(match self.peek()? {
            Token::Mark(mark) => match *mark {
                "?" => ("?", 2),
                "|>" => ("|>", 3),
                "||" | "??" | "?:" => ("||", 4),
                "&&" => ("&&", 5),
                "==" | "===" => ("==", 6),
                "!=" | "!==" => ("!=", 6),
                "<>" | "+" => ("+", 8),
                "." if php => ("+", 8),
                "/" => ("/", 9),
                _ => return None,
            },
            // A word on a new line begins a statement, unless brackets are open.
            Token::Word(word) if self.depth > 1 || !self.at_line_start() => match word.as_str() {
                "if" if self.language == Language::Python => ("if", 2),
                "or" => ("||", 4),
                "and" => ("&&", 5),
                "in" => ("in", 6),
                _ => return None,
            },
            Token::Word(_) | Token::Text(_) | Token::Number(_) => return None,
        })
    }

    fn postfix(&mut self) -> Expr {
        let mut left = self.primary();
        loop {
            let dots: &[&str] = match self.language {
                Language::Php => &["->", "::"],
                _ => &[".", "?.", "&.", "::"],
            };
            let member = dots.iter().any(|dot| self.peek_mark(dot));
            if member && let Some(Token::Word(name)) = self.tokens.get(self.at + 1).map(|p| p.token.clone()) {
                self.at += 2;
                left = match left {
                    Expr::Name(path) => Expr::Name(format!("{path}.{name}")),
                    other => Expr::Member(other.into(), name),
                };
            } else if self.peek_mark("(") && !self.at_line_start() {
                self.at += 1;
                let arguments = self.arguments(")");
                let block = self.block();
                left = Expr::Call(left.into(), arguments, block.map(Box::new));
            } else if self.peek_mark("[") && !self.at_line_start() {
                self.at += 1;
                let key = self.expr(0);
                self.recover("]");
                self.eat(&["]"]);
                left = Expr::Index(left.into(), key.into());
            } else if self.language == Language::JavaScript && self.peek_mark("!") {
                // TypeScript's assertion that a value exists.
                self.at += 1;
            } else {
                return left;
            }
        }
    }

    /// Reads Ruby's `{ value }` behind a call.
    fn block(&mut self) -> Option<Expr> {
        if self.language != Language::Ruby || !self.eat(&["{"]) {
            return None;
        }
        let value = self.expr(0);
        while !self.peek_mark("}") && self.peek().is_some() {
            self.at += 1;
        }
        self.at += 1;
        Some(value)
    }

    fn primary(&mut self) -> Expr {
        let Some(token) = self.peek().cloned() else { return Expr::Unknown };
        match token {
            Token::Text(pieces) => {
                self.at += 1;
                let mut parts = self.text(pieces);
                while self.language == Language::Python
                    && let Some(Token::Text(more)) = self.peek().cloned()
                    && (self.depth > 1 || !self.at_line_start())
                {
                    self.at += 1;
                    parts.extend(self.text(more));
                }
                Expr::Text(parts)
            }
            Token::Number(number) => {
                self.at += 1;
                Expr::Number(number)
            }
            Token::Word(word) => self.word(word),
            Token::Mark(mark) => self.marked(mark),
        }
    }

    fn text(&self, pieces: Vec<Piece>) -> Vec<Result<String, Expr>> {
        let part = |piece| match piece {
            Piece::Literal(text) => Ok(text),
            Piece::Code(code) => Err(if self.depth < MAX_DEPTH {
                let tokens = tokens(&code, self.language);
                Parser { tokens: &tokens, at: 0, depth: self.depth + 1, ..*self }.expr(0)
            } else {
                Expr::Unknown
            }),
        };
        pieces.into_iter().map(part).collect()
    }

    fn word(&mut self, word: String) -> Expr {
        self.at += 1;
        match word.as_str() {
            "not" => Expr::Not(self.expr(5).into()),
            "raise" | "throw" => {
                self.expr(0);
                Expr::Raise
            }
            "new" | "await" => self.postfix(),
            "fn" | "function" | "lambda" | "if" | "case" | "for" => Expr::Unknown,
            _ => Expr::Name(word),
        }
    }

    fn marked(&mut self, mark: &str) -> Expr {
        self.at += 1;
        match mark {
            "!" => Expr::Not(self.expr(7).into()),
            "-" => match self.primary() {
                Expr::Number(number) => Expr::Number(format!("-{number}")),
                _ => Expr::Unknown,
            },
            ":" => match self.next() {
                Some(Token::Word(atom)) => Expr::Text(vec![Ok(atom)]),
                Some(Token::Text(pieces)) => Expr::Text(self.text(pieces)),
                _ => Expr::Unknown,
            },
            "%" if self.eat(&["{"]) => self.collection("}"),
            "%" => Expr::Unknown,
            "[" => self.collection("]"),
            "{" => match self.collection("}") {
                Expr::List(items) if items.is_empty() => Expr::Table(Vec::new()),
                other => other,
            },
            "(" => self.brackets(),
            "..." | "**" | "*" => {
                self.expr(0);
                Expr::Unknown
            }
            _ => {
                self.at -= 1;
                Expr::Unknown
            }
        }
    }

    /// Reads `(value)`, `(a, b)`, a cast of PHP, and an arrow function that only has a value.
    fn brackets(&mut self) -> Expr {
        let cast = matches!(self.peek(), Some(Token::Word(word))
            if ["bool", "int", "string", "float", "array"].contains(&word.as_str()));
        if self.language == Language::Php && cast {
            self.at += 1;
            return if self.eat(&[")"]) { self.expr(7) } else { Expr::Unknown };
        }
        let items = self.arguments(")");
        if self.eat(&["=>"]) {
            return self.expr(0);
        }
        let mut items = items.into_iter().map(|(_, item)| item);
        match (items.next(), items.next()) {
            (Some(one), None) => one,
            (Some(one), Some(two)) => Expr::List([one, two].into_iter().chain(items).collect()),
            (None, _) => Expr::Unknown,
        }
    }

    /// Reads a list or a table, up to the bracket that closes it.
    fn collection(&mut self, close: &str) -> Expr {
        let mut items = Vec::new();
        while self.peek().is_some() && !self.eat(&[close]) {
            let label = self.label();
            let (key, value) = match label {
                Some(label) => (Some(Expr::Text(vec![Ok(label)])), self.expr(0)),
                None => match self.expr(0) {
                    key if self.eat(&["=>", ":"]) => (Some(key), self.expr(0)),
                    value => (None, value),
                },
            };
            items.push((key, value));
            self.recover(close);
            self.eat(&[","]);
        }
        if items.iter().all(|(key, _)| key.is_none()) {
            return Expr::List(items.into_iter().map(|(_, value)| value).collect());
        }
        let entry = |(key, value): (Option<Expr>, Expr)| match (key, value) {
            (Some(key), value) => (key, value),
            // JavaScript's `{ url }`.
            (None, Expr::Name(name)) => (Expr::Text(vec![Ok(name.clone())]), Expr::Name(name)),
            (None, _) => (Expr::Unknown, Expr::Unknown),
        };
        Expr::Table(items.into_iter().map(entry).collect())
    }

    fn arguments(&mut self, close: &str) -> Vec<Argument> {
        let mut found = Vec::new();
        while self.peek().is_some() && !self.eat(&[close]) {
            let label = self.label();
            found.push((label, self.expr(0)));
            self.recover(close);
            self.eat(&[","]);
        }
        found
    }

    pub fn bare_arguments(&mut self) -> Vec<Argument> {
        // Brackets are as good as open: a comma goes on in the next line.
        self.depth = 1;
        let mut found = Vec::new();
        loop {
            let label = self.label();
            found.push((label, self.expr(0)));
            if !self.eat(&[","]) {
                return found;
            }
        }
    }

    /// Reads `name:` or Python's `name=`, in front of a value.
    fn label(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.peek().cloned() else { return None };
        let mark = self.tokens.get(self.at + 1).map(|placed| &placed.token);
        let python = self.language == Language::Python;
        let is_label = match mark {
            Some(Token::Mark(":")) => !python,
            Some(Token::Mark("=")) => python,
            _ => false,
        };
        is_label.then(|| {
            self.at += 2;
            word
        })
    }

    /// Skips unknown code, up to the next comma or the bracket that closes this one.
    fn recover(&mut self, close: &str) {
        let mut open = 0usize;
        while let Some(token) = self.peek() {
            if open == 0 && (self.peek_mark(close) || self.peek_mark(",")) {
                return;
            }
            if let Token::Mark(mark) = token {
                match *mark {
                    "(" | "[" | "{" => open += 1,
                    ")" | "]" | "}" if open == 0 => return,
                    ")" | "]" | "}" => open -= 1,
                    _ => {}
                }
            }
            self.at += 1;
        }
    }
}
