//! Messages as they go over the wire.

use super::Fault;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use std::io::Read;
use zvariant::serialized::{Context, Data};
use zvariant::{DynamicType, Endian, ObjectPath, OwnedValue, Signature, Type, Value};

/// The most that a message takes, in bytes.
const MOST: usize = 1024 * 1024;
/// What stands before the fields: endianness, kind, flags, version, lengths of body and fields, serial number.
const PREFIX: usize = 16;
const VERSION: u8 = 1;

/// The numbers of fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR: u8 = 4;
const REPLY_TO: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

const CALL: u8 = 1;

/// Whom to call, and what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
}

impl Call<'_> {
    /// The bytes of the call with these arguments.
    pub(super) fn encode<B: Serialize + DynamicType>(&self, serial: u32, arguments: &B) -> Result<Vec<u8>, Fault> {
        let context = |position| Context::new_dbus(Endian::Little, position);
        let body = zvariant::to_bytes(context(0), arguments).map_err(Fault::nonsense)?;
        let path = ObjectPath::try_from(self.path).map_err(Fault::nonsense)?;
        let mut fields = vec![
            (PATH, Field::Value(Value::from(path))),
            (INTERFACE, Field::Value(Value::from(self.interface))),
            (MEMBER, Field::Value(Value::from(self.member))),
            (DESTINATION, Field::Value(Value::from(self.destination))),
        ];
        if !body.is_empty() {
            fields.push((SIGNATURE, Field::Signature(arguments.signature().to_string_no_parens())));
        }
        let length = u32::try_from(body.len()).map_err(Fault::nonsense)?;
        let header = (b'l', CALL, 0u8, VERSION, length, serial, fields);
        let mut bytes = zvariant::to_bytes(context(0), &header).map_err(Fault::nonsense)?.to_vec();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }
}

/// The value of a field: a variant.
enum Field<'a> {
    Value(Value<'a>),
    /// The signature of a body. Several arguments are no structure, and `Value` knows signatures only of single values.
    Signature(String),
}

impl Type for Field<'_> {
    const SIGNATURE: &'static Signature = &Signature::Variant;
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Field::Value(value) => value.serialize(serializer),
            // As `zvariant` itself has its variants serialized: what type it is, and the value.
            Field::Signature(text) => {
                let mut variant = serializer.serialize_struct("Variant", 2)?;
                variant.serialize_field("signature", "g")?;
                variant.serialize_field("value", text)?;
                variant.end()
            }
        }
    }
}

/// A message that has come.
#[derive(Debug)]
pub(crate) struct Message {
    pub(super) kind: Kind,
    sender: String,
    member: String,
    endian: Endian,
    signature: String,
    body: Vec<u8>,
}

/// The kinds of messages that matter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reply { to: u32 },
    Error { to: u32, name: String },
    Signal,
    Other,
}

impl Message {
    /// The next message of a stream.
    pub(super) fn read(stream: &mut impl Read) -> Result<Self, Fault> {
        let mut prefix = [0; PREFIX];
        stream.read_exact(&mut prefix).map_err(|error| Fault::lost(&error))?;
        let endian = match prefix[0] {
            b'l' => Endian::Little,
            b'B' => Endian::Big,
            _ => return Err(Fault::nonsense("a message in no known order of bytes")),
        };
        let number = |at: usize| -> Result<usize, Fault> {
            let bytes = prefix.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            let bytes = bytes.ok_or_else(|| Fault::nonsense("a message without lengths"))?;
            let number = if endian == Endian::Little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
            usize::try_from(number).map_err(Fault::nonsense)
        };
        let (body, fields) = (number(4)?, number(12)?);
        if body.max(fields) > MOST {
            return Err(Fault::nonsense(format!("a message of more than {MOST} bytes")));
        }
        let header = PREFIX + fields.next_multiple_of(8);
        let mut bytes = prefix.to_vec();
        bytes.resize(header + body, 0);
        let rest = bytes.get_mut(PREFIX..).unwrap_or_default();
        stream.read_exact(rest).map_err(|error| Fault::lost(&error))?;
        let body = bytes.split_off(header);
        Self::parse(endian, &bytes, body)
    }

    fn parse(endian: Endian, header: &[u8], body: Vec<u8>) -> Result<Self, Fault> {
        type Header = (u8, u8, u8, u8, u32, u32, Vec<(u8, OwnedValue)>);
        let data = Data::new(header, Context::new_dbus(endian, 0));
        let ((_, kind, _, version, _, _, fields), _) = data.deserialize::<Header>().map_err(Fault::nonsense)?;
        if version != VERSION {
            return Err(Fault::nonsense("a message of another version of the protocol"));
        }
        let field = |wanted: u8| fields.iter().find(|(number, _)| *number == wanted).map(|(_, value)| &**value);
        let text = |wanted: u8| match field(wanted) {
            Some(Value::Str(text)) => text.to_string(),
            _ => String::new(),
        };
        let to = match field(REPLY_TO) {
            Some(Value::U32(serial)) => *serial,
            _ => 0,
        };
        let signature = match field(SIGNATURE) {
            Some(Value::Signature(signature)) => signature.to_string_no_parens(),
            _ => String::new(),
        };
        let kind = match kind {
            2 => Kind::Reply { to },
            3 => Kind::Error { to, name: text(ERROR) },
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        Ok(Self { kind, sender: text(SENDER), member: text(MEMBER), endian, signature, body })
    }

    /// Whether it is this signal.
    pub(crate) fn is_signal(&self, member: &str) -> bool {
        self.kind == Kind::Signal && self.member == member
    }

    /// Who sent it, by the name that the bus gave.
    pub(crate) fn sender(&self) -> &str {
        &self.sender
    }

    /// What it carries, if that is of the type asked for.
    pub(crate) fn body<T: serde::de::DeserializeOwned + Type>(&self) -> Result<T, Fault> {
        if T::SIGNATURE.to_string_no_parens() != self.signature {
            return Err(Fault::nonsense(format!("`{}` where `{}` is expected", self.signature, T::SIGNATURE)));
        }
        let data = Data::new(&*self.body, Context::new_dbus(self.endian, 0));
        data.deserialize::<T>().map(|(value, _)| value).map_err(Fault::nonsense)
    }

    /// The text of an error.
    pub(super) fn error_text(&self) -> String {
        self.body::<String>().or_else(|_| self.body::<(String,)>().map(|(text,)| text)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const CALLED: Call<'_> = Call { destination: "a.b", path: "/a/b", interface: "a.b.C", member: "Do" };

    #[test]
    fn calls_are_read_as_they_are_written() {
        let bytes = CALLED.encode(7, &("x.service", "replace")).unwrap();
        // As it stands on the wire: of two texts, not of a structure with two.
        assert!(bytes.windows(6).any(|window| window == b"\x01g\0\x02ss"), "{bytes:?}");
        let message = Message::read(&mut &*bytes).unwrap();
        assert_eq!((message.kind, &*message.member, &*message.signature), (Kind::Other, "Do", "ss"));
        let message = Message::read(&mut &*CALLED.encode(7, &("x.service", "replace")).unwrap()).unwrap();
        assert_eq!(message.body::<(String, String)>().unwrap(), ("x.service".into(), "replace".into()));
        assert!(message.body::<String>().is_err());
        assert!(message.body::<HashMap<String, OwnedValue>>().is_err());
        let empty = Message::read(&mut &*CALLED.encode(8, &()).unwrap()).unwrap();
        assert_eq!((&*empty.signature, empty.body.len()), ("", 0));
    }

    #[test]
    fn what_is_cut_or_made_up_is_an_error() {
        let bytes = CALLED.encode(7, &"text").unwrap();
        for end in 0..bytes.len() {
            assert!(Message::read(&mut bytes.get(..end).unwrap()).is_err(), "{end}");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 127, 255] {
                let mut changed = bytes.clone();
                changed[at] = value;
                // An error or another message, and no more than that.
                let _ = Message::read(&mut &*changed);
            }
        }
        let huge = [b'l', 2, 0, 1, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0];
        assert!(Message::read(&mut &huge[..]).is_err());
    }
}
