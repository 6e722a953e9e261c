//! JSON by hand, in the form in which Coffer answers.

use super::pool::Columns;
use crate::{Result, data::SHARE, operations::SYMBOL};
use std::collections::HashMap;
use uuid::Uuid;

type Symbols = HashMap<Uuid, String>;

macro_rules! put {
    ($json:expr, $text:literal) => {
        $json.extend_from_slice($text.as_bytes())
    };
}

fn id(json: &mut Vec<u8>, id: Uuid) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    json.push(b'"');
    json.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
    json.push(b'"');
}

fn text(json: &mut Vec<u8>, text: &str) -> Result<()> {
    if text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
        return Ok(());
    }
    Ok(serde_json::to_writer(json, text)?)
}

/// Writes a stored word as the name of an enum value.
fn word(json: &mut Vec<u8>, word: &str) {
    json.push(b'"');
    json.extend(word.bytes().map(|byte| byte.to_ascii_uppercase()));
    json.push(b'"');
}

/// Writes digits of a number, at least so many.
fn digits(json: &mut Vec<u8>, mut number: u64, least: usize) {
    let begin = json.len();
    while number > 0 || json.len() < begin + least {
        json.push(b'0' + u8::try_from(number % 10).unwrap_or_default());
        number /= 10;
    }
    json.get_mut(begin..).unwrap_or_default().reverse();
}

/// Writes hundred-millionths of a share as a decimal number.
fn quantity(json: &mut Vec<u8>, units: i64) {
    let units = units.unsigned_abs();
    json.push(b'"');
    digits(json, units / SHARE, 1);
    if !units.is_multiple_of(SHARE) {
        json.push(b'.');
        digits(json, units % SHARE, 8);
        while json.last() == Some(&b'0') {
            json.pop();
        }
    }
    json.push(b'"');
}

/// Writes microseconds since the year 2000 as a timestamp.
pub fn time(json: &mut Vec<u8>, micros: i64) {
    const DAY: i64 = 86_400_000_000;
    // The calendar is counted in eras of 400 years from 1 March of the year 0, so that a leap day ends a year.
    let (days, rest) = (micros.div_euclid(DAY) + 730_425, micros.rem_euclid(DAY).unsigned_abs());
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    json.push(b'"');
    for (number, least, after) in [
        (year.unsigned_abs(), 4, b'-'),
        (month.unsigned_abs(), 2, b'-'),
        (day.unsigned_abs(), 2, b'T'),
        (rest / 3_600_000_000, 2, b':'),
        (rest / 60_000_000 % 60, 2, b':'),
        (rest / 1_000_000 % 60, 2, b'.'),
    ] {
        digits(json, number, least);
        json.push(after);
    }
    let fraction = rest % 1_000_000;
    if fraction == 0 {
        json.pop();
    } else if fraction.is_multiple_of(1_000) {
        digits(json, fraction / 1_000, 3);
    } else {
        digits(json, fraction, 6);
    }
    put!(json, "Z\"");
}

fn symbol(json: &mut Vec<u8>, symbols: &Symbols, instrument: Uuid) -> Result<()> {
    put!(json, r#","instrument":{"symbol":"#);
    text(json, symbols.get(&instrument).ok_or("an instrument is not listed")?)?;
    json.push(b'}');
    Ok(())
}

pub fn user(rows: &[impl Columns]) -> Result<Vec<u8>> {
    let row = rows.first().ok_or("there is no such user")?;
    let mut json = Vec::with_capacity(256);
    put!(json, r#"{"data":{"user":{"id":"#);
    id(&mut json, row.id(0)?);
    put!(json, r#","firstName":"#);
    text(&mut json, row.text(1)?)?;
    put!(json, r#","lastName":"#);
    text(&mut json, row.text(2)?)?;
    put!(json, r#","email":"#);
    text(&mut json, row.text(3)?)?;
    put!(json, "}}}");
    Ok(json)
}

pub fn users(symbols: &Symbols, rows: &[impl Columns]) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(64 + rows.len() * 320);
    put!(json, r#"{"data":{"users":{"edges":["#);
    let (mut user, mut account) = (None, None);
    for row in rows {
        let this = row.id(0)?;
        if user != Some(this) {
            if account.take().is_some() {
                put!(json, "]}}}");
            }
            if user.replace(this).is_some() {
                put!(json, "]}}},");
            }
            put!(json, r#"{"node":{"id":"#);
            id(&mut json, this);
            put!(json, r#","firstName":"#);
            text(&mut json, row.text(1)?)?;
            put!(json, r#","lastName":"#);
            text(&mut json, row.text(2)?)?;
            put!(json, r#","accounts":{"edges":["#);
        }
        let Some(this) = row.maybe_id(3)? else { continue };
        if account == Some(this) {
            json.push(b',');
        } else {
            if account.replace(this).is_some() {
                put!(json, "]}}},");
            }
            put!(json, r#"{"node":{"id":"#);
            id(&mut json, this);
            put!(json, r#","number":"#);
            text(&mut json, row.text(4)?)?;
            put!(json, r#","type":"#);
            word(&mut json, row.text(5)?);
            put!(json, r#","orders":{"edges":["#);
        }
        let Some(order) = row.maybe_id(6)? else { continue };
        put!(json, r#"{"node":{"id":"#);
        id(&mut json, order);
        symbol(&mut json, symbols, row.id(7)?)?;
        put!(json, r#","side":"#);
        word(&mut json, row.text(8)?);
        put!(json, r#","status":"#);
        word(&mut json, row.text(9)?);
        put!(json, r#","quantity":"#);
        quantity(&mut json, row.number(10)?);
        put!(json, r#","submittedAt":"#);
        row.write_time(11, &mut json)?;
        put!(json, "}}");
    }
    if account.is_some() {
        put!(json, "]}}}");
    }
    if user.is_some() {
        put!(json, "]}}}");
    }
    put!(json, "]}}}");
    Ok(json)
}

pub fn orders(symbols: &Symbols, rows: &[impl Columns]) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(64 + rows.len() * 256);
    put!(json, r#"{"data":{"account":{"orders":{"edges":["#);
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            json.push(b',');
        }
        put!(json, r#"{"node":{"id":"#);
        id(&mut json, row.id(0)?);
        symbol(&mut json, symbols, row.id(1)?)?;
        put!(json, r#","side":"#);
        word(&mut json, row.text(2)?);
        put!(json, r#","type":"#);
        word(&mut json, row.text(3)?);
        put!(json, r#","quantity":"#);
        quantity(&mut json, row.number(4)?);
        put!(json, r#","filledQuantity":"#);
        quantity(&mut json, row.number(5)?);
        put!(json, r#","status":"#);
        word(&mut json, row.text(6)?);
        put!(json, r#","submittedAt":"#);
        row.write_time(7, &mut json)?;
        put!(json, "}}");
    }
    put!(json, "]}}}}");
    Ok(json)
}

pub fn placed(order: Uuid, account: Uuid, shares: u32) -> Vec<u8> {
    let mut json = Vec::with_capacity(320);
    put!(json, r#"{"data":{"orderPlace":{"order":{"id":"#);
    id(&mut json, order);
    put!(json, r#","account":{"id":"#);
    id(&mut json, account);
    put!(json, r#"},"instrument":{"symbol":""#);
    json.extend_from_slice(SYMBOL.as_bytes());
    put!(json, r#""},"side":"BUY","type":"MARKET","quantity":""#);
    digits(&mut json, u64::from(shares), 1);
    put!(json, r#"","status":"ACCEPTED"},"userErrors":[]}}}"#);
    json
}
