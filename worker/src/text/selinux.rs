//! SELinux contexts: `user:role:type:level`, the value of an extended attribute.

use crate::error::{Error, Io};

/// What a context is to have in place of its own parts, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Change<'c> {
    /// The user.
    pub user: Option<&'c str>,
    /// The role.
    pub role: Option<&'c str>,
    /// The type.
    pub kind: Option<&'c str>,
    /// The level.
    pub level: Option<&'c str>,
}

impl Change<'_> {
    /// Refuses a part that would make another context than it says.
    pub fn check(&self) -> Result<(), Error> {
        for (name, part) in ["user", "role", "type", "level"].into_iter().zip(self.parts()) {
            if let Some(fault) = part.and_then(fault) {
                return Err(invalid(format!("SELinux {name} cannot {fault}")));
            }
        }
        Ok(())
    }

    /// The context `value` of the attribute `name` with its parts changed. A NUL at its end stays.
    pub fn apply(&self, name: &str, value: &str) -> Result<String, Error> {
        let (context, end) = value.strip_suffix('\0').map_or((value, ""), |context| (context, "\0"));
        let old: Vec<&str> = context.split(':').collect();
        let new = self.parts();
        if old.len() != new.len() {
            let count = old.len();
            return Err(invalid(format!(
                "Invalid xattr format for '{name}': expected 4 colon-separated components, got {count}"
            )));
        }
        let parts: Vec<&str> = new.into_iter().zip(old).map(|(new, old)| new.unwrap_or(old)).collect();
        Ok(parts.join(":") + end)
    }

    fn parts(&self) -> [Option<&str>; 4] {
        [self.user, self.role, self.kind, self.level]
    }
}

/// What a part cannot do, if it does.
fn fault(part: &str) -> Option<&'static str> {
    let trimmed = part.trim();
    if trimmed.is_empty() {
        Some("be empty or whitespace-only")
    } else if trimmed != part {
        Some("have leading or trailing whitespace")
    } else if part.contains(':') {
        Some("contain ':' character as it is the context delimiter")
    } else if part.contains(char::is_control) {
        Some("contain control characters")
    } else {
        None
    }
}

fn invalid(reason: String) -> Error {
    Error::new(Io::InvalidArguments, format!("Invalid arguments: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Change<'_> = Change { user: None, role: None, kind: None, level: None };

    #[test]
    fn parts_are_checked_in_order() {
        let checked = |change: Change<'_>| change.check().err().map(|error| error.message().to_owned());
        for (change, expected) in [
            (Change { user: Some(" "), kind: Some("a:b"), ..NONE }, "user cannot be empty or whitespace-only"),
            (Change { role: Some("a "), ..NONE }, "role cannot have leading or trailing whitespace"),
            (
                Change { kind: Some("a:b"), level: Some(""), ..NONE },
                "type cannot contain ':' character as it is the context delimiter",
            ),
            (Change { level: Some("a\tb"), ..NONE }, "level cannot contain control characters"),
        ] {
            assert_eq!(checked(change), Some(format!("Invalid arguments: SELinux {expected}")));
        }
        assert_eq!(checked(NONE), None);
        assert_eq!(checked(Change { kind: Some("bin_t"), ..NONE }), None);
    }

    #[test]
    fn given_parts_take_the_place_of_the_old_ones() {
        let change = Change { kind: Some("bin_t"), level: Some("s1"), ..NONE };
        assert_eq!(change.apply("n", "u:r:t:s0").unwrap(), "u:r:bin_t:s1");
        assert_eq!(change.apply("n", "u:r:t:s0\0").unwrap(), "u:r:bin_t:s1\0");
        assert_eq!(NONE.apply("n", "u:r:t:").unwrap(), "u:r:t:");
        for (value, count) in [("", 1), ("u:r:t", 3), ("u:r:t:s0:c1", 5)] {
            assert_eq!(
                change.apply("n", value).unwrap_err().message(),
                format!(
                    "Invalid arguments: Invalid xattr format for 'n': expected 4 colon-separated components, got {count}"
                )
            );
        }
    }
}
