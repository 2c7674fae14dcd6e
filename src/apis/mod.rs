//! The built-in APIs: descriptions and hooks.
//!
//! A description is `NAME/api.yaml` and `NAME/kinds/*.yaml`, embedded here; adding a kind adds its file and its line.

mod itglue;

use std::sync::{Arc, LazyLock};

use crate::description::{
    Api, Catalog,
    format::{ApiSpec, KindSpec},
    hook::Hook,
    reference_page,
};

/// The texts of one built-in description.
struct Embedded {
    name: &'static str,
    api: &'static str,
    /// File name and text of every kind, in the order of the documentation.
    kinds: &'static [(&'static str, &'static str)],
}

macro_rules! embedded {
    ($name:literal: $($kind:literal),+ $(,)?) => {
        Embedded {
            name: $name,
            api: include_str!(concat!($name, "/api.yaml")),
            kinds: &[$(($kind, include_str!(concat!($name, "/kinds/", $kind, ".yaml")))),+],
        }
    };
}

const EMBEDDED: &[Embedded] = &[
    embedded!(
        "itglue":
        "organization",
        "organization-type",
        "organization-status",
        "location",
        "contact",
        "contact-type",
        "configuration",
        "configuration-interface",
        "configuration-type",
        "configuration-status",
        "manufacturer",
        "model",
        "flexible-asset-type",
        "flexible-asset-field",
        "flexible-asset",
        "password",
        "password-category",
        "group",
        "attachment",
        "related-item",
        "user",
        "country",
        "region",
        "operating-system",
        "platform",
        "domain",
    ),
    embedded!("rest": "resource", "organization", "organization-member", "webhook", "user-profile", "user"),
];

/// Why a description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadDescription {
    /// A file is no YAML of the format.
    #[error("`{file}` of `{api}` cannot be read: {message}")]
    Yaml {
        /// Name of the API.
        api: &'static str,
        /// The file, without its ending.
        file: &'static str,
        /// What the parser says.
        message: String,
    },
    /// The files contradict each other.
    #[error("the description of `{api}` is wrong: {faults}")]
    Faults {
        /// Name of the API.
        api: &'static str,
        /// All faults, one a line.
        faults: String,
    },
}

/// The built-in APIs.
pub fn builtin() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        let mut catalog = Catalog::default();
        for api in EMBEDDED.iter().filter_map(|embedded| load(embedded).ok()) {
            catalog.insert(Arc::new(api));
        }
        catalog
    });
    &CATALOG
}

/// The reference pages of the documentation: path in the repository, and text.
pub fn generated_docs() -> Vec<(String, String)> {
    builtin().apis.values().map(|api| (format!("docs/reference/{}.md", api.name), reference_page(api))).collect()
}

/// The hook with this name.
pub fn hook(name: &str) -> Option<Arc<dyn Hook>> {
    match name {
        "traits" => Some(Arc::new(itglue::hooks::Traits)),
        _ => None,
    }
}

fn load(embedded: &Embedded) -> Result<Api, BadDescription> {
    let api = embedded.name;
    let bad = |file, error: serde_saphyr::Error| BadDescription::Yaml { api, file, message: error.to_string() };
    let mut spec: ApiSpec = serde_saphyr::from_str(embedded.api).map_err(|error| bad("api", error))?;
    for (file, text) in embedded.kinds {
        let kind: KindSpec = serde_saphyr::from_str(text).map_err(|error| bad(file, error))?;
        spec.kinds.push(kind);
    }
    Api::compile(api, spec).map_err(|faults| BadDescription::Faults {
        api,
        faults: faults.iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect::<Vec<_>>().join("\n"),
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_built_in_description_compiles() {
        for embedded in EMBEDDED {
            if let Err(error) = load(embedded) {
                panic!("{error}");
            }
        }
        assert_eq!(builtin().apis.len(), EMBEDDED.len());
    }

    #[test]
    fn no_file_of_a_description_is_forgotten() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/apis");
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
            let name = entry.file_name().into_string().unwrap();
            let embedded = EMBEDDED.iter().find(|embedded| embedded.name == name);
            let embedded = embedded.unwrap_or_else(|| panic!("`{name}` is not embedded"));
            let listed: BTreeSet<String> = embedded.kinds.iter().map(|(file, _)| format!("{file}.yaml")).collect();
            let files: BTreeSet<String> = fs::read_dir(entry.path().join("kinds"))
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            assert_eq!(listed, files);
        }
    }
}
