//! The API's description: `/api/v1/openapi.json` for programs, `/api/docs` for people, one made of the other.

use super::Shared;
use api::{Problem, ProblemCode};
use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::LazyLock;

const OPENAPI: &str = include_str!("openapi.json");
const STYLE: &str = include_str!("docs.css");

static PAGE: LazyLock<String> = LazyLock::new(|| page(&serde_json::from_str(OPENAPI).unwrap_or_default()));

/// Every code, in the order in which they are explained.
const CODES: [ProblemCode; 16] = [
    ProblemCode::Malformed,
    ProblemCode::Unauthenticated,
    ProblemCode::Forbidden,
    ProblemCode::NotFound,
    ProblemCode::MethodNotAllowed,
    ProblemCode::ClaimHeld,
    ProblemCode::StaleToken,
    ProblemCode::IdempotencyMismatch,
    ProblemCode::StreamEnded,
    ProblemCode::TooLarge,
    ProblemCode::InvalidField,
    ProblemCode::Busy,
    ProblemCode::NoSpareRecorder,
    ProblemCode::StoreUnavailable,
    ProblemCode::Draining,
    ProblemCode::Internal,
];

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/api/docs", get(docs)).route("/api/docs.css", get(style))
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], OPENAPI)
        .into_response()
}

async fn docs() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, PAGE.as_str()).into_response()
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], STYLE)
        .into_response()
}

fn page(document: &Value) -> String {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sluice API</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/api/docs.css\">\
         </head><body><main><h1>Sluice API</h1>",
    );
    // Writing into a String cannot fail.
    let _ = write!(html, "<p>{}</p>", text(&document["info"]["description"]));
    html.push_str("<p>For programs: <a href=\"/api/v1/openapi.json\">openapi.json</a></p><h2>Paths</h2>");
    for (path, methods) in entries(&document["paths"]) {
        for (method, operation) in entries(methods) {
            let scope = operation["security"][0]["token"][0].as_str();
            let _ = write!(
                html,
                "<section><h3><code>{} /api/v1{}</code></h3><p>{}. {}</p><dl>",
                method.to_uppercase(),
                escaped(path),
                text(&operation["summary"]),
                scope.map_or_else(|| "Public.".into(), |scope| format!("Scope: {}.", escaped(scope))),
            );
            for (status, response) in entries(&operation["responses"]) {
                let _ =
                    write!(html, "<dt>{}</dt><dd>{}</dd>", escaped(status), text(&response["description"]));
            }
            html.push_str("</dl></section>");
        }
    }
    html.push_str("<h2>Problems</h2><dl>");
    for code in CODES {
        let problem = Problem::new(code, "");
        let name = problem.kind.rsplit('#').next().unwrap_or_default();
        let _ = write!(
            html,
            "<dt id=\"{name}\"><code>{name}</code></dt><dd>{}: {}.</dd>",
            problem.status,
            escaped(&problem.title)
        );
    }
    html.push_str("</dl><h2>Words</h2>");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        let _ = write!(html, "<section><h3>{}</h3><dl>", escaped(name));
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
        for (field, about) in entries(&schema["properties"]) {
            let optional = if required.iter().any(|name| *name == field) { "" } else { " (optional)" };
            let _ =
                write!(html, "<dt><code>{}</code>{optional}</dt><dd>{}</dd>", escaped(field), kind_of(about));
        }
        html.push_str("</dl></section>");
    }
    html.push_str("</main></body></html>");
    html
}

fn kind_of(about: &Value) -> String {
    let named =
        |value: &Value| value["$ref"].as_str().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
    let kind = named(about)
        .or_else(|| named(&about["items"]).map(|name| format!("list of {name}")))
        .or_else(|| about["format"].as_str().or(about["type"].as_str()).map(str::to_owned))
        .unwrap_or_default();
    let choices: Vec<_> = about["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let choices = if choices.is_empty() { String::new() } else { format!(": {}", choices.join(", ")) };
    format!("{}{} {}", escaped(&kind), escaped(&choices), text(&about["description"]))
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> String {
    // Backquotes mark words of the wire.
    let mut html = String::new();
    for (position, part) in value.as_str().unwrap_or_default().split('`').enumerate() {
        let part = escaped(part);
        if position % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(&part);
        }
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let described: BTreeSet<_> = entries(&document["paths"])
            .flat_map(|(path, methods)| {
                entries(methods).map(move |(method, _)| (method.as_str(), path.as_str()))
            })
            .collect();
        assert_eq!(described, super::super::ROUTES.into_iter().collect());
    }

    #[test]
    fn every_reference_in_the_description_leads_somewhere() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        for reference in OPENAPI.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn every_problem_links_to_its_place_on_the_page() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let known = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        assert_eq!(known, &serde_json::to_value(CODES).unwrap());
        for code in CODES {
            let name = serde_json::to_value(code).unwrap();
            assert!(PAGE.contains(&format!("id={name}")), "{name}");
        }
        assert!(!PAGE.contains("<script") && !PAGE.contains("http://") && !PAGE.contains("https://"));
    }
}
