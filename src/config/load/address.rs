//! Addresses: which hosts are near enough for plaintext, and what a web address may hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::super::reader::{Section, shown};
use super::super::report::{Found, Reported};

/// A web address without user name, password and fragment. A message never repeats an address that may hold a secret.
pub(super) fn web(section: &Section<'_>, key: &str, found: Found<&str>) -> Result<Url, Reported> {
    let name = section.key(key);
    let refuse = |message: String| section.problem(found.line, key, message);
    if holds_password(found.value) {
        section.holds_secret(found.line, key);
    }
    let url = Url::parse(found.value).map_err(|error| {
        refuse(format!(
            "`{name}` is no web address ({error}); write one such as \"https://crm.example.com\""
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("`{name}` must begin with https:// (or http://)");
        return Err(refuse(message));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let message = format!("`{name}` must not hold a user name or password");
        return Err(refuse(message));
    }
    if url.fragment().is_some() {
        return Err(refuse(format!("`{name}` must not hold a `#` part")));
    }
    Ok(url)
}

/// Whether plaintext HTTP to this host stays within a private network: loopback, private and link-local addresses
/// (RFC 1918, RFC 3927, RFC 4193, RFC 4291), and the name `localhost`.
pub(super) fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(address)) => private_v4(address),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(address) => private_v4(address),
            None => private_v6(address),
        },
        None => false,
    }
}

/// Whether a database host is this machine. The hosts of database addresses are texts to the URL parser.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bare.unwrap_or(host).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.is_loopback(),
            None => address.is_loopback(),
        },
        Err(_) => is_localhost(host),
    }
}

/// Whether an address, also one that cannot be parsed, has a password in front of its host.
pub(super) fn holds_password(address: &str) -> bool {
    let Some((_, rest)) = address.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(login, _)| login.contains(':'))
}

/// A host's name in a message.
pub(super) fn host_shown(url: &Url) -> String {
    shown(url.host_str().unwrap_or_default())
}

fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case("localhost.")
}

fn private_v4(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_private() || address.is_link_local()
}

fn private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(url: &str, expected: bool) {
        assert_eq!(is_private(&Url::parse(url).unwrap()), expected, "{url}");
    }

    #[test]
    fn plaintext_is_for_loopback_and_private_networks() {
        for url in [
            "http://127.0.0.1",
            "http://127.9.9.9:8080/x",
            "http://localhost:8080",
            "http://LOCALHOST",
            "http://[::1]:80",
            "http://10.1.2.3",
            "http://172.16.0.1",
            "http://172.31.255.255",
            "http://192.168.1.98:8080",
            "http://169.254.1.1",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://[::ffff:10.0.0.1]",
        ] {
            near(url, true);
        }
        for url in [
            "http://crm.example.com",
            "http://172.32.0.1",
            "http://192.169.0.1",
            "http://100.64.0.1",
            "http://0.0.0.0",
            "http://[2001:db8::1]",
            "http://[::ffff:203.0.113.5]",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
        ] {
            near(url, false);
        }
    }

    #[test]
    fn database_hosts_of_this_machine_are_known() {
        for host in [
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
            "localhost",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "db", "127.0.0.1.example.com", "[::2]", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_password_is_seen_even_in_an_address_that_cannot_be_parsed() {
        assert!(holds_password("mysql://cdr:secret@127.0.0.1/x"));
        assert!(holds_password("mysql://cdr:se@cr:et@127.0.0.1:99999999/x"));
        assert!(!holds_password("mysql://cdr@127.0.0.1:3306/x"));
        assert!(!holds_password("mysql://127.0.0.1:3306/x?a=b:c@d"));
        assert!(!holds_password("csv:/var/log/a:b@c"));
    }
}
