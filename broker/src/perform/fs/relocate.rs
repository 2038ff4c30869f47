//! What is in a directory that gets another path, judged before it goes along.

use super::remove::walk;
use super::*;
use crate::authz::Entry;

/// How many things may be in a directory that moves, where each of them has to be judged.
const ENTRIES: usize = 100_000;

/// Denies `demand`, to move `dir` from one path to another, where a `forbid` means something in it, or a place below either
/// path. What comes into it after this look is judged no more, unless by the latter.
pub(super) fn judge(
    dir: &OpenDirectory,
    from: &AbsPath,
    to: &AbsPath,
    demand: &Demand,
    state: &mut State,
) -> Result<(), Failure> {
    let Some(relocation) = state.relocation(from, to, demand)? else { return Ok(()) };
    let looks = state.authorizer().reads_attributes();
    let mut entries = 0;
    walk(&dir.pin, from, 0, &mut |found| {
        in_time(state, &found.path)?;
        entries += 1;
        if entries > ENTRIES {
            return Err(refused(Errno::E2BIG, "judge all that is in", from));
        }
        let object = looks.then(|| found.object()).transpose()?;
        let entry = Entry {
            from: &found.path,
            to: &instead(&found.path, from, to)?,
            is_dir: found.is_dir,
            object: object.as_ref(),
        };
        state.relocate(&relocation, &entry, demand)
    })
}

/// The path that something below `from` has where that becomes `to`.
fn instead(path: &AbsPath, from: &AbsPath, to: &AbsPath) -> Result<AbsPath, Failure> {
    let below = path.as_bytes().strip_prefix(from.as_bytes()).unwrap_or_default();
    AbsPath::parse([to.as_bytes(), below].concat()).map_err(|_| refused(Errno::ENAMETOOLONG, "move", path))
}
