//! The README is a front page, and every page is found from it.

use crate::support::docs::{page, pages, top};

#[test]
fn the_readme_is_a_front_page() {
    let lines = page("README.md").text.lines().count();
    assert!(lines <= 200, "the README has {lines} lines: the rest belongs in docs/");
}

#[test]
fn every_page_is_in_the_index() {
    let index = page("docs/README.md").links();
    for page in pages() {
        let Some(name) = page.name.strip_prefix("docs/").filter(|name| *name != "README.md") else {
            continue;
        };
        assert!(index.iter().any(|(_, target)| target == name), "docs/README.md does not name {name}");
    }
    let readme = page("README.md").links();
    assert!(
        readme.iter().any(|(_, target)| target == "docs/README.md"),
        "the README does not name the index"
    );
}

#[test]
fn every_link_leads_to_something() {
    let more = ["ARCHITECTURE.md", "CHANGELOG.md", "fuzz/README.md"].map(page);
    let mut dead = Vec::new();
    let mut links = 0;
    for from in pages().into_iter().chain(more) {
        for (line, target) in from.links() {
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let to = if path.is_empty() { top().join(&from.name) } else { from.folder().join(path) };
            let found = match to.canonicalize() {
                Ok(to) if anchor.is_empty() => to.starts_with(top().canonicalize().expect("it is here")),
                Ok(to) => to.strip_prefix(top().canonicalize().expect("it is here")).is_ok_and(|name| {
                    page(&name.to_string_lossy()).anchors().iter().any(|one| one == anchor)
                }),
                Err(_) => false,
            };
            if !found {
                dead.push(format!("{}:{line}: {target}", from.name));
            }
        }
    }
    assert!(dead.is_empty(), "links to nothing: {dead:#?}");
    assert!(links > 50, "{links} links only: are they still found?");
}
