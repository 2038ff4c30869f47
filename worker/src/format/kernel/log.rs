//! Records of the kernel's log, as `/dev/kmsg` gives them.

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it was written, in microseconds since the start.
    pub micros: u64,
    /// What it says.
    pub text: String,
}

/// The messages of some records, in their order; those without time or text are left out.
pub fn read(records: &[u8]) -> impl Iterator<Item = Message> {
    records.split(|&byte| byte == b'\n').filter_map(message)
}

/// `priority,number,micros,flags;text`; a line that begins with a space belongs to the one before.
fn message(line: &[u8]) -> Option<Message> {
    if line.first() == Some(&b' ') {
        return None;
    }
    let end = line.iter().position(|&byte| byte == b';')?;
    let (head, text) = line.split_at_checked(end)?;
    let micros = std::str::from_utf8(head).ok()?.split(',').nth(2)?.parse().ok()?;
    let text = plain(text.get(1..)?);
    (!text.is_empty()).then_some(Message { micros, text })
}

/// A text whose special bytes are written as `\xNN`.
fn plain(escaped: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((&first, after)) = rest.split_first() {
        let code = rest.strip_prefix(b"\\x").and_then(|code| code.get(..2));
        match code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_messages() {
        let records = b"6,339,5140900,-;NET: Registered \\xc3\\xa9 \\x5c\n SUBSYSTEM=net\n\
                        30,340,5690716,-,caller=T1;udevd: a;b\n4,341,5690717,-;\nodd\n1,2,x,-;y\n6,342,7,c;cut \\x4";
        let found: Vec<_> = read(records).map(|message| (message.micros, message.text)).collect();
        let found: Vec<_> = found.iter().map(|(micros, text)| (*micros, text.as_str())).collect();
        assert_eq!(found, [(5_140_900, "NET: Registered é \\"), (5_690_716, "udevd: a;b"), (7, "cut \\x4")]);
    }
}
