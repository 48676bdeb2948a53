//! Redirects: none is followed, wherever it points; the trap sees nothing, and so never the token.

use super::stage::{Backstage, Case, case};
use super::unruly::{Reply, Unruly};

pub fn cases() -> Vec<Case> {
    let to_the_trap = |name, words, status, path: &'static str| {
        case(name, words, move |stage: &Backstage| {
            let to = format!("Location: {}{path}\r\n", stage.trap.url());
            Unruly::always(Reply::With(status, to, String::new()))
        })
    };
    let to = |name, words, status, location: &'static str| {
        case(name, words, move |_| {
            Unruly::always(Reply::With(
                status,
                format!("Location: {location}\r\n"),
                String::new(),
            ))
        })
    };
    let control = to(
        "a_redirect_with_a_control_character",
        "cdrelay: 2 calls pending: no complete reply: invalid HTTP header parsed",
        302,
        "\u{1}::",
    );
    vec![
        to_the_trap(
            "300",
            "cdrelay: the CRM answered 300 and points to 127.0.0.1; redirects are not \
             followed: set `target.url` to the address that answers itself",
            300,
            "/",
        ),
        to_the_trap(
            "301",
            "cdrelay: the CRM answered 301 and points to 127.0.0.1; redirects are not \
             followed: set `target.url` to the address that answers itself",
            301,
            "/direct/items/phonecalls/create",
        ),
        to_the_trap(
            "302",
            "cdrelay: the CRM answered 302 and points to 127.0.0.1; redirects are not \
             followed: set `target.url` to the address that answers itself",
            302,
            "/login?next=x",
        ),
        to_the_trap(
            "303",
            "cdrelay: the CRM answered 303 and points to 127.0.0.1; redirects are not \
             followed: set `target.url` to the address that answers itself",
            303,
            "/",
        ),
        to_the_trap(
            "307",
            "cdrelay: the CRM answered 307 and points to 127.0.0.1; redirects are not \
             followed: set `target.url` to the address that answers itself",
            307,
            "/",
        ),
        to_the_trap(
            "308",
            "cdrelay: the CRM answered 308 and points to 127.0.0.1; redirects are not \
             followed: set `target.url` to the address that answers itself",
            308,
            "/",
        ),
        to(
            "304_without_a_place",
            "cdrelay: the CRM answered 304 and points elsewhere; redirects are not \
             followed: set `target.url` to the address that answers itself",
            304,
            "",
        ),
        to(
            "a_redirect_to_itself",
            "cdrelay: the CRM answered 302 and points elsewhere; redirects are not \
             followed: set `target.url` to the address that answers itself",
            302,
            "/direct/items/phonecalls/create",
        ),
        to(
            "a_redirect_to_a_file",
            "cdrelay: the CRM answered 302 and points elsewhere; redirects are not \
             followed: set `target.url` to the address that answers itself",
            302,
            "file:///etc/passwd",
        ),
        case(
            "a_redirect_with_a_refresh_and_a_body",
            "cdrelay: the CRM answered 302 and points to 127.0.0.1; redirects are not \
             followed: set `target.url` to the address that answers itself",
            |stage: &Backstage| {
                let trap = stage.trap.url();
                Unruly::always(Reply::With(
                    302,
                    format!("Location: {trap}\r\nRefresh: 0; url={trap}\r\n"),
                    r#"{"error":false,"phonecallId":1}"#.to_owned(),
                ))
            },
        ),
    ]
    .into_iter()
    .map(|case| case.ends(6, "pending 2").requests(1..=1))
    .chain([control])
    .collect()
}
