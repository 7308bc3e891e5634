//! Listening sockets: one for each core on the same address, so that the kernel spreads connections and nothing is
//! shared between cores.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Why an address cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub cause: io::Error,
}

/// Listening sockets on one address.
#[derive(Debug)]
pub struct Listeners {
    /// The address, its port known.
    pub address: SocketAddr,
    /// One socket for each core.
    pub sockets: Vec<TcpListener>,
}

impl Listeners {
    /// Listens on an address with this many sockets; port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`] where the address is taken, also by another process that would share it.
    pub fn bind(address: SocketAddr, sockets: usize) -> Result<Self, BindError> {
        let failed = |cause| BindError { address, cause };
        // SO_REUSEPORT would let a second guard of the same user take half of this one's connections unseen: a socket
        // without it finds out whether anybody is there.
        let probe = socket(address, false).map_err(failed)?;
        let address = probe.local_addr().map_err(failed)?;
        drop(probe);
        let sockets = (0..sockets.max(1))
            .map(|_| socket(address, true))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        Ok(Listeners { address, sockets })
    }
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// After running out of file descriptors, accepting again at once would only spin.
pub(super) async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Connections that wait to be accepted; the kernel caps it at its own `somaxconn`.
const BACKLOG: i32 = 4096;
