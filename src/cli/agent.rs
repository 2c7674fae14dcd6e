//! `plumb agent`: watch Git, reconcile, serve webhooks, metrics and status; and commands to an agent that runs.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueHint};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::{args::Global, console::Console, exit::Exit, show};
use crate::{
    agent::{self, config},
    failure::Failure,
    http::Pace,
};

/// Watch Git and keep stacks true to it
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  plumb agent --config agent.yaml              run until it is ended
  plumb agent check --config agent.yaml        check a configuration
  plumb agent status --config agent.yaml       how the stacks are
  plumb agent reconcile prod --config agent.yaml
  plumb agent suspend prod --agent-url https://plumb.example

SIGHUP, or a change of the file, reads the configuration anew; one with errors changes nothing. SIGTERM ends the agent
once the calls under way are recorded.")]
pub struct AgentArgs {
    /// The agent's configuration
    #[arg(long, global = true, value_name = "FILE", env = "PLUMB_CONFIG", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Where the agent listens that is commanded; from the configuration unless given
    #[arg(long, global = true, value_name = "URL", env = "PLUMB_AGENT_URL", value_hint = ValueHint::Url)]
    pub agent_url: Option<String>,

    /// File with the token of the agent that is commanded; from the configuration unless given
    #[arg(long, global = true, value_name = "FILE", env = "PLUMB_AGENT_TOKEN_FILE", value_hint = ValueHint::FilePath)]
    pub agent_token_file: Option<PathBuf>,

    /// What to do, if not to run
    #[command(subcommand)]
    pub command: Option<AgentCommand>,
}

/// What to tell an agent.
#[derive(Debug, Clone, Subcommand)]
pub enum AgentCommand {
    /// Check a configuration
    #[command(after_help = "Example:\n  plumb agent check --config agent.yaml")]
    Check,
    /// Show how the stacks are
    #[command(after_help = "Example:\n  plumb agent status --config agent.yaml")]
    Status,
    /// Reconcile a stack now
    #[command(after_help = "Example:\n  plumb agent reconcile prod --config agent.yaml")]
    Reconcile(StackArg),
    /// Do nothing with a stack until it is resumed
    #[command(after_help = "Example:\n  plumb agent suspend prod --config agent.yaml")]
    Suspend(StackArg),
    /// Go on with a stack
    #[command(after_help = "Example:\n  plumb agent resume prod --config agent.yaml")]
    Resume(StackArg),
}

/// The stack that a command is about.
#[derive(Debug, Clone, Args)]
pub struct StackArg {
    /// Name of the stack
    #[arg(value_name = "STACK")]
    pub stack: String,
}

/// Runs an agent, or commands one.
pub(super) async fn run(_global: &Global, args: &AgentArgs, console: &mut Console) -> Result<Exit, Failure> {
    match &args.command {
        None => serve(args, console).await,
        Some(AgentCommand::Check) => {
            let config = read(args, console)?;
            let stacks = config.stacks.len();
            console.print_line(format_args!(
                "The configuration is right: {stacks} {}.",
                if stacks == 1 { "stack" } else { "stacks" }
            ));
            Ok(Exit::Done)
        }
        Some(AgentCommand::Status) => status(args, console).await,
        Some(AgentCommand::Reconcile(of)) => command(args, &of.stack, "reconcile", console).await,
        Some(AgentCommand::Suspend(of)) => command(args, &of.stack, "suspend", console).await,
        Some(AgentCommand::Resume(of)) => command(args, &of.stack, "resume", console).await,
    }
}

fn read(args: &AgentArgs, console: &mut Console) -> Result<config::Config, Failure> {
    let Some(path) = &args.config else {
        return Err(Failure::user("An agent needs its configuration.").hint("Name it with `--config FILE`."));
    };
    let read = config::read(path);
    show::diagnostics(&read.diagnostics, &read.sources, console);
    read.config.ok_or_else(|| Failure::user("The configuration has errors; nothing was started."))
}

async fn serve(args: &AgentArgs, console: &mut Console) -> Result<Exit, Failure> {
    let config = read(args, console)?;
    let path = args.config.clone().unwrap_or_default();
    let interrupt = console.interrupt();
    let stop = interrupt.flag();
    let stacks = config.stacks.len();
    let words = if stacks == 1 { "stack" } else { "stacks" };
    console.say(format_args!("The agent watches {stacks} {words}."));
    let mut address = None;
    let ended = {
        let end = async { interrupt.raised(1).await };
        let listening = |at: std::net::SocketAddr| {
            tracing::info!(%at, "listening");
            address = Some(at);
        };
        let agent = Box::pin(agent::run(config, &path, stop, Pace::default(), listening, end));
        tokio::select! {
            biased;
            ended = agent => ended,
            () = interrupt.raised(2) => Err(Failure::interrupted("Left before every call in flight was recorded.")
                .hint("The inventories know what was begun: the next start looks what became of it.")),
        }
    };
    ended?;
    console.say("The agent ended; every call that was made is recorded.");
    Ok(Exit::Done)
}

/// Where an agent is that is to be commanded, and its token.
struct Remote {
    url: String,
    token: Option<secrecy::SecretString>,
    client: reqwest::Client,
}

fn remote(args: &AgentArgs, console: &mut Console) -> Result<Remote, Failure> {
    let config = if args.config.is_some() { Some(read(args, console)?) } else { None };
    let endpoint = config.as_ref().and_then(|config| config.endpoint.as_ref());
    let url = args.agent_url.clone().or_else(|| {
        let mut address = endpoint?.listen;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        Some(format!("http://{address}"))
    });
    let Some(url) = url else {
        return Err(Failure::user("Which agent is meant?")
            .hint("Name its configuration with `--config FILE`, or where it listens with `--agent-url URL`."));
    };
    let token = match &args.agent_token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::user(format!("The token `{}` cannot be read: {error}.", path.display())))?;
            Some(secrecy::SecretString::from(text.trim()))
        }
        // The token of this configuration goes to this configuration's agent only.
        None if args.agent_url.is_none() => endpoint.and_then(|endpoint| endpoint.token.clone()),
        None => None,
    };
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(|error| Failure::config(format!("No HTTP client can be set up: {error}.")))?;
    Ok(Remote { url: url.trim_end_matches('/').to_owned(), token, client })
}

impl Remote {
    async fn send(&self, method: reqwest::Method, path: &str) -> Result<Value, Failure> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer = request.send().await.map_err(|error| {
            Failure::remote(format!("No agent answers at `{}`: {}.", self.url, error.without_url()))
                .hint("Does it run, and does its configuration have an `endpoint`?")
        })?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let message = body
            .get("message")
            .and_then(Value::as_str)
            .map_or_else(|| format!("The agent answered with {status}."), str::to_owned);
        Err(match status.as_u16() {
            401 | 403 => Failure::user(message).hint("Give the token with `--agent-token-file FILE`."),
            404 if body.is_null() => Failure::user("The agent does not show its status here.")
                .hint("Its configuration may have `statusPage: false`, or ask for a token."),
            _ => Failure::user(message),
        })
    }
}

async fn command(args: &AgentArgs, stack: &str, word: &str, console: &mut Console) -> Result<Exit, Failure> {
    let remote = remote(args, console)?;
    let encoded = percent_encoding::utf8_percent_encode(stack, percent_encoding::NON_ALPHANUMERIC);
    remote.send(reqwest::Method::POST, &format!("/api/v1/stacks/{encoded}/{word}")).await?;
    console.say(format_args!(
        "{} `{stack}`.",
        match word {
            "suspend" => "Suspended",
            "resume" => "Resumed",
            _ => "Asked to reconcile",
        }
    ));
    Ok(Exit::Done)
}

async fn status(args: &AgentArgs, console: &mut Console) -> Result<Exit, Failure> {
    let remote = remote(args, console)?;
    let body = remote.send(reqwest::Method::GET, "/api/v1/stacks").await?;
    let stacks = body.get("stacks").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |stack: &Value, name: &str| {
        crate::report::one_line(stack.get(name).and_then(Value::as_str).unwrap_or_default()).to_string()
    };
    let wide = stacks.iter().map(|stack| text(stack, "name").chars().count()).max().unwrap_or(0);
    for stack in &stacks {
        let suspended = if stack.get("suspended").and_then(Value::as_bool) == Some(true) { " (suspended)" } else { "" };
        let line = format!(
            "{:wide$}  {:8}  {:7}{suspended}  {}",
            text(stack, "name"),
            text(stack, "state"),
            text(stack, "mode"),
            text(stack, "message")
        );
        console.print_line(line.trim_end());
        let trouble = text(stack, "sourceTrouble");
        if !trouble.is_empty() {
            console.print_line(format_args!("{:wide$}  source    {trouble} What was read before stays in force.", ""));
        }
    }
    Ok(Exit::Done)
}
