//! Where the budgets of credentials are shared: in a folder of this machine, and beside a remote inventory.

use std::{fmt::Write as _, sync::Arc};

use futures::{FutureExt as _, future::BoxFuture};

use super::{Loaded, Options};
use crate::{
    http::{Board, Budgets, Naming},
    inventory::{self, Inventory},
    secret::Vault,
};

/// The budgets of a run, shared with whoever else uses the same credentials.
pub(super) fn shared(loaded: &Loaded, vault: &Arc<Vault>, options: &Options) -> Budgets {
    if options.sandbox {
        return Budgets::default();
    }
    let notices = loaded.location(options).ok().and_then(|location| Inventory::notices(&location));
    let vault = vault.clone();
    // Machines that share an inventory share the key of its hashes.
    let naming: Naming = Arc::new(move |fingerprint: &[u8]| {
        let mut text = String::from("budget ");
        for byte in fingerprint {
            let _ = write!(text, "{byte:02x}");
        }
        vault.hash(&text)
    });
    let board = notices.map(|notices| (Arc::new(Beside(notices)) as Arc<dyn Board>, naming));
    Budgets::shared(options.budgets.clone(), board)
}

/// The documents beside a remote inventory.
struct Beside(Arc<dyn inventory::Board>);

impl Board for Beside {
    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<(Vec<u8>, String)>, String>> {
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
