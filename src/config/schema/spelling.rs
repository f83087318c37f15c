//! Keys in snake_case, as other tools write them, in Litestream's kebab-case.
//!
//! Only keys that are known are respelled, so that what is passed through is passed through as it is
//! written. In a replica every key is: all that Litestream will ever read there is kebab-case.

use super::table::{Section, Type};
use crate::config::error::Problem;
use crate::yaml::{Node, NodeKind};

/// Respells the keys of `node`, a `section`, and of all below it; other kinds of values are left alone.
///
/// A key that is there in both spellings is added to `found`.
pub(in crate::config) fn normalise(node: &mut Node, section: Section, found: &mut Vec<(usize, Problem)>) {
    rename(node, &|kebab| section == Section::Replica || section.key(kebab).is_some(), found);
    let NodeKind::Mapping(entries) = &mut node.kind else { return };
    for (key, value) in entries {
        match section.key(key.key()).map(|key| key.kind) {
            Some(Type::Mapping(inner)) => normalise(value, inner, found),
            Some(Type::Mappings(inner)) => {
                if let NodeKind::Sequence(items) = &mut value.kind {
                    items.iter_mut().for_each(|item| normalise(item, inner, found));
                }
            }
            // Its other keys are read elsewhere.
            Some(Type::Litekeeper) => normalise_own(value, found),
            Some(
                Type::Text | Type::Bool | Type::Int | Type::Duration | Type::Size | Type::Octal | Type::Texts,
            )
            | None => {}
        }
    }
}

fn normalise_own(node: &mut Node, found: &mut Vec<(usize, Problem)>) {
    // Whoever reads the whole section complains of two spellings.
    rename(node, &|kebab| kebab == "path-prefix", &mut Vec::new());
    let NodeKind::Mapping(entries) = &mut node.kind else { return };
    let templates = entries.iter_mut().filter(|(key, _)| key.key() == "replicas");
    for (_, templates) in templates {
        if let NodeKind::Mapping(templates) = &mut templates.kind {
            templates.iter_mut().for_each(|(_, template)| normalise(template, Section::Replica, found));
        }
    }
}

fn rename(node: &mut Node, is_known: &dyn Fn(&str) -> bool, found: &mut Vec<(usize, Problem)>) {
    let NodeKind::Mapping(entries) = &mut node.kind else { return };
    let mut index = 0;
    while let Some((key, _)) = entries.get(index) {
        let kebab = key.key().replace('_', "-");
        if kebab == key.key() || !is_known(&kebab) {
            index += 1;
            continue;
        }
        match entries.iter().position(|(other, _)| other.key() == kebab) {
            Some(other) => {
                let (first, second) = (other.min(index), other.max(index));
                let (first, second) = (&entries[first].0, &entries[second].0);
                let problem = Problem::BothSpellings {
                    key: second.key().to_owned(),
                    other: first.key().to_owned(),
                    line: first.line,
                };
                found.push((second.line, problem));
                entries.remove(index);
            }
            None => {
                if let NodeKind::Scalar(scalar) = &mut entries[index].0.kind {
                    scalar.text = kebab;
                }
                index += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{emit, parse};

    fn normalised(text: &str) -> (String, Vec<String>) {
        let mut root = parse(text).expect("valid YAML");
        let mut found = Vec::new();
        normalise(&mut root, Section::Top, &mut found);
        (emit(&root).text, found.iter().map(|(line, problem)| format!("{line}: {problem}")).collect())
    }

    #[test]
    fn known_keys_are_respelled_and_others_are_not() {
        let (text, found) = normalised(concat!(
            "access_key_id: a\nno_such_key: a\n\"l0_retention\": 5m\nlitekeeper:\n  path_prefix: p\n  app: {env: {MY_KEY: v}}\n",
            "  aliases: {my_db: a_b}\n  replicas: {my_s3: {force_path_style: yes, new_key: 1}}\n",
            "dbs:\n- path: a_b\n  meta_path: m\n  own_key: x\n  snapshot: {interval: 1h, my_key: x}\n",
            "  replicas: [{secret_access_key: x_y, brand_new: {in_side: 1}}]\n",
        ));
        assert_eq!(found, [""; 0]);
        insta::assert_snapshot!(text, @r#"
        access-key-id: a
        no_such_key: a
        "l0-retention": 5m
        litekeeper:
          path-prefix: p
          app:
            env:
              MY_KEY: v
          aliases:
            my_db: a_b
          replicas:
            my_s3:
              force-path-style: yes
              new-key: 1
        dbs:
          - path: a_b
            meta-path: m
            own_key: x
            snapshot:
              interval: 1h
              my_key: x
            replicas:
              - secret-access-key: x_y
                brand-new:
                  in_side: 1
        "#);
    }

    #[test]
    fn both_spellings_at_once_are_an_error() {
        let (text, found) = normalised(concat!(
            "sync_interval: 1s\naddr: x\nsync-interval: 2s\n",
            "dbs:\n- replica:\n    path: a\n    part-size: 1\n    part_size: 2\n",
        ));
        assert_eq!(
            found,
            [
                "3: `sync-interval` is the same setting as `sync_interval` on line 1",
                "8: `part_size` is the same setting as `part-size` on line 7",
            ]
        );
        assert!(!text.contains('_'), "{text}");
    }
}
