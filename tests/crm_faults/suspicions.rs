//! Refusals that are too much alike, and tokens that are refused.

use super::scene::pass_on;
use super::stage::{Case, always, case};
use super::tricks::ok;
use super::unruly::{Reply, Unruly};

pub fn cases() -> Vec<Case> {
    let refused = |words: &str| {
        ok(format!(
            r#"{{"error":true,"errors":{{"initiated":"{words}"}}}}"#
        ))
    };
    vec![
        always(
            "ten_equal_refusals",
            "cdrelay: the CRM refused each of the first 10 calls with the same words: \
             initiated: fecha inválida; nothing was recorded as rejected; correct what \
             they complain about and run again",
            refused("fecha inválida"),
        )
        .calls(14)
        .ends(6, "pending 14")
        .requests(10..=14),
        case(
            "ten_different_refusals",
            "cdrelay: the CRM rejected 12 calls for good; `cdrelay calls --state rejected` \
             lists them with its words",
            move |_| Unruly::start(move |n, _| refused(&format!("fecha inválida {n}"))),
        )
        .calls(12)
        .ends(3, "rejected 12")
        .requests(12..=12),
        case(
            "equal_refusals_after_a_delivery",
            "cdrelay: the CRM rejected 13 calls for good; `cdrelay calls --state rejected` \
             lists them with its words",
            |stage| {
                let honest = stage.honest.addr;
                Unruly::start(move |n, line| {
                    if n == 0 {
                        pass_on(honest, line)
                    } else {
                        ok(r#"{"error":true,"errors":{"initiated":"fecha inválida"}}"#)
                    }
                })
            },
        )
        .calls(14)
        .ends(3, "delivered 1, rejected 13")
        .requests(14..=14),
        always(
            "nine_equal_refusals",
            "cdrelay: the CRM rejected 9 calls for good; `cdrelay calls --state rejected` \
             lists them with its words",
            refused("fecha inválida"),
        )
        .calls(9)
        .ends(3, "rejected 9")
        .requests(9..=9),
        always(
            "the_token_is_refused",
            "cdrelay: the CRM refused the token: token: no es válido; check \
             `target.token_file`",
            ok(r#"{"error":true,"errors":{"token":"no es válido"}}"#),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        always(
            "the_token_is_refused_without_a_word",
            "cdrelay: the CRM refused the token; check `target.token_file`",
            Reply::Json(422, r#"{"error":true,"errors":{"token":null}}"#.to_owned()),
        )
        .ends(6, "pending 2")
        .requests(1..=1),
        case(
            "the_token_is_refused_later",
            "cdrelay: the CRM refused the token: token: caducado; check `target.token_file`",
            |stage| {
                let honest = stage.honest.addr;
                Unruly::start(move |n, line| {
                    if n < 2 {
                        pass_on(honest, line)
                    } else {
                        ok(r#"{"error":true,"errors":{"token":"caducado"}}"#)
                    }
                })
            },
        )
        .calls(4)
        .ends(6, "delivered 2, pending 2")
        .requests(3..=4),
    ]
}
