//! `to_json` of maps. `parse_json` is the language's own.

use super::Surface;
use crate::value::Texts;
use rhai::{Array, Blob, Dynamic, Map};

/// How deep a map may nest to be written.
const DEPTH: usize = 128;

/// Registers `to_json`.
pub fn register(surface: &mut Surface) {
    let texts = surface.texts();
    surface.function("to_json", move |map: &mut Map| {
        let mut json = String::new();
        write_map(&mut json, map, &texts, DEPTH);
        json
    });
}

/// Writes `value` as JSON without spaces. What JSON has no form for is written as the text it reads as.
fn write(json: &mut String, value: &Dynamic, texts: &Texts, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else {
        json.push_str("null");
        return;
    };
    if let Some(items) = value.read_lock::<Map>() {
        write_map(json, &items, texts, depth);
    } else if let Some(items) = value.read_lock::<Array>() {
        sequence(json, items.iter(), |json, item| write(json, item, texts, depth));
    } else if let Some(bytes) = value.read_lock::<Blob>() {
        sequence(json, bytes.iter(), |json, byte| json.push_str(&byte.to_string()));
    } else if value.is_unit() {
        json.push_str("null");
    } else if let Ok(number) = value.as_float() {
        // `serde_json` writes what is not finite as null.
        json.push_str(&serde_json::Value::from(number).to_string());
    } else if value.is_int() || value.is_bool() {
        json.push_str(&value.to_string());
    } else {
        quote(json, &texts.display(value));
    }
}

/// The keys of a map are sorted already.
fn write_map(json: &mut String, map: &Map, texts: &Texts, depth: usize) {
    json.push('{');
    for (index, (key, item)) in map.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        quote(json, key);
        json.push(':');
        write(json, item, texts, depth);
    }
    json.push('}');
}

fn sequence<T>(json: &mut String, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    json.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, item);
    }
    json.push(']');
}

fn quote(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_valid_json() {
        let mut map = Map::new();
        map.insert(
            "b".into(),
            Dynamic::from_array(vec![1.into(), 1.5.into(), 2.0.into(), f64::NAN.into(), 'x'.into()]),
        );
        map.insert("a\"".into(), "\u{1}é".into());
        map.insert("u".into(), Dynamic::UNIT);
        let mut json = String::new();
        write_map(&mut json, &map, &Texts::default(), DEPTH);
        assert_eq!(json, r#"{"a\"":"\u0001é","b":[1,1.5,2.0,null,"x"],"u":null}"#);
    }
}
