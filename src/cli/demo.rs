//! `plumb demo`: the guided tour against simulated APIs.

use clap::{Args, builder::FalseyValueParser};

/// Take the guided tour: plan, apply and drift repair against simulated APIs
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb demo            needs no account and no network
  plumb demo --serve    keep the simulated APIs running afterwards, to try things by hand")]
pub struct DemoArgs {
    /// Keep the simulated APIs and the tour's folder until interrupted
    #[arg(long, env = "PLUMB_SERVE", value_parser = FalseyValueParser::new())]
    pub serve: bool,
}
