//! Secrets: where they come from, and the one place that knows their texts. Everything else handles keyed hashes.

mod exec;
mod key;
mod mask;
mod resolve;
mod upload;
mod vault;

pub use self::{
    key::{HashKey, KeyError},
    resolve::{ResolvePolicy, resolve, resolve_with},
    vault::Vault,
};
