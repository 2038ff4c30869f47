//! Questions to a name server, and what it answers (RFC 1035).

use crate::stream;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use rex_protocol::net::NameAnswer;
use rex_protocol::text::Text;
use rex_worker::sys::Descriptor;
use std::io;
use std::net::IpAddr;

/// The largest datagram that is taken: what fits into one without being told otherwise, and some more.
const DATAGRAM: usize = 4096;
/// How many messages that answer no question of ours are passed over.
const STRAYS: usize = 16;
/// How many addresses are taken.
const ADDRESSES: usize = 64;
/// How many names an alias may lead through.
const ALIASES: usize = 16;

/// The addresses of both kinds of a complete name.
pub(crate) fn ask(name: &str, server: &Descriptor, stream: bool) -> NameAnswer {
    let Ok(name) = complete(name) else { return NameAnswer::Failed(Text::cut("it is no name")) };
    let mut addresses = Vec::new();
    let mut missing = 0;
    for kind in [RecordType::A, RecordType::AAAA] {
        match ask_for(&name, kind, server, stream) {
            Ok(Said::Addresses(found)) => addresses.extend(found),
            Ok(Said::None) => missing += 1,
            Ok(Said::Truncated) => return NameAnswer::Truncated,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return NameAnswer::Silence,
            Err(error) => return NameAnswer::Failed(Text::cut(format!("io error: {error}"))),
        }
    }
    addresses.truncate(ADDRESSES);
    if missing == 2 || addresses.is_empty() { NameAnswer::None } else { NameAnswer::Addresses(addresses) }
}

enum Said {
    Addresses(Vec<IpAddr>),
    None,
    Truncated,
}

fn ask_for(name: &Name, kind: RecordType, server: &Descriptor, stream: bool) -> io::Result<Said> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), kind));
    let bytes = question.to_vec().map_err(nonsense)?;
    if stream {
        let length = u16::try_from(bytes.len()).map_err(nonsense)?;
        stream::send_all(server, &[&length.to_be_bytes()[..], &bytes].concat())?;
    } else {
        stream::send_all(server, &bytes)?;
    }
    for _ in 0..STRAYS {
        let bytes = if stream { receive_framed(server)? } else { receive_datagram(server)? };
        // Who cannot see the question cannot answer it: number and question must be ours.
        let Ok(answer) = Message::from_vec(&bytes) else { continue };
        let ours = answer.metadata.id == question.metadata.id
            && answer.metadata.message_type == MessageType::Response
            && answer.metadata.op_code == OpCode::Query
            && answer.queries == question.queries;
        if ours {
            return Ok(read(&answer, name, kind));
        }
    }
    Err(nonsense("nothing but answers to other questions"))
}

fn read(answer: &Message, name: &Name, kind: RecordType) -> Said {
    if answer.metadata.truncation {
        return Said::Truncated;
    }
    if answer.metadata.response_code != ResponseCode::NoError {
        return Said::None;
    }
    let mut owner = name.clone();
    for _ in 0..ALIASES {
        let alias = answer.answers.iter().filter(|record| record.name == owner).find_map(|record| match &record.data {
            RData::CNAME(alias) => Some(alias.0.clone()),
            _ => None,
        });
        match alias {
            Some(alias) => owner = alias,
            None => break,
        }
    }
    let address = |data: &RData| match (data, kind) {
        (RData::A(address), RecordType::A) => Some(IpAddr::V4(address.0)),
        (RData::AAAA(address), RecordType::AAAA) => Some(IpAddr::V6(address.0)),
        _ => None,
    };
    let of_owner = answer.answers.iter().filter(|record| record.name == owner);
    let addresses: Vec<IpAddr> = of_owner.filter_map(|record| address(&record.data)).collect();
    if addresses.is_empty() { Said::None } else { Said::Addresses(addresses) }
}

fn complete(name: &str) -> io::Result<Name> {
    let mut name = Name::from_ascii(name).map_err(nonsense)?;
    name.set_fqdn(true);
    Ok(name)
}

fn receive_datagram(server: &Descriptor) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; DATAGRAM];
    let length = stream::receive(server, &mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn receive_framed(server: &Descriptor) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    receive_exactly(server, &mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    receive_exactly(server, &mut bytes)?;
    Ok(bytes)
}

fn receive_exactly(server: &Descriptor, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        let length = stream::receive(server, buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.get_mut(length..).unwrap_or_default();
    }
    Ok(())
}

fn nonsense(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, CNAME};
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        complete(text).unwrap()
    }

    fn record(owner: &str, data: RData) -> Record {
        Record::from_rdata(name(owner), 60, data)
    }

    #[test]
    fn aliases_are_followed_and_other_records_are_not_taken() {
        let mut answer = Message::query();
        answer.answers = vec![
            record("a.example", RData::CNAME(CNAME(name("b.example")))),
            record("evil.example", RData::A(A([6, 6, 6, 6].into()))),
            record("b.example", RData::A(A([10, 0, 0, 1].into()))),
        ];
        let Said::Addresses(found) = read(&answer, &name("a.example"), RecordType::A) else { panic!("no address") };
        assert_eq!(found, [IpAddr::from([10, 0, 0, 1])]);
        assert!(matches!(read(&answer, &name("c.example"), RecordType::A), Said::None));
        assert!(matches!(read(&answer, &name("a.example"), RecordType::AAAA), Said::None));
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let mut answer = Message::query();
        answer.answers = vec![
            record("a.example", RData::CNAME(CNAME(name("b.example")))),
            record("b.example", RData::CNAME(CNAME(name("a.example")))),
        ];
        assert!(matches!(read(&answer, &name("a.example"), RecordType::A), Said::None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(answer) = Message::from_vec(&bytes) {
                let _ = read(&answer, &name("a.example"), RecordType::A);
            }
        }
    }
}
