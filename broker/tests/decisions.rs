//! The index over policies decides as the full set does: random policies and requests, both ways.
//!
//! `REX_PROPERTY_CASES` sets how many stores are tried; each is asked about 40 times.

use proptest::prelude::*;
use proptest::sample::select;
use rex_broker::authz::{
    Authorizer, Decision, Demand, Explained, Explanation, PolicySource, PolicyStore, Principal, Resource, Strictness,
};
use rex_protocol::Action;
use rex_protocol::path::AbsPath;
use std::rc::Rc;

const DIRS: &[&str] = &["/", "/a", "/a/b", "/a/b/c", "/ab", "/d", "/proc/sys/net"];
const FILES: &[&str] = &["/a/x", "/a/b/x.txt", "/a/b/c/x", "/ab/x", "/x", "/d/x\\y", "/proc/sys/net/x.y"];
const KEYS: &[&str] = &["net", "net.x/y", "net.x"];
const USERS: &[&str] = &["ana", "bob"];
const GROUPS: &[&str] = &["ops", "dev"];

fn dir() -> impl Strategy<Value = String> {
    select(DIRS).prop_map(|path| format!("file_system::Dir::\"{path}\""))
}

/// What holds others.
fn holder() -> impl Strategy<Value = String> {
    prop_oneof![3 => dir(), 1 => select(KEYS).prop_map(|key| format!("sysctl::Key::\"{key}\""))]
}

fn file() -> impl Strategy<Value = String> {
    select(FILES).prop_map(|path| format!("file_system::File::{path:?}"))
}

fn object() -> impl Strategy<Value = String> {
    prop_oneof![dir(), file()]
}

fn user() -> impl Strategy<Value = String> {
    prop_oneof![
        select(USERS).prop_map(|name| format!("User::\"{name}\"")),
        select(GROUPS).prop_map(|name| format!("Group::\"{name}\"")),
    ]
}

fn action() -> impl Strategy<Value = String> {
    select(&["open", "read", "write", "create", "SafeIO", "nosuch"][..])
        .prop_map(|name| format!("file_system::Action::\"{name}\""))
}

fn scope() -> impl Strategy<Value = String> {
    let principal = prop_oneof![
        4 => Just("principal".to_owned()),
        1 => user().prop_map(|uid| format!("principal == {uid}")),
        1 => user().prop_map(|uid| format!("principal in {uid}")),
        1 => Just("principal is User".to_owned()),
        1 => user().prop_map(|uid| format!("principal is User in {uid}")),
    ];
    let actions = prop_oneof![
        3 => Just("action".to_owned()),
        1 => action().prop_map(|uid| format!("action == {uid}")),
        1 => action().prop_map(|uid| format!("action in {uid}")),
        1 => prop::collection::vec(action(), 1..3).prop_map(|uids| format!("action in [{}]", uids.join(", "))),
    ];
    let resource = prop_oneof![
        3 => Just("resource".to_owned()),
        1 => object().prop_map(|uid| format!("resource == {uid}")),
        2 => holder().prop_map(|uid| format!("resource in {uid}")),
        1 => select(&["Dir", "File"][..]).prop_map(|kind| format!("resource is file_system::{kind}")),
        1 => holder().prop_map(|uid| format!("resource is file_system::File in {uid}")),
    ];
    (principal, actions, resource)
        .prop_map(|(principal, action, resource)| format!("{principal}, {action}, {resource}"))
}

/// Conditions that are looked up, that must be evaluated, and that fail.
fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        holder().prop_map(|uid| format!("resource in {uid}")),
        object().prop_map(|uid| format!("resource == {uid}")),
        object().prop_map(|uid| format!("{uid} == resource")),
        prop::collection::vec(object(), 1..3).prop_map(|uids| format!("[{}].contains(resource)", uids.join(", "))),
        prop::collection::vec(holder(), 1..3).prop_map(|uids| format!("resource in [{}]", uids.join(", "))),
        select(&["/a/*", "*x", "/a/b*", "/*/x*", "*", "/a/x", "/d/x\\\\*"][..])
            .prop_map(|p| format!("resource.path like \"{p}\"")),
        select(FILES).prop_map(|path| format!("resource.path == {path:?}")),
        select(&["Dir", "File"][..]).prop_map(|kind| format!("resource is file_system::{kind}")),
        user().prop_map(|uid| format!("principal in {uid}")),
        user().prop_map(|uid| format!("principal == {uid}")),
        action().prop_map(|uid| format!("action == {uid}")),
        action().prop_map(|uid| format!("action in {uid}")),
        select(&["true", "false", "principal.uid > 5", "resource has path", "context has nosuch"][..])
            .prop_map(str::to_owned),
        // These fail to evaluate.
        select(
            &[
                "resource.nosuch == 1",
                "context.nosuch",
                "1 + 9223372036854775807 > 0",
                "principal.path == \"x\"",
                "1",
                "resource.path"
            ][..]
        )
        .prop_map(str::to_owned),
        prop::collection::vec(Just("1".to_owned()), 1..2)
            .prop_map(|v| format!("[{}].contains(resource)", v.join(", "))),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            4 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            1 => inner.clone().prop_map(|a| format!("!({a})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("if {a} then {b} else {c}")),
        ]
    })
}

fn policy() -> impl Strategy<Value = String> {
    let clauses = prop::collection::vec((select(&["when", "when", "unless"][..]), condition()), 0..3);
    (select(&["permit", "permit", "forbid"][..]), scope(), clauses).prop_map(|(effect, scope, clauses)| {
        let clauses: String = clauses.iter().map(|(kind, body)| format!(" {kind} {{ {body} }}")).collect();
        format!("{effect}({scope}){clauses};\n")
    })
}

fn demand() -> impl Strategy<Value = Demand> {
    let path = |text: &str| AbsPath::parse(text).expect("a path of this test");
    let resource = prop_oneof![
        select(DIRS).prop_map(move |text| Resource::Dir(path(text))),
        select(FILES).prop_map(move |text| Resource::File(path(text))),
        select(DIRS).prop_map(move |text| Resource::File(path(text))),
    ];
    (select(Action::ALL), resource).prop_map(|(action, resource)| Demand::new(action, resource))
}

fn principal() -> impl Strategy<Value = Principal> {
    (select(USERS), prop::sample::subsequence(GROUPS, 0..=2)).prop_map(|(name, groups)| Principal {
        name: name.to_owned(),
        uid: 7,
        gid: 7,
        gids: vec![7],
        groups: groups.into_iter().map(str::to_owned).collect(),
    })
}

fn store(text: &str) -> Rc<PolicyStore> {
    let source = PolicySource { name: "test.cedar".into(), text: text.into() };
    Rc::new(PolicyStore::load(&[source], Strictness::Lenient).expect("policies that parse").0)
}

fn cases() -> u32 {
    std::env::var("REX_PROPERTY_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(2_500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_decides_as_the_full_set_does(
        policies in prop::collection::vec(policy(), 0..12),
        more in prop::collection::vec(policy(), 0..4),
        narrowed in any::<bool>(),
        principal in principal(),
        demands in prop::collection::vec(demand(), 40),
    ) {
        let mut stores = vec![store(&policies.concat())];
        if narrowed {
            stores.push(store(&more.concat()));
        }
        let mut authorizer = Authorizer::new(principal, stores);
        let could_do = authorizer.could_do();
        for demand in demands {
            let full = authorizer.decide_full(&demand);
            let is_allowed = matches!(full, Decision::Allowed { .. });
            prop_assert!(!is_allowed || could_do.contains(&demand.action), "could not: {:?}\n{}", demand, policies.concat());
            prop_assert_eq!(&authorizer.decide_indexed(&demand), &full, "{:?}\n{}", demand, policies.concat());
            prop_assert_eq!(&authorizer.decide(&demand), &full, "remembered: {:?}\n{}", demand, policies.concat());
        }
    }

}

proptest! {
    // Each part of each policy is evaluated by itself: a fifth as many.
    #![proptest_config(ProptestConfig { cases: cases() / 5, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is explained is what is decided, and the parts that policies are said to have in it make that decision.
    #[test]
    fn an_explanation_tells_what_is_decided(
        policies in prop::collection::vec(policy(), 0..8),
        more in prop::collection::vec(policy(), 0..3),
        narrowed in any::<bool>(),
        principal in principal(),
        demands in prop::collection::vec(demand(), 40),
    ) {
        let mut stores = vec![store(&policies.concat())];
        if narrowed {
            stores.push(store(&more.concat()));
        }
        let count = stores.len();
        let mut authorizer = Authorizer::new(principal, stores);
        for demand in demands {
            let explanation = authorizer.explain(&demand);
            let decision = authorizer.decide(&demand);
            prop_assert_eq!(&explanation.decision, &decision, "{:?}\n{}", demand, policies.concat());
            let derived = (0..count).all(|store| allows(&explanation, store));
            let allowed = matches!(decision, Decision::Allowed { .. });
            prop_assert_eq!(derived, allowed, "{:?}\n{}{}\n{:#?}", demand, policies.concat(), more.concat(), explanation);
        }
    }
}

#[test]
fn what_somebody_could_do_is_what_permits_for_them_speak_of() {
    let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: vec!["ops".into()] };
    let could_do = |texts: &[&str]| {
        let mut actions = Authorizer::new(principal.clone(), texts.iter().map(|text| store(text)).collect()).could_do();
        actions.sort_unstable();
        actions
    };
    let read = "permit(principal in Group::\"ops\", action == file_system::Action::\"read\", resource);";
    let stat =
        "permit(principal, action, resource is file_system::File) when { action == file_system::Action::\"stat\" };";
    let others = "permit(principal == User::\"bob\", action, resource);";
    let none = "permit(principal, action == file_system::Action::\"write\", resource is Robot);";
    assert_eq!(could_do(&[&[read, stat, others, none].concat()]), [Action::FileRead, Action::FileStat]);
    assert_eq!(could_do(&[ALL, read]), [Action::FileRead]);
    assert_eq!(could_do(&[ALL]).len(), Action::ALL.len());
    assert_eq!(could_do(&[]), []);
}

/// Whether a store allows, by the parts that its policies are said to have.
fn allows(explanation: &Explanation, store: usize) -> bool {
    let mut own = explanation.policies.iter().filter(|policy| policy.store == store);
    // A `forbid` that cannot be evaluated denies, once its scope holds.
    let fails =
        |policy: &Explained| policy.missed.first().is_some_and(|missed| !missed.in_scope && missed.error.is_some());
    let forbidden = own.clone().any(|policy| !policy.permits && (policy.applies() || fails(policy)));
    !forbidden && own.any(|policy| policy.permits && policy.applies())
}

fn decide(text: &str, action: Action, resource: Resource) -> Decision {
    let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: vec!["ops".into()] };
    Authorizer::new(principal, vec![store(text)]).decide(&Demand::new(action, resource))
}

fn file_at(path: &str) -> Resource {
    Resource::File(AbsPath::parse(path).expect("a path of this test"))
}

fn is_allowed(text: &str) -> bool {
    matches!(decide(text, Action::FileRead, file_at("/srv/a")), Decision::Allowed { .. })
}

const ALL: &str = "permit(principal, action, resource);";

#[test]
fn nothing_is_allowed_by_no_policy_and_no_store() {
    assert!(!is_allowed(""));
    let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: vec![] };
    let demand = Demand::new(Action::FileRead, file_at("/a"));
    let mut nobody = Authorizer::new(principal, vec![]);
    assert!(matches!(nobody.decide(&demand), Decision::Denied(_)));
    assert!(nobody.authorize((), &[]).is_err(), "a grant answers a question");
}

#[test]
fn policies_of_a_run_cannot_stand_in_for_those_of_the_store() {
    let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: vec![] };
    let own = store(
        "@id(\"plain\") permit(principal, action, resource);\n\
         @id(\"as_root\") permit(principal, action == file_system::Action::\"execute\", resource)\n\
         when { context.user.username == \"root\" && resource == file_system::File::\"/bin/ls\" };",
    );
    let brought = store("@id(\"as_root\") permit(principal, action, resource);");
    let demand = Demand::new(Action::FileRead, file_at("/srv/a"));
    let mut authorizer = Authorizer::new(principal, vec![own, brought]);
    assert!(matches!(authorizer.decide(&demand), Decision::Allowed { .. }));
    assert!(!authorizer.is_allowed_knowing(&demand, "user"), "the store's `as_root` did not allow this");
}

#[test]
fn a_permit_that_fails_grants_nothing_and_a_forbid_that_fails_denies() {
    assert!(!is_allowed("permit(principal, action, resource) when { resource.nosuch == 1 };"));
    assert!(!is_allowed(&format!("{ALL} forbid(principal, action, resource) when {{ resource.nosuch == 1 }};")));
    assert!(is_allowed(&format!("{ALL} permit(principal, action, resource) when {{ resource.nosuch == 1 }};")));
    let text = format!("{ALL}\n@id(\"mistyped\") forbid(principal, action, resource) when {{ resource.nosuch == 1 }};");
    let Decision::Denied(denial) = decide(&text, Action::FileRead, file_at("/a")) else { panic!("allowed") };
    assert_eq!(denial.policies.iter().map(|id| id.to_string()).collect::<Vec<_>>(), ["mistyped"]);
}

#[test]
fn action_groups_and_user_groups_work_in_permit_and_forbid() {
    let group = "action in file_system::Action::\"SafeIO\"";
    assert!(is_allowed(&format!("permit(principal, {group}, resource);")));
    assert!(!is_allowed(&format!("{ALL} forbid(principal, {group}, resource);")));
    assert!(is_allowed("permit(principal in Group::\"ops\", action, resource);"));
    assert!(!is_allowed("permit(principal in Group::\"dev\", action, resource);"));
    assert!(is_allowed("permit(principal == User::\"ana\", action, resource) when { principal.uid == 7 };"));
}

#[test]
fn a_denial_names_action_resource_and_the_policies_that_forbid() {
    let text = format!(
        "{ALL}\n@id(\"no-shadow\")\nforbid(principal, action, resource == file_system::File::\"/etc/shadow\");\nforbid(principal, action, resource in file_system::Dir::\"/etc\");"
    );
    let Decision::Denied(denial) = decide(&text, Action::FileRead, file_at("/etc/shadow")) else { panic!("allowed") };
    assert_eq!(&*denial.action, "file_system::Action::\"read\"");
    assert_eq!(&*denial.resource, "file_system::File::\"/etc/shadow\"");
    assert_eq!(denial.policies.iter().map(|id| id.to_string()).collect::<Vec<_>>(), ["no-shadow", "test.cedar:4"]);
}

#[test]
fn ids_are_data_and_never_policy() {
    let odd = "/a\") ; permit(principal, action, resource); //\n::x\\";
    let text = "permit(principal, action, resource == file_system::File::\"/a\");";
    assert!(matches!(decide(text, Action::FileRead, file_at(odd)), Decision::Denied(_)));
    assert!(matches!(decide(ALL, Action::FileRead, file_at(odd)), Decision::Allowed { .. }));
}

fn load(text: &[u8], strictness: Strictness) -> Result<Vec<String>, String> {
    let source = PolicySource { name: "p.cedar".into(), text: text.into() };
    PolicyStore::load(&[source], strictness)
        .map(|(_, warnings)| warnings.iter().map(ToString::to_string).collect())
        .map_err(|error| error.to_string())
}

#[test]
fn what_cannot_be_parsed_is_refused_with_its_place() {
    for (text, place) in [
        (b"permit(principal,\naction, resource)".as_slice(), "p.cedar:2:"),
        (b"\n\npermit(".as_slice(), "p.cedar:3:"),
        (b"// \xff".as_slice(), "p.cedar:1:"),
        ("\u{feff}".as_bytes(), "p.cedar:1:"),
        (b"permit(principal, action, resource)\nwhen { nosuch(1) };".as_slice(), "p.cedar:2:"),
    ] {
        for strictness in [Strictness::Lenient, Strictness::Strict] {
            let error = load(text, strictness).expect_err("it does not parse");
            assert!(error.starts_with(place), "{error}");
        }
    }
}

#[test]
fn what_does_not_validate_warns_and_is_refused_when_strict() {
    for (text, names, advice) in [
        ("permit(principal is Robot, action, resource);", "Robot", "entity type of the schema"),
        ("permit(principal, action == file_system::Action::\"Open\", resource);", "Open", "action of the schema"),
        (
            "permit(principal, action, resource) when { resource.path == \"/a\" };",
            "path",
            "resource is file_system::File",
        ),
        (
            "permit(principal, action, resource) when { [file_system::Dir::\"/a\", file_system::File::\"/b\"].contains(resource) };",
            "Dir",
            "do not mix types",
        ),
        ("permit(principal, action, resource == ?resource);", "template", "write the entity"),
        (
            "@id(\"x\") permit(principal, action, resource); @id(\"x\") permit(principal, action, resource);",
            "`x`",
            "its own `@id`",
        ),
    ] {
        let warnings = load(text.as_bytes(), Strictness::Lenient).expect("it loads").join("\n");
        assert!(
            warnings.starts_with("p.cedar:1: ") && warnings.contains(names) && warnings.contains(advice),
            "{text}\n{warnings}"
        );
        assert!(load(text.as_bytes(), Strictness::Strict).is_err(), "{text}");
    }
    assert_eq!(load(b"// nothing", Strictness::Strict), Ok(vec![]));
    let impossible =
        "permit(principal, action == file_system::Action::\"write\", resource) when { resource is file_system::Dir };";
    assert!(load(impossible.as_bytes(), Strictness::Strict).expect("it is valid").join("").contains("never match"));
}
