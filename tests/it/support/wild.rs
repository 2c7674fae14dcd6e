//! A server that answers HTTP as well or as badly as a test wants: its answers are a function of the request.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Null where there is none.
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is(&self, call: &str) -> bool {
        call.split_once(' ') == Some((&self.method, &self.path))
    }
}

/// What goes back.
pub(crate) enum Reply {
    /// Status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// The connection is reset instead.
    Reset,
    /// The connection is reset after the first bytes of a JSON body.
    Broken(String, usize),
    /// A JSON body, byte by byte.
    Drip(String, Duration),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, vec![("content-type", "application/vnd.api+json".into())], body.to_string())
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        let page = format!("<!doctype html><html><head><title>{title}</title></head><body>Hello</body></html>");
        Self::Answer(status, vec![("content-type", "text/html; charset=utf-8".into())], page)
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A server on loopback; it serves as long as the test's runtime.
pub(crate) struct Wild {
    pub(crate) url: String,
    log: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
}

impl Wild {
    pub(crate) async fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let handler: Arc<Handler> = Arc::new(handler);
        let (kept, count) = (log.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, handler.clone(), kept.clone()));
            }
        });
        Self { url, log, connections }
    }

    /// The requests so far, in the order in which they came.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn clear_log(&self) {
        self.log.lock().unwrap().clear();
    }

    /// `METHOD PATH` of the requests that write.
    pub(crate) fn writes(&self) -> Vec<String> {
        let log = self.log();
        let writes = log.iter().filter(|asked| asked.method != "GET");
        writes.map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }

    /// How often a call came.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.log().iter().filter(|asked| asked.is(call)).count()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, handler: Arc<Handler>, log: Arc<Mutex<Vec<Asked>>>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await {
        log.lock().unwrap().push(asked.clone());
        if answer(&mut stream, handler(&asked)).await.is_none() {
            let _ = stream.set_zero_linger();
            return;
        }
    }
}

/// Reads one request; nothing where the peer is gone.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    let body: Vec<u8> = buffer.drain(..length).collect();
    let url = url::Url::parse("http://server").unwrap().join(&target).unwrap();
    Some(Asked {
        method,
        path: url.path().to_owned(),
        query: url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut part = [0; 16 * 1024];
    match stream.read(&mut part).await {
        Ok(count) if count > 0 => {
            buffer.extend_from_slice(&part[..count]);
            Some(())
        }
        _ => None,
    }
}

/// Answers; nothing where the connection is not to be used any more.
async fn answer(stream: &mut TcpStream, reply: Reply) -> Option<()> {
    let head = |status: u16, headers: &[(&str, String)], length: usize| {
        let mut head = format!("HTTP/1.1 {status} Status\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if status != 204 {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head
    };
    let kind = [("content-type", "application/vnd.api+json".to_owned())];
    match reply {
        Reply::Answer(status, headers, body) => {
            let whole = head(status, &headers, body.len()) + &body;
            stream.write_all(whole.as_bytes()).await.ok()
        }
        Reply::Reset => None,
        Reply::Broken(body, length) => {
            stream.write_all(head(200, &kind, body.len()).as_bytes()).await.ok()?;
            stream.write_all(&body.as_bytes()[..length]).await.ok()?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
        Reply::Drip(body, pause) => {
            stream.write_all(head(200, &kind, body.len()).as_bytes()).await.ok()?;
            for byte in body.as_bytes() {
                stream.write_all(&[*byte]).await.ok()?;
                tokio::time::sleep(pause).await;
            }
            Some(())
        }
    }
}
