//! Random policies.

use super::tree::{DIRS, NAMES};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::path::{Path, PathBuf};

const ACTIONS: &[&str] = &["open", "read", "write", "create", "delete", "stat", "chmod", "chown", "move", "set_x_attr"];

/// Some policies over what is below `root`. Many permit a good deal, so that operations come to something.
pub(crate) fn random(random: &mut StdRng, root: PathBuf) -> String {
    let mut text = String::new();
    if random.random_bool(0.7) {
        text += &format!("permit(principal, action == {}, resource in {});\n", action("open"), dir(&root));
    }
    if random.random_bool(0.5) {
        text += &format!("permit(principal, action, resource in {});\n", dir(&root));
    }
    for _ in 0..random.random_range(1..6) {
        let effect = one(random, &["permit", "permit", "forbid"]);
        text += &format!("{effect}({}){};\n", scope(random, &root), clauses(random, &root));
    }
    text
}

fn one(random: &mut StdRng, from: &[&'static str]) -> &'static str {
    from.choose(random).copied().unwrap_or_default()
}

fn action(name: &str) -> String {
    format!("file_system::Action::{name:?}")
}

fn dir(path: &Path) -> String {
    format!("file_system::Dir::{path:?}")
}

fn random_dir(random: &mut StdRng, root: &Path) -> PathBuf {
    match one(random, DIRS) {
        "" => root.to_owned(),
        name => root.join(name),
    }
}

fn random_object(random: &mut StdRng, root: &Path) -> String {
    let path = random_dir(random, root);
    match random.random_range(0..3) {
        0 => dir(&path),
        1 => dir(&path.join(one(random, NAMES))),
        _ => format!("file_system::File::{:?}", path.join(one(random, NAMES))),
    }
}

fn scope(random: &mut StdRng, root: &Path) -> String {
    let principal = one(random, &["principal", "principal", "principal is User", "principal == User::\"nobody\""]);
    let actions = match random.random_range(0..5) {
        0 => "action".to_owned(),
        1 => format!("action in {}", action("SafeIO")),
        2 => format!("action == {}", action(one(random, ACTIONS))),
        _ => format!("action in [{}, {}]", action(one(random, ACTIONS)), action(one(random, ACTIONS))),
    };
    let resource = match random.random_range(0..6) {
        0 => "resource".to_owned(),
        1 => format!("resource == {}", random_object(random, root)),
        2 => format!("resource is file_system::{}", one(random, &["Dir", "File"])),
        3 => format!("resource is file_system::File in {}", dir(&random_dir(random, root))),
        _ => format!("resource in {}", dir(&random_dir(random, root))),
    };
    format!("{principal}, {actions}, {resource}")
}

fn clauses(random: &mut StdRng, root: &Path) -> String {
    let mut text = String::new();
    while random.random_bool(0.4) {
        let kind = one(random, &["when", "unless"]);
        let (one, other) = (condition(random, root), condition(random, root));
        text += &match random.random_range(0..4) {
            0 => format!(" {kind} {{ ({one}) && ({other}) }}"),
            1 => format!(" {kind} {{ ({one}) || ({other}) }}"),
            _ => format!(" {kind} {{ {one} }}"),
        };
    }
    text
}

fn condition(random: &mut StdRng, root: &Path) -> String {
    match random.random_range(0..9) {
        0 => format!("resource.path like \"*/{}\"", one(random, NAMES)),
        1 => format!("resource.path like \"{}/{}*\"", root.display(), one(random, DIRS)),
        2 => format!("resource in {}", dir(&random_dir(random, root))),
        3 => format!("resource == {}", random_object(random, root)),
        4 => format!("[{}].contains(resource)", random_object(random, root)),
        5 if random.random_bool(0.3) => format!("resource has size && resource.size > {}", random.random_range(0..80)),
        6 if random.random_bool(0.3) => {
            one(random, &["resource.mode == 420", "resource has owner && resource.owner == \"root\""]).to_owned()
        }
        7 => format!("context has destination && context.destination.name == {:?}", one(random, NAMES)),
        // Not all of these can be evaluated.
        _ => one(random, &["resource.nosuch == 1", "context.xattr.name == \"user.x\"", "principal.uid > 5", "true"])
            .to_owned(),
    }
}
