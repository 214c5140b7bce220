//! `connect`: what the client says about itself, and what we say about us.

use super::{ServerConn, ServerEvent};
use crate::amf0::Value;
use crate::command::{self, Command};
use crate::link::WINDOW_BYTES;
use crate::{ConnError, control};

/// How many FourCCs of a client are kept.
const FOUR_CCS_MAX: usize = 32;
/// The longest application name or URL that a client may send, in bytes.
const TEXT_BYTES_MAX: usize = 4096;
/// FourCcInfoMask.CanForward (Enhanced RTMP v2): we pass any codec on and decode none.
const CAN_FORWARD: f64 = 4.0;
/// CapsExMask: multitrack and ModEx pass through; reconnect is the relay's to add when it drains.
const CAPS_EX: f64 = 6.0;

impl ServerConn {
    pub(super) fn connect(&mut self, command: &Command) -> Result<(), ConnError> {
        if self.app.is_some() {
            return Err(ConnError::Unexpected("a second connect"));
        }
        let object = command.object();
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let (app, tc_url) = (text("app").to_owned(), text("tcUrl").to_owned());
        if app.len() > TEXT_BYTES_MAX || tc_url.len() > TEXT_BYTES_MAX {
            return Err(ConnError::TooMuch { what: "bytes of application or URL", max: TEXT_BYTES_MAX });
        }
        let connected = ServerEvent::Connected {
            app: app.clone(),
            tc_url,
            flash_ver: command::plain(text("flashVer")),
            swf_url: command::plain(text("swfUrl")),
            page_url: command::plain(text("pageUrl")),
            four_ccs: four_ccs(object),
            caps_ex: object.get("capsEx").and_then(Value::as_number).unwrap_or(0.0) as u32,
        };
        self.app = Some(app);
        self.answer_connect(command.transaction);
        self.raise(connected)
    }

    fn answer_connect(&mut self, transaction: f64) {
        let link = &mut self.link;
        control::window_ack_size(&link.writer, &mut link.output, WINDOW_BYTES);
        control::set_peer_bandwidth(&link.writer, &mut link.output, WINDOW_BYTES);
        link.writer.announce_chunk_size(&mut link.output);
        let forward_all = Value::Object(vec![("*".into(), CAN_FORWARD.into())]);
        let properties = Value::Object(vec![
            // The version of Adobe's server that clients expect to be able to parse.
            ("fmsVer".into(), "FMS/3,5,7,7009".into()),
            ("capabilities".into(), 31.0.into()),
            ("mode".into(), 1.0.into()),
            ("videoFourCcInfoMap".into(), forward_all.clone()),
            ("audioFourCcInfoMap".into(), forward_all),
            ("capsEx".into(), CAPS_EX.into()),
        ]);
        let success = command::info("status", "NetConnection.Connect.Success", "Connection succeeded");
        let info = match success {
            Value::Object(mut pairs) => {
                // AMF0, whatever the client asked for: it has to follow (RTMP 1.0 §7.2.1.1).
                pairs.push(("objectEncoding".into(), 0.0.into()));
                Value::Object(pairs)
            }
            other => other,
        };
        command::write_answer(&link.writer, &mut link.output, "_result", transaction, properties, info);
    }
}

fn four_ccs(object: &Value) -> Vec<String> {
    let listed = match object.get("fourCcList") {
        Some(Value::StrictArray(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mapped = ["videoFourCcInfoMap", "audioFourCcInfoMap"]
        .into_iter()
        .filter_map(|name| object.get(name).and_then(Value::as_pairs))
        .flatten()
        .map(|(name, _)| name.as_str());
    let mut found: Vec<String> = Vec::new();
    for four_cc in listed.into_iter().chain(mapped) {
        let four_cc = command::plain(four_cc);
        let wanted = four_cc.len() <= 4 && !found.contains(&four_cc);
        if wanted && found.len() < FOUR_CCS_MAX {
            found.push(four_cc);
        }
    }
    found
}
