//! `plumb forget`: takes objects out of the ownership record; the live ones stay.

use clap::Args;

use super::{
    args::{Global, address},
    console::Console,
    exit::Exit,
    options,
};
use crate::{failure::Failure, pipeline};

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

/// Takes the objects out of the record.
pub(super) async fn run(global: &Global, args: &ForgetArgs, console: &mut Console) -> Result<Exit, Failure> {
    for text in &args.addresses {
        address("ADDRESS", text)?;
    }
    let options = options::base(global, console)?;
    for address in console.interrupt().or(Box::pin(pipeline::forget(&options, &args.addresses))).await? {
        console.print_line(format_args!("Forgot `{address}`; the live object stays."));
    }
    Ok(Exit::Done)
}
