//! No secret of a test may be seen anywhere: all of them contain one mark, which is looked for in whatever spelling.
//!
//! What programs print is also kept below the folder of `TEST_OUTPUT`, where there is one, so that `tests/run` can look
//! through all of it at the end.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// What every secret of a test contains. URLs and JSON write it as it is, and both alphabets of base64 the same.
pub(crate) const MARK: &str = "correct-horse";

/// The mark as it is, in hex, and in base64 whatever stands before and after it.
fn spellings() -> Vec<String> {
    let hex: String = MARK.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut out = vec![MARK.to_owned(), hex.to_uppercase(), hex];
    for before in 0..3_usize {
        let padded = [&vec![0; before][..], MARK.as_bytes()].concat();
        let encoded = STANDARD_NO_PAD.encode(&padded);
        out.push(encoded[(before * 8).div_ceil(6)..padded.len() * 8 / 6].to_owned());
    }
    out
}

/// Where the mark is in some bytes, with what stands around it; also percent-encoded, and as UTF-16.
pub(crate) fn found(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let decoded = percent_encoding::percent_decode(bytes).decode_utf8_lossy().into_owned();
    let narrow: String = text.chars().filter(|letter| *letter != '\0').collect();
    for text in [text.as_ref(), &decoded, &narrow] {
        for spelling in spellings() {
            if let Some(at) = text.find(&spelling) {
                let start = text[..at].char_indices().rev().nth(300).map_or(0, |(at, _)| at);
                return Some(text[start..].chars().take(360 + spelling.len()).collect());
            }
        }
    }
    None
}

/// Insists that no secret is in some bytes, and keeps them for the look at the end.
pub(crate) fn assert_none(what: &str, bytes: &[u8]) {
    keep(bytes);
    if let Some(found) = found(bytes) {
        panic!("{what} has a secret: …{found}…");
    }
}

/// Insists that no file below a folder has a secret, but for those that `source` names: the secrets' own.
pub(crate) fn assert_none_below(folder: &Path, source: &dyn Fn(&Path) -> bool) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if source(&path) {
            continue;
        }
        if path.is_dir() {
            files += assert_none_below(&path, source);
        } else {
            assert_none(&path.display().to_string(), &fs::read(&path).unwrap());
            files += 1;
        }
    }
    files
}

fn keep(bytes: &[u8]) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Some(folder) = std::env::var_os("TEST_OUTPUT").filter(|_| !bytes.is_empty()) else { return };
    let name = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    fs::create_dir_all(&folder).unwrap();
    fs::write(Path::new(&folder).join(name), bytes).unwrap();
}

#[test]
fn the_mark_is_found_in_every_spelling() {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    for before in ["", "a", "ab", "abc", "ä"] {
        let secret = format!("{before}{MARK}-one?");
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for text in [secret.clone(), hex, percent, STANDARD.encode(&secret), URL_SAFE.encode(&secret)] {
            assert!(found(format!("in {text} here").as_bytes()).is_some(), "{text}");
        }
        assert!(found(&wide).is_some());
    }
    assert_eq!(found(b"a correct horse"), None);
}
