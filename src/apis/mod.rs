//! The built-in APIs: descriptions and hooks.
//!
//! A description is `NAME/api.yaml`, `NAME/kinds/*.yaml` and `NAME/sandbox.yaml`, embedded here; adding a kind adds its
//! file and its line. A debug build reads them from the folder that `PLUMB_BUILTIN_APIS` names instead, if it is set, so
//! that a change of a description needs no new build.

mod itglue;

use std::{
    borrow::Cow,
    io::Write as _,
    sync::{Arc, LazyLock},
};

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
    /// What the simulated API has from the beginning.
    sandbox: &'static str,
}

/// The texts of one description, from wherever they are.
struct Texts {
    name: Cow<'static, str>,
    api: Cow<'static, str>,
    kinds: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    sandbox: Cow<'static, str>,
}

macro_rules! embedded {
    ($name:literal: $($kind:literal),+ $(,)?) => {
        Embedded {
            name: $name,
            api: include_str!(concat!($name, "/api.yaml")),
            kinds: &[$(($kind, include_str!(concat!($name, "/kinds/", $kind, ".yaml")))),+],
            sandbox: include_str!(concat!($name, "/sandbox.yaml")),
        }
    };
}

const EMBEDDED: &[Embedded] = &[
    embedded!(
        "bindplane":
        "source",
        "processor",
        "destination",
        "extension",
        "connector",
        "configuration",
        "fleet",
        "source-type",
        "processor-type",
        "destination-type",
        "extension-type",
        "project",
        "secret-key",
        "user",
        "connector-type",
        "agent-type",
        "agent-version",
        "agent",
        "organization",
    ),
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
    embedded!(
        "balena":
        "organization",
        "team",
        "application",
        "application-environment-variable",
        "application-config-variable",
        "build-environment-variable",
        "application-tag",
        "service",
        "service-environment-variable",
        "service-label",
        "device",
        "device-environment-variable",
        "device-config-variable",
        "device-service-environment-variable",
        "device-tag",
        "release-tag",
        "ssh-key",
        "api-key",
        "device-type",
        "release",
        "user",
        "service-install",
    ),
    embedded!("rest": "resource", "organization", "organization-member", "webhook", "user-profile", "user"),
    embedded!(
        "cycloid":
        "organization",
        "role",
        "team",
        "team-member",
        "member",
        "credential",
        "config-repository",
        "service-catalog-source",
        "service-catalog",
        "project",
        "environment",
        "component",
        "pipeline",
        "kpi",
        "external-backend",
        "resource-pool",
        "quota",
        "infra-policy",
        "appearance",
        "api-key",
        "cloud-cost-management-account",
        "cloud-cost-management-tag-mapping",
        "inventory-resource",
        "user",
        "policy",
        "cloud-provider",
        "country",
    ),
];

/// Why a description cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadDescription {
    /// A file is no YAML of the format.
    #[error("`{file}` of `{api}` cannot be read: {message}")]
    Yaml {
        /// Name of the API.
        api: String,
        /// The file, without its ending.
        file: String,
        /// What the parser says.
        message: String,
    },
    /// The files contradict each other.
    #[error("the description of `{api}` is wrong: {faults}")]
    Faults {
        /// Name of the API.
        api: String,
        /// All faults, one a line.
        faults: String,
    },
}

/// The built-in APIs.
pub fn builtin() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        let mut catalog = Catalog::default();
        for texts in texts() {
            match load(texts) {
                Ok(api) => catalog.insert(Arc::new(api)),
                // A test compiles every embedded description: this is one being written.
                Err(error) => drop(writeln!(std::io::stderr(), "{error}")),
            }
        }
        catalog
    });
    &CATALOG
}

/// The objects that the simulation of a built-in API has from the beginning, as YAML.
pub fn sandbox_seed(api: &str) -> Option<&'static str> {
    texts().iter().find(|texts| texts.name == api).map(|texts| &*texts.sandbox)
}

fn texts() -> &'static [Texts] {
    static TEXTS: LazyLock<Vec<Texts>> = LazyLock::new(|| {
        #[cfg(debug_assertions)]
        if let Some(folder) = std::env::var_os("PLUMB_BUILTIN_APIS") {
            return from_folder(std::path::Path::new(&folder));
        }
        EMBEDDED.iter().map(Texts::from).collect()
    });
    &TEXTS
}

impl From<&Embedded> for Texts {
    fn from(embedded: &Embedded) -> Self {
        Self {
            name: embedded.name.into(),
            api: embedded.api.into(),
            kinds: embedded.kinds.iter().map(|(file, text)| ((*file).into(), (*text).into())).collect(),
            sandbox: embedded.sandbox.into(),
        }
    }
}

/// Reads the descriptions of a folder: APIs and kinds that are known here in their order, then new ones by name.
#[cfg(debug_assertions)]
fn from_folder(folder: &std::path::Path) -> Vec<Texts> {
    use std::{fs, path::Path};

    let names = |path: &Path| {
        let mut names: Vec<String> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    };
    let read = |path: &Path| Cow::Owned(fs::read_to_string(path).unwrap_or_default());
    let place = |name: &str| EMBEDDED.iter().position(|embedded| embedded.name == name).unwrap_or(usize::MAX);
    let mut apis: Vec<(std::path::PathBuf, String)> =
        names(folder).into_iter().map(|name| (folder.join(&name), name)).collect();
    apis.sort_by_key(|(_, name)| place(name));
    let apis = apis.into_iter();
    apis.filter(|(path, _)| path.join("api.yaml").is_file())
        .map(|(path, name)| {
            let known =
                EMBEDDED.iter().find(|embedded| embedded.name == name).map_or(&[][..], |embedded| embedded.kinds);
            let place = |file: &str| known.iter().position(|(known, _)| *known == file).unwrap_or(usize::MAX);
            let mut files: Vec<String> = names(&path.join("kinds"))
                .into_iter()
                .filter_map(|file| Some(file.strip_suffix(".yaml")?.to_owned()))
                .collect();
            files.sort_by_key(|file| place(file));
            let kind = |file: String| {
                let text = read(&path.join("kinds").join(format!("{file}.yaml")));
                (Cow::Owned(file), text)
            };
            Texts {
                api: read(&path.join("api.yaml")),
                kinds: files.into_iter().map(kind).collect(),
                sandbox: read(&path.join("sandbox.yaml")),
                name: name.into(),
            }
        })
        .collect()
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

fn load(texts: &Texts) -> Result<Api, BadDescription> {
    let bad = |file: &str, error: &serde_saphyr::Error| BadDescription::Yaml {
        api: texts.name.to_string(),
        file: file.to_owned(),
        message: error.to_string(),
    };
    let mut spec: ApiSpec = serde_saphyr::from_str(&texts.api).map_err(|error| bad("api", &error))?;
    for (file, text) in &texts.kinds {
        let kind: KindSpec = serde_saphyr::from_str(text).map_err(|error| bad(file, &error))?;
        spec.kinds.push(kind);
    }
    Api::compile(&texts.name, spec).map_err(|faults| BadDescription::Faults {
        api: texts.name.to_string(),
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
            if let Err(error) = load(&Texts::from(embedded)) {
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
