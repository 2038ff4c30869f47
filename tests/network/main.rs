//! Servers, name servers and networks that mean no good: what they do costs the run that asked, and nothing else.

mod hostile;
mod judged;
mod names;
mod sealed;
mod server;
mod tls;
