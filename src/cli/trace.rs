//! Traces by OpenTelemetry, as the `OTEL_*` variables ask for: one span for each request to an API, within one for each
//! run of a stack.

use std::{env, sync::OnceLock};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::http::TRACED;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.trim().is_empty())
}

/// Whether the variables ask for traces.
fn wanted() -> bool {
    let off = variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|text| text != "otlp");
    let somewhere = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"];
    !off && somewhere.into_iter().any(|name| variable(name).is_some())
}

/// The layer that makes traces; nothing where nobody asks for them.
pub(super) fn layer<S>() -> Option<Box<dyn Layer<S> + Send + Sync>>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    if !wanted() {
        return None;
    }
    let exporter =
        match SpanExporter::builder().with_http().with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build() {
            Ok(exporter) => exporter,
            Err(error) => {
                // The log is not started yet, and traces are not worth ending for.
                let _ = std::io::Write::write_fmt(
                    &mut std::io::stderr(),
                    format_args!("warning: there will be no traces: {error}\n"),
                );
                return None;
            }
        };
    let mut resource = Resource::builder();
    if variable("OTEL_SERVICE_NAME").is_none()
        && !variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.contains("service.name="))
    {
        resource = resource.with_service_name("plumb");
    }
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    let tracer = provider.tracer("plumb");
    let provider = PROVIDER.get_or_init(|| provider);
    tracing::debug!(?provider, "traces are sent");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
    Some(layer.with_filter(Targets::new().with_target(TRACED, tracing::Level::INFO)).boxed())
}

/// Sends what is left before the process ends.
pub(super) fn finish() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown()
    {
        tracing::warn!(%error, "some traces could not be sent");
    }
}
