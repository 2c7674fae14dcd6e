//! Addresses: how people and plans name a manifest or an entry inside one (`itglue/Organization/happy-frog`,
//! `itglue/FlexibleAssetType/email#fields/Type`).

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The name of one declared object within a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Name of the API.
    pub api: Arc<str>,
    /// Kind of the manifest.
    pub kind: Arc<str>,
    /// Namespace, where there is one.
    pub namespace: Option<Arc<str>>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// Field and key of an entry inside the manifest.
    pub entry: Option<(Arc<str>, Arc<str>)>,
}

impl Address {
    /// Address of a manifest.
    pub fn new(api: &str, kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            api: api.into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: name.into(),
            entry: None,
        }
    }

    /// Address of an entry inside this manifest.
    #[must_use]
    pub fn entry(&self, field: &str, key: &str) -> Self {
        Self { entry: Some((field.into(), key.into())), ..self.clone() }
    }

    /// Address of the manifest that an entry is inside; a manifest's own otherwise.
    #[must_use]
    pub fn manifest(&self) -> Self {
        Self { entry: None, ..self.clone() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.api, self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)?;
        if let Some((field, key)) = &self.entry {
            write!(f, "#{field}/{}", escape(key))?;
        }
        Ok(())
    }
}

/// An address that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address: expected `api/Kind/name`, or `api/Kind/name#field/key` for an entry inside")]
pub struct BadAddress(pub String);

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        let (head, entry) = match text.split_once('#') {
            Some((head, entry)) => (head, Some(entry.split_once('/').ok_or_else(bad)?)),
            None => (text, None),
        };
        let parts: Vec<&str> = head.split('/').collect();
        let (api, kind, namespace, name) = match parts[..] {
            [api, kind, name] => (api, kind, None, name),
            [api, kind, namespace, name] => (api, kind, Some(namespace), name),
            _ => return Err(bad()),
        };
        if [api, kind, name].iter().any(|part| part.is_empty()) {
            return Err(bad());
        }
        let address = Self::new(api, kind, namespace, name);
        Ok(match entry {
            Some((field, key)) => address.entry(field, &unescape(key)),
            None => address,
        })
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Escapes a JSON pointer segment (RFC 6901).
pub fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// Undoes [`escape`].
pub fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_they_print() {
        for text in [
            "itglue/Organization/happy-frog",
            "itglue/Organization/team-a/happy-frog",
            "itglue/FlexibleAssetType/email#fields/A~1B ~0 C",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert!("itglue/Organization".parse::<Address>().is_err());
        assert!("itglue//x".parse::<Address>().is_err());
    }
}
