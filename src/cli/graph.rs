//! `plumb graph`: the dependency graph, coloured by planned action.

use clap::Args;

use super::{
    args::{Global, Limits, Selection},
    console::Console,
    exit::Exit,
    options,
    output::{GraphFormat, Output},
    show,
};
use crate::{failure::Failure, pipeline, plan::Mode, report::graph};

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

/// Plans, and prints the graph.
pub(super) async fn run(global: &Global, args: &GraphArgs, console: &mut Console) -> Result<Exit, Failure> {
    let options = options::planning(global, &args.selection, &Limits::default(), console)?;
    let planned = console.interrupt().or(Box::pin(pipeline::plan(&options, Mode::Plan))).await?;
    show::diagnostics(&planned.diagnostics, &planned.sources, console);
    let view = planned.graph_view();
    console.print(match args.output.format {
        GraphFormat::Dot => graph::dot(&view),
        GraphFormat::Mermaid => graph::mermaid(&view),
        GraphFormat::Svg => graph::svg(&view),
    });
    Ok(if planned.has_errors() { Exit::Error } else { Exit::Done })
}
