//! How a connection to a server is set up, so that a server that does not keep up is noticed here and not in the kernel.

use socket2::SockRef;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// How much the kernel may keep of what the server has not taken, in bytes. Left to itself it takes megabytes, which is a
/// minute of a stream that nobody sees missing; less would not fill a long road: this is 14 Mbit/s over 300 ms.
const SEND_BUFFER_BYTES: usize = 512 << 10;
/// How long a server may leave bytes without an acknowledgement, or its window shut, before the kernel gives it up: for
/// streams so thin that they fill the buffer slowly. A slow server opens its window now and then.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))
}
