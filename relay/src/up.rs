//! `sluice up`: relay and recorder on one machine, in order, and a call to look at if one is asked for.
//!
//! The relay runs in this process, the recorder beside it as a child that is started again when it ends. When this
//! process ends, however it ends, so does the recorder with all its workers.

mod child;
mod tell;

use crate::clock;
use crate::serve::{self, Running};
use api::ProblemCode;
use api::client::{Client, ClientError};
use api::streams::{Call, CallKind, StartStream, StreamState, StreamView};
use child::Recorder;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// What both programs log where SLUICE_LOG does not say.
pub const LOG: &str = "warn";
/// How long the recorder may take to connect.
const RECORDER: Duration = Duration::from_secs(20);
/// How long the call of an earlier run may take to give its name back: a recorder that is taken for dead takes longest.
const HANDED_OVER: Duration = Duration::from_secs(20);
/// How long the call may take to be live.
const LIVE: Duration = Duration::from_secs(90);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(250);
/// The name of the call that is started here.
const CALL_NAME: &str = "live/call";

/// What `up` can be told.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub struct Arguments {
    #[command(flatten)]
    serve: serve::Arguments,
    /// Join this call at once.
    #[arg(long, value_name = "URL", conflicts_with = "demo")]
    call: Option<String>,
    /// Join a demonstration call at once, which this relay serves itself.
    #[arg(long)]
    demo: bool,
    /// Picture size of the call: 540p30, 720p30 or 1080p30.
    #[arg(long, default_value = "720p30")]
    profile: String,
    /// How many streams the recorder may carry [default: by the machine's size].
    #[arg(long)]
    slots: Option<u32>,
    /// The recorder program [default: beside this one].
    #[arg(long, value_name = "PATH")]
    recorder: Option<PathBuf>,
}

/// Runs both until a signal ends them.
pub async fn run(arguments: Arguments) -> ExitCode {
    let config = match arguments.serve.load() {
        Ok(config) => config,
        Err(error) => {
            serve::complain(&error.to_string());
            return ExitCode::from(config::EXIT_CODE);
        }
    };
    let running = match serve::launch(config).await {
        Ok(running) => running,
        Err(error) => {
            serve::complain(&error.message);
            return ExitCode::from(error.code);
        }
    };
    running.announce();
    // Once there are tokens, this machine's own programs need one, too; theirs ends with us.
    let started = running.own_token("sluice up").map_err(anyhow::Error::from).and_then(|token| {
        let relay = running.local_url();
        let recorder = Recorder::start(&relay, &token, arguments.recorder.as_deref(), arguments.slots)?;
        Ok((recorder, Client::new(&relay, Some(token))?))
    });
    let (recorder, client) = match started {
        Ok(started) => started,
        Err(error) => {
            serve::complain(&format!("{error:#}"));
            running.shut_down().await;
            return ExitCode::from(69); // sysexits' EX_UNAVAILABLE
        }
    };
    let shown = tokio::select! {
        shown = show(&arguments, &running, &client) => shown,
        () = serve::signalled() => {
            take_down(recorder, running).await;
            return ExitCode::SUCCESS;
        }
    };
    if let Err(why) = shown {
        // What was asked for did not come; what runs is still worth having, and says more on its pages.
        serve::complain(&why);
        tell::addresses(&running, None);
    }
    serve::signalled().await;
    take_down(recorder, running).await;
    ExitCode::SUCCESS
}

/// Recorder first, so that its workers leave their calls and say goodbye; a second signal hurries.
async fn take_down(recorder: Recorder, running: Running) {
    tell::step("Stopping; once more stops at once");
    let orderly = async {
        recorder.stop().await;
        running.shut_down().await;
    };
    tokio::select! {
        () = orderly => {}
        () = serve::signalled() => {}
    }
}

/// Waits for the recorder, starts the call that was asked for, and says where to look.
async fn show(arguments: &Arguments, running: &Running, client: &Client) -> Result<(), String> {
    tell::step("Waiting for the recorder");
    let slots = timeout(RECORDER, recorder_slots(client)).await.map_err(|_| {
        "The recorder did not connect; `sluice-recorder doctor` says what it lacks".to_owned()
    })?;
    tell::step(&format!("The recorder is there, with room for {slots} calls"));
    let Some(call) = arguments.call_url(running) else {
        tell::addresses(running, None);
        return Ok(());
    };
    tell::step("Joining the call");
    let started = start(client, &arguments.start(call)).await;
    let stream = started.map_err(|error| match error {
        ClientError::Problem(problem) => format!("The call was not started: {problem}"),
        error => format!("The call was not started: {error}"),
    })?;
    let outcome = timeout(LIVE, until_live(client, stream.id)).await;
    let live =
        outcome.unwrap_or_else(|_| Err(format!("The call was not live within {} s", LIVE.as_secs())))?;
    tell::addresses(running, Some(&live));
    Ok(())
}

async fn recorder_slots(client: &Client) -> u32 {
    loop {
        let recorders = client.recorders().await.unwrap_or_default();
        if let Some(found) = recorders.iter().find(|recorder| recorder.connected) {
            return found.slots;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Starts the call, in place of the one that an earlier run left: a relay goes on with the streams that it remembers.
///
/// Where both are the same call, the remembered one goes on, and this returns at once.
async fn start(client: &Client, request: &StartStream) -> Result<StreamView, ClientError> {
    let remembered = client.streams().await?.into_iter();
    let mut is_taking_over = false;
    for left in remembered.filter(|left| left.name == CALL_NAME && left.state != StreamState::Ended) {
        client.stop_stream(left.id).await?;
        is_taking_over = true;
    }
    let began = clock::now();
    loop {
        match client.start_stream(request, &Uuid::new_v4().to_string()).await {
            Err(ClientError::Problem(problem))
                if is_taking_over
                    && problem.code == ProblemCode::ClaimHeld
                    && clock::now().duration_since(began) < HANDED_OVER => {}
            outcome => return outcome,
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn until_live(client: &Client, id: Uuid) -> Result<StreamView, String> {
    let mut told = String::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(stream) = client.stream(id).await else { continue };
        let detail = stream.detail.clone().unwrap_or_default();
        if detail != told && !detail.is_empty() {
            tell::step(&detail);
            told.clone_from(&detail);
        }
        match stream.state {
            StreamState::Live => return Ok(stream),
            StreamState::Ended => {
                let reason = stream.end_reason.unwrap_or_default();
                return Err(format!("The call ended before it was live ({reason}): {detail}"));
            }
            StreamState::Queued
            | StreamState::Claiming
            | StreamState::Joining
            | StreamState::Recovering
            | StreamState::Stopping => {}
        }
    }
}

impl Arguments {
    fn call_url(&self, running: &Running) -> Option<String> {
        if self.demo { Some(format!("{}/call?recorder=1", running.public_url())) } else { self.call.clone() }
    }

    fn start(&self, url: String) -> StartStream {
        StartStream {
            call: Call { url: Some(url), kind: CallKind::Auto },
            name: CALL_NAME.into(),
            targets: Vec::new(),
            profile: Some(self.profile.clone()),
            record: false,
            starts_at: None,
            ends_at: None,
            labels: std::collections::BTreeMap::new(),
            wait_seconds: Some(10),
        }
    }
}
