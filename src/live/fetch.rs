//! What is needed → reads: each collection once, over all parents or parent by parent, whichever takes fewer pages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::{
    Standing,
    observe::{Collection, Need, Observer, children_of, item_vars, one_of},
    remote::{ListQuery, Listing, Remote, can_list},
    rows::index_included,
};
use crate::{
    description::{Kind, format::FieldSpec},
    diagnostic::{Diagnostic, Severity},
    http::HttpError,
    value::{Target, as_reference},
};

impl Observer<'_> {
    /// Reads what is needed; tells whether anything was read. `forced`: nothing else can go on, so that scopes which
    /// are not known yet are not waited for.
    pub(super) async fn fetch(&mut self, needs: BTreeSet<Need>, forced: bool) -> bool {
        let mut kinds: BTreeMap<(Arc<str>, String), BTreeSet<Option<String>>> = BTreeMap::new();
        let mut jobs: Vec<Job> = Vec::new();
        for need in needs {
            match need {
                Need::Kind(connection, kind, scope) => {
                    kinds.entry((connection, kind)).or_default().insert(scope);
                }
                Need::Children(connection, kind, parent_kind, parent) => {
                    // It may come along with the parents' list, which is then read first.
                    jobs.push(Job::Children { connection, kind, parent_kind, parent });
                }
                Need::One(connection, kind, id, parent) => jobs.push(Job::One { connection, kind, id, parent }),
            }
        }
        for ((connection, kind), scopes) in kinds {
            let Some(kind) = self.remotes.get(&*connection).and_then(|remote| remote.api.kind(&kind)).cloned() else {
                continue;
            };
            match self.choose(&connection, &kind, scopes, forced) {
                Some(Choice::All { parents }) => jobs.push(Job::Kind { connection, kind, scope: None, parents }),
                Some(Choice::Each(scopes)) => {
                    for scope in scopes {
                        let (connection, kind) = (connection.clone(), kind.clone());
                        jobs.push(Job::Kind { connection, kind, scope: Some(scope), parents: Vec::new() });
                    }
                }
                None => {}
            }
        }
        jobs.retain(|job| !self.read.contains_key(&job.collection()));
        if jobs.is_empty() {
            return false;
        }
        let results: Vec<(Job, Result<Answers, HttpError>)> = {
            let this = &*self;
            stream::iter(jobs)
                .map(|job| async move {
                    let answers = this.run_job(&job).await;
                    (job, answers)
                })
                .buffer_unordered(16)
                .collect()
                .await
        };
        let mut results = results;
        results.sort_by_key(|(job, _)| job.collection());
        for (job, answers) in results {
            self.take(&job, answers);
        }
        true
    }

    /// Whether to list a kind over all parents or parent by parent; nothing while too little is known.
    pub(super) fn choose(
        &self,
        connection: &Arc<str>,
        kind: &Arc<Kind>,
        asked: BTreeSet<Option<String>>,
        forced: bool,
    ) -> Option<Choice> {
        let Some(scope) = &kind.spec.scope else { return Some(Choice::All { parents: Vec::new() }) };
        if scope.required {
            return Some(Choice::Each(asked.into_iter().flatten().collect()));
        }
        if scope.filter.is_none() || asked.contains(&None) {
            return Some(Choice::All { parents: Vec::new() });
        }
        let mut parents: BTreeSet<String> = asked.into_iter().flatten().collect();
        for (index, object) in self.manifests.objects.iter().enumerate() {
            if object.kind != *kind
                || object.connection != **connection
                || self.out.standing[index] == Standing::Blocked
            {
                continue;
            }
            match &self.scopes[index] {
                None if !forced => return None,
                Some(value) => {
                    if let Some((_, Target::Id(id))) = as_reference(value) {
                        parents.insert(id);
                    }
                }
                None => {}
            }
        }
        let parents: Vec<String> = parents.into_iter().collect();
        if parents.len() == 1 { Some(Choice::Each(parents)) } else { Some(Choice::All { parents }) }
    }

    pub(super) async fn run_job(&self, job: &Job) -> Result<Answers, HttpError> {
        let connection = job.connection();
        let Some(remote) = self.remotes.get(&**connection) else { return Ok(Answers::default()) };
        (self.tell)(connection, job.kind());
        match job {
            Job::Kind { connection, kind, scope, parents } => {
                let include = self.includes(connection, &kind.name, false);
                let keep = self.kept(connection, kind);
                let below = |id: Option<&String>| {
                    let mut asked = ListQuery { include: include.clone(), keep: keep.clone(), ..ListQuery::default() };
                    if let (Some(scoped), Some(id)) = (&kind.spec.scope, id) {
                        match &scoped.filter {
                            Some(filter) => asked.query.push((filter.clone(), id.clone())),
                            None => asked.vars.push((scoped.field.clone(), id.clone())),
                        }
                    }
                    asked
                };
                let limit = if parents.is_empty() { usize::MAX } else { parents.len().saturating_add(1) };
                let absent = |error: &HttpError| {
                    error.status().is_some_and(|status| remote.api.spec.errors.absent.contains(&status))
                };
                match remote.list_within(kind, &below(scope.as_ref()), limit).await {
                    Ok(Some(listing)) => return Ok(Answers { listing, ..Answers::default() }),
                    Ok(None) => {}
                    // Below a parent that is gone, there is nothing.
                    Err(error) if scope.is_some() && absent(&error) => return Ok(Answers::default()),
                    Err(error) => return Err(error),
                }
                // The whole is longer than the parents in use are many: read it below each of them instead.
                let mut answers = Answers { scopes: parents.clone(), ..Answers::default() };
                let mut parts = stream::iter(parents)
                    .map(|parent| {
                        let asked = below(Some(parent));
                        async move { remote.list(kind, &asked).await }
                    })
                    .buffered(8);
                while let Some(part) = parts.next().await {
                    let part = part?;
                    answers.listing.rows.extend(part.rows);
                    answers.listing.included.extend(part.included);
                }
                Ok(answers)
            }
            Job::Children { connection, kind, parent_kind, parent } => {
                let Some(child) = remote.api.kind(kind) else { return Ok(Answers::default()) };
                let Some(inside) = child.inside() else { return Ok(Answers::default()) };
                let parent_path = inside.parents.get(parent_kind).cloned().unwrap_or_default();
                if can_list(child) {
                    let asked = ListQuery {
                        vars: vec![("parent".into(), parent.clone()), ("parentPath".into(), parent_path)],
                        ..ListQuery::default()
                    };
                    return remote.list(child, &asked).await.map(|listing| Answers { listing, ..Answers::default() });
                }
                let Some(parent_kind) = remote.api.kind(parent_kind) else { return Ok(Answers::default()) };
                let vars = |name: &str| (name == "id").then(|| parent.clone());
                let include = self.includes(connection, &parent_kind.name, true);
                let found = remote.get(parent_kind, &vars, &include).await?;
                Ok(Answers { one: found, ..Answers::default() })
            }
            Job::One { kind, id, parent, .. } => {
                let Some(kind) = remote.api.kind(kind) else { return Ok(Answers::default()) };
                let found = remote.get(kind, &item_vars(kind, id, parent.as_deref(), None), &[]).await?;
                Ok(Answers { one: found, ..Answers::default() })
            }
        }
    }

    pub(super) fn includes(&self, connection: &Arc<str>, kind: &str, on_get: bool) -> Vec<String> {
        let children = self.along.get(&(connection.clone(), kind.to_owned()));
        children
            .into_iter()
            .flatten()
            .filter_map(|child| {
                let inside = child.inside()?;
                (on_get || !inside.include_on_get_only).then(|| inside.include.clone())?
            })
            .collect()
    }

    pub(super) fn take(&mut self, job: &Job, answers: Result<Answers, HttpError>) {
        let connection = job.connection().clone();
        let collection = job.collection();
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => {
                self.read.insert(collection, Err(()));
                self.out.failed.push((connection.clone(), job.kind().to_owned()));
                let declared = self
                    .manifests
                    .objects
                    .iter()
                    .any(|object| *object.connection == *connection && object.kind.name == job.kind());
                let remote = self.remotes.get(&*connection);
                let absent = remote.is_some_and(|remote| {
                    error.status().is_some_and(|status| remote.api.spec.errors.absent.contains(&status))
                });
                if let (Job::Kind { kind, .. }, true) = (job, absent) {
                    self.unlisted.insert((connection.clone(), kind.name.clone()));
                }
                let mut diagnostic: Diagnostic = error.into();
                if absent && matches!(job, Job::Kind { .. }) {
                    diagnostic = diagnostic.hint(format!(
                        "This server offers no {} objects: it may be too old for them, or of another edition.",
                        job.kind()
                    ));
                    let owned = self.state.objects.iter().any(|(address, record)| {
                        *record.connection == *connection && address.split('/').nth(1) == Some(job.kind())
                    });
                    if remote.is_some_and(|remote| is_lenient(remote, job.kind())) && !declared && !owned {
                        diagnostic.severity = Severity::Warning;
                        diagnostic.hints.push("Names of such objects are taken as they are written.".to_owned());
                        self.out.diagnostics.push(diagnostic);
                        return;
                    }
                }
                diagnostic = diagnostic.hint(format!(
                    "Nothing that depends on {} objects of this connection is planned: a read that failed is not taken for absence.",
                    job.kind()
                ));
                if !self.out.diagnostics.contains(&diagnostic) {
                    self.out.diagnostics.push(diagnostic);
                }
                return;
            }
        };
        for scope in &answers.scopes {
            self.read.insert(Collection { scope: Some(scope.clone()), ..collection.clone() }, Ok(()));
        }
        if answers.scopes.is_empty() {
            self.read.insert(collection, Ok(()));
        }
        match job {
            Job::Kind { kind, scope, .. } => {
                if scope.is_none() && answers.scopes.is_empty() {
                    self.out.complete.insert((connection.clone(), kind.name.clone()));
                }
                self.add_rows(&connection, kind, scope.as_deref(), answers.listing);
            }
            Job::Children { kind, parent_kind, parent, .. } => {
                let Some(remote) = self.remotes.get(&*connection) else { return };
                let Some(child) = remote.api.kind(kind).cloned() else { return };
                match answers.one {
                    Some((row, more)) => {
                        let Some(parent_kind) = remote.api.kind(parent_kind).cloned() else { return };
                        self.add_children(&connection, &parent_kind, parent, &row, &index_included(&more), true);
                    }
                    None => {
                        for row in &answers.listing.rows {
                            self.add_row(&connection, &child, row, Some(parent));
                        }
                    }
                }
            }
            Job::One { kind, id, parent, .. } => {
                let Some(kind) = self.remotes.get(&*connection).and_then(|remote| remote.api.kind(kind)).cloned()
                else {
                    return;
                };
                match answers.one {
                    Some((row, _)) => {
                        if let Some(index) = self.add_row(&connection, &kind, &row, parent.as_deref())
                            && let Some(object) = self.out.objects.get_mut(index)
                        {
                            object.detailed = true;
                        }
                    }
                    None => {
                        self.out.gone.insert((connection, kind.name.clone(), id.clone()));
                    }
                }
            }
        }
    }
}

/// Whether objects of a kind are only named, and may be so without being listed.
fn is_lenient(remote: &Remote, kind: &str) -> bool {
    fn names(field: &FieldSpec, kind: &str) -> bool {
        field.reference.as_ref().is_some_and(|target| target.lenient && target.kind.as_deref() == Some(kind))
            || field.items.as_deref().is_some_and(|items| names(items, kind))
            || field.fields.values().any(|member| names(member, kind))
    }
    remote.api.kinds.values().flat_map(|other| other.spec.fields.values()).any(|field| names(field, kind))
}

/// How a kind is listed.
pub(super) enum Choice {
    /// Over all parents, unless reading it below each of these takes fewer pages.
    All { parents: Vec<String> },
    /// Parent by parent.
    Each(Vec<String>),
}

/// One read.
pub(super) enum Job {
    Kind { connection: Arc<str>, kind: Arc<Kind>, scope: Option<String>, parents: Vec<String> },
    Children { connection: Arc<str>, kind: String, parent_kind: String, parent: String },
    One { connection: Arc<str>, kind: String, id: String, parent: Option<String> },
}

#[derive(Default)]
pub(super) struct Answers {
    listing: Listing,
    /// The parents that the listing is limited to, where it is not what was asked for.
    scopes: Vec<String>,
    one: Option<(Value, Vec<Value>)>,
}

impl Job {
    pub(super) fn connection(&self) -> &Arc<str> {
        match self {
            Self::Kind { connection, .. } | Self::Children { connection, .. } | Self::One { connection, .. } => {
                connection
            }
        }
    }

    pub(super) fn kind(&self) -> &str {
        match self {
            Self::Kind { kind, .. } => &kind.name,
            Self::Children { kind, .. } | Self::One { kind, .. } => kind,
        }
    }

    pub(super) fn collection(&self) -> Collection {
        match self {
            Self::Kind { connection, kind, scope, .. } => Collection {
                connection: connection.clone(),
                kind: kind.name.clone(),
                parent_kind: String::new(),
                scope: scope.clone(),
            },
            Self::Children { connection, kind, parent_kind, parent } => {
                children_of(connection, kind, parent_kind, parent)
            }
            Self::One { connection, kind, id, .. } => one_of(connection, kind, id),
        }
    }
}
