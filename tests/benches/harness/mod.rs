//! What the benches share.

pub(crate) mod measure;
pub(crate) mod stage;
pub(crate) mod table;

pub(crate) use measure::{Row, Sample, repeated};
pub(crate) use stage::{POLICIES, Runner, Stage, plain, python};
pub(crate) use table::Table;
