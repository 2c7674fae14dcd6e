//! `POST /api/v1/stacks/NAME/{reconcile,suspend,resume}` with the token as bearer.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;

use super::Guard;
use crate::agent::{supervisor::Agent, worker::Nudge};

#[derive(Clone)]
struct Commands {
    agent: Arc<Agent>,
    guard: Arc<Guard>,
}

/// The routes of commands.
pub(super) fn router(agent: &Arc<Agent>, guard: &Arc<Guard>) -> Router {
    let state = Commands { agent: agent.clone(), guard: guard.clone() };
    Router::new().route("/api/v1/stacks/{name}/{command}", post(command)).with_state(state)
}

fn answer(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

async fn command(
    State(state): State<Commands>,
    Path((name, command)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !state.guard.has_token() {
        return answer(
            StatusCode::FORBIDDEN,
            "The agent takes no commands: its configuration has no `endpoint.token`.",
        );
    }
    if !state.guard.may_command(&headers) {
        return answer(StatusCode::UNAUTHORIZED, "The token is missing or wrong.");
    }
    let nudge = match command.as_str() {
        "reconcile" => Nudge::Request,
        "suspend" => Nudge::Suspend(true),
        "resume" => Nudge::Suspend(false),
        _ => return answer(StatusCode::NOT_FOUND, "There is no such command."),
    };
    let suspended = state.agent.shared.board.stack(&name, |stack| stack.suspended).unwrap_or_default();
    if matches!(nudge, Nudge::Request) && suspended {
        return answer(StatusCode::CONFLICT, "The stack is suspended; resume it first.");
    }
    if !state.agent.nudge(&name, nudge) {
        return answer(StatusCode::NOT_FOUND, "There is no such stack.");
    }
    tracing::info!(stack = name, command, "commanded");
    answer(StatusCode::ACCEPTED, "It is being done.")
}
