//! One connection as the engine sees it: lists, single reads and writes of kinds, in terms of rows.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use indexmap::IndexMap;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::query::{Wanted, item_query, list_query};
use crate::{
    description::{
        Api, Kind,
        format::{DialectName, FieldSpec, Paging, PagingStyle, ReadBy, Verb},
    },
    dialect::{self, Page, odata},
    http::{Answer, Call, Client, HttpError, Site},
    value::{Fields, get_path},
};

/// How often an accepted call is asked after.
const POLLS: u32 = 300;
/// A list that takes more pages than this goes round in circles.
const PAGES: u64 = 100_000;

/// One connection: a client and the API behind it.
#[derive(Clone)]
pub struct Remote {
    /// The client.
    pub client: Client,
    /// The API.
    pub api: Arc<Api>,
    /// The fields that lists and reads ask for, where the API lets a client choose.
    pub wanted: Arc<Wanted>,
    /// What the API's `check` answered, where it was asked.
    pub caller: Option<Arc<Value>>,
    /// Whether reads of one object ask for its secrets.
    pub secrets: bool,
}

/// A whole list: nothing is missing from it.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The rows, each once, in the server's order.
    pub rows: Vec<Value>,
    /// Rows that came along.
    pub included: Vec<Value>,
    /// No answer told how many there are, although the description says where they do: what is not here may be there.
    pub untold: bool,
}

/// What a list is asked for.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Values of the path's templates.
    pub vars: Vec<(String, String)>,
    /// Further query parameters.
    pub query: Vec<(String, String)>,
    /// Values of the include parameter.
    pub include: Vec<String>,
    /// The list over many parents is asked.
    pub across: bool,
    /// What not every server has is asked for, too.
    pub on_demand: bool,
    /// Attributes that are kept of each row (see [`dialect::slim`]); all of them unless given.
    pub keep: Option<Arc<HashSet<String>>>,
}

/// Fills a path's templates; gives the name of the first that has no value.
pub fn fill_path(template: &str, vars: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        let value = vars(name).ok_or_else(|| name.to_owned())?;
        // The words of a parent's path are the description's own and may have slashes.
        if name == "parentPath" {
            out.push_str(&value);
        } else if value != "{id}" && (out.ends_with(['(', '=']) || (out.ends_with('\'') && tail.starts_with('\''))) {
            out.push_str(&odata::in_path(&value, out.ends_with('\'')));
        } else {
            let _ = write!(out, "{}", utf8_percent_encode(&value, odata::SEGMENT));
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

impl Remote {
    /// A connection of which nothing is known yet.
    pub fn new(client: Client, api: Arc<Api>) -> Self {
        Self { client, api, wanted: Arc::default(), caller: None, secrets: true }
    }

    /// Reads a whole list, page by page, and proves that it is whole.
    pub async fn list(&self, kind: &Kind, asked: &ListQuery) -> Result<Listing, HttpError> {
        self.list_within(kind, asked, usize::MAX).await.map(Option::unwrap_or_default)
    }

    /// Reads a whole list, or nothing but its first page where that says that there are more than `limit` pages.
    pub async fn list_within(
        &self,
        kind: &Kind,
        asked: &ListQuery,
        limit: usize,
    ) -> Result<Option<Listing>, HttpError> {
        match self.list_once(kind, asked, limit).await {
            // Rows shift between pages while others write: one more try tells that from a broken total.
            Err(error @ HttpError::Unusable { .. }) if is_count_error(&error) => {
                self.list_once(kind, asked, limit).await
            }
            other => other,
        }
    }

    async fn list_once(&self, kind: &Kind, asked: &ListQuery, limit: usize) -> Result<Option<Listing>, HttpError> {
        let paging = kind.spec.list.paging.as_ref().unwrap_or(&self.api.spec.paging);
        let start = self.list_call(kind, paging, asked);
        let mut listing = Collected { across: asked.across, ..Collected::default() };
        match paging.style {
            PagingStyle::None => {
                let (answer, page) = self.page(kind, paging, asked, start).await?;
                listing.add(kind, page, &answer)?;
                listing.prove(&answer)?;
            }
            PagingStyle::Page | PagingStyle::Offset => {
                if !self.numbered(kind, paging, asked, &start, limit as u64, &mut listing).await? {
                    return Ok(None);
                }
            }
            PagingStyle::AfterId => {
                if !self.after_id(kind, paging, asked, start, limit as u64, &mut listing).await? {
                    return Ok(None);
                }
            }
            PagingStyle::Cursor | PagingStyle::Link | PagingStyle::NextUrl => {
                self.linked(kind, paging, asked, start, &mut listing).await?;
            }
        }
        let untold = !(listing.told || paging.total.is_empty() && paging.total_pages.is_empty());
        Ok(Some(Listing { rows: listing.rows, included: listing.included, untold }))
    }

    /// Reads numbered pages; tells whether they were read, which more than `limit` are not.
    async fn numbered(
        &self,
        kind: &Kind,
        paging: &Paging,
        asked: &ListQuery,
        start: &Call,
        limit: u64,
        listing: &mut Collected,
    ) -> Result<bool, HttpError> {
        let first = u64::from(paging.first.unwrap_or(1));
        let asked_size = u64::from(paging.max_size.unwrap_or(0));
        let at = |number: u64, size: u64| {
            let mut call = start.clone();
            if let Some(name) = &paging.page {
                let value = if paging.style == PagingStyle::Offset { number * size } else { first + number };
                call.query.push((name.clone(), value.to_string()));
            }
            call
        };
        let (answer, page) = self.page(kind, paging, asked, at(0, 0)).await?;
        let size = page.rows.len() as u64;
        let total = page.total;
        let pages = match (page.total_pages, total) {
            // How many it takes is not known before the last.
            (_, Some(total)) if paging.short_pages && total > size && size > 0 => None,
            (Some(pages), _) => Some(pages),
            (None, Some(0)) => Some(1),
            (None, Some(total)) if size > 0 => Some(total.div_ceil(size.max(1))),
            (None, Some(_) | None) => None,
        };
        let ended = page.last || size == 0;
        let has_next = page.next.is_some();
        listing.add(kind, page, &answer)?;
        if let Some(pages) = pages {
            if pages > PAGES {
                return Err(answer.unusable(format!("a total of {pages} pages"), "a list that ends"));
            }
            if pages > limit {
                return Ok(false);
            }
            let mut rest = stream::iter((1..pages).map(|number| {
                let call = at(number, size);
                async move { self.page(kind, paging, asked, call).await }
            }))
            .buffered(8);
            while let Some(page) = rest.next().await {
                let (answer, page) = page?;
                listing.add(kind, page, &answer)?;
            }
            return listing.prove(&answer).map(|()| true);
        }
        let is_short = |count: u64| !paging.short_pages && count < size.max(asked_size);
        if ended || (!has_next && (asked_size == 0 || is_short(size))) {
            return listing.prove(&answer).map(|()| true);
        }
        let mut read = size;
        for number in 1..PAGES {
            if number >= limit {
                return Ok(false);
            }
            if paging.short_pages && total.is_some_and(|total| read >= total) {
                return listing.prove(&answer).map(|()| true);
            }
            let call = if paging.style == PagingStyle::Offset { at(1, read) } else { at(number, size) };
            let (answer, page) = self.page(kind, paging, asked, call).await?;
            let (count, last, next) = (page.rows.len() as u64, page.last, page.next.is_some());
            let fresh = listing.add(kind, page, &answer)?;
            read += count;
            // A server that knows no offset gives all that it has each time.
            let is_all = paging.short_pages && fresh == 0 && count < asked_size;
            if count == 0 || last || is_all || (!next && is_short(count)) {
                return listing.prove(&answer).map(|()| true);
            }
            if fresh == 0 {
                return Err(answer.unusable("the same page again", "the next page"));
            }
        }
        Err(answer.unusable("more pages than any list has", "a list that ends"))
    }

    /// Reads the rows after the last one's id until a page is not full; tells whether they were read, which more pages
    /// than `limit` are not.
    async fn after_id(
        &self,
        kind: &Kind,
        paging: &Paging,
        asked: &ListQuery,
        start: Call,
        limit: u64,
        listing: &mut Collected,
    ) -> Result<bool, HttpError> {
        let full = paging.max_size.map_or(u64::MAX, u64::from);
        let mut call = start.clone();
        for number in 1..PAGES {
            let (answer, page) = self.page(kind, paging, asked, call).await?;
            let count = page.rows.len() as u64;
            let next = page.next.clone();
            let last = page.rows.iter().filter_map(|row| dialect::id_of(kind, row)?.parse::<u64>().ok()).max();
            let fresh = listing.add(kind, page, &answer)?;
            call = match (next, last) {
                // A server that has a page size of its own says where it goes on.
                (Some(next), _) => {
                    let (path, query) = self.client.resolve_next(&start.path, &next)?;
                    Call { path, query, ..start.clone() }
                }
                (None, Some(last)) if count >= full => {
                    let mut call = start.clone();
                    let after = format!("id gt {last}");
                    match call.query.iter_mut().find(|(name, _)| name == "$filter") {
                        Some((_, filter)) => *filter = format!("({filter}) and {after}"),
                        None => call.query.push(("$filter".into(), after)),
                    }
                    call
                }
                _ => return listing.prove(&answer).map(|()| true),
            };
            if fresh == 0 {
                return Err(answer.unusable("the same page again", "the next page"));
            }
            if number >= limit {
                return Ok(false);
            }
        }
        Ok(false)
    }

    async fn linked(
        &self,
        kind: &Kind,
        paging: &Paging,
        asked: &ListQuery,
        start: Call,
        listing: &mut Collected,
    ) -> Result<(), HttpError> {
        let mut seen = HashSet::new();
        let mut call = start.clone();
        loop {
            let (answer, page) = self.page(kind, paging, asked, call).await?;
            let next = match paging.style {
                PagingStyle::Link => answer.header("link").and_then(next_link),
                _ => page.next.clone(),
            };
            listing.add(kind, page, &answer)?;
            let Some(next) = next else { return listing.prove(&answer) };
            if !seen.insert(next.clone()) {
                return Err(answer.unusable(format!("the next page `{next}` again"), "a list that ends"));
            }
            call = if let (PagingStyle::Cursor, Some(name)) = (paging.style, &paging.page) {
                start.clone().query(name.clone(), next)
            } else {
                let (path, query) = self.client.resolve_next(&start.path, &next)?;
                Call { path, query, ..start.clone() }
            };
        }
    }

    fn list_call(&self, kind: &Kind, paging: &Paging, asked: &ListQuery) -> Call {
        let below = kind.spec.scope.as_ref().filter(|scope| asked.vars.iter().any(|(known, _)| *known == scope.field));
        let own = below.and_then(|scope| scope.path.as_deref()).or(kind.spec.list.path.as_deref());
        let across = kind.spec.list.across.as_ref().filter(|_| asked.across).map(|across| across.path.as_str());
        let template = across.or(own).unwrap_or(&kind.spec.path);
        let known = |name: &str| asked.vars.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let vars = |name: &str| kind.path_part(name, &known);
        let path = fill_path(template, &vars).unwrap_or_else(|_| template.to_owned());
        let mut call = Call::get(path);
        call.headers = own_headers(&kind.spec.list.headers);
        let is_odata = kind.dialect == DialectName::Odata;
        if is_odata {
            let query = list_query(&self.api, kind, asked, &self.wanted, self.caller.as_deref());
            call.query.extend(query.options().into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        let unlimited = kind.spec.scope.as_ref().filter(|_| asked.query.is_empty() && asked.vars.is_empty());
        let unlimited = unlimited.into_iter().flat_map(|scope| &scope.unlimited);
        for (name, value) in kind.spec.list.query.iter().chain(unlimited).chain(&paging.sort) {
            if !call.query.iter().any(|(known, _)| known == name) {
                call.query.push((name.clone(), value.clone()));
            }
        }
        if let (Some(name), Some(size)) = (&paging.size, paging.max_size) {
            call.query.push((name.clone(), size.to_string()));
        }
        if is_odata {
            return call;
        }
        call.query.extend(asked.query.iter().cloned());
        let mut include: Vec<&str> = kind.spec.list.include.iter().map(String::as_str).collect();
        include.extend(asked.include.iter().map(String::as_str));
        include.dedup();
        if !include.is_empty() {
            call.query.push(("include".into(), include.join(",")));
        }
        call
    }

    async fn page(
        &self,
        kind: &Kind,
        paging: &Paging,
        asked: &ListQuery,
        call: Call,
    ) -> Result<(Answer, Page), HttpError> {
        let answer = self.send(&call).await?;
        let mut answer = self.successful(answer)?;
        let body = answer.json()?;
        let mut page = dialect::page(&self.api, kind, paging, body)
            .map_err(|wrong| answer.unusable(wrong.came, wrong.expected))?;
        if let Some(keep) = &asked.keep {
            page.rows.iter_mut().for_each(|row| dialect::slim(kind, row, keep));
        }
        // Pages wait for those before them.
        answer.body = Bytes::new();
        Ok((answer, page))
    }

    /// Reads one object; nothing where the API says that there is none.
    pub async fn get(
        &self,
        kind: &Kind,
        vars: &(dyn Fn(&str) -> Option<String> + Sync),
        include: &[String],
    ) -> Result<Option<(Value, Vec<Value>)>, HttpError> {
        Ok(self.get_tagged(kind, vars, include).await?.map(|(row, included, _)| (row, included)))
    }

    /// Reads one object, with its `ETag` where the answer has one.
    pub async fn get_tagged(
        &self,
        kind: &Kind,
        vars: &(dyn Fn(&str) -> Option<String> + Sync),
        include: &[String],
    ) -> Result<Option<(Value, Vec<Value>, Option<String>)>, HttpError> {
        let template = item_path(kind, kind.spec.get.path.as_deref());
        let vars = |name: &str| kind.path_part(name, vars);
        let path = fill_path(&template, &vars).unwrap_or(template);
        let mut call = Call::get(path);
        call.headers = own_headers(&kind.spec.get.headers);
        let spec = &kind.spec.get;
        call.query.extend(spec.query.iter().map(|(name, value)| {
            let other = spec.without_secrets.get(name).filter(|_| !self.secrets);
            (name.clone(), other.unwrap_or(value).clone())
        }));
        if kind.dialect == DialectName::Odata {
            let query = item_query(&self.api, kind, include, &self.wanted);
            call.query.extend(query.options().into_iter().map(|(name, value)| (name.to_owned(), value)));
        } else if !include.is_empty() {
            call.query.push(("include".into(), include.join(",")));
        }
        let answer = self.send(&call).await?;
        // OData says so by an empty list: any other word of absence is about the whole set.
        if kind.dialect != DialectName::Odata && dialect::is_absence(&self.api, answer.status, &answer.body) {
            return Ok(None);
        }
        let answer = self.successful(answer)?;
        let body = answer.json()?;
        if dialect::has_no_rows(&self.api, kind, &body) {
            return Ok(None);
        }
        let row = dialect::one(&self.api, kind, &body).map_err(|wrong| answer.unusable(wrong.came, wrong.expected))?;
        let mut included = body.get("included").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(more) = row.get("included").and_then(Value::as_array) {
            included.extend(more.iter().cloned());
        }
        let tag = answer.header("etag").map(str::to_owned);
        Ok(Some((row, included, tag)))
    }

    /// Reads the fields that have a read of their own, those that are wanted. The object is there: that what is read of
    /// it is not is an error, and never an empty value.
    pub async fn read_by(
        &self,
        kind: &Kind,
        vars: &(dyn Fn(&str) -> Option<String> + Sync),
        wanted: &(dyn Fn(&str) -> bool + Sync),
        seal: &(dyn Fn(&str) -> Value + Sync),
    ) -> Result<Fields, HttpError> {
        let mut paths: BTreeMap<&str, Vec<(&String, &FieldSpec, &ReadBy)>> = BTreeMap::new();
        for (name, field) in &kind.spec.fields {
            if let Some(read) = field.read_by.as_ref().filter(|_| wanted(name)) {
                paths.entry(&read.path).or_default().push((name, field, read));
            }
        }
        let vars = |name: &str| kind.path_part(name, vars);
        let mut out = Fields::new();
        for (template, fields) in paths {
            let path = fill_path(template, &vars).unwrap_or_else(|_| template.to_owned());
            let answer = self.send(&Call::get(path)).await?;
            let body = self.successful(answer)?.json_if_any()?.unwrap_or_default();
            let inner = self.api.spec.envelope.one.as_deref().and_then(|path| get_path(&body, path)).unwrap_or(&body);
            for (name, field, read) in fields {
                let value = read.value.as_deref().map_or(Some(inner), |path| get_path(inner, path));
                out.insert(name.clone(), value.map_or(Value::Null, |value| dialect::decode(field, value, seal)));
            }
        }
        Ok(out)
    }

    /// Sends a call; an error says what the API says, in the API's own way.
    pub async fn send(&self, call: &Call) -> Result<Answer, HttpError> {
        self.only_some(call)?;
        let words = |body: &[u8]| dialect::error_text(&self.api, body);
        let sent = self.client.send(call).await.map_err(|error| error.reworded(&words));
        match sent {
            // Whose the credential is was asked before: so it is known, and something else is missing.
            Err(HttpError::Auth { answer: Some(answer), .. }) if self.caller.is_some() => {
                Err(self.denied(call, *answer))
            }
            Err(HttpError::Server { site, answer, processed, .. })
                if self.api.spec.dialect == DialectName::Odata && answer.status == 500 && answer.body.is_empty() =>
            {
                Err(HttpError::Server { site, message: unexplained(call), answer, processed })
            }
            other => other,
        }
    }

    /// The refusal of a credential that the API knows.
    fn denied(&self, call: &Call, answer: Answer) -> HttpError {
        let set = call.path.trim_start_matches(['^', '/']).split(['(', '/', '?']).next().unwrap_or_default();
        let may = if call.method == "GET" { "read" } else { "write" };
        let said = dialect::error_text(&self.api, &answer.body).map(|said| format!(" ({said})")).unwrap_or_default();
        answer.refused(format!(
            "the credential is valid, so either it may not {may} `{set}`, or the server has no `{set}`{said}"
        ))
    }

    /// Refuses a write that names no objects: OData servers would apply it to every row that the credential may touch.
    fn only_some(&self, call: &Call) -> Result<(), HttpError> {
        let creates = matches!(call.method.as_str(), "GET" | "HEAD" | "POST");
        let filter = call.query.iter().any(|(name, value)| name == "$filter" && !value.trim().is_empty());
        if self.api.spec.dialect != DialectName::Odata || creates || filter || odata::has_key(&call.path) {
            return Ok(());
        }
        let site = Site::new(self.client.connection(), call.method.clone(), &*call.path);
        let reason = "it has neither a key nor a filter, and would be applied to the whole set".into();
        Err(HttpError::Malformed { site: Arc::new(site), reason })
    }

    /// Whether an error says that what was asked for is not there.
    pub fn is_absent(&self, error: &HttpError) -> bool {
        match error {
            HttpError::Refused { answer, .. } => dialect::is_absence(&self.api, answer.status, &answer.body),
            error => error.status().is_some_and(|status| self.api.spec.errors.absent.contains(&status)),
        }
    }

    /// Follows an answer of `202 Accepted` to where the API tells what became of the call, until it tells.
    pub async fn settled(&self, from: &str, answer: Answer) -> Result<Answer, HttpError> {
        let mut answer = answer;
        for _ in 0..POLLS {
            let Some(location) = answer.header("location").map(str::to_owned).filter(|_| answer.status == 202) else {
                return Ok(answer);
            };
            let pause = answer.header("retry-after").and_then(|seconds| seconds.parse().ok()).unwrap_or(1u64);
            tokio::time::sleep(Duration::from_secs(pause.min(30))).await;
            let (path, query) = self.client.resolve_next(from, &location)?;
            let next = self.send(&Call { query, ..Call::get(path) }).await?;
            let next = self.successful(next)?;
            if next.status != 202 {
                return Ok(next);
            }
            // A status that does not repeat where it stands is asked again at the same place.
            if next.header("location").is_some() {
                answer = next;
            }
        }
        Err(answer.unusable("202 Accepted for ever", "an end of what was accepted"))
    }

    /// The answer, if it says success; otherwise what the API said. A page of HTML is somebody else's, whatever its
    /// status.
    pub fn successful(&self, answer: Answer) -> Result<Answer, HttpError> {
        if answer.is_success() {
            if let Some(page) = answer.page() {
                return Err(answer.unusable(page, "JSON"));
            }
            return match dialect::errors_in_success(&self.api, &answer.body) {
                None => Ok(answer),
                Some(message) => Err(answer.refused(message)),
            };
        }
        let message = dialect::error_text(&self.api, &answer.body).unwrap_or_else(|| answer.excerpt());
        Err(answer.refused(message))
    }
}

/// What an OData server may mean by a failure without a word.
fn unexplained(call: &Call) -> String {
    let asked = |name: &str| call.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let named = [asked("$select"), asked("$expand")].into_iter().flatten().collect::<Vec<_>>().join("; ");
    if named.is_empty() {
        return "it gave no explanation".into();
    }
    format!("it gave no explanation, as servers do that lack something of what is asked for: `{named}`")
}

/// Path of one object, with its templates.
pub fn item_path(kind: &Kind, own: Option<&str>) -> String {
    match own {
        Some(path) => path.to_owned(),
        None if kind.spec.singleton => kind.spec.path.clone(),
        None if kind.dialect == DialectName::Odata => format!("{}({{id}})", kind.spec.path.trim_end_matches('/')),
        None => format!("{}/{{id}}", kind.spec.path.trim_end_matches('/')),
    }
}

/// Whether the API can list this kind by itself.
pub fn can_list(kind: &Kind) -> bool {
    lists_below(kind) || kind.spec.list.across.is_some()
}

/// Whether the API can list this kind by itself, below one parent where it has parents.
pub fn lists_below(kind: &Kind) -> bool {
    kind.can(Verb::List) && !kind.spec.singleton
}

#[derive(Default)]
struct Collected {
    rows: Vec<Value>,
    included: Vec<Value>,
    ids: HashSet<String>,
    included_ids: HashSet<(String, String)>,
    /// Rows are below several parents, and their ids are their own below one only.
    across: bool,
    /// The largest total that any page gave: rows that come or go while pages are read make them differ.
    total: Option<u64>,
    /// An answer told how many there are.
    told: bool,
}

const COUNT: &str = "a list as long as its total";

fn is_count_error(error: &HttpError) -> bool {
    matches!(error, HttpError::Unusable { expected, .. } if expected == COUNT)
}

impl Collected {
    /// Adds a page's rows that are not there yet, and gives their number.
    fn add(&mut self, kind: &Kind, page: Page, answer: &Answer) -> Result<usize, HttpError> {
        let mut fresh = 0;
        self.total = self.total.max(page.total);
        self.told |= page.total.is_some() || page.total_pages.is_some();
        for row in page.rows {
            let id = dialect::row_id(kind, &row)
                .ok_or_else(|| answer.unusable("an object without an id", "a list of objects with ids"))?;
            if let Some(key) = dialect::keyless(kind, &row) {
                return Err(answer.unusable(
                    format!("`{id}`, which shows no `{key}` that can be read"),
                    "objects that show what they are known by",
                ));
            }
            let own = match super::across::parent_of(kind, "", &row).filter(|_| self.across) {
                Some(place) => format!("{place}/{id}"),
                // What does not say whose it is may have the id of another.
                None if self.across => row.to_string(),
                None => id,
            };
            if self.ids.insert(own) {
                self.rows.push(row);
                fresh += 1;
            }
        }
        for row in page.included {
            let part = |name: &str| row.get(name).and_then(crate::value::text).unwrap_or_default();
            if self.included_ids.insert((part("type"), part("id"))) {
                self.included.push(row);
            }
        }
        Ok(fresh)
    }

    fn prove(&self, answer: &Answer) -> Result<(), HttpError> {
        match self.total {
            Some(total) if (self.rows.len() as u64) < total => {
                Err(answer.unusable(format!("{} objects of a total of {total}", self.rows.len()), COUNT))
            }
            Some(total) if (self.rows.len() as u64) > total => {
                Err(answer.unusable(format!("{} objects, more than its total of {total}", self.rows.len()), COUNT))
            }
            _ => Ok(()),
        }
    }
}

/// The target of `rel="next"` in a `Link` header (RFC 8288).
fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        let next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim().to_ascii_lowercase().replace([' ', '"'], "");
            parameter.strip_prefix("rel=").is_some_and(|words| words == "next")
        });
        next.then(|| target.trim().trim_start_matches('<').to_owned())
    })
}

/// The headers that a description gives to one call.
pub fn own_headers(headers: &IndexMap<String, String>) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_filled_and_escaped() {
        let vars = |name: &str| match name {
            "id" => Some("a/b c".to_owned()),
            "parentPath" => Some("x/y".to_owned()),
            _ => None,
        };
        assert_eq!(fill_path("/{parentPath}/{id}", &vars), Ok("/x/y/a%2Fb%20c".into()));
        assert_eq!(fill_path("/{other}", &vars), Err("other".into()));
    }

    #[test]
    fn link_headers_give_the_next_page() {
        let header = r#"<https://x/a?page=1>; rel="prev", <https://x/a?page=3>; rel="next""#;
        assert_eq!(next_link(header).as_deref(), Some("https://x/a?page=3"));
        assert_eq!(next_link(r#"<https://x/a>; rel="last""#), None);
    }
}
