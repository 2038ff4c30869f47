//! The broker: owns the access to the system, decides each operation with Cedar, performs what is allowed.

pub mod authz;
