//! Which of several replicas works: the one that holds a Lease. What it decides is a pure function of the Lease, who
//! asks, and for how long the Lease was seen unchanged; clocks of other machines count for nothing.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

/// How long a Lease lasts after its last renewal.
pub(super) const DURATION: Duration = Duration::from_secs(15);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(4);
/// How often somebody else's is looked at.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a holder leaves of its time: writes end before others may begin.
const MARGIN: Duration = Duration::from_secs(3);

/// What to do about a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Make it or take it.
    Take,
    /// Renew it.
    Renew,
    /// Leave it alone.
    Wait,
}

/// What to do about a Lease as it is, that was seen unchanged for so long.
fn decide(holder: Option<&str>, me: &str, unchanged: Duration, duration: Duration) -> Decision {
    match holder {
        None | Some("") => Decision::Take,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) if unchanged > duration => Decision::Take,
        Some(_) => Decision::Wait,
    }
}

/// The right to write, for as long as the Lease is renewed.
#[derive(Debug, Clone, Default)]
pub(super) struct Right(Arc<Mutex<Option<Instant>>>);

impl Right {
    /// A right that never ends: there is only one replica.
    pub(super) fn unlimited() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now() + Duration::from_hours(262_800)))))
    }

    /// Until when calls may be under way; in the past where the right is lost.
    pub(super) fn until(&self) -> Instant {
        let held = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.unwrap_or_else(|| Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now))
    }

    /// Whether it is held now.
    pub(super) fn is_held(&self) -> bool {
        self.until() > Instant::now()
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// The Lease of the operator.
pub(super) struct Election {
    api: Api<Lease>,
    name: String,
    me: String,
}

impl Election {
    pub(super) fn new(client: Client, namespace: &str, name: &str, me: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), me: me.to_owned() }
    }

    /// Waits until the Lease is this replica's; nothing where it was asked to stop before.
    pub(super) async fn win(&self, right: &Right, stop: &AtomicBool) -> Option<()> {
        let mut seen: Option<(Option<String>, Instant)> = None;
        let mut told = false;
        while !stop.load(Ordering::SeqCst) {
            let began = Instant::now();
            match self.attempt(&mut seen).await {
                Ok(true) => {
                    right.set(Some(began + DURATION.saturating_sub(MARGIN)));
                    tracing::info!("this replica holds the lease `{}`", self.name);
                    return Some(());
                }
                Ok(false) if !told => {
                    told = true;
                    tracing::info!("another replica holds the lease `{}`: waiting for it", self.name);
                }
                Ok(false) => {}
                Err(error) => tracing::warn!("the lease `{}` cannot be had: {error}", self.name),
            }
            pause(PATIENCE, stop).await;
        }
        None
    }

    /// Renews the Lease until it is lost; returns then, or when it was asked to stop.
    pub(super) async fn keep(&self, right: &Right, stop: &AtomicBool) {
        let mut seen = None;
        while !stop.load(Ordering::SeqCst) {
            pause(RENEWAL, stop).await;
            let began = Instant::now();
            if !right.is_held() {
                tracing::error!("the lease `{}` was not renewed in time: another replica may work now", self.name);
                break;
            }
            match tokio::time::timeout(RENEWAL, self.attempt(&mut seen)).await {
                Ok(Ok(true)) => right.set(Some(began + DURATION.saturating_sub(MARGIN))),
                Ok(Ok(false)) => {
                    tracing::error!("another replica took the lease `{}`", self.name);
                    break;
                }
                Ok(Err(error)) => tracing::warn!("the lease `{}` cannot be renewed: {error}", self.name),
                Err(_) => tracing::warn!("the lease `{}` cannot be renewed: the API server does not answer", self.name),
            }
        }
        if !stop.load(Ordering::SeqCst) {
            right.set(None);
        }
    }

    /// Gives the Lease back, so that another replica need not wait.
    pub(super) async fn release(&self, right: &Right) {
        right.set(None);
        let Ok(Some(mut lease)) = self.api.get_opt(&self.name).await else { return };
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if spec.holder_identity.as_deref() == Some(&self.me) {
            spec.holder_identity = None;
            spec.lease_duration_seconds = Some(1);
            if let Err(error) = self.api.replace(&self.name, &PostParams::default(), &lease).await {
                tracing::warn!("the lease `{}` could not be given back: {error}", self.name);
            }
        }
    }

    /// Takes or renews the Lease where that is right; whether it is this replica's then.
    async fn attempt(&self, seen: &mut Option<(Option<String>, Instant)>) -> Result<bool, kube::Error> {
        let now = Instant::now();
        let found = self.api.get_opt(&self.name).await?;
        let version = found.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if seen.as_ref().is_none_or(|(known, _)| *known != version) {
            *seen = Some((version, now));
        }
        let unchanged = seen.as_ref().map_or(Duration::ZERO, |(_, since)| now.duration_since(*since));
        let spec = found.as_ref().and_then(|lease| lease.spec.as_ref());
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
        let lasts = spec.and_then(|spec| u64::try_from(spec.lease_duration_seconds?).ok());
        let decision = decide(holder, &self.me, unchanged, lasts.map_or(DURATION, Duration::from_secs));
        if decision == Decision::Wait {
            return Ok(false);
        }
        let stamp = MicroTime(k8s_openapi::jiff::Timestamp::now());
        let taken = decision == Decision::Take;
        let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        let acquired = spec.and_then(|spec| spec.acquire_time.clone()).filter(|_| !taken);
        let spec = LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(acquired.unwrap_or_else(|| stamp.clone())),
            renew_time: Some(stamp),
            lease_transitions: Some(if taken { transitions + 1 } else { transitions }),
            ..LeaseSpec::default()
        };
        let written = if let Some(lease) = found {
            // The version of what was read goes along: of two that take it at once, one fails.
            let lease = Lease { spec: Some(spec), ..lease };
            self.api.replace(&self.name, &PostParams::default(), &lease).await
        } else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            self.api.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Waits, but not past the moment at which it is asked to stop.
pub(super) async fn pause(span: Duration, stop: &AtomicBool) {
    let until = Instant::now() + span;
    while Instant::now() < until && !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(50).min(span)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_when_free_or_stale_and_renewed_by_its_holder() {
        let (short, long) = (Duration::from_secs(1), DURATION + Duration::from_secs(1));
        assert_eq!(decide(None, "a", short, DURATION), Decision::Take);
        assert_eq!(decide(Some(""), "a", short, DURATION), Decision::Take);
        assert_eq!(decide(Some("a"), "a", short, DURATION), Decision::Renew);
        assert_eq!(decide(Some("b"), "a", short, DURATION), Decision::Wait);
        assert_eq!(decide(Some("b"), "a", long, DURATION), Decision::Take);
    }

    #[test]
    fn a_right_that_was_never_won_lies_in_the_past() {
        let right = Right::default();
        assert!(!right.is_held());
        right.set(Some(Instant::now() + DURATION));
        assert!(right.is_held());
        right.set(None);
        assert!(!right.is_held());
    }
}
