//! Answers that come to the wrong question.

use std::sync::Mutex;

use super::scene::pass_on;
use super::stage::{Case, case};
use super::tricks::{answer, created, ok, reshaped};
use super::unruly::{Reply, Unruly};

pub fn cases() -> Vec<Case> {
    vec![
        // Each call gets the answer of the one before: the effects are there, and ids are only ever shown.
        case("the_answer_of_the_previous_call", "", |stage| {
            let honest = stage.honest.addr;
            let last = Mutex::new(created(0));
            Unruly::start(move |_, line| {
                let (_, body) = answer(pass_on(honest, line));
                ok(std::mem::replace(&mut *last.lock().unwrap(), body))
            })
        })
        .calls(6)
        .ends(0, "delivered 6")
        .requests(6..=6),
        // Two answers with one id can be two calls that the CRM took for one; a third cannot.
        case(
            "one_id_for_all_calls",
            "cdrelay: the CRM reported phonecallId 5000 for 3 different calls as created: \
             its answers do not belong to the calls they answer; ask its administrator",
            |_| Unruly::always(ok(created(0))),
        )
        .calls(5)
        .ends(6, "pending 5")
        .requests(3..=5),
        case(
            "one_id_for_all_calls_as_a_text",
            "cdrelay: the CRM reported phonecallId 77 for 3 different calls as created: \
             its answers do not belong to the calls they answer; ask its administrator",
            |_| Unruly::always(ok(r#"{"error":false,"contactId":"1","phonecallId":"77"}"#)),
        )
        .calls(5)
        .ends(6, "pending 5")
        .requests(3..=5),
        // Zero is what a CRM without ids says.
        reshaped("id_zero_for_all_calls", "", |_, _, _| {
            ok(r#"{"error":false,"contactId":0,"phonecallId":0}"#)
        })
        .calls(5)
        .ends(0, "delivered 5")
        .requests(5..=5),
        case("every_third_request_fails", "", |stage| {
            let honest = stage.honest.addr;
            Unruly::start(move |n, line| {
                if n % 3 == 2 {
                    Reply::Json(500, String::new())
                } else {
                    pass_on(honest, line)
                }
            })
        })
        .calls(9)
        .ends(0, "delivered 9")
        .requests(13..=13),
    ]
}
