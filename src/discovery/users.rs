//! Users of the machine: who files may be given to.

use super::{Machine, text};

/// A user by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Id of the user's group.
    pub gid: u32,
}

/// A user of `/etc/passwd` (passwd(5)): system users are found there, whatever directory service knows the others.
#[must_use]
pub fn user(machine: &Machine, name: &str) -> Option<User> {
    let passwd = text(&machine.path("/etc/passwd"))?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User { uid, gid })
    })
}
