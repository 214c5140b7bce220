//! Looks whether the pages have been bundled, and says what to do if not.

use std::path::Path;

#[allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() {
    println!("cargo::rerun-if-changed=web/dist");
    if !Path::new("web/dist/preview.html").exists() {
        println!(
            "cargo::warning=the pages are not bundled, so this relay will serve none; run `make web` first"
        );
    }
}
