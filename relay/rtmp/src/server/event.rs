//! What a server connection tells its caller.

use crate::Message;
use std::fmt;

/// What a peer did. `Debug` prints `…` for stream names and addresses, which hold stream keys.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The peer said `connect`; it is already answered.
    Connected {
        /// The application as sent, with its query.
        app: String,
        /// The URL that the client was given, as it says; may be empty. Not to be trusted and not to be logged.
        tc_url: String,
        /// The client's name and version, as it says; may be empty.
        flash_ver: String,
        /// The URL of the SWF file that an old player runs in, as it says; may be empty.
        swf_url: String,
        /// The page that a player is in, as it says; may be empty.
        page_url: String,
        /// FourCCs that the client says it handles, from `fourCcList` and the FourCC maps; `*` for all. At most 32.
        four_ccs: Vec<String>,
        /// The bits of `capsEx` (Enhanced RTMP v2): 1 reconnect, 2 multitrack, 4 ModEx, 8 nanosecond offsets.
        caps_ex: u32,
    },
    /// The peer wants to publish. Answer with
    /// [`accept_publish`](crate::ServerConn::accept_publish) or [`refuse_publish`](crate::ServerConn::refuse_publish);
    /// until then no deadline of this connection runs.
    PublishRequested {
        /// The application as sent, with its query.
        app: String,
        /// The stream name as sent, with its query. Secret.
        name: String,
    },
    /// The peer wants to play. Answer with [`accept_play`](crate::ServerConn::accept_play) or
    /// [`refuse_play`](crate::ServerConn::refuse_play). Start and duration are not told apart: a live stream is played
    /// from now.
    PlayRequested {
        /// The application as sent, with its query.
        app: String,
        /// The stream name as sent, with its query. Secret.
        name: String,
    },
    /// One message of the accepted publisher.
    Media(Message),
    /// The publisher ended its stream, or gave up its request, and the connection goes on.
    Unpublished,
    /// The player stopped, or gave up its request, and the connection goes on.
    Stopped,
    /// A ping was answered.
    Pong,
}

impl fmt::Debug for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = |app: &str| app.split('?').next().unwrap_or_default().to_owned();
        match self {
            Self::Connected { app, flash_ver, four_ccs, caps_ex, .. } => f
                .debug_struct("Connected")
                .field("app", &public(app))
                .field("flash_ver", flash_ver)
                .field("four_ccs", four_ccs)
                .field("caps_ex", caps_ex)
                .finish_non_exhaustive(),
            Self::PublishRequested { app, .. } => write!(f, "PublishRequested({}/…)", public(app)),
            Self::PlayRequested { app, .. } => write!(f, "PlayRequested({}/…)", public(app)),
            Self::Media(message) => {
                write!(f, "Media({:?} {} {} bytes)", message.kind, message.timestamp, message.body.len())
            }
            Self::Unpublished => f.write_str("Unpublished"),
            Self::Stopped => f.write_str("Stopped"),
            Self::Pong => f.write_str("Pong"),
        }
    }
}
