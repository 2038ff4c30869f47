//! The arguments of a script, from a file and the command line.

use rex_client::{Argument, Arguments};
use serde_json::Value;

/// Parses an arguments file.
pub(crate) fn parse(text: &[u8]) -> Result<Arguments, serde_json::Error> {
    serde_json::from_slice(text)
}

/// Adds the arguments of the command line; they replace those of the same name. A name given twice there is
/// an error, as is a JSON value without a type of its own.
pub(crate) fn add(
    arguments: &mut Arguments,
    strings: &[(String, String)],
    values: &[(String, String)],
) -> Result<(), String> {
    let mut given = Arguments::new();
    let strings = strings.iter().map(|(name, value)| (name, Ok(Argument::String(value.clone()))));
    let values = values.iter().map(|(name, text)| (name, value(text)));
    for (name, argument) in strings.chain(values) {
        let argument = argument.map_err(|what| format!("argument `{name}`: {what}"))?;
        if given.insert(name.clone(), argument).is_some() {
            return Err(format!("argument `{name}` is given twice"));
        }
    }
    arguments.extend(given);
    Ok(())
}

fn value(text: &str) -> Result<Argument, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    typed(value)
}

/// A JSON value as an argument of the type it shows.
pub(crate) fn typed(value: Value) -> Result<Argument, String> {
    Ok(match value {
        Value::Null => return Err("`null` has no type".into()),
        Value::Bool(value) => Argument::Boolean(value),
        Value::String(value) => Argument::String(value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Argument::Long(integer),
            (None, Some(float)) if number.is_f64() => Argument::Double(float),
            _ => return Err(format!("`{number}` is out of range")),
        },
        Value::Array(items) => Argument::List(items.into_iter().map(typed).collect::<Result<_, _>>()?),
        Value::Object(items) => {
            let items = items.into_iter().map(|(key, value)| Ok((key, typed(value)?)));
            Argument::Map(items.collect::<Result<_, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn a_file_holds_objects_with_one_type_each() {
        let text = r#"{"a": {"stringValue": "x"}, "b": {"integerValue": 1}, "c": {"longValue": 5000000000},
            "d": {"doubleValue": 2}, "e": {"booleanValue": true}, "f": {"listValue": [{"longValue": 1}]},
            "g": {"mapValue": {"k": {"stringValue": "v"}}}, "a": {"stringValue": "last"}}"#;
        let arguments = parse(text.as_bytes()).unwrap();
        assert_eq!(arguments.len(), 7);
        assert_eq!(arguments.get("a"), Some(&Argument::String("last".into())));
        assert_eq!(arguments.get("d"), Some(&Argument::Double(2.0)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "[]",
            "{",
            r#"{"a": "bare"}"#,
            r#"{"a": null}"#,
            r#"{"a": {}}"#,
            r#"{"a": {"stringValue": "x", "longValue": 1}}"#,
            r#"{"a": {"unknownValue": 1}}"#,
            r#"{"a": {"integerValue": 2147483648}}"#,
            r#"{"a": {"longValue": 1.5}}"#,
            r#"{"a": {"doubleValue": "NaN"}}"#,
            r#"{"a": {"doubleValue": 1e400}}"#,
            r#"{} {}"#,
            "\u{feff}{}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{{\"a\": {}1{}}}", r#"{"listValue": ["#.repeat(10_000), "]}".repeat(10_000));
        assert!(parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn json_keeps_its_type() {
        let mut arguments = Arguments::new();
        let values = [pair("n", "3"), pair("x", "1.0"), pair("l", r#"[true, "s"]"#), pair("m", r#"{"k": -1}"#)];
        add(&mut arguments, &[pair("s", "3")], &values).unwrap();
        assert_eq!(arguments.get("s"), Some(&Argument::String("3".into())));
        assert_eq!(arguments.get("n"), Some(&Argument::Long(3)));
        assert_eq!(arguments.get("x"), Some(&Argument::Double(1.0)));
        let list = Argument::List(vec![Argument::Boolean(true), Argument::String("s".into())]);
        assert_eq!(arguments.get("l"), Some(&list));
        let map = Argument::Map([("k".to_string(), Argument::Long(-1))].into());
        assert_eq!(arguments.get("m"), Some(&map));
    }

    #[test]
    fn the_command_line_replaces_the_file_and_says_each_name_once() {
        let mut arguments = Arguments::from([("a".to_string(), Argument::Long(1))]);
        add(&mut arguments, &[pair("a", "x")], &[]).unwrap();
        assert_eq!(arguments.get("a"), Some(&Argument::String("x".into())));
        assert!(add(&mut arguments, &[pair("a", "x")], &[pair("a", "1")]).is_err());
        for text in ["null", "[null]", "nope", "18446744073709551615", "1e999"] {
            assert!(add(&mut arguments, &[], &[pair("b", text)]).is_err(), "{text}");
        }
    }
}
