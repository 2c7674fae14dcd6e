//! Natural keys → handles: names that Kubernetes takes, stable from one export to the next, and unique.

use std::collections::{HashMap, HashSet};

use super::{Defaults, object::is_given};
use crate::{
    description::hook,
    live::{LiveObject, Surveyed},
    value::{Target, as_reference, is_empty, text},
};

/// Letters that a handle has at most, so that it fits into a label too.
const LONGEST: usize = 63;
/// How far a name follows references: an account whose objects are in each other deeper than that is no tree.
const DEEPEST: usize = 8;

/// A text as a part of a DNS-1123 name; empty where nothing of it can be in one.
pub(super) fn slug(words: &str) -> String {
    let words = words.strip_prefix("https://").or_else(|| words.strip_prefix("http://")).unwrap_or(words);
    let mut out = String::with_capacity(words.len());
    for letter in words.chars() {
        let before = out.len();
        match letter {
            'a'..='z' | '0'..='9' => out.push(letter),
            'A'..='Z' => out.push(letter.to_ascii_lowercase()),
            '\'' | '’' => continue,
            other => out.push_str(latin(other)),
        }
        if out.len() == before {
            out.push('-');
        }
    }
    out.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// The usual spelling of a letter of Latin alphabets in plain ones.
fn latin(letter: char) -> &'static str {
    match letter {
        'ä' | 'Ä' | 'æ' | 'Æ' => "ae",
        'ö' | 'Ö' | 'œ' | 'Œ' => "oe",
        'ü' | 'Ü' => "ue",
        'ß' | 'ẞ' => "ss",
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' | 'À' | 'Á' | 'Â' | 'Ã' | 'Å' | 'Ā' | 'Ă' | 'Ą' => {
            "a"
        }
        'ç' | 'ć' | 'č' | 'Ç' | 'Ć' | 'Č' => "c",
        'ď' | 'đ' | 'ð' | 'Ď' | 'Đ' | 'Ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' | 'È' | 'É' | 'Ê' | 'Ë' | 'Ē' | 'Ę' | 'Ě' => "e",
        'ğ' | 'Ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' | 'Ì' | 'Í' | 'Î' | 'Ï' | 'Ī' | 'İ' => "i",
        'ł' | 'ľ' | 'Ł' | 'Ľ' => "l",
        'ñ' | 'ń' | 'ň' | 'Ñ' | 'Ń' | 'Ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' | 'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ø' | 'Ō' | 'Ő' => "o",
        'ř' | 'Ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' | 'Ś' | 'Š' | 'Ş' | 'Ș' => "s",
        'ť' | 'ţ' | 'ț' | 'Ť' | 'Ţ' | 'Ț' => "t",
        'þ' | 'Þ' => "th",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' | 'Ù' | 'Ú' | 'Û' | 'Ū' | 'Ů' | 'Ű' => "u",
        'ý' | 'ÿ' | 'Ý' | 'Ÿ' => "y",
        'ź' | 'ż' | 'ž' | 'Ź' | 'Ż' | 'Ž' => "z",
        '&' => "-and-",
        _ => "",
    }
}

/// `UpperCamelCase` and `lowerCamelCase` as words with something between them.
pub(super) fn apart(name: &str, between: char) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && after_small {
            out.push(between);
        }
        after_small = letter.is_lowercase() || letter.is_ascii_digit();
        out.push(if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { between });
    }
    out
}

/// What each object would be called if nothing else were called so, by live object.
pub(super) fn stems(surveyed: &Surveyed, defaults: &Defaults) -> Vec<String> {
    let mut known = vec![None; surveyed.observed.objects.len()];
    for index in 0..known.len() {
        stem(surveyed, defaults, index, &mut known, 0);
    }
    known.into_iter().map(Option::unwrap_or_default).collect()
}

fn stem(surveyed: &Surveyed, defaults: &Defaults, index: usize, known: &mut [Option<String>], depth: usize) -> String {
    if let Some(stem) = known.get(index).and_then(Option::as_ref) {
        return stem.clone();
    }
    let Some(live) = surveyed.observed.objects.get(index) else { return String::new() };
    let mut parts: Vec<(String, bool)> = Vec::new();
    let given = defaults.get(&*live.connection);
    for name in key_of(live) {
        // What all objects of a connection have in common tells none from another.
        if given.and_then(|given| given.get(name)).is_some_and(|given| is_given(live, name, given)) {
            continue;
        }
        let value = live.fields.get(name).filter(|value| !is_empty(value));
        match value.and_then(as_reference) {
            Some((kind, Target::Id(id))) => {
                let slot = (live.connection.clone(), kind.to_owned(), id.clone());
                let target = surveyed.observed.by_id.get(&slot).filter(|target| **target != index && depth < DEEPEST);
                let words =
                    target.map_or_else(|| slug(&id), |target| stem(surveyed, defaults, *target, known, depth + 1));
                parts.push((words, true));
            }
            Some((_, target)) => parts.push((slug(&target_words(&target)), true)),
            None => parts.extend(value.and_then(text).map(|words| (slug(&words), false))),
        }
    }
    if let Some(title) = titled(surveyed, index, live) {
        parts.push((slug(&title), false));
    }
    // What stands in another part's name already need not be said twice.
    let said = |words: &str| {
        let longer = format!("{words}-");
        parts.iter().any(|(other, reference)| *reference && other.starts_with(&longer))
    };
    let words: Vec<&str> = parts
        .iter()
        .filter(|(words, reference)| !(words.is_empty() || *reference && said(words)))
        .map(|(words, _)| words.as_str())
        .collect();
    // A name of its own has to be left: that of its parent alone would be taken for the parent's.
    let own = parts.iter().any(|(words, reference)| !reference && !words.is_empty())
        || !live.kind.spec.key.iter().any(|name| live.kind.field(name).is_some_and(|field| field.reference.is_none()));
    let mut out = words.join("-");
    if live.kind.spec.singleton {
        let kind = apart(&live.kind.name, '-');
        out = if out.is_empty() { kind } else { format!("{out}-{kind}") };
    } else if out.is_empty() || !own {
        let id = slug(&live.id);
        let base = if out.is_empty() { apart(&live.kind.name, '-') } else { out };
        out = if id.is_empty() { base } else { format!("{base}-{id}") };
    }
    out = shortened(&out, LONGEST);
    if let Some(slot) = known.get_mut(index) {
        *slot = Some(out.clone());
    }
    out
}

/// The fields that name an object: its key, or the first fallback that it has all of.
fn key_of(live: &LiveObject) -> &[String] {
    let spec = &live.kind.spec;
    let has = |name: &String| live.fields.get(name).is_some_and(|value| !is_empty(value));
    if spec.key.iter().all(has) {
        return &spec.key;
    }
    spec.key_fallbacks.iter().find(|names| names.iter().all(has)).unwrap_or(&spec.key)
}

/// The title that a hook makes, where the object does not show it.
fn titled(surveyed: &Surveyed, index: usize, live: &LiveObject) -> Option<String> {
    let hook = live.kind.spec.hook.as_deref().and_then(hook::find)?;
    let shown = live.kind.spec.key.iter().any(|name| {
        live.kind.field(name).is_some_and(|field| field.reference.is_none())
            && live.fields.get(name).is_some_and(|value| !is_empty(value))
    });
    if shown {
        return None;
    }
    let refined = surveyed.refined.get(&index)?.get(hook.field())?;
    Some(hook.key(refined, live.fields.get(hook.field())?)?.join(" "))
}

fn target_words(target: &Target) -> String {
    match target {
        Target::Id(words) | Target::New(words) | Target::Field(_, words) => words.clone(),
    }
}

fn shortened(words: &str, most: usize) -> String {
    let mut out: String = words.chars().take(most).collect();
    out.truncate(out.trim_end_matches('-').len());
    out
}

/// Ids in an order that people expect: numbers by size, before texts.
pub(super) fn id_order(id: &str) -> (bool, u128, &str) {
    match id.parse::<u128>() {
        Ok(number) => (false, number, id),
        Err(_) => (true, 0, id),
    }
}

/// Gives each chosen object its handle, unique among those of its API and kind; the objects come in a stable order.
pub(super) fn handles(
    surveyed: &Surveyed,
    stems: &[String],
    chosen: &[usize],
    declared: &HashMap<usize, String>,
) -> HashMap<usize, String> {
    let mut taken: HashSet<(&str, &str, String)> = HashSet::new();
    let mut out = declared.clone();
    for (index, name) in declared {
        let live = &surveyed.observed.objects[*index];
        taken.insert((live.kind.api.as_str(), live.kind.name.as_str(), name.clone()));
    }
    // Whoever has a name to itself keeps it; those that share one are told apart after.
    let mut ordered: Vec<usize> = chosen.to_vec();
    ordered.sort_by_key(|index| {
        let live = &surveyed.observed.objects[*index];
        (live.connection.clone(), id_order(&live.id).0, id_order(&live.id).1, live.id.clone())
    });
    for index in ordered {
        let live = &surveyed.observed.objects[index];
        let Some(stem) = stems.get(index) else { continue };
        let id = slug(&live.id);
        let with = |more: &str| format!("{}-{more}", shortened(stem, LONGEST.saturating_sub(more.len() + 1).max(1)));
        let account = slug(&live.connection);
        let numbered = (2..).map(|number: usize| with(&format!("{id}-{number}")));
        let candidates = [stem.clone(), with(&id), with(&format!("{account}-{id}"))].into_iter().chain(numbered);
        let mut candidates = candidates.filter(|name| !name.is_empty() && !name.ends_with('-'));
        let kind = (live.kind.api.as_str(), live.kind.name.as_str());
        let free = candidates.find(|name| taken.insert((kind.0, kind.1, name.clone())));
        if let Some(name) = free {
            out.insert(index, name);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_kubernetes_takes_them() {
        for (words, expected) in [
            ("Happy Frog", "happy-frog"),
            ("  A.B/C  ", "a-b-c"),
            ("Müller & Söhne GmbH", "mueller-and-soehne-gmbh"),
            ("O'Brien's", "obriens"),
            ("https://chat.example.com/hooks/a", "chat-example-com-hooks-a"),
            ("日本", ""),
            ("Łódź", "lodz"),
            ("-- x --", "x"),
            ("a & b", "a-and-b"),
        ] {
            let slugged = slug(words);
            assert!(!slugged.contains("--"), "{slugged}");
            assert_eq!(slugged, expected, "{words}");
        }
        assert_eq!(apart("FlexibleAssetType", '-'), "flexible-asset-type");
        assert_eq!(apart("otpSecret", '_'), "otp_secret");
    }
}
