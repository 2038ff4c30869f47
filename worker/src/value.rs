//! How values read as text: as a script's result, in errors, in strings.

use rhai::plugin::TypeId;
use rhai::{Array, Dynamic, Map};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{Display, Write};
use std::rc::Rc;

/// How deep a value may nest to be shown in full.
const DEPTH: usize = 64;

/// The text forms of the types that this program adds to the language.
#[derive(Default)]
pub struct Texts(RefCell<HashMap<TypeId, Rc<Form>>>);

type Form = dyn Fn(&Dynamic) -> Option<String>;

impl Texts {
    /// Values of type `T` read as they display.
    pub fn add<T: Display + Clone + 'static>(&self) {
        let form = |value: &Dynamic| value.read_lock::<T>().map(|value| value.to_string());
        self.0.borrow_mut().insert(TypeId::of::<T>(), Rc::new(form));
    }

    /// Values of type `T` read as `name`.
    pub fn add_named<T: 'static>(&self, name: &str) {
        let name = name.to_owned();
        self.0.borrow_mut().insert(TypeId::of::<T>(), Rc::new(move |_| Some(name.clone())));
    }

    /// A value as a script's result: texts as they are, what is inside arrays and maps as [`Self::debug`].
    pub fn display(&self, value: &Dynamic) -> String {
        if value.is_array() || value.is_map() {
            return self.debug(value);
        }
        self.own(value).unwrap_or_else(|| value.to_string())
    }

    /// A value as it reads inside others: texts quoted, keys of maps sorted and quoted.
    pub fn debug(&self, value: &Dynamic) -> String {
        let mut text = String::new();
        self.write(&mut text, value, DEPTH);
        text
    }

    fn write(&self, text: &mut String, value: &Dynamic, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            text.push_str("...");
            return;
        };
        if let Some(items) = value.read_lock::<Array>() {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                self.write(text, item, depth);
            }
            text.push(']');
        } else if let Some(items) = value.read_lock::<Map>() {
            text.push_str("#{");
            for (index, (key, item)) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                // Writing to a string cannot fail.
                let _ = write!(text, "{key:?}: ");
                self.write(text, item, depth);
            }
            text.push('}');
        } else if let Some(own) = self.own(value) {
            text.push_str(&own);
        } else {
            let _ = write!(text, "{value:?}");
        }
    }

    /// The text of a value whose type was added.
    pub fn own(&self, value: &Dynamic) -> Option<String> {
        let show = self.0.borrow().get(&value.type_id()).cloned();
        show.and_then(|show| show(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_show_what_they_hold_as_debug() {
        let mut map = Map::new();
        map.insert("b c".into(), 1.5.into());
        map.insert("a".into(), Dynamic::from_array(vec!["x\n".into(), 'c'.into(), Dynamic::UNIT]));
        let texts = Texts::default();
        assert_eq!(texts.display(&Dynamic::from_map(map)), r#"#{"a": ["x\n", 'c', ()], "b c": 1.5}"#);
        assert_eq!(texts.display(&"x\n".into()), "x\n");
        assert_eq!(texts.display(&1e15.into()), "1e15");
        assert_eq!(texts.debug(&1e15.into()), "1000000000000000.0");
    }
}
