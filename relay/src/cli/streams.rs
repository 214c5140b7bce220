//! `sluice streams …`

use super::table::{age, card, printable, table};
use super::{Connection, Failure, say};
use api::client::Client;
use api::events::Event;
use api::streams::{Call, CallKind, StartStream, StreamState, StreamView};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Start, see and stop streams.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// Start a stream.
    Start(Start),
    /// Stop a stream, by its id or its name.
    Stop {
        /// The stream's id, or its name such as live/room-1.
        stream: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// All streams that are alive, and those that ended lately.
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// One stream, by its id or its name.
    Show {
        /// The stream's id, or its name such as live/room-1.
        stream: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Tell every change until interrupted, or until the stream is over.
    Watch {
        /// The stream's id or name; all streams if absent.
        stream: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
}

/// What to start.
#[derive(clap::Args, Clone, Debug)]
pub struct Start {
    /// Where it appears: app/name, such as live/room-1.
    name: String,
    /// The call's URL.
    #[arg(long, value_name = "URL")]
    call: Option<String>,
    /// How the call is entered.
    #[arg(long, default_value = "auto", value_parser = kind)]
    kind: CallKind,
    /// 540p30, 720p30 or 1080p30.
    #[arg(long)]
    profile: Option<String>,
    /// When it starts, RFC 3339.
    #[arg(long, value_name = "TIME")]
    starts_at: Option<jiff::Timestamp>,
    /// When it ends by itself, RFC 3339.
    #[arg(long, value_name = "TIME")]
    ends_at: Option<jiff::Timestamp>,
    /// Free words for people and dashboards.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// How many seconds to wait for a recorder with a spare place.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u32>,
    /// The idempotency key; a new one if absent.
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

fn kind(text: &str) -> Result<CallKind, String> {
    serde_json::from_value(serde_json::Value::from(text))
        .map_err(|_| "there are auto, jitsi, janus, element-call, bbb, galene, web and test".into())
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

pub(super) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Start(start) => {
            let stream = begin(&start).await?;
            start.connection.show(&stream, shown)
        }
        Command::Stop { stream, connection } => {
            let client = connection.client()?;
            let found = find(&client, &stream).await?;
            client.stop_stream(found.id).await?;
            say(&format!("{} is being stopped", printable(&found.name)))
        }
        Command::List { connection } => {
            let streams = connection.client()?.streams().await?;
            connection.show(&streams, |streams| listed(streams))
        }
        Command::Show { stream, connection } => {
            let stream = find(&connection.client()?, &stream).await?;
            connection.show(&stream, shown)
        }
        Command::Watch { stream, connection } => watch(&connection, stream.as_deref()).await,
    }
}

async fn begin(start: &Start) -> Result<StreamView, Failure> {
    let request = StartStream {
        call: Call { url: start.call.clone(), kind: start.kind },
        name: start.name.clone(),
        targets: Vec::new(),
        profile: start.profile.clone(),
        record: false,
        starts_at: start.starts_at,
        ends_at: start.ends_at,
        labels: start.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
        wait_seconds: start.wait,
    };
    let key = start.key.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    Ok(start.connection.client()?.start_stream(&request, &key).await?)
}

/// By id, or the newest of a name, one that is alive before any that has ended.
pub(super) async fn find(client: &Client, wanted: &str) -> Result<StreamView, Failure> {
    if let Ok(id) = wanted.parse::<Uuid>() {
        return Ok(client.stream(id).await?);
    }
    let named = client.streams().await?.into_iter().filter(|stream| stream.name == wanted);
    let newest = named.max_by_key(|stream| (stream.state != StreamState::Ended, stream.created_at));
    newest.ok_or_else(|| Failure::usage(format!("no stream is named {}", printable(wanted))))
}

async fn watch(connection: &Connection, wanted: Option<&str>) -> Result<(), Failure> {
    let client = connection.client()?;
    // Followed by id: another stream may get the same name.
    let only = match wanted {
        Some(wanted) => Some(find(&client, wanted).await?.id),
        None => None,
    };
    let mut events = client.events().await?;
    while let Some(event) = events.next().await? {
        let rows = match event {
            Event::Snapshot { streams, .. } => streams,
            Event::Stream { stream } => vec![*stream],
            Event::Broadcasts { .. }
            | Event::Claim { .. }
            | Event::Claims { .. }
            | Event::Recorder { .. }
            | Event::Targets { .. } => continue,
        };
        for stream in rows.iter().filter(|stream| only.is_none_or(|id| id == stream.id)) {
            connection.show_change(stream, line)?;
            if only.is_some() && stream.state == StreamState::Ended {
                return Ok(());
            }
        }
    }
    Err(Failure::unavailable("the relay ended the events"))
}

fn line(stream: &StreamView) -> String {
    let why = stream.end_reason.as_deref().or(stream.detail.as_deref()).unwrap_or_default();
    let line = format!(
        "{}  {}  {}  {}  {why}",
        crate::clock::wall().round(jiff::Unit::Second).unwrap_or_else(|_| crate::clock::wall()),
        stream.name,
        stream.state,
        stream.recorder.as_deref().unwrap_or("-"),
    );
    printable(line.trim_end())
}

fn listed(streams: &[StreamView]) -> String {
    let rows = streams.iter().map(|stream| {
        let state = match &stream.end_reason {
            Some(reason) => format!("{} ({reason})", stream.state),
            None => stream.state.to_string(),
        };
        [
            stream.name.clone(),
            state,
            age(stream.state_since),
            stream.recorder.clone().unwrap_or_else(|| "-".into()),
            stream.profile.clone(),
            stream.detail.clone().unwrap_or_default(),
            stream.id.to_string(),
        ]
    });
    table(["NAME", "STATE", "SINCE", "RECORDER", "PROFILE", "DETAIL", "ID"], rows, "there are no streams")
}

fn shown(stream: &StreamView) -> String {
    let labels: Vec<_> = stream.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    card([
        ("name", Some(stream.name.clone())),
        ("id", Some(stream.id.to_string())),
        ("state", Some(format!("{} since {}", stream.state, stream.state_since))),
        ("ended", stream.end_reason.clone()),
        ("detail", stream.detail.clone()),
        ("call", stream.call_host.as_ref().map(|host| format!("{} at {host}", stream.kind))),
        ("profile", Some(stream.profile.clone())),
        ("recorder", stream.recorder.clone()),
        ("workers so far", Some(stream.incarnation.to_string())),
        ("live since", stream.live_since.map(|at| at.to_string())),
        ("starts at", stream.starts_at.map(|at| at.to_string())),
        ("ends at", stream.ends_at.map(|at| at.to_string())),
        ("watch", Some(stream.playback.hls.clone())),
        ("preview", Some(stream.playback.widget.clone())),
        ("labels", Some(labels.join(" ")).filter(|labels| !labels.is_empty())),
    ])
}
