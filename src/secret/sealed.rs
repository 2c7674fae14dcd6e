//! Values of files that SOPS encrypted: each file is decrypted once in a run, by age keys that are read once.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    policy::AgeKeys,
    reach::Reach,
    sops::{self, Identities, Key, Opened},
    text::read_text,
};
use crate::{diagnostic::Diagnostic, value};

/// The files so far, and the keys.
#[derive(Default)]
pub(super) struct SealedFiles {
    files: HashMap<PathBuf, Result<Rc<Opened>, Diagnostic>>,
    identities: Option<Result<Rc<Identities>, Diagnostic>>,
}

impl SealedFiles {
    /// A value of a file that SOPS encrypted: `FILE`, `FILE#KEY`, or a map of the two.
    pub(super) fn value(
        &mut self,
        place: &Value,
        folder: &Path,
        reach: Reach<'_>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Zeroizing<String>, Diagnostic> {
        let (file, key) = if let Value::String(text) = place {
            match text.split_once('#') {
                Some((file, key)) => (file, Some(Key::parse(key))),
                None => (text.as_str(), None),
            }
        } else {
            let key = match place.get("key") {
                Some(Value::Array(steps)) => Some(Key::Path(steps.iter().filter_map(value::text).collect())),
                Some(key) => value::text(key).map(|key| Key::parse(&key)),
                None => None,
            };
            (place.get("file").and_then(Value::as_str).unwrap_or_default(), key)
        };
        let path = reach.place(folder, file);
        let wrong = |error: &sops::SopsError| {
            let told = Diagnostic::error("PL0317", format!("The file `{}` {error}", path.display()));
            let listed = matches!(reach.policy.age_keys, AgeKeys::Listed { .. });
            match error.hint() {
                Some(_) if listed && error.lacks_key() => {
                    told.hint("The configuration of the agent or the operator lists the files with age keys.")
                }
                Some(hint) => told.hint(hint),
                None => told,
            }
        };
        if !self.files.contains_key(&path) {
            let opened = reach.read(&path).and_then(|text| {
                let identities = self.identities(reach, environment)?;
                sops::open(&text, &identities).map(Rc::new).map_err(|error| wrong(&error))
            });
            self.files.insert(path.clone(), opened);
        }
        let opened = match self.files.get(&path) {
            Some(Ok(opened)) => opened.clone(),
            Some(Err(told)) => return Err(told.clone()),
            None => return Err(wrong(&sops::SopsError::Plain)),
        };
        match opened.get(key.as_ref()) {
            Ok(text) if !text.is_empty() => Ok(text),
            Ok(_) => {
                Err(Diagnostic::error("PL0317", format!("The file `{}` has an empty value there", path.display())))
            }
            Err(error) => Err(wrong(&error)),
        }
    }

    /// The age keys that the policy gives, read once.
    fn identities(
        &mut self,
        reach: Reach<'_>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Rc<Identities>, Diagnostic> {
        if let Some(known) = &self.identities {
            return known.clone();
        }
        let read = read_identities(reach, environment).map(Rc::new);
        self.identities = Some(read.clone());
        read
    }
}

fn read_identities(reach: Reach<'_>, environment: &dyn Fn(&str) -> Option<String>) -> Result<Identities, Diagnostic> {
    let mut identities = Identities::default();
    let bad = |place: &str, why: String| {
        Diagnostic::error("PL0318", format!("The age keys of {place} cannot be used ({why})"))
    };
    let mut files = Vec::new();
    match &reach.policy.age_keys {
        AgeKeys::Listed { files: listed, texts } => {
            files.extend(listed.iter().map(|path| (path.clone(), true)));
            for text in texts {
                identities.add(text).map_err(|why| bad("the configuration", why))?;
            }
        }
        AgeKeys::Usual => {
            let set = |name: &str| environment(name).filter(|text| !text.trim().is_empty()).map(Zeroizing::new);
            if let Some(text) = set("SOPS_AGE_KEY") {
                identities.add(&text).map_err(|why| bad("`SOPS_AGE_KEY`", why))?;
            }
            files.extend(set("SOPS_AGE_KEY_FILE").map(|path| (PathBuf::from(path.as_str()), true)));
            files.extend(sops::usual_places(environment).into_iter().map(|path| (path, false)));
        }
    }
    for (path, needed) in files {
        if !needed && !path.exists() {
            continue;
        }
        let place = format!("`{}`", path.display());
        let text = read_text(reach.sources, &path).map_err(|told| bad(&place, told.message.to_lowercase()))?;
        identities.add(&text).map_err(|why| bad(&place, why))?;
    }
    Ok(identities)
}
