//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Backlog of pending connections; the kernel may lower it to `net.core.somaxconn`. The default of
/// 1024 overflows when thousands of clients connect at once, and a dropped SYN is retransmitted
/// only after a second.
const LISTEN_BACKLOG: u32 = 4096;

/// Size of the kernel's send buffer of a connection. Without it the buffer grows to 4 MiB for a
/// client that does not read. The kernel reports space only once a third of the buffer is free, so
/// that a slow client of a large buffer would seem not to read at all.
const SEND_BUFFER_BYTES: u32 = 256 * 1024;

/// Delay after a failed accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Binds a listener to each address.
///
/// # Errors
/// Returns an error that names the address that cannot be bound.
pub async fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = listen(*address).map_err(|e| {
            io::Error::new(e.kind(), format!("cannot listen on {address} ({e}); set PLANT_LISTEN"))
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Inherited by the accepted connections.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

/// Accepts the next connection. Retries failed accepts (such as out of file descriptors).
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; retrying in 50 ms");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

/// Returns the connections in the listen backlog and then closes the listener. There is no pause
/// between the last accept and the close, because it resets connections that arrive meanwhile.
pub fn backlog(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let listener = listener.into_std();
    let accepted = std::iter::from_fn(move || listener.as_ref().ok()?.accept().ok());
    accepted.filter_map(|(stream, address)| {
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_can_be_bound_again_at_once() {
        let listener = bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        // The side that closes first keeps the address for a minute.
        drop(accept(&listener).await);
        drop((client, listener));
        bind(&[address]).await.unwrap();
    }

    #[tokio::test]
    async fn the_error_for_an_address_in_use_names_it() {
        let listener = bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let error = bind(&[address]).await.unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("PLANT_LISTEN"), "{error}");
    }
}
