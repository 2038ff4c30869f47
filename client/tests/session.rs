//! A session for operations, against a broker that does as a test says.

use rex_client::fs::{OpenDir, OpenedDir, WriteAttribute};
use rex_client::{
    AbsPath, Broker, CallError, EndClass, Ending, Error, Failure, FailureKind, Handle, LimitName, Limits, Outcome,
    Policy, Refusal, RefusalReason, Session, Terms, Text, Usage,
};
use rex_protocol::client::{FromClient, Operate, ToClient};
use rex_protocol::wire::{self, Frames, PREAMBLE};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

/// The broker's side of a connection.
struct Peer {
    stream: UnixStream,
    frames: Frames,
}

impl Peer {
    fn hear(&mut self) -> Option<FromClient> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.frames.next_frame().unwrap() {
                return Some(wire::decode(&frame).unwrap());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.frames.push(&buffer[..count]),
            }
        }
    }

    fn opening(&mut self) -> Operate {
        let mut preamble = [0; PREAMBLE.len()];
        self.stream.read_exact(&mut preamble).unwrap();
        assert_eq!(preamble, PREAMBLE);
        match self.hear() {
            Some(FromClient::Operate(operate)) => *operate,
            other => panic!("{other:?}"),
        }
    }

    /// The handles that the next request closes; answered with a directory of this number.
    fn serve(&mut self, number: u64) -> Vec<u64> {
        match self.hear() {
            Some(FromClient::Request { closed, name, .. }) => {
                assert_eq!(&*name, "fs.open_dir");
                let reply = OpenedDir { dir: Handle::from_id(number), path: AbsPath::root() };
                self.reply(Ok(wire::encode(&reply).unwrap()));
                closed
            }
            other => panic!("{other:?}"),
        }
    }

    fn reply(&mut self, reply: Result<Vec<u8>, Failure>) {
        self.say(&ToClient::Reply(reply.map(serde_bytes::ByteBuf::from)));
    }

    fn accept(&mut self) {
        self.opening();
        self.say(&ToClient::Accepted { limits: Limits::DEFAULT, run: Text::default() });
    }

    fn say(&mut self, message: &ToClient) {
        self.stream.write_all(&wire::frame(message).unwrap()).unwrap();
    }
}

fn with<T: Send + 'static>(serve: impl FnOnce(&mut Peer) -> T + Send + 'static) -> (Broker, JoinHandle<T>) {
    let (ours, stream) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || serve(&mut Peer { stream, frames: Frames::new(wire::FRAME) }));
    (Broker::from(ours), thread)
}

fn open_root(session: &Session) -> Result<OpenedDir, CallError> {
    session.call(&OpenDir { path: AbsPath::root(), follow: false, create: None })
}

fn outcome(class: EndClass) -> ToClient {
    let ending = Ending::Failed { class, message: Text::cut("so it goes") };
    ToClient::Outcome(Box::new(Outcome { ending, usage: Usage::default() }))
}

#[test]
fn terms_reach_the_broker_and_its_warnings_the_caller() {
    let (broker, peer) = with(|peer| {
        let opening = peer.opening();
        peer.say(&ToClient::Warning(Text::cut("one")));
        peer.say(&ToClient::Warning(Text::cut("two")));
        peer.say(&ToClient::Accepted { limits: Limits { handles: 7, ..Limits::DEFAULT }, run: Text::default() });
        opening
    });
    let terms = Terms::new().policy(Policy::new("p.cedar", "text")).strict().time_limit(Duration::from_millis(1500));
    let session = broker.operate(terms).unwrap();
    assert_eq!((session.warnings(), session.limits().handles), (&["one".into(), "two".into()][..], 7));
    let opening = peer.join().unwrap();
    let policy = opening.policy.unwrap();
    assert_eq!(
        (&*policy.name, &*policy.text, opening.strict, opening.time_ms),
        ("p.cedar", &b"text"[..], true, Some(1500))
    );
}

#[test]
fn what_is_dropped_rides_on_the_next_request_that_is_sent() {
    let (broker, peer) = with(|peer| {
        peer.accept();
        [1, 2, 3, 4].map(|number| peer.serve(number))
    });
    let session = broker.session().unwrap();
    let first = session.hold(open_root(&session).unwrap().dir);
    let second = session.hold(open_root(&session).unwrap().dir);
    drop(first);
    let value = serde_bytes::ByteBuf::from(vec![0; 1 << 20]);
    let request = WriteAttribute { file: Handle::from_id(9), name: Text::cut("x"), value };
    assert!(matches!(session.call(&request), Err(CallError::Unsendable(_))));
    open_root(&session).unwrap();
    drop(second);
    open_root(&session).unwrap();
    assert_eq!(peer.join().unwrap(), [vec![], vec![], vec![1], vec![2]]);
}

#[test]
fn a_failure_leaves_the_session_and_an_outcome_ends_it() {
    let (broker, peer) = with(|peer| {
        peer.accept();
        peer.hear();
        peer.reply(Err(Failure::new(FailureKind::Gone, "it is gone")));
        peer.serve(1);
        peer.hear();
        peer.say(&outcome(EndClass::Limit(LimitName::Operations)));
        peer.hear().is_none()
    });
    let session = broker.session().unwrap();
    let error = open_root(&session).unwrap_err();
    assert_eq!(error.failure().map(|failure| &failure.kind), Some(&FailureKind::Gone));
    assert_eq!(error.to_string(), "it is gone");
    open_root(&session).unwrap();
    for _ in 0..2 {
        let error = open_root(&session).unwrap_err();
        assert!(matches!(error, CallError::Ended(_)), "{error}");
        assert_eq!(error.to_string(), "the session has ended: so it goes");
    }
    drop(session);
    assert!(peer.join().unwrap(), "nothing is sent after the end");
}

#[test]
fn a_session_that_does_not_begin_says_why() {
    let refusal = Refusal { reason: RefusalReason::Busy, message: Text::cut("too many") };
    let said = [
        (ToClient::Refused(refusal), "the run was refused: too many"),
        (outcome(EndClass::Policy), "the session did not begin: so it goes"),
        (ToClient::Reply(Ok(serde_bytes::ByteBuf::new())), "cannot understand the broker: something came before"),
    ];
    for (message, expected) in said {
        let (broker, peer) = with(move |peer| {
            peer.opening();
            peer.say(&message);
        });
        let error = broker.session().unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        peer.join().unwrap();
    }
    let (broker, peer) = with(|peer| drop(peer.opening()));
    assert!(matches!(broker.session().unwrap_err(), Error::Ended(_)));
    peer.join().unwrap();
}

#[test]
fn a_broker_that_makes_no_sense_is_lost_and_not_asked_again() {
    let accepted = ToClient::Accepted { limits: Limits::DEFAULT, run: Text::default() };
    for message in [ToClient::Reply(Ok(vec![0xff; 9].into())), ToClient::Output(vec![1]), accepted] {
        let (broker, peer) = with(move |peer| {
            peer.accept();
            peer.hear();
            peer.say(&message);
            peer.hear().is_none()
        });
        let session = broker.session().unwrap();
        let error = open_root(&session).unwrap_err();
        assert!(matches!(error, CallError::Lost(Error::Protocol(_))), "{error}");
        assert!(matches!(open_root(&session), Err(CallError::Lost(_))));
        drop(session);
        assert!(peer.join().unwrap(), "nothing is sent to it any more");
    }
}
