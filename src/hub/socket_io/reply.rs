//! Where the answer to a request goes. Unlike the library's own, it can be tried again while the client does not read.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Weak},
};

use serde_json::value::RawValue;
use socketioxide::{
    SendError, SocketError,
    adapter::LocalAdapter,
    extract::AckSender,
    handler::{FromMessageParts, Value},
    socket::Socket,
};

/// The acknowledgement a client waits for, if it does.
///
/// It does not keep the socket: who has gone is not answered, and gives back all he held at once. A reply that were the
/// last to hold a socket would end it wherever the reply is dropped, and a socket that ends takes the locks of its seat.
pub struct Reply {
    socket: Weak<Socket<LocalAdapter>>,
    id: Option<i64>,
}

impl FromMessageParts<LocalAdapter> for Reply {
    type Error = Infallible;

    fn from_message_parts(
        socket: &Arc<Socket<LocalAdapter>>,
        _: &mut Value,
        id: &Option<i64>,
    ) -> Result<Self, Infallible> {
        Ok(Self {
            socket: Arc::downgrade(socket),
            id: *id,
        })
    }
}

impl Reply {
    /// True if the client waits for it.
    pub fn is_awaited(&self) -> bool {
        self.id.is_some()
    }

    /// Sends it.
    pub fn send(&self, body: &RawValue) -> Result<(), SendError> {
        let socket = self.socket.upgrade().ok_or(SocketError::Closed)?;
        let mut none = Value::Bytes(bytes::Bytes::new()); // the sender does not look at the payload
        let sender = AckSender::from_message_parts(&socket, &mut none, &self.id);
        match sender {
            Ok(sender) => sender.send(&(body,)),
            Err(never) => match never {},
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.id).finish()
    }
}
