//! Work on text and names that needs no permission.

pub mod backtrace;
pub mod lines;
pub mod path;
pub mod pattern;
pub mod pledge;
pub mod search;
pub mod selinux;
