//! Words of the CRM that are an attack on whoever reads them, or repeat what they must not.

use super::stage::{Case, case};
use super::tricks::ok;
use super::unruly::{Reply, Unruly};

pub fn cases() -> Vec<Case> {
    let token = |name, words: &'static str| {
        case(name, move |_| {
            Unruly::always(ok(format!(
                r#"{{"error":true,"errors":{{"token":"{words}"}}}}"#
            )))
        })
        .ends(6, "pending 2")
        .requests(1..=1)
    };
    let busy = |name, echo: fn(&str) -> String| {
        case(name, move |_| {
            Unruly::with_heads(move |n, head| {
                if n == 0 {
                    return Reply::With(
                        401,
                        "WWW-Authenticate: Basic realm=\"NiMbox\"\r\n".to_owned(),
                        String::new(),
                    );
                }
                let body = serde_json::json!({"error": true, "message": echo(head)});
                Reply::With(503, "Retry-After: 3600\r\n".to_owned(), body.to_string())
            })
        })
        .ends(4, "pending 2")
        .requests(2..=2)
    };
    vec![
        token("escape_sequences", "no\\u001b[2J\\u001b]0;owned\\u0007"),
        token("line_ends", "no\\ncdrelay: everything is settled\\r\\n"),
        token("bidi_marks", "no\\u202eko\\u2066\\u200b"),
        token("markup", "<script>alert(1)</script>&amp;"),
        token("a_nul_and_a_delete", "a\\u0000b\\u007fc\\u009bd"),
        case("words_without_end", |_| {
            Unruly::always(ok(format!(
                r#"{{"error":true,"errors":{{"token":"{}"}}}}"#,
                "ñ".repeat(30_000)
            )))
        })
        .ends(6, "pending 2")
        .requests(1..=1),
        case("a_thousand_errors", |_| {
            let errors: Vec<String> = (0..1000).map(|n| format!(r#""f{n}":"no""#)).collect();
            Unruly::always(ok(format!(
                r#"{{"error":true,"errors":{{{},"token":"x"}}}}"#,
                errors.join(",")
            )))
        })
        .ends(6, "pending 2")
        .requests(1..=1),
        busy("the_request_comes_back", |head| {
            head.lines()
                .next()
                .unwrap()
                .split("&initiated")
                .next()
                .unwrap()
                .to_owned()
        }),
        busy("the_request_comes_back_in_capitals", |head| {
            head.lines()
                .next()
                .unwrap()
                .split("&initiated")
                .next()
                .unwrap()
                .to_uppercase()
        }),
        busy("the_request_comes_back_decoded", |head| {
            let token = head
                .split("token=")
                .nth(1)
                .unwrap()
                .split('&')
                .next()
                .unwrap();
            percent_encoding::percent_decode_str(token)
                .decode_utf8_lossy()
                .into_owned()
        }),
        busy("the_request_comes_back_encoded_twice", |head| {
            head.split("token=")
                .nth(1)
                .unwrap()
                .split('&')
                .next()
                .unwrap()
                .replace('%', "%25")
        }),
        busy("the_authorization_comes_back", |head| {
            head.lines()
                .find(|line| line.starts_with("authorization"))
                .unwrap_or("none")
                .to_owned()
        }),
        busy("the_user_and_password_come_back", |head| {
            let _ = head;
            format!(
                "user {} pw {}",
                super::canary::USER,
                super::canary::PASSWORD
            )
        }),
        case("a_login_scheme_that_is_the_token", |_| {
            Unruly::always(Reply::With(
                401,
                format!("WWW-Authenticate: {}\r\n", super::canary::TOKEN),
                String::new(),
            ))
        })
        .ends(6, "pending 2")
        .requests(1..=1),
        case("a_host_that_is_the_token", |_| {
            Unruly::always(Reply::With(
                302,
                "Location: http://CANARY-T0KEN.canary-user.invalid/\r\n".to_owned(),
                String::new(),
            ))
        })
        .ends(6, "pending 2")
        .requests(1..=1),
    ]
}
