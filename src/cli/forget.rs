//! `plumb forget`: takes objects out of the ownership record; the live ones stay.

use clap::Args;

/// Take objects out of the ownership record; the live ones stay
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb forget itglue/Password/happy-frog-admin
  plumb forget itglue/FlexibleAssetType/email#fields/Type

An object whose manifest is still there is adopted again by the next apply.")]
pub struct ForgetArgs {
    /// Addresses of the objects, as `plumb inventory list` prints them
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
}
