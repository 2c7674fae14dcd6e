//! Azurite, Microsoft's own emulator of Azure Blob Storage, on loopback: started once, ended with the test program.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use plumb::inventory::{Location, Settings};

use super::program::{Program, missing};

/// The account that every emulator has, and its key: both are printed in Microsoft's documentation.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

struct Server {
    host: String,
    _program: Program,
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();
static CONTAINERS: AtomicU32 = AtomicU32::new(0);

/// An empty folder in a new container.
pub(crate) fn location() -> Option<Location> {
    let server = SERVER.get_or_init(start).as_ref()?;
    let container = format!("container-{}", CONTAINERS.fetch_add(1, Ordering::Relaxed));
    make_container(&server.host, &container);
    let endpoint = format!("http://{}/{ACCOUNT}", server.host);
    let settings = [
        ("azure_storage_account_name", ACCOUNT),
        ("azure_storage_account_key", KEY),
        ("azure_storage_endpoint", endpoint.as_str()),
    ];
    let settings = Settings(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
    Some(Location::Az { container, prefix: "team/a".into(), settings })
}

/// Makes a container by a request that is signed with the shared key.
fn make_container(host: &str, container: &str) {
    let date = "Wed, 25 Nov 2026 00:00:00 GMT";
    let version = "2021-08-06";
    let signed = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n/{ACCOUNT}/{ACCOUNT}/{container}\n\
         restype:container"
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    let request = format!(
        "PUT /{ACCOUNT}/{container}?restype=container HTTP/1.1\r\nHost: {host}\r\nx-ms-date: {date}\r\n\
         x-ms-version: {version}\r\nAuthorization: SharedKey {ACCOUNT}:{signature}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).unwrap();
    assert!(status.contains(" 201 "), "no container: {status}");
}

fn start() -> Option<Server> {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("tools");
    let script = tools.join("azurite/node_modules/azurite/dist/src/blob/main.js");
    if !script.is_file() {
        return missing("Azurite");
    }
    let mut command = Command::new("node");
    command.arg(script).args(["--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", "0"]);
    command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
    command.current_dir(&tools);
    let (program, host) =
        Program::start(&command, |line| Some(line.split_once("listens on http://")?.1.trim().to_owned()));
    Some(Server { host, _program: program })
}
