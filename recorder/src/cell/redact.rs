//! Keeps a job's secrets out of what its worker writes for people.

use ipc::{Report, WorkerSpec};

/// The shortest text that is cut out, in bytes; shorter ones would maim ordinary words and keep no secret.
const SECRET_BYTES_MIN: usize = 6;

/// Replaces a job's publish URL and call URL, and their secret parts alone, by `…`. Workers do not print them; this is
/// for the day when a library in one does.
#[derive(Clone)]
pub(super) struct Redactor {
    /// The longest first, so that a URL is not left over when its query is cut out.
    secrets: Vec<String>,
}

impl Redactor {
    pub(super) fn new(spec: &WorkerSpec) -> Self {
        let urls = [Some(&spec.publish_url), spec.call_url.as_ref()];
        let mut secrets = Vec::new();
        for url in urls.into_iter().flatten().map(ipc::Secret::expose) {
            secrets.push(url.to_owned());
            let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
            let query = rest.split_once('?').map_or("", |(_, query)| query);
            for pair in query.split('&').chain(fragment.split('&')) {
                let value = pair.split_once('=').map_or(pair, |(_, value)| value);
                secrets.push(value.to_owned());
            }
        }
        secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    pub(super) fn text(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
    }

    pub(super) fn report(&self, report: Report) -> Report {
        match report {
            Report::State { state, detail } => {
                Report::State { state, detail: detail.map(|detail| self.text(&detail)) }
            }
            Report::Stats { stats } => Report::Stats { stats },
            Report::Ended { reason, detail } => Report::Ended { reason, detail: self.text(&detail) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipc::{CallKind, Profile, Secret};

    #[test]
    fn urls_and_their_secret_parts_are_cut_out() {
        let redactor = Redactor::new(&WorkerSpec {
            stream_id: uuid::Uuid::nil(),
            incarnation: 2,
            kind: CallKind::Web,
            call_url: Some(Secret::new("https://call.example/room?jwt=abcdefg#key=uvwxyz")),
            publish_url: Secret::new("rtmp://relay/live/room-1?grant=123456789&incarnation=2"),
            profile: Profile::P720,
            join_timeout_seconds: 1,
        });
        let text = "to rtmp://relay/live/room-1?grant=123456789&incarnation=2 at https://call.example/room?jwt=abcdefg#key=uvwxyz";
        assert_eq!(redactor.text(text), "to … at …");
        assert_eq!(redactor.text("grant 123456789, key uvwxyz, 2 frames"), "grant …, key …, 2 frames");
    }
}
