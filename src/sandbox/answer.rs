//! Answers and refusals, in the form that the API's description gives them.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    description::{Api, format::DialectName},
    value::{Fields, set_path},
};

/// What a request is answered with.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    /// An answer with a body.
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    /// An answer without a body.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, ..Self::default() }
    }

    /// Adds a header, if its name and value can be one.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.push((name, value));
        }
        self
    }
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What is wrong, in a sentence.
    pub(super) detail: String,
    /// Where in the body, as a JSON pointer.
    pub(super) pointer: Option<String>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) faults: Vec<Fault>,
}

/// The class of a refusal for reasons of the body: which status it has depends on the dialect.
pub(super) const INVALID: u16 = 0;

impl Refusal {
    /// A refusal with one reason.
    pub(super) fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, faults: vec![Fault { detail: detail.into(), pointer: None }] }
    }

    /// A refusal without a word.
    pub(super) fn silent(status: u16) -> Self {
        Self { status, faults: Vec::new() }
    }

    /// What a body says wrongly.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(INVALID, detail)
    }

    /// What a body says wrongly at a place.
    pub(super) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let fault = Fault { detail: detail.into(), pointer: Some(pointer.into()) };
        Self { status: INVALID, faults: vec![fault] }
    }

    /// The same refusal with a status of its own.
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// No such object.
    pub(super) fn absent() -> Self {
        Self::new(404, "The record that you are looking for does not exist.")
    }

    /// The refusal as the API words it.
    pub(super) fn answer(&self, api: &Api) -> Answer {
        let status = match (self.status, api.spec.dialect) {
            (INVALID, DialectName::Jsonapi) => 422,
            (INVALID, DialectName::Rest) => api.spec.errors.invalid.unwrap_or(400),
            (INVALID, DialectName::Odata | DialectName::Apply) => 400,
            (status, _) => status,
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = match api.spec.dialect {
            DialectName::Jsonapi => json!({ "errors": self.faults.iter().map(|fault| {
                let mut error = json!({
                    "status": status.as_str(),
                    "title": status.canonical_reason().unwrap_or("Error"),
                    "detail": fault.detail,
                });
                if let (Some(pointer), Value::Object(error)) = (&fault.pointer, &mut error) {
                    error.insert("source".into(), json!({ "pointer": pointer }));
                }
                error
            }).collect::<Vec<_>>() }),
            // A bare text, or nothing.
            DialectName::Odata => {
                let message: Vec<&str> = self.faults.iter().map(|fault| fault.detail.as_str()).collect();
                if message.iter().all(|words| words.is_empty()) {
                    return Answer::empty(status);
                }
                message.join(" ").into()
            }
            DialectName::Rest | DialectName::Apply => {
                let message: Vec<&str> = self.faults.iter().map(|fault| fault.detail.as_str()).collect();
                let mut body = Fields::new();
                let errors = &api.spec.errors;
                // The last path is the most specific one: `message` before `error.message`.
                let at = |paths: &[String], usual: &str| paths.last().map_or(usual, String::as_str).to_owned();
                let (code_at, message_at) = (at(&errors.code, "error.code"), at(&errors.message, "error.message"));
                if let (Some((list, code_at)), Some((_, message_at))) =
                    (code_at.split_once("[*]."), message_at.split_once("[*]."))
                {
                    let each = self.faults.iter().map(|fault| {
                        let mut one = Fields::new();
                        set_path(&mut one, code_at, code(status).into());
                        set_path(&mut one, message_at, fault.detail.clone().into());
                        Value::Object(one)
                    });
                    set_path(&mut body, list, each.collect());
                } else {
                    set_path(&mut body, &code_at, code(status).into());
                    set_path(&mut body, &message_at, message.join(" ").into());
                }
                Value::Object(body)
            }
        };
        let media = match api.spec.dialect {
            DialectName::Jsonapi => "application/vnd.api+json",
            DialectName::Rest | DialectName::Odata | DialectName::Apply => "application/json",
        };
        Answer::new(status, body).with(header::CONTENT_TYPE.as_str(), media)
    }
}

/// The word for a status, as plain REST APIs name it.
fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_required",
        403 => "insufficient_permissions",
        404 | 410 => "resource_not_found",
        405 => "method_not_allowed",
        409 => "conflict",
        412 => "precondition_failed",
        429 => "rate_limit_exceeded",
        500..=599 => "internal_server_error",
        _ => "invalid_request",
    }
}
