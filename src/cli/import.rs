//! `plumb import`: records that a manifest owns a live object, without writing anything to the API.

use clap::Args;

use super::{
    args::{Global, address},
    console::Console,
    exit::Exit,
    options,
};
use crate::{failure::Failure, pipeline};

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

/// Records the ownership.
pub(super) async fn run(global: &Global, args: &ImportArgs, console: &mut Console) -> Result<Exit, Failure> {
    address("ADDRESS", &args.address)?;
    let options = options::base(global, console)?;
    let object = args.object.strip_prefix("id:").or_else(|| args.object.strip_prefix("key:")).unwrap_or(&args.object);
    let adopted = console.interrupt().or(Box::pin(pipeline::import(&options, &args.address, object))).await?;
    console.print_line(format_args!("Imported `{}`: it owns the live object `{}`.", adopted.address, adopted.id));
    Ok(Exit::Done)
}
