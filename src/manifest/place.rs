//! Where a sensitive value comes from: the form of what stands under `valueFrom`, checked before anything is read.

use serde_json::{Value, json};

use super::{header::is_dns_name, node::Node};

/// Members of a place in a Kubernetes Secret.
const KEY_REF: [&str; 3] = ["name", "key", "namespace"];

/// The canonical form of what a source names; or else the form that it has to have.
pub(super) fn place(source: &str, node: &Node<'_>) -> Result<Value, &'static str> {
    match source {
        "env" => node
            .as_text()
            .filter(|name| is_variable_name(name))
            .map(Value::from)
            .ok_or("the name of a variable, such as `env: ITGLUE_API_KEY`"),
        "file" => {
            node.as_text().filter(|file| !file.is_empty()).map(Value::from).ok_or("a path, such as `file: secrets/key`")
        }
        "exec" => node
            .as_list()
            .filter(|argv| !argv.is_empty())
            .and_then(|argv| argv.iter().map(|arg| arg.as_text().map(Value::from)).collect::<Option<Vec<_>>>())
            .map(Value::Array)
            .ok_or("a list of a program and its arguments, such as `exec: [pass, show, key]`"),
        "secretKeyRef" => key_ref(node),
        _ => sops(node).ok_or("a path with the key behind `#`, such as `sops: secrets.yaml#database.password`, or a map of `file` and `key`"),
    }
}

fn key_ref(node: &Node<'_>) -> Result<Value, &'static str> {
    const FORM: &str = "a map of `name` and `key`";
    let members = node.as_map().ok_or(FORM)?;
    if members.iter().any(|member| !KEY_REF.contains(&&*member.key)) {
        return Err("a map of `name` and `key`, and `namespace` where it is another than the manifest's; nothing else");
    }
    let text = |name: &str| node.get(name).and_then(Node::as_text);
    let (name, key) = text("name").zip(text("key")).ok_or(FORM)?;
    if !is_dns_name(name, 253) {
        return Err("a map whose `name` is that of a Secret: small letters, digits, `-` and `.`");
    }
    if !is_key(key) {
        return Err("a map whose `key` is one of a Secret: letters, digits, `-`, `_` and `.`");
    }
    let mut place = json!({ "name": name, "key": key });
    match node.get("namespace") {
        None => {}
        Some(member) => match member.as_text().filter(|text| is_dns_name(text, 63) && !text.contains('.')) {
            Some(namespace) => place["namespace"] = namespace.into(),
            None => return Err("a map whose `namespace` has small letters, digits and `-`"),
        },
    }
    Ok(place)
}

fn sops(node: &Node<'_>) -> Option<Value> {
    if let Some(text) = node.as_text() {
        return (!text.is_empty() && !text.starts_with('#')).then(|| text.into());
    }
    let members = node.as_map()?;
    if members.iter().any(|member| !matches!(&*member.key, "file" | "key")) {
        return None;
    }
    let file = node.get("file").and_then(Node::as_text).filter(|file| !file.is_empty())?;
    let mut place = json!({ "file": file });
    if let Some(key) = node.get("key") {
        place["key"] = match key.as_list() {
            Some(steps) if !steps.is_empty() => {
                Value::Array(steps.iter().map(|step| step.as_text().map(Value::from)).collect::<Option<_>>()?)
            }
            _ => key.as_text().filter(|key| !key.is_empty())?.into(),
        };
    }
    Some(place)
}

fn is_key(key: &str) -> bool {
    let letters = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    letters && (1..=253).contains(&key.len()) && !matches!(key, "." | "..")
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '=' || c == '\0' || c.is_whitespace())
}
