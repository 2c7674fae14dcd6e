//! Values of a description that nothing could be done with: addresses, methods, limits and bounds that no call and no
//! manifest can meet.

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    compiled::Fault,
    format::{ApiSpec, FieldSpec, FieldType, KindSpec, Paging},
};
use crate::{address::escape, value::text};

/// Methods that calls may have.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Lists what makes no sense.
pub(super) fn check(faults: &mut Vec<Fault>, spec: &ApiSpec) {
    let mut tell = |path: String, message: String| faults.push(Fault { path, message });
    for (word, url) in [("url", &spec.url), ("proxy", &spec.proxy)] {
        let Some(url) = url else { continue };
        let web = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !web {
            tell(format!("/{word}"), format!("`{url}` is no URL that begins with `https://` or `http://`"));
        }
    }
    for (index, host) in spec.hosts.iter().enumerate() {
        if host.contains(['/', ' ', '@']) {
            tell(format!("/hosts/{index}"), format!("`{host}` is more than the name of a host"));
        }
    }
    let limits = &spec.limits;
    for (word, number) in
        [("requests", limits.requests), ("window", limits.window), ("concurrency", limits.concurrency)]
    {
        if number == Some(0) {
            tell(format!("/limits/{word}"), "with 0, no call could ever be made".to_owned());
        }
    }
    headers(&mut tell, "/headers", &spec.headers);
    paging(&mut tell, "/paging", &spec.paging);
    for (index, kind) in spec.kinds.iter().enumerate() {
        check_kind(&mut tell, &format!("/kinds/{index}"), kind);
    }
    for (name, shape) in &spec.shapes {
        check_field(&mut tell, &format!("/shapes/{}", escape(name)), shape);
    }
}

fn check_kind(tell: &mut dyn FnMut(String, String), at: &str, kind: &KindSpec) {
    let calls = [
        ("create", &kind.create.method, Some(&kind.create.headers)),
        ("update", &kind.update.method, Some(&kind.update.headers)),
        ("list", &None, Some(&kind.list.headers)),
    ];
    for (word, method, own) in calls {
        if let Some(method) = method
            && !METHODS.contains(&method.as_str())
        {
            let message = format!("there is no method `{method}`; there are {}", METHODS.join(", "));
            tell(format!("{at}/{word}/method"), message);
        }
        if let Some(own) = own {
            headers(tell, &format!("{at}/{word}/headers"), own);
        }
    }
    if let Some(own) = &kind.list.paging {
        paging(tell, &format!("{at}/list/paging"), own);
    }
    for (name, field) in &kind.fields {
        check_field(tell, &format!("{at}/fields/{}", escape(name)), field);
    }
}

fn headers(tell: &mut dyn FnMut(String, String), at: &str, headers: &IndexMap<String, String>) {
    for name in headers.keys() {
        if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            tell(format!("{at}/{}", escape(name)), format!("`{name}` is no name of a header"));
        }
    }
}

fn paging(tell: &mut dyn FnMut(String, String), at: &str, paging: &Paging) {
    if paging.max_size == Some(0) {
        tell(format!("{at}/maxSize"), "a page of 0 objects never ends a list".to_owned());
    }
}

fn check_field(tell: &mut dyn FnMut(String, String), at: &str, field: &FieldSpec) {
    if let (Some(least), Some(most)) = (field.minimum, field.maximum)
        && least > most
    {
        tell(format!("{at}/minimum"), format!("no number is at least {least} and at most {most}"));
    }
    let values = field.allowed.iter().enumerate().map(|(index, value)| (format!("{at}/enum/{index}"), value));
    let default = field.default.iter().map(|value| (format!("{at}/default"), value));
    for (place, value) in values.chain(default) {
        if !value.is_null() && !fits(field.ty, value) {
            tell(place, format!("`{}` is no value of this type", text(value).unwrap_or_else(|| value.to_string())));
        }
    }
    if let Some(default) = &field.default
        && let Some(words) = text(default)
        && !field.allowed.is_empty()
        && !field.allowed.iter().any(|value| text(value).as_ref() == Some(&words))
    {
        tell(format!("{at}/default"), format!("`{words}` is not among the values that are allowed"));
    }
    if let Some(items) = &field.items {
        check_field(tell, &format!("{at}/items"), items);
    }
    for (name, member) in &field.fields {
        check_field(tell, &format!("{at}/fields/{}", escape(name)), member);
    }
}

/// Whether a value of the description is one that a field of the type can have.
fn fits(ty: FieldType, value: &Value) -> bool {
    let number = || text(value).and_then(|words| words.parse::<f64>().ok());
    match ty {
        FieldType::Integer => number().is_some_and(|number| number.fract() == 0.0),
        FieldType::Number => number().is_some(),
        FieldType::Boolean => matches!(text(value).as_deref(), Some("true" | "false")),
        FieldType::String => !value.is_object() && !value.is_array(),
        _ => true,
    }
}
