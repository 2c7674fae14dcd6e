//! Label selectors (`-l`): `a=b,c!=d,e,!f,k in (x,y)` → a test on a manifest's labels, as Kubernetes defines it.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// Requirements that labels must all meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    /// The label has one of these values.
    In(String, Vec<String>),
    /// The label has none of these values, or is not there.
    NotIn(String, Vec<String>),
    /// The label is there.
    Exists(String),
    /// The label is not there.
    Absent(String),
}

/// A selector that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSelector {
    /// Nothing stands where a requirement is expected.
    #[error("a requirement is missing between two commas, or at an end")]
    Empty,
    /// A key or a value has a character that labels cannot have.
    #[error("`{0}` is not a label's key or value: expected letters, digits, `-`, `_`, `.` and, in a key, one `/`")]
    BadWord(String),
    /// A requirement has no known form.
    #[error(
        "`{0}` is not a requirement: expected `KEY=VALUE`, `KEY!=VALUE`, `KEY in (A,B)`, `KEY notin (A,B)`, `KEY` or `!KEY`"
    )]
    BadRequirement(String),
    /// A parenthesis is not closed, or not opened.
    #[error("the parentheses in `{0}` do not match")]
    Unbalanced(String),
}

impl Selector {
    /// Whether labels meet every requirement.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Self::Exists(key) => labels.contains_key(key),
            Self::Absent(key) => !labels.contains_key(key),
        }
    }
}

impl FromStr for Selector {
    type Err = BadSelector;

    fn from_str(text: &str) -> Result<Self, BadSelector> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let requirements = split(text)?.into_iter().map(requirement).collect::<Result<_, _>>()?;
        Ok(Self { requirements })
    }
}

/// Splits at the commas that are outside of parentheses.
fn split(text: &str) -> Result<Vec<&str>, BadSelector> {
    let unbalanced = || BadSelector::Unbalanced(text.to_owned());
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            '(' if inside => return Err(unbalanced()),
            '(' => inside = true,
            ')' if !inside => return Err(unbalanced()),
            ')' => inside = false,
            ',' if !inside => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(unbalanced());
    }
    parts.push(text.get(start..).unwrap_or_default());
    Ok(parts)
}

fn requirement(text: &str) -> Result<Requirement, BadSelector> {
    let text = text.trim();
    if text.is_empty() {
        return Err(BadSelector::Empty);
    }
    if let Some((head, list)) = text.split_once('(') {
        let bad = || BadSelector::BadRequirement(text.to_owned());
        let list = list.trim_end().strip_suffix(')').ok_or_else(bad)?;
        let values = list.split(',').map(|value| word(value, false)).collect::<Result<_, _>>()?;
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(name), Some("in"), None) => Ok(Requirement::In(word(name, true)?, values)),
            (Some(name), Some("notin"), None) => Ok(Requirement::NotIn(word(name, true)?, values)),
            _ => Err(bad()),
        };
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(word(name, true)?, vec![word(value, false)?]));
    }
    if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(word(name, true)?, vec![word(value, false)?]));
    }
    if let Some(name) = text.strip_prefix('!') {
        return Ok(Requirement::Absent(word(name, true)?));
    }
    if text.contains(char::is_whitespace) {
        return Err(BadSelector::BadRequirement(text.to_owned()));
    }
    Ok(Requirement::Exists(word(text, true)?))
}

/// Checks a key (which may have a prefix before one `/`, and is never empty) or a value (which may be empty).
fn word(text: &str, key: bool) -> Result<String, BadSelector> {
    let text = text.trim();
    let slashes = text.matches('/').count();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'));
    if !plain || (key && text.split('/').any(str::is_empty)) || slashes > usize::from(key) {
        return Err(BadSelector::BadWord(text.to_owned()));
    }
    Ok(text.to_owned())
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            match requirement {
                Requirement::In(key, values) => match &values[..] {
                    [value] => write!(f, "{key}={value}")?,
                    _ => write!(f, "{key} in ({})", values.join(","))?,
                },
                Requirement::NotIn(key, values) => match &values[..] {
                    [value] => write!(f, "{key}!={value}")?,
                    _ => write!(f, "{key} notin ({})", values.join(","))?,
                },
                Requirement::Exists(key) => f.write_str(key)?,
                Requirement::Absent(key) => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn selects(selector: &str, pairs: &[(&str, &str)]) -> bool {
        selector.parse::<Selector>().unwrap().matches(&labels(pairs))
    }

    #[test]
    fn every_requirement_must_be_met() {
        let selector = "tier=web, env in (prod, staging),team!=blue,owner,!legacy";
        let good = [("tier", "web"), ("env", "staging"), ("owner", "x")];
        assert!(selects(selector, &good));
        for (key, value) in [("tier", "db"), ("env", "dev"), ("team", "blue"), ("legacy", "")] {
            let mut labels: Vec<_> = good.to_vec();
            labels.retain(|(name, _)| *name != key);
            labels.push((key, value));
            assert!(!selects(selector, &labels), "{key}={value} should not be selected");
        }
        assert!(!selects(selector, &good[..2]));
    }

    #[test]
    fn a_missing_label_differs_from_every_value() {
        assert!(selects("team!=blue", &[]));
        assert!(selects("team notin (blue,red)", &[]));
        assert!(!selects("team notin (blue,red)", &[("team", "red")]));
        assert!(!selects("team=", &[]));
        assert!(selects("team=", &[("team", "")]));
        assert!(selects("a==b", &[("a", "b")]));
    }

    #[test]
    fn keys_may_have_a_prefix() {
        assert!(selects("app.kubernetes.io/name=plumb", &[("app.kubernetes.io/name", "plumb")]));
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        assert!(selects("", &[]) && selects(" ", &[("a", "b")]));
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for (text, expected) in [
            ("a=b,,c=d", BadSelector::Empty),
            ("a=b,", BadSelector::Empty),
            ("a in (x", BadSelector::Unbalanced("a in (x".into())),
            ("a in x)", BadSelector::Unbalanced("a in x)".into())),
            ("a within (x)", BadSelector::BadRequirement("a within (x)".into())),
            ("a b", BadSelector::BadRequirement("a b".into())),
            ("=b", BadSelector::BadWord(String::new())),
            ("a/b/c", BadSelector::BadWord("a/b/c".into())),
            ("a=b c", BadSelector::BadWord("b c".into())),
            ("!", BadSelector::BadWord(String::new())),
            ("a=b=c", BadSelector::BadWord("b=c".into())),
        ] {
            assert_eq!(text.parse::<Selector>(), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Selector>();
        }

        #[test]
        fn a_selector_reads_back_as_it_prints(
            pairs in prop::collection::vec(("[a-z]{1,5}(/[a-z]{1,5})?", "[a-z0-9.]{0,5}", 0..6), 1..5)
        ) {
            let text: Vec<String> = pairs.iter().map(|(key, value, form)| match form {
                0 => format!("{key}={value}"),
                1 => format!("{key} != {value}"),
                2 => format!("{key} in ({value},x)"),
                3 => format!("{key} notin (y, {value})"),
                4 => key.clone(),
                _ => format!("!{key}"),
            }).collect();
            let selector: Selector = text.join(",").parse().unwrap();
            prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
        }

        #[test]
        fn a_requirement_and_its_opposite_never_both_hold(
            key in "[a-z]{1,2}", value in "[a-z]{0,2}",
            labels in prop::collection::btree_map("[a-z]{1,2}", "[a-z]{0,2}", 0..6)
        ) {
            let holds = |text: String| text.parse::<Selector>().unwrap().matches(&labels);
            prop_assert_ne!(holds(format!("{key}={value}")), holds(format!("{key}!={value}")));
            prop_assert_ne!(holds(key.clone()), holds(format!("!{key}")));
        }
    }
}
