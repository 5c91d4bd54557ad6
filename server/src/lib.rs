//! The frontend of Syncline: both APIs over HTTP, on the embedded engine.
//!
//! Modules import only from layers below their own:
//! 0 `bucket error metrics realm` · 1 `config` ·
//! 2 `guests lines outbound routes seal sigv4 throttle wire` ·
//! 3 `access providers session webhook` · 4 `live trigger` · 5 `site` ·
//! 6 `backup events identity ops push start` · 7 `keyring service` · 8 `listen` · 9 `cli` ·
//! 10 `main`, the last two in the program only.

pub mod access;
pub mod backup;
pub mod bucket;
pub mod config;
pub mod error;
pub mod events;
#[cfg(test)]
mod fixture;
pub mod guests;
pub mod identity;
pub mod keyring;
pub mod lines;
pub mod listen;
pub mod live;
pub mod metrics;
pub mod ops;
pub mod outbound;
pub mod providers;
pub mod push;
pub mod realm;
pub mod routes;
pub mod seal;
pub mod service;
pub mod session;
pub mod sigv4;
pub mod site;
pub mod start;
pub mod throttle;
pub mod trigger;
pub mod webhook;
pub mod wire;
