//! The `sops` member of a file: data keys by group, which values are encrypted, and the MAC.

use regex::Regex;

use super::{SopsError, tree::Node};

/// Members that hold data keys for others than age.
const OTHERS: [&str; 5] = ["pgp", "kms", "gcp_kms", "azure_kv", "hc_vault"];

/// What a file says about itself.
pub(super) struct Metadata {
    pub(super) groups: Vec<Group>,
    pub(super) threshold: usize,
    pub(super) rule: Rule,
    pub(super) mac: Option<String>,
    pub(super) mac_only_encrypted: bool,
    pub(super) last_modified: String,
}

/// Keys of which each opens the same.
#[derive(Default)]
pub(super) struct Group {
    pub(super) age: Vec<AgeKey>,
    /// Whom else it is for.
    pub(super) others: Vec<&'static str>,
}

/// A data key that was encrypted for an age recipient.
pub(super) struct AgeKey {
    pub(super) recipient: String,
    pub(super) encrypted: String,
}

/// Which values are encrypted, by the names on the way to them.
pub(super) enum Rule {
    AllBut(Test),
    Only(Test),
    /// By comments, which are not read: those that look so.
    AsTheyLook,
}

/// A test of a name.
pub(super) enum Test {
    Suffix(String),
    Regex(Regex),
}

impl Test {
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Suffix(suffix) => name.ends_with(suffix),
            Self::Regex(regex) => regex.is_match(name),
        }
    }
}

impl Rule {
    /// Whether a value is encrypted; nothing where its look decides.
    pub(super) fn covers(&self, path: &[String]) -> Option<bool> {
        match self {
            Self::AllBut(test) => Some(!path.iter().any(|name| test.fits(name))),
            Self::Only(test) => Some(path.iter().any(|name| test.fits(name))),
            Self::AsTheyLook => None,
        }
    }

    fn read(own: &Node) -> Result<Self, SopsError> {
        let given = |name: &str| own.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let regex = |name: &str| {
            let wrong = |_| SopsError::Metadata(format!("`{name}` is no regular expression"));
            given(name).map(|text| Regex::new(&text).map(Test::Regex).map_err(wrong)).transpose()
        };
        let mut rules = Vec::new();
        rules.extend(given("unencrypted_suffix").map(|suffix| Self::AllBut(Test::Suffix(suffix))));
        rules.extend(given("encrypted_suffix").map(|suffix| Self::Only(Test::Suffix(suffix))));
        rules.extend(regex("unencrypted_regex")?.map(Self::AllBut));
        rules.extend(regex("encrypted_regex")?.map(Self::Only));
        let by_comment = ["unencrypted_comment_regex", "encrypted_comment_regex"];
        rules.extend(by_comment.into_iter().filter_map(given).map(|_| Self::AsTheyLook));
        match (rules.pop(), rules.is_empty()) {
            (Some(rule), true) => Ok(rule),
            (None, _) => Ok(Self::AllBut(Test::Suffix("_unencrypted".to_owned()))),
            (Some(_), false) => Err(SopsError::Metadata("it has two rules of what is encrypted".to_owned())),
        }
    }
}

impl Metadata {
    /// Reads a `sops` member.
    pub(super) fn read(own: &Node) -> Result<Self, SopsError> {
        if !matches!(own, Node::Map(_)) {
            return Err(SopsError::Metadata("it is no map".to_owned()));
        }
        let whole = Group::read(own);
        let groups = if whole.age.is_empty() && whole.others.is_empty() {
            own.list("key_groups").iter().map(Group::read).collect()
        } else {
            vec![whole]
        };
        if groups.is_empty() {
            return Err(SopsError::Metadata("it has no data key".to_owned()));
        }
        let threshold = match own.text("shamir_threshold").map(str::parse) {
            Some(Ok(threshold)) if threshold > 0 => threshold,
            Some(Err(_)) => return Err(SopsError::Metadata("`shamir_threshold` is no number".to_owned())),
            _ => groups.len(),
        };
        Ok(Self {
            threshold,
            rule: Rule::read(own)?,
            mac: own.text("mac").map(str::to_owned),
            mac_only_encrypted: own.text("mac_only_encrypted").is_some_and(|text| text.eq_ignore_ascii_case("true")),
            last_modified: own.text("lastmodified").unwrap_or_default().to_owned(),
            groups,
        })
    }
}

impl Group {
    fn read(own: &Node) -> Self {
        let key = |key: &Node| {
            let recipient = key.text("recipient").unwrap_or_default().to_owned();
            Some(AgeKey { recipient, encrypted: key.text("enc")?.to_owned() })
        };
        let others = OTHERS.into_iter().filter(|name| !own.list(name).is_empty()).collect();
        Self { age: own.list("age").iter().filter_map(key).collect(), others }
    }
}
