//! Connections that are refused, reset, closed or silent.

use std::time::Duration;

use super::scene::{closed_port, pass_on, with};
use super::stage::{Backstage, Case, always, case};
use super::tricks::{answer, created, first_request_fails, ok, reshaped, then_mute};
use super::unruly::{Act, Reply, Unruly, reply};

/// What a connection that is dropped looks like from this side, whichever news comes first.
pub const DROPPED: [&str; 7] = [
    "cdrelay: 2 calls pending: no connection to the CRM: tcp connect error: Connection reset by peer \
     (os error 104)",
    "cdrelay: 2 calls pending: no complete reply: operation was canceled: \
             connection closed before message completed",
    "cdrelay: 2 calls pending: no complete reply: operation was canceled: \
             connection error: Connection reset by peer (os error 104)",
    "cdrelay: 2 calls pending: no complete reply: connection closed before message \
             completed",
    "cdrelay: 2 calls pending: no complete reply: connection error: Connection \
             reset by peer (os error 104)",
    "cdrelay: 2 calls pending: no complete reply: connection error: Broken pipe \
             (os error 32)",
    "cdrelay: 2 calls pending: no complete reply: operation was canceled: \
             connection was not ready",
];

/// Long enough for a reply to be read, and shorter than the time between two requests of [`slowly`].
const MOMENT: Duration = Duration::from_millis(30);

/// One request a second, so that a connection is idle between them.
fn slowly(config: &str, _stage: &Backstage) -> String {
    with(config, "target", "max_rps = 1")
}

pub fn cases() -> Vec<Case> {
    vec![
        always(
            "a_mute_server",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            Reply::Silence,
        ),
        case(
            "mute_after_the_connection",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            |_| Unruly::greeting(vec![Act::Mute], |_, _| ok(created(0))),
        )
        .requests(0..=0),
        always(
            "mute_after_the_head",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            then_mute("HTTP/1.1 200 OK\r\nContent-Length: 59\r\n\r\n"),
        ),
        always(
            "mute_within_the_head",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            then_mute("HTTP/1.1 200 OK\r\nContent-"),
        ),
        always(
            "mute_within_the_body",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            then_mute("HTTP/1.1 200 OK\r\nContent-Length: 59\r\n\r\n{\"error\":"),
        ),
        always(
            "a_body_drop_by_drop",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            Reply::Drip(
                b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{".to_vec(),
                b" ".to_vec(),
            ),
        ),
        always(
            "a_head_drop_by_drop",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            Reply::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), b"y".to_vec()),
        ),
        always(
            "interim_replies_drop_by_drop",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            Reply::Drip(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        ),
        always(
            "mute_after_a_503",
            "cdrelay: 2 calls pending: the CRM answered 503 (service unavailable); it asks \
             to be left alone for 1h",
            then_mute("HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 9\r\n\r\n"),
        )
        .impatient()
        .requests(1..=1),
        always(
            "mute_after_a_403",
            "cdrelay: the CRM answered 403: it forbids the request; ask its administrator \
             whether this machine and user may use the web service",
            then_mute("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n"),
        )
        .impatient()
        .ends(6, "pending 2")
        .requests(1..=1),
        case(
            "a_closed_port",
            "cdrelay: 2 calls pending: no connection to the CRM: tcp connect error: \
             Connection refused (os error 111)",
            |_| Unruly::always(Reply::Close),
        )
        .edit(|config, _| {
            let url = config
                .lines()
                .find(|line| line.starts_with("url = \"http"))
                .unwrap();
            config.replace(
                url,
                &format!("url = \"http://127.0.0.1:{}\"", closed_port()),
            )
        })
        .requests(0..=0),
        case(
            "closed_before_the_request",
            "cdrelay: 2 calls pending: no complete reply: operation was canceled: \
             connection closed before message completed",
            |_| Unruly::greeting(vec![Act::Close], |_, _| ok(created(0))),
        )
        .requests(0..=0)
        .or_says(&DROPPED),
        case(
            "reset_before_the_request",
            "cdrelay: 2 calls pending: no complete reply: connection error: Connection \
             reset by peer (os error 104)",
            |_| Unruly::greeting(vec![Act::Reset], |_, _| ok(created(0))),
        )
        .requests(0..=0)
        .or_says(&DROPPED),
        always(
            "closed_after_the_request",
            "cdrelay: 2 calls pending: no complete reply: connection closed before message \
             completed",
            Reply::Close,
        )
        .or_says(&DROPPED),
        always(
            "reset_after_the_request",
            "cdrelay: 2 calls pending: no complete reply: connection error: Connection \
             reset by peer (os error 104)",
            Reply::Acts(vec![Act::Reset]),
        )
        .or_says(&DROPPED),
        always(
            "half_closed_after_the_request",
            "cdrelay: 2 calls pending: no complete reply: connection closed before message \
             completed",
            Reply::Acts(vec![Act::HalfClose, Act::Mute]),
        )
        .or_says(&DROPPED),
        always(
            "reset_within_the_body",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: Connection reset by peer (os error 104)",
            Reply::Acts(vec![
                Act::Write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 59\r\n\r\n{\"error\":false".to_vec(),
                ),
                Act::Pause(Duration::from_millis(50)),
                Act::Reset,
            ]),
        ),
        case(
            "another_protocol_speaks_first",
            "cdrelay: 2 calls pending: no complete reply: invalid HTTP version parsed",
            |_| {
                Unruly::greeting(
                    vec![Act::Write(b"220 mail.example ESMTP\r\n".to_vec())],
                    |_, _| Reply::Close,
                )
            },
        )
        .requests(0..=6)
        .or_says(&[
            "cdrelay: 2 calls pending: no complete reply: operation was canceled: received \
             unexpected message from connection",
            "cdrelay: 2 calls pending: no complete reply: received unexpected message from \
             connection",
        ]),
        // An idle connection that is closed costs no call, no retry and no second.
        reshaped("closed_while_idle", "", |_, status, body| {
            Reply::Acts(vec![
                Act::Write(reply(status, &[], body)),
                Act::Pause(MOMENT),
                Act::Close,
            ])
        })
        .calls(6)
        .edit(slowly)
        .ends(0, "delivered 6")
        .requests(6..=6)
        .retried(0),
        reshaped("reset_while_idle", "", |_, status, body| {
            Reply::Acts(vec![
                Act::Write(reply(status, &[], body)),
                Act::Pause(MOMENT),
                Act::Reset,
            ])
        })
        .calls(6)
        .edit(slowly)
        .ends(0, "delivered 6")
        .requests(6..=6)
        .retried(0),
        // The news of the end and the next request can cross: that looks like a request that is hung up on.
        case("hung_up_on_a_kept_connection", "", |stage| {
            let honest = stage.honest.addr;
            Unruly::start(move |n, line| {
                if n == 1 {
                    Reply::Close
                } else {
                    pass_on(honest, line)
                }
            })
        })
        .ends(0, "delivered 2")
        .requests(3..=3)
        // Counted, since it left twice; asked again at once and outside the budget, or the run would have rested.
        .retried(1),
        // A new connection that is closed with the request in hand was not idle: the budget pays, so a call gets three
        // requests and no more.
        case(
            "a_new_connection_is_never_idle",
            "cdrelay: 1 call pending: no complete reply: connection closed before message \
             completed",
            |stage| {
                let honest = stage.honest.addr;
                Unruly::start(move |n, line| {
                    if n == 0 {
                        let (status, body) = answer(pass_on(honest, line));
                        let closing = [("Connection", "close")];
                        Reply::Acts(vec![Act::Write(reply(status, &closing, &body)), Act::Close])
                    } else {
                        Reply::Close
                    }
                })
            },
        )
        .ends(4, "delivered 1, pending 1")
        .requests(4..=4)
        .retried(2),
        reshaped(
            "an_unasked_reply_on_an_idle_connection",
            "",
            |n, status, body| {
                Reply::Acts(vec![
                    Act::Write(reply(status, &[], body)),
                    Act::Pause(MOMENT),
                    Act::Write(reply(200, &[], &created(100 + n))),
                    Act::Mute,
                ])
            },
        )
        .calls(6)
        .edit(slowly)
        .ends(0, "delivered 6")
        .requests(6..=6)
        .retried(0),
        first_request_fails("closed_before_the_effect", "", false, || Reply::Close)
            .ends(0, "delivered 2")
            .requests(4..=4),
        first_request_fails("closed_after_the_effect", "", true, || Reply::Close)
            .ends(0, "delivered 2")
            .requests(4..=4),
        first_request_fails("reset_after_the_effect", "", true, || {
            Reply::Acts(vec![Act::Reset])
        })
        .ends(0, "delivered 2")
        .requests(4..=4),
        first_request_fails("mute_after_the_effect", "", true, || Reply::Silence)
            .impatient()
            .ends(0, "delivered 2")
            .requests(4..=4),
        first_request_fails("half_an_answer_after_the_effect", "", true, || {
            Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 59\r\n\r\n{ \"error\": fal".to_vec())
        })
        .ends(0, "delivered 2")
        .requests(4..=4),
        case(
            "every_answer_is_lost_after_the_effect",
            "cdrelay: 2 calls pending: no complete reply: connection closed before message \
             completed",
            |stage| {
                let honest = stage.honest.addr;
                Unruly::start(move |_, line| {
                    pass_on(honest, line);
                    Reply::Close
                })
            },
        ),
    ]
}
