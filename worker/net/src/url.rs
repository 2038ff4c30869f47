//! URLs, as the WHATWG's standard understands them.

use rex_protocol::net::{FromNet, ParsedUrl};
use rex_protocol::text::Text;
use url::{Host, Url};

/// The parts of a URL, where it is relative by the one it stands in.
pub(crate) fn parse(base: Option<&str>, text: &str) -> FromNet {
    let url = match base.map(Url::parse) {
        None => Url::parse(text),
        Some(Ok(base)) => base.join(text),
        Some(Err(error)) => Err(error),
    };
    match url.map_err(|error| error.to_string()).and_then(|url| parts(&url, text)) {
        Ok(parts) => FromNet::Parsed(Box::new(parts)),
        Err(why) => FromNet::NotAUrl(Text::cut(why)),
    }
}

fn parts(url: &Url, given: &str) -> Result<ParsedUrl, String> {
    fn whole<const MOST: usize>(part: impl Into<String>) -> Result<Text<MOST>, String> {
        Text::try_from(part.into()).map_err(|_| "it is too long".to_owned())
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    };
    let mut plain = url.clone();
    // Neither fails where there is a host, and without one there is no user.
    let _ = (plain.set_username(""), plain.set_password(None));
    Ok(ParsedUrl {
        url: whole(url.as_str())?,
        only_encoded: decoded(plain.as_str()) == decoded(given),
        plain: whole(plain)?,
        scheme: whole(url.scheme())?,
        host: whole(host)?,
        port: url.port_or_known_default().unwrap_or(0),
        path: whole(url.path())?,
        query: whole(url.query().unwrap_or_default())?,
    })
}

/// The bytes of a text whose percent signs stand for others (RFC 3986, 2.1).
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(base: Option<&str>, text: &str) -> String {
        match parse(base, text) {
            FromNet::Parsed(url) => {
                let ParsedUrl { url, plain, only_encoded, scheme, host, port, path, query } = *url;
                let mark = if only_encoded {
                    "="
                } else if plain == url {
                    ""
                } else {
                    "@"
                };
                format!("{mark}{url} {scheme} {host} {port} {path} {query}")
            }
            FromNet::NotAUrl(why) => format!("no: {why}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn urls_are_what_browsers_take_them_for() {
        assert_eq!(parsed(None, "http://A.example:80/x/../y?q#f"), "http://a.example/y?q#f http a.example 80 /y q");
        assert_eq!(parsed(None, "https://u:p@[::1]/"), "@https://u:p@[::1]/ https ::1 443 / ");
        assert_eq!(parsed(None, "http://127.1\\x y"), "http://127.0.0.1/x%20y http 127.0.0.1 80 /x%20y ");
        assert_eq!(parsed(Some("http://a/b/c"), "//d/e"), "http://d/e http d 80 /e ");
        assert_eq!(parsed(Some("http://a/b/c"), "d?e"), "http://a/b/d?e http a 80 /b/d e");
        assert_eq!(parsed(None, "http://a/x y?\"z"), "=http://a/x%20y?%22z http a 80 /x%20y %22z");
        assert_eq!(parsed(None, "http://a/%2e%2e/x"), "http://a/x http a 80 /x ");
        for none in ["", "x", "/p", "http://", "127.0.0.1:80/x", "http://a b/", "http://[::1", "http://a:99999/"] {
            assert!(parsed(None, none).starts_with("no: "), "{none}: {}", parsed(None, none));
        }
    }
}
