//! Delivery directives (RFC 8216bis §6.2.5).

/// What a playlist request asks for beyond the playlist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    /// `_HLS_msn`
    pub(super) msn: Option<u64>,
    /// `_HLS_part`
    pub(super) part: Option<u64>,
    /// `_HLS_skip`
    pub(super) skip: bool,
}

impl Directives {
    /// Reads a query; `None` if a number is none, or a part is asked for without its segment. Everything else in a
    /// query is ignored.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let mut directives = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => directives.msn = Some(decimal(value)?),
                "_HLS_part" => directives.part = Some(decimal(value)?),
                "_HLS_skip" => directives.skip = matches!(value, "YES" | "v2"),
                _ => {}
            }
        }
        let part_alone = directives.part.is_some() && directives.msn.is_none();
        (!part_alone).then_some(directives)
    }
}

fn decimal(digits: &str) -> Option<u64> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_numbers_and_a_part_needs_its_segment() {
        let parse = Directives::parse;
        assert_eq!(parse(""), Some(Directives::default()));
        assert_eq!(parse("token=x&_HLS_other=1"), Some(Directives::default()));
        assert_eq!(
            parse("_HLS_msn=4&_HLS_part=2&_HLS_skip=v2"),
            Some(Directives { msn: Some(4), part: Some(2), skip: true })
        );
        for bad in [
            "_HLS_part=2",
            "_HLS_msn=x",
            "_HLS_msn=",
            "_HLS_msn=-1",
            "_HLS_msn=+1",
            "_HLS_msn=1&_HLS_part=1.5",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
