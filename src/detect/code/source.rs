//! A file of source code.

use std::cell::Cell;

use super::lexer::{Language, Piece, Placed, Token, tokens};
use super::parser::{Argument, Expr, Parser, Statement};

/// How often tokens of one file are looked at, whatever is in it: a bracket that never closes is followed to the
/// end from each line again.
const MAX_WORK: usize = 1_000_000;

/// A file of source code.
pub(in crate::detect) struct Source {
    tokens: Vec<Placed>,
    language: Language,
    work: Cell<usize>,
}

impl Source {
    pub fn new(text: &str, language: Language) -> Self {
        Self { tokens: tokens(text, language), language, work: Cell::new(MAX_WORK) }
    }

    /// Reads the whole as one expression.
    pub fn expression(&self) -> Expr {
        self.parser(0).expr(0)
    }

    /// Lists the assignments: target and value, in the file's order.
    pub fn assignments(&self) -> Vec<(Expr, Expr)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(placed) = self.tokens.get(at) {
            let mut parser = self.parser(at);
            at += 1;
            if !placed.first {
                continue;
            }
            if let Some(assignment) = parser.assignment() {
                found.push(assignment);
                at = at.max(parser.at);
            }
        }
        found
    }

    /// Lists the values behind the keys of this name: `key: value`, `'key' => value`.
    pub fn values_of(&self, key: &str) -> Vec<Expr> {
        self.behind(|token| is_key(token, key), &[":", "=>"])
    }

    /// Lists the values that settings of this name get, however Python writes that: `NAME = …`, `NAME: str = …`,
    /// `config["NAME"] = …`, `update(NAME=…)`, `{"NAME": …}`.
    pub fn settings_of(&self, key: &str) -> Vec<Expr> {
        let places = (0..self.tokens.len()).filter(|at| is_key(&self.tokens[*at].token, key));
        let value = |at: usize| {
            let mut parser = self.parser(at + 1);
            parser.eat(&["]"]);
            // In quotes it is a dictionary's key, and what follows is its value.
            if matches!(self.tokens[at].token, Token::Word(_)) && parser.peek_mark(":") {
                let annotated = parser.at;
                parser.skip_annotation();
                if parser.at == annotated || !parser.peek_mark("=") {
                    parser.at = annotated;
                }
            }
            parser.eat(&[":", "="]).then(|| parser.expr(0))
        };
        places.filter_map(value).collect()
    }

    /// Lists the first arguments of the calls of this function.
    pub fn first_arguments(&self, function: &str) -> Vec<Expr> {
        self.behind(|token| is_word(token, function), &["("])
    }

    /// Lists the expressions behind these tokens and one of these marks.
    fn behind(&self, is_it: impl Fn(&Token) -> bool, marks: &[&str]) -> Vec<Expr> {
        let value = |at| {
            let mut parser = self.parser(at + 1);
            parser.eat(marks).then(|| parser.expr(0))
        };
        (0..self.tokens.len()).filter(|at| is_it(&self.tokens[*at].token)).filter_map(value).collect()
    }

    /// Lists the arguments of the calls of this name without brackets, as Elixir's `config :app, Repo, key: value`.
    pub fn bare_calls(&self, name: &str) -> Vec<Vec<Argument>> {
        let is_call = |at: &usize| self.tokens[*at].first && is_word(&self.tokens[*at].token, name);
        (0..self.tokens.len()).filter(is_call).map(|at| self.parser(at + 1).bare_arguments()).collect()
    }

    /// Tells whether this word is in the code, comments apart.
    pub fn has_word(&self, name: &str) -> bool {
        self.tokens.iter().any(|placed| is_word(&placed.token, name))
    }

    /// Lists the statements of Python, each with its indentation.
    pub fn statements(&self) -> Vec<(usize, Statement)> {
        let mut found = Vec::new();
        let mut open = 0usize;
        for (at, placed) in self.tokens.iter().enumerate() {
            if placed.first && open == 0 {
                found.extend(self.parser(at).statement().map(|statement| (placed.column, statement)));
            }
            match placed.token {
                Token::Mark("(" | "[" | "{") => open += 1,
                Token::Mark(")" | "]" | "}") => open = open.saturating_sub(1),
                _ => {}
            }
        }
        found
    }

    fn parser(&self, at: usize) -> Parser<'_> {
        Parser::new(&self.tokens, at, self.language, &self.work)
    }
}

fn is_word(token: &Token, name: &str) -> bool {
    matches!(token, Token::Word(word) if word == name)
}

/// Tells whether a token is the name of a setting, as a word or in quotes.
fn is_key(token: &Token, key: &str) -> bool {
    match token {
        Token::Word(word) => word == key,
        Token::Text(pieces) => matches!(pieces.as_slice(), [Piece::Literal(text)] if text == key),
        Token::Number(_) | Token::Mark(_) => false,
    }
}
