//! Secrets: where they come from, and the one place that knows their texts. Everything else handles keyed hashes.

mod exec;
mod mask;
mod resolve;
pub mod sink;
mod upload;
mod vault;

pub use self::{
    resolve::{ResolvePolicy, resolve, resolve_with},
    vault::Vault,
};
