//! The status page: three files of its own, JSON behind them, and events that tell when to look again. It only reads.

use std::{convert::Infallible, time::Duration};

use axum::{
    Form, Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{
        IntoResponse, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures::Stream;
use serde::Deserialize;

use super::{Served, data, guard};
use crate::{
    agent::view::{ObjectView, StackState, StackView},
    plan::{ActionKind, PlanNotes},
    report::{
        graph::{self, GraphNode, GraphView},
        html,
    },
};

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/app.css");
const SCRIPT: &str = include_str!("page/app.js");
const LOGIN: &str = include_str!("page/login.html");
const ICON: &str = include_str!("page/icon.svg");

/// Nodes of a graph that are drawn at most.
const NODES: usize = 400;
/// The shortest time between two events.
const PACE: Duration = Duration::from_millis(500);

/// The routes of the page.
pub fn router(served: &Served) -> Router {
    let inner = Router::new()
        .route("/", get(|| async { text("text/html; charset=utf-8", PAGE) }))
        .route("/stacks/{name}", get(|| async { text("text/html; charset=utf-8", PAGE) }))
        .route("/stacks/{name}/pulls/{number}", get(|| async { text("text/html; charset=utf-8", PAGE) }))
        .route("/api/v1/stacks", get(overview))
        .route("/api/v1/stacks/{name}", get(stack))
        .route("/api/v1/stacks/{name}/plan", get(plan))
        .route("/api/v1/stacks/{name}/plan.json", get(plan_json))
        .route("/api/v1/stacks/{name}/graph.svg", get(graph_svg))
        .route("/api/v1/stacks/{name}/pulls/{number}", get(pull))
        .route("/api/v1/events", get(events))
        .layer(middleware::from_fn_with_state(served.clone(), guarded))
        .with_state(served.clone());
    Router::new()
        .route("/app.css", get(|| async { style() }))
        .route("/app.js", get(|| async { text("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/icon.svg", get(|| async { text("image/svg+xml", ICON) }))
        .route("/login", get(|| async { text("text/html; charset=utf-8", LOGIN) }).post(login))
        .with_state(served.clone())
        .merge(inner)
        .layer(middleware::map_response(secured))
}

fn text(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], format!("{}\n{STYLE}", html::STYLE)).into_response()
}

/// The policy: everything from here, nothing inline but the style of graphs, which is named by its hash.
fn policy() -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, graph::SVG_STYLE.as_bytes());
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{}'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        BASE64_STANDARD.encode(hash)
    )
}

async fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets in whoever may look; a browser without a token is shown where to give it.
async fn guarded(State(served): State<Served>, request: Request, next: Next) -> Response {
    if served.guard.may_look(request.headers()) && guard::reads(request.method()) {
        return next.run(request).await;
    }
    let page = !request.uri().path().starts_with("/api/");
    match (served.guard.has_token(), page) {
        (true, true) => Redirect::to("/login").into_response(),
        (true, false) => StatusCode::UNAUTHORIZED.into_response(),
        (false, _) => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Given {
    token: String,
}

async fn login(State(served): State<Served>, Form(given): Form<Given>) -> Response {
    // Whoever guesses gets few guesses.
    tokio::time::sleep(Duration::from_millis(300)).await;
    if !served.guard.is_token(given.token.trim()) {
        return (
            StatusCode::UNAUTHORIZED,
            [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
            LOGIN.replace("<!--wrong-->", "<p class=\"wrong\" role=\"alert\">That is not the token.</p>"),
        )
            .into_response();
    }
    ([(header::SET_COOKIE, served.guard.cookie())], Redirect::to("/")).into_response()
}

async fn overview(State(served): State<Served>) -> Response {
    Json(data::overview(&served.board)).into_response()
}

fn known<T: IntoResponse>(found: Option<T>) -> Response {
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}

async fn stack(State(served): State<Served>, Path(name): Path<String>) -> Response {
    // What is slow is done outside of the lock.
    known(served.board.stack(&name, StackView::clone).map(|stack| Json(data::stack(&stack))))
}

fn fragment(plan: &crate::plan::PlanDocument) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html::fragment(plan, &PlanNotes::default())).into_response()
}

async fn plan(State(served): State<Served>, Path(name): Path<String>) -> Response {
    let plan = served.board.stack(&name, |stack| stack.plan.clone()).flatten();
    known(plan.map(|plan| fragment(&plan)))
}

async fn plan_json(State(served): State<Served>, Path(name): Path<String>) -> Response {
    let plan = served.board.stack(&name, |stack| stack.plan.clone()).flatten();
    known(plan.map(|plan| Json(data::plan(&plan))))
}

async fn pull(State(served): State<Served>, Path((name, number)): Path<(String, u64)>) -> Response {
    let of = |stack: &StackView| stack.pulls.iter().find(|pull| pull.number == number).map(|pull| pull.plan.clone());
    known(served.board.stack(&name, of).flatten().map(|plan| fragment(&plan)))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    filter: String,
    #[serde(default)]
    state: String,
}

/// The graph of the objects that fit a filter, with what they need and what needs them.
async fn graph_svg(State(served): State<Served>, Path(name): Path<String>, Query(wanted): Query<Wanted>) -> Response {
    let parts = served.board.stack(&name, |stack| (stack.objects.clone(), stack.edges.clone()));
    let Some((objects, edges)) = parts else { return StatusCode::NOT_FOUND.into_response() };
    let (view, left_out) = chosen(&objects, &edges, &wanted);
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml".to_owned()),
        (header::HeaderName::from_static("x-left-out"), left_out.to_string()),
    ];
    (headers, graph::svg(&view)).into_response()
}

fn chosen(objects: &[ObjectView], edges: &[(usize, usize)], wanted: &Wanted) -> (GraphView, usize) {
    let filter = wanted.filter.to_lowercase();
    let fits = |object: &ObjectView| {
        (filter.is_empty() || object.address.to_lowercase().contains(&filter))
            && (wanted.state.is_empty() || object.state.word() == wanted.state)
    };
    let all = filter.is_empty() && wanted.state.is_empty();
    let mut take: Vec<bool> = objects.iter().map(fits).collect();
    if !all {
        let hits = take.clone();
        for (from, to) in edges {
            let hit = |index: &usize| hits.get(*index).copied().unwrap_or_default();
            if hit(from) || hit(to) {
                for index in [from, to] {
                    if let Some(one) = take.get_mut(*index) {
                        *one = true;
                    }
                }
            }
        }
    }
    let mut place = vec![None; objects.len()];
    let mut nodes = Vec::new();
    let mut left_out = 0;
    for (index, object) in objects.iter().enumerate().filter(|(index, _)| take[*index]) {
        if nodes.len() >= NODES {
            left_out += 1;
            continue;
        }
        place[index] = Some(nodes.len());
        let label = object.address.rsplit_once('/').map_or(object.address.as_str(), |(_, label)| label);
        nodes.push(GraphNode {
            address: object.address.clone(),
            label: label.to_owned(),
            group: object.kind.to_string(),
            action: action(object),
        });
    }
    let at = |index: usize| place.get(index).copied().flatten();
    let edges = edges.iter().filter_map(|(from, to)| Some((at(*from)?, at(*to)?))).collect();
    (GraphView { nodes, edges }, left_out)
}

fn action(object: &ObjectView) -> Option<ActionKind> {
    let word = object.action.as_deref()?;
    let all = [
        ActionKind::Create,
        ActionKind::Adopt,
        ActionKind::Update,
        ActionKind::Replace,
        ActionKind::Delete,
        ActionKind::Forget,
    ];
    all.into_iter().find(|kind| kind.word() == word && object.state != StackState::Synced)
}

/// Tells a browser when to look again.
async fn events(State(served): State<Served>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = served.board.changes();
    let stream = futures::stream::unfold((changes, served, true), |(mut changes, served, first)| async move {
        if !first {
            tokio::time::sleep(PACE).await;
            changes.changed().await.ok()?;
        }
        changes.mark_unchanged();
        let versions: serde_json::Map<String, serde_json::Value> =
            served.board.each(|stack| (stack.name.clone(), stack.version.into())).into_iter().collect();
        let event = Event::default().event("change").data(serde_json::Value::Object(versions).to_string());
        Some((Ok(event), (changes, served, false)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(20)))
}
