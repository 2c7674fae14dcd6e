//! HTTP client: authentication, budget, retry, redaction.
