//! What the README and the pages in `docs/` say, as tests read it.

use std::fs;
use std::path::{Path, PathBuf};

/// A page and where it lies, from the top of the repository.
pub struct Page {
    /// `README.md`, `docs/check.md`, …
    pub name: String,
    /// What it says.
    pub text: String,
}

/// The top of the repository.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One page by its name.
#[track_caller]
pub fn page(name: &str) -> Page {
    let text = fs::read_to_string(top().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Page { name: name.to_owned(), text }
}

/// The README and every page of `docs/`.
pub fn pages() -> Vec<Page> {
    let entries = fs::read_dir(top().join("docs")).expect("it is there").flatten();
    let names = entries.map(|entry| entry.file_name().into_string().expect("UTF-8"));
    let mut names: Vec<_> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    names.push("README.md".into());
    names.sort_unstable();
    names.iter().map(|name| page(name)).collect()
}

/// All that the README and `docs/` say.
pub fn everything() -> String {
    pages().into_iter().map(|page| page.text + "\n").collect()
}

/// A block between two lines of three backticks.
pub struct Fence<'a> {
    /// The number of its first line.
    pub line: usize,
    /// The word behind the backticks: `yaml`, `sh`; nothing if there is none.
    pub kind: &'a str,
    /// What is in it.
    pub text: String,
}

impl Page {
    /// All blocks, in order; and the rest of the text with its lines' numbers.
    pub fn split(&self) -> (Vec<Fence<'_>>, Vec<(usize, &str)>) {
        let (mut fences, mut prose): (Vec<Fence>, Vec<_>) = (Vec::new(), Vec::new());
        let mut open = false;
        for (at, line) in self.text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open) {
                (Some(_), true) => open = false,
                (Some(kind), false) => {
                    open = true;
                    fences.push(Fence { line: at + 1, kind: kind.trim(), text: String::new() });
                }
                (None, true) => {
                    if let Some(fence) = fences.last_mut() {
                        fence.text += line;
                        fence.text += "\n";
                    }
                }
                (None, false) => prose.push((at + 1, line)),
            }
        }
        assert!(!open, "{}: a block has no end", self.name);
        (fences, prose)
    }

    /// The links of the prose to other pages and headings: line and target.
    pub fn links(&self) -> Vec<(usize, String)> {
        let (_, prose) = self.split();
        let of = |(at, line): (usize, &str)| -> Vec<(usize, String)> {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            targets.map(|(target, _)| (at, target.to_owned())).collect()
        };
        prose.into_iter().flat_map(of).filter(|(_, target)| !target.contains("://")).collect()
    }

    /// What GitHub calls the headings in an address.
    pub fn anchors(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for (_, line) in self.split().1 {
            let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
            let Some(title) = line[hashes..].strip_prefix(' ').filter(|_| hashes > 0) else { continue };
            let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            let slug: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
            let twins = found.iter().filter(|other| other.as_str() == slug).count();
            found.push(if twins == 0 { slug } else { format!("{slug}-{twins}") });
        }
        found
    }

    /// The folder that its links begin at.
    pub fn folder(&self) -> PathBuf {
        top().join(&self.name).parent().expect("a file").to_path_buf()
    }
}
