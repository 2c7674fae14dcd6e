//! One encrypted value: AES-256-GCM with a nonce of 32 bytes, the value's path authenticated along.

use aes_gcm::{
    AesGcm, KeyInit,
    aead::{Aead, Payload, generic_array::GenericArray},
    aes::{Aes256, cipher::consts::U32},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::tree::Kind;

const HEAD: &str = "ENC[AES256_GCM,data:";

/// The key that a file's values are encrypted with.
pub(super) struct DataKey(Zeroizing<[u8; 32]>);

/// A decrypted value.
pub(super) struct Plain {
    pub(super) text: Zeroizing<String>,
    pub(super) kind: Kind,
}

/// Whether a text has the form of an encrypted value.
pub(super) fn is_encrypted(text: &str) -> bool {
    Parts::read(text).is_some()
}

struct Parts<'t> {
    data: &'t str,
    iv: &'t str,
    tag: &'t str,
    kind: &'t str,
}

impl<'t> Parts<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let inner = text.strip_prefix(HEAD)?.strip_suffix(']')?;
        let (data, rest) = inner.split_once(",iv:")?;
        let (iv, rest) = rest.split_once(",tag:")?;
        let (tag, kind) = rest.split_once(",type:")?;
        Some(Self { data, iv, tag, kind })
    }
}

impl DataKey {
    /// Takes 32 bytes; nothing if there are more or fewer.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// Decrypts a value; it has to be the one that was put at this place.
    pub(super) fn decrypt(&self, text: &str, place: &str) -> Result<Plain, ()> {
        let parts = Parts::read(text).ok_or(())?;
        let bytes = |part: &str| STANDARD.decode(part).map_err(|_| ());
        let iv = bytes(parts.iv)?;
        if iv.len() != 32 {
            return Err(());
        }
        let mut sealed = bytes(parts.data)?;
        sealed.extend(bytes(parts.tag)?);
        let cipher = AesGcm::<Aes256, U32>::new(GenericArray::from_slice(&*self.0));
        let payload = Payload { msg: &sealed, aad: place.as_bytes() };
        let plain = cipher.decrypt(GenericArray::from_slice(&iv), payload).map(Zeroizing::new).map_err(|_| ())?;
        let text = Zeroizing::new(std::str::from_utf8(&plain).map_err(|_| ())?.to_owned());
        let kind = match parts.kind {
            "str" | "bytes" | "comment" => Kind::Text,
            "int" => Kind::Int,
            "float" => Kind::Float,
            "bool" => Kind::Bool,
            "time" => Kind::Time,
            _ => return Err(()),
        };
        Ok(Plain { text, kind })
    }
}
