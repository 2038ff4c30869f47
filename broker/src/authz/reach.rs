//! How far policy could ever let a caller go: for programs, which ask nobody before they act.
//!
//! What a program may do by itself must be said beforehand, by places. So a `permit` counts only if it is understood
//! as a whole: who, what, and below which directory. A `forbid` counts wherever it might apply. Both err on the side of
//! less.

use super::conditions::{Condition, Variable};
use super::entity::Fixed;
use super::index::{Index, Row};
use super::setting;
use cedar_policy::{Effect, EntityTypeName, EntityUid};
use rex_protocol::Action;
use rex_protocol::path::AbsPath;

/// Where an action could be allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Everywhere, and nothing forbids anything of it.
    pub everywhere: bool,
    /// There.
    pub granted: Vec<Place>,
    /// But not there, whatever is granted.
    pub barred: Vec<Place>,
}

/// A place in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// What has this path.
    At(AbsPath),
    /// What has this path, and everything below it.
    Below(AbsPath),
}

/// What a program can do that policy leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// What its user can.
    User,
    /// All that there is, rails aside.
    Root,
}

impl Reach {
    /// Where both reach.
    pub fn and(&self, other: &Reach) -> Reach {
        let pairs = self.granted.iter().flat_map(|one| other.granted.iter().filter_map(|other| one.and(other)));
        Reach {
            everywhere: self.everywhere && other.everywhere,
            granted: pairs.collect(),
            barred: self.barred.iter().chain(&other.barred).cloned().collect(),
        }
    }

    /// Whether this reaches wherever `other` does.
    pub fn covers(&self, other: &Reach) -> bool {
        other.granted.iter().all(|place| self.granted.iter().any(|own| own.covers(place)))
            && self.barred.iter().all(|place| other.barred.iter().any(|barred| barred.covers(place)))
    }
}

impl Place {
    /// Whether `path` lies there.
    pub fn holds(&self, path: &AbsPath) -> bool {
        match self {
            Place::At(own) => own == path,
            Place::Below(own) => own == path || path.ancestors().any(|above| above == *own),
        }
    }

    /// Whether all of `other` lies there.
    fn covers(&self, other: &Place) -> bool {
        match self {
            Place::At(_) => self == other,
            Place::Below(_) => self.holds(other.path()),
        }
    }

    /// The path that it is named by.
    pub fn path(&self) -> &AbsPath {
        match self {
            Place::At(path) | Place::Below(path) => path,
        }
    }

    fn and(&self, other: &Place) -> Option<Place> {
        if self.holds(other.path()) {
            return match self {
                // Only the one path is in both.
                Place::At(_) => Some(self.clone()),
                Place::Below(_) => Some(other.clone()),
            };
        }
        other.holds(self.path()).then(|| self.clone())
    }
}

/// How far the policies of `index` could let the principal go by an action on resources of the type `kind`. The action comes
/// with the group that it is in. Rails leave `everywhere` as it is; they bar places for what has the power to go there.
pub(super) fn of(index: &Index, fixed: &Fixed, action: [&EntityUid; 2], kind: &EntityTypeName, power: Power) -> Reach {
    let mut reach = Reach::default();
    let (rails, policies): (Vec<&Row>, Vec<&Row>) =
        index.rows().iter().filter(|row| concerns(row, fixed, action, kind)).partition(|row| row.rail);
    for row in policies {
        match row.policy.effect() {
            Effect::Permit if row.whole => reach.granted.extend(places(row, kind, false)),
            Effect::Permit => {}
            Effect::Forbid => reach.barred.extend(places(row, kind, true)),
        }
    }
    let is_root = |place: &Place| *place == Place::Below(AbsPath::root());
    reach.everywhere = reach.barred.is_empty() && reach.granted.iter().any(is_root);
    if power == Power::Root {
        // Single names are those on the way to what is kept: to bar them would bar what is beside it.
        let kept = rails.iter().flat_map(|row| places(row, kind, true));
        reach.barred.extend(kept.filter(|place| matches!(place, Place::Below(_)) && !is_root(place)));
    }
    reach
}

/// The ids of the `forbid`s of `index` that name a place below `path` and not that itself.
pub(super) fn forbids_inside(index: &Index, fixed: &Fixed, path: &AbsPath) -> Vec<String> {
    let all = Place::Below(path.clone());
    let is_inside = |place: &Place| place.path() != path && all.holds(place.path());
    let inside = forbids(index).filter(|(_, row)| touches(row, fixed, |_| true, is_inside));
    inside.map(|(_, row)| row.policy.id().to_string()).collect()
}

/// The numbers of the `forbid`s of `index` on one of these actions that may be about something below `path` and name no place there:
/// what they are about shows only when one looks.
pub(super) fn forbids_around(
    index: &Index,
    fixed: &Fixed,
    path: &AbsPath,
    actions: impl Fn(Action) -> bool,
) -> Vec<usize> {
    let is_around = |place: &Place| matches!(place, Place::Below(_)) && place.holds(path);
    let around = forbids(index).filter(|(_, row)| touches(row, fixed, &actions, is_around));
    around.map(|(number, _)| number).collect()
}

fn forbids(index: &Index) -> impl Iterator<Item = (usize, &Row)> {
    index.rows().iter().enumerate().filter(|(_, row)| row.policy.effect() == Effect::Forbid)
}

/// Whether a policy is about one of these actions of this principal on what has a path, in such a place.
fn touches(row: &Row, fixed: &Fixed, actions: impl Fn(Action) -> bool, is_such: impl Fn(&Place) -> bool) -> bool {
    fixed.kinds_with_a_path().any(|kind| {
        fixed.actions().any(|(action, uids)| actions(action) && concerns(row, fixed, uids, kind))
            && places(row, kind, true).iter().any(&is_such)
    })
}

/// Whether a policy is about this principal, action and type of resource, as far as its conditions tell.
pub(super) fn concerns(
    row: &Row,
    fixed: &Fixed,
    [action, action_group]: [&EntityUid; 2],
    kind: &EntityTypeName,
) -> bool {
    row.conditions.iter().all(|condition| {
        speaks_to(condition, fixed) && speaks_of(condition, [action, action_group]) && is_of_a(condition, kind)
    })
}

/// Whether a condition leaves room for this principal.
pub(super) fn speaks_to(condition: &Condition, fixed: &Fixed) -> bool {
    match condition {
        Condition::IsOneOf(Variable::Principal, these) => these.contains(&fixed.principal),
        Condition::IsIn(Variable::Principal, these) => {
            these.contains(&fixed.principal) || fixed.groups.iter().any(|group| these.contains(group))
        }
        Condition::IsA(Variable::Principal, only) => only == fixed.principal.type_name(),
        _ => true,
    }
}

/// Whether a condition leaves room for this action, which comes with its group.
pub(super) fn speaks_of(condition: &Condition, [action, action_group]: [&EntityUid; 2]) -> bool {
    match condition {
        Condition::IsOneOf(Variable::Action, these) => these.contains(action),
        Condition::IsIn(Variable::Action, these) => these.contains(action) || these.contains(action_group),
        Condition::IsA(Variable::Action, only) => only == action.type_name(),
        _ => true,
    }
}

/// Whether a condition leaves room for resources of this type.
pub(super) fn is_of_a(condition: &Condition, kind: &EntityTypeName) -> bool {
    match condition {
        Condition::IsA(Variable::Resource, only) => only == kind,
        _ => true,
    }
}

/// The places that a policy speaks of. `generously` it takes in what it might speak of; otherwise a condition that no place
/// can express means none.
fn places(row: &Row, kind: &EntityTypeName, generously: bool) -> Vec<Place> {
    let mut places = vec![Place::Below(AbsPath::root())];
    for condition in &row.conditions {
        let named: Option<Vec<Place>> = match condition {
            Condition::IsOneOf(Variable::Resource, uids) => {
                Some(uids.iter().filter(|uid| uid.type_name() == kind).filter_map(at).collect())
            }
            Condition::IsIn(Variable::Resource, uids) => Some(uids.iter().filter_map(|uid| below(uid, kind)).collect()),
            Condition::Path(path) => Some(AbsPath::from_id(path).map(Place::At).into_iter().collect()),
            Condition::PathPrefix(prefix) => match prefix.rfind('/').map(|slash| prefix.split_at(slash + 1)) {
                Some((dir, rest)) if generously || rest.is_empty() => Some(below_prefix(dir).into_iter().collect()),
                _ if generously => None,
                _ => Some(Vec::new()),
            },
            _ => None,
        };
        if let Some(named) = named {
            places = places.iter().flat_map(|one| named.iter().filter_map(|other| one.and(other))).collect();
        }
    }
    places
}

/// The place of exactly this entity.
fn at(uid: &EntityUid) -> Option<Place> {
    AbsPath::from_id(uid.id().unescaped()).map(Place::At)
}

/// The place of what is in this entity, and of itself: only directories and the kernel's settings have something in them.
fn below(uid: &EntityUid, kind: &EntityTypeName) -> Option<Place> {
    if uid.type_name().to_string() == setting::KEY {
        return setting::path(uid.id().unescaped()).map(Place::Below);
    }
    let path = AbsPath::from_id(uid.id().unescaped())?;
    if uid.type_name().to_string() == super::demand::DIR {
        Some(Place::Below(path))
    } else {
        (uid.type_name() == kind).then_some(Place::At(path))
    }
}

/// The place of what has a path that begins with this directory and its slash; none where no path begins so.
fn below_prefix(dir: &str) -> Option<Place> {
    match dir.strip_suffix('/') {
        Some("") => Some(Place::Below(AbsPath::root())),
        Some(dir) if dir != "/" => AbsPath::from_id(dir).map(Place::Below),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Authorizer, PolicySource, PolicyStore, Principal, Strictness};
    use super::*;
    use std::rc::Rc;

    fn authorizer(text: &str) -> Authorizer {
        let source = PolicySource { name: "a".into(), text: text.as_bytes().to_vec() };
        let (store, _) = PolicyStore::load(&[source], Strictness::Lenient).unwrap();
        let principal = Principal { name: "ana".into(), uid: 7, gid: 7, gids: vec![7], groups: vec!["ops".into()] };
        Authorizer::new(principal, vec![Rc::new(store)])
    }

    fn reach(text: &str) -> (bool, Vec<String>, Vec<String>) {
        let reach = authorizer(text).reaches(Action::FileRead, "file_system::File", Power::User).remove(0);
        let shown = |places: Vec<Place>| {
            let shown = places.into_iter().map(|place| match place {
                Place::At(path) => path.to_id(),
                Place::Below(path) => format!("{}/**", path.to_id()),
            });
            shown.collect()
        };
        (reach.everywhere, shown(reach.granted), shown(reach.barred))
    }

    #[test]
    fn permits_count_as_far_as_they_are_understood() {
        for (text, granted) in [
            ("permit(principal, action, resource in file_system::Dir::\"/srv\");", vec!["/srv/**"]),
            ("permit(principal in Group::\"ops\", action, resource == file_system::File::\"/a\");", vec!["/a"]),
            ("permit(principal == User::\"bob\", action, resource);", vec![]),
            ("permit(principal, action == file_system::Action::\"write\", resource);", vec![]),
            (
                "permit(principal, action in file_system::Action::\"SafeIO\", resource) when { resource is file_system::File && resource.path like \"/srv/*\" };",
                vec!["/srv/**"],
            ),
            (
                "permit(principal, action, resource) when { resource is file_system::File && resource.path like \"/srv/*.log\" };",
                vec![],
            ),
            (
                "permit(principal, action, resource) when { resource is file_system::File && resource.path like \"/srv/a*\" };",
                vec![],
            ),
            ("permit(principal, action, resource in file_system::Dir::\"/srv\") when { resource has owner };", vec![]),
            (
                "permit(principal, action, resource in file_system::Dir::\"/srv\") unless { principal == User::\"bob\" };",
                vec![],
            ),
            ("permit(principal, action, resource is network::url);", vec![]),
            ("permit(principal, action, resource in sysctl::Key::\"net.ipv4\");", vec!["/proc/sys/net/ipv4/**"]),
            // No resource has these ids.
            ("permit(principal, action, resource in file_system::Dir::\"/srv/\");", vec![]),
            ("permit(principal, action, resource in file_system::Dir::\"/srv/./x\");", vec![]),
            (
                "permit(principal, action, resource) when { resource is file_system::File && resource.path like \"//*\" };",
                vec![],
            ),
            // Nothing is in a file but itself.
            ("permit(principal, action, resource in file_system::File::\"/srv/x\");", vec!["/srv/x"]),
        ] {
            assert_eq!(reach(text), (false, granted.into_iter().map(str::to_owned).collect(), vec![]), "{text}");
        }
        assert!(reach("permit(principal, action, resource);").0);
    }

    #[test]
    fn forbids_count_wherever_they_might_apply() {
        let all = "permit(principal, action, resource);";
        for (text, barred) in [
            ("forbid(principal, action, resource in file_system::Dir::\"/srv/x\");", vec!["/srv/x/**"]),
            (
                "forbid(principal, action, resource) when { resource is file_system::File && resource.path like \"/srv/a*.key\" };",
                vec!["/srv/**"],
            ),
            ("forbid(principal, action, resource) when { resource has owner };", vec!["//**"]),
            ("forbid(principal == User::\"bob\", action, resource);", vec![]),
            ("forbid(principal, action == file_system::Action::\"write\", resource);", vec![]),
            // A byte that is no UTF-8.
            ("forbid(principal, action, resource == file_system::File::\"/a\\\\xe9\");", vec!["/a\\xe9"]),
        ] {
            let (everywhere, _, found) = reach(&format!("{all}{text}"));
            assert_eq!(found, barred, "{text}");
            assert_eq!(everywhere, barred.is_empty(), "{text}");
        }
    }
    #[test]
    fn a_forbid_on_the_group_of_an_action_counts() {
        let connects = |text: &str| authorizer(text).connects_everywhere();
        let all = "permit(principal, action, resource);";
        assert!(connects(all));
        assert!(connects("permit(principal, action in network::Action::\"NetworkAction\", resource);"));
        for forbid in [
            "forbid(principal, action in network::Action::\"NetworkAction\", resource);",
            "forbid(principal, action == network::Action::\"connect\", resource);",
            "forbid(principal, action, resource is network::url);",
            "forbid(principal, action, resource) when { resource is network::url && resource.url like \"*evil*\" };",
        ] {
            assert!(!connects(&format!("{all}{forbid}")), "{forbid}");
        }
    }

    #[test]
    fn one_reach_covers_another_where_it_holds_all_of_it() {
        let below = |path: &str| Place::Below(AbsPath::parse(path).unwrap());
        let at = |path: &str| Place::At(AbsPath::parse(path).unwrap());
        let reach = |granted: &[Place], barred: &[Place]| Reach {
            everywhere: false,
            granted: granted.to_vec(),
            barred: barred.to_vec(),
        };
        let srv = reach(&[below("/srv")], &[]);
        assert!(srv.covers(&reach(&[below("/srv/x"), at("/srv")], &[])));
        assert!(!srv.covers(&reach(&[below("/")], &[])));
        assert!(!reach(&[at("/srv")], &[]).covers(&reach(&[below("/srv")], &[])));
        assert!(!reach(&[below("/srv")], &[below("/srv/x")]).covers(&srv));
        assert!(reach(&[below("/srv")], &[below("/srv/x")]).covers(&reach(&[below("/srv")], &[below("/srv")])));
    }
}
