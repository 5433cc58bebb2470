//! A client's connection, which has to take each answer within a time: one
//! that never reads would keep its place for ever. What is read and answered
//! is not known here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a client may take for an answer that does not fit into its
/// connection's buffers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection with a client.
pub(super) struct Stream {
    socket: TcpStream,
    /// When the answer that is under way has to be taken.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// The connection on this socket.
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, patience: None }
    }

    /// Passes on what writing gave. As long as that is nothing, time runs.
    fn within_patience(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            return written;
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(ANSWER_TIMEOUT)));
        ready!(patience.as_mut().poll(context));
        // What the client did not take is of no use to it: without this the
        // kernel would go on offering it.
        self.socket.set_zero_linger()?;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer")))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.within_patience(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.within_patience(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// Called when all of an answer is written, and not before: a client that
    /// takes a little now and then gets no more time than others.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.patience = None;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
