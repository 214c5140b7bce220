//! Protocol control messages and user control events (RTMP 1.0 §5.4, §6.2, §7.1.7).

use crate::chunk::{CSID_CONTROL, ChunkWriter, kind};
use bytes::{Buf, BytesMut};

/// User control event types (§7.1.7).
mod event {
    pub(super) const STREAM_BEGIN: u16 = 0;
    pub(super) const STREAM_EOF: u16 = 1;
    pub(super) const SET_BUFFER_LENGTH: u16 = 3;
    pub(super) const PING_REQUEST: u16 = 6;
    pub(super) const PING_RESPONSE: u16 = 7;
}

/// The user control events that we act upon. The rest (set buffer length, stream dry, SWF verification, …) changes
/// nothing for a live relay and reads as `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserControl {
    /// To be answered with the same timestamp.
    PingRequest(u32),
    /// The answer to ours.
    PingResponse,
    /// Anything else, or cut short.
    Other,
}

pub(crate) fn parse_user_control(mut body: &[u8]) -> UserControl {
    match body.try_get_u16() {
        Ok(event::PING_REQUEST) => body.try_get_u32().map_or(UserControl::Other, UserControl::PingRequest),
        Ok(event::PING_RESPONSE) => UserControl::PingResponse,
        _ => UserControl::Other,
    }
}

/// Window acknowledgement size: we want to hear an acknowledgement after this many bytes.
pub(crate) fn window_ack_size(writer: &ChunkWriter, out: &mut BytesMut, bytes: u32) {
    writer.write(out, CSID_CONTROL, kind::WINDOW_ACK_SIZE, 0, 0, &bytes.to_be_bytes());
}

/// Set peer bandwidth with the dynamic limit type, which binds nobody and is what other servers send.
pub(crate) fn set_peer_bandwidth(writer: &ChunkWriter, out: &mut BytesMut, bytes: u32) {
    const DYNAMIC: u8 = 2;
    let [a, b, c, d] = bytes.to_be_bytes();
    writer.write(out, CSID_CONTROL, kind::SET_PEER_BANDWIDTH, 0, 0, &[a, b, c, d, DYNAMIC]);
}

/// Acknowledgement: `total` is everything received so far, modulo 2³² (§5.4.3), not what came since the last one.
pub(crate) fn acknowledgement(writer: &ChunkWriter, out: &mut BytesMut, total: u64) {
    writer.write(out, CSID_CONTROL, kind::ACKNOWLEDGEMENT, 0, 0, &(total as u32).to_be_bytes());
}

pub(crate) fn ping_request(writer: &ChunkWriter, out: &mut BytesMut, timestamp: u32) {
    user_control(writer, out, event::PING_REQUEST, &[timestamp]);
}

pub(crate) fn ping_response(writer: &ChunkWriter, out: &mut BytesMut, timestamp: u32) {
    user_control(writer, out, event::PING_RESPONSE, &[timestamp]);
}

pub(crate) fn stream_begin(writer: &ChunkWriter, out: &mut BytesMut, stream: u32) {
    user_control(writer, out, event::STREAM_BEGIN, &[stream]);
}

pub(crate) fn stream_eof(writer: &ChunkWriter, out: &mut BytesMut, stream: u32) {
    user_control(writer, out, event::STREAM_EOF, &[stream]);
}

pub(crate) fn set_buffer_length(writer: &ChunkWriter, out: &mut BytesMut, stream: u32, millis: u32) {
    user_control(writer, out, event::SET_BUFFER_LENGTH, &[stream, millis]);
}

fn user_control(writer: &ChunkWriter, out: &mut BytesMut, event: u16, fields: &[u32]) {
    let mut body = event.to_be_bytes().to_vec();
    body.extend(fields.iter().flat_map(|field| field.to_be_bytes()));
    writer.write(out, CSID_CONTROL, kind::USER_CONTROL, 0, 0, &body);
}
