//! RTMP on the wire, both directions.
//!
//! [`ServerConn`] is one peer that publishes to us or plays from us; [`PublisherConn`] and [`PlayerConn`] are the two
//! client sides. All three are state machines: bytes and `now` come in, bytes and events go out, nothing here opens a
//! socket or reads a clock. With the feature `io`, [`io`] drives the client sides over TCP.
//!
//! The chunk layer, AMF0 and the sessions are ours, because they face the open internet and every buffer needs a
//! bound; only the handshake is rml_rtmp's. What is bounded, and by how much, stands in [`Limits`]. Whatever a peer
//! sends, the answer is an error value, never a panic.
//!
//! Not here: who may publish (the caller decides between [`ServerConn::accept_publish`] and
//! [`ServerConn::refuse_publish`]), fan-out, and a server's TLS.

pub mod amf0;
mod chunk;
mod client;
mod command;
mod control;
mod error;
pub mod flv;
mod handshake;
#[cfg(feature = "io")]
pub mod io;
mod limits;
mod link;
mod message;
mod server;

pub use chunk::{ChunkError, SHARED_CHUNK_SIZE, shared_chunks};
pub use client::{ClientEvent, PlayerConn, PublisherConn};
pub use error::ConnError;
pub use limits::Limits;
pub use message::{Message, MessageKind};
pub use server::{ServerConn, ServerEvent};
