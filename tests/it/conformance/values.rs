//! Fields → values that their descriptions allow, at least two different ones where there are two.

use plumb::description::format::{Equality, FieldSpec, FieldType, Format, Sensitivity};
use serde_json::{Map, Value, json};

use super::world::{Tag, World};

/// Files that every stack has: secrets, and files to upload.
pub(super) const FILES: [(&str, &str); 6] = [
    ("secret-0", "correct-horse-secret-zero"),
    ("secret-1", "correct-horse-secret-one"),
    ("secret-2", "correct-horse-secret-two"),
    ("upload-0.txt", "content"),
    ("upload-1.txt", "another content"),
    ("upload-2.txt", "one more content"),
];

impl World<'_> {
    /// The value with this number of a field of an object; nothing where the field allows fewer.
    pub(super) fn sample(&mut self, spec: &FieldSpec, name: &str, tag: Tag, number: usize) -> Option<Value> {
        if let Some(reference) = &spec.reference {
            return match spec.allowed.get(number) {
                Some(word) => Some(word.clone()),
                None => self.reference(reference, number - spec.allowed.len()).map(Value::String),
            };
        }
        if !spec.allowed.is_empty() {
            return spec.allowed.get(number).cloned();
        }
        let two = |values: [Value; 2]| values.into_iter().nth(number);
        match spec.ty {
            FieldType::String if spec.sensitive == Some(Sensitivity::Always) => secret(number),
            FieldType::String if spec.sensitive == Some(Sensitivity::Allowed) && number == 2 => secret(0),
            FieldType::String => text(spec, name, tag, number),
            FieldType::Integer | FieldType::Number => number_of(spec, tag, number),
            FieldType::Boolean => two([true.into(), false.into()]),
            FieldType::Date => two([day(tag, 1), day(tag, 2)]),
            FieldType::Datetime => two([
                format!("{}T12:00:00Z", day(tag, 1).as_str()?).into(),
                format!("{}T08:30:00Z", day(tag, 2).as_str()?).into(),
            ]),
            FieldType::Object => self.object(spec, tag, number),
            FieldType::Map => self.map(spec, tag, number),
            FieldType::List => self.list(spec, name, tag, number),
            FieldType::Sink => (number < 2).then(|| json!({ "file": format!("sink-{}-{number}", tag.word) })),
            FieldType::File => (number < 3).then(|| json!({ "file": format!("upload-{number}.txt") })),
            FieldType::Any => two([json!({"a": 1}), json!([true, "b"])]),
            FieldType::Ref => None,
        }
    }

    /// The value with the highest number that a field has up to this one.
    pub(super) fn sample_up_to(&mut self, spec: &FieldSpec, name: &str, tag: Tag, number: usize) -> Option<Value> {
        (0..=number).rev().find_map(|number| self.sample(spec, name, tag, number))
    }

    fn object(&mut self, spec: &FieldSpec, tag: Tag, number: usize) -> Option<Value> {
        if number > 1 {
            return None;
        }
        let mut out = Map::new();
        // Of members of which one is declared, this one.
        let chosen = spec.one_of.get(number % spec.one_of.len().max(1));
        let left = |name: &String| spec.one_of.contains(name) && chosen != Some(name);
        // What leads to other parts of an object has to suit them.
        let is_free = |member: &FieldSpec| !member.read_only && member.leads.is_none();
        for (name, member) in spec.fields.iter().filter(|(name, member)| is_free(member) && !left(name)) {
            out.extend(self.sample_up_to(member, name, tag, number).map(|value| (name.clone(), value)));
        }
        if spec.open || spec.fields.is_empty() {
            out.insert("ofMyOwn".into(), format!("value {number}").into());
        }
        Some(out.into())
    }

    /// The keys are the same whatever the number: another value is another value of each.
    fn map(&mut self, spec: &FieldSpec, tag: Tag, number: usize) -> Option<Value> {
        if number > 1 {
            return None;
        }
        let Some(items) = spec.items.as_deref() else {
            if spec.sensitive == Some(Sensitivity::Always) {
                return Some(json!({ "first": secret(number)?, "second": secret(number + 1)? }));
            }
            return Some(
                [
                    json!({
                        "word": "first", "count": 1, "flag": true, "list": ["a"], "deep": {"inner": 1, "kept": "x"},
                    }),
                    json!({
                        "word": "second", "count": 2, "flag": false, "list": ["a", "b"], "deep": {"inner": 2},
                    }),
                ][number]
                    .clone(),
            );
        };
        let value = |world: &mut Self, name: &str| world.sample_up_to(items, name, tag, number);
        Some(json!({ "first": value(self, "first")?, "second": value(self, "second")? }))
    }

    /// Entries of keyed lists have the same keys whatever the number.
    fn list(&mut self, spec: &FieldSpec, name: &str, tag: Tag, number: usize) -> Option<Value> {
        let items = spec.items.as_deref()?;
        if let Some(key) = &spec.keyed_by {
            if number > 1 {
                return None;
            }
            let mut entries = Vec::new();
            for place in 0..2 {
                let mut entry = self.object(items, tag, (number + place) % 2)?;
                entry[key] = self.sample(items.fields.get(key)?, key, tag, place)?;
                entries.push(entry);
            }
            return Some(entries.into());
        }
        let first = self.sample(items, name, tag, 0)?;
        let second = self.sample(items, name, tag, 1)?;
        // The order of a list without order is no other value.
        let other = if spec.set { json!([second]) } else { json!([second, first]) };
        [json!([first, second]), other].into_iter().nth(number)
    }
}

fn secret(number: usize) -> Option<Value> {
    (number < 3).then(|| json!({ "valueFrom": { "file": format!("secret-{number}") } }))
}

fn number_of(spec: &FieldSpec, tag: Tag, number: usize) -> Option<Value> {
    let least = spec.minimum.unwrap_or(1.0);
    let most = spec.maximum.unwrap_or(f64::MAX);
    let float = |number: usize| u32::try_from(number).map(f64::from).unwrap_or_default();
    // Different for every object where there is room, else for every number, else a part of what there is.
    let share = (most - least) * float(number + 1) / 4.0;
    let mut wanted = vec![least + float(tag.place * 100 + number), least + float(number)];
    if spec.ty == FieldType::Number {
        wanted.push(least + share);
    }
    let fits = |value: &f64| *value <= most && (number == 0 || *value > least);
    let value = wanted.into_iter().filter(|_| number < 2).find(fits)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is a small whole number")]
    Some(if value.fract() == 0.0 { Value::from(value as i64) } else { Value::from(value) })
}

fn day(tag: Tag, month: usize) -> Value {
    format!("2026-{month:02}-{:02}", 10 + tag.place).into()
}

/// Texts that fit the field, spelled in a way that the server may spell otherwise.
fn text(spec: &FieldSpec, name: &str, tag: Tag, number: usize) -> Option<Value> {
    let (place, word) = (tag.place, tag.word);
    let plain = format!("{name} {word} {number}");
    let slug = format!("{}-{word}-{number}", name.to_lowercase());
    let digits = format!("(313) 555-2{place}{number}0");
    let mut candidates = Vec::new();
    match spec.format {
        Some(Format::Email) => candidates.push(format!("{name}.{word}{number}@conformance.example")),
        Some(Format::Ip) => candidates.push(format!("192.0.2.{}", place * 10 + number + 1)),
        Some(Format::Mac) => candidates.push(mac(place, number)),
        Some(Format::Url) => candidates.push(format!("https://conformance.example/{slug}")),
        None => {
            for rule in &spec.equal {
                match rule {
                    Equality::Digits => candidates.push(digits.clone()),
                    Equality::Mac => candidates.push(mac(place, number)),
                    Equality::Ip => candidates.push(format!("192.0.2.{}", place * 10 + number + 1)),
                    Equality::Case
                    | Equality::Blanks
                    | Equality::Html
                    | Equality::Document
                    | Equality::Duration
                    | Equality::Scalars => {}
                }
            }
            candidates.extend([
                plain,
                slug.clone(),
                slug.replace('-', "_"),
                format!("{word}{number}"),
                format!("{place}{number}"),
                format!("ABC-{place}{number}"),
                format!("BALENA_{word}{number}"),
                format!("{:032x}", place * 16 + number + 1),
                format!("org-{word}:{slug}"),
            ]);
        }
    }
    let pattern = spec.pattern.as_deref().map(|pattern| regex::Regex::new(&format!("^(?:{pattern})$")).unwrap());
    let found = candidates.into_iter().find(|text| {
        spec.max_length.is_none_or(|most| text.chars().count() <= most as usize)
            && pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    });
    assert!(found.is_some(), "no text of the suite fits `{name}`, `{:?}`: add one to `values.rs`", spec.pattern);
    found.filter(|_| number < 2).map(Value::String)
}

fn mac(place: usize, number: usize) -> String {
    format!("00-1a-2b-3c-{place:02}-{number:02}")
}
