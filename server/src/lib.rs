//! The frontend of Syncline: both APIs over HTTP, on the embedded engine.
//!
//! Modules import only from layers below their own:
//! 0 `config error metrics` · 1 `routes sigv4 session wire` · 2 `access site` · 3 `ops identity` ·
//! 4 `service` · 5 `listen` · 6 `main`.

pub mod access;
pub mod config;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod guests;
pub mod identity;
pub mod listen;
pub mod metrics;
pub mod ops;
pub mod realm;
pub mod routes;
pub mod seal;
pub mod service;
pub mod session;
pub mod sigv4;
pub mod site;
pub mod wire;
