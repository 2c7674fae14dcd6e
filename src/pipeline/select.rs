//! Which of a stack's objects a run looks at: `--target`, `--exclude`, `-l`.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::{
    address::Address,
    diagnostic::{Diagnostic, nearest},
    failure::Failure,
    graph::Graph,
    manifest::Manifests,
};

/// Whether an object's labels are wanted.
pub type LabelTest = Arc<dyn Fn(&BTreeMap<String, String>) -> bool + Send + Sync>;

/// Which objects a run looks at.
#[derive(Clone, Default)]
pub struct Selection {
    /// Addresses of the objects; all where empty.
    pub targets: Vec<String>,
    /// Addresses of objects to leave out.
    pub excludes: Vec<String>,
    /// Which labels are wanted.
    pub labels: Option<LabelTest>,
}

impl Selection {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.excludes.is_empty() && self.labels.is_none()
    }

    /// The selected objects, by index; none where everything is. A target brings what it depends on and its entries.
    pub(super) fn indices(
        &self,
        manifests: &Manifests,
        graph: &Graph,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<Option<HashSet<usize>>, Failure> {
        if self.is_everything() {
            return Ok(None);
        }
        let mut chosen: HashSet<usize> = HashSet::new();
        if self.targets.is_empty() && self.labels.is_none() {
            chosen.extend(0..manifests.objects.len());
        }
        for target in &self.targets {
            chosen.extend(Self::find(target, manifests, "--target", diagnostics)?);
        }
        if let Some(labels) = &self.labels {
            chosen.extend(
                manifests
                    .objects
                    .iter()
                    .enumerate()
                    .filter(|(_, object)| labels(&object.labels))
                    .map(|(index, _)| index),
            );
            if chosen.is_empty() && !manifests.objects.is_empty() {
                let none = "No declared object has labels that `-l` asks for: nothing is looked at.";
                diagnostics.push(Diagnostic::warning("PL0210", none));
            }
        }
        if !self.targets.is_empty() {
            chosen = with_dependencies(&chosen, graph, manifests);
        }
        for exclude in &self.excludes {
            for index in Self::find(exclude, manifests, "--exclude", diagnostics)? {
                chosen.remove(&index);
            }
        }
        Ok(Some(chosen))
    }

    fn find(
        text: &str,
        manifests: &Manifests,
        flag: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<Vec<usize>, Failure> {
        let address: Address =
            text.parse().map_err(|error: crate::address::BadAddress| Failure::user(format!("`{flag}`: {error}.")))?;
        let found: Vec<usize> = manifests
            .objects
            .iter()
            .enumerate()
            .filter(|(_, object)| {
                object.address == address || (address.entry.is_none() && object.address.manifest() == address)
            })
            .map(|(index, _)| index)
            .collect();
        if found.is_empty() {
            let names: Vec<String> = manifests.objects.iter().map(|object| object.address.to_string()).collect();
            let mut wrong = Diagnostic::error("PL0210", format!("`{flag} {text}` names no declared object."));
            if let Some(near) = nearest(text, names.iter().map(String::as_str)) {
                wrong = wrong.hint(format!("Did you mean `{near}`?"));
            }
            diagnostics.push(wrong);
        }
        Ok(found)
    }
}

/// Objects and all that they depend on.
pub(super) fn with_dependencies(chosen: &HashSet<usize>, graph: &Graph, manifests: &Manifests) -> HashSet<usize> {
    let edges = graph.edges();
    let mut all = chosen.clone();
    let mut open: Vec<usize> = chosen.iter().copied().collect();
    while let Some(index) = open.pop() {
        for target in edges.get(index).into_iter().flatten() {
            if all.insert(*target) {
                open.push(*target);
            }
        }
    }
    // Some parents cannot be made without their entries, and hooks read them.
    for (index, object) in manifests.objects.iter().enumerate() {
        if object.parent.is_some_and(|parent| all.contains(&parent)) {
            all.insert(index);
        }
    }
    all
}
