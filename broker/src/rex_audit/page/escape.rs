//! Text that others chose, made safe to read in a page.
//!
//! Two dangers: text that becomes markup, and text that looks like other text. The five characters of HTML become
//! references; characters that do not show, or that change how their neighbours show, become `\u{...}`.

use std::fmt::Write as _;

/// The most characters of one text that a page shows. What is cut is counted in the page.
pub(crate) const LIMIT: usize = 240;

/// The most combining marks on one base: enough for the writing systems in use, too few to paint over other lines.
const MARKS: usize = 3;

/// Where a text goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between tags, where escapes get a style of their own, so that they differ from a text that spells them out.
    Body,
    /// As `Body`, for names and paths: lines may break behind their parts.
    Name,
    /// In an attribute or in an element that holds text only, such as `<title>`.
    Plain,
}

/// Appends `text` to `out`, safe for `place` and no longer than about `limit` characters as shown.
pub(crate) fn append(out: &mut String, text: &str, limit: usize, place: Place) {
    let mut shown = 0;
    let mut marks = MARKS;
    let mut in_escape = false;
    let mut last = ' ';
    let mut rest = text.chars();
    loop {
        let before = rest.clone();
        let Some(c) = rest.next() else { break };
        if shown >= limit {
            close_escape(out, place, &mut in_escape);
            cut(out, before.count());
            return;
        }
        let look = look(c);
        marks = if look == Look::Mark { marks + 1 } else { 0 };
        if look == Look::Hidden || marks > MARKS {
            open_escape(out, place, &mut in_escape);
            let _ = write!(out, "{}", c.escape_unicode());
            shown += c.escape_unicode().len();
            marks = MARKS;
        } else {
            close_escape(out, place, &mut in_escape);
            visible(out, c);
            shown += 1;
            if place == Place::Name && ends_part(last, c) {
                out.push_str("<wbr>");
            }
        }
        last = c;
    }
    close_escape(out, place, &mut in_escape);
}

/// How a character shows by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Visible,
    /// Drawn onto the character before it.
    Mark,
    Hidden,
}

/// The tables behind `escape_debug` know control, format, private and unassigned characters and all spaces but the
/// common one. They leave out the letters and marks that have no ink.
fn look(c: char) -> Look {
    if matches!(c, ' '..='~') {
        return Look::Visible;
    }
    if is_inkless(c) {
        return Look::Hidden;
    }
    if c.escape_debug().len() == 1 {
        return Look::Visible;
    }
    // Behind another character `escape_debug` lets marks pass, so what it still escapes is not a mark.
    let mut pair = String::from("a");
    pair.push(c);
    if pair.escape_debug().count() == 2 { Look::Mark } else { Look::Hidden }
}

/// Letters, marks and symbols that Unicode counts as graphic, and that draw nothing.
fn is_inkless(c: char) -> bool {
    matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fffc}' | '\u{16fe4}' | '\u{1d159}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a part of a path or of a name in the style of Cedar ends with `c`. A leading slash ends none.
fn ends_part(before: char, c: char) -> bool {
    (c == '/' && before.is_alphanumeric()) || (c == ':' && before == ':')
}

fn visible(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        _ => out.push(c),
    }
}

fn open_escape(out: &mut String, place: Place, in_escape: &mut bool) {
    if place != Place::Plain && !*in_escape {
        out.push_str("<span class=\"hid\">");
        *in_escape = true;
    }
}

fn close_escape(out: &mut String, place: Place, in_escape: &mut bool) {
    if place != Place::Plain && *in_escape {
        out.push_str("</span>");
        *in_escape = false;
    }
}

fn cut(out: &mut String, left: usize) {
    let _ = write!(out, "… ({left} more characters)");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> String {
        let mut out = String::new();
        append(&mut out, text, LIMIT, Place::Body);
        out
    }

    fn plain(text: &str) -> String {
        let mut out = String::new();
        append(&mut out, text, LIMIT, Place::Plain);
        out
    }

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            body("<script>alert('x')&amp;</script>"),
            "&lt;script&gt;alert(&#39;x&#39;)&amp;amp;&lt;/script&gt;"
        );
        assert_eq!(plain("\" onload=\"x"), "&quot; onload=&quot;x");
    }

    #[test]
    fn what_does_not_show_is_spelled_out() {
        assert_eq!(body("a\u{202e}\u{200b}b"), "a<span class=\"hid\">\\u{202e}\\u{200b}</span>b");
        assert_eq!(plain("a\u{202e}b"), "a\\u{202e}b");
        for c in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{180e}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{2029}',
            '\u{2066}',
            '\u{2069}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{e000}',
            '\u{e0041}',
            '\u{fff9}',
            '\u{1d173}',
            '\u{10ffff}',
        ] {
            assert_eq!(plain(&format!("x{c}y")), format!("x{}y", c.escape_unicode()), "{}", c.escape_unicode());
        }
    }

    #[test]
    fn names_break_between_their_parts() {
        let mut out = String::new();
        append(&mut out, "fs::File::\"/srv/a\u{a}\"", LIMIT, Place::Name);
        assert_eq!(out, "fs::<wbr>File::<wbr>&quot;/srv/<wbr>a<span class=\"hid\">\\u{a}</span>&quot;");
    }

    #[test]
    fn writing_stays_writing() {
        for text in [
            "/srv/café",
            "/srv/cafe\u{301}",
            "Ελλάδα",
            "שלום",
            "हिन्दी",
            "日本語",
            "naïve — “quoted”",
            "🦀",
            r"C:\u{41}",
        ] {
            assert_eq!(body(text).replace("&quot;", "\""), text);
        }
    }

    #[test]
    fn marks_cannot_pile_up_nor_stand_alone() {
        assert_eq!(plain("\u{301}a"), "\\u{301}a");
        let piled = format!("a{}", "\u{301}".repeat(10));
        assert_eq!(plain(&piled), format!("a{}{}", "\u{301}".repeat(MARKS), "\\u{301}".repeat(7)));
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let shown = body(&"x".repeat(100_000));
        assert!(shown.len() < LIMIT + 40);
        assert!(shown.ends_with("… (99760 more characters)"));
        assert!(body(&"\u{202e}".repeat(1000)).contains("</span>… ("));
    }
}
