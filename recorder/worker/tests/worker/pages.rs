//! A tiny web server for the pages of these tests.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// Serves the pages below on a free port, for as long as the test runs. Returns `http://127.0.0.1:PORT`.
pub(crate) fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut head = BufReader::new(&socket).lines().map_while(Result::ok);
                let request = head.next().unwrap_or_default();
                head.by_ref().find(String::is_empty);
                let path = request.split([' ', '?']).nth(1).unwrap_or_default();
                let (status, body) = page(path);
                let length = body.len();
                let _ = write!(
                    socket,
                    "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            });
        }
    });
    origin
}

fn page(path: &str) -> (&'static str, &'static str) {
    match path {
        "/flash" => ("200 OK", include_str!("../pages/flash.html")),
        "/still" => ("200 OK", "<!doctype html><title>still</title><h1>Nothing moves here</h1>"),
        "/signals" => (
            "200 OK",
            "<!doctype html><title>signals</title><h1>Still</h1><script>
             setTimeout(() => console.log('START_RECORDING'), 500);
             setTimeout(() => console.log('END_RECORDING'), 3000);
             </script>",
        ),
        "/declared" => (
            "200 OK",
            "<!doctype html><title>declared</title><canvas></canvas><script>
             window.__sluice = { ready: false };
             const picture = document.querySelector('canvas').getContext('2d');
             setInterval(() => picture.fillRect(Math.random() * 200, 0, 5, 5), 50);
             setTimeout(() => { window.__sluice.ready = true; document.title = 'ready' }, 2500);
             </script>",
        ),
        _ => ("404 Not Found", "<!doctype html><title>missing</title>"),
    }
}
