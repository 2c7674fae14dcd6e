//! One request on the wire: sent, read up to a limit, and failures sorted by whether the server may have seen it.

use std::{error::Error, future::Future, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Request,
    header::{CONTENT_ENCODING, HeaderMap},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::watch, time::Instant};

use super::spec::{Pace, Transport};

/// An answer as it came.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It never reached the server; `lasting` where another attempt would not either.
    NotSent { reason: String, lasting: bool },
    /// It was sent, and no whole answer came; `slow` where time ran out.
    Unanswered { reason: String, slow: bool },
    /// The answer is longer than anybody wants.
    TooLarge,
}

/// Sends requests.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    client: Client,
    pace: Pace,
}

impl Wire {
    /// Sets the client up: no redirects, TLS verified, proxies from the environment but for loopback.
    pub(super) fn new(
        pace: &Pace,
        transport: &Transport,
        only_loopback: bool,
        only_plain: bool,
    ) -> Result<Self, String> {
        let mut builder = Client::builder()
            .user_agent(concat!("plumb/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(pace.connect)
            .read_timeout(pace.silence)
            .timeout(pace.total)
            // Shorter than servers keep idle connections, so that no create meets one that is just being closed.
            .pool_idle_timeout(Duration::from_secs(20))
            .tcp_keepalive(Duration::from_secs(30));
        if let Some(proxy) = &transport.proxy {
            let proxy =
                reqwest::Proxy::all(proxy).map_err(|error| format!("the proxy cannot be used: {}", reason(&error)))?;
            builder = builder.no_proxy().proxy(proxy);
        } else if only_loopback {
            builder = builder.no_proxy();
        }
        let certificates = certificates(&transport.ca)?;
        if !certificates.is_empty() {
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some((certificate, key)) = &transport.identity {
            let pem = SecretString::from(format!("{}\n{}", certificate.expose_secret(), key.expose_secret()));
            let identity = reqwest::Identity::from_pem(pem.expose_secret().as_bytes())
                .map_err(|_| "the client certificate and its key are no PEM of a certificate and a key".to_owned())?;
            builder = builder.identity(identity);
        }
        if transport.insecure_skip_verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if only_plain {
            // The machine's certificates are not read where no TLS is spoken.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| reason(&error))?;
        Ok(Self { client, pace: *pace })
    }

    /// Sends a request and reads the answer, for `limit` at the longest.
    pub(super) async fn fetch(&self, mut request: Request, limit: Option<Duration>) -> Result<Raw, Failure> {
        let total = limit.map_or(self.pace.total, |limit| limit.min(self.pace.total));
        *request.timeout_mut() = Some(total);
        let started = Instant::now();
        let mut response = self.client.execute(request).await.map_err(|error| failure(&error, started, 0))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let most = self.pace.largest_body;
        let announced = response.content_length().filter(|_| !headers.contains_key(CONTENT_ENCODING)).unwrap_or(0);
        if usize::try_from(announced).unwrap_or(usize::MAX) > most {
            return Err(Failure::TooLarge);
        }
        let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0).min(1 << 20));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > most => return Err(Failure::TooLarge),
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(Raw { status, headers, body: body.freeze() }),
                Err(error) => return Err(failure(&error, started, body.len())),
            }
        }
    }
}

fn certificates(bundles: &[SecretString]) -> Result<Vec<reqwest::Certificate>, String> {
    let mut out = Vec::new();
    for bundle in bundles {
        let some = reqwest::Certificate::from_pem_bundle(bundle.expose_secret().as_bytes()).unwrap_or_default();
        if some.is_empty() {
            return Err("the CA has no certificate in PEM form".into());
        }
        out.extend(some);
    }
    Ok(out)
}

fn failure(error: &reqwest::Error, started: Instant, read: usize) -> Failure {
    let seconds = started.elapsed().as_secs_f64();
    if error.is_builder() {
        return Failure::NotSent { reason: reason(error), lasting: true };
    }
    if error.is_connect() {
        if error.is_timeout() {
            return Failure::NotSent { reason: format!("no connection within {seconds:.0} s"), lasting: false };
        }
        let reason = reason(error);
        let lasting = reason.contains("certificate");
        return Failure::NotSent { reason, lasting };
    }
    if error.is_timeout() {
        let reason = format!("it was not complete after {seconds:.1} s, with {read} bytes of its body read");
        return Failure::Unanswered { reason, slow: true };
    }
    let mut reason = reason(error);
    if read > 0 {
        reason = format!("it broke off after {read} bytes ({reason})");
    }
    Failure::Unanswered { reason, slow: false }
}

/// The innermost cause, which says most; outer ones repeat the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    let mut refused_certificate = false;
    while let Some(source) = innermost.source() {
        innermost = source;
        refused_certificate |= innermost.to_string().contains("certificate");
    }
    if innermost.source().is_none() && innermost.is::<reqwest::Error>() {
        return "the request is not valid".into();
    }
    let text = innermost.to_string();
    if refused_certificate {
        let why = text.strip_prefix("invalid peer certificate: ").unwrap_or(&text);
        return format!("the server's certificate is not accepted ({why})");
    }
    text
}

/// Whether the run was interrupted.
#[derive(Debug)]
pub(super) struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    pub(super) fn set(&self) {
        self.0.send_replace(true);
    }

    /// Waits for something, unless the run is interrupted.
    pub(super) async fn unless<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut stopped = self.0.subscribe();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => None,
            value = future => Some(value),
        }
    }
}
