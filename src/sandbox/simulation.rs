//! One simulated API: its description as shapes and routes, its rows, and the calls on them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{
    SandboxOptions,
    answer::{Answer, Refusal},
    behaviour::{self, Behaviour},
    desk::Desk,
    odata,
    route::{self, NoCall, Route},
    shape::{self, Shape},
    store::{Store, Table},
};
use crate::description::{
    Api,
    format::{DialectName, IdWire},
};

/// One simulated API.
pub(super) struct Simulation {
    pub(super) api: Arc<Api>,
    pub(super) shapes: HashMap<String, Arc<Shape>>,
    pub(super) behaviour: &'static dyn Behaviour,
    /// List calls that a deferred deletion takes.
    pub(super) deferred_lists: u32,
    /// Objects on a page at most, whatever the request wants.
    pub(super) page_size_cap: Option<u32>,
    routes: Vec<Route>,
    store: Mutex<Store>,
}

/// Who makes a request, and how.
#[derive(Debug, Clone, Default)]
pub(super) struct Reader {
    /// Address of the call, without its query.
    pub(super) url: String,
    /// Whether the credential may see sensitive values.
    pub(super) sees_secrets: bool,
    /// There is no valid credential, and the API answers all the same.
    pub(super) stranger: bool,
    /// The credential may not write.
    pub(super) read_only: bool,
}

/// A request that passed the door.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Parts of the path, after the API's prefix and version path.
    pub(super) parts: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) if_match: Option<&'a str>,
    pub(super) content_type: Option<&'a str>,
    pub(super) body: Bytes,
    pub(super) reader: Reader,
}

/// The time at a tick: a clock of its own, so that runs repeat.
pub(super) fn time_of(tick: u64) -> Timestamp {
    let start = Timestamp::constant(1_767_607_200, 0);
    start.checked_add(SignedDuration::from_secs(i64::try_from(tick).unwrap_or_default())).unwrap_or(start)
}

impl Simulation {
    /// An empty simulation of an API.
    pub(super) fn new(api: &Arc<Api>, options: &SandboxOptions) -> Self {
        let shapes = shape::shapes(api);
        let behaviour = behaviour::of(&api.name);
        let mut store = Store::default();
        for (index, kind) in (1_u64..).zip(api.kinds.values()) {
            let natural = kind.spec.key.iter().filter_map(|name| kind.field(name));
            let natural = natural.map(|field| (field.wire_name().to_owned(), field.key_ignores_case)).collect();
            let scope = shapes.get(&kind.name).and_then(|shape| shape.scope.clone());
            // Ids of different kinds differ, so that a mixed-up id is no object by chance.
            store.add_table(&kind.name, Table::new(scope, natural, index * 1000 + 1));
        }
        Self {
            api: api.clone(),
            routes: route::routes(api, &shapes),
            shapes,
            behaviour,
            deferred_lists: options.deferred_lists,
            page_size_cap: options.page_size_cap,
            store: Mutex::new(store),
        }
    }

    /// The rows, locked.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shape of a kind.
    pub(super) fn shape(&self, kind: &str) -> Option<&Shape> {
        self.shapes.get(kind).map(AsRef::as_ref)
    }

    /// Whether the API speaks JSON:API.
    pub(super) fn is_jsonapi(&self) -> bool {
        self.api.spec.dialect == DialectName::Jsonapi
    }

    /// How the ids of a kind are written in bodies.
    pub(super) fn id_wire(&self, kind: &str) -> IdWire {
        self.api.kind(kind).map(|kind| kind.spec.id.wire).unwrap_or_default()
    }

    /// Whether a query parameter is one that the description itself sends.
    pub(super) fn is_fixed_query(&self, shape: &Shape, name: &str, value: &str) -> bool {
        let spec = &shape.kind.spec;
        let own = [&self.api.spec.query, &spec.list.query, &spec.get.query, &spec.create.query, &spec.update.query];
        own.iter().any(|query| query.get(name).is_some_and(|given| given == value))
    }

    /// Carries a request out, all of it or nothing.
    pub(super) fn answer(&self, request: &Request<'_>) -> Answer {
        {
            let mut store = self.store();
            store.advance();
            let own = match self.api.spec.dialect {
                DialectName::Odata => Some(odata::answer(self, &mut store, request)),
                _ => self.applied(&mut store, request).or_else(|| self.behaviour.own_call(self, &mut store, request)),
            };
            if let Some(result) = own {
                if result.is_err() {
                    store.rollback();
                }
                store.commit();
                return result.unwrap_or_else(|refusal| refusal.answer(&self.api));
            }
        }
        let call = match route::find(&self.routes, request.method, &request.parts) {
            Ok(call) => call,
            Err(NoCall::Path) => return Refusal::absent().answer(&self.api),
            Err(NoCall::Method(methods)) => {
                let refusal = Refusal::new(405, format!("`{}` is not possible here.", request.method));
                return refusal.answer(&self.api).with("allow", &methods.join(", "));
            }
        };
        let mut store = self.store();
        store.advance();
        let result = self.carry_out(&mut store, &call, request);
        match result {
            Ok(answer) => {
                store.commit();
                answer
            }
            Err(refusal) => {
                store.rollback();
                store.commit();
                let own = self.behaviour.absent(call.shape.name()).filter(|_| refusal.status == 404);
                own.map_or(refusal, |(status, why)| Refusal::new(status, why)).answer(&self.api)
            }
        }
    }

    /// Carries out all deferred deletions.
    pub(super) fn flush(&self) {
        let mut store = self.store();
        for shape in self.shapes.values() {
            let rows = store.rows(shape.name()).filter(|row| row.doomed.is_some());
            let due: Vec<String> = rows.map(|row| row.key.clone()).collect();
            if !due.is_empty() {
                Desk::new(self, &mut store).remove(shape, &due);
            }
        }
        store.commit();
    }
}
