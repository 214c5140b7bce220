//! A small client of the Chrome DevTools Protocol.
//!
//! It starts one Chromium and speaks to it over `--remote-debugging-pipe`: two inherited pipes, no TCP port that
//! another user of the machine could reach. It offers the handful of calls that a recorder and a test of a web page
//! need: open a page, [`Page::navigate`], [`Page::evaluate`], [`Page::screenshot`], and [`Page::events`], the news of
//! the page (console, exceptions, crashes, loads).
//!
//! Every call has a deadline, every queue a bound. When the browser dies, every waiting call ends with
//! [`CdpError::Closed`] and every event stream ends. Dropping a [`Browser`] kills it. URLs are sent through the pipe,
//! never as arguments, and are never logged.
//!
//! It does not follow iframes of other sites as targets of their own, and does not download or pin browsers.

mod browser;
mod connection;
mod error;
mod event;
mod launch;
mod page;
mod splitter;

pub use browser::Browser;
pub use error::{CdpError, EvaluateError, LaunchError, NavigateError};
pub use event::{Event, Events};
pub use launch::{LaunchOptions, ProcessGroup, Sandbox, Screen};
pub use page::Page;
