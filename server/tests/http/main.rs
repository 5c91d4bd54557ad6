//! The server over real sockets, byte for byte: no HTTP library stands between a test and what
//! the server sends.

mod client;
mod framing;
mod pages;
mod server;
mod time;
