//! Configuration: one TOML file, then the environment, then flags; later ones win, and every key works in each.
//!
//! [`load`] fills any `serde` type whose structs have `#[serde(default)]`. A key that the type does not have is refused
//! with its place and the nearest name that it has, wherever the key came from; a value of the wrong type names its key,
//! its place and what was expected. Values of a [`Secret`] are in no error and no log. The types here are those that a
//! configuration needs and `serde` lacks: [`Listen`], [`Interval`], [`ByteSize`], [`Within`],
//! [`Secret`].
//!
//! What it does not do: it knows no key (the binaries own their types), watches no file, and does not support
//! `#[serde(flatten)]` or untagged enums, since those hide the names that an error must show.

mod de;
mod error;
mod interval;
mod listen;
mod load;
mod secret;
mod size;
mod tree;
mod within;

pub use error::{ConfigError, EXIT_CODE, Origin};
pub use interval::Interval;
pub use listen::Listen;
pub use load::{Sources, environment, load};
pub use secret::Secret;
pub use size::ByteSize;
pub use within::{OutOfBounds, Within};
