//! What went wrong at a target, for people: without its key, whatever the target said.

use media::TargetUrl;
use percent_encoding::percent_decode_str;
use rtmp::io::PublishError;

/// One sentence without a full stop.
pub(super) fn words(error: &PublishError, url: &TargetUrl) -> String {
    let text = match error {
        PublishError::Refused { code, description } if description.is_empty() => {
            format!("the target refused: {code}")
        }
        PublishError::Refused { code, description } => format!("the target refused: {code}: {description}"),
        PublishError::Timeout { stage: "write" } => "the target takes nothing".into(),
        PublishError::Timeout { stage } => format!("the target did not answer in time ({stage})"),
        PublishError::Tls(error) => format!("there is no secure connection to the target: {error}"),
        PublishError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            "the target takes nothing".into()
        }
        PublishError::Io(error) => format!("the target cannot be reached: {error}"),
        PublishError::Closed => "the target closed the connection".into(),
        other => format!("the target cannot be used: {other}"),
    };
    if !names_key(&text, url) {
        return text;
    }
    // Some servers repeat the stream's name, which is the key.
    match error {
        PublishError::Refused { code, .. } if !names_key(code, url) => format!("the target refused: {code}"),
        _ => "the target refused, in words that name its key".into(),
    }
}

fn names_key(text: &str, url: &TargetUrl) -> bool {
    let whole = url.expose_name();
    let bare = whole.split_once('?').map_or(whole, |(bare, _)| bare);
    let values = whole.split_once('?').map_or("", |(_, query)| query).split('&');
    let values = values.filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    let decoded = percent_decode_str(bare).decode_utf8_lossy();
    let secrets = [whole, bare, &*decoded].into_iter().chain(values);
    secrets.filter(|secret| !secret.is_empty()).any(|secret| text.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_repeats_its_key_is_not_quoted() {
        let url: TargetUrl = "rtmp://a.example/live/s3%20cret?auth=t0ken".parse().unwrap();
        let refused = |description: &str| PublishError::Refused {
            code: "NetStream.Publish.BadName".into(),
            description: description.into(),
        };
        let plain = words(&refused("another publishes"), &url);
        assert_eq!(plain, "the target refused: NetStream.Publish.BadName: another publishes");
        for said in ["s3%20cret is busy", "live/s3 cret", "bad auth t0ken"] {
            assert_eq!(
                words(&refused(said), &url),
                "the target refused: NetStream.Publish.BadName",
                "{said}"
            );
        }
        let code = PublishError::Refused { code: "t0ken".into(), description: String::new() };
        assert!(!words(&code, &url).contains("t0ken"));
    }
}
