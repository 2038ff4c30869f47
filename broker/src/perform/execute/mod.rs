pub(crate) struct Running;
