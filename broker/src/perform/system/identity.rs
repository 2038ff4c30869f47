//! What the system is called, and what it runs on.

use super::*;
use crate::sys::fs::{self, Links, root};
use crate::sys::socket::retry;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use rex_protocol::Failure;
use rex_protocol::failure::FailureKind;
use rex_protocol::system::{OnlineProcessors, SystemNames, Uname};
use rex_protocol::text::Text;
use std::ffi::OsStr;

/// Where the kernel lists the processors that are in use.
const PROCESSORS: &str = "/sys/devices/system/cpu/online";

/// What policy is asked for both.
fn list() -> Demands {
    Demands::all(vec![Demand::new(Action::SysinfoList, Resource::Sysinfo)])
}

impl Perform for Uname {
    type Target = ();

    fn target(self, _: &mut State) -> Result<(), Stop> {
        Ok(())
    }

    fn demands((): &()) -> Demands {
        list()
    }

    fn perform(_: Granted<()>, _: &mut State) -> Result<SystemNames, Stop> {
        let names = nix::sys::utsname::uname().map_err(|errno| {
            let message = format!("cannot ask for the names of the system: {}", errno.desc());
            Failure::new(FailureKind::Refused { errno: errno as i32 }, message)
        })?;
        let text = |name: &OsStr| Text::cut(name.to_string_lossy());
        Ok(SystemNames {
            kernel: text(names.sysname()),
            node: text(names.nodename()),
            release: text(names.release()),
            version: text(names.version()),
            machine: text(names.machine()),
        })
    }
}

impl Perform for OnlineProcessors {
    type Target = ();

    fn target(self, _: &mut State) -> Result<(), Stop> {
        Ok(())
    }

    fn demands((): &()) -> Demands {
        list()
    }

    fn perform(_: Granted<()>, _: &mut State) -> Result<Text<4096>, Stop> {
        let path = known(PROCESSORS)?;
        let fault = |errno| refused(errno, "read", &path);
        let pin = root::at_home(|| fs::pin(&path, Links::Refuse)).map_err(fault)?;
        let fd = fs::reopen(pin, OFlag::O_RDONLY).map_err(fault)?;
        let mut bytes = vec![0; 4096];
        let length = retry(|| nix::unistd::read(&fd, &mut bytes)).map_err(fault)?;
        bytes.truncate(length);
        Ok(Text::cut(String::from_utf8(bytes).map_err(|_| fault(Errno::EILSEQ))?))
    }
}
