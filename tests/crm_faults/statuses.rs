//! What a status says, whatever stands in the body.

use super::scene::pass_on;
use super::stage::{Case, always, case};
use super::tricks::{created, ok, reshaped};
use super::unruly::{Reply, Unruly};

const REFUSED: &str = r#"{"error":true,"errors":{"source":"número inválido"}}"#;
const UNKNOWN: &str = r#"{"error":true,"errors":{"destination":"no se consiguió el número"}}"#;

pub fn cases() -> Vec<Case> {
    let json = |status, body: &str| Reply::Json(status, body.to_owned());
    let with = |status, headers: &str, body: &str| {
        Reply::With(status, headers.to_owned(), body.to_owned())
    };
    let good = created(0);
    vec![
        always(
            "200_of_another_service",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is JSON, but \
             has no `error`",
            json(200, r#"{"status":"ok"}"#),
        ),
        always(
            "202_and_created",
            "cdrelay: 2 calls pending: the CRM answered 202 (not a status of this service)",
            json(202, &good),
        ),
        always(
            "204",
            "cdrelay: 2 calls pending: the CRM answered 204 (not a status of this service)",
            Reply::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        ),
        always(
            "206_and_created",
            "cdrelay: 2 calls pending: the CRM answered 206 (not a status of this service)",
            json(206, &good),
        ),
        always(
            "299_and_created",
            "cdrelay: 2 calls pending: the CRM answered 299 (not a status of this service)",
            json(299, &good),
        ),
        always(
            "400_without_a_word",
            "cdrelay: 2 calls pending: the CRM answered 400, but the reply is empty",
            json(400, ""),
        ),
        always(
            "400_and_created",
            "cdrelay: 2 calls pending: the CRM answered 400 and `error: false`, which \
             contradict each other",
            json(400, &good),
        ),
        always(
            "422_and_half_a_refusal",
            "cdrelay: 2 calls pending: the CRM answered 422, but the reply is not JSON: it \
             ends too early, line 1 column 30",
            json(422, &REFUSED[..30]),
        ),
        always(
            "402_and_a_web_page_now_and_then",
            "cdrelay: 2 calls pending: the CRM answered 402, but the reply is not JSON: \
             the syntax is wrong, line 1 column 2",
            json(402, "no"),
        ),
        always(
            "408",
            "cdrelay: 2 calls pending: the CRM answered 408 (request timeout)",
            json(408, ""),
        ),
        always(
            "408_and_a_refusal",
            "cdrelay: 2 calls pending: the CRM answered 408 (request timeout): source: \
             número inválido",
            json(408, REFUSED),
        ),
        always(
            "425",
            "cdrelay: 2 calls pending: the CRM answered 425 (too early)",
            json(425, ""),
        ),
        always(
            "429",
            "cdrelay: 2 calls pending: the CRM answered 429 (too many requests)",
            json(429, ""),
        ),
        always(
            "429_and_a_refusal",
            "cdrelay: 2 calls pending: the CRM answered 429 (too many requests): source: \
             número inválido",
            json(429, REFUSED),
        ),
        always(
            "429_until_a_date_that_has_passed",
            "cdrelay: 2 calls pending: the CRM answered 429 (too many requests)",
            with(429, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", ""),
        ),
        always(
            "503_with_a_nonsense_of_a_wait",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable)",
            with(503, "Retry-After: soon\r\n", ""),
        ),
        always(
            "500",
            "cdrelay: 2 calls pending: the CRM answered 500 (server error)",
            json(500, ""),
        ),
        always(
            "500_and_created",
            "cdrelay: 2 calls pending: the CRM answered 500 (server error)",
            json(500, &good),
        ),
        always(
            "500_and_a_refusal",
            "cdrelay: 2 calls pending: the CRM answered 500 (server error): source: número \
             inválido",
            json(500, REFUSED),
        ),
        always(
            "502_and_a_web_page",
            "cdrelay: 2 calls pending: the CRM answered 502 (server error)",
            json(502, "<html>Bad Gateway</html>"),
        ),
        always(
            "503",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable)",
            json(503, ""),
        ),
        always(
            "504",
            "cdrelay: 2 calls pending: the CRM answered 504 (gateway timeout)",
            json(504, ""),
        ),
        always(
            "599",
            "cdrelay: 2 calls pending: the CRM answered 599 (server error)",
            json(599, ""),
        ),
        always(
            "999",
            "cdrelay: 2 calls pending: the CRM answered 999 (not a status of this service)",
            json(999, &good),
        ),
        always(
            "503_for_an_hour",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable); it asks \
             to be left alone for 1h",
            with(503, "Retry-After: 3600\r\n", ""),
        )
        .requests(1..=1),
        always(
            "429_for_ever",
            "cdrelay: 2 calls pending: the CRM answered 429 (too many requests); it asks \
             to be left alone for 1day",
            with(429, "Retry-After: 99999999999999999999999\r\n", ""),
        )
        .requests(1..=1),
        always(
            "503_until_the_year_9999",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable); it asks \
             to be left alone for 1day",
            with(503, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", ""),
        )
        .requests(1..=1),
        always(
            "403",
            "cdrelay: the CRM answered 403: it forbids the request; ask its administrator \
             whether this machine and user may use the web service",
            json(403, ""),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always(
            "403_and_a_refusal",
            "cdrelay: the CRM answered 403: it forbids the request; ask its administrator \
             whether this machine and user may use the web service",
            json(403, REFUSED),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always(
            "403_and_created",
            "cdrelay: the CRM answered 403: it forbids the request; ask its administrator \
             whether this machine and user may use the web service",
            json(403, &good),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always(
            "407",
            "cdrelay: a proxy answered 407 and wants credentials; cdrelay uses no proxy, \
             so let it reach `target.url` directly",
            with(407, "Proxy-Authenticate: Basic realm=\"x\"\r\n", ""),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always(
            "404",
            "cdrelay: the CRM answered 404 and not in the words of the web service; check \
             the address in `target.url`",
            json(404, "not found"),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always(
            "405",
            "cdrelay: the CRM answered 405 and not in the words of the web service; check \
             the address in `target.url`",
            json(405, ""),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always(
            "410",
            "cdrelay: the CRM answered 410 and not in the words of the web service; check \
             the address in `target.url`",
            json(410, "<html>gone</html>"),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always("404_and_unknown_number", "", json(404, UNKNOWN))
            .ends(0, "unmatched 2")
            .requests(2..=2),
        always("200_and_unknown_number", "", json(200, UNKNOWN))
            .ends(0, "unmatched 2")
            .requests(2..=2),
        always(
            "422_and_a_refusal",
            "cdrelay: the CRM rejected 2 calls for good; `cdrelay calls --state rejected` \
             lists them with its words",
            json(422, REFUSED),
        )
        .ends(3, "rejected 2")
        .requests(2..=2),
        always(
            "200_and_a_refusal",
            "cdrelay: the CRM rejected 2 calls for good; `cdrelay calls --state rejected` \
             lists them with its words",
            json(200, REFUSED),
        )
        .ends(3, "rejected 2")
        .requests(2..=2),
        always(
            "405_and_a_refusal",
            "cdrelay: the CRM rejected 2 calls for good; `cdrelay calls --state rejected` \
             lists them with its words",
            json(405, REFUSED),
        )
        .ends(3, "rejected 2")
        .requests(2..=2),
        case(
            "one_refused_and_one_taken",
            "cdrelay: the CRM rejected 1 call for good; `cdrelay calls --state rejected` \
             lists them with its words",
            |stage| {
                let honest = stage.honest.addr;
                Unruly::start(move |_, line| {
                    if line.contains("source=7000&") {
                        ok(REFUSED)
                    } else {
                        pass_on(honest, line)
                    }
                })
            },
        )
        .ends(3, "delivered 1, rejected 1")
        .requests(2..=2),
        reshaped("409_and_existing", "", |_, _, _| {
            Reply::Json(
                409,
                r#"{"error":true,"errors":{"call":"La llamada YA EXISTE"}}"#.to_owned(),
            )
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        reshaped("201", "", |_, _, body| Reply::Json(201, body.to_owned()))
            .ends(0, "delivered 2")
            .requests(2..=2),
    ]
}
