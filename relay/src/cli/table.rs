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
    let seconds = crate::clock::wall().duration_since(since).max(SignedDuration::ZERO).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
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
