//! A secret → the spellings in which others may repeat it.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// What URLs need not encode (RFC 3986), what `encodeURIComponent` does not, and what paths of URLs do.
const URL_SETS: [&AsciiSet; 3] = [
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~'),
    &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'!')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')')
        .remove(b'*'),
    &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'`')
        .add(b'{')
        .add(b'}')
        .add(b'/')
        .add(b'%'),
];

/// Characters of a line from which it is taken for a secret by itself: keys and certificates are lines of base64.
const LONG_LINE: usize = 32;

type Text = Zeroizing<String>;

/// All spellings of a secret, itself first.
pub(super) fn spellings(secret: &str) -> Vec<Text> {
    let mut out: Vec<Text> = vec![secret.to_owned().into()];
    let json = json(secret);
    let form: Text = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>().into();
    // Within a document, or a pair of name and password, that is base64 as a whole.
    for text in [secret, &json, &form] {
        base64(text.as_bytes(), &mut out);
    }
    out.extend([ascii(&json), json.replace('/', "\\/").into(), self::json(&json), json, form]);
    out.push(html(secret));
    out.push(secret.replace('\'', "''").into());
    for set in URL_SETS {
        let encoded: Text = utf8_percent_encode(secret, set).to_string().into();
        out.push(lower_escapes(&encoded));
        out.push(encoded);
    }
    let hex: Text = super::vault::hex(secret.as_bytes()).into();
    out.push(hex.to_uppercase().into());
    out.push(hex);
    if secret.contains('\n') {
        let lines = secret.lines().map(str::trim);
        let telling = lines.filter(|line| line.len() >= LONG_LINE && !line.contains(char::is_whitespace));
        out.extend(telling.map(|line| Text::new(line.to_owned())));
    }
    out
}

/// As it stands between the quotes of JSON.
fn json(text: &str) -> Text {
    let quoted: Text = serde_json::Value::from(text).to_string().into();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned().into()
}

/// JSON in ASCII alone, as some servers write it.
fn ascii(json: &str) -> Text {
    let mut out = Text::default();
    for letter in json.chars() {
        if letter.is_ascii() {
            out.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            let _ = std::fmt::Write::write_fmt(&mut *out, format_args!("\\u{unit:04x}"));
        }
    }
    out
}

fn html(text: &str) -> Text {
    let mut out = Text::default();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// `%2F` as `%2f`.
fn lower_escapes(encoded: &str) -> Text {
    let mut left = 0;
    let mut out = Text::default();
    for letter in encoded.chars() {
        out.push(if left > 0 { letter.to_ascii_lowercase() } else { letter });
        left = if letter == '%' { 2 } else { i32::max(left - 1, 0) };
    }
    out
}

/// In base64: by itself, and as it looks within a longer text, whatever comes before and after it.
fn base64(secret: &[u8], out: &mut Vec<Text>) {
    for before in 0..3_usize {
        let mut padded = Zeroizing::new(vec![0; before]);
        padded.extend_from_slice(secret);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = Zeroizing::new(engine.encode(&*padded));
            // Digits that hold bits of what is before or after the secret are not its own.
            let first = (before * 8).div_ceil(6);
            let last = padded.len() * 8 / 6;
            let own: Text = encoded.get(first..last).unwrap_or_default().to_owned().into();
            out.push(utf8_percent_encode(&own, URL_SETS[0]).to_string().into());
            out.push(own);
        }
    }
}
