//! Whose signature a script comes with.

use super::ending;
use super::submission::{Fault, Origin};
use jiff::Timestamp;
use rex_protocol::client::{EndClass, Submit};

/// The signer of a script, by the name in the daemon's list; empty where no signature comes with it. A signature that does not hold
/// is not as good as none: its run does not begin. Without a daemon there is no list, and so no signer.
pub(super) fn signed_by(submit: &Submit, origin: &Origin) -> Result<String, Fault> {
    let (Some(signature), Origin::Daemon(store)) = (&submit.signature, origin) else { return Ok(String::new()) };
    match store.signers.signer(&submit.script, signature, Timestamp::now()) {
        Ok(signer) => Ok(signer.to_owned()),
        Err(error) => Err(Fault::Ended(ending::failed(EndClass::Signature, error.to_string()))),
    }
}
