//! Where no server is.

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 on which nobody listens as long as this process lives: it belongs to a socket that is bound and does
/// no more, so that Linux gives it to nobody else, not to the one who connects to it either.
///
/// The port of a listener that was closed is none: where another test starts a program in that moment, the program's
/// process has a copy of the listener until it is replaced, and takes a connection that nobody answers.
pub(crate) fn closed_port() -> u16 {
    let socket = TcpSocket::new_v4().expect("a socket");
    let any = "127.0.0.1:0".parse().expect("an address");
    socket.bind(any).expect("a free port");
    let port = socket.local_addr().expect("an address").port();
    std::mem::forget(socket);
    port
}
