//! What a simulated API holds: rows by kind, found by id and by parent, with an undo log so that a refused call leaves
//! no trace.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use crate::value::{Fields, get_path, text};

/// One object.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// Order of creation; 0 until stored.
    pub(super) seq: u64,
    /// Tells the row from the others of its kind: the id, with the container's before it where ids are local.
    pub(super) key: String,
    /// The id on the wire.
    pub(super) id: String,
    /// Kind and id of the object that it is inside.
    pub(super) parent: Option<(String, String)>,
    /// Attributes by their name on the wire, nested as there.
    pub(super) attributes: Fields,
    /// Tick of its creation.
    pub(super) created: u64,
    /// When it was created, by the real clock.
    pub(super) born: Timestamp,
    /// Tick of its last change.
    pub(super) updated: u64,
    /// The system that owns it, where one does.
    pub(super) synced: Option<String>,
    /// List calls that it still appears in after its deletion.
    pub(super) doomed: Option<u32>,
}

impl Row {
    /// The attribute at a dotted path.
    pub(super) fn get(&self, wire: &str) -> Option<&Value> {
        match wire.split_once('.') {
            None => self.attributes.get(wire),
            Some((head, rest)) => get_path(self.attributes.get(head)?, rest),
        }
    }

    /// The attribute as text, where it is a scalar.
    pub(super) fn text(&self, wire: &str) -> Option<String> {
        self.get(wire).and_then(text)
    }

    /// Whether the attribute is true.
    pub(super) fn flag(&self, wire: &str) -> bool {
        self.get(wire).and_then(Value::as_bool).unwrap_or(false)
    }
}

/// The rows of one kind.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: BTreeMap<u64, Row>,
    keys: HashMap<String, u64>,
    parents: HashMap<String, BTreeSet<u64>>,
    scopes: HashMap<String, BTreeSet<u64>>,
    naturals: HashMap<String, BTreeSet<u64>>,
    scope: Option<String>,
    /// Attributes of the natural key, and whether the case of their letters does not count; none where the kind has no
    /// such key.
    natural: Vec<(String, bool)>,
    next_id: u64,
    highest: u64,
    /// Whether ids ascend in the order of creation.
    ascending: bool,
}

impl Table {
    /// An empty table whose rows are also found by the value of an attribute and by the attributes of the natural key,
    /// and whose first id is given.
    pub(super) fn new(scope: Option<String>, natural: Vec<(String, bool)>, first_id: u64) -> Self {
        Self { scope, natural, next_id: first_id, ascending: true, ..Self::default() }
    }

    /// The other rows of the same container that have the same natural key.
    pub(super) fn twins<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Row> {
        let seqs = self.natural_key(row).and_then(|key| self.naturals.get(&key)).into_iter().flatten();
        seqs.filter(|seq| **seq != row.seq).filter_map(|seq| self.rows.get(seq))
    }

    fn natural_key(&self, row: &Row) -> Option<String> {
        if self.natural.is_empty() {
            return None;
        }
        let mut key = row.parent.as_ref().map(|(kind, id)| place(kind, id)).unwrap_or_default();
        for (wire, folds) in
            self.scope.iter().map(|wire| (wire, false)).chain(self.natural.iter().map(|(a, b)| (a, *b)))
        {
            key.push('\u{1f}');
            let text = row.text(wire)?;
            key.push_str(&if folds { text.to_lowercase() } else { text });
        }
        Some(key)
    }

    /// The row with this key.
    pub(super) fn get(&self, key: &str) -> Option<&Row> {
        self.rows.get(self.keys.get(key)?)
    }

    /// All rows in the order of their creation.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.values()
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether ids ascend in the order of creation.
    pub(super) fn ascending(&self) -> bool {
        self.ascending
    }

    /// The rows inside a parent.
    pub(super) fn inside<'a>(&'a self, kind: &str, id: &str) -> impl Iterator<Item = &'a Row> + use<'a> {
        self.parents.get(&place(kind, id)).into_iter().flatten().filter_map(|seq| self.rows.get(seq))
    }

    /// The rows whose scope attribute has this value; nothing where the table is not indexed by that attribute.
    pub(super) fn scoped<'a>(&'a self, wire: &str, id: &str) -> Option<impl Iterator<Item = &'a Row> + use<'a>> {
        if self.scope.as_deref() != Some(wire) {
            return None;
        }
        Some(self.scopes.get(id).into_iter().flatten().filter_map(|seq| self.rows.get(seq)))
    }

    fn link(&mut self, row: &Row) {
        self.keys.insert(row.key.clone(), row.seq);
        if let Some((kind, id)) = &row.parent {
            self.parents.entry(place(kind, id)).or_default().insert(row.seq);
        }
        if let Some(value) = self.scope.as_deref().and_then(|wire| row.text(wire)) {
            self.scopes.entry(value).or_default().insert(row.seq);
        }
        if let Some(key) = self.natural_key(row) {
            self.naturals.entry(key).or_default().insert(row.seq);
        }
    }

    fn unlink(&mut self, row: &Row) {
        self.keys.remove(&row.key);
        if let Some((kind, id)) = &row.parent
            && let Some(set) = self.parents.get_mut(&place(kind, id))
        {
            set.remove(&row.seq);
        }
        if let Some(value) = self.scope.as_deref().and_then(|wire| row.text(wire))
            && let Some(set) = self.scopes.get_mut(&value)
        {
            set.remove(&row.seq);
        }
        if let Some(key) = self.natural_key(row)
            && let Some(set) = self.naturals.get_mut(&key)
        {
            set.remove(&row.seq);
            if set.is_empty() {
                self.naturals.remove(&key);
            }
        }
    }

    /// Stores a row under its `seq`; gives back what was there.
    fn set(&mut self, row: Row) -> Option<Row> {
        let old = self.rows.remove(&row.seq);
        if let Some(old) = &old {
            self.unlink(old);
        } else if let Ok(id) = row.id.parse::<u64>()
            && self.rows.last_key_value().is_none_or(|(last, _)| *last < row.seq)
        {
            self.ascending &= id >= self.highest;
            self.highest = self.highest.max(id);
        }
        self.link(&row);
        self.rows.insert(row.seq, row);
        old
    }

    fn remove(&mut self, seq: u64) -> Option<Row> {
        let row = self.rows.remove(&seq)?;
        self.unlink(&row);
        Some(row)
    }
}

fn place(kind: &str, id: &str) -> String {
    format!("{kind}/{id}")
}

/// All rows of an API.
#[derive(Debug, Default)]
pub(super) struct Store {
    tables: HashMap<String, Table>,
    undo: Vec<(String, u64, Option<Row>)>,
    seq: u64,
    tick: u64,
}

impl Store {
    /// Adds the table of a kind.
    pub(super) fn add_table(&mut self, kind: &str, table: Table) {
        self.tables.insert(kind.to_owned(), table);
    }

    /// The table of a kind.
    pub(super) fn table(&self, kind: &str) -> Option<&Table> {
        self.tables.get(kind)
    }

    /// The row of a kind with this key.
    pub(super) fn get(&self, kind: &str, key: &str) -> Option<&Row> {
        self.tables.get(kind)?.get(key)
    }

    /// All rows of a kind.
    pub(super) fn rows(&self, kind: &str) -> impl Iterator<Item = &Row> {
        self.tables.get(kind).into_iter().flat_map(Table::rows)
    }

    /// The rows of a kind inside a parent.
    pub(super) fn inside<'a>(&'a self, kind: &str, parent: (&str, &str)) -> impl Iterator<Item = &'a Row> + use<'a> {
        let rows: Vec<&'a Row> =
            self.tables.get(kind).map(|table| table.inside(parent.0, parent.1).collect()).unwrap_or_default();
        rows.into_iter()
    }

    /// The time now: it moves by one with every call that changes something.
    pub(super) fn tick(&self) -> u64 {
        self.tick
    }

    /// Moves the time on.
    pub(super) fn advance(&mut self) {
        self.tick += 1;
    }

    /// The next number for an id of a kind.
    pub(super) fn next_number(&mut self, kind: &str) -> u64 {
        let Some(table) = self.tables.get_mut(kind) else { return 0 };
        loop {
            let number = table.next_id.max(table.highest + 1);
            table.next_id = number + 1;
            if !table.keys.contains_key(&number.to_string()) {
                return number;
            }
        }
    }

    /// Stores a row: a new one where its `seq` is 0.
    pub(super) fn put(&mut self, kind: &str, mut row: Row) -> u64 {
        if row.seq == 0 {
            self.seq += 1;
            row.seq = self.seq;
            row.created = self.tick;
            row.born = Timestamp::now();
        }
        row.updated = self.tick;
        self.put_as_is(kind, row)
    }

    /// Stores a row without moving its time of change.
    pub(super) fn put_as_is(&mut self, kind: &str, row: Row) -> u64 {
        let seq = row.seq;
        if let Some(table) = self.tables.get_mut(kind) {
            let old = table.set(row);
            self.undo.push((kind.to_owned(), seq, old));
        }
        seq
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, kind: &str, key: &str) -> Option<Row> {
        let table = self.tables.get_mut(kind)?;
        let seq = *table.keys.get(key)?;
        let row = table.remove(seq)?;
        self.undo.push((kind.to_owned(), seq, Some(row.clone())));
        Some(row)
    }

    /// Makes what was done since the last commit final.
    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    /// How much was done since the last commit.
    pub(super) fn savepoint(&self) -> usize {
        self.undo.len()
    }

    /// Takes back what was done since the last commit.
    pub(super) fn rollback(&mut self) {
        self.rollback_to(0);
    }

    /// Takes back what was done since a point after the last commit.
    pub(super) fn rollback_to(&mut self, savepoint: usize) {
        let later = self.undo.split_off(savepoint.min(self.undo.len()));
        for (kind, seq, old) in later.into_iter().rev() {
            if let Some(table) = self.tables.get_mut(&kind) {
                match old {
                    Some(row) => {
                        table.set(row);
                    }
                    None => {
                        table.remove(seq);
                    }
                }
            }
        }
    }
}
