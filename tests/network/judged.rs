//! Each hop is judged: redirects, addresses, what is sent along.

use crate::server::{Server, answer, lead};
use rex_tests::{Daemon, Settings};

fn daemon(forbid: &str) -> Daemon {
    let policy = format!("permit(principal, action, resource);\n{forbid}");
    Daemon::start(&Settings { policy, ..Settings::default() })
}

#[test]
fn a_redirect_to_what_is_forbidden_is_not_followed() {
    let secret = Server::new(|_, stream| answer(stream, "secret"));
    let to = secret.url("/secret");
    let server = Server::new(move |_, stream| lead(stream, &to));
    for forbid in [
        format!("forbid(principal, action, resource is network::url) when {{ resource.port == {} }};", secret.port()),
        "forbid(principal, action, resource is network::url) when { resource.url like \"*secret*\" };".to_owned(),
        "forbid(principal, action, resource is network::url) when { resource.path == \"/secret\" };".to_owned(),
    ] {
        let ran = daemon(&forbid).run(&format!("curl(\"{}\").text", server.url("/")));
        assert_eq!(ran.error_type(), "ACCESS_DENIED_EXCEPTION", "{}", ran.stdout);
        assert!(ran.error().contains(&secret.url("/secret")), "{}", ran.stdout);
    }
    assert_eq!(secret.connections(), 0);
}

#[test]
fn a_redirect_to_another_address_is_judged_by_that() {
    let inner = Server::at("127.0.0.2", |_, stream| answer(stream, "inner"));
    let to = inner.url("/");
    let server = Server::new(move |_, stream| lead(stream, &to));
    let forbid =
        "forbid(principal, action, resource is network::url) when { resource.ip.isInRange(ip(\"127.0.0.2/32\")) };";
    let ran = daemon(forbid).run(&format!("curl(\"{}\").text", server.url("/")));
    assert_eq!(ran.error_type(), "ACCESS_DENIED_EXCEPTION", "{}", ran.stdout);
    assert_eq!(inner.connections(), 0);
    assert_eq!(daemon("").run(&format!("curl(\"{}\").text", server.url("/"))).output(), "inner");
}

#[test]
fn redirects_end() {
    let server = Server::new(|head, stream| {
        let path = head.split_whitespace().nth(1).unwrap_or("/").to_owned();
        lead(stream, &format!("{path}x"));
    });
    let ran = daemon("").run(&format!("curl(\"{}\")", server.url("/")));
    assert!(ran.error().contains("error following redirect for url"), "{}", ran.stdout);
    assert_eq!(server.connections(), 11);
}

#[test]
fn odd_places_to_lead_on_to_are_errors() {
    for to in
        ["file:///etc/passwd", "ftp://127.0.0.1/", "http://", "//", "http://127.0.0.1:99999/", "gopher://127.0.0.1:1/x"]
    {
        let server = Server::new(move |_, stream| lead(stream, to));
        let ran = daemon("").run(&format!("curl(\"{}\")", server.url("/")));
        assert_eq!(ran.error_type(), "SCRIPT_EXCEPTION", "{to}: {}", ran.stdout);
    }
}

#[test]
fn what_is_for_one_origin_is_not_sent_to_another() {
    // It leads on to itself: what it was not sent at first it is not sent then.
    let other = Server::at("127.0.0.2", |head, stream| match head.starts_with("GET /again") {
        true => answer(stream, head),
        false => lead(stream, "/again"),
    });
    let to = other.url("/");
    let server = Server::new(move |head, stream| match head.starts_with("GET /stay") {
        true => answer(stream, head),
        false if head.starts_with("GET /near") => lead(stream, "/stay"),
        false => lead(stream, &to),
    });
    let script = |path: &str| {
        format!(
            "Client().request(\"GET\", \"{}\").header(\"Authorization\", \"Bearer t\").header(\"Cookie\", \"c\").header(\"X-Mine\", \"m\")
                .send().text.to_lower()",
            server.url(path)
        )
    };
    let daemon = daemon("");
    let near = daemon.run(&script("/near"));
    assert!(near.output().contains("bearer t") && near.output().contains("x-mine"), "{}", near.stdout);
    let far = daemon.run(&script("/far"));
    assert!(!far.output().contains("bearer t") && !far.output().contains("cookie"), "{}", far.stdout);
    assert!(far.output().contains("x-mine"), "{}", far.stdout);
}

#[test]
fn methods_are_judged_where_they_lead() {
    let server = Server::new(|head, stream| match head.split_whitespace().nth(1) {
        Some("/begin") => lead(stream, "/end"),
        _ => answer(stream, head.split_whitespace().next().unwrap_or_default()),
    });
    let post = format!("Client().request(\"POST\", \"{}\").body(\"x\").send().text", server.url("/begin"));
    assert_eq!(daemon("").run(&post).output(), "GET");
    let denied = daemon("forbid(principal, action == network::Action::\"GET\", resource);").run(&post);
    assert_eq!(denied.error_type(), "ACCESS_DENIED_EXCEPTION", "{}", denied.stdout);
}

#[test]
fn a_range_means_an_address_however_it_is_written() {
    let server = Server::new(|_, stream| answer(stream, "inner"));
    let port = server.port();
    let forbid =
        "forbid(principal, action, resource is network::url) when { resource.ip.isInRange(ip(\"127.0.0.0/8\")) };";
    let daemon = daemon(forbid);
    for call in [
        format!("curl(\"http://[::ffff:127.0.0.1]:{port}/\")"),
        format!("curl(\"http://[::ffff:7f00:1]:{port}/\")"),
        format!("curl(\"http://0x7f000001:{port}/\")"),
        format!("connect(\"::ffff:127.0.0.1\", {port}, TransportProtocol::TCP)"),
    ] {
        let ran = daemon.run(&call);
        assert_eq!(ran.error_type(), "ACCESS_DENIED_EXCEPTION", "{call}: {}", ran.stdout);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_budget_counts_hosts_once_each() {
    let servers =
        ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|host| Server::at(host, |_, stream| answer(stream, "served")));
    let [one, two, three] = servers.each_ref().map(|server| server.url("/"));
    let forbid = "forbid(principal, action, resource is network::url) when { context.session.hosts > 2 };";
    let daemon = daemon(forbid);
    let all = daemon.run(&format!("curl(\"{one}\"); curl(\"{one}\"); curl(\"{two}\"); curl(\"{one}\").text"));
    assert_eq!(all.output(), "served", "{}", all.stdout);
    let more = daemon.run(&format!("curl(\"{one}\"); curl(\"{two}\"); curl(\"{three}\")"));
    assert_eq!(more.error_type(), "ACCESS_DENIED_EXCEPTION", "{}", more.stdout);
    assert_eq!(servers[2].connections(), 0);
}
