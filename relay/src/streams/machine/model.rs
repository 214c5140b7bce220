//! A model of the world around one stream.
