//! An S3 server for the tests, moto's, on loopback: started once, ended with the test program.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use plumb::inventory::{Location, Settings};

/// The server ends when its standard input does, so that it never outlives the tests, however they end.
struct Server {
    endpoint: String,
    _child: Child,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static BUCKETS: AtomicU32 = AtomicU32::new(0);

/// An empty folder in a new bucket, or `None` (said in one line) where there is no server; that is a failure in CI.
pub(crate) fn location() -> Option<Location> {
    let server = SERVER.get_or_init(start).as_ref()?;
    let bucket = format!("bucket-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
    make_bucket(&server.endpoint, &bucket);
    let settings = [
        ("aws_endpoint_url", server.endpoint.as_str()),
        ("aws_access_key_id", "test"),
        ("aws_secret_access_key", "test"),
        ("aws_region", "us-east-1"),
    ];
    let settings = Settings(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    Some(Location::S3 { bucket, prefix: "team/a".into(), settings })
}

fn make_bucket(endpoint: &str, bucket: &str) {
    let (host, url) = (endpoint.trim_start_matches("http://").to_owned(), format!("/{bucket}"));
    let mut stream = std::net::TcpStream::connect(&host).unwrap();
    let request = format!("PUT {url} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).unwrap();
    assert!(status.contains(" 200 "), "no bucket: {status}");
}

fn start() -> Option<Server> {
    let Some(python) = python() else {
        let missing = "moto, the S3 server of the tests, is not installed: run `tests/run`";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/s3_server.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let port: u16 = port.trim().parse().expect("the S3 server tells its port");
    Some(Server { endpoint: format!("http://127.0.0.1:{port}"), _child: child })
}

/// The Python that has moto: the one that `tests/run` sets up, or the one on the path.
fn python() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    [tools.join("python/bin/python"), "python3".into()].into_iter().find(|python| {
        let check = Command::new(python).args(["-c", "import moto.server"]).stderr(Stdio::null()).status();
        check.is_ok_and(|status| status.success())
    })
}
