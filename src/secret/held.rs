//! Secrets of a cluster, as manifests refer to them: who has them says what they are.

use zeroize::Zeroizing;

use crate::diagnostic::Diagnostic;

/// The texts of Secrets that manifests refer to.
pub trait Secrets: Send + Sync {
    /// The text under a key of a Secret. `source` is the path of the manifest's text.
    fn text(&self, source: &str, name: &str, key: &str) -> Result<Zeroizing<String>, Diagnostic>;

    /// What tells Secrets of one name apart: the namespace that a text belongs to.
    fn namespace<'s>(&self, source: &'s str) -> &'s str;

    /// Checks that a manifest may have a value put into a Secret; the owner that such a Secret gets, if it gets one.
    fn sink(&self, source: &str, name: &str) -> Result<Option<serde_json::Value>, Diagnostic>;

    /// What writes Secrets.
    fn client(&self) -> Option<kube::Client>;
}
