//! What is allowed.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;

/// The file beside this one, for people and for this program.
const FILE: &str = "tests/benches/counts/bounds.toml";
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts/bounds.toml");
/// From which part of its bound on something is so cheap that the bound no longer says anything.
const LOOSE: f64 = 0.8;
/// What this was built as, which goes for the programs beside it.
const PROFILE: &str = if cfg!(debug_assertions) { "dev" } else { "release" };

/// Bounds in instructions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bounds {
    /// How much more than written is let pass: what compilers differ by.
    margin: f64,
    dev: BTreeMap<String, u64>,
    release: BTreeMap<String, u64>,
}

impl Bounds {
    /// Those that are written.
    pub(crate) fn read() -> Self {
        toml::from_str(include_str!("bounds.toml")).expect("a file of this bench")
    }

    /// Whether something keeps to its bound; prints both.
    pub(crate) fn holds(&self, name: &str, count: u64) -> bool {
        if std::env::var_os("REX_BLESS").is_some() {
            write(name, count);
        }
        let bounds = if PROFILE == "dev" { &self.dev } else { &self.release };
        let Some(bound) = bounds.get(name) else {
            println!("{name}: {count} instructions, and no bound: write one in {FILE}");
            return false;
        };
        let part = count as f64 / *bound as f64;
        println!("{name}: {count} instructions, {part:.3} of the {bound} that are written");
        if part > 1.0 + self.margin {
            println!(
                "  Too many. See where they go, before and after the change: `REX_COUNTS_PROFILES=FOLDER` keeps profiles, which \
                 `callgrind_annotate --inclusive=yes` shows. If they are worth it, raise the bound in {FILE}, and say why in the commit."
            );
            return false;
        }
        if part < LOOSE {
            println!("  Far fewer than written: lower the bound in {FILE}, so that it goes on saying something.");
        }
        true
    }
}

/// Writes a count in the place of the bound.
fn write(name: &str, count: u64) {
    let text = fs::read_to_string(PATH).expect("a file of this bench");
    let (section, key) = (format!("[{PROFILE}]"), format!("\"{name}\" = "));
    let mut within = false;
    let lines = text.lines().map(|line| {
        if line.starts_with('[') {
            within = line == section;
        }
        if within && line.starts_with(&key) { format!("{key}{count}\n") } else { format!("{line}\n") }
    });
    fs::write(PATH, lines.collect::<String>()).expect("a file of this bench");
}
