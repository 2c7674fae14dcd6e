//! An account of IT Glue, small, whose answers look in each of the ways that the vendor's reference leaves open.

use serde_json::{Map, Value, json};

use crate::support::wild::{Asked, Reply};

/// Whether lists say how long they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Totals {
    /// Total and page numbers.
    All,
    /// The number of the next page, null on the last one.
    Next,
    /// Nothing.
    No,
}

/// Where the entries go that a list was asked to include.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Included {
    /// At the top, and named by relationships.
    Top,
    /// Inside each item of `data`, and named by relationships.
    InData,
    /// Nowhere.
    No,
}

/// How answers look.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) totals: Totals,
    pub(super) numeric_ids: bool,
    pub(super) snake_types: bool,
    pub(super) snake_attributes: bool,
    pub(super) included: Included,
    /// Rows on a page at most.
    pub(super) clamp: usize,
    /// Status of a create's answer; 204 has no body.
    pub(super) created: u16,
    /// Attributes that nobody knows.
    pub(super) extra: bool,
    /// Attributes without a value are null; left out otherwise.
    pub(super) nulls: bool,
    /// `"1"` and `"0"`.
    pub(super) digits: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            totals: Totals::All,
            numeric_ids: false,
            snake_types: false,
            snake_attributes: false,
            included: Included::Top,
            clamp: 1000,
            created: 201,
            extra: false,
            nulls: true,
            digits: false,
        }
    }
}

/// Attributes of each kind, as answers spell them.
const KINDS: &[(&str, &[&str])] = &[
    ("organizations", &["name", "description", "alert", "quick-notes", "short-name", "primary"]),
    ("configuration_types", &["name"]),
    ("manufacturers", &["name"]),
    (
        "configurations",
        &["name", "organization-id", "organization-name", "configuration-type-id", "hostname", "notes", "archived"],
    ),
    ("configuration_interfaces", &["name", "ip-address", "mac-address", "primary", "notes"]),
];
const INSIDE: &str = "configuration_interfaces";

/// One object.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: u64,
    kind: String,
    parent: Option<u64>,
    pub(super) attributes: Map<String, Value>,
}

/// The account.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    manner: Manner,
    rows: Vec<Row>,
    last: u64,
}

impl Account {
    /// An empty account.
    pub(super) fn new(manner: Manner) -> Self {
        Self { manner, ..Self::default() }
    }

    /// Adds an object.
    pub(super) fn add(&mut self, kind: &str, attributes: &Value) -> u64 {
        self.insert(kind, None, attributes.as_object().unwrap().clone())
    }

    fn insert(&mut self, kind: &str, parent: Option<u64>, attributes: Map<String, Value>) -> u64 {
        self.last += 1;
        let attributes = attributes.into_iter().map(|(name, value)| (name.replace('_', "-"), value)).collect();
        self.rows.push(Row { id: self.last, kind: kind.to_owned(), parent, attributes });
        self.last
    }

    /// Changes the objects of a kind that have a name.
    pub(super) fn change_all(&mut self, kind: &str, name: &str, change: &Value) {
        let ids: Vec<u64> =
            self.of(kind).into_iter().filter(|row| row.attributes["name"] == name).map(|row| row.id).collect();
        for id in ids {
            self.change(id, change.as_object().unwrap());
        }
    }

    /// The objects of a kind.
    pub(super) fn of(&self, kind: &str) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.kind == kind).collect()
    }

    /// Names of the objects of a kind, in order.
    pub(super) fn names(&self, kind: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.of(kind).iter().filter_map(|row| row.attributes["name"].as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The good answer.
    pub(super) fn answer(&mut self, asked: &Asked) -> Reply {
        let path = asked.path.clone();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (asked.method.as_str(), &parts[..]) {
            ("GET", [kind]) => self.list(asked, kind, None),
            ("GET", [_, id, "relationships", kind]) => self.list(asked, kind, Some(id.parse().unwrap())),
            ("GET", [_, id]) => match self.find(id) {
                None => Reply::json(404, &json!({"errors": [{"title": "Not Found", "status": "404"}]})),
                Some(row) => self.one(200, &row),
            },
            ("POST", [kind]) => self.create(asked, kind, None),
            ("POST", [_, id, "relationships", kind]) => self.create(asked, kind, Some(id.parse().unwrap())),
            ("PATCH", [_, id]) => {
                let id: u64 = id.parse().unwrap();
                self.change(id, asked.body["data"]["attributes"].as_object().unwrap());
                let row = self.rows.iter().find(|row| row.id == id).unwrap().clone();
                self.one(200, &row)
            }
            ("PATCH", [_]) => {
                let items = asked.body["data"].as_array().unwrap();
                let mut rows = Vec::new();
                for item in items {
                    let attributes = item["attributes"].as_object().unwrap();
                    let id = number(&attributes["id"]);
                    self.change(id, attributes);
                    rows.push(self.shown(self.rows.iter().find(|row| row.id == id).unwrap()));
                }
                Reply::json(200, &json!({ "data": rows }))
            }
            ("DELETE", [_]) => {
                let items = asked.body["data"].as_array().unwrap();
                let gone: Vec<u64> = items.iter().map(|item| number(&item["attributes"]["id"])).collect();
                self.rows.retain(|row| !gone.contains(&row.id));
                Reply::json(200, &json!({ "data": [] }))
            }
            _ => Reply::empty(405),
        }
    }

    fn find(&self, id: &str) -> Option<Row> {
        let id: u64 = id.parse().ok()?;
        self.rows.iter().find(|row| row.id == id).cloned()
    }

    fn one(&self, status: u16, row: &Row) -> Reply {
        Reply::json(status, &json!({ "data": self.shown(row) }))
    }

    fn create(&mut self, asked: &Asked, kind: &str, parent: Option<u64>) -> Reply {
        let data = &asked.body["data"];
        let items = data.as_array().cloned().unwrap_or_else(|| vec![data.clone()]);
        let mut made = Vec::new();
        for item in &items {
            let mut attributes = item["attributes"].as_object().unwrap().clone();
            if let (Some(parent), "configurations") = (parent, kind) {
                attributes.insert("organization-id".into(), parent.into());
            }
            let id = self.insert(kind, parent.filter(|_| kind == INSIDE), attributes);
            let along = &item["relationships"][INSIDE]["data"];
            for entry in along.as_array().into_iter().flatten() {
                self.insert(INSIDE, Some(id), entry["attributes"].as_object().unwrap().clone());
            }
            made.push(self.rows.iter().find(|row| row.id == id).unwrap().clone());
        }
        if self.manner.created == 204 {
            return Reply::empty(204);
        }
        let rows: Vec<Value> = made.iter().map(|row| self.shown(row)).collect();
        let data = if asked.body["data"].is_array() { Value::Array(rows) } else { rows[0].clone() };
        Reply::json(self.manner.created, &json!({ "data": data }))
    }

    fn change(&mut self, id: u64, attributes: &Map<String, Value>) {
        let row = self.rows.iter_mut().find(|row| row.id == id).unwrap();
        for (name, value) in attributes.iter().filter(|(name, _)| *name != "id") {
            row.attributes.insert(name.replace('_', "-"), value.clone());
        }
    }

    fn list(&self, asked: &Asked, kind: &str, parent: Option<u64>) -> Reply {
        let wanted = asked.query("filter[organization_id]").map(|id| id.parse::<u64>().unwrap());
        let rows: Vec<&Row> = self
            .of(kind)
            .into_iter()
            .filter(|row| parent.is_none() || row.parent == parent)
            .filter(|row| wanted.is_none_or(|id| row.attributes.get("organization-id").map(number) == Some(id)))
            .collect();
        let page: usize = asked.query("page[number]").unwrap_or("1").parse().unwrap();
        let size: usize = asked.query("page[size]").unwrap_or("50").parse().unwrap();
        let size = size.min(self.manner.clamp);
        let pages = rows.len().div_ceil(size).max(1);
        let shown = rows.iter().skip((page - 1) * size).take(size);
        let mut data: Vec<Value> = shown.clone().map(|row| self.shown(row)).collect();
        let mut body = json!({});
        if asked.query("include").is_some_and(|include| include.contains(INSIDE))
            && self.manner.included != Included::No
        {
            let mut all = Vec::new();
            for (item, row) in data.iter_mut().zip(shown) {
                let entries: Vec<&Row> =
                    self.of(INSIDE).into_iter().filter(|entry| entry.parent == Some(row.id)).collect();
                let along: Vec<Value> = entries.iter().map(|entry| self.shown(entry)).collect();
                let links: Vec<Value> =
                    along.iter().map(|entry| json!({"id": entry["id"], "type": entry["type"]})).collect();
                let name = if self.manner.snake_types { INSIDE.to_owned() } else { INSIDE.replace('_', "-") };
                item["relationships"] = json!({ name: { "data": links } });
                if self.manner.included == Included::InData {
                    item["included"] = along.into();
                } else {
                    all.extend(along);
                }
            }
            if self.manner.included == Included::Top {
                body["included"] = all.into();
            }
        }
        body["data"] = data.into();
        let next = (page < pages).then_some(page + 1);
        match self.manner.totals {
            Totals::All => {
                body["meta"] = json!({"current-page": page, "next-page": next, "prev-page": null, "total-pages": pages,
                    "total-count": rows.len(), "filters": {}});
            }
            Totals::Next => body["meta"] = json!({ "next-page": next }),
            Totals::No => {}
        }
        Reply::json(200, &body)
    }

    fn shown(&self, row: &Row) -> Value {
        let manner = &self.manner;
        let known = KINDS.iter().find(|(kind, _)| *kind == row.kind).map_or(&[][..], |(_, names)| names);
        let mut attributes = Map::new();
        for name in known {
            let value = match row.attributes.get(*name).cloned().unwrap_or(Value::Null) {
                Value::Null if !manner.nulls => continue,
                Value::Bool(on) if manner.digits => json!(if on { "1" } else { "0" }),
                value => value,
            };
            let name = if manner.snake_attributes { name.replace('-', "_") } else { (*name).to_owned() };
            attributes.insert(name, value);
        }
        if manner.extra {
            attributes.insert("brand-new".into(), json!({"deep": [1, null, "two"]}));
            attributes.insert("id".into(), "not this one".into());
        }
        let word = if manner.snake_types { row.kind.clone() } else { row.kind.replace('_', "-") };
        let id = if manner.numeric_ids { json!(row.id) } else { json!(row.id.to_string()) };
        json!({ "id": id, "type": word, "attributes": attributes })
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}
