//! Words of the CRM that are an attack on whoever reads them, or repeat what they must not.

use super::stage::{Case, case};
use super::tricks::ok;
use super::unruly::{Reply, Unruly};

pub fn cases() -> Vec<Case> {
    let token = |name, shown, words: &'static str| {
        case(name, shown, move |_| {
            Unruly::always(ok(format!(
                r#"{{"error":true,"errors":{{"token":"{words}"}}}}"#
            )))
        })
        .ends(6, "pending 2")
        .requests(1..=1)
    };
    let busy = |name, words, echo: fn(&str) -> String| {
        case(name, words, move |_| {
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
        token(
            "escape_sequences",
            "cdrelay: the CRM refused the token: token: no\\u{1b}[2J\\u{1b}]0;owned\\u{7}; \
             check `target.token_file`",
            "no\\u001b[2J\\u001b]0;owned\\u0007",
        ),
        token(
            "line_ends",
            "cdrelay: the CRM refused the token: token: no\\ncdrelay: everything is \
             settled\\r\\n; check `target.token_file`",
            "no\\ncdrelay: everything is settled\\r\\n",
        ),
        token(
            "bidi_marks",
            "cdrelay: the CRM refused the token: token: no\\u{202e}ko\\u{2066}\\u{200b}; \
             check `target.token_file`",
            "no\\u202eko\\u2066\\u200b",
        ),
        token(
            "markup",
            "cdrelay: the CRM refused the token: token: <script>alert(1)</script>&amp;; \
             check `target.token_file`",
            "<script>alert(1)</script>&amp;",
        ),
        token(
            "a_nul_and_a_delete",
            "cdrelay: the CRM refused the token: token: a\\u{0}b\\u{7f}c\\u{9b}d; check \
             `target.token_file`",
            "a\\u0000b\\u007fc\\u009bd",
        ),
        case(
            "words_without_end",
            "cdrelay: the CRM refused the token: token: no no no no no no no no no \
             no no no no no no no no no no no no no no no no no no no no no no no no \
             no no no no no no no no no no no no no no no no no no no no no no no no \
             no no no no no no no no no no no no no no no no no no no no no no no no \
             no no no no no no no no no no no no no no no no n…; check \
             `target.token_file`",
            |_| {
                Unruly::always(ok(format!(
                    r#"{{"error":true,"errors":{{"token":"{}"}}}}"#,
                    "no ".repeat(20_000)
                )))
            },
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        case(
            "a_thousand_errors",
            "cdrelay: the CRM refused the token: f0: no; f1: no; f2: no; f3: no; f4: no; \
             f5: no; f6: no; f7: no; f8: no; f9: no; f10: no; f11: no; f12: no; f13: no; \
             f14: no; f15: no; f16: no; f17: no; f18: no; f19: no; f20: no; f21: no; f22: \
             no; f23: no; f24: no; f25: no; f26: no; f27: no; f28: no; f29: no; f30: no; \
             f31: no; f32: no; f33: no; f34…; check `target.token_file`",
            |_| {
                let errors: Vec<String> = (0..1000).map(|n| format!(r#""f{n}":"no""#)).collect();
                Unruly::always(ok(format!(
                    r#"{{"error":true,"errors":{{{},"token":"x"}}}}"#,
                    errors.join(",")
                )))
            },
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        busy(
            "the_request_comes_back",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable): GET \
             /direct/items/phonecalls/create?token=***; it asks to be left alone for 1h",
            |head| {
                head.lines()
                    .next()
                    .unwrap()
                    .split("&initiated")
                    .next()
                    .unwrap()
                    .to_owned()
            },
        ),
        busy(
            "the_request_comes_back_in_capitals",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable): GET \
             /DIRECT/ITEMS/PHONECALLS/CREATE?TOKEN=***; it asks to be left alone for 1h",
            |head| {
                head.lines()
                    .next()
                    .unwrap()
                    .split("&initiated")
                    .next()
                    .unwrap()
                    .to_uppercase()
            },
        ),
        busy(
            "the_request_comes_back_decoded",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable): ***; it \
             asks to be left alone for 1h",
            |head| {
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
            },
        ),
        busy(
            "the_request_comes_back_encoded_twice",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable): ***; it \
             asks to be left alone for 1h",
            |head| {
                head.split("token=")
                    .nth(1)
                    .unwrap()
                    .split('&')
                    .next()
                    .unwrap()
                    .replace('%', "%25")
            },
        ),
        busy(
            "the_authorization_comes_back",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable): \
             authorization: Basic ***; it asks to be left alone for 1h",
            |head| {
                head.lines()
                    .find(|line| line.starts_with("authorization"))
                    .unwrap_or("none")
                    .to_owned()
            },
        ),
        busy(
            "the_user_and_password_come_back",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable): user \
             *** pw ***; it asks to be left alone for 1h",
            |head| {
                let _ = head;
                format!(
                    "user {} pw {}",
                    super::canary::USER,
                    super::canary::PASSWORD
                )
            },
        ),
        case(
            "a_login_scheme_that_is_the_token",
            "cdrelay: the CRM wants a login that cdrelay does not know (it offers one \
             without a known name); the server must offer Digest or Basic",
            |_| {
                Unruly::always(Reply::With(
                    401,
                    "WWW-Authenticate: canary-T0ken\r\n".to_owned(),
                    String::new(),
                ))
            },
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        case(
            "a_host_that_is_the_token",
            "cdrelay: the CRM answered 302 and points to ***.invalid; redirects are not \
             followed: set `target.url` to the address that answers itself",
            |_| {
                Unruly::always(Reply::With(
                    302,
                    "Location: http://CANARY-USER.invalid/\r\n".to_owned(),
                    String::new(),
                ))
            },
        )
        .ends(6, "pending 2")
        .requests(1..=1),
    ]
}
