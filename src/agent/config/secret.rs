//! The agent's own secrets: `{valueFrom: {env: NAME}}` and `{valueFrom: {file: PATH}}` → texts.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{secret::learn, value};

/// Finds the text of a sensitive value, and has it masked wherever this process speaks; or tells why it cannot be had.
pub(super) fn resolve(value: &Value, folder: &Path) -> Result<SecretString, String> {
    let text = find(value, folder)?;
    learn(text.expose_secret());
    Ok(text)
}

fn find(value: &Value, folder: &Path) -> Result<SecretString, String> {
    let Some(source) = value::value_from(value) else {
        return value::text(value).map(SecretString::from).ok_or_else(|| "it is no text".to_owned());
    };
    let Some((word, detail)) = source.as_object().and_then(|source| source.iter().next()) else {
        return Err("it names no source".to_owned());
    };
    match (word.as_str(), detail.as_str()) {
        ("env", Some(name)) => match std::env::var(name).map(Zeroizing::new) {
            Ok(text) if !text.trim().is_empty() => Ok(SecretString::from(text.as_str())),
            Ok(_) => Err(format!("the variable `{name}` is empty")),
            Err(_) => Err(format!("the variable `{name}` is not set")),
        },
        ("file", Some(path)) => {
            let path = folder.join(path);
            let text = std::fs::read_to_string(&path)
                .map(Zeroizing::new)
                .map_err(|error| format!("the file `{}` cannot be read ({error})", path.display()))?;
            let text = text.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                return Err(format!("the file `{}` is empty", path.display()));
            }
            Ok(SecretString::from(text))
        }
        (word, _) => Err(format!("an agent's own secrets come from `env` or `file`, not from `{word}`")),
    }
}
