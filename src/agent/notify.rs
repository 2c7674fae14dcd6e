//! A change of a stack's state → messages to those who want to know, once each.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use reqwest::redirect;
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::{config::NotifyConfig, metrics::Metrics, view::StackState};

/// Attempts at a message.
const ATTEMPTS: u32 = 4;

/// What is told.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What happened: `failed`, `drifted`, `pending` or `recovered`.
    pub event: &'static str,
    /// The agent.
    pub agent: String,
    /// The stack.
    pub stack: String,
    /// How it is.
    pub state: StackState,
    /// How it was.
    pub previous: StackState,
    /// Why, in a sentence.
    pub message: String,
    /// The commit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// Where more is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// When, RFC 3339.
    pub time: String,
}

/// The word for a change of state; nothing where it is not worth a message.
pub fn event(previous: StackState, state: StackState) -> Option<&'static str> {
    match (previous, state) {
        (before, after) if before == after => None,
        (_, StackState::Failed) => Some("failed"),
        (_, StackState::Drifted) => Some("drifted"),
        (_, StackState::Pending | StackState::Waiting) => Some("pending"),
        (StackState::Unknown, _) | (_, StackState::Unknown) => None,
        (_, StackState::Synced) => Some("recovered"),
    }
}

/// Sends messages.
#[derive(Clone)]
pub struct Notifier {
    client: reqwest::Client,
    metrics: Arc<Metrics>,
}

impl Notifier {
    /// Prepares for sending.
    pub fn new(metrics: Arc<Metrics>) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("plumb/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(20))
            .build()?;
        Ok(Self { client, metrics })
    }

    /// Tells somebody, who may be slow to answer.
    pub async fn tell(&self, whom: &NotifyConfig, notice: &Notice) {
        if !whom.on.is_empty() && !whom.on.iter().any(|event| event == notice.event) {
            return;
        }
        let body = if whom.slack { slack(notice) } else { serde_json::to_vec(notice).unwrap_or_default() };
        let mut delay = Duration::from_secs(1);
        for attempt in 1..=ATTEMPTS {
            let mut request = self
                .client
                .post(whom.url.expose_secret())
                .header("content-type", "application/json")
                .header("x-plumb-event", notice.event)
                .body(body.clone());
            if let Some(secret) = &whom.secret {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
                let tag = hmac::sign(&key, &body);
                let hex = tag.as_ref().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
                request = request.header("x-plumb-signature-256", format!("sha256={hex}"));
            }
            let trouble = match request.send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => {
                    let status = answer.status();
                    if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) {
                        tracing::warn!(notification = whom.name, %status, "a notification was refused");
                        self.metrics.feedback_failed();
                        return;
                    }
                    format!("status {status}")
                }
                // Its URL may be a secret.
                Err(error) => error.without_url().to_string(),
            };
            if attempt == ATTEMPTS {
                tracing::warn!(notification = whom.name, %trouble, "a notification could not be delivered");
                self.metrics.feedback_failed();
                return;
            }
            tokio::time::sleep(delay).await;
            delay *= 3;
        }
    }
}

/// The message as Slack and others take it.
fn slack(notice: &Notice) -> Vec<u8> {
    let safe = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let link = notice.link.as_ref().map(|link| format!(" <{}|details>", safe(link))).unwrap_or_default();
    let commit = notice.commit.get(..12).unwrap_or(&notice.commit);
    let at = if commit.is_empty() { String::new() } else { format!(" at `{}`", safe(commit)) };
    let text = format!("*{}* {}{at}: {}{link}", safe(&notice.stack), notice.event, safe(&notice.message));
    serde_json::to_vec(&serde_json::json!({ "text": text })).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_state_is_told_and_what_stays_is_not() {
        use StackState::{Drifted, Failed, Pending, Synced, Unknown};
        for (before, after, told) in [
            (Unknown, Synced, None),
            (Unknown, Failed, Some("failed")),
            (Synced, Synced, None),
            (Failed, Failed, None),
            (Synced, Drifted, Some("drifted")),
            (Drifted, Failed, Some("failed")),
            (Failed, Synced, Some("recovered")),
            (Synced, Pending, Some("pending")),
        ] {
            assert_eq!(event(before, after), told, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_message_cannot_mention_anybody() {
        let notice = Notice {
            event: "failed",
            agent: "plumb".into(),
            stack: "prod".into(),
            state: StackState::Failed,
            previous: StackState::Synced,
            message: "<!channel> & more".into(),
            commit: "0123456789abcdef".into(),
            link: Some("https://plumb.example/stacks/prod".into()),
            time: String::new(),
        };
        let text = String::from_utf8(slack(&notice)).unwrap();
        let expected =
            "*prod* failed at `0123456789ab`: &lt;!channel&gt; &amp; more <https://plumb.example/stacks/prod|details>";
        assert_eq!(text, format!("{{\"text\":\"{expected}\"}}"));
    }
}
