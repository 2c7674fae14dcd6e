//! Decides whether a line of YAML may hold a secret in plain text, so that a diagnostic points at it without showing it.
//! Knows no schema: it goes by the names of keys, and errs towards hiding.

/// How far up the keys that a line is under are looked for.
const REACH: usize = 400;

/// Endings of keys whose values are secrets.
const SECRET_KEYS: [&str; 14] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "secrets",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "sshkey",
    "bearer",
    "otpsecret",
];

/// Whether line `index` of a text (from 0) may hold a secret.
pub(super) fn may_hold_secret<'t>(line_at: impl Fn(usize) -> Option<&'t str>, index: usize) -> bool {
    let Some(line) = line_at(index) else { return false };
    if line.contains("PRIVATE KEY") || names_plain_secret(line) {
        return true;
    }
    let mut indent = indentation(line);
    let first = key(line);
    let is_value = matches!(first, Some("value")) || first.is_none();
    for above in (index.saturating_sub(REACH)..index).rev() {
        let Some(text) = line_at(above) else { break };
        if text.trim().is_empty() || indentation(text) >= indent {
            continue;
        }
        indent = indentation(text);
        let under_secret = key(text).is_some_and(is_secret_key);
        let in_block = text.trim_end().ends_with(['|', '>', '-', '+']) && text.contains(['|', '>']);
        if under_secret && (is_value || in_block) {
            return true;
        }
        if indent == 0 {
            break;
        }
    }
    false
}

/// Whether a key with a secret's name has a plain value on this very line.
fn names_plain_secret(line: &str) -> bool {
    line.match_indices(':').any(|(at, _)| {
        let (before, after) = (line.get(..at).unwrap_or(""), line.get(at + 1..).unwrap_or(""));
        if !after.is_empty() && !after.starts_with([' ', '\t', '"', '\'']) {
            return false;
        }
        let word = before.trim_end().trim_end_matches(['"', '\'']);
        let start = word.rfind(|c: char| !is_key_character(c)).map_or(0, |place| place + 1);
        word.get(start..).is_some_and(is_secret_key) && is_plain_value(after)
    })
}

fn is_plain_value(after: &str) -> bool {
    let value = after.trim().trim_end_matches([',', '}', ']']).trim();
    if let Some(rest) = value.strip_prefix('{') {
        let inner = rest.trim_start().trim_start_matches(['"', '\'']);
        return !inner.starts_with("valueFrom") && !inner.is_empty();
    }
    !(value.is_empty() || value.starts_with(['|', '>', '#']) || matches!(value, "null" | "~"))
}

fn is_secret_key(key: &str) -> bool {
    let name: String =
        key.chars().filter(|c| !matches!(c, '-' | '_' | ' ' | '.')).flat_map(char::to_lowercase).collect();
    SECRET_KEYS.iter().any(|ending| name.ends_with(ending))
}

fn is_key_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ')
}

/// The key that a block line opens with, after its dashes.
fn key(line: &str) -> Option<&str> {
    let text = line.trim_start_matches([' ', '\t', '-']);
    let (key, after) = text.split_once(':')?;
    let clean = key.trim().trim_matches(['"', '\'']);
    let fits = (after.is_empty() || after.starts_with([' ', '\t', '\r'])) && clean.chars().all(is_key_character);
    fits.then_some(clean)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '-']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Vec<bool> {
        let lines: Vec<&str> = text.lines().collect();
        (0..lines.len()).map(|index| may_hold_secret(|at| lines.get(at).copied(), index)).collect()
    }

    #[test]
    fn plain_values_of_secret_keys_are_hidden_and_references_are_not() {
        for (line, expected) in [
            ("  password: hunter2", true),
            ("  \"admin-password\": \"hunter2\"", true),
            ("  - {name: a, apiKey: hunter2}", true),
            ("  password: {value: hunter2}", true),
            ("  password: {valueFrom: {env: HF}}", false),
            ("  password:", false),
            ("  passwordCategory: Servers", false),
            ("  tokenUrl: https://login.example", false),
            ("  kind: Password", false),
        ] {
            assert_eq!(hidden(line), [expected], "{line}");
        }
    }

    #[test]
    fn values_below_a_secret_key_are_hidden() {
        assert_eq!(hidden("password:\n  value: hunter2"), [false, true]);
        assert_eq!(hidden("password:\n  valueFrom:\n    env: HF"), [false, false, false]);
        assert_eq!(hidden("sshKey: |\n  abc: def\n\n  ghi\nname: x"), [false, true, false, true, false]);
    }
}
