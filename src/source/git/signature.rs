//! Who signed a commit, checked against a list of those who may (`allowed_signers`, as `ssh-keygen` and Git read it).
//! Signatures by ssh keys are checked; `OpenPGP` signatures are not read yet, and count as none.

use std::collections::HashSet;

use git2::{Oid, Repository};
use jiff::{civil::DateTime, tz::TimeZone};
use ssh_key::{PublicKey, SshSig};

use super::{GitError, Trouble, known_hosts::glob};

/// The namespace of Git's signatures.
const NAMESPACE: &str = "git";

/// Those who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signer {
    principals: String,
    namespaces: Option<String>,
    after: Option<i64>,
    before: Option<i64>,
    key: PublicKey,
}

/// A signature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whose key it is, as the list says.
    pub principals: String,
    /// The key's fingerprint.
    pub fingerprint: String,
}

impl AllowedSigners {
    /// Reads a list; every line that cannot be read is an error, so that nobody is left out unnoticed.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        let mut signers = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let signer = signer(line).map_err(|why| {
                let message = format!("Line {} of the allowed signers cannot be read: {why}.", number + 1);
                GitError::new(Trouble::Setting, message).hint(
                    "A line is `PRINCIPALS [namespaces=\"git\",valid-after=\"YYYYMMDD\"] KEYTYPE KEY`, as `ssh-keygen` describes it.",
                )
            })?;
            signers.push(signer);
        }
        if signers.is_empty() {
            return Err(GitError::new(
                Trouble::Setting,
                "The list of allowed signers is empty: no commit could be accepted.",
            ));
        }
        Ok(Self { signers })
    }
}

/// Splits at blanks outside of double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.push(letter);
            }
            letter if letter.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => word.push(letter),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn signer(line: &str) -> Result<Signer, String> {
    let words = words(line);
    let [principals, rest @ ..] = &words[..] else { return Err("it is empty".to_owned()) };
    let (options, key) = match rest {
        [kind, key, ..] if PublicKey::from_openssh(&format!("{kind} {key}")).is_ok() => (None, format!("{kind} {key}")),
        [options, kind, key, ..] => (Some(options), format!("{kind} {key}")),
        _ => return Err("it has no key".to_owned()),
    };
    let key = PublicKey::from_openssh(&key).map_err(|error| format!("its key cannot be used ({error})"))?;
    let principals = principals.trim_matches('"').to_owned();
    let mut signer = Signer { principals, namespaces: None, after: None, before: None, key };
    for option in options.map(|options| split_options(options)).unwrap_or_default() {
        let (name, value) = option.split_once('=').map_or((option.as_str(), ""), |(name, value)| (name, value));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => signer.namespaces = Some(value.to_owned()),
            "valid-after" => signer.after = Some(time(value).ok_or_else(|| format!("`{value}` is no time"))?),
            "valid-before" => signer.before = Some(time(value).ok_or_else(|| format!("`{value}` is no time"))?),
            "cert-authority" => {
                return Err("certificate authorities are not supported: list the keys themselves".to_owned());
            }
            _ => return Err(format!("the option `{name}` is not known")),
        }
    }
    Ok(signer)
}

/// Splits options at commas outside of double quotes.
fn split_options(text: &str) -> Vec<String> {
    let (mut out, mut one, mut quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            ',' if !quoted => out.push(std::mem::take(&mut one)),
            letter => {
                quoted ^= letter == '"';
                one.push(letter);
            }
        }
    }
    out.push(one);
    out
}

/// Reads `YYYYMMDD[HHMM[SS]][Z]`: in the machine's time zone without the `Z`.
fn time(text: &str) -> Option<i64> {
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, TimeZone::UTC),
        None => (text, TimeZone::system()),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || ![8, 12, 14].contains(&digits.len()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i8>().ok());
    let year = digits.get(..4)?.parse().ok()?;
    let second = if digits.len() == 14 { number(12, 14)? } else { 0 };
    let (hour, minute) = if digits.len() > 8 { (number(8, 10)?, number(10, 12)?) } else { (0, 0) };
    let moment = DateTime::new(year, number(4, 6)?, number(6, 8)?, hour, minute, second, 0).ok()?;
    Some(moment.to_zoned(zone).ok()?.timestamp().as_second())
}

/// Checks the signature of a commit; `seconds` is when it says that it was committed.
pub(super) fn verify(
    repository: &Repository,
    commit: Oid,
    seconds: i64,
    allowed: &AllowedSigners,
) -> Result<Signature, GitError> {
    let wrong = |why: &str| GitError::new(Trouble::Signature, format!("The commit {commit} is refused: {why}."));
    let unsigned = || {
        wrong("it is not signed")
            .hint("Sign commits with an ssh key: `git config gpg.format ssh` and `commit.gpgsign true`.")
    };
    let (signature, payload) = repository.extract_signature(&commit, None).map_err(|_| unsigned())?;
    let text = signature.trim_ascii();
    if text.starts_with(b"-----BEGIN PGP") {
        return Err(wrong("it is signed by OpenPGP, which this version of plumb does not check")
            .hint("Sign with an ssh key: `git config gpg.format ssh`."));
    }
    let signature =
        SshSig::from_pem(text).map_err(|error| wrong(&format!("its signature cannot be read ({error})")))?;
    if signature.namespace() != NAMESPACE {
        return Err(wrong("its signature was made for something else than Git"));
    }
    let key = PublicKey::from(signature.public_key().clone());
    let fingerprint = key.fingerprint(ssh_key::HashAlg::Sha256).to_string();
    let mut why_not = HashSet::new();
    for signer in allowed.signers.iter().filter(|signer| signer.key.key_data() == signature.public_key()) {
        let namespaces = signer.namespaces.as_deref().unwrap_or(NAMESPACE);
        if !namespaces.split(',').any(|pattern| glob(pattern.trim().as_bytes(), NAMESPACE.as_bytes())) {
            why_not.insert("the key may not sign for Git");
        } else if signer.after.is_some_and(|after| seconds < after) {
            why_not.insert("the key was not valid yet when it was committed");
        } else if signer.before.is_some_and(|before| seconds > before) {
            why_not.insert("the key was not valid any more when it was committed");
        } else {
            return match signer.key.verify(NAMESPACE, &payload, &signature) {
                Ok(()) => Ok(Signature { principals: signer.principals.clone(), fingerprint }),
                Err(error) => Err(wrong(&format!("its signature does not hold ({error})"))),
            };
        }
    }
    let why = match why_not.into_iter().min() {
        Some(why) => format!("{why} ({fingerprint})"),
        None => format!("the key {fingerprint} is not among the allowed signers"),
    };
    Err(wrong(&why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn lines_are_read_with_their_options() {
        let text = format!(
            "# those\njane@x.example,*@y.example namespaces=\"file,git\",valid-after=\"20200101Z\",valid-before=\"20300101120000Z\" {KEY} note\nbob {KEY}\n"
        );
        let signers = AllowedSigners::parse(&text).unwrap().signers;
        assert_eq!((signers[0].after, signers[0].before), (Some(1_577_836_800), Some(1_893_499_200)));
        assert_eq!(signers[0].namespaces.as_deref(), Some("file,git"));
        assert_eq!(signers[1].principals, "bob");
    }

    #[test]
    fn what_cannot_be_read_leaves_nobody_out_unnoticed() {
        for line in [
            "",
            "jane",
            "jane ssh-ed25519 nonsense",
            &format!("jane valid-after=\"soon\" {KEY}"),
            &format!("jane what=\"x\" {KEY}"),
            &format!("*@x.example cert-authority {KEY}"),
        ] {
            assert!(AllowedSigners::parse(line).is_err(), "{line}");
        }
    }
}
