//! Query options: parsed, and carried out on the rows of a set.

use serde_json::{Map, Value};

use super::{
    BadQuery,
    filter::{self, Expr},
    view::{Nav, View},
};
use crate::sandbox::store::Row;

/// What is asked of a set, or of what a navigation property leads to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Options {
    pub(super) select: Option<Vec<String>>,
    pub(super) filter: Option<Expr>,
    pub(super) expand: Vec<(String, bool, Options)>,
    /// Property and whether downwards: the usual direction, where none is given.
    pub(super) orderby: Vec<(String, bool)>,
    pub(super) top: Option<usize>,
    pub(super) skip: usize,
}

impl Options {
    /// Reads the options of a URL, or of an expansion.
    pub(super) fn read<'q>(pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> Result<Self, BadQuery> {
        let mut out = Self::default();
        for (name, value) in pairs {
            match name {
                "$select" => {
                    if value.contains(' ') || value.is_empty() {
                        return Err(BadQuery::Syntax);
                    }
                    out.select = Some(value.split(',').map(str::to_owned).collect());
                }
                "$filter" => out.filter = Some(filter::parse(value)?),
                "$expand" => {
                    for part in split(value, ',') {
                        out.expand.push(expansion(part)?);
                    }
                }
                "$orderby" => {
                    for part in value.split(',') {
                        let mut words = part.split(' ').filter(|word| !word.is_empty());
                        let property = words.next().ok_or(BadQuery::Syntax)?.to_owned();
                        let down = match words.next() {
                            Some("asc") => false,
                            None | Some("desc") => true,
                            Some(_) => return Err(BadQuery::Syntax),
                        };
                        out.orderby.push((property, down));
                    }
                }
                "$top" => out.top = Some(value.parse().map_err(|_| BadQuery::Syntax)?),
                "$skip" => out.skip = value.parse().map_err(|_| BadQuery::Syntax)?,
                // Accepted and ignored.
                "$count" | "$inlinecount" => {}
                _ if name.starts_with('$') => return Err(BadQuery::Syntax),
                _ => {}
            }
        }
        Ok(out)
    }

    /// Checks every name, whether or not there are rows.
    pub(super) fn check(&self, view: View<'_>) -> Result<(), BadQuery> {
        let known = |name: &String| view.has(name);
        if !self.select.iter().flatten().all(known) || !self.orderby.iter().map(|(name, _)| name).all(known) {
            return Err(BadQuery::Name);
        }
        for (name, _, options) in &self.expand {
            match view.nav(name).ok_or(BadQuery::Name)? {
                Nav::One(_, kind) | Nav::Many(kind, _) => {
                    options.check(view.of(&kind).ok_or(BadQuery::Name)?)?;
                }
                Nav::Users => {}
            }
        }
        if let Some(expr) = &self.filter {
            filter::check(expr, &[(String::new(), view)])?;
        }
        Ok(())
    }

    /// The rows that are meant, in order.
    pub(super) fn pick<'a>(&self, view: View<'a>, rows: Vec<&'a Row>) -> Result<Vec<&'a Row>, BadQuery> {
        let mut out = Vec::new();
        for row in rows {
            let held = match &self.filter {
                None => true,
                Some(expr) => filter::holds(expr, &vec![(String::new(), view, row)])? == Some(true),
            };
            if held {
                out.push(row);
            }
        }
        if self.orderby.is_empty() {
            // No order is promised: what was changed last comes last, as in a heap.
            out.sort_by_key(|row| (row.updated, row.seq));
        } else {
            out.sort_by(|a, b| {
                for (name, down) in &self.orderby {
                    let order = order(view.property(a, name).as_ref(), view.property(b, name).as_ref());
                    let order = if *down { order.reverse() } else { order };
                    if order.is_ne() {
                        return order;
                    }
                }
                std::cmp::Ordering::Equal
            });
        }
        Ok(out.into_iter().skip(self.skip).take(self.top.unwrap_or(usize::MAX)).collect())
    }

    /// A row as the answer has it.
    pub(super) fn show(&self, view: View<'_>, row: &Row) -> Result<Map<String, Value>, BadQuery> {
        let mut out = view.entity(row, self.select.as_deref());
        for (name, count, options) in &self.expand {
            let nav = view.nav(name).ok_or(BadQuery::Name)?;
            let found = view.follow(&nav, row);
            let kind = match &nav {
                Nav::One(_, kind) | Nav::Many(kind, _) => kind.as_str(),
                Nav::Users => return Err(BadQuery::Name),
            };
            let other = view.of(kind).ok_or(BadQuery::Name)?;
            let rows = options.pick(other, found.into_iter().map(|(_, row)| row).collect())?;
            let value = if *count {
                rows.len().into()
            } else {
                let shown = rows.into_iter().map(|row| options.show(other, row).map(Value::Object));
                Value::Array(shown.collect::<Result<_, _>>()?)
            };
            out.insert(name.clone(), value);
        }
        Ok(out)
    }
}

fn order(a: Option<&Value>, b: Option<&Value>) -> std::cmp::Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default())
        }
        (a, b) => {
            let text = |value: Option<&Value>| value.and_then(crate::value::text);
            text(a).cmp(&text(b))
        }
    }
}

/// `nav`, `nav/$count` or `nav(option;option)`.
fn expansion(text: &str) -> Result<(String, bool, Options), BadQuery> {
    let (name, options) = match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')').ok_or(BadQuery::Syntax)?)),
        None => (text, None),
    };
    let (name, count) = name.strip_suffix("/$count").map_or((name, false), |name| (name, true));
    if name.is_empty() || name.contains(' ') {
        return Err(BadQuery::Syntax);
    }
    let mut pairs = Vec::new();
    for option in options.into_iter().flat_map(|options| split(options, ';')) {
        pairs.push(option.split_once('=').ok_or(BadQuery::Syntax)?);
    }
    Ok((name.to_owned(), count, Options::read(pairs)?))
}

/// Splits at a sign outside of parentheses and quotes.
pub(super) fn split(text: &str, sign: char) -> Vec<&str> {
    let (mut out, mut depth, mut quoted, mut start) = (Vec::new(), 0_i32, false, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            letter if letter == sign && !quoted && depth == 0 => {
                out.push(text.get(start..at).unwrap_or_default());
                start = at + sign.len_utf8();
            }
            _ => {}
        }
    }
    out.push(text.get(start..).unwrap_or_default());
    out
}
