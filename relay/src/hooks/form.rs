//! The forms that nginx-rtmp's notify module sends, field by field and in its order.
//!
//! Its common fields `app, flashver, swfurl, tcurl, pageurl, addr, clientid`, then `call` with the call's own fields,
//! then the parameters of the peer's URL. Where ours differ: parameters are escaped, and those that would repeat one of
//! the fields above are left out; `tcurl` comes without its query, whose parameters come with the others; application
//! and name are the canonical ones, however the client split its URL.

use media::StreamUrl;
use std::net::IpAddr;
use url::form_urlencoded::Serializer;

/// What a client said about itself with `connect`. Not to be trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientWords {
    /// Its name and version.
    pub flash_ver: String,
    /// The URL of the SWF file, of old players.
    pub swf_url: String,
    /// The URL that it was given, without the stream's name.
    pub tc_url: String,
    /// The page that the player is in.
    pub page_url: String,
}

/// Whom a call is about.
pub(super) struct Subject {
    pub(super) url: StreamUrl,
    pub(super) address: Option<IpAddr>,
    /// A number that no other connection has.
    pub(super) client_id: u64,
    pub(super) client: ClientWords,
    /// The parameters of its URL without secrets of ours.
    pub(super) arguments: Vec<(String, String)>,
}

/// Which call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Publish,
    Play,
    PublishDone,
    PlayDone,
    Done,
    /// Seconds since the publisher was accepted, and the stream's newest time in milliseconds.
    UpdatePublish {
        seconds: u64,
        timestamp: u32,
    },
    UpdatePlay {
        seconds: u64,
        timestamp: u32,
    },
}

impl Call {
    const fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
            Self::PublishDone => "publish_done",
            Self::PlayDone => "play_done",
            Self::Done => "done",
            Self::UpdatePublish { .. } => "update_publish",
            Self::UpdatePlay { .. } => "update_play",
        }
    }
}

/// The fields that belong to the relay, whatever the peer's URL says.
const OWN: [&str; 16] = [
    "app",
    "flashver",
    "swfurl",
    "tcurl",
    "pageurl",
    "addr",
    "clientid",
    "call",
    "name",
    "type",
    "start",
    "duration",
    "reset",
    "time",
    "timestamp",
    "epoch",
];

/// The body of a call.
pub(super) fn form(subject: &Subject, call: Call) -> String {
    let mut form = Serializer::new(String::new());
    let ClientWords { flash_ver, swf_url, tc_url, page_url } = &subject.client;
    let address = subject.address.map(|address| address.to_string()).unwrap_or_default();
    form.append_pair("app", subject.url.app())
        .append_pair("flashver", flash_ver)
        .append_pair("swfurl", swf_url)
        .append_pair("tcurl", tc_url.split('?').next().unwrap_or_default())
        .append_pair("pageurl", page_url)
        .append_pair("addr", &address)
        .append_pair("clientid", &subject.client_id.to_string())
        .append_pair("call", call.name());
    let name = subject.url.name();
    match call {
        Call::Publish => form.append_pair("name", name).append_pair("type", "live"),
        // Start and duration are not told apart: a live stream is played from now.
        Call::Play => form
            .append_pair("name", name)
            .append_pair("start", "0")
            .append_pair("duration", "0")
            .append_pair("reset", "0"),
        Call::UpdatePublish { seconds, timestamp } | Call::UpdatePlay { seconds, timestamp } => form
            .append_pair("time", &seconds.to_string())
            .append_pair("timestamp", &timestamp.to_string())
            .append_pair("name", name),
        Call::PublishDone | Call::PlayDone | Call::Done => form.append_pair("name", name),
    };
    for (field, value) in &subject.arguments {
        if !OWN.contains(&field.as_str()) {
            form.append_pair(field, value);
        }
    }
    form.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject {
            url: "live/room 1".parse().unwrap(),
            address: Some("192.0.2.1".parse().unwrap()),
            client_id: 7,
            client: ClientWords {
                flash_ver: "FMLE/3.0 (compatible; Lavf59.27.100)".into(),
                tc_url: "rtmp://host/live?key=s3cret".into(),
                ..ClientWords::default()
            },
            arguments: vec![
                ("key".into(), "a&b".into()),
                ("name".into(), "other".into()),
                ("psk".into(), "".into()),
            ],
        }
    }

    #[test]
    fn a_publish_form_has_nginx_rtmp_s_fields_in_its_order_and_the_url_s_parameters() {
        assert_eq!(
            form(&subject(), Call::Publish),
            "app=live&flashver=FMLE%2F3.0+%28compatible%3B+Lavf59.27.100%29&swfurl=&tcurl=rtmp%3A%2F%2Fhost%2Flive\
             &pageurl=&addr=192.0.2.1&clientid=7&call=publish&name=room+1&type=live&key=a%26b&psk="
        );
    }

    #[test]
    fn every_call_says_which_it_is_and_a_parameter_cannot_pass_for_a_field() {
        for (call, words) in [
            (Call::Play, "&call=play&name=room+1&start=0&duration=0&reset=0&key="),
            (Call::PublishDone, "&call=publish_done&name=room+1&key="),
            (Call::PlayDone, "&call=play_done&name=room+1&key="),
            (Call::Done, "&call=done&name=room+1&key="),
            (
                Call::UpdatePublish { seconds: 30, timestamp: 9 },
                "&call=update_publish&time=30&timestamp=9&name=room+1&",
            ),
            (
                Call::UpdatePlay { seconds: 30, timestamp: 9 },
                "&call=update_play&time=30&timestamp=9&name=room+1&",
            ),
        ] {
            let form = form(&subject(), call);
            assert!(form.contains(words), "{form}");
            assert!(!form.contains("other"), "{form}");
        }
    }
}
