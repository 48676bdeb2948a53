//! Redirects: none is followed, wherever it points; the trap sees nothing, and so never the token.

use super::stage::{Backstage, Case, case};
use super::unruly::{Reply, Unruly};

pub fn cases() -> Vec<Case> {
    let to_the_trap = |name, status, path: &'static str| {
        case(name, move |stage: &Backstage| {
            let to = format!("Location: {}{path}\r\n", stage.trap.url());
            Unruly::always(Reply::With(status, to, String::new()))
        })
    };
    let to = |name, status, location: &'static str| {
        case(name, move |_| {
            Unruly::always(Reply::With(
                status,
                format!("Location: {location}\r\n"),
                String::new(),
            ))
        })
    };
    let mut cases = vec![
        to_the_trap("300", 300, "/"),
        to_the_trap("301", 301, "/direct/items/phonecalls/create"),
        to_the_trap("302", 302, "/login?next=x"),
        to_the_trap("303", 303, "/"),
        to_the_trap("307", 307, "/"),
        to_the_trap("308", 308, "/"),
        to("304_without_a_place", 304, ""),
        to(
            "a_redirect_to_itself",
            302,
            "/direct/items/phonecalls/create",
        ),
        to("a_redirect_to_a_file", 302, "file:///etc/passwd"),
        to("a_redirect_to_nonsense", 302, "\u{1}::"),
        case(
            "a_redirect_with_a_refresh_and_a_body",
            |stage: &Backstage| {
                let trap = stage.trap.url();
                Unruly::always(Reply::With(
                    302,
                    format!("Location: {trap}\r\nRefresh: 0; url={trap}\r\n"),
                    r#"{"error":false,"phonecallId":1}"#.to_owned(),
                ))
            },
        ),
    ];
    cases = cases
        .into_iter()
        .map(|case| case.ends(6, "pending 2").requests(1..=1))
        .collect();
    cases
}
