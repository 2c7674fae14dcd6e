//! The measures in the text form that was asked for: `OpenMetrics`, or the older one that every tool reads.

use std::fmt::Write as _;

use axum::http::{HeaderMap, header};

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The content type and the text for whoever asked so; `open` is the text in the form of `OpenMetrics`.
pub(super) fn answer(headers: &HeaderMap, open: String) -> (&'static str, String) {
    let asked = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    if asked.into_iter().any(|value| value.contains("application/openmetrics-text")) {
        return (OPEN, open);
    }
    (PLAIN, plain(&open))
}

/// `OpenMetrics` → the older form: there, the line of a type names the samples, units and the end have none.
fn plain(open: &str) -> String {
    let mut out = String::with_capacity(open.len());
    let mut help: Option<(&str, &str)> = None;
    for line in open.lines() {
        let Some(told) = line.strip_prefix("# ") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let mut words = told.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(name), Some(text)) => help = Some((name, text)),
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (ending, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                if let Some((_, text)) = help.take().filter(|(of, _)| *of == name) {
                    // A text takes whatever is written to it.
                    let _ = writeln!(out, "# HELP {name}{ending} {text}");
                }
                let _ = writeln!(out, "# TYPE {name}{ending} {kind}");
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_name_the_samples_of_the_older_form() {
        let open = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total{x=\"1\"} 2.0\n\
                    # HELP plumb_build The build.\n# TYPE plumb_build info\nplumb_build_info{version=\"1\"} 1\n\
                    # HELP g Some.\n# TYPE g gauge\ng 1\n# EOF\n";
        let expected = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total{x=\"1\"} 2.0\n\
                        # HELP plumb_build_info The build.\n# TYPE plumb_build_info gauge\nplumb_build_info{version=\"1\"} 1\n\
                        # HELP g Some.\n# TYPE g gauge\ng 1\n";
        assert_eq!(answer(&HeaderMap::new(), open.to_owned()), (PLAIN, expected.to_owned()));
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5".parse().unwrap());
        assert_eq!(answer(&headers, open.to_owned()), (OPEN, open.to_owned()));
    }
}
