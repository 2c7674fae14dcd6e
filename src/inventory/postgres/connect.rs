//! The URL of a database → a connection. TLS is verified wherever it is used, and used wherever the network is.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tokio_postgres::{
    Client, Config, NoTls,
    config::{Host, SslMode},
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use tokio_rustls::{
    Connect, TlsConnector, client,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use super::Trouble;
use crate::inventory::PostgresUrl;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a URL says.
#[derive(Debug)]
pub(super) struct Target {
    config: Config,
    tls: Option<Tls>,
}

/// Files that TLS needs; the machine's certificates count unless one is named.
#[derive(Debug, Default)]
struct Tls {
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Target {
    /// Reads a URL; the variables that other clients of PostgreSQL read fill in what it leaves out.
    pub(super) fn read(url: &PostgresUrl, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let (base, query) = url.text.split_once('?').unwrap_or((&url.text, ""));
        let mut mode = variable("PGSSLMODE");
        let mut tls = Tls {
            root: variable("PGSSLROOTCERT").map(Into::into),
            certificate: variable("PGSSLCERT").map(Into::into),
            key: variable("PGSSLKEY").map(Into::into),
        };
        let mut rest = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sslmode" => mode = Some(value.into_owned()),
                "sslrootcert" => tls.root = Some(value.into_owned().into()),
                "sslcert" => tls.certificate = Some(value.into_owned().into()),
                "sslkey" => tls.key = Some(value.into_owned().into()),
                _ => {
                    rest.append_pair(&name, &value);
                }
            }
        }
        // The parser of the URL takes a `+` for itself.
        let rest = rest.finish().replace('+', "%20");
        let text = zeroize::Zeroizing::new(format!("{base}?{rest}"));
        // Its messages may quote what is wrong; they quote no password, which can hold anything.
        let mut config = Config::from_str(&text).map_err(|error| reason(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("it names no host; write `postgres://USER@HOST/DATABASE`".into());
        }
        if config.get_user().is_none() {
            config.user(variable("PGUSER").or_else(|| variable("USER")).unwrap_or_else(|| "plumb".into()));
        }
        if let Some(password) = variable("PGPASSWORD").filter(|_| config.get_password().is_none()) {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("plumb");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        config.tcp_user_timeout(Duration::from_secs(30));
        let here =
            config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback) && config.get_hosts().iter().all(is_here);
        let wanted = match mode.as_deref() {
            // Where nobody can listen, it is not needed.
            None | Some("" | "prefer" | "allow") => !here,
            Some("require" | "verify-ca" | "verify-full") => true,
            Some("disable") => {
                if !here {
                    tracing::warn!("the connection to the inventory {url} is not encrypted (`sslmode=disable`)");
                }
                false
            }
            Some(_) => return Err("its `sslmode` is none of `disable`, `require`, `verify-full`".into()),
        };
        config.ssl_mode(if wanted { SslMode::Require } else { SslMode::Disable });
        Ok(Self { config, tls: wanted.then_some(tls) })
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Client, Trouble> {
        let connecting = async {
            match &self.tls {
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "the connection to the inventory ended");
                        }
                    });
                    Ok::<_, Trouble>(client)
                }
                Some(tls) => {
                    let connector = tls.connector().map_err(Trouble::Other)?;
                    let (client, connection) = self.config.connect(MakeTls(connector)).await?;
                    tokio::spawn(async move {
                        if let Err(error) = connection.await {
                            tracing::debug!(%error, "the connection to the inventory ended");
                        }
                    });
                    Ok(client)
                }
            }
        };
        timeout(PATIENCE, connecting).await.map_err(|_| Trouble::Closed("the server does not answer".into()))?
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// An error with what caused it.
fn reason(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", reason(source)),
        None => error.to_string(),
    }
}

impl Tls {
    fn connector(&self) -> Result<TlsConnector, String> {
        use rustls_platform_verifier::BuilderVerifierExt as _;

        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match self.root.as_ref().filter(|root| root.as_os_str() != "system") {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| format!("`{}`: {error}", path.display()))?;
                }
                builder.with_root_certificates(roots)
            }
            None => builder.with_platform_verifier().map_err(|error| error.to_string())?,
        };
        let mut config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let private = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| format!("the key `{}` cannot be read: {error}", key.display()))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, private)
                    .map_err(|error| format!("`{}`: {error}", certificate.display()))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err("`sslcert` and `sslkey` go together".into()),
        };
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong =
        |error: &dyn std::fmt::Display| format!("the certificates `{}` cannot be read: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    if found.is_empty() { Err(wrong(&"it has none")) } else { Ok(found) }
}

/// Makes connections with TLS for `tokio_postgres`.
struct MakeTls(TlsConnector);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for MakeTls {
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = std::io::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, std::io::Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        Ok(Handshake(self.0.clone(), name))
    }
}

struct Handshake(TlsConnector, ServerName<'static>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = std::io::Error;
    type Future = Shaking<S>;

    fn connect(self, stream: S) -> Shaking<S> {
        Shaking(self.0.connect(self.1, stream))
    }
}

struct Shaking<S>(Connect<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Shaking<S> {
    type Output = std::io::Result<Encrypted<S>>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx).map_ok(Encrypted)
    }
}

/// A stream with TLS.
struct Encrypted<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::inventory::Location;

    fn read(url: &str) -> Target {
        let Location::Postgres(url) = Location::parse(Some(url), Path::new(".")).unwrap() else { panic!("{url}") };
        Target::read(&url, &|name| (name == "PGPASSWORD").then(|| "hunter2".to_owned())).unwrap()
    }

    #[test]
    fn tls_is_used_unless_nobody_can_listen_or_the_url_says_no() {
        for (url, encrypted) in [
            ("postgres://db.example/plumb", true),
            ("postgres://db.example/plumb?sslmode=prefer", true),
            ("postgres://db.example/plumb?sslmode=disable", false),
            ("postgres://127.0.0.1/plumb", false),
            ("postgres://localhost:5433/plumb?sslmode=verify-full&sslrootcert=/ca.pem", true),
            ("postgres://%2Frun%2Fpostgresql/plumb", false),
            ("postgres:///plumb?host=/run/postgresql", false),
        ] {
            assert_eq!(read(url).tls.is_some(), encrypted, "{url}");
        }
        assert_eq!(read("postgres://db.example/x").config.get_password(), Some(&b"hunter2"[..]));
        assert_eq!(read("postgres://a:b@db.example/x").config.get_password(), Some(&b"b"[..]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for url in ["postgres:///x", "postgres://db/x?sslmode=maybe", "postgres://db/x?what=1", "postgres://db:x/y"] {
            assert_eq!(Location::parse(Some(url), Path::new(".")).unwrap_err().code, "PL0801", "{url}");
        }
    }
}
