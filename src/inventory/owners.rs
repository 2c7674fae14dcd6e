//! Who owns a live object, over all stacks of one inventory: one live object has one owner.

use std::collections::HashMap;

use crate::{
    address::Address,
    inventory::{Intent, IntentVerb, State},
    value::Fields,
};

/// The owner of a live object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Stack.
    pub stack: String,
    /// Address of the manifest or entry.
    pub address: String,
}

/// A create that a stack began and of which it is not recorded what it made: it may be any live object of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// Who will own it.
    pub owner: Owner,
    /// Id of the parent, where it has one.
    pub parent: Option<String>,
    /// What was sent.
    pub sent: Fields,
}

/// The owners of all live objects that an inventory knows, by account, kind and id.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    owned: HashMap<(String, String, String), Vec<Owner>>,
    begun: HashMap<(String, String), Vec<Begun>>,
}

impl Owners {
    /// Adds the objects of a stack.
    pub fn add(&mut self, stack: &str, state: &State) {
        for (address, record) in &state.objects {
            let Some(account) = state.accounts.get(&record.connection) else { continue };
            self.insert(&account.url, stack, address, &record.id);
        }
        for intent in state.intents.values() {
            let Some(account) = state.accounts.get(&intent.connection) else { continue };
            self.begin(&account.url, stack, intent);
        }
    }

    /// Adds what a stack began to create.
    pub(super) fn begin(&mut self, url: &str, stack: &str, intent: &Intent) {
        if intent.verb != IntentVerb::Create {
            return;
        }
        let owner = Owner { stack: stack.to_owned(), address: intent.address.clone() };
        let begun = Begun { owner, parent: intent.parent.clone(), sent: intent.sent.clone() };
        self.begun.entry((account(url), kind(&intent.address))).or_default().push(begun);
    }

    /// What stacks other than `stack` began to create of the kind of `address`, in the account at `url`.
    pub fn begun_by_others<'a>(&'a self, stack: &'a str, address: &str, url: &str) -> impl Iterator<Item = &'a Begun> {
        let begun = self.begun.get(&(account(url), kind(address)));
        begun.into_iter().flatten().filter(move |begun| begun.owner.stack != stack)
    }

    /// Adds one object.
    pub(super) fn insert(&mut self, url: &str, stack: &str, address: &str, id: &str) {
        let key = (account(url), kind(address), id.to_owned());
        self.owned.entry(key).or_default().push(Owner { stack: stack.to_owned(), address: address.to_owned() });
    }

    /// Who other than `address` of `stack` owns the live object `id` of the kind of `address`, in the account at `url`.
    pub fn other_than(&self, stack: &str, address: &Address, url: &str, id: &str) -> Option<&Owner> {
        let address = address.to_string();
        let owners = self.owned.get(&(account(url), kind(&address), id.to_owned()))?;
        owners.iter().find(|owner| owner.stack != stack || owner.address != address)
    }

    /// Who owns the live object `id` in the account at `url`; `kind` is `api/Kind`, or `api/Kind#field` for an entry
    /// inside.
    pub fn owner_of(&self, url: &str, kind: &str, id: &str) -> Option<&Owner> {
        self.owned.get(&(account(url), kind.to_owned(), id.to_owned()))?.first()
    }
}

fn account(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

/// What an address says of its kind: `api/Kind`, or `api/Kind#field` for an entry inside, whose ids are of another sort.
pub(super) fn kind(address: &str) -> String {
    let (manifest, entry) =
        address.split_once('#').map_or((address, None), |(manifest, entry)| (manifest, Some(entry)));
    let end = manifest.match_indices('/').nth(1).map_or(manifest.len(), |(at, _)| at);
    let kind = manifest.split_at(end).0;
    match entry.and_then(|entry| entry.split('/').next()) {
        Some(field) => format!("{kind}#{field}"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Account, Record};

    fn owners() -> Owners {
        let mut state = State::default();
        state.accounts.insert("c".into(), Account { url: "https://api.example.com/".into(), identity: None });
        for (address, id) in [("x/Type/email", "7"), ("x/Type/email#fields/Name", "8"), ("x/Type/ns/fax", "9")] {
            state
                .objects
                .insert(address.into(), Record { connection: "c".into(), id: id.into(), ..Record::default() }.into());
        }
        let mut owners = Owners::default();
        owners.add("one", &state);
        owners
    }

    #[test]
    fn an_object_is_known_by_account_kind_and_id() {
        let owners = owners();
        let owner = owners.owner_of("https://api.example.com", "x/Type", "7").unwrap();
        assert_eq!((owner.stack.as_str(), owner.address.as_str()), ("one", "x/Type/email"));
        assert_eq!(owners.owner_of("https://api.example.com", "x/Type", "9").unwrap().address, "x/Type/ns/fax");
        assert_eq!(owners.owner_of("https://other.example.com", "x/Type", "7"), None);
        assert_eq!(owners.owner_of("https://api.example.com", "x/Type", "8"), None, "8 is the id of a field");
        assert!(owners.owner_of("https://api.example.com", "x/Type#fields", "8").is_some());
    }

    #[test]
    fn nobody_is_in_their_own_way() {
        let owners = owners();
        let email: Address = "x/Type/email".parse().unwrap();
        let mail: Address = "x/Type/mail".parse().unwrap();
        let url = "https://api.example.com";
        assert_eq!(owners.other_than("one", &email, url, "7"), None);
        assert_eq!(owners.other_than("one", &mail, url, "7").unwrap().address, "x/Type/email");
        assert_eq!(owners.other_than("two", &email, url, "7").unwrap().stack, "one");
    }
}
