//! Tables for people: plain columns, as wide as they need to be.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::{SignedDuration, Timestamp};

/// Rows under a head; a sentence if there are none.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    none: &str,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head);
    let mut is_empty = true;
    for row in rows {
        is_empty = false;
        table.add_row(row.map(|cell| printable(&cell)));
    }
    if is_empty { none.to_owned() } else { table.trim_fmt() }
}

/// Names and values, one below the other; values that are not there are left out.
pub(super) fn card<const N: usize>(rows: [(&str, Option<String>); N]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines = rows.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let lines: Vec<_> = lines.map(|(name, value)| format!("{name:width$}  {}", printable(&value))).collect();
    lines.join("\n")
}

/// How long ago, in the two largest units.
pub(super) fn age(since: Timestamp) -> String {
    span(crate::clock::wall().duration_since(since))
}

/// A length of time, in its two largest units.
pub(super) fn span(length: SignedDuration) -> String {
    let seconds = length.max(SignedDuration::ZERO).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

/// The same of milliseconds; below ten seconds with a decimal, such as `0.3s`.
pub(super) fn span_ms(millis: u64) -> String {
    if millis < 10_000 {
        return format!("{:.1}s", millis as f64 / 1000.0);
    }
    span(SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
}

/// A moment to the second, such as `2026-02-01 12:00:03Z`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A bit rate, such as `2.4 Mbit/s`.
pub(super) fn bit_rate(bits_per_second: u64) -> String {
    if bits_per_second >= 1_000_000 {
        format!("{:.1} Mbit/s", bits_per_second as f64 / 1e6)
    } else {
        format!("{} kbit/s", bits_per_second / 1000)
    }
}

/// Nothing that a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([0, 340, 9_999, 61_000].map(span_ms), ["0.0s", "0.3s", "10.0s", "1m1s"]);
        assert_eq!([64_000, 2_440_000].map(bit_rate), ["64 kbit/s", "2.4 Mbit/s"]);
        let at = Timestamp::from_millisecond(1_769_947_203_999).unwrap();
        assert_eq!(moment(at), "2026-02-01 12:00:03Z");
    }

    #[test]
    fn a_name_from_outside_cannot_steer_the_terminal() {
        let shown = table(["NAME"], [["a\u{1b}[2Jb".to_owned()]].into_iter(), "none");
        assert!(!shown.contains('\u{1b}') && shown.contains("a?[2Jb"), "{shown}");
        assert_eq!(table(["NAME"], std::iter::empty(), "none"), "none");
        assert_eq!(
            card([("a", Some("1".into())), ("long", Some("2".into())), ("b", None)]),
            "a     1\nlong  2"
        );
    }
}
