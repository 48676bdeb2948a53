//! Where no server is.

use std::net::{TcpListener, TcpStream};

/// A port of 127.0.0.1 on which nobody listens as long as this process lives: it belongs to the near end of a connection.
/// The port of a listener that was closed is none: where another test starts a program in that moment, the program's
/// process has a copy of the listener until it is replaced, and takes a connection that nobody answers.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    let far = listener.accept().expect("accepted");
    let port = near.local_addr().expect("an address").port();
    std::mem::forget((near, far));
    port
}
