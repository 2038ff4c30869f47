//! Servers that do as they like.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// A server on a port of its own. It ends with this value.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// One at 127.0.0.1 that does this with each connection once it has read the head of a request.
    pub(crate) fn new(serve: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1", serve)
    }

    /// The same at another address.
    pub(crate) fn at(host: &str, serve: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::raw(host, move |stream| {
            let head = head(stream);
            if !head.is_empty() {
                serve(&head, stream);
            }
        })
    }

    /// One that reads nothing by itself.
    pub(crate) fn raw(host: &str, serve: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((host, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (Arc::clone(&requests), Arc::new(serve));
        let thread = std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                if count.fetch_add(1, Ordering::SeqCst) >= STOP {
                    return;
                }
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(&mut stream));
            }
        });
        Self { address, requests, thread: Some(thread) }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A URL of it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A count that says: no more.
const STOP: usize = 1 << 32;

impl Drop for Server {
    fn drop(&mut self) {
        self.requests.store(STOP, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The head of a request; nothing where the connection ends before.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers with this body.
pub(crate) fn answer(stream: &mut impl Write, body: &str) {
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

/// Leads on to there.
pub(crate) fn lead(stream: &mut impl Write, to: &str) {
    let _ = write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
}
