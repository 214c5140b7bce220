//! AMF0, the encoding of commands and metadata (Adobe AMF0 specification).
//!
//! Reading is bounded in depth and in elements, and every length is checked against the bytes that are there before
//! anything is allocated. Dates, long strings, references and typed objects are read, because real encoders send
//! them. Writing knows the types that we send ourselves.

mod read;
mod value;
mod write;

pub use read::{Amf0Error, read_all};
pub(crate) use read::{read_prefix, skip_string};
pub use value::Value;
pub use write::write;
