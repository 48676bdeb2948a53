//! Taking a template apart, with an answer for every slip of the pen.

use super::Piece;
use super::date::DateFormat;
use crate::text::Shown;

/// Scheme, host and port stand there, and hold no placeholder.
pub(super) fn check_start(text: &str) -> Result<(), String> {
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or("the link must be a whole address that begins with `https://` or `http://`")?;
    let host = text[scheme.len()..]
        .split(['/', '?', '#'])
        .next()
        .unwrap_or_default();
    if host.is_empty() {
        return Err("the address has no host".to_owned());
    }
    if host.contains(['{', '}']) {
        return Err(
            "a placeholder cannot stand in the host or the port: a value from the PBX would decide where links lead"
                .to_owned(),
        );
    }
    Ok(())
}

/// Every character is one that an address can hold.
pub(super) fn check_characters(text: &str) -> Result<(), String> {
    if let Some(c) = text.chars().find(|c| !may_stand_in_address(*c)) {
        return Err(format!(
            "`{}` cannot stand in an address; write it percent-encoded (a blank is `%20`)",
            Shown(&c.to_string())
        ));
    }
    Ok(())
}

/// RFC 3986's characters, and the two braces.
fn may_stand_in_address(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%{}".contains(c)
}

/// The template's own text and its placeholders, in order.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut fragment = false;
    while let Some(open) = rest.find(['{', '}']) {
        let (literal, from_brace) = rest.split_at(open);
        fragment |= literal.contains('#');
        push_literal(&mut pieces, literal)?;
        let close = from_brace.find('}').filter(|at| *at > 0);
        let Some(close) = close else {
            return Err(format!(
                "the brace in `{}` has no partner; a placeholder is `{{recordingfile}}`, a brace itself `%7B` or `%7D`",
                Shown(from_brace)
            ));
        };
        if fragment {
            return Err("a placeholder cannot stand after `#`: that part is never sent".to_owned());
        }
        pieces.push(placeholder(&from_brace[1..close])?);
        rest = &from_brace[close + 1..];
    }
    push_literal(&mut pieces, rest)?;
    Ok(pieces)
}

/// Adds a stretch of the template's own text. An escape in it must be whole: half of one would swallow the first
/// characters of the value that follows.
fn push_literal(pieces: &mut Vec<Piece>, literal: &str) -> Result<(), String> {
    let whole = |after: &str| {
        after
            .as_bytes()
            .get(..2)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !literal.split('%').skip(1).all(whole) {
        return Err("a `%` in the address must be followed by two hexadecimal digits; a percent sign itself is `%25`".to_owned());
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal.to_owned()));
    }
    Ok(())
}

/// What stands between two braces.
fn placeholder(inside: &str) -> Result<Piece, String> {
    if inside == "date" {
        return Ok(Piece::Date(DateFormat::day()));
    }
    if let Some(format) = inside.strip_prefix("date:") {
        return DateFormat::parse(format).map(Piece::Date);
    }
    if inside == "initiated" {
        return Err(
            "`{initiated}` is written as `{date:%Y-%m-%d}`, in the form that the link needs"
                .to_owned(),
        );
    }
    let starts_well = inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let goes_on_well = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    if starts_well && inside.chars().all(goes_on_well) && inside.len() <= 64 {
        return Ok(Piece::Column(inside.to_owned()));
    }
    Err(format!(
        "`{{{}}}` is no placeholder; write a column's name such as `{{recordingfile}}`, or `{{date:%Y/%m/%d}}`",
        Shown(inside)
    ))
}
