//! `$filter` expressions: parsed, and asked of a row. What cannot be parsed is 400, what names nothing is 500.

use serde_json::{Number, Value};

use super::{
    BadQuery,
    view::{Nav, View},
};
use crate::sandbox::store::Row;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Not(Box<Expr>),
    Compare(Operand, Op, Operand),
    In(Operand, Vec<Operand>),
    Some(Vec<String>, String, Box<Expr>),
    Every(Vec<String>, String, Box<Expr>),
    Plain(Operand),
}

/// A side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Literal(Value),
    Path(Vec<String>),
    Count(Vec<String>),
    Call(String, Vec<Operand>),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(Number),
    Sign(char),
}

/// Parses an expression.
pub(super) fn parse(text: &str) -> Result<Expr, BadQuery> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0 };
    let expr = parser.or()?;
    if parser.at < tokens.len() { Err(BadQuery::Syntax) } else { Ok(expr) }
}

fn tokens(text: &str) -> Result<Vec<Token>, BadQuery> {
    let letters: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(letter) = letters.get(at).copied() {
        match letter {
            ' ' => at += 1,
            '(' | ')' | ',' | ':' | '/' => {
                out.push(Token::Sign(letter));
                at += 1;
            }
            '\'' => {
                let mut word = String::new();
                at += 1;
                loop {
                    match (letters.get(at), letters.get(at + 1)) {
                        (Some('\''), Some('\'')) => {
                            word.push('\'');
                            at += 2;
                        }
                        (Some('\''), _) => {
                            at += 1;
                            break;
                        }
                        (Some(letter), _) => {
                            word.push(*letter);
                            at += 1;
                        }
                        (None, _) => return Err(BadQuery::Syntax),
                    }
                }
                out.push(Token::Text(word));
            }
            letter if letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$' | '-') => {
                let start = at;
                while letters.get(at).is_some_and(|l| l.is_ascii_alphanumeric() || matches!(l, '_' | '$' | '-' | '.')) {
                    at += 1;
                }
                let word: String = letters[start..at].iter().collect();
                out.push(match word.parse::<Number>() {
                    Ok(number) => Token::Number(number),
                    Err(_) => Token::Word(word),
                });
            }
            _ => return Err(BadQuery::Syntax),
        }
    }
    Ok(out)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Parser<'_> {
    fn sign(&mut self, sign: char) -> bool {
        let found = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, sign: char) -> Result<(), BadQuery> {
        if self.sign(sign) { Ok(()) } else { Err(BadQuery::Syntax) }
    }

    fn word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(word)) if word == wanted);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Expr, BadQuery> {
        let mut parts = vec![self.and()?];
        while self.word("or") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn and(&mut self) -> Result<Expr, BadQuery> {
        let mut parts = vec![self.not()?];
        while self.word("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn not(&mut self) -> Result<Expr, BadQuery> {
        if self.word("not") {
            return Ok(Expr::Not(Box::new(self.not()?)));
        }
        if self.sign('(') {
            let inner = self.or()?;
            self.need(')')?;
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr, BadQuery> {
        let left = match self.operand()? {
            Either::Operand(operand) => operand,
            Either::Lambda(expr) => return Ok(expr),
        };
        if self.word("in") {
            self.need('(')?;
            let mut list = Vec::new();
            loop {
                list.push(self.plain()?);
                if !self.sign(',') {
                    break;
                }
            }
            self.need(')')?;
            return Ok(Expr::In(left, list));
        }
        let ops = [("eq", Op::Eq), ("ne", Op::Ne), ("gt", Op::Gt), ("ge", Op::Ge), ("lt", Op::Lt), ("le", Op::Le)];
        for (word, op) in ops {
            if self.word(word) {
                return Ok(Expr::Compare(left, op, self.plain()?));
            }
        }
        Ok(Expr::Plain(left))
    }

    fn plain(&mut self) -> Result<Operand, BadQuery> {
        match self.operand()? {
            Either::Operand(operand) => Ok(operand),
            Either::Lambda(_) => Err(BadQuery::Syntax),
        }
    }

    fn operand(&mut self) -> Result<Either, BadQuery> {
        let token = self.tokens.get(self.at).cloned().ok_or(BadQuery::Syntax)?;
        self.at += 1;
        let literal = |value: Value| Ok(Either::Operand(Operand::Literal(value)));
        let name = match token {
            Token::Text(text) => return literal(text.into()),
            Token::Number(number) => return literal(Value::Number(number)),
            Token::Sign(_) => return Err(BadQuery::Syntax),
            Token::Word(word) => match word.as_str() {
                "true" => return literal(true.into()),
                "false" => return literal(false.into()),
                "null" => return literal(Value::Null),
                _ => word,
            },
        };
        if self.sign('(') {
            let mut arguments = Vec::new();
            while !self.sign(')') {
                arguments.push(self.plain()?);
                self.sign(',');
            }
            return Ok(Either::Operand(Operand::Call(name, arguments)));
        }
        let mut path = vec![name];
        while self.sign('/') {
            let Some(Token::Word(word)) = self.tokens.get(self.at).cloned() else { return Err(BadQuery::Syntax) };
            self.at += 1;
            match word.as_str() {
                "$count" => return Ok(Either::Operand(Operand::Count(path))),
                "any" | "all" if self.sign('(') => {
                    let Some(Token::Word(letter)) = self.tokens.get(self.at).cloned() else {
                        return Err(BadQuery::Syntax);
                    };
                    self.at += 1;
                    self.need(':')?;
                    let inner = Box::new(self.or()?);
                    self.need(')')?;
                    let lambda = if word == "any" { Expr::Some } else { Expr::Every };
                    return Ok(Either::Lambda(lambda(path, letter, inner)));
                }
                _ => path.push(word),
            }
        }
        Ok(Either::Operand(Operand::Path(path)))
    }
}

enum Either {
    Operand(Operand),
    Lambda(Expr),
}

/// A row under a letter, as lambdas name them; the row that the filter is about has none.
pub(super) type Scope<'a> = Vec<(String, View<'a>, &'a Row)>;

/// Whether a row fulfils an expression; nothing where null makes that unknown.
pub(super) fn holds(expr: &Expr, scope: &Scope<'_>) -> Result<Option<bool>, BadQuery> {
    Ok(match expr {
        Expr::Or(parts) => {
            let parts = parts.iter().map(|part| holds(part, scope)).collect::<Result<Vec<_>, _>>()?;
            if parts.contains(&Some(true)) { Some(true) } else { (!parts.contains(&None)).then_some(false) }
        }
        Expr::And(parts) => {
            let parts = parts.iter().map(|part| holds(part, scope)).collect::<Result<Vec<_>, _>>()?;
            if parts.contains(&Some(false)) { Some(false) } else { (!parts.contains(&None)).then_some(true) }
        }
        Expr::Not(inner) => holds(inner, scope)?.map(|held| !held),
        Expr::Plain(operand) => match value(operand, scope)? {
            Value::Bool(flag) => Some(flag),
            _ => None,
        },
        Expr::Compare(left, op, right) => compare(&value(left, scope)?, *op, &value(right, scope)?),
        Expr::In(left, list) => {
            let left = value(left, scope)?;
            let mut found = false;
            for item in list {
                found |= same(&left, &value(item, scope)?);
            }
            if left.is_null() { None } else { Some(found) }
        }
        Expr::Some(path, letter, inner) | Expr::Every(path, letter, inner) => {
            let every = matches!(expr, Expr::Every(..));
            let mut held = every;
            for (view, row) in rows(path, scope)? {
                let mut deeper = scope.clone();
                deeper.push((letter.clone(), view, row));
                let one = holds(inner, &deeper)? == Some(true);
                held = if every { held && one } else { held || one };
            }
            Some(held)
        }
    })
}

/// Where a path begins, and the rest of it.
fn start<'a, 'p>(path: &'p [String], scope: &Scope<'a>) -> Result<(View<'a>, &'a Row, &'p [String]), BadQuery> {
    let named = scope.iter().skip(1).rfind(|(letter, ..)| path.first() == Some(letter));
    if let Some((_, view, row)) = named {
        return Ok((*view, *row, path.get(1..).unwrap_or_default()));
    }
    // Inside a lambda, only paths of its own letter are valid.
    match &scope[..] {
        [(_, view, row)] => Ok((*view, *row, path)),
        _ => Err(BadQuery::Name),
    }
}

/// The rows that a path leads to.
fn rows<'a>(path: &[String], scope: &Scope<'a>) -> Result<Vec<(View<'a>, &'a Row)>, BadQuery> {
    let (view, row, rest) = start(path, scope)?;
    let mut found = vec![(view, row)];
    for name in rest {
        let mut next = Vec::new();
        for (view, row) in found {
            match view.nav(name).ok_or(BadQuery::Name)? {
                Nav::Users => {
                    if view.is_accessible(row) {
                        next.push((view, row));
                    }
                }
                nav => next.extend(view.follow(&nav, row)),
            }
        }
        found = next;
    }
    Ok(found)
}

fn value(operand: &Operand, scope: &Scope<'_>) -> Result<Value, BadQuery> {
    match operand {
        Operand::Literal(value) => Ok(value.clone()),
        Operand::Count(path) => Ok(rows(path, scope)?.len().into()),
        Operand::Path(path) => {
            let (name, before) = path.split_last().ok_or(BadQuery::Syntax)?;
            let (view, row, rest) = start(path, scope)?;
            if rest.is_empty() {
                return Err(BadQuery::Name);
            }
            if rest.len() == 1 {
                return view.property(row, name).ok_or(BadQuery::Name);
            }
            match rows(before, scope)?.first() {
                Some((view, row)) => view.property(row, name).ok_or(BadQuery::Name),
                None => Ok(Value::Null),
            }
        }
        Operand::Call(name, arguments) => {
            let arguments = arguments.iter().map(|one| value(one, scope)).collect::<Result<Vec<_>, _>>()?;
            call(name, &arguments)
        }
    }
}

fn call(name: &str, arguments: &[Value]) -> Result<Value, BadQuery> {
    let text = |at: usize| arguments.get(at).and_then(Value::as_str);
    let missing = Value::Null;
    Ok(match (name, text(0), text(1)) {
        ("contains", Some(whole), Some(part)) | ("substringof", Some(part), Some(whole)) => whole.contains(part).into(),
        ("startswith", Some(whole), Some(part)) => whole.starts_with(part).into(),
        ("endswith", Some(whole), Some(part)) => whole.ends_with(part).into(),
        ("tolower", Some(whole), _) => whole.to_lowercase().into(),
        ("toupper", Some(whole), _) => whole.to_uppercase().into(),
        ("trim", Some(whole), _) => whole.trim().into(),
        ("length", Some(whole), _) => whole.chars().count().into(),
        ("concat", Some(a), Some(b)) => format!("{a}{b}").into(),
        ("indexof", Some(whole), Some(part)) => {
            whole.find(part).map_or_else(|| Value::from(-1), |at| Value::from(at as u64))
        }
        (
            "contains" | "substringof" | "startswith" | "endswith" | "tolower" | "toupper" | "trim" | "length"
            | "concat" | "indexof",
            ..,
        ) => missing,
        _ => return Err(BadQuery::Syntax),
    })
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn compare(a: &Value, op: Op, b: &Value) -> Option<bool> {
    match op {
        Op::Eq if a.is_null() || b.is_null() => return Some(a.is_null() && b.is_null()),
        Op::Ne if a.is_null() || b.is_null() => return Some(a.is_null() != b.is_null()),
        Op::Eq => return Some(same(a, b)),
        Op::Ne => return Some(!same(a, b)),
        _ => {}
    }
    let order = match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?)?,
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => return None,
    };
    Some(match op {
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        Op::Lt => order.is_lt(),
        _ => order.is_le(),
    })
}

/// Checks every name of an expression, whether or not there are rows; `letters` are the kinds that lambdas stand for,
/// after the one that the filter is about.
pub(super) fn check(expr: &Expr, letters: &[(String, View<'_>)]) -> Result<(), BadQuery> {
    match expr {
        Expr::Or(parts) | Expr::And(parts) => parts.iter().try_for_each(|part| check(part, letters)),
        Expr::Not(inner) => check(inner, letters),
        Expr::Plain(operand) => known(operand, letters),
        Expr::Compare(left, _, right) => known(left, letters).and_then(|()| known(right, letters)),
        Expr::In(left, list) => std::iter::once(left).chain(list).try_for_each(|operand| known(operand, letters)),
        Expr::Some(path, letter, inner) | Expr::Every(path, letter, inner) => {
            let Some(view) = target(path, letters)? else { return Ok(()) };
            let mut deeper = letters.to_vec();
            deeper.push((letter.clone(), view));
            check(inner, &deeper)
        }
    }
}

fn known(operand: &Operand, letters: &[(String, View<'_>)]) -> Result<(), BadQuery> {
    match operand {
        Operand::Literal(_) => Ok(()),
        Operand::Count(path) => target(path, letters).map(|_| ()),
        Operand::Call(_, arguments) => arguments.iter().try_for_each(|one| known(one, letters)),
        Operand::Path(path) => {
            let (name, before) = path.split_last().ok_or(BadQuery::Syntax)?;
            let view = if before.is_empty() {
                letters.first().filter(|_| letters.len() == 1).map(|(_, view)| *view)
            } else {
                target(before, letters)?
            };
            if view.is_some_and(|view| view.has(name)) { Ok(()) } else { Err(BadQuery::Name) }
        }
    }
}

/// The kind that a path leads to; nothing for users.
fn target<'a>(path: &[String], letters: &[(String, View<'a>)]) -> Result<Option<View<'a>>, BadQuery> {
    let named = letters.iter().skip(1).rfind(|(letter, _)| path.first() == Some(letter));
    let (mut view, rest) = match (named, letters) {
        (Some((_, view)), _) => (*view, path.get(1..).unwrap_or_default()),
        (None, [(_, view)]) => (*view, path),
        (None, _) => return Err(BadQuery::Name),
    };
    for name in rest {
        view = match view.nav(name).ok_or(BadQuery::Name)? {
            Nav::Users => return Ok(None),
            Nav::One(_, kind) | Nav::Many(kind, _) => view.of(&kind).ok_or(BadQuery::Name)?,
        };
    }
    Ok(Some(view))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_parsed_and_what_is_none_is_not() {
        for text in [
            "name eq 'it''s'",
            "a eq 1 and (b ne null or not (c gt 2))",
            "id in (1,2,3)",
            "is_directly_accessible_by__user/any(dau:true)",
            "belongs_to__application/any(a:a/slug eq 'acme/f')",
            "belongs_to__application/organization/handle eq 'acme'",
            "device_tag/$count gt 2",
            "startswith(tolower(name),'a')",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["", "name eq", "id in ()", "a eq 'b", "(a eq 1", "a eq 1 b", "a & b"] {
            assert_eq!(parse(text), Err(BadQuery::Syntax), "{text}");
        }
    }

    #[test]
    fn null_is_neither_more_nor_less() {
        let null = Value::Null;
        assert_eq!(compare(&null, Op::Ne, &1.into()), Some(true));
        assert_eq!(compare(&null, Op::Eq, &null), Some(true));
        assert_eq!(compare(&null, Op::Gt, &1.into()), None);
    }
}
