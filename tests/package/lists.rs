//! What the two kinds of packages consist of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use toml::{Table, Value};

/// What only Debian's has, and only the other.
const DEBIANS_OWN: &[&str] = &["packaging/debian/changelog", "packaging/debian/copyright"];
const RPMS_OWN: &[&str] = &["LICENSE"];
/// What distributions have in different places.
const ELSEWHERE: (&str, &str) = ("/usr/share/zsh/vendor-completions/", "/usr/share/zsh/site-functions/");

/// A file, where it goes, and with what mode.
type Asset = (String, String, String);

#[test]
fn both_kinds_of_packages_have_the_same_files() {
    let metadata = metadata();
    let debian = of_debian(&metadata).into_iter().filter(|(source, ..)| !DEBIANS_OWN.contains(&&**source));
    let debian = debian.map(|(source, place, mode)| (source, place.replace(ELSEWHERE.0, ELSEWHERE.1), mode));
    let rpm = of_rpm(&metadata).into_iter().filter(|(source, ..)| !RPMS_OWN.contains(&&**source));
    let (debian, rpm): (BTreeSet<_>, BTreeSet<_>) = (debian.collect(), rpm.collect());
    assert!(debian.len() > 20, "{debian:?}");
    assert_eq!(debian, rpm);
}

#[test]
fn an_upgrade_by_rpm_keeps_the_configuration() {
    let metadata = metadata();
    let in_etc = |asset: &&Value| text(asset, "dest").starts_with("/etc/");
    let kept: Vec<_> =
        assets(&metadata, "generate-rpm").iter().filter(in_etc).map(|asset| text(asset, "config")).collect();
    assert_eq!(kept, ["noreplace", "noreplace"]);
}

fn metadata() -> Table {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").join("broker/Cargo.toml");
    let manifest: Table = fs::read_to_string(manifest).expect("a manifest").parse().expect("TOML");
    manifest["package"]["metadata"].as_table().expect("a table").clone()
}

fn assets<'a>(metadata: &'a Table, tool: &str) -> &'a [Value] {
    metadata[tool]["assets"].as_array().expect("a list")
}

fn text(asset: &Value, name: &str) -> String {
    asset.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Its paths start from the broker's folder, those of the other from the workspace's.
fn of_debian(metadata: &Table) -> Vec<Asset> {
    let of = |asset: &Value| {
        let [source, place, mode] = [0, 1, 2].map(|at| asset[at].as_str().expect("a text"));
        (source.trim_start_matches("../").to_owned(), format!("/{place}"), mode.to_owned())
    };
    assets(metadata, "deb").iter().map(of).collect()
}

fn of_rpm(metadata: &Table) -> Vec<Asset> {
    let of = |asset: &Value| (text(asset, "source"), text(asset, "dest"), text(asset, "mode"));
    assets(metadata, "generate-rpm").iter().map(of).collect()
}
