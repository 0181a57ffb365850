//! Connections: at most so many at once, half of them from one address, and none is kept for a client that takes nothing
//! of what it is sent.

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum_server::{AddrListener, Address};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use crate::guard::{Place, Places, network};

/// Accepts a connection when there is room for one more; until then clients wait in the kernel's queue.
pub(super) struct Listener {
    tcp: TcpListener,
    room: Arc<Semaphore>,
    of_address: Arc<Places<IpAddr>>,
    /// From where connections of many clients come.
    is_proxy: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    patience: Duration,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// One client's connection. Writing to it fails once the client has taken nothing for too long.
#[derive(Debug)]
pub(super) struct Connection {
    tcp: TcpStream,
    patience: Duration,
    /// While the client takes nothing: when that is too long.
    stalled: Option<Pin<Box<Sleep>>>,
    _room: OwnedSemaphorePermit,
    _place: Option<Place<IpAddr>>,
}

impl Listener {
    /// At most `connections` at once, half of them from one address unless it is a proxy's; a client may take nothing for
    /// `patience`.
    pub(super) fn new(
        tcp: TcpListener,
        connections: usize,
        patience: Duration,
        is_proxy: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            tcp,
            room: Arc::new(Semaphore::new(connections)),
            of_address: Places::new(connections),
            is_proxy: Box::new(is_proxy),
            patience,
        }
    }

    /// The next connection whose address has a place left; others are closed.
    async fn next(&self) -> io::Result<(TcpStream, SocketAddr, Option<Place<IpAddr>>)> {
        loop {
            let (tcp, peer) = self.tcp.accept().await?;
            let address = peer.ip().to_canonical();
            if (self.is_proxy)(address) {
                return Ok((tcp, peer, None));
            }
            if let Some(place) = self.of_address.take(network(address)) {
                return Ok((tcp, peer, Some(place)));
            }
            tracing::debug!(%peer, "an address has half of all connections; one more is closed");
        }
    }
}

impl Address for Peer {
    type Stream = Connection;
    type Listener = Listener;
}

impl Connected<Peer> for SocketAddr {
    fn connect_info(peer: Peer) -> Self {
        peer.0
    }
}

impl AddrListener<Connection, Peer> for Listener {
    async fn bind_to(peer: Peer) -> io::Result<Self> {
        let tcp = TcpListener::bind(peer.0).await?;
        Ok(Self::new(
            tcp,
            Semaphore::MAX_PERMITS,
            Duration::MAX,
            |_| true,
        ))
    }

    async fn accept_stream(&self) -> io::Result<(Connection, Peer)> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(io::Error::other)?;
        let (tcp, address, place) = self.next().await?;
        // Answers are small and written in pieces; waiting to fill a packet would hold each one up.
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a connection keeps its delay"
            );
        }
        let connection = Connection {
            tcp,
            patience: self.patience,
            stalled: None,
            _room: room,
            _place: place,
        };
        Ok((connection, Peer(address)))
    }

    fn get_local_addr(&self) -> io::Result<Peer> {
        self.tcp.local_addr().map(Peer)
    }
}

impl Connection {
    /// The outcome of a write, or its end when none succeeded for too long.
    fn watched<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => {
                tracing::debug!("a client took nothing for too long; its connection is ended");
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.watched(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(context, slices);
        self.watched(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::time::timeout;

    #[tokio::test]
    async fn one_address_has_half_of_the_connections() {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Listener::new(tcp, 4, Duration::MAX, |_| false);
        let connect = || TcpStream::connect(address);
        let mut clients = Vec::new();
        let mut accepted = Vec::new();
        for _ in 0..2 {
            clients.push(connect().await.unwrap());
            accepted.push(listener.accept_stream().await.unwrap());
        }
        let mut third = connect().await.unwrap();
        let more = timeout(Duration::from_millis(200), listener.accept_stream()).await;
        assert!(more.is_err(), "there is no place for it");
        assert_eq!(third.read(&mut [0]).await.unwrap(), 0, "it is closed");
        accepted.pop();
        clients.push(connect().await.unwrap());
        listener.accept_stream().await.unwrap();
    }
}
