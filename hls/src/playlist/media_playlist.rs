//! The media playlist: full, as an update, and ended.

use super::Seconds;
use super::date::Date;
use crate::learn::Rules;
use crate::window::{Segment, Window};
use std::fmt::Write;

/// How much of the window a playlist lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    Full,
    /// A playlist delta update (RFC 8216bis §6.2.5.1).
    Delta,
}

/// CAN-SKIP-UNTIL in target durations: the least that is allowed.
const SKIP_UNTIL_TARGETS: i64 = 6;

/// Parts are listed this many target durations back from the end (§4.4.4.9), and for this many segments with the open
/// one: some readers take the one for the other.
const PARTS_LISTED_TARGETS: usize = 3;

/// The playlist of `window`, or `None` where the scope is [`Scope::Delta`] and nothing can be skipped.
pub(crate) fn media_playlist(window: &Window, rules: &Rules, ended: bool, scope: Scope) -> Option<String> {
    let target = i64::from(rules.target_duration) * 1_000_000;
    let skipped = match scope {
        Scope::Full => 0,
        Scope::Delta => skippable(window, SKIP_UNTIL_TARGETS * target),
    };
    if scope == Scope::Delta && (skipped == 0 || ended) {
        return None;
    }
    let mut text = String::with_capacity(4096);
    let out = &mut text;
    header(out, window, rules, ended);
    if skipped > 0 {
        line(out, format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
    }
    let total: i64 = window.listed_and_open().map(Segment::duration).sum();
    let last = window.listed().len();
    let mut start = 0;
    let mut init = None;
    let inits_differ = window.listed_and_open().any(|segment| Some(segment.init) != first_init(window));
    for (index, segment) in window.listed_and_open().enumerate() {
        let duration = segment.duration();
        // An update states the map in force where maps change at all: how to merge them is not specified.
        let is_shown = index >= skipped && !segment.parts.is_empty();
        if is_shown {
            if segment.discontinuity {
                line(out, format_args!("#EXT-X-DISCONTINUITY"));
            }
            let known = if skipped > 0 && !inits_differ { first_init(window) } else { init };
            if known != Some(segment.init) {
                let (token, number) = (segment.init.token, segment.init.number);
                line(out, format_args!("#EXT-X-MAP:URI=\"{token}/init-{number}.mp4\""));
            }
            init = Some(segment.init);
            line(out, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", Date(segment.date)));
            let is_recent = total - start <= PARTS_LISTED_TARGETS as i64 * target;
            if !ended && is_recent && index + PARTS_LISTED_TARGETS > last {
                parts(out, segment);
            }
            let is_complete = window.open.as_ref().is_none_or(|open| open.msn != segment.msn);
            if is_complete {
                if segment.is_gap() {
                    line(out, format_args!("#EXT-X-GAP"));
                }
                line(out, format_args!("#EXTINF:{},", Seconds(duration)));
                line(out, format_args!("{}/s{}.m4s", segment.token, segment.msn));
            }
        }
        start += duration;
    }
    if ended {
        line(out, format_args!("#EXT-X-ENDLIST"));
    } else {
        let (token, number) = (window.token, window.next_part);
        line(out, format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{token}/p{number}.m4s\""));
    }
    Some(text)
}

fn header(out: &mut String, window: &Window, rules: &Rules, ended: bool) {
    let target = rules.target_duration;
    line(out, format_args!("#EXTM3U"));
    // 9: EXT-X-SKIP (§8).
    line(out, format_args!("#EXT-X-VERSION:9"));
    if window.listed_and_open().all(|segment| segment.parts.is_empty() || segment.is_independent()) {
        line(out, format_args!("#EXT-X-INDEPENDENT-SEGMENTS"));
    }
    line(out, format_args!("#EXT-X-TARGETDURATION:{target}"));
    if !ended {
        let hold_back = Seconds(3 * rules.part_target);
        let skip = i64::from(target) * SKIP_UNTIL_TARGETS;
        line(
            out,
            format_args!(
                "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_back},CAN-SKIP-UNTIL={skip}.0"
            ),
        );
        line(out, format_args!("#EXT-X-PART-INF:PART-TARGET={}", Seconds(rules.part_target)));
    }
    let first = window.listed_and_open().next().map_or(window.open_msn, |segment| segment.msn);
    line(out, format_args!("#EXT-X-MEDIA-SEQUENCE:{first}"));
    line(out, format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{}", window.discontinuity_sequence));
}

fn parts(out: &mut String, segment: &Segment) {
    for (number, part) in (segment.first_part..).zip(&segment.parts) {
        let duration = Seconds(part.duration);
        let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
        let gap = if part.bytes.is_none() { ",GAP=YES" } else { "" };
        let token = segment.token;
        line(
            out,
            format_args!("#EXT-X-PART:DURATION={duration},URI=\"{token}/p{number}.m4s\"{independent}{gap}"),
        );
    }
}

fn first_init(window: &Window) -> Option<crate::window::InitId> {
    window.listed_and_open().next().map(|segment| segment.init)
}

/// How many segments end more than `boundary` microseconds before the last complete one does (§4.4.5.2).
fn skippable(window: &Window, boundary: i64) -> usize {
    let mut after: i64 = window.listed().map(Segment::duration).sum();
    let is_old = |segment: &&Segment| {
        after -= segment.duration();
        after > boundary
    };
    window.listed().take_while(is_old).count()
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}
