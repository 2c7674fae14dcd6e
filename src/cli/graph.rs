//! `plumb graph`: the dependency graph, coloured by planned action.

use clap::Args;

use super::{
    args::Selection,
    output::{GraphFormat, Output},
};

/// Print the dependency graph, coloured by planned action
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb graph | dot -Tpng > graph.png
  plumb graph -o svg > graph.svg
  plumb graph -o mermaid    for Markdown")]
pub struct GraphArgs {
    #[command(flatten)]
    pub output: Output<GraphFormat>,

    #[command(flatten)]
    pub selection: Selection,
}
