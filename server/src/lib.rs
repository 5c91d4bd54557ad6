//! The frontend of Syncline: both APIs over HTTP, on the embedded engine.
//!
//! Modules import only from layers below their own:
//! 0 `bucket error metrics realm` · 1 `config` ·
//! 2 `guests lines outbound routes seal sigv4 throttle wire` ·
//! 3 `access providers session webhook` · 4 `live trigger` · 5 `site` · 6 `stream` · 7 `sink` ·
//! 8 `backup changes events identity kinesis ops pump push start` · 9 `keyring service` ·
//! 10 `listen` · 11 `cli` · 12 `main`, the last two in the program only.

pub mod access;
pub mod backup;
pub mod bucket;
pub mod changes;
pub mod config;
pub mod error;
pub mod events;
#[cfg(test)]
mod fixture;
pub mod guests;
pub mod identity;
pub mod keyring;
pub mod kinesis;
pub mod lines;
pub mod listen;
pub mod live;
pub mod metrics;
pub mod ops;
pub mod outbound;
pub mod providers;
pub mod pump;
pub mod push;
pub mod realm;
pub mod routes;
pub mod seal;
pub mod service;
pub mod session;
pub mod sigv4;
pub mod sink;
pub mod site;
pub mod start;
pub mod stream;
pub mod throttle;
pub mod trigger;
pub mod webhook;
pub mod wire;
