//! The relay: one front door for bots, recorders, encoders, viewers and operators.
//!
//! Media comes in by RTMP under a claim, is kept in one bounded ring per broadcast, and leaves by RTMP and HLS. The
//! data plane (ingest, hub, outputs) never waits for the control plane (streams, recorders, API): a claim is decided
//! before the first byte of media is read, and from then on only a shared flag is looked at.

pub mod access;
pub mod admission;
mod assembly;
pub mod auth;
pub mod claim_desk;
pub mod claim_store;
pub mod cli;
pub mod clock;
pub mod config;
pub mod endpoint;
pub mod events;
pub mod flv_server;
pub mod grant;
pub mod health;
pub mod hooks;
pub mod http_api;
pub mod http_server;
pub mod hub;
pub mod metrics;
pub mod output;
pub mod pages;
pub mod push;
pub mod recorders;
pub mod rtmp_server;
pub mod serve;
pub mod status;
pub mod store;
pub mod streams;
pub mod tls;
pub mod up;
pub mod views;
pub mod webhooks;
