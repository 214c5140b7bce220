//! The house keeps its layers: arrows only downwards, and each outside library only where it belongs.
//!
//! Asks `cargo tree`, so it sees what is really linked, features included.

use std::collections::BTreeSet;
use std::process::Command;

/// Our crates with the layer each is in.
const LAYERS: [(&str, u8); 13] = [
    ("media", 1),
    ("config", 1),
    ("hls", 2),
    ("rtmp", 2),
    ("rtmp-fuzz", 4),
    ("claims", 2),
    ("api", 2),
    ("ipc", 2),
    ("cdp", 2),
    ("relay", 3),
    ("sluice-recorder", 3),
    ("worker", 3),
    ("e2e", 4),
];

/// The crates that a crate links, itself left out.
fn dependencies(of: &str, depth: Option<u8>) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "tree",
        "--locked",
        "--offline",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--all-features",
    ]);
    cargo.args(["--package", of, "--format", "{p}"]);
    if let Some(depth) = depth {
        cargo.arg("--depth").arg(depth.to_string());
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != of).map(str::to_owned).collect()
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

#[test]
fn every_crate_of_the_house_has_a_layer() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("cargo prints JSON");
    for package in metadata["packages"].as_array().expect("a list") {
        let name = package["name"].as_str().expect("a name");
        assert!(layer(name).is_some(), "{name} has no layer: give it one here and in ARCHITECTURE.md");
    }
}

#[test]
fn arrows_point_only_downwards() {
    for (name, mine) in LAYERS {
        for dependency in dependencies(name, Some(1)) {
            if let Some(theirs) = layer(&dependency) {
                assert!(theirs < mine, "{name} (layer {mine}) may not use {dependency} (layer {theirs})");
            }
        }
    }
}

#[test]
fn gstreamer_is_linked_by_the_worker_alone() {
    for (name, _) in LAYERS.iter().filter(|(name, _)| *name != "worker") {
        let found = dependencies(name, None).into_iter().find(|it| it.starts_with("gstreamer"));
        assert_eq!(found, None, "{name} links GStreamer");
    }
}

#[test]
fn rml_rtmp_is_named_by_the_rtmp_crate_alone() {
    for (name, _) in LAYERS.iter().filter(|(name, _)| *name != "rtmp") {
        assert!(!dependencies(name, Some(1)).contains("rml_rtmp"), "{name} names rml_rtmp");
    }
}

#[test]
fn hls_needs_nothing_of_ours_but_media() {
    let ours: Vec<_> = dependencies("hls", None).into_iter().filter(|name| layer(name).is_some()).collect();
    assert_eq!(ours, ["media"]);
}

#[test]
fn values_need_nothing_of_ours() {
    for (name, _) in LAYERS.iter().filter(|(_, layer)| *layer == 1) {
        let ours: Vec<_> = dependencies(name, None).into_iter().filter(|it| layer(it).is_some()).collect();
        assert_eq!(ours, Vec::<String>::new(), "{name}");
    }
}
