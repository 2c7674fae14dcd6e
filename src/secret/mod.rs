//! Secrets: where they come from, and the one place that knows their texts. Everything else handles keyed hashes.

mod cluster;
mod exec;
mod mask;
mod resolve;
pub mod sink;
mod upload;
mod vault;

pub use self::{
    cluster::Secrets,
    resolve::{ClusterSecrets, ResolvePolicy, resolve, resolve_with},
    vault::Vault,
};
