//! How to find the addresses of a host: what this system knows itself, and whom it asks for the rest.

use rex_protocol::net::NamePlan;
use rex_protocol::text::Text;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most names and servers that are tried.
const NAMES: usize = 8;
const SERVERS: usize = 3;

/// What is to be done to find a host's addresses.
pub(crate) fn plan(host: &str, hosts: &str, configuration: &str) -> NamePlan {
    if let Ok(address) = host.parse::<IpAddr>() {
        return NamePlan::Known(vec![address]);
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return NamePlan::Invalid(Text::cut("no records found for an empty name"));
    }
    if name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost") {
        return NamePlan::Known(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let listed = listed(name, hosts);
    if !listed.is_empty() {
        return NamePlan::Known(listed);
    }
    let encoded = match encode(name) {
        Ok(encoded) => encoded,
        Err(why) => return NamePlan::Invalid(Text::cut(why)),
    };
    // No server may know it (RFC 6761).
    if encoded == "invalid" || encoded.ends_with(".invalid") {
        return NamePlan::Invalid(Text::cut(format!("no records found for `{name}`")));
    }
    let (search, servers) = configured(configuration);
    let names = names(&encoded, host.ends_with('.'), &search);
    NamePlan::Ask { names: names.into_iter().take(NAMES).map(Text::cut).collect(), servers }
}

/// The addresses that `hosts(5)` gives a name.
fn listed(name: &str, hosts: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let of_line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    lines.filter_map(of_line).collect()
}

/// A name as it is asked for: letters of others than ASCII in punycode.
fn encode(name: &str) -> Result<String, String> {
    let encoded = if name.is_ascii() {
        name.to_ascii_lowercase()
    } else {
        match url::Host::parse(name) {
            Ok(url::Host::Domain(name)) => name,
            _ => return Err(format!("`{name}` is no name of a host")),
        }
    };
    if encoded.len() > 253 {
        return Err(format!("name bytes exceed 253: {}", encoded.len()));
    }
    for label in encoded.split('.') {
        if label.is_empty() {
            return Err("a label is empty".into());
        }
        if label.len() > 63 {
            return Err(format!("label bytes exceed 63: {}", label.len()));
        }
        let odd =
            label.chars().find(|character| !(character.is_ascii_alphanumeric() || matches!(character, '-' | '_')));
        if let Some(odd) = odd {
            return Err(format!("unrecognized char: {}", odd.escape_default()));
        }
    }
    Ok(encoded)
}

/// The search list and the servers of `resolv.conf(5)`; where it names none, this host is asked.
fn configured(text: &str) -> (Vec<String>, Vec<IpAddr>) {
    let Ok(configuration) = resolv_conf::Config::parse(text) else {
        return (Vec::new(), vec![Ipv4Addr::LOCALHOST.into()]);
    };
    let search = configuration.get_last_search_or_domain().map(ToOwned::to_owned).collect();
    let mut servers: Vec<IpAddr> = configuration.nameservers.iter().map(IpAddr::from).take(SERVERS).collect();
    if servers.is_empty() {
        servers.push(Ipv4Addr::LOCALHOST.into());
    }
    (search, servers)
}

/// The complete names to try. One with a dot is complete itself before anything is put behind it.
fn names(name: &str, complete: bool, search: &[String]) -> Vec<String> {
    let longer =
        search.iter().filter_map(|domain| encode(domain.trim_matches('.')).ok()).map(|d| format!("{name}.{d}"));
    match (complete, name.contains('.')) {
        (true, _) => vec![name.to_owned()],
        (false, true) => std::iter::once(name.to_owned()).chain(longer).collect(),
        (false, false) => longer.chain([name.to_owned()]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &str = "127.0.0.1 localhost\n10.0.0.1\tbox box.example # comment other\nfe80::1 box\nodd line\n";
    const RESOLV: &str = "search a.example b.example\nnameserver 10.0.0.53\nnameserver fd00::53\noptions ndots:5\n";

    fn asked(host: &str) -> Vec<String> {
        match plan(host, HOSTS, RESOLV) {
            NamePlan::Ask { names, servers } => {
                assert_eq!(servers.len(), 2);
                names.iter().map(ToString::to_string).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn known(host: &str) -> Vec<String> {
        match plan(host, HOSTS, RESOLV) {
            NamePlan::Known(addresses) => addresses.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_system_knows_is_not_asked() {
        assert_eq!(known("10.1.2.3"), ["10.1.2.3"]);
        assert_eq!(known("::1"), ["::1"]);
        assert_eq!(known("LOCALHOST"), ["127.0.0.1", "::1"]);
        assert_eq!(known("Box"), ["10.0.0.1", "fe80::1"]);
        assert_eq!(known("box.example."), ["10.0.0.1"]);
    }

    #[test]
    fn names_are_completed() {
        assert_eq!(asked("x"), ["x.a.example", "x.b.example", "x"]);
        assert_eq!(asked("other"), ["other.a.example", "other.b.example", "other"]);
        assert_eq!(asked("x.y"), ["x.y", "x.y.a.example", "x.y.b.example"]);
        assert_eq!(asked("x.y."), ["x.y"]);
        assert_eq!(
            asked("bücher.example"),
            ["xn--bcher-kva.example", "xn--bcher-kva.example.a.example", "xn--bcher-kva.example.b.example"]
        );
    }

    #[test]
    fn what_can_be_no_name_is_not_asked() {
        for (host, why) in [
            ("", "empty"),
            ("a..b", "empty"),
            (&"x".repeat(64), "label bytes exceed 63: 64"),
            ("a b", "unrecognized char:  "),
            ("a/b", "unrecognized char: /"),
            ("no-such-host.invalid", "no records found"),
        ] {
            match plan(host, HOSTS, RESOLV) {
                NamePlan::Invalid(said) => assert!(said.contains(why), "{host}: {said}"),
                other => panic!("{host}: {other:?}"),
            }
        }
    }
}
