//! The server over real sockets, byte for byte: no HTTP library stands between a test and what
//! the server sends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod backups;
mod client;
mod commands;
mod copies;
mod framing;
mod key_commands;
mod limits;
mod live;
mod matrix;
mod pages;
mod presigned;
mod process;
mod push;
mod server;
mod settings;
mod signed;
#[path = "../signer/mod.rs"]
mod signer;
mod storage_commands;
mod store_commands;
mod streams;
mod sts;
mod time;
mod trigger;
mod webservice;
