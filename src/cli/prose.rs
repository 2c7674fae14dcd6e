//! Text for a terminal: lines broken at words, columns aligned.

use unicode_width::UnicodeWidthStr;

/// Breaks a text at words so that no line is wider than `width` columns where a word is not; every line begins with
/// `indent` spaces.
pub(super) fn wrap(text: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent).max(20);
    let mut out = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.width();
        if used == 0 || used + 1 + length > room {
            if used > 0 {
                out.push('\n');
            }
            out.push_str(&" ".repeat(indent));
            used = length;
        } else {
            out.push(' ');
            used += 1 + length;
        }
        out.push_str(word);
    }
    if used > 0 {
        out.push('\n');
    }
    out
}

/// Lays rows out in columns, two spaces apart; the last column is not padded.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or_default())
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(2 + width.saturating_sub(cell.width())));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_words_and_never_lose_one() {
        let text = "one two three four five six seven";
        let wrapped = wrap(text, 2, 22);
        assert_eq!(wrapped, "  one two three four\n  five six seven\n");
        assert_eq!(wrap("", 2, 22), "");
        assert_eq!(wrap("incomprehensibilities-without-end", 0, 10), "incomprehensibilities-without-end\n");
    }

    #[test]
    fn columns_align_by_what_is_seen() {
        let rows = [vec!["a".into(), "x".into()], vec!["größe".into(), "yy".into()], vec!["c".into()]];
        assert_eq!(columns(&rows), "a      x\ngröße  yy\nc\n");
    }
}
