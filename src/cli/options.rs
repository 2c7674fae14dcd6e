//! Flags → the pipeline's options.

use std::sync::Arc;

use super::{
    args::{DeleteLimit, Global, Limits, Selection},
    console::Console,
};
use crate::{
    failure::Failure,
    pipeline::{self, Options},
    secret::ResolvePolicy,
};

/// The options that the global flags give. Reads standard input where it is among the inputs.
pub(super) fn base(global: &Global, console: &mut Console) -> Result<Options, Failure> {
    Ok(Options {
        inputs: global.inputs(),
        stdin: if global.reads_input() { Some(console.read_input()?) } else { None },
        inventory: global.inventory.clone(),
        connections: global.connections()?,
        allow_hosts: global.allow_host.clone(),
        allow_plaintext_secrets: global.allow_plaintext_secrets,
        secrets: ResolvePolicy { allow_exec: global.allow_exec, ..ResolvePolicy::default() },
        sandbox: global.sandbox,
        progress: console.progress(),
        stop: console.interrupt().flag(),
        budgets: console.budgets(),
        ..Options::default()
    })
}

/// The options of a run that plans.
pub(super) fn planning(
    global: &Global,
    selection: &Selection,
    limits: &Limits,
    console: &mut Console,
) -> Result<Options, Failure> {
    selection.check()?;
    Ok(Options {
        selection: selected(selection),
        prune: limits.prune,
        max_deletes: limits.deletes.max_deletes,
        adopt_roots: limits.adopt_roots,
        adopt_accounts: limits.adopt_accounts,
        keep_going: limits.keep_going,
        ..base(global, console)?
    })
}

/// The options of a run that deletes everything.
pub(super) fn destroying(
    global: &Global,
    selection: &Selection,
    deletes: &DeleteLimit,
    keep_going: bool,
    console: &mut Console,
) -> Result<Options, Failure> {
    let limits = Limits { deletes: deletes.clone(), keep_going, ..Limits::default() };
    planning(global, selection, &limits, console)
}

fn selected(selection: &Selection) -> pipeline::Selection {
    pipeline::Selection {
        targets: selection.target.clone(),
        excludes: selection.exclude.clone(),
        labels: selection
            .selector
            .clone()
            .map(|selector| -> pipeline::LabelTest { Arc::new(move |labels| selector.matches(labels)) }),
    }
}
