//! Claims: what a stack is about to own that others could take at the same instant. They are made under the stack's
//! lock, and dropped by it, so that of two stacks that want one live object one is refused.

use serde::{Deserialize, Serialize};

/// One live object that a stack is about to own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Base URL of the account.
    pub account: String,
    /// `api/Kind`, or `api/Kind#field` for an entry inside.
    pub kind: String,
    /// Id of the live object, with its parent's where it is unique below one only.
    pub id: String,
    /// Address that is to own it.
    pub address: String,
}

impl Claim {
    /// Claims the live object `id` for an address, in the account at `url`.
    pub fn new(url: &str, address: &str, id: &str) -> Self {
        Self {
            account: url.trim_end_matches('/').to_owned(),
            kind: super::owners::kind(address),
            id: id.to_owned(),
            address: address.to_owned(),
        }
    }

    /// Whether two claims are for one live object.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.account, &self.kind, &self.id) == (&other.account, &other.kind, &other.id)
    }
}
