//! TCP for the engine: a port on loopback that passes the bytes of an ssh connection on to one server, and ends it when
//! the server says nothing for too long. The bytes are encrypted from end to end; the host key is checked by the engine.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{Gateway, GitError, Limits, Trouble};

/// An open tunnel; it closes when dropped.
pub(super) struct Tunnel {
    /// The port on loopback.
    pub port: u16,
    fault: Arc<Mutex<Option<GitError>>>,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens a tunnel to a host.
    pub(super) fn open(gateway: &Gateway, host: &str, port: u16, limits: Limits) -> Result<Self, GitError> {
        let failed = |error: std::io::Error| {
            GitError::new(Trouble::Setting, format!("No port on loopback can be opened for fetches ({error})."))
        };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?.port();
        let fault = Arc::new(Mutex::new(None));
        let (kept, host) = (fault.clone(), host.to_owned());
        let task = gateway.handle.spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            let until = tokio::time::Instant::from_std(Instant::now() + limits.total);
            while let Ok((near, _)) = listener.accept().await {
                if let Err(error) = carry(near, &host, port, limits, until).await {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        });
        Ok(Self { port: local, fault, task })
    }

    /// What went wrong on the way.
    pub(super) fn fault(&self) -> Option<GitError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(
    mut near: TcpStream,
    host: &str,
    port: u16,
    limits: Limits,
    until: tokio::time::Instant,
) -> Result<(), GitError> {
    let connected = tokio::time::timeout(limits.connect, TcpStream::connect((host, port))).await;
    let mut far = match connected {
        Ok(Ok(far)) => far,
        Ok(Err(error)) => {
            return Err(GitError::new(Trouble::Unreachable, format!("`{host}:{port}` cannot be reached ({error}).")));
        }
        Err(_) => {
            return Err(GitError::new(Trouble::TimedOut, format!("`{host}:{port}` does not answer.")));
        }
    };
    // Small packets of a handshake must not wait for one another.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut near_read, mut near_write) = near.split();
    let (mut far_read, mut far_write) = far.split();
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 64 * 1024]);
    let mut seen = 0u64;
    let mut heard = tokio::time::Instant::now();
    loop {
        let quiet = heard + limits.idle;
        let wait = quiet.min(until);
        tokio::select! {
            read = near_read.read(&mut up) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(length) => {
                    let sent = far_write.write_all(up.get(..length).unwrap_or_default());
                    if !matches!(tokio::time::timeout(limits.idle, sent).await, Ok(Ok(()))) {
                        return Err(hung(host, limits.idle));
                    }
                }
            },
            read = far_read.read(&mut down) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(length) => {
                    heard = tokio::time::Instant::now();
                    seen += length as u64;
                    if seen > limits.bytes {
                        let message = format!("`{host}` sends more than {} bytes.", limits.bytes);
                        return Err(GitError::new(Trouble::TooLarge, message));
                    }
                    if near_write.write_all(down.get(..length).unwrap_or_default()).await.is_err() {
                        return Ok(());
                    }
                }
            },
            () = tokio::time::sleep_until(wait) => {
                if wait == until {
                    let message = format!("The fetch from `{host}` took too long and was given up.");
                    return Err(GitError::new(Trouble::TimedOut, message));
                }
                return Err(hung(host, limits.idle));
            }
        }
    }
}

fn hung(host: &str, idle: Duration) -> GitError {
    let message = format!("`{host}` hangs: it said nothing for {} seconds.", idle.as_secs().max(1));
    GitError::new(Trouble::TimedOut, message)
}
