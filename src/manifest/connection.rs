//! `kind: Connection` → an account of an API: its address, credentials, limits and defaults.

use std::collections::HashMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::{
    convert::{Convert, Known},
    faults::{Path, listed},
    model::{Auth, Connection, ConnectionLimits, DocumentRef, Transport},
    node::{Mark, Member},
};
use crate::{
    description::{
        Api, Catalog, Kind,
        format::{AuthScheme, FieldSpec, FieldType, Format, Sensitivity},
    },
    diagnostic::{Diagnostic, nearest},
    value::Fields,
};

/// Fields that a connection gives every manifest, converted for each kind that has them.
pub(super) type Defaults = HashMap<String, Fields>;

/// Reads a connection. Its API is empty where it names none that is known.
pub(super) fn read<'t>(
    name: &str,
    spec: Option<&Member<'t>>,
    at: Mark,
    document: DocumentRef,
    overridden: bool,
    catalog: &Catalog,
    convert: &mut Convert<'_, 't>,
) -> (Connection, Defaults) {
    let mut connection = Connection {
        name: name.to_owned(),
        namespace: None,
        api: String::new(),
        url: None,
        auth: None,
        limits: ConnectionLimits::default(),
        transport: Transport::default(),
        defaults: IndexMap::new(),
        broken: true,
        document: Some(document),
    };
    let fields = fields();
    let members = spec.and_then(|spec| spec.value.as_map()).unwrap_or_default();
    let before = convert.faults.list.len();
    let mut defaults = None;
    let mut values = convert.fields(members, Known::from(&fields), &Path::Root, &mut |_, member| {
        let found = member.key == "defaults";
        if found {
            defaults = Some(member);
        }
        found
    });
    let mark = |name: &str| members.iter().find(|member| member.key == name).map_or(at, |m| m.value.best(m.at));
    convert.requirements(&values, members, &fields, &Path::Root, Some(spec.map_or(at, |spec| spec.at)));
    let api = values.get("api").and_then(Value::as_str).and_then(|api| find_api(api, mark("api"), catalog, convert));
    if let Some(limits) = values.get("limits") {
        connection.limits = read_limits(limits);
    }
    if let Some(url) = values.get("url").and_then(Value::as_str) {
        connection.url = check_url("url", url, mark("url"), convert);
    }
    connection.transport = read_transport(&mut values, &mark, convert);
    if let Some(auth) = values.remove("auth") {
        let complete = convert.faults.list.len() == before;
        connection.auth = if complete { read_auth(auth, mark("auth"), api, convert) } else { None };
    }
    for name in std::mem::take(&mut convert.missing) {
        let first = name.split('.').next().unwrap_or_default();
        convert.faults.error("PL0108", format!("`{name}` is required."), mark(first));
    }
    let Some(api) = api else { return (connection, Defaults::new()) };
    connection.api.clone_from(&api.name);
    if connection.url.is_none() && api.spec.url.is_none() && !overridden && !members.iter().any(|m| m.key == "url") {
        let message = format!("The API `{}` has no default address: the connection needs a `url`.", api.name);
        convert.faults.add(Diagnostic::error("PL0305", message).hint("Write `url: https://HOST`."), at);
    }
    if connection.auth.is_none() && !api.spec.auth.is_empty() && !members.iter().any(|m| m.key == "auth") {
        let message = format!("The connection has no `auth`, and the API `{}` asks for it.", api.name);
        convert.faults.add(Diagnostic::warning("PL0304", message).hint(auth_hint(api)), at);
    }
    let defaults = defaults.map(|member| read_defaults(member, api, &mut connection, convert)).unwrap_or_default();
    if api.spec.tls.client_certificate && connection.transport.client_certificate.is_none() {
        let message = format!("The API `{}` asks for a client certificate, and the connection has none.", api.name);
        let hint = "Write `tls: {clientCertificate: {valueFrom: {file: client.pem}}, clientKey: {valueFrom: {file: client.key}}}`.";
        convert.faults.add(Diagnostic::error("PL0304", message).hint(hint), mark("tls"));
    }
    connection.broken = convert.faults.list.iter().skip(before).any(Diagnostic::is_error);
    (connection, defaults)
}

fn find_api<'a>(name: &str, at: Mark, catalog: &'a Catalog, convert: &mut Convert<'_, '_>) -> Option<&'a Api> {
    if let Some(api) = catalog.api(name) {
        return Some(api);
    }
    let diagnostic = Diagnostic::error("PL0306", format!("No API is called `{name}`."));
    let names = catalog.apis.keys().map(String::as_str);
    convert.faults.add(
        match nearest(name, names.clone()) {
            Some(near) => diagnostic.hint(format!("Did you mean `{near}`?")),
            None => diagnostic.hint(format!("There are {}; a `kind: Api` manifest describes another.", listed(names))),
        },
        at,
    );
    None
}

/// Checks that a text is an absolute `http` or `https` URL without credentials, query or fragment.
pub(super) fn check_url(name: &str, text: &str, at: Mark, convert: &mut Convert<'_, '_>) -> Option<String> {
    let wrong = match url::Url::parse(text) {
        Err(_) => "it is not an absolute URL",
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "it starts with neither `https://` nor `http://`",
        Ok(url) if !url.has_host() => "it names no host",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let message = format!("`{name}` must not have credentials in it.");
            let hint = "Write them under `auth`, as `{valueFrom: …}`.";
            convert.plaintexts.hide_at(convert.faults.source, at);
            convert.faults.add(Diagnostic::error("PL0305", message).hint(hint), at);
            return None;
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "it has a query or a fragment",
        Ok(_) => return Some(text.trim_end_matches('/').to_owned()),
    };
    let message = format!("`{name}` cannot be `{text}`: {wrong}.");
    convert.faults.add(Diagnostic::error("PL0305", message).hint("Write one such as `https://api.example.com`."), at);
    None
}

fn read_limits(value: &Value) -> ConnectionLimits {
    let get = |name: &str| value.get(name).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    ConnectionLimits {
        requests: get("requests"),
        window: get("window"),
        concurrency: get("concurrency"),
        reserve: get("reserve"),
    }
}

fn read_transport<'a>(values: &mut Fields, mark: &dyn Fn(&str) -> Mark, convert: &mut Convert<'_, 'a>) -> Transport {
    let mut tls = values.remove("tls").unwrap_or_default();
    let mut take = |name: &str| tls.as_object_mut().and_then(|members| members.shift_remove(name));
    let file = take("caFile").map(|path| json!({ "$valueFrom": {"file": path} }));
    let ca = take("ca");
    if ca.is_some() && file.is_some() {
        convert.faults.error("PL0305", "`tls` has both `ca` and `caFile`; it takes one.", mark("tls"));
    }
    let (certificate, key) = (take("clientCertificate"), take("clientKey"));
    if certificate.is_some() != key.is_some() {
        let message = "`tls.clientCertificate` and `tls.clientKey` go together.";
        convert.faults.error("PL0305", message, mark("tls"));
    }
    let proxy = values.remove("proxy").and_then(|url| url.as_str().map(str::to_owned));
    Transport {
        ca: ca.or(file),
        client_certificate: certificate,
        client_key: key,
        insecure_skip_verify: take("insecureSkipVerify").and_then(|value| value.as_bool()),
        proxy: proxy.and_then(|url| check_url("proxy", &url, mark("proxy"), convert)),
        timeouts: values.remove("timeouts").and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default(),
    }
}

fn read_auth(mut value: Value, at: Mark, api: Option<&Api>, convert: &mut Convert<'_, '_>) -> Option<Auth> {
    let forms = value.as_object_mut()?;
    if forms.len() != 1 {
        let message = match forms.len() {
            0 => "`auth` is empty.".to_owned(),
            _ => format!("`auth` has {} ways to authenticate; it takes one.", listed(forms.keys())),
        };
        let diagnostic = Diagnostic::error("PL0304", message);
        convert.faults.add(api.map_or(diagnostic.clone(), |api| diagnostic.hint(auth_hint(api))), at);
        return None;
    }
    let (form, mut value) = std::mem::take(forms).into_iter().next()?;
    if let Some(api) = api
        && !api.spec.auth.iter().any(|scheme| scheme_name(scheme) == form)
    {
        let message = format!("The API `{}` does not authenticate by `{form}`.", api.name);
        convert.faults.add(Diagnostic::error("PL0304", message).hint(auth_hint(api)), at);
        return None;
    }
    let mut take = |name: &str| value.as_object_mut().and_then(|map| map.shift_remove(name));
    Some(match form.as_str() {
        "apiKey" => Auth::ApiKey(value),
        "bearer" => Auth::Bearer(value),
        "basic" => Auth::Basic { username: take("username")?, password: take("password")? },
        "login" => {
            let (email, username) = (take("email"), take("username"));
            if email.is_some() == username.is_some() {
                let message = "`auth.login` takes either `email` or `username`, beside `password`.";
                convert.faults.error("PL0304", message, at);
            }
            Auth::Login { email, username, password: take("password")? }
        }
        _ => Auth::OAuth2 {
            client_id: take("clientId")?,
            client_secret: take("clientSecret")?,
            token_url: take("tokenUrl")
                .and_then(|url| check_url("tokenUrl", url.as_str().unwrap_or_default(), at, convert)),
            scopes: take("scopes").and_then(|list| serde_json::from_value(list).ok()).unwrap_or_default(),
        },
    })
}

fn scheme_name(scheme: &AuthScheme) -> &'static str {
    match scheme {
        AuthScheme::ApiKey(_) => "apiKey",
        AuthScheme::Bearer(_) => "bearer",
        AuthScheme::Basic(_) => "basic",
        AuthScheme::Oauth2(_) => "oauth2",
        AuthScheme::Login(_) => "login",
    }
}

fn auth_hint(api: &Api) -> String {
    let form = |scheme: &AuthScheme| match scheme {
        AuthScheme::ApiKey(_) | AuthScheme::Bearer(_) => {
            let variable = format!("{}_KEY", api.name.to_uppercase().replace('-', "_"));
            format!("`auth: {{{}: {{valueFrom: {{env: {variable}}}}}}}`", scheme_name(scheme))
        }
        AuthScheme::Basic(_) => "`auth: {basic: {username: …, password: {valueFrom: …}}}`".to_owned(),
        AuthScheme::Login(_) => "`auth: {login: {email: …, password: {valueFrom: …}}}`".to_owned(),
        AuthScheme::Oauth2(_) => "`auth: {oauth2: {clientId: …, clientSecret: {valueFrom: …}}}`".to_owned(),
    };
    match api.spec.auth.as_slice() {
        [] => "The API takes no credentials: leave `auth` out.".to_owned(),
        [first, rest @ ..] => {
            let others: Vec<&str> = rest.iter().map(scheme_name).collect();
            let others = if others.is_empty() { String::new() } else { format!("; or one of {}", listed(others)) };
            format!("Write {}{others}.", form(first))
        }
    }
}

/// Converts the defaults for every kind that has such a field.
fn read_defaults<'t>(
    member: &Member<'t>,
    api: &Api,
    connection: &mut Connection,
    convert: &mut Convert<'_, 't>,
) -> Defaults {
    let mut out = Defaults::new();
    let Some(members) = member.value.as_map() else {
        if !member.value.is_null() {
            convert.faults.error("PL0105", "`defaults` has to be a map of fields.", member.at);
        }
        return out;
    };
    let kinds: Vec<&Kind> = api.kinds.values().filter(|kind| kind.is_declarable()).map(AsRef::as_ref).collect();
    let path = Path::Field(&Path::Root, "defaults");
    for default in members {
        let here = Path::Field(&path, &default.key);
        let mut known = false;
        for kind in &kinds {
            let Some(field) = kind.field(&default.key).filter(|field| !field.read_only) else { continue };
            known = true;
            let before = convert.faults.list.len();
            let value = convert.field(&default.value, default.at, field, &here);
            if convert.faults.list.len() > before {
                break;
            }
            if let Some(value) = value {
                connection.defaults.entry(default.key.to_string()).or_insert_with(|| value.clone());
                out.entry(kind.name.clone()).or_default().insert(default.key.to_string(), value);
            }
        }
        if !known {
            let message = format!("No kind of `{}` has a field `{}`.", api.name, default.key);
            let mut diagnostic = Diagnostic::error("PL0307", message);
            let names = kinds.iter().flat_map(|kind| kind.spec.fields.keys().map(String::as_str));
            if let Some(near) = nearest(&default.key, names) {
                diagnostic = diagnostic.hint(format!("Did you mean `{near}`?"));
            }
            convert.faults.add(diagnostic, default.at);
        }
    }
    out
}

fn text(description: &str) -> FieldSpec {
    FieldSpec { description: Some(description.to_owned()), ..FieldSpec::default() }
}

fn secret(description: &str) -> FieldSpec {
    FieldSpec { sensitive: Some(Sensitivity::Always), ..text(description) }
}

/// Text that may be a secret.
fn user(description: &str) -> FieldSpec {
    FieldSpec { sensitive: Some(Sensitivity::Allowed), ..text(description) }
}

fn needed(field: FieldSpec) -> FieldSpec {
    FieldSpec { required: true, ..field }
}

fn object(description: &str, fields: Vec<(&str, FieldSpec)>) -> FieldSpec {
    FieldSpec {
        ty: FieldType::Object,
        fields: fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect(),
        ..text(description)
    }
}

/// The fields of a connection's `auth`.
fn auth() -> FieldSpec {
    let scopes = FieldSpec { ty: FieldType::List, items: Some(Box::default()), ..text("Scopes that are asked for.") };
    let password = || needed(secret("The password."));
    object(
        "How to authenticate; one of them.",
        vec![
            ("apiKey", secret("A key.")),
            ("bearer", secret("A bearer token.")),
            (
                "basic",
                object(
                    "A user name and a password.",
                    vec![("username", needed(user("The user."))), ("password", password())],
                ),
            ),
            (
                "login",
                object(
                    "A login, whose token is refreshed; `email` or `username`.",
                    vec![
                        ("email", user("E-mail address.")),
                        ("username", user("User name.")),
                        ("password", password()),
                    ],
                ),
            ),
            (
                "oauth2",
                object(
                    "OAuth 2.0 client credentials.",
                    vec![
                        ("clientId", needed(user("Id of the client."))),
                        ("clientSecret", needed(secret("Secret of the client."))),
                        (
                            "tokenUrl",
                            FieldSpec {
                                format: Some(Format::Url),
                                ..text("Token endpoint, where it is not the API's.")
                            },
                        ),
                        ("scopes", scopes),
                    ],
                ),
            ),
        ],
    )
}

/// The fields of a connection's `spec`; `defaults` is read by itself.
pub(super) fn fields() -> IndexMap<String, FieldSpec> {
    let number = |minimum: f64, maximum: f64, description| FieldSpec {
        ty: FieldType::Integer,
        minimum: Some(minimum),
        maximum: Some(maximum),
        ..text(description)
    };
    let limits = object(
        "Limits that replace those of the API.",
        vec![
            ("requests", number(1.0, 1_000_000.0, "Requests allowed in a window.")),
            ("window", number(1.0, 86_400.0, "Length of the window in seconds.")),
            ("concurrency", number(1.0, 256.0, "Requests at the same time.")),
            ("reserve", number(0.0, 90.0, "Share of the budget that is left for people, in percent; 20 unless given.")),
        ],
    );
    let tls = object(
        "TLS, where the usual is not enough.",
        vec![
            ("ca", user("Certificates (PEM) that the server may be signed by, besides the machine's.")),
            ("caFile", text("File of such certificates; the path starts from the folder of the manifest.")),
            ("clientCertificate", user("The client's certificate (PEM), with those it is signed by.")),
            ("clientKey", secret("Key of the client's certificate (PEM).")),
            (
                "insecureSkipVerify",
                FieldSpec {
                    ty: FieldType::Boolean,
                    ..text("The server's certificate is not checked; every run warns of it.")
                },
            ),
        ],
    );
    let timeouts = object(
        "How long to wait, in seconds.",
        vec![
            ("connect", number(1.0, 600.0, "For a connection; 10 unless given.")),
            ("silence", number(1.0, 3600.0, "While an answer is silent; 60 unless given.")),
            ("total", number(1.0, 3600.0, "For one attempt, its answer's body included; 120 unless given.")),
            (
                "settle",
                number(
                    1.0,
                    600.0,
                    "For how long the server may still be at a call without an answer; 10 unless given. Only then is it sent again.",
                ),
            ),
        ],
    );
    let interval = FieldSpec {
        pattern: Some("([0-9]+(s|m|h|d))+".to_owned()),
        ..text(
            "How often the operator looks at the objects of this connection, such as `10m`; the command line ignores it.",
        )
    };
    let namespaces = FieldSpec {
        ty: FieldType::List,
        set: true,
        items: Some(Box::new(FieldSpec {
            pattern: Some("[a-z0-9]([-a-z0-9]*[a-z0-9])?".to_owned()),
            max_length: Some(63),
            ..FieldSpec::default()
        })),
        ..text("Namespaces of Kubernetes that it serves besides its own; the command line ignores it.")
    };
    vec![
        ("api", needed(text("A built-in API, or the name of an `Api` manifest."))),
        ("url", text("Base URL, where it is not the API's own.")),
        ("auth", auth()),
        ("limits", limits),
        ("tls", tls),
        ("proxy", text("URL of the HTTP proxy; the one of the environment (`HTTPS_PROXY`) unless given.")),
        ("timeouts", timeouts),
        ("interval", interval),
        ("namespaces", namespaces),
    ]
    .into_iter()
    .map(|(name, field)| (name.to_owned(), field))
    .collect()
}
