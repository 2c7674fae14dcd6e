//! What is needed → reads: each collection once, over all parents or parent by parent, whichever takes fewer pages.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;

use super::{
    Standing,
    across::{Placed, across_of, grouped},
    observe::{Collection, Need, Observer, item_vars},
    query::chunks,
    reads::{children_of, key_of, kind_of, one_of},
    remote::{ListQuery, Listing, Remote, can_list},
    rows::index_included,
};
use crate::{
    description::{
        Kind,
        format::{DialectName, FieldSpec},
    },
    diagnostic::{Diagnostic, Severity},
    dialect::fill_omitted,
    http::HttpError,
    value::{Target, as_reference},
};

impl Observer<'_> {
    /// Reads what is needed; tells whether anything was read. `forced`: nothing else can go on, so that scopes which
    /// are not known yet are not waited for.
    pub(super) async fn fetch(&mut self, needs: BTreeSet<Need>, forced: bool) -> bool {
        let mut kinds: BTreeMap<(Arc<str>, String), BTreeSet<Option<String>>> = BTreeMap::new();
        let mut jobs: Vec<Job> = Vec::new();
        let mut keys: BTreeMap<(Arc<str>, String, String), Vec<String>> = BTreeMap::new();
        for need in needs {
            match need {
                Need::Kind(connection, kind, scope) => {
                    kinds.entry((connection, kind)).or_default().insert(scope);
                }
                Need::Children(connection, kind, parent_kind, parent) => {
                    // It may come along with the parents' list, which is then read first.
                    jobs.push(Job::Children { connection, kind, parent_kind, parent });
                }
                Need::Key(connection, kind, field, key) => {
                    keys.entry((connection, kind, field)).or_default().push(key);
                }
                Need::One(connection, kind, id, parent) => jobs.push(Job::One { connection, kind, id, parent }),
            }
        }
        for ((connection, kind), scopes) in kinds {
            let Some(kind) = self.remotes.get(&*connection).and_then(|remote| remote.api.kind(&kind)).cloned() else {
                continue;
            };
            match self.choose(&connection, &kind, scopes, forced) {
                Some(Choice::All { parents }) => {
                    jobs.push(Job::Kind { connection, kind, scope: None, parents, together: false });
                }
                Some(Choice::Some(lists)) => {
                    for parents in lists {
                        let (connection, kind) = (connection.clone(), kind.clone());
                        jobs.push(Job::Kind { connection, kind, scope: None, parents, together: true });
                    }
                }
                Some(Choice::Each(scopes)) => {
                    for scope in scopes {
                        let (connection, kind) = (connection.clone(), kind.clone());
                        jobs.push(Job::Kind {
                            connection,
                            kind,
                            scope: Some(scope),
                            parents: Vec::new(),
                            together: false,
                        });
                    }
                }
                Some(Choice::Across { groups, single }) => {
                    for (above, parents) in groups {
                        let (connection, kind) = (connection.clone(), kind.clone());
                        jobs.push(Job::Across { connection, kind, above, parents });
                    }
                    for scope in single {
                        let (connection, kind) = (connection.clone(), kind.clone());
                        let scope = Some(scope);
                        jobs.push(Job::Kind { connection, kind, scope, parents: Vec::new(), together: false });
                    }
                }
                Some(Choice::Apart { whole, scopes }) => {
                    let scopes = whole.then_some(None).into_iter().chain(scopes.into_iter().map(Some));
                    for scope in scopes {
                        let (connection, kind) = (connection.clone(), kind.clone());
                        jobs.push(Job::Kind { connection, kind, scope, parents: Vec::new(), together: false });
                    }
                }
                None => {}
            }
        }
        for ((connection, kind, field), list) in keys {
            let Some(kind) = self.remotes.get(&*connection).and_then(|remote| remote.api.kind(&kind)).cloned() else {
                continue;
            };
            for keys in chunks(list) {
                let (connection, kind, field) = (connection.clone(), kind.clone(), field.clone());
                jobs.push(Job::Keys { connection, kind, field, keys });
            }
        }
        jobs.retain(|job| !self.read.contains_key(&job.collection()));
        self.drop_twins(&mut jobs);
        if jobs.is_empty() {
            return false;
        }
        let results: Vec<(Job, Result<Answers, HttpError>)> = {
            let this = &*self;
            stream::iter(jobs)
                .map(|job| async move {
                    (this.tell)(job.connection(), job.kind(), None);
                    let answers = this.run_job(&job).await;
                    let found = answers.as_ref().map_or(0, Answers::objects);
                    (this.tell)(job.connection(), job.kind(), Some(found));
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

    /// Kinds whose objects are rows of the same list, such as members of an account and the users that they are.
    fn twins(&self, connection: &Arc<str>, kind: &Kind) -> Vec<Arc<Kind>> {
        let Some(remote) = self.remotes.get(&**connection) else { return Vec::new() };
        let list = |kind: &Kind| {
            let spec = &kind.spec.list;
            let plain =
                spec.paging.is_none() && spec.include.is_empty() && spec.items.is_none() && spec.across.is_none();
            let filter = kind.spec.scope.as_ref().map(|scope| (scope.field.clone(), scope.filter.clone()));
            let path = spec.path.clone().unwrap_or_else(|| kind.spec.path.clone());
            (plain && can_list(kind) && kind.inside().is_none()).then(|| (path, spec.query.clone(), filter))
        };
        let Some(own) = list(kind) else { return Vec::new() };
        let others = remote.api.kinds.values().filter(|other| other.name != kind.name);
        others.filter(|other| list(other).is_some_and(|list| list == own)).cloned().collect()
    }

    /// Drops reads of lists that another job reads too.
    fn drop_twins(&self, jobs: &mut Vec<Job>) {
        let mut taken: BTreeSet<Collection> = BTreeSet::new();
        jobs.retain(|job| {
            let Job::Kind { connection, kind, .. } = job else { return true };
            if taken.contains(&job.collection()) {
                return false;
            }
            let of = |twin: Arc<Kind>| Collection { kind: twin.name.clone(), ..job.collection() };
            taken.extend(self.twins(connection, kind).into_iter().map(of));
            true
        });
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
        if scope.path.is_some() {
            // What is below a parent is another collection than the whole.
            let scopes: BTreeSet<String> = asked.iter().flatten().cloned().collect();
            return Some(Choice::Apart { whole: asked.contains(&None), scopes });
        }
        let together = kind.dialect == DialectName::Odata && scope.filter.is_some();
        if scope.required && !together {
            let asked: BTreeSet<String> = asked.into_iter().flatten().collect();
            if kind.spec.list.across.is_none() {
                return Some(Choice::Each(asked.into_iter().collect()));
            }
            let unread = asked.into_iter().filter(|parent| {
                let whole = across_of(connection, kind, parent);
                !self.read.contains_key(&kind_of(connection, kind, parent))
                    && !whole.is_some_and(|whole| self.read.contains_key(&whole))
            });
            let (groups, single) = grouped(kind, unread.collect());
            return Some(Choice::Across { groups, single });
        }
        if scope.filter.is_none() || (asked.contains(&None) && !(scope.required || self.options.survey && scope.public))
        {
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
        if together {
            let of = |parent: &String| Collection {
                connection: connection.clone(),
                kind: kind.name.clone(),
                parent_kind: String::new(),
                scope: Some(parent.clone()),
            };
            return Some(Choice::Some(chunks(
                parents.into_iter().filter(|parent| !self.read.contains_key(&of(parent))).collect(),
            )));
        }
        if parents.len() == 1 { Some(Choice::Each(parents)) } else { Some(Choice::All { parents }) }
    }

    pub(super) async fn run_job(&self, job: &Job) -> Result<Answers, HttpError> {
        let connection = job.connection();
        let Some(remote) = self.remotes.get(&**connection) else { return Ok(Answers::default()) };
        match job {
            Job::Kind { connection, kind, parents, together: true, .. } => {
                let filter = kind.spec.scope.as_ref().and_then(|scope| scope.filter.clone()).unwrap_or_default();
                let asked = ListQuery {
                    query: parents.iter().map(|parent| (filter.clone(), parent.clone())).collect(),
                    include: self.includes(connection, &kind.name, false),
                    ..ListQuery::default()
                };
                let (listing, unoffered) = self.list_offered(remote, kind, asked).await?;
                Ok(Answers { listing, scopes: parents.clone(), unoffered, ..Answers::default() })
            }
            Job::Kind { connection, kind, scope: None, parents, .. } if self.asks_leniently(kind, parents) => {
                let include = self.includes(connection, &kind.name, false);
                let asked = ListQuery { include, ..ListQuery::default() };
                let (listing, unoffered) = self.list_offered(remote, kind, asked).await?;
                Ok(Answers { listing, unoffered, ..Answers::default() })
            }
            Job::Kind { connection, kind, scope, parents, .. } => {
                let include = self.includes(connection, &kind.name, false);
                let twins = self.twins(connection, kind);
                let keep = twins.iter().map(|twin| self.kept(connection, twin)).fold(self.kept(connection, kind), both);
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
                // A parent that is there has the collection, or the server does not offer it: that is no empty list.
                let absent =
                    |error: &HttpError| remote.is_absent(error) && !self.has_parent(kind, connection, scope.as_ref());
                match remote.list_within(kind, &below(scope.as_ref()), limit).await {
                    Ok(Some(listing)) => return Ok(Answers { listing, ..Answers::default() }),
                    Ok(None) => {}
                    // Below a parent that is gone, there is nothing.
                    Err(error) if scope.is_some() && absent(&error) => return Ok(Answers::default()),
                    Err(error) => return Err(error),
                }
                // The whole is longer than the parents in use are many: read it below each of them instead.
                let mut answers = Answers { scopes: parents.clone(), ..Answers::default() };
                let lists: Vec<_> = parents
                    .iter()
                    .map(|parent| {
                        let asked = below(Some(parent));
                        async move { remote.list(kind, &asked).await }.boxed()
                    })
                    .collect();
                let mut parts = stream::iter(lists).buffered(8);
                while let Some(part) = parts.next().await {
                    let part = part?;
                    answers.listing.rows.extend(part.rows);
                    answers.listing.included.extend(part.included);
                }
                Ok(answers)
            }
            Job::Across { connection, kind, above, parents } => {
                let (placed, apart) = self.list_placed(remote, connection, kind, above, parents).await?;
                Ok(Answers { placed: Some(placed), scopes: parents.clone(), apart, ..Answers::default() })
            }
            Job::Keys { connection, kind, field, keys } => {
                let wire = kind.field(field).map(|field| field.wire_name().to_owned()).unwrap_or_default();
                let asked = ListQuery {
                    query: keys.iter().map(|key| (wire.clone(), key.clone())).collect(),
                    include: self.includes(connection, &kind.name, false),
                    ..ListQuery::default()
                };
                let listing = remote.list(kind, &asked).await?;
                Ok(Answers { listing, ..Answers::default() })
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

    /// Whether a list may do without what not every server has.
    fn asks_leniently(&self, kind: &Kind, parents: &[String]) -> bool {
        self.options.survey && kind.dialect == DialectName::Odata && parents.is_empty()
    }

    /// Lists a kind. A survey asks for what not every server has, and does without where the server has no such thing:
    /// gives the kinds of entries that are then missing.
    async fn list_offered(
        &self,
        remote: &Remote,
        kind: &Kind,
        asked: ListQuery,
    ) -> Result<(Listing, Vec<String>), HttpError> {
        if !self.options.survey {
            return remote.list(kind, &asked).await.map(|listing| (listing, Vec::new()));
        }
        let optional = |child: &&Arc<Kind>| {
            let inside = child.inside().filter(|inside| inside.on_demand);
            inside.and_then(|inside| inside.include.as_ref()).is_some_and(|name| asked.include.contains(name))
        };
        let optional: Vec<&Arc<Kind>> = remote.api.children(&kind.name).filter(optional).collect();
        let name = |child: &&Arc<Kind>| child.inside().and_then(|inside| inside.include.clone());
        let names: Vec<String> = optional.iter().filter_map(name).collect();
        let plain: Vec<String> = asked.include.iter().filter(|name| !names.contains(name)).cloned().collect();
        let slot = (remote.client.connection().to_owned(), kind.name.clone());
        let whole = self.options.whole.contains(&slot) && kind.spec.fields.values().any(|field| field.on_demand);
        let mut tries = Vec::new();
        if whole {
            tries.push(ListQuery { on_demand: true, ..asked.clone() });
        }
        tries.push(asked.clone());
        if !optional.is_empty() {
            tries.push(ListQuery { include: plain, ..asked });
        }
        let last = tries.len() - 1;
        for (turn, query) in tries.into_iter().enumerate() {
            match remote.list(kind, &query).await {
                Ok(listing) => {
                    let missing = if turn == last { optional.as_slice() } else { &[] };
                    return Ok((listing, missing.iter().map(|child| child.name.clone()).collect()));
                }
                // Servers that lack something of what is asked for say so in many ways.
                Err(error) if turn < last && matches!(error.status(), Some(400 | 401 | 403 | 404 | 500)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((Listing::default(), Vec::new()))
    }

    /// Notes kinds of entries that the server does not have, and says so once.
    fn note_unoffered(&mut self, connection: &Arc<str>, parent: &Kind, children: &[String]) {
        for name in children {
            if !self.unlisted.insert((connection.clone(), name.clone())) {
                continue;
            }
            let child = self.remotes.get(&**connection).and_then(|remote| remote.api.kind(name));
            let field = child.and_then(|child| child.inside()).map(|inside| inside.field.clone()).unwrap_or_default();
            let message = format!(
                "The server of connection `{connection}` does not offer {name} objects: `{field}` of {} objects is left out.",
                parent.name
            );
            self.out.diagnostics.push(Diagnostic::note("PL0710", message));
        }
    }

    /// Whether the parent that a list is limited to is there as far as anybody knows.
    pub(super) fn has_parent(&self, kind: &Kind, connection: &Arc<str>, scope: Option<&String>) -> bool {
        let target = kind.spec.scope.as_ref().and_then(|scope| kind.field(&scope.field)?.reference.as_ref());
        let (Some(target), Some(id)) = (target, scope) else { return false };
        let parent = target.kind.clone().unwrap_or_default();
        let slot = (connection.clone(), parent.clone(), id.clone());
        let gone = self.out.gone.contains(&slot) || self.out.complete.contains(&(connection.clone(), parent));
        self.out.by_id.contains_key(&slot) || (target.as_written && !gone)
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

    /// Notes that a read failed, for all that wait for it, and tells of it once.
    fn take_failure(&mut self, job: &Job, error: HttpError) {
        let connection = job.connection();
        self.read.insert(job.collection(), Err(()));
        if let Job::Keys { kind, keys, .. } = job {
            let failed = keys.iter().map(|key| (key_of(connection, &kind.name, key), Err(())));
            self.read.extend(failed);
        }
        self.out.failed.push((connection.clone(), job.kind().to_owned()));
        if let Job::Kind { kind, .. } = job {
            for twin in self.twins(connection, kind) {
                let own = Collection { kind: twin.name.clone(), ..job.collection() };
                if self.read.insert(own, Err(())).is_none() {
                    self.out.failed.push((connection.clone(), twin.name.clone()));
                }
            }
        }
        let remote = self.remotes.get(&**connection);
        let absent = remote
            .is_some_and(|remote| error.status().is_some_and(|status| remote.api.spec.errors.absent.contains(&status)));
        let denied = matches!(error, HttpError::Auth { .. });
        let mut diagnostic: Diagnostic = error.into();
        let mut lenient = false;
        if let (Job::Kind { kind, .. }, true) = (job, absent) {
            self.unlisted.insert((connection.clone(), kind.name.clone()));
            diagnostic = diagnostic.hint(format!(
                "This server offers no {} objects: it may be too old for them, or of another edition.",
                job.kind()
            ));
            lenient =
                remote.is_some_and(|remote| is_lenient(remote, job.kind())) && !self.needs(connection, job.kind());
        }
        if lenient || self.options.survey && absent {
            diagnostic.severity = Severity::Warning;
        }
        diagnostic = diagnostic.hint(if lenient {
            "Names of such objects are taken as they are written.".to_owned()
        } else if self.options.survey {
            format!("Objects of kind {} are left out, or named by their ids.", job.kind())
        } else {
            format!(
                "Nothing that depends on {} objects of this connection is planned: a read that failed is not taken for absence.",
                job.kind()
            )
        });
        if !self.out.diagnostics.contains(&diagnostic) {
            if denied {
                self.noted.denied.entry(connection.clone()).or_default().push(self.out.diagnostics.len());
            }
            self.out.diagnostics.push(diagnostic);
        }
    }

    /// Where a connection's credential was refused whatever was read by it, it is told once.
    pub(super) fn fold_denied(&mut self) {
        let denied = std::mem::take(&mut self.noted.denied);
        let mut dropped: HashSet<usize> = HashSet::new();
        for (_, places) in denied.into_iter().filter(|(name, _)| !self.noted.answered.contains(name)) {
            let Some((first, rest)) = places.split_first().filter(|(_, rest)| !rest.is_empty()) else { continue };
            if let Some(told) = self.out.diagnostics.get_mut(*first) {
                let reads = if rest.len() == 1 { "read was" } else { "reads were" };
                told.hints.push(format!("{} more {reads} refused in the same way.", rest.len()));
            }
            dropped.extend(rest);
        }
        let mut place = 0;
        self.out.diagnostics.retain(|_| {
            place += 1;
            !dropped.contains(&(place - 1))
        });
    }

    /// Whether objects of a kind are declared or owned.
    fn needs(&self, connection: &Arc<str>, kind: &str) -> bool {
        let declared =
            self.manifests.objects.iter().any(|object| *object.connection == **connection && object.kind.name == kind);
        declared
            || self
                .state
                .objects
                .iter()
                .any(|(address, record)| *record.connection == **connection && address.split('/').nth(1) == Some(kind))
    }

    pub(super) fn take(&mut self, job: &Job, answers: Result<Answers, HttpError>) {
        let connection = job.connection().clone();
        let collection = job.collection();
        let answers = match answers {
            Ok(answers) => answers,
            Err(error) => return self.take_failure(job, error),
        };
        self.noted.answered.insert(connection.clone());
        if let Job::Keys { kind, keys, .. } = job {
            for key in keys {
                self.read.insert(key_of(&connection, &kind.name, key), Ok(()));
            }
            self.add_rows(&connection, kind, None, answers.listing);
            return;
        }
        if let (Job::Across { kind, .. }, Some(placed)) = (job, answers.placed) {
            if !answers.apart {
                self.read.insert(collection, Ok(()));
            }
            for parent in &answers.scopes {
                self.read.insert(kind_of(&connection, kind, parent), Ok(()));
            }
            self.add_placed(&connection, kind, placed);
            return;
        }
        for scope in &answers.scopes {
            self.read.insert(Collection { scope: Some(scope.clone()), ..collection.clone() }, Ok(()));
        }
        if answers.scopes.is_empty() {
            self.read.insert(collection, Ok(()));
        }
        match job {
            Job::Keys { .. } | Job::Across { .. } => {}
            Job::Kind { kind, scope, .. } => {
                self.note_unoffered(&connection, kind, &answers.unoffered);
                if answers.listing.untold {
                    let empty = answers.listing.rows.is_empty();
                    *self.untold.entry((connection.clone(), kind.name.clone())).or_default() |= empty;
                }
                if scope.is_none() && answers.scopes.is_empty() {
                    self.out.complete.insert((connection.clone(), kind.name.clone()));
                }
                for twin in self.twins(&connection, kind).into_iter().filter(|_| answers.scopes.is_empty()) {
                    let own = Collection { kind: twin.name.clone(), ..job.collection() };
                    if self.read.insert(own, Ok(())).is_none() {
                        if scope.is_none() {
                            self.out.complete.insert((connection.clone(), twin.name.clone()));
                        }
                        self.add_rows(&connection, &twin, scope.as_deref(), answers.listing.clone());
                    }
                }
                self.add_rows(&connection, kind, scope.as_deref(), answers.listing);
            }
            Job::Children { kind, parent_kind, parent, .. } => {
                let Some(remote) = self.remotes.get(&*connection) else { return };
                let Some(child) = remote.api.kind(kind).cloned() else { return };
                match answers.one {
                    Some((row, more)) => {
                        let Some(parent_kind) = remote.api.kind(parent_kind).cloned() else { return };
                        if self.options.survey {
                            self.note_whole(&connection, &parent_kind, parent, &row);
                        }
                        self.add_children(&connection, &parent_kind, parent, &row, &index_included(&more), true);
                    }
                    None => {
                        for row in &answers.listing.rows {
                            let added = self.add_row(&connection, &child, row, Some(parent), parent_kind);
                            self.note_parent(added, parent_kind);
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
                        let above = parent.as_deref().or_else(|| kind.parent_in(id));
                        if let Some(index) = self.add_row(&connection, &kind, &row, above, "")
                            && let Some(object) = self.out.objects.get_mut(index)
                        {
                            fill_omitted(&kind, true, &mut object.fields);
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

/// The attributes that are kept for one kind or the other; all of them where one keeps all.
fn both(one: Option<Arc<HashSet<String>>>, other: Option<Arc<HashSet<String>>>) -> Option<Arc<HashSet<String>>> {
    Some(Arc::new(one?.union(&*other?).cloned().collect()))
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
    /// By lists that are limited to many parents each.
    Some(Vec<Vec<String>>),
    /// By lists over the parents below others, and parent by parent.
    Across { groups: BTreeMap<String, Vec<String>>, single: Vec<String> },
    /// The collection of those without a parent, and that below each of these.
    Apart { whole: bool, scopes: BTreeSet<String> },
}

/// One read.
pub(super) enum Job {
    Kind {
        connection: Arc<str>,
        kind: Arc<Kind>,
        scope: Option<String>,
        parents: Vec<String>,
        together: bool,
    },
    /// Objects of a kind below many parents, which are below this one.
    Across {
        connection: Arc<str>,
        kind: Arc<Kind>,
        above: String,
        parents: Vec<String>,
    },
    /// Objects of a kind by their natural keys, wherever they are.
    Keys {
        connection: Arc<str>,
        kind: Arc<Kind>,
        field: String,
        keys: Vec<String>,
    },
    Children {
        connection: Arc<str>,
        kind: String,
        parent_kind: String,
        parent: String,
    },
    One {
        connection: Arc<str>,
        kind: String,
        id: String,
        parent: Option<String>,
    },
}

#[derive(Default)]
pub(super) struct Answers {
    listing: Listing,
    /// The parents that the listing is limited to, where it is not what was asked for.
    scopes: Vec<String>,
    /// Kinds of entries that the server does not have.
    unoffered: Vec<String>,
    one: Option<(Value, Vec<Value>)>,
    /// Rows of objects below several parents.
    placed: Option<Placed>,
    /// They were read below each of these parents.
    apart: bool,
}

impl Answers {
    /// How many objects there are in them.
    fn objects(&self) -> usize {
        self.listing.rows.len() + self.placed.as_ref().map_or(0, Vec::len) + usize::from(self.one.is_some())
    }
}

impl Job {
    pub(super) fn connection(&self) -> &Arc<str> {
        match self {
            Self::Kind { connection, .. }
            | Self::Across { connection, .. }
            | Self::Keys { connection, .. }
            | Self::Children { connection, .. }
            | Self::One { connection, .. } => connection,
        }
    }

    pub(super) fn kind(&self) -> &str {
        match self {
            Self::Kind { kind, .. } | Self::Across { kind, .. } | Self::Keys { kind, .. } => &kind.name,
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
            Self::Across { connection, kind, above, .. } => Collection {
                connection: connection.clone(),
                kind: kind.name.clone(),
                parent_kind: "^".into(),
                scope: Some(above.clone()),
            },
            Self::Keys { connection, kind, keys, .. } => {
                key_of(connection, &kind.name, keys.first().map_or("", String::as_str))
            }
            Self::Children { connection, kind, parent_kind, parent } => {
                children_of(connection, kind, parent_kind, parent)
            }
            Self::One { connection, kind, id, .. } => one_of(connection, kind, id),
        }
    }
}
