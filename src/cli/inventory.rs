//! `plumb inventory`: what the stack owns, and mending the record of it.

use clap::{Args, Subcommand};

use super::output::{Output, TextOrJson};

/// Look into the ownership record, and mend it
#[derive(Debug, Clone, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  plumb inventory list
  plumb inventory show itglue/Organization/happy-frog
  plumb inventory rebuild                 after the record was lost: find what the manifests declare by natural key
  plumb --inventory s3://bucket/stack inventory unlock"
)]
pub struct InventoryArgs {
    #[command(flatten)]
    pub output: Output<TextOrJson>,

    /// What to do with it.
    #[command(subcommand)]
    pub verb: InventoryVerb,
}

/// What to do with the ownership record.
#[derive(Debug, Clone, Subcommand)]
pub enum InventoryVerb {
    /// List the owned objects
    List,
    /// Show what is recorded of one object
    Show {
        /// Address of the object
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    /// Find what the manifests declare by natural key, and record it as owned
    Rebuild {
        /// Record the objects as created by plumb rather than adopted: they may be deleted again
        #[arg(long)]
        as_created: bool,
    },
    /// Break the lease of a writer that died
    Unlock,
}
