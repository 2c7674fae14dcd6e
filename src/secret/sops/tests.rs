//! Files that the real `sops` made (`tests/cases/sops/make.sh`), and what must not be taken for one.

use std::{fs, path::PathBuf};

use super::*;

fn file(name: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sops").join(name)).unwrap()
}

fn keys(files: &[&str]) -> Identities {
    let mut identities = Identities::default();
    for name in files {
        identities.add(&file(name)).unwrap();
    }
    identities
}

fn opened(name: &str) -> Opened {
    open(&file(name), &keys(&["keys.txt"])).unwrap_or_else(|error| panic!("{name} {error}"))
}

fn refused(text: &str, identities: &Identities) -> String {
    match open(text, identities) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

fn value(opened: &Opened, key: &str) -> String {
    opened.get(Some(&Key::parse(key))).unwrap_or_else(|error| panic!("{error}")).to_string()
}

#[test]
fn every_type_of_value_is_read() {
    let yaml = opened("values.yaml");
    for (key, expected) in [
        ("database.password", "correct-horse-Quai9eipha"),
        ("database.port", "5432"),
        ("database.ratio", "1.5"),
        ("database.big", "9007199254740993"),
        ("database.on", "true"),
        ("database.off", "false"),
        ("database.empty", ""),
        ("database.since", "2024-02-29T00:00:00Z"),
        ("database.text", "yes"),
        ("database.number", "0755"),
        ("database.octal", "493"),
        ("database.certificate", "-----BEGIN-----\ncorrect-horse-Eev7ooshie\n-----END-----\n"),
        ("database.ünï", "päss wörd 🐸 correct-horse-Ohy6ahbaec"),
        ("list.0", "correct-horse-Ief2chaibo"),
        ("list.1.token", "correct-horse-Zee1phiewu"),
        ("list.2.0", "correct-horse-nested-Ahp9ae"),
        ("note_unencrypted", "seen by all"),
        ("dotted.name.deep.key", "correct-horse-Xoo3dotted"),
        ("/dotted.name/deep.key", "correct-horse-Xoo3dotted"),
        ("[\"database\"][\"password\"]", "correct-horse-Quai9eipha"),
        ("['list'][1]['token']", "correct-horse-Zee1phiewu"),
    ] {
        assert_eq!(value(&yaml, key), expected, "{key}");
    }
    let json = opened("values.json");
    for (key, expected) in [
        ("database.password", "correct-horse-Quai9eipha"),
        ("database.port", "5432"),
        ("database.ratio", "1.5"),
        ("database.text", "päss \"wörd\" 🐸 correct-horse-Ohy6ahbaec\n"),
        ("list.2.1", "2.5"),
        ("note_unencrypted.b", "c"),
    ] {
        assert_eq!(value(&json, key), expected, "{key}");
    }
    assert_eq!(opened("whole").get(None).unwrap().as_str(), "correct-horse-Quai9eipha\n");
}

#[test]
fn every_rule_of_what_is_encrypted_is_followed() {
    for (name, key, expected) in [
        ("encrypted-suffix.yaml", "password_secret", "correct-horse-Quai9eipha"),
        ("encrypted-suffix.yaml", "deep_secret.a.1", "correct-horse-Zee1phiewu"),
        ("encrypted-suffix.yaml", "hex", "31"),
        ("unencrypted-suffix.yaml", "database.password", "correct-horse-Quai9eipha"),
        ("encrypted-regex.yaml", "stringData.password", "correct-horse-Quai9eipha"),
        ("encrypted-regex.yaml", "kind", "Secret"),
        ("mac-only-encrypted.yaml", "stringData.password", "correct-horse-Quai9eipha"),
        ("unencrypted-regex.yaml", "database.password", "correct-horse-Quai9eipha"),
        ("unencrypted-regex.yaml", "database.user", "shop"),
        ("encrypted-comment.yaml", "password", "correct-horse-Quai9eipha"),
        ("unencrypted-comment.yaml", "database.password", "correct-horse-Quai9eipha"),
        ("documents.yaml", "password", "correct-horse-Quai9eipha"),
    ] {
        assert_eq!(value(&opened(name), key), expected, "{name}: {key}");
    }
}

#[test]
fn a_data_key_shared_among_groups_takes_enough_of_them() {
    let text = file("key-groups.yaml");
    for enough in [&["keys.txt", "other-keys.txt"][..], &["keys.txt", "third-keys.txt"], &["third-keys.txt"]] {
        let opened = open(&text, &keys(enough)).unwrap_or_else(|error| panic!("{enough:?} {error}"));
        assert_eq!(value(&opened, "stringData.password"), "correct-horse-Quai9eipha");
    }
    assert!(
        refused(&text, &keys(&["keys.txt"])).contains("needs keys of 2 of its key groups, and those at hand open 1")
    );
}

#[test]
fn what_was_changed_is_refused() {
    let keys = keys(&["keys.txt"]);
    let text = file("encrypted-regex.yaml");
    // In the clear, but under the MAC.
    assert!(refused(&text.replace("kind: Secret", "kind: ConfigMap"), &keys).contains("MAC"));
    assert!(refused(&text.replace("    name: shop\n", ""), &keys).contains("MAC"));
    // A value elsewhere than it was put.
    assert!(refused(&text.replace("    password: ENC", "    passphrase: ENC"), &keys).contains("does not decrypt"));
    // Plain text where it ought to be encrypted.
    let start = text.find("    password: ENC").unwrap();
    let line = text[start..].lines().next().unwrap();
    let plain = text.replace(line, "    password: mine");
    assert!(refused(&plain, &keys).contains("`stringData.password` that ought to be encrypted"));
    assert!(refused(&text.replace("lastmodified: \"20", "lastmodified: \"21"), &keys).contains("MAC"));
    let mac = text.lines().find(|line| line.trim_start().starts_with("mac:")).unwrap();
    assert!(refused(&text.replace(mac, "    mac: \"\""), &keys).contains("no MAC"));
    assert!(refused(&text.replace(mac, ""), &keys).contains("no MAC"));
    // What is in the clear is outside of the MAC there, and what is encrypted is not.
    let text = file("mac-only-encrypted.yaml");
    assert!(open(&text.replace("kind: Secret", "kind: Other"), &keys).is_ok());
    assert!(refused(&text.replace("    mac_only_encrypted: true\n", ""), &keys).contains("MAC"));
    // By comments, it is the MAC that tells.
    let text = file("encrypted-comment.yaml");
    let line = text.lines().find(|line| line.starts_with("password: ENC")).unwrap();
    assert!(refused(&text.replace(line, "password: mine"), &keys).contains("MAC"));
    // Two documents in the other order.
    let text = file("documents.yaml");
    let (first, second) = text.split_once("\n---\n").unwrap();
    let swapped = refused(&format!("{second}---\n{first}\n"), &keys);
    assert!(swapped.contains("MAC"), "{swapped}");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let text = file("values.yaml");
    assert!(refused(&text, &Identities::default()).contains("no age key: it is for `age1"));
    assert!(refused(&text, &keys(&["other-keys.txt"])).contains("none of the age keys opens"));
    assert!(refused("a: 1\n", &keys(&["keys.txt"])).contains("not encrypted by SOPS"));
    assert!(refused("a: [", &keys(&["keys.txt"])).contains("neither YAML nor JSON"));
    assert!(refused("a: 1\nsops: 2\n", &keys(&["keys.txt"])).contains("it is no map"));
    let pgp = "a: 1\nsops: {mac: x, lastmodified: x, pgp: [{fp: A, enc: B}], kms: [{arn: c}]}\n";
    assert!(refused(pgp, &keys(&["keys.txt"])).contains("for `pgp`, `kms` alone"));
    assert!(refused("a: 1\nsops: {mac: x}\n", &keys(&["keys.txt"])).contains("no data key"));
    let two = text.replace("unencrypted_suffix", "encrypted_suffix: a\n    unencrypted_suffix");
    assert!(refused(&two, &keys(&["keys.txt"])).contains("two rules"));
    let opened = opened("values.yaml");
    for (key, expected) in [
        ("database.passwort", "nothing at `database.passwort`: did you mean `password`?"),
        ("database", "but a map"),
        ("list", "but a list"),
        ("list.7", "nothing at `list.7`"),
        ("database.nothing", "but null"),
    ] {
        let error = opened.get(Some(&Key::parse(key))).unwrap_err().to_string();
        assert!(error.contains(expected), "{key}: {error}");
    }
    assert!(opened.get(None).unwrap_err().to_string().contains("name one by `key`"));
    for bad in ["AGE-SECRET-KEY-1", "nonsense", "# comment\n\nAGE-PLUGIN-YUBIKEY-1QQQ"] {
        let error = Identities::default().add(bad).unwrap_err();
        assert!(!error.contains("nonsense") && error.starts_with("line "), "{error}");
    }
}
