//! `plumb import`: records that a manifest owns a live object, without writing anything to the API.

use clap::Args;

/// Record that a manifest owns a live object, without changing it
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb import itglue/Organization/happy-frog 1234
  plumb import itglue/Organization/happy-frog 'key:Happy Frog'

The next plan shows what differs. A sensitive value counts as applied, without being written.")]
pub struct ImportArgs {
    /// Address of the manifest
    #[arg(value_name = "ADDRESS")]
    pub address: String,

    /// Id of the live object, or its natural key: `33`, `id:33` or `key:Happy Frog/Email`
    #[arg(value_name = "ID|KEY")]
    pub object: String,
}
