//! Descriptions → the reference pages of the documentation, in Markdown.

use std::fmt::Write as _;

use super::{
    compiled::{Api, Kind, VERSION},
    explain::{Explained, explain},
    format::AuthScheme,
};

/// The page about one API: how to connect, then every kind with its fields.
pub fn reference_page(api: &Api) -> String {
    let mut out = String::new();
    let title = api.spec.title.as_deref().unwrap_or(&api.name);
    line(&mut out, &format!("# {title}"));
    line(&mut out, "");
    if let Some(description) = &api.spec.description {
        line(&mut out, description);
        line(&mut out, "");
    }
    line(&mut out, "<!-- Made by `plumb generate` from the description; edit that. -->");
    line(&mut out, "");
    connection(&mut out, api);
    let (inside, standing): (Vec<&Kind>, Vec<&Kind>) =
        api.kinds.values().map(AsRef::as_ref).partition(|kind| kind.inside().is_some());
    let (lookups, declared): (Vec<&Kind>, Vec<&Kind>) = standing.into_iter().partition(|kind| kind.spec.lookup);
    let shared: Vec<&Kind> = inside.into_iter().filter(|kind| is_shared(kind)).collect();
    line(&mut out, "## Kinds");
    line(&mut out, "");
    line(&mut out, "| kind | what it is |");
    line(&mut out, "| --- | --- |");
    for kind in declared.iter().chain(&lookups) {
        let what = kind.spec.description.as_deref().unwrap_or_default();
        line(&mut out, &format!("| [{0}](#{1}) | {what} |", kind.name, kind.name.to_lowercase()));
    }
    line(&mut out, "");
    for kind in declared {
        section(&mut out, api, kind);
    }
    if !shared.is_empty() {
        line(&mut out, "## Inside several kinds");
        line(&mut out, "");
        line(&mut out, "Entries of these are written in manifests of more than one kind.");
        line(&mut out, "");
        for kind in shared {
            section(&mut out, api, kind);
        }
    }
    if !lookups.is_empty() {
        line(&mut out, "## Lookups");
        line(&mut out, "");
        line(&mut out, "These can be referred to and not declared.");
        line(&mut out, "");
        for kind in lookups {
            section(&mut out, api, kind);
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn is_shared(kind: &Kind) -> bool {
    kind.inside().is_some_and(|inside| inside.parents.len() > 1)
}

fn connection(out: &mut String, api: &Api) {
    line(out, "## Connection");
    line(out, "");
    line(out, "```yaml");
    line(out, &format!("apiVersion: plumb.dev/{VERSION}"));
    line(out, "kind: Connection");
    line(out, &format!("metadata: {{name: my-{}}}", api.name));
    line(out, "spec:");
    line(out, &format!("  api: {}", api.name));
    if let Some(url) = &api.spec.url {
        line(out, &format!("  url: {url} # the default"));
    }
    if let Some(first) = api.spec.auth.first() {
        line(out, "  auth:");
        auth(out, first, &api.name.to_uppercase());
    }
    line(out, "```");
    line(out, "");
    let mut facts = Vec::new();
    if api.spec.auth.len() > 1 {
        let names: Vec<String> = api.spec.auth.iter().map(|scheme| format!("`{}`", auth_name(scheme))).collect();
        facts.push(format!("Ways to authenticate: {}.", names.join(", ")));
    }
    let mut hosts: Vec<String> = api.spec.hosts.clone();
    if let Some(host) = api.spec.url.as_deref().and_then(|url| url.split("://").nth(1))
        && !hosts.iter().any(|known| known == host)
    {
        hosts.insert(0, host.to_owned());
    }
    if !hosts.is_empty() {
        let names: Vec<String> = hosts.iter().map(|host| format!("`{host}`")).collect();
        facts.push(format!("Hosts that credentials are sent to: {}; others need `--allow-host`.", names.join(", ")));
    }
    if let Some(requests) = api.spec.limits.requests {
        let window = api.spec.limits.window.unwrap_or(60);
        facts.push(format!("Budget: {requests} requests in {window} seconds."));
    }
    if let Some(size) = api.spec.paging.max_size {
        facts.push(format!("Page size: {size}."));
    }
    if let Some(docs) = &api.spec.docs {
        facts.push(format!("The vendor's reference: <{docs}>."));
    }
    for fact in facts {
        line(out, &format!("- {fact}"));
    }
    line(out, "");
}

fn auth_name(scheme: &AuthScheme) -> &'static str {
    match scheme {
        AuthScheme::ApiKey(_) => "apiKey",
        AuthScheme::Bearer(_) => "bearer",
        AuthScheme::Basic(_) => "basic",
        AuthScheme::Oauth2(_) => "oauth2",
        AuthScheme::Login(_) => "login",
    }
}

fn auth(out: &mut String, scheme: &AuthScheme, prefix: &str) {
    let name = auth_name(scheme);
    let value = |word: &str| format!("{{valueFrom: {{env: {prefix}_{word}}}}}");
    match scheme {
        AuthScheme::ApiKey(_) => line(out, &format!("    {name}: {}", value("API_KEY"))),
        AuthScheme::Bearer(_) => line(out, &format!("    {name}: {}", value("TOKEN"))),
        AuthScheme::Basic(_) | AuthScheme::Login(_) => {
            let user = if matches!(scheme, AuthScheme::Login(login) if login.body.contains_key("email")) {
                "email"
            } else {
                "username"
            };
            line(out, &format!("    {name}:"));
            line(out, &format!("      {user}: plumb@example.com"));
            line(out, &format!("      password: {}", value("PASSWORD")));
        }
        AuthScheme::Oauth2(_) => {
            line(out, &format!("    {name}:"));
            line(out, "      clientId: plumb");
            line(out, &format!("      clientSecret: {}", value("CLIENT_SECRET")));
        }
    }
}

fn section(out: &mut String, api: &Api, kind: &Kind) {
    let Ok(whole) = explain(api, kind, &[]) else { return };
    line(out, &format!("### {}", kind.name));
    line(out, "");
    if let Some(description) = &whole.description {
        line(out, description);
        line(out, "");
    }
    if let Some(inside) = kind.inside() {
        let parents: Vec<&str> = inside.parents.keys().map(String::as_str).collect();
        line(out, &format!("- Inside: `{}` of {}.", inside.field, parents.join(", ")));
    }
    for (name, fact) in &whole.facts {
        line(out, &format!("- {name}: {fact}."));
    }
    if !whole.facts.is_empty() {
        line(out, "");
    }
    let mut deeper = Vec::new();
    table(out, "", &whole.fields, &mut deeper);
    while let Some((path, field)) = deeper.pop() {
        let what = field.description.as_deref().unwrap_or(&field.ty);
        line(out, &format!("`{path}`: {what}{}", sentence(&field.notes)));
        line(out, "");
        table(out, &path, &field.fields, &mut deeper);
    }
}

/// A table of fields; those with members of their own are put on the list of tables to come.
fn table<'a>(out: &mut String, path: &str, fields: &'a [Explained], deeper: &mut Vec<(String, &'a Explained)>) {
    line(out, "| field | type | what it is |");
    line(out, "| --- | --- | --- |");
    let mut more = Vec::new();
    for field in fields {
        let mut what = field.description.clone().unwrap_or_default();
        if let Some((kind, parents)) = &field.entries
            && *parents > 1
        {
            let _ = write!(what, " See [{kind}](#{}).", kind.to_lowercase());
        } else if field.fields.is_empty() {
            what.push_str(&sentence(&field.notes));
        } else {
            let below = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
            what.push_str(" See below.");
            more.push((below, field));
        }
        let what = what.trim().replace('|', "\\|").replace('\n', " ");
        line(out, &format!("| `{}` | {} | {what} |", field.name, field.ty));
    }
    line(out, "");
    deeper.extend(more.into_iter().rev());
}

fn sentence(notes: &[String]) -> String {
    let words = notes.join("; ");
    match words.chars().next() {
        Some(first) => format!(" {}{}.", first.to_uppercase(), &words[first.len_utf8()..]),
        None => String::new(),
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}
