//! How much room a request takes while it is answered. All of it is moved some times on the way,
//! and every connection under load has that much.

use hyper::Request;
use hyper::body::Incoming;

use super::Service;

/// Bytes of the future of a function.
fn room<'a, F>(_: impl FnOnce(&'a Service, Request<Incoming>) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_request_takes_little_room() {
    let bytes = room(Service::handle);
    assert!(bytes <= 4096, "{bytes}: what is rare belongs in a box");
}
