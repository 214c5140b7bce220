//! The client against a real, headless Chromium.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use cdp::{Browser, CdpError, EvaluateError, Event, LaunchError, LaunchOptions, NavigateError, Page};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

/// Long, since these tests share a machine; nothing waits for it unless something is wrong.
const SOON: Duration = Duration::from_secs(20);

async fn browser() -> (TempDir, Browser, Page) {
    let profile = tempfile::tempdir().unwrap();
    let browser = Browser::launch(LaunchOptions::headless(profile.path())).await.unwrap();
    let page = browser.first_page(SOON).await.unwrap();
    (profile, browser, page)
}

async fn next_event(events: &mut cdp::Events) -> Event {
    timeout(SOON, events.next()).await.expect("an event within the deadline").expect("the page is open")
}

/// Answers one request with the given status line, then stops. Returns its URL.
fn one_answer(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/page?key=secret", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 4096]);
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n");
        let _ = socket.write_all(format!("{head}{body}").as_bytes());
    });
    url
}

#[tokio::test]
async fn a_page_evaluates_promises_and_reports_what_it_throws() {
    let (_profile, browser, page) = browser().await;
    let value = page.evaluate("Promise.resolve({ sum: 1 + 2, list: ['ä'] })", SOON).await.unwrap();
    assert_eq!(value, json!({ "sum": 3, "list": ["ä"] }));
    assert_eq!(page.evaluate("undefined", SOON).await.unwrap(), json!(null));
    let thrown = page.evaluate("Promise.reject(new Error('no luck'))", SOON).await;
    assert!(matches!(thrown, Err(EvaluateError::Thrown { text }) if text.contains("no luck")));
    let late = page.evaluate("new Promise(() => {})", Duration::from_millis(50)).await;
    assert!(matches!(late, Err(EvaluateError::Cdp(CdpError::Timeout { .. }))));
    browser.close(SOON).await;
}

#[tokio::test]
async fn the_console_and_uncaught_exceptions_are_events() {
    let (_profile, _browser, page) = browser().await;
    let mut events = page.events();
    page.evaluate("console.warn('START', 7, {}); setTimeout(() => { throw new Error('oops') })", SOON)
        .await
        .unwrap();
    let expected = Event::Console { level: "warning".into(), text: "START 7 Object".into() };
    assert_eq!(next_event(&mut events).await, expected);
    assert!(matches!(next_event(&mut events).await, Event::Exception { text } if text.contains("oops")));
}

#[tokio::test]
async fn a_screenshot_shows_the_page() {
    let (_profile, browser, page) = browser().await;
    let blank = page.screenshot(SOON).await.unwrap();
    assert!(blank.starts_with(b"\x89PNG\r\n\x1a\n"));
    page.evaluate("document.body.style.background = 'red'", SOON).await.unwrap();
    assert_ne!(page.screenshot(SOON).await.unwrap(), blank);
    let second = browser.new_page(SOON).await.unwrap();
    assert!(second.screenshot(SOON).await.unwrap().starts_with(b"\x89PNG"));
    second.close(SOON).await.unwrap();
}

#[tokio::test]
async fn navigation_tells_the_status_of_the_main_document() {
    let (_profile, _browser, page) = browser().await;
    let found = one_answer("200 OK", "<title>found</title>");
    assert_eq!(page.navigate(&found, SOON).await, Ok(Some(200)));
    assert_eq!(page.evaluate("document.title", SOON).await.unwrap(), json!("found"));
    let missing = one_answer("404 Not Found", "<title>missing</title>");
    assert_eq!(page.navigate(&missing, SOON).await, Ok(Some(404)));
    assert_eq!(page.navigate("about:blank", SOON).await, Ok(None));
}

#[tokio::test]
async fn a_page_that_cannot_load_names_the_reason_but_not_the_url() {
    let (_profile, _browser, page) = browser().await;
    let free_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = page.navigate(&format!("http://127.0.0.1:{free_port}/?key=secret"), SOON).await;
    assert_eq!(refused, Err(NavigateError::Load { error: "net::ERR_CONNECTION_REFUSED".into() }));
    let unknown = page.navigate("http://no-such-host.invalid/?key=secret", SOON).await;
    assert!(
        matches!(&unknown, Err(NavigateError::Load { error }) if error.starts_with("net::ERR_") && !error.contains("secret")),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_crashed_renderer_is_an_event_and_a_reload_brings_the_page_back() {
    let (_profile, _browser, page) = browser().await;
    page.navigate("data:text/html,<title>call</title>", SOON).await.unwrap();
    let mut events = page.events();
    let crash = page.call("Page.crash", json!({}), Duration::from_secs(2)).await;
    assert!(crash.is_err(), "a dead renderer cannot answer");
    while next_event(&mut events).await != Event::Crashed {}
    page.reload(SOON).await.unwrap();
    while next_event(&mut events).await != Event::Loaded {}
    assert_eq!(page.evaluate("document.title", SOON).await.unwrap(), json!("call"));
}

#[tokio::test]
async fn a_browser_that_dies_ends_its_calls_and_events_at_once() {
    let (_profile, mut browser, page) = browser().await;
    let mut events = page.events();
    let forever = tokio::spawn({
        let page = page.clone();
        async move { page.evaluate("new Promise(() => {})", SOON * 10).await }
    });
    page.evaluate("0", SOON).await.unwrap();
    browser.kill();
    assert!(!timeout(SOON, browser.exited()).await.unwrap().unwrap().success());
    let ended = timeout(SOON, forever).await.unwrap().unwrap();
    assert_eq!(ended, Err(EvaluateError::Cdp(CdpError::Closed)));
    assert_eq!(timeout(SOON, events.next()).await.unwrap(), None);
    assert_eq!(page.evaluate("0", SOON).await, Err(EvaluateError::Cdp(CdpError::Closed)));
}

#[tokio::test]
async fn a_dropped_browser_leaves_no_process_of_its_group() {
    let (_profile, browser, _page) = browser().await;
    let group = rustix::process::Pid::from_raw(browser.process_id() as i32).unwrap();
    rustix::process::test_kill_process_group(group).expect("it runs");
    drop(browser);
    let gone = async {
        while rustix::process::test_kill_process_group(group).is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, gone).await.expect("the group is gone");
}

#[tokio::test]
async fn a_browser_that_does_not_come_up_says_why() {
    let profile = tempfile::tempdir().unwrap();
    let mut options = LaunchOptions::headless(profile.path());
    options.program = "/nonexistent/chromium".into();
    let Err(error) = Browser::launch(options).await else { panic!("nothing to launch") };
    assert!(
        matches!(&error, LaunchError::NotReady { stderr, .. } if stderr.contains("/nonexistent/chromium")),
        "{error:?}"
    );
}
