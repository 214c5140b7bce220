//! One page in headless Chromium, as a viewer would have it.

use crate::{eventually, scratch};
use anyhow::{Context, Result, ensure};
use cdp::{Browser, Events, LaunchOptions, Page};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long the browser may take for one answer; the machine may be busy.
const ANSWER: Duration = Duration::from_secs(20);

/// A browser with one page.
pub struct Tab {
    page: Page,
    browser: Browser,
    _profile: tempfile::TempDir,
}

impl Tab {
    /// Opens a page.
    ///
    /// # Panics
    /// If Chromium is not installed or the page does not answer.
    pub async fn open(url: &str) -> Self {
        Self::open_sized(url, 1280, 800).await
    }

    /// Opens a page in a window of a given size.
    ///
    /// # Panics
    /// If Chromium is not installed or the page does not answer.
    pub async fn open_sized(url: &str, width: u32, height: u32) -> Self {
        let profile = scratch();
        let mut options = LaunchOptions::headless(profile.path());
        options.die_with_parent = true;
        options.args.extend(
            [
                "--autoplay-policy=no-user-gesture-required",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-quic",
                "--no-proxy-server",
                "--mute-audio",
            ]
            .map(Into::into),
        );
        options.args.push(format!("--window-size={width},{height}").into());
        let browser = Browser::launch(options).await.expect("Chromium starts");
        let page = browser.first_page(ANSWER).await.expect("Chromium has a page");
        let tab = Self { page, browser, _profile: profile };
        let status = tab.page.navigate(url, ANSWER).await.expect("the page loads");
        assert!(status.is_some_and(|status| status < 400), "{url} answered {status:?}");
        tab
    }

    /// The browser's process id.
    #[must_use]
    pub fn browser_pid(&self) -> u32 {
        self.browser.process_id()
    }

    /// The page's news from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.page.events()
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// If it throws, or the page does not answer.
    pub async fn value(&self, expression: &str) -> Result<Value> {
        Ok(self.page.evaluate(expression, ANSWER).await?)
    }

    /// A number in the page.
    ///
    /// # Errors
    /// If it is none.
    pub async fn number(&self, expression: &str) -> Result<f64> {
        let value = self.value(expression).await?;
        value.as_f64().with_context(|| format!("{expression} is {value}"))
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// If it does not become true in time.
    pub async fn becomes_true(&self, seconds: f64, expression: &str) {
        eventually(seconds, expression, || async move {
            let value = self.value(expression).await?;
            ensure!(value == Value::Bool(true), "it is {value}");
            Ok(())
        })
        .await;
    }

    /// How much the player's picture varies from pixel to pixel: the standard deviation of its brightness, 0 to 127.
    /// A black, or any other single-coloured, picture has 0.
    ///
    /// # Errors
    /// If there is no picture.
    pub async fn picture_contrast(&self) -> Result<f64> {
        self.number(
            "(() => { const video = document.querySelector('video'); const canvas = document.createElement('canvas');
              canvas.width = 160; canvas.height = 90; const ink = canvas.getContext('2d');
              ink.drawImage(video, 0, 0, 160, 90); const data = ink.getImageData(0, 0, 160, 90).data;
              let sum = 0, squares = 0; const count = data.length / 4;
              for (let at = 0; at < data.length; at += 4) {
                const light = (data[at] + data[at + 1] + data[at + 2]) / 3; sum += light; squares += light * light; }
              return Math.sqrt(squares / count - (sum / count) ** 2); })()",
        )
        .await
    }

    /// Writes what the page looks like to a PNG file.
    ///
    /// # Panics
    /// If there is no picture, or the file cannot be written.
    pub async fn screenshot(&self, path: &Path) {
        let png = self.page.screenshot(ANSWER).await.expect("a screenshot");
        std::fs::write(path, png).expect("the screenshot can be kept");
    }
}
