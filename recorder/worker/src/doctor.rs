//! What a worker needs on its machine, and whether it is there.

use crate::ending::Ending;
use gstreamer as gst;
use ipc::{CallKind, EndReason};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// A program in `PATH`, or a GStreamer element.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Element(&'static str),
    Program(&'static str),
}

/// One thing, and the Debian package that has it.
struct Need {
    name: Name,
    package: &'static str,
    /// Whether only [`CallKind::Web`] needs it.
    web_only: bool,
}

#[derive(Serialize)]
struct Finding {
    #[serde(flatten)]
    name: Name,
    package: &'static str,
    present: bool,
}

const fn always(name: Name, package: &'static str) -> Need {
    Need { name, package, web_only: false }
}

const fn web(name: Name, package: &'static str) -> Need {
    Need { name, package, web_only: true }
}

const NEEDS: &[Need] = &[
    web(Name::Program("chromium"), "chromium"),
    web(Name::Program("Xvfb"), "xvfb"),
    web(Name::Program("pulseaudio"), "pulseaudio"),
    web(Name::Program("setpriv"), "util-linux"),
    web(Name::Element("ximagesrc"), "gstreamer1.0-plugins-good"),
    web(Name::Element("pulsesrc"), "gstreamer1.0-plugins-good"),
    always(Name::Element("videotestsrc"), "gstreamer1.0-plugins-base"),
    always(Name::Element("audiotestsrc"), "gstreamer1.0-plugins-base"),
    always(Name::Element("videorate"), "gstreamer1.0-plugins-base"),
    always(Name::Element("videoconvert"), "gstreamer1.0-plugins-base"),
    always(Name::Element("audioconvert"), "gstreamer1.0-plugins-base"),
    always(Name::Element("audioresample"), "gstreamer1.0-plugins-base"),
    always(Name::Element("audiorate"), "gstreamer1.0-plugins-base"),
    always(Name::Element("appsink"), "gstreamer1.0-plugins-base"),
    always(Name::Element("queue"), "libgstreamer1.0-0"),
    always(Name::Element("capsfilter"), "libgstreamer1.0-0"),
    always(Name::Element("x264enc"), "gstreamer1.0-plugins-ugly"),
    always(Name::Element("avenc_aac"), "gstreamer1.0-libav"),
    always(Name::Element("h264parse"), "gstreamer1.0-plugins-bad"),
    always(Name::Element("aacparse"), "gstreamer1.0-plugins-good"),
];

/// Fails if something is missing that this kind of call needs.
pub(crate) fn check(kind: CallKind) -> Result<(), Ending> {
    gst::init().map_err(|error| Ending::new(EndReason::Missing, format!("GStreamer: {error}")))?;
    let needed = NEEDS.iter().filter(|need| kind == CallKind::Web || !need.web_only);
    let missing: Vec<_> = needed
        .filter(|need| !is_present(need.name))
        .map(|need| format!("{} (Debian package {})", text(need.name), need.package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Ending::new(EndReason::Missing, format!("missing: {}", missing.join(", "))))
}

/// Writes what was found to standard output: a table, or one JSON object per line. Fails if something is missing.
pub(crate) fn report(json: bool) -> ExitCode {
    let elements_work = gst::init().is_ok();
    let mut all_present = elements_work;
    let mut out = std::io::stdout().lock();
    for Need { name, package, .. } in NEEDS {
        let present = is_present(*name) && (elements_work || matches!(name, Name::Program(_)));
        all_present &= present;
        let line = if json {
            serde_json::to_string(&Finding { name: *name, package, present }).unwrap_or_default()
        } else {
            format!("{:8} {:28} {package}", if present { "ok" } else { "MISSING" }, text(*name))
        };
        if writeln!(out, "{line}").is_err() {
            break; // nobody reads on
        }
    }
    if all_present { ExitCode::SUCCESS } else { EndReason::Missing.exit_code().into() }
}

fn text(name: Name) -> String {
    match name {
        Name::Element(element) => format!("element {element}"),
        Name::Program(program) => format!("program {program}"),
    }
}

fn is_present(name: Name) -> bool {
    match name {
        Name::Element(element) => gst::ElementFactory::find(element).is_some(),
        Name::Program(program) => in_path(program),
    }
}

/// Whether a program of this name is in `PATH`.
pub(crate) fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_executable(&folder.join(program)))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
