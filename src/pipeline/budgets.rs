//! Where machines share the budgets of credentials: beside the remote inventory that they share.

use std::{fmt::Write as _, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};

use super::{Loaded, Options};
use crate::{
    http::{Board, Naming, Posted},
    inventory::{self, Inventory},
    secret::Vault,
};

/// Where the machines that share a stack's inventory share the budgets of its credentials, too.
pub(super) fn board(loaded: &Loaded, vault: &Arc<Vault>, options: &Options) -> Option<(Arc<dyn Board>, Naming)> {
    let notices = Inventory::notices(&loaded.location(options).ok().filter(|_| !options.sandbox)?)?;
    let vault = vault.clone();
    // Machines that share an inventory share the key of its hashes.
    let naming: Naming = Arc::new(move |fingerprint: &[u8]| {
        let mut text = String::from("budget ");
        for byte in fingerprint {
            let _ = write!(text, "{byte:02x}");
        }
        vault.hash(&text)
    });
    Some((Arc::new(Beside(notices)), naming))
}

/// The documents beside a remote inventory.
struct Beside(Arc<dyn inventory::Board>);

impl Board for Beside {
    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Posted> {
        async { self.0.read(name).await.map_err(|error| error.to_string()) }.boxed()
    }

    fn replace<'a>(
        &'a self,
        name: &'a str,
        text: Vec<u8>,
        version: Option<String>,
    ) -> BoxFuture<'a, Result<bool, String>> {
        async move { self.0.replace(name, &text, version.as_deref()).await.map_err(|error| error.to_string()) }.boxed()
    }
}
