//! The chunk stream: how messages share one connection (RTMP 1.0 §5.3).

mod reader;
mod wire;
mod writer;

pub(crate) use reader::ChunkReader;
pub use wire::ChunkError;
pub(crate) use wire::{RawMessage, kind};
pub(crate) use writer::{CSID_COMMAND, CSID_CONTROL, CSID_STATUS, ChunkWriter, csid_of, kind_of};
pub use writer::{SHARED_CHUNK_SIZE, shared_chunks};
