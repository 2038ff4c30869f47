//! Decisions. The only place that evaluates Cedar.
