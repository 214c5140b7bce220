//! The browser on its display, and the watch over all three processes of the cell.

use super::display::Display;
use super::sound::Sound;
use crate::cell;
use crate::clock;
use crate::ending::Ending;
use cdp::{Browser, CdpError, EvaluateError, Event, Events, LaunchOptions, NavigateError};
use cdp::{Page, ProcessGroup, Sandbox, Screen};
use ipc::Secret;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;
use tracing::{info, warn};

/// Tells whether the page loaded and whether something on it plays; gives a [`Look`].
const LOOK: &str = include_str!("look.js");
/// How long one look may take; a page that is too busy to answer does not play yet.
const LOOK_WITHIN: Duration = Duration::from_secs(3);
const CALL_WITHIN: Duration = Duration::from_secs(5);
const SCREENSHOT_WITHIN: Duration = Duration::from_secs(3);
/// How long a page may take to say goodbye to its call.
const LEAVE_WITHIN: Duration = Duration::from_millis(400);
/// Kept in the worker's folder when the call could not be joined.
const SCREENSHOT_FILE: &str = "failure.png";

const FLAGS: &[&str] = &[
    "--kiosk",
    "--window-position=0,0",
    "--force-device-scale-factor=1",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-breakpad",
    "--disable-crash-reporter",
    // Nothing may cover the call: no bubbles, no bars, no questions.
    "--deny-permission-prompts",
    "--disable-features=Translate,MediaRouter,GlobalMediaControls",
    "--hide-crash-restore-bubble",
    "--noerrdialogs",
    "--test-type",
];

/// What a page looks like.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Look {
    /// The document and what it links to have loaded.
    loaded: bool,
    /// The page set `window.__sluice`, so its word counts and nothing else does.
    declared: bool,
    /// `window.__sluice.ready` is true.
    ready: bool,
    /// A video or sound element goes on, or a canvas changes.
    pub(super) moving: bool,
}

impl Look {
    pub(super) fn plays(&self, heard: bool) -> bool {
        if self.declared { self.ready } else { self.loaded && (self.moving || heard) }
    }
}

/// Display, sound server and browser, and the one page in it.
pub(super) struct Cell {
    pub(super) display: Display,
    sound: Sound,
    browser: Browser,
    page: Page,
    events: Events,
}

impl Cell {
    pub(super) async fn start(
        folder: &Path,
        (width, height): (u32, u32),
        mut display: Display,
        mut sound: Sound,
    ) -> Result<Self, Ending> {
        let mut options = LaunchOptions::headless(&folder.join("browser"));
        options.screen = Screen::Display(display.name.clone().into());
        options.args = FLAGS.iter().map(Into::into).collect();
        options.args.push(format!("--window-size={width},{height}").into());
        options.env = cell::environment(folder).map(|(name, value)| (name.into(), value)).into();
        options.env.push(("HOME".into(), folder.join("home").into()));
        options.sandbox = choose_sandbox().await;
        options.process_group = ProcessGroup::Inherited;
        options.die_with_parent = true;
        let start = async {
            let browser = Browser::launch(options).await.map_err(|e| Ending::cell_failed(e.to_string()))?;
            let page = browser.first_page(CALL_WITHIN).await.map_err(browser_failed)?;
            Ok((browser, page))
        };
        let (browser, page) = tokio::select! {
            started = start => started?,
            status = display.server.wait() => return Err(died("display", status)),
            status = sound.server.wait() => return Err(died("sound server", status)),
        };
        let events = page.events();
        Ok(Self { display, sound, browser, page, events })
    }

    /// Opens the call's page.
    pub(super) async fn navigate(&mut self, url: &Secret, within: Duration) -> Result<(), Ending> {
        let server = origin(url);
        let page = self.page.clone();
        let opened = self.watched(page.navigate(url.expose(), within)).await?;
        let failure = match opened {
            Ok(Some(status @ 400..)) => format!("{server} answered with HTTP status {status}"),
            Ok(_) => {
                info!(%server, "the page is open");
                return Ok(());
            }
            Err(NavigateError::Load { error }) => format!("{server} does not load: {error}"),
            Err(NavigateError::Cdp(CdpError::Timeout { .. })) => format!("{server} did not answer in time"),
            Err(error) => return Err(Ending::cell_failed(error.to_string())),
        };
        self.keep_screenshot().await;
        Err(Ending::join_failed(failure))
    }

    /// Looks at the page. One that does not answer looks like nothing.
    pub(super) async fn look(&mut self) -> Result<Look, Ending> {
        let page = self.page.clone();
        match self.watched(page.evaluate(LOOK, LOOK_WITHIN)).await? {
            Ok(value) => Ok(serde_json::from_value(value).unwrap_or_default()),
            // While a page is being replaced, its scripts end with an error.
            Err(EvaluateError::Cdp(CdpError::Closed)) => Err(browser_failed(CdpError::Closed)),
            Err(_) => Ok(Look::default()),
        }
    }

    pub(super) async fn reload(&mut self) -> Result<(), Ending> {
        let page = self.page.clone();
        self.watched(page.reload(CALL_WITHIN)).await?.map_err(browser_failed)
    }

    /// The page's next event; fails as soon as something of the cell dies. Can be dropped while waiting.
    pub(super) async fn next_event(&mut self) -> Result<Event, Ending> {
        tokio::select! {
            event = self.events.next() => match event {
                Some(Event::Detached) | None => Err(Ending::cell_failed("the browser's page has gone")),
                Some(event) => Ok(event),
            },
            status = self.display.server.wait() => Err(died("display", status)),
            status = self.sound.server.wait() => Err(died("sound server", status)),
            status = self.browser.exited() => Err(died("browser", status)),
        }
    }

    /// Waits for something while watching the processes of the cell.
    async fn watched<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ending> {
        tokio::select! {
            done = work => Ok(done),
            status = self.display.server.wait() => Err(died("display", status)),
            status = self.sound.server.wait() => Err(died("sound server", status)),
            status = self.browser.exited() => Err(died("browser", status)),
        }
    }

    /// Keeps what the page shows in the worker's folder, for whoever looks into a failure.
    pub(super) async fn keep_screenshot(&mut self) {
        let page = self.page.clone();
        let shot = self.watched(page.screenshot(SCREENSHOT_WITHIN)).await;
        let Ok(Ok(picture)) = shot else {
            warn!("no screenshot of the page can be had");
            return;
        };
        match tokio::fs::write(SCREENSHOT_FILE, picture).await {
            Ok(()) => info!(file = SCREENSHOT_FILE, "kept a screenshot of the page"),
            Err(error) => warn!(%error, "cannot keep the screenshot of the page"),
        }
    }

    /// Browser first, so that the page can leave its call; then sound and display, which have nothing to say.
    pub(super) async fn stop(mut self, within: Duration) {
        let give_up = clock::now() + within;
        self.browser.close(within.min(LEAVE_WITHIN)).await;
        // Xvfb removes its socket and its lock when it is asked to end.
        let pid = self.display.server.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM); // gone already
        }
        let _ = self.sound.server.start_kill(); // gone already
        let left = give_up.saturating_duration_since(clock::now());
        let _ = timeout(left, self.display.server.wait()).await; // killed by its drop
    }
}

fn died(what: &str, status: std::io::Result<ExitStatus>) -> Ending {
    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    Ending::cell_failed(format!("the {what} died ({how})"))
}

fn browser_failed(error: CdpError) -> Ending {
    Ending::cell_failed(format!("the browser: {error}"))
}

/// Scheme, host and port: what may be shown of a call's URL.
fn origin(url: &Secret) -> String {
    url::Url::parse(url.expose()).map_or_else(|_| "the call".into(), |url| url.origin().ascii_serialization())
}

/// Chromium's sandbox wants an ordinary user, and user namespaces or its setuid helper.
async fn choose_sandbox() -> Sandbox {
    if Sandbox::for_this_user() == Sandbox::Off {
        warn!("running as root: the browser runs without its sandbox; run as an ordinary user instead");
        return Sandbox::Off;
    }
    let helper: PathBuf = "/usr/lib/chromium/chrome-sandbox".into();
    let namespaces = Command::new("unshare").args(["--user", "--map-root-user", "true"]).output();
    let namespaces_work =
        timeout(CALL_WITHIN, namespaces).await.is_ok_and(|out| out.is_ok_and(|out| out.status.success()));
    if namespaces_work || helper.exists() {
        info!(namespaces_work, "the browser runs in its sandbox");
        return Sandbox::On;
    }
    warn!("no user namespaces and no setuid helper: the browser runs without its sandbox");
    Sandbox::Off
}
