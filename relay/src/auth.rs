//! Who may use the API: bearer tokens with scopes, kept as digests.
//!
//! As long as no token was minted everything is allowed from this machine and nothing from elsewhere; the first token
//! ends that. Browsers of this machine are the reason for [`guard`]: a page from elsewhere may make them send requests
//! here, so a request without a token must name this machine and come from its own pages.

mod guard;
mod token;

pub use guard::Guard;
pub(crate) use guard::name_of as host_name;
pub use token::{Digest, Token};

use api::tokens::{Scope, TokenMinted, TokenRequest};
use api::{Problem, ProblemCode};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;

/// How many tokens there may be; one more is not minted.
const TOKENS_MAX: usize = 1000;
/// The longest label, in bytes.
const LABEL_BYTES_MAX: usize = 128;
/// Whom a request without a token from this machine comes from.
const LOCAL: &str = "local";

/// A token as it is kept: not the token, only its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its id, which is no secret: claims, keys and logs name their principal by it.
    pub id: Uuid,
    /// SHA-256 of the token.
    pub digest: Digest,
    /// Whose it is.
    pub label: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// When it was minted.
    pub created_at: jiff::Timestamp,
}

/// Who asks, and what it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The token's id, or `local`.
    pub principal: String,
    /// The token's label, or `local`: for people.
    pub label: String,
    scopes: Vec<Scope>,
}

impl Access {
    fn local() -> Self {
        Self { principal: LOCAL.into(), label: LOCAL.into(), scopes: Scope::ALL.to_vec() }
    }

    /// Whether one of these scopes is among its own; `operate` includes `start` and `view`.
    #[must_use]
    pub fn may(&self, any_of: &[Scope]) -> bool {
        let operates = self.scopes.contains(&Scope::Operate);
        any_of.iter().any(|scope| match scope {
            Scope::Start | Scope::View => operates || self.scopes.contains(scope),
            Scope::Operate | Scope::Record => self.scopes.contains(scope),
        })
    }
}

/// A relay without tokens would be open to everybody who reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines, but no token was minted yet: run `sluice token new`, or listen on 127.0.0.1"
)]
pub struct WideOpen(SocketAddr);

/// Whether the API may be served on an address.
///
/// # Errors
/// [`WideOpen`] for any address but loopback while there are no tokens.
pub const fn may_listen(addr: SocketAddr, tokens_exist: bool) -> Result<(), WideOpen> {
    if tokens_exist || is_loopback(addr.ip()) { Ok(()) } else { Err(WideOpen(addr)) }
}

const fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// All tokens. Cloning shares them.
#[derive(Clone, Default)]
pub struct Tokens {
    records: Arc<RwLock<Vec<TokenRecord>>>,
    /// Those of this process for its own children: known while it runs, and no reason to ask others for one.
    own: Arc<RwLock<Vec<TokenRecord>>>,
}

impl Tokens {
    /// Those that were minted before.
    #[must_use]
    pub fn new(records: Vec<TokenRecord>) -> Self {
        Self { records: Arc::new(RwLock::new(records)), own: Arc::default() }
    }

    /// Whether there is any.
    #[must_use]
    pub fn exist(&self) -> bool {
        !self.read().is_empty()
    }

    /// Who shows this token. Every known digest is compared, each in constant time.
    #[must_use]
    pub fn find(&self, shown: &str) -> Option<Access> {
        let digest = Digest::of(shown);
        let mut found = None;
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        for record in self.read().iter().chain(own.iter()) {
            if record.digest.is_same(&digest) {
                found = Some(Access {
                    principal: format!("token {}", record.id),
                    label: record.label.clone(),
                    scopes: record.scopes.clone(),
                });
            }
        }
        found
    }

    /// Takes up a token that is already durable.
    pub fn add(&self, record: TokenRecord) {
        self.records.write().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// A token for a child of this process, that may do everything; good until this process ends. Secret.
    ///
    /// # Errors
    /// A 500 [`Problem`] if the machine has no random numbers.
    pub fn draw_own(&self, wall: jiff::Timestamp, label: &str) -> Result<String, Problem> {
        let request = TokenRequest { label: label.into(), scopes: Scope::ALL.to_vec() };
        let (minted, record) = draw(wall, request)?;
        self.own.write().unwrap_or_else(PoisonError::into_inner).push(record);
        Ok(minted.token)
    }

    /// A new token and what is to be kept of it, for as long as there is room.
    ///
    /// # Errors
    /// A 422 or 503 [`Problem`].
    pub fn draw(
        &self,
        wall: jiff::Timestamp,
        request: TokenRequest,
    ) -> Result<(TokenMinted, TokenRecord), Problem> {
        if self.read().len() >= TOKENS_MAX {
            return Err(Problem::new(ProblemCode::Busy, "there are as many tokens as there may be"));
        }
        draw(wall, request)
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// A 401 [`Problem`].
    pub fn identify(&self, peer: Option<IpAddr>, authorization: Option<&str>) -> Result<Access, Problem> {
        let refused = |why: &str| Err(Problem::new(ProblemCode::Unauthenticated, why));
        let Some(header) = authorization else {
            let is_local = peer.is_some_and(is_loopback);
            return match (self.exist(), is_local) {
                (false, true) => Ok(Access::local()),
                (false, false) => refused("without tokens this relay answers its own machine alone"),
                (true, _) => {
                    refused("send `Authorization: Bearer sluice_…`; `sluice token new` mints a token")
                }
            };
        };
        let shown = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, shown)) = shown else {
            return refused("the Authorization header is not `Bearer sluice_…`");
        };
        match self.find(shown.trim()) {
            Some(access) => Ok(access),
            None => refused("this token is not known here"),
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<TokenRecord>> {
        // Records are only ever added whole.
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new token and what is to be kept of it.
///
/// # Errors
/// A 422 [`Problem`] for a label or scopes that cannot be used; 500 if the machine has no random numbers.
pub fn draw(wall: jiff::Timestamp, request: TokenRequest) -> Result<(TokenMinted, TokenRecord), Problem> {
    let TokenRequest { label, mut scopes } = request;
    let bad_label =
        label.trim().is_empty() || label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control);
    if bad_label {
        return Err(Problem::field("label", "a label has 1 to 128 printable characters"));
    }
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Problem::field("scopes", "name at least one of start, operate, view, record"));
    }
    let token = Token::random()
        .map_err(|_| Problem::new(ProblemCode::Internal, "this machine gives no random numbers"))?;
    let record = TokenRecord {
        id: Uuid::now_v7(),
        digest: Digest::of(token.expose()),
        label: label.clone(),
        scopes: scopes.clone(),
        created_at: wall,
    };
    Ok((TokenMinted { token: token.expose().to_owned(), label, scopes }, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn minted(scopes: &[Scope]) -> (Tokens, String) {
        let tokens = Tokens::default();
        let request = TokenRequest { label: "bot".into(), scopes: scopes.to_vec() };
        let (minted, record) = tokens.draw(jiff::Timestamp::UNIX_EPOCH, request).unwrap();
        assert!(!serde_json::to_string(&record).unwrap().contains(&minted.token));
        tokens.add(record);
        (tokens, format!("Bearer {}", minted.token))
    }

    #[test]
    fn without_tokens_only_this_machine_may_do_anything() {
        let tokens = Tokens::default();
        assert!(tokens.identify(HERE, None).unwrap().may(&[Scope::Operate]));
        assert!(tokens.identify(Some("::ffff:127.0.0.1".parse().unwrap()), None).is_ok());
        assert_eq!(tokens.identify(Some("10.0.0.1".parse().unwrap()), None).unwrap_err().status, 401);
        assert_eq!(tokens.identify(None, None).unwrap_err().status, 401);
    }

    #[test]
    fn the_first_token_ends_the_freedom_of_this_machine() {
        let (tokens, header) = minted(&[Scope::View]);
        assert_eq!(tokens.identify(HERE, None).unwrap_err().status, 401);
        assert_eq!(tokens.identify(HERE, Some("Bearer sluice_guess")).unwrap_err().status, 401);
        assert_eq!(tokens.identify(HERE, Some("Basic eDp5")).unwrap_err().status, 401);
        let access = tokens.identify(None, Some(&header)).unwrap();
        assert!(access.may(&[Scope::View]) && !access.may(&[Scope::Start, Scope::Operate, Scope::Record]));
    }

    #[test]
    fn an_operator_may_start_and_see_but_is_no_recorder() {
        let (tokens, header) = minted(&[Scope::Operate]);
        let access = tokens.identify(None, Some(&header)).unwrap();
        assert!(access.may(&[Scope::Start]) && access.may(&[Scope::View]) && !access.may(&[Scope::Record]));
    }

    #[test]
    fn a_relay_without_tokens_listens_on_loopback_alone() {
        for (addr, tokens, allowed) in [
            ("127.0.0.1:8080", false, true),
            ("[::1]:8080", false, true),
            ("0.0.0.0:8080", false, false),
            ("[::]:8080", false, false),
            ("10.0.0.1:8080", false, false),
            ("0.0.0.0:8080", true, true),
        ] {
            assert_eq!(may_listen(addr.parse().unwrap(), tokens).is_ok(), allowed, "{addr}");
        }
    }

    #[test]
    fn a_token_needs_a_label_and_a_scope() {
        let draw = |label: &str, scopes: &[Scope]| {
            let request = TokenRequest { label: label.into(), scopes: scopes.to_vec() };
            draw(jiff::Timestamp::UNIX_EPOCH, request).map_err(|problem| problem.field.unwrap())
        };
        assert_eq!(draw(" ", &[Scope::View]).unwrap_err(), "label");
        assert_eq!(draw("bot", &[]).unwrap_err(), "scopes");
        let (one, _) = draw("bot", &[Scope::View, Scope::View]).unwrap();
        let (two, _) = draw("bot", &[Scope::View]).unwrap();
        assert!(one.token != two.token && one.token.starts_with("sluice_") && one.scopes.len() == 1);
        assert!(!format!("{one:?}").contains(&one.token));
    }
}
