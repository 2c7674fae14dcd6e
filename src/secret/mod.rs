//! Secrets: where they come from, and the one place that knows their texts. Everything else handles keyed hashes.

mod cluster;
mod exec;
mod held;
mod mask;
mod policy;
mod process;
mod reach;
mod resolve;
mod sealed;
pub mod sink;
mod sink_secret;
mod sops;
mod spell;
mod text;
mod upload;
mod vault;

pub use self::{
    held::Secrets,
    mask::Mask,
    policy::{AgeKeys, Cluster, ResolvePolicy},
    process::{Masked, guard, learn, mask_leaves, masked},
    resolve::{resolve, resolve_with},
    vault::Vault,
};
