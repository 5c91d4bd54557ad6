//! The order of the modules of a crate: each may import only from layers below its own.
//!
//! A module is a noun directly under the crate's root. Its submodules belong to it and may know
//! each other; the root itself only declares.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::imports::imports;
use crate::source;

/// The modules of a crate, layer by layer.
pub type Layers<'a> = &'a [&'a [&'a str]];

/// Compares a crate's sources with its table. Every deviation is one line.
///
/// # Errors
/// When a source cannot be read.
pub fn deviations(src: &Path, crate_name: &str, layers: Layers<'_>) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let rows = rows(layers, &mut found);
    let mut nouns = BTreeSet::new();
    for file in source::files(src, &[".rs"])? {
        let shown = file.display().to_string();
        let module: Vec<&str> = shown.trim_end_matches(".rs").split('/').collect();
        if module == ["lib"] || is_for_tests(src, &module)? {
            continue;
        }
        let text = fs::read_to_string(src.join(&file))?;
        let noun = module[0];
        nouns.insert(noun.to_owned());
        let Some(layer) = rows.get(noun) else {
            continue;
        };
        for import in imports(&text, &module, crate_name) {
            match rows.get(import.as_str()) {
                _ if import == noun => {}
                None => found.push(format!("{shown} names crate::{import}, which has no row")),
                Some(below) if below < layer => {}
                Some(above) => found.push(format!(
                    "{shown} of layer {layer} imports {import} of layer {above}"
                )),
            }
        }
    }
    found.extend(
        nouns
            .iter()
            .filter(|noun| !rows.contains_key(noun.as_str()))
            .map(|noun| format!("module {noun} has no row")),
    );
    found.extend(
        rows.keys()
            .filter(|&&row| !nouns.contains(row))
            .map(|row| format!("row {row} has no module")),
    );
    Ok(found)
}

/// Whether a module, or one that it is in, is declared for unit tests only.
fn is_for_tests(src: &Path, module: &[&str]) -> io::Result<bool> {
    let mut parent = src.join("lib.rs");
    for (depth, name) in module.iter().enumerate() {
        let declared = match fs::read_to_string(&parent) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        if source::declares_for_tests(&declared, name) {
            return Ok(true);
        }
        parent = src.join(module[..=depth].join("/")).with_extension("rs");
    }
    Ok(false)
}

fn rows<'a>(layers: Layers<'a>, found: &mut Vec<String>) -> BTreeMap<&'a str, usize> {
    let mut rows = BTreeMap::new();
    for (layer, modules) in layers.iter().enumerate() {
        for &module in *modules {
            if let Some(before) = rows.insert(module, layer) {
                found.push(format!(
                    "{module} is in layer {before} and in layer {layer}"
                ));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: [(&str, &str); 8] = [
        (
            "lib.rs",
            "mod ground; mod walls; mod roof; #[cfg(test)] mod crane;",
        ),
        ("crane.rs", "use crate::{ground, roof};"),
        (
            "ground.rs",
            "pub struct Stone; #[cfg(test)] mod tests { use crate::roof; }",
        ),
        ("walls.rs", "mod brick; use crate::ground::Stone;"),
        (
            "walls/brick.rs",
            "#[cfg(test)] mod checks; use super::W; use crate::{ground, walls::W};",
        ),
        ("walls/brick/checks.rs", "mod deep; use crate::roof;"),
        ("walls/brick/checks/deep.rs", "use crate::roof;"),
        ("roof.rs", "fn rain() { house::walls::wet() }"),
    ];
    const TABLE: Layers<'static> = &[&["ground"], &["walls"], &["roof"]];

    fn check(changes: &[(&str, &str)], layers: Layers<'_>) -> Vec<String> {
        let tree = tempfile::tempdir().unwrap();
        for (name, text) in SOURCES.iter().chain(changes) {
            let path = tree.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        deviations(tree.path(), "house", layers).unwrap()
    }

    #[test]
    fn a_tree_in_order_has_no_deviation() {
        assert_eq!(check(&[], TABLE), [""; 0]);
    }

    #[test]
    fn an_import_upwards_or_sideways_is_found() {
        let up = [("walls.rs", "mod brick; use crate::roof::Tile;")];
        assert_eq!(
            check(&up, TABLE),
            ["walls.rs of layer 1 imports roof of layer 2"]
        );
        let level: Layers<'_> = &[&["ground"], &["walls", "roof"]];
        assert_eq!(
            check(&[], level),
            ["roof.rs of layer 1 imports walls of layer 1"]
        );
        let climbing = [(
            "walls/brick.rs",
            "#[cfg(test)] mod checks; use super::super::roof;",
        )];
        assert_eq!(
            check(&climbing, TABLE),
            ["walls/brick.rs of layer 1 imports roof of layer 2"]
        );
    }

    #[test]
    fn a_module_without_row_and_a_row_without_module_are_found() {
        let shed = [("shed.rs", "")];
        assert_eq!(check(&shed, TABLE), ["module shed has no row"]);
        let more: Layers<'_> = &[&["ground"], &["walls"], &["roof"], &["moat"]];
        assert_eq!(check(&[], more), ["row moat has no module"]);
        let less: Layers<'_> = &[&["ground"], &["roof"]];
        assert_eq!(
            check(&[], less),
            [
                "roof.rs names crate::walls, which has no row",
                "module walls has no row"
            ]
        );
        let twice: Layers<'_> = &[&["ground"], &["walls"], &["roof", "ground"]];
        assert!(check(&[], twice).contains(&"ground is in layer 0 and in layer 2".to_owned()));
    }

    #[test]
    fn a_path_through_the_root_is_found() {
        let around = [("walls.rs", "use crate::Tile;")];
        assert_eq!(
            check(&around, TABLE),
            ["walls.rs names crate::Tile, which has no row"]
        );
    }
}
