//! The keys of ssh servers that are known (`known_hosts`, hashed entries too) → whether a server is the one it claims
//! to be. A server that is not known is refused: nobody is there to ask.

use std::{fs, io, path::PathBuf};

use aws_lc_rs::{digest, hmac};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};

use super::{GitError, Trouble};

/// Where the keys of servers stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownHosts {
    /// In these files; one that is not there has none.
    Files(Vec<PathBuf>),
    /// In this text.
    Text(String),
}

impl Default for KnownHosts {
    fn default() -> Self {
        let mut files = Vec::new();
        if let Some(home) = std::env::home_dir() {
            files.push(home.join(".ssh/known_hosts"));
        }
        files.push(PathBuf::from("/etc/ssh/ssh_known_hosts"));
        Self::Files(files)
    }
}

/// How one line bears on a server.
#[derive(Debug, PartialEq, Eq)]
enum Bearing {
    Revoked,
    /// The line is for this very host and port.
    Exact,
    /// The line is for the host without a port, though the port is not 22.
    WithoutPort,
}

impl KnownHosts {
    fn texts(&self) -> Result<Vec<(String, String)>, GitError> {
        match self {
            Self::Text(text) => Ok(vec![("the configured known hosts".to_owned(), text.clone())]),
            Self::Files(files) => {
                let mut texts = Vec::new();
                for file in files {
                    match fs::read(file) {
                        Ok(bytes) => {
                            texts.push((file.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
                        }
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => {
                            let message = format!("`{}` cannot be read ({error}).", file.display());
                            return Err(GitError::new(Trouble::Setting, message));
                        }
                    }
                }
                Ok(texts)
            }
        }
    }

    fn places(&self) -> String {
        match self {
            Self::Text(_) => "the configured known hosts".to_owned(),
            Self::Files(files) => {
                files.iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>().join(" and ")
            }
        }
    }

    /// Checks the key that a server shows, in its wire form.
    pub fn check(&self, host: &str, port: u16, key: &[u8]) -> Result<(), GitError> {
        let kind = kind_of(key);
        let scan = if port == 22 { format!("ssh-keyscan {host}") } else { format!("ssh-keyscan -p {port} {host}") };
        let mut known = false;
        let (mut changed, mut others) = (None, Vec::new());
        for (file, text) in self.texts()? {
            for (number, line) in text.lines().enumerate() {
                let Some((bearing, line_kind, line_key)) = read(line, host, port) else { continue };
                let same = line_key == key;
                match bearing {
                    Bearing::Revoked if same => {
                        let message =
                            format!("The key that `{host}` shows is revoked in `{file}`, line {}.", number + 1);
                        return Err(GitError::new(Trouble::Identity, message)
                            .hint("Do not use this server until you know why."));
                    }
                    Bearing::Exact | Bearing::WithoutPort if same => known = true,
                    Bearing::Exact if line_kind == kind => {
                        changed.get_or_insert((file.clone(), number + 1, fingerprint(&line_key)));
                    }
                    Bearing::Exact => others.push(line_kind),
                    Bearing::Revoked | Bearing::WithoutPort => {}
                }
            }
        }
        if known {
            return Ok(());
        }
        let shown = fingerprint(key);
        if let Some((file, line, expected)) = changed {
            let message = format!(
                "The host key of `{host}` has changed: it shows the {kind} key {shown}, and `{file}`, line {line}, has {expected}."
            );
            return Err(GitError::new(Trouble::Identity, message)
                .hint("Somebody may be in between. Ask who runs the server before you replace that line."));
        }
        if !others.is_empty() {
            others.sort();
            others.dedup();
            let message = format!(
                "`{host}` shows its {kind} key {shown}, and only its {} key is known.",
                others.join(" and its ")
            );
            return Err(GitError::new(Trouble::Identity, message).hint(format!(
                "Compare it with what the server's operator publishes, and add it too: `{scan}` prints all keys of a server."
            )));
        }
        let message = format!("The ssh server `{host}` is not known: it shows the {kind} key {shown}.");
        Err(GitError::new(Trouble::Identity, message).hint(format!(
            "Compare it with what the server's operator publishes, and add the line that `{scan}` prints to {}.",
            self.places()
        )))
    }
}

/// The name of a key's type, which its wire form begins with.
fn kind_of(key: &[u8]) -> String {
    let length = key.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    key.get(4..4 + length.min(64))
        .map_or_else(|| "unknown".to_owned(), |name| String::from_utf8_lossy(name).into_owned())
}

/// A key's fingerprint, as `ssh` prints it.
fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, key)))
}

/// What a line says about a server: how it bears on it, and the key.
fn read(line: &str, host: &str, port: u16) -> Option<(Bearing, String, Vec<u8>)> {
    let mut words = line.split_whitespace();
    let mut names = words.next()?;
    let mut revoked = false;
    if names.starts_with('@') {
        if names != "@revoked" {
            return None;
        }
        revoked = true;
        names = words.next()?;
    }
    if names.starts_with('#') {
        return None;
    }
    let kind = words.next()?.to_owned();
    let key = STANDARD.decode(words.next()?).ok()?;
    let exact = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
    let bearing = if matches(names, &exact) {
        Bearing::Exact
    } else if port != 22 && matches(names, host) {
        Bearing::WithoutPort
    } else {
        return None;
    };
    Some((if revoked { Bearing::Revoked } else { bearing }, kind, key))
}

/// Whether a line's names (patterns, or one hash) have a server's name.
fn matches(names: &str, host: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        let Some((salt, hash)) = hashed.split_once('|') else { return false };
        let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
        return hmac::verify(&key, host.as_bytes(), &hash).is_ok();
    }
    let mut found = false;
    for pattern in names.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if glob(pattern.as_bytes(), host.as_bytes()) => return false,
            Some(_) => {}
            None => found |= glob(pattern.as_bytes(), host.as_bytes()),
        }
    }
    found
}

/// `*` and `?`, without a difference between small and capital letters.
pub(super) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(letter)
                if *letter == b'?' || text.get(from).is_some_and(|other| letter.eq_ignore_ascii_case(other)) =>
            {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((back, eaten)) => {
                    at = back + 1;
                    from = eaten + 1;
                    star = Some((back, eaten + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, fill: u8) -> Vec<u8> {
        let mut key = u32::try_from(kind.len()).unwrap().to_be_bytes().to_vec();
        key.extend(kind.as_bytes());
        key.extend([0, 0, 0, 4, fill, fill, fill, fill]);
        key
    }

    fn line(names: &str, kind: &str, fill: u8) -> String {
        format!("{names} {kind} {} comment\n", STANDARD.encode(key(kind, fill)))
    }

    fn check(text: &str, host: &str, port: u16, fill: u8) -> Result<(), GitError> {
        KnownHosts::Text(text.to_owned()).check(host, port, &key("ssh-ed25519", fill))
    }

    #[test]
    fn names_ports_patterns_and_hashes_are_found() {
        let salt = [7; 20];
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt), b"[git.example]:2222");
        let hashed = format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(tag));
        for (names, host, port) in [
            ("git.example,10.0.0.1", "git.example", 22),
            ("[git.example]:2222", "git.example", 2222),
            ("git.example", "git.example", 2222),
            ("*.example", "git.example", 22),
            (hashed.as_str(), "git.example", 2222),
        ] {
            assert_eq!(check(&line(names, "ssh-ed25519", 1), host, port, 1), Ok(()), "{names}");
        }
        for names in ["other.example", "!git.example,*.example", "#git.example", hashed.as_str()] {
            assert!(check(&line(names, "ssh-ed25519", 1), "git.example", 22, 1).is_err(), "{names}");
        }
    }

    #[test]
    fn a_changed_key_another_type_and_a_stranger_are_told_apart() {
        let changed = check(&line("git.example", "ssh-ed25519", 1), "git.example", 22, 2).unwrap_err();
        assert!(changed.message.contains("has changed") && changed.message.contains("line 1"), "{changed}");
        let other = check(&line("git.example", "ssh-rsa", 1), "git.example", 22, 2).unwrap_err();
        assert!(other.message.contains("only its ssh-rsa key is known"), "{other}");
        let stranger = check("", "git.example", 2222, 2).unwrap_err();
        assert!(stranger.hints[0].contains("ssh-keyscan -p 2222 git.example"), "{stranger:?}");
        let text = format!("{}@revoked {}", line("git.example", "ssh-ed25519", 2), line("*", "ssh-ed25519", 2));
        assert!(check(&text, "git.example", 22, 2).unwrap_err().message.contains("revoked"));
        let authority = format!("@cert-authority {}", line("git.example", "ssh-ed25519", 2));
        assert!(check(&authority, "git.example", 22, 2).is_err());
    }
}
