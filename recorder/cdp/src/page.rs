//! One page of a browser.

use crate::connection::Connection;
use crate::event::{Events, exception_text, status};
use crate::{CdpError, EvaluateError, NavigateError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// A page that we are attached to. Cheap to clone; dropping it neither closes nor detaches it.
#[derive(Clone)]
pub struct Page {
    connection: Arc<Connection>,
    session: Arc<str>,
}

impl Page {
    pub(crate) async fn attach(
        connection: Arc<Connection>,
        target: &str,
        deadline: Duration,
    ) -> Result<Self, CdpError> {
        const METHOD: &str = "Target.attachToTarget";
        let params = json!({ "targetId": target, "flatten": true });
        let answer = connection.call(None, METHOD, params, deadline).await?;
        let session =
            answer["sessionId"].as_str().ok_or(CdpError::Malformed { method: METHOD, what: "sessionId" })?;
        connection.open_session(session);
        let page = Self { session: session.into(), connection };
        for domain in ["Page.enable", "Runtime.enable", "Inspector.enable"] {
            page.call(domain, json!({}), deadline).await?;
        }
        Ok(page)
    }

    /// The page's events from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events { ring: self.connection.subscribe(&self.session) }
    }

    /// Opens a URL, and waits until its main document has begun to arrive. Gives the HTTP status, or `None` where
    /// there is none (`about:blank`, a jump within the page).
    ///
    /// # Errors
    /// [`NavigateError::Load`] if there is no document, [`NavigateError::Cdp`] if the browser does not answer. An
    /// HTTP status of 400 and more is no error here.
    pub async fn navigate(&self, url: &str, deadline: Duration) -> Result<Option<u16>, NavigateError> {
        const METHOD: &str = "Page.navigate";
        // Only now: a call's page sends hundreds of network events a second for as long as this is on.
        self.call("Network.enable", json!({}), deadline).await?;
        let outcome = timeout(deadline, self.open(url, METHOD, deadline)).await;
        // A dead browser has been noticed above; a busy one loses some time with events, no more.
        let _ = self.call("Network.disable", json!({}), deadline).await;
        outcome.unwrap_or(Err(CdpError::Timeout { method: METHOD, deadline }.into()))
    }

    async fn open(
        &self,
        url: &str,
        method: &'static str,
        deadline: Duration,
    ) -> Result<Option<u16>, NavigateError> {
        let mut ring = self.connection.subscribe(&self.session).ok_or(CdpError::Closed)?;
        let answer = self.call(method, json!({ "url": url }), deadline).await?;
        if let Some(error) = answer["errorText"].as_str().filter(|error| !error.is_empty()) {
            return Err(NavigateError::Load { error: error.to_owned() });
        }
        let loader = &answer["loaderId"];
        if loader.is_null() {
            return Ok(None); // a jump within the page loads nothing
        }
        loop {
            let event = match ring.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Err(CdpError::Closed.into()),
            };
            match event.method.as_str() {
                "Network.responseReceived" if event.params["loaderId"] == *loader => {
                    return Ok(status(&event.params));
                }
                "Page.frameNavigated" if event.params["frame"]["loaderId"] == *loader => {
                    let over_http = url.starts_with("http:") || url.starts_with("https:");
                    if !over_http {
                        return Ok(None);
                    }
                }
                _ => {}
            }
        }
    }

    /// Loads the page anew; also brings back a page whose renderer crashed.
    ///
    /// # Errors
    /// [`CdpError`] if the browser does not answer.
    pub async fn reload(&self, deadline: Duration) -> Result<(), CdpError> {
        self.call("Page.reload", json!({}), deadline).await.map(drop)
    }

    /// Evaluates an expression in the page, waits for its promise if it is one, and gives its value as JSON
    /// (`undefined` as null).
    ///
    /// # Errors
    /// [`EvaluateError::Thrown`] if it throws or is rejected, [`EvaluateError::Cdp`] if there is no answer in time.
    pub async fn evaluate(&self, expression: &str, deadline: Duration) -> Result<Value, EvaluateError> {
        let params = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
            "userGesture": true,
        });
        let mut answer = self.call("Runtime.evaluate", params, deadline).await?;
        let details = &answer["exceptionDetails"];
        if !details.is_null() {
            return Err(EvaluateError::Thrown { text: exception_text(details) });
        }
        Ok(answer["result"]["value"].take())
    }

    /// Runs a script in every document that the page opens from now on, before the document's own.
    ///
    /// # Errors
    /// [`CdpError`] if the browser does not answer.
    pub async fn run_in_new_documents(&self, script: &str, deadline: Duration) -> Result<(), CdpError> {
        let params = json!({ "source": script });
        self.call("Page.addScriptToEvaluateOnNewDocument", params, deadline).await.map(drop)
    }

    /// A picture of what the page shows, as a PNG file.
    ///
    /// # Errors
    /// [`CdpError`] if there is no picture in time.
    pub async fn screenshot(&self, deadline: Duration) -> Result<Vec<u8>, CdpError> {
        const METHOD: &str = "Page.captureScreenshot";
        let answer = self.call(METHOD, json!({ "format": "png" }), deadline).await?;
        let text = answer["data"].as_str().ok_or(CdpError::Malformed { method: METHOD, what: "data" })?;
        BASE64.decode(text).map_err(|_| CdpError::Malformed { method: METHOD, what: "base64" })
    }

    /// Any other method of the protocol, in this page's session.
    ///
    /// # Errors
    /// [`CdpError`] if it is refused or not answered in time.
    pub async fn call(
        &self,
        method: &'static str,
        params: Value,
        deadline: Duration,
    ) -> Result<Value, CdpError> {
        self.connection.call(Some(&self.session), method, params, deadline).await
    }

    /// Closes the page, running its unload handlers.
    ///
    /// # Errors
    /// [`CdpError`] if the browser does not answer.
    pub async fn close(self, deadline: Duration) -> Result<(), CdpError> {
        self.call("Page.close", json!({}), deadline).await?;
        self.connection.close_session(&self.session);
        Ok(())
    }
}
