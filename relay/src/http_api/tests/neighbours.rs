//! The reconciler's neighbours, kept in memory: names that are held, papers that are stored, pictures that are live.

use crate::auth::TokenRecord;
use crate::http_api::{ClaimRegister, DataPlane, TokenStore};
use crate::streams::machine::Claim;
use crate::streams::ports::{Claims, Documents, NoClaim, NotRenewed, NotStored, Pending};
use crate::streams::spec::Spec;
use api::claims::{ClaimAction, ClaimGranted, ClaimRequest, ClaimView};
use api::streams::BroadcastView;
use api::{Problem, ProblemCode};
use media::StreamUrl;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Who holds which name. Tokens rise for ever.
#[derive(Default)]
pub(super) struct Names {
    held: Mutex<BTreeMap<String, (Uuid, Claim)>>,
    token: AtomicU64,
    pub(super) log: Mutex<Vec<String>>,
}

impl Names {
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// An encoder that no stream knows of.
    pub(super) fn hold(&self, name: &str) {
        let claim = Claim { id: Uuid::new_v4(), token: self.token.fetch_add(1, Ordering::Relaxed) };
        self.held.lock().unwrap().insert(name.into(), (Uuid::nil(), claim));
    }
}

impl Claims for Names {
    fn reserve(&self, spec: &Spec, _: Duration) -> Pending<Result<Claim, NoClaim>> {
        let mut held = self.held.lock().unwrap();
        let answer = match held.get(spec.name.as_str()) {
            Some((holder, claim)) if *holder == spec.id => Ok(*claim),
            Some(_) => Err(NoClaim::Held { holder: "encoder".into(), since: jiff::Timestamp::UNIX_EPOCH }),
            None => {
                let claim = Claim { id: Uuid::new_v4(), token: self.token.fetch_add(1, Ordering::Relaxed) };
                held.insert(spec.name.as_str().into(), (spec.id, claim));
                self.log.lock().unwrap().push(format!("reserve {}", spec.name));
                Ok(claim)
            }
        };
        Box::pin(async { answer })
    }

    fn renew(&self, _: Claim, _: Duration) -> Pending<Result<(), NotRenewed>> {
        Box::pin(async { Ok(()) })
    }

    fn release(&self, claim: Claim) -> Pending<()> {
        let mut held = self.held.lock().unwrap();
        let name = held.iter().find(|(_, (_, known))| *known == claim).map(|(name, _)| name.clone());
        if let Some(name) = name {
            held.remove(&name);
            self.log.lock().unwrap().push(format!("release {name}"));
        }
        Box::pin(async {})
    }

    fn publish_url(&self, spec: &Spec, claim: Claim, address: &str) -> String {
        format!("rtmp://{address}/{}?grant={}", spec.name.to_url_path(), claim.id)
    }
}

impl ClaimRegister for Names {
    fn list(&self) -> Pending<Vec<ClaimView>> {
        Box::pin(async { Vec::new() })
    }

    fn request(&self, _: &str, _: ClaimRequest, _: Option<String>) -> Pending<Result<ClaimGranted, Problem>> {
        Box::pin(async { Err(Problem::new(ProblemCode::Busy, "not in this test")) })
    }

    fn renew(&self, _: Uuid) -> Pending<Result<ClaimView, Problem>> {
        Box::pin(async { Err(Problem::new(ProblemCode::NotFound, "no such claim")) })
    }

    fn release(&self, _: Uuid, _: &str, _: ClaimAction) -> Pending<Result<(), Problem>> {
        Box::pin(async { Err(Problem::new(ProblemCode::NotFound, "no such claim")) })
    }

    fn seize(&self, _: Uuid, _: &str, _: ClaimAction) -> Pending<Result<(), Problem>> {
        Box::pin(async { Err(Problem::new(ProblemCode::StaleToken, "another has it")) })
    }
}

/// What is stored; may be told to fail.
#[derive(Default)]
pub(super) struct Papers {
    texts: Mutex<BTreeMap<Uuid, String>>,
    pub(super) is_full: std::sync::atomic::AtomicBool,
}

impl Papers {
    pub(super) fn all(&self) -> Vec<String> {
        self.texts.lock().unwrap().values().cloned().collect()
    }
}

impl Documents for Papers {
    fn load(&self) -> Pending<Result<Vec<(Uuid, String)>, NotStored>> {
        let texts = self.texts.lock().unwrap().clone().into_iter().collect();
        Box::pin(async { Ok(texts) })
    }

    fn save(&self, batch: Vec<(Uuid, Option<String>)>) -> Pending<Result<(), NotStored>> {
        if self.is_full.load(Ordering::Relaxed) {
            return Box::pin(async { Err(NotStored("the disk is full".into())) });
        }
        let mut texts = self.texts.lock().unwrap();
        for (id, text) in batch {
            match text {
                Some(text) => drop(texts.insert(id, text)),
                None => drop(texts.remove(&id)),
            }
        }
        Box::pin(async { Ok(()) })
    }
}

impl TokenStore for Papers {
    fn add(&self, _: TokenRecord) -> Pending<Result<(), NotStored>> {
        Box::pin(async { Ok(()) })
    }
}

/// What is live.
#[derive(Default)]
pub(super) struct Broadcasts(pub(super) Mutex<Vec<BroadcastView>>);

impl DataPlane for Broadcasts {
    fn broadcasts(&self) -> Vec<BroadcastView> {
        self.0.lock().unwrap().clone()
    }

    fn broadcast(&self, name: &StreamUrl) -> Option<BroadcastView> {
        self.broadcasts().into_iter().find(|broadcast| broadcast.name == name.as_str())
    }
}
