//! The ERB templates in Rails' YAML, without Ruby.

use crate::detect::code::{Expr, Language, Scope, Source, Value};
use crate::detect::path;
use crate::detect::tree::MAX_FILE;

/// The text that a template becomes, and the code in it that could not be evaluated.
pub(super) struct Rendered {
    pub text: String,
    /// The Ruby that was left out, with its line.
    pub unknown: Vec<(usize, String)>,
}

impl Rendered {
    /// Finds code in a part of the text that could not be evaluated.
    pub fn unknown_in(&self, text: &str) -> Option<&str> {
        let number = path::variables(text).find_map(|name| name.strip_prefix("<%="))?;
        Some(self.unknown.get(number.parse::<usize>().ok()?)?.1.as_str())
    }
}

/// Renders a template: `<%= … %>`, assignments, and `if` / `unless` whose condition can be worked out.
pub(super) fn render(template: &str, scope: &mut Scope<'_>) -> Rendered {
    let mut rendered = Rendered { text: String::new(), unknown: Vec::new() };
    let mut branches: Vec<Branch> = Vec::new();
    let mut rest = template;
    let mut line = 1;
    while let Some((before, after)) = rest.split_once("<%").filter(|_| rendered.text.len() <= MAX_FILE) {
        let (code, behind) = after.split_once("%>").unwrap_or((after, ""));
        let shown = is_shown(&branches);
        if shown {
            rendered.text.push_str(before);
        }
        line += before.matches('\n').count();
        // `<%%` is a literal `<%`.
        if let Some(literal) = code.strip_prefix('%') {
            if shown {
                rendered.text.push_str(&format!("<%{literal}%>"));
            }
        } else if let Some(code) = code.strip_prefix('=') {
            if shown {
                let value = scope.value(&expression(code));
                rendered.output(code, value, line);
            }
        } else if !code.starts_with('#') {
            statement(trimmed(code), scope, &mut branches, &mut rendered, line);
        }
        line += code.matches('\n').count();
        // `-%>` eats the end of its line.
        let eats = code.ends_with('-') && behind.starts_with('\n');
        line += usize::from(eats);
        rest = if eats { &behind[1..] } else { behind };
    }
    if is_shown(&branches) {
        rendered.text.push_str(rest);
    }
    rendered
}

/// One `if` that is open.
struct Branch {
    /// Its current branch is shown.
    shown: bool,
    /// One of its branches was shown, or none can be, since the block around it is not shown.
    done: bool,
}

fn is_shown(branches: &[Branch]) -> bool {
    branches.last().is_none_or(|branch| branch.shown)
}

impl Rendered {
    fn output(&mut self, code: &str, value: Value, line: usize) {
        match value {
            Value::Nothing => {}
            Value::Flag(flag) => self.text.push_str(if flag { "true" } else { "false" }),
            value => match value.text() {
                Some(text) => self.text.push_str(&text),
                None => {
                    // Its number stands for it, as a variable that no environment has: the code itself could be
                    // anything to YAML.
                    self.text.push_str(&path::variable(&format!("<%={}", self.unknown.len())));
                    self.unknown.push((line, trimmed(code).to_owned()));
                }
            },
        }
    }
}

fn statement(
    code: &str,
    scope: &mut Scope<'_>,
    branches: &mut Vec<Branch>,
    rendered: &mut Rendered,
    line: usize,
) {
    let (word, rest) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
    let mut holds = |rest: &str| {
        scope.holds(&expression(rest)).unwrap_or_else(|| {
            rendered.unknown.push((line, code.to_owned()));
            false
        })
    };
    let outer = is_shown(branches);
    match word {
        "if" | "unless" => {
            let shown = outer && holds(rest) == (word == "if");
            branches.push(Branch { shown, done: shown || !outer });
        }
        "elsif" => {
            if let Some(branch) = branches.last_mut() {
                branch.shown = !branch.done && holds(rest);
                branch.done |= branch.shown;
            }
        }
        "else" => {
            if let Some(branch) = branches.last_mut() {
                branch.shown = !branch.done;
                branch.done = true;
            }
        }
        "end" | "}" => {
            branches.pop();
        }
        _ if code.ends_with(" do") || code.ends_with('|') => {
            // A loop: how often is not known, so its text is left out.
            rendered.unknown.push((line, code.to_owned()));
            branches.push(Branch { shown: false, done: true });
        }
        _ if outer => scope.run(&Source::new(code, Language::Ruby)),
        _ => {}
    }
}

fn expression(code: &str) -> Expr {
    Source::new(trimmed(code), Language::Ruby).expression()
}

fn trimmed(code: &str) -> &str {
    code.trim_end_matches('-').trim_start_matches(['-', '=']).trim()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn rendered(template: &str) -> (String, Vec<(usize, String)>) {
        let env = |name: &str| (name == "SET").then(|| "value".to_owned());
        let mut scope = Scope::new("config/database.yml", &env);
        scope.set("Rails.env", Value::Text("production".into()));
        let rendered = render(template, &mut scope);
        (path::shown(&rendered.text), rendered.unknown)
    }

    #[test]
    fn what_can_be_worked_out_is() {
        for (template, expected) in [
            ("a: <%= ENV[\"SET\"] %>", "a: value"),
            ("a: <%= ENV.fetch('NONE') { 5 } %>", "a: 5"),
            ("a: <%= ENV.fetch(\"NONE\", \"x\") -%>\nb", "a: xb"),
            ("a: <%= ENV['NONE'] || 5 %>", "a: 5"),
            ("a: <%= ENV['NONE'].presence || ENV['SET'] %>", "a: value"),
            ("a: <%= ENV['NONE'] %>", "a: ${NONE}"),
            ("a: <%= ENV.fetch(\"NONE\") %>", "a: ${NONE}"),
            ("a: <%= Rails.root.join('storage', 'x.db') %>", "a: storage/x.db"),
            ("a: <%= Rails.root %>/x.db", "a: ./x.db"),
            ("a: <%= \"storage/#{Rails.env}-#{ENV['SET']}.db\" %>", "a: storage/production-value.db"),
            ("a: <%= File.join(ENV.fetch('NONE', 'storage'), 'x.db') %>", "a: storage/x.db"),
            ("a: <%= Rails.env.production? ? 1 : 2 %>", "a: 1"),
            ("a: <%= ENV['SET'] == 'value' ? 'yes' : 'no' %>", "a: yes"),
            ("<% path = ENV.fetch('NONE', 'y') %>a: <%= path %>", "a: y"),
            ("<% if ENV['NONE'] %>a<% elsif ENV['SET'] %>b<% else %>c<% end %>d", "bd"),
            ("<% unless Rails.env.production? %>a<% end %><%# said %>d", "d"),
            ("a <%% b %>", "a <% b %>"),
        ] {
            assert_eq!(rendered(template), (expected.to_owned(), vec![]), "{template}");
        }
    }

    #[test]
    fn what_cannot_is_said() {
        let (text, unknown) = rendered("a: 1\nb: <%= Rails.application.credentials.path %>\n");
        assert!(text.starts_with("a: 1\nb: ${<%=0}"), "{text}");
        assert_eq!(unknown, [(2, "Rails.application.credentials.path".to_owned())]);
        let (text, unknown) = rendered("<% 3.times do |i| %>x<% end %>y<% if Thing.on? %>z<% end %>");
        assert_eq!(text, "y");
        assert_eq!(unknown.len(), 2);
    }
}
