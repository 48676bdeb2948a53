//! Bodies that are nearly a strict reply: none of them delivers.

use super::scene::pass_on;
use super::stage::{Case, always, case};
use super::tricks::{created, gzip_bomb, ok, raw, reshaped};
use super::unruly::{Reply, Unruly};

pub fn cases() -> Vec<Case> {
    let good = created(0);
    let bytes = |body: &[u8]| {
        let mut reply =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        reply.extend_from_slice(body);
        Reply::Send(reply)
    };
    let zipped = |mebibytes| {
        let body = gzip_bomb(mebibytes);
        let mut reply = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        reply.extend_from_slice(&body);
        Reply::Send(reply)
    };
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        always(
            "an_empty_200",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is empty",
            ok(""),
        ),
        always(
            "blanks",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is empty",
            ok(" \r\n\t"),
        ),
        always(
            "half_a_json",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: it \
             ends too early, line 1 column 14",
            ok(r#"{"error":false"#),
        ),
        always(
            "error_as_a_text",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is JSON, but \
             its `error` is neither true nor false",
            ok(r#"{"error":"false","phonecallId":1}"#),
        ),
        always(
            "error_as_a_number",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is JSON, but \
             its `error` is neither true nor false",
            ok(r#"{"error":0,"phonecallId":1}"#),
        ),
        always(
            "error_as_null",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is JSON, but \
             its `error` is neither true nor false",
            ok(r#"{"error":null,"phonecallId":1}"#),
        ),
        always(
            "no_error_at_all",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is JSON, but \
             has no `error`",
            ok(r#"{"phonecallId":1}"#),
        ),
        always(
            "error_in_capitals",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is JSON, but \
             has no `error`",
            ok(r#"{"Error":false,"phonecallId":1}"#),
        ),
        always(
            "error_twice",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: a \
             key occurs twice, line 1 column 21",
            ok(r#"{"error":true,"error":false}"#),
        ),
        always(
            "error_twice_once_escaped",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: a \
             key occurs twice, line 1 column 26",
            ok("{\"error\":true,\"\\u0065rror\":false}"),
        ),
        always(
            "any_key_twice",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: a \
             key occurs twice, line 1 column 29",
            ok(r#"{"error":false,"x":{"a":1,"a":2}}"#),
        ),
        always(
            "junk_behind_the_reply",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 53",
            ok(format!("{good}<!-- 12 ms -->")),
        ),
        always(
            "two_objects",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 53",
            ok(format!("{good}{good}")),
        ),
        always(
            "a_nul_behind_the_reply",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 53",
            ok(format!("{good}\0")),
        ),
        always(
            "a_warning_before_the_reply",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 1",
            ok(format!("Warning: mysql_connect(): denied\n{good}")),
        ),
        always(
            "a_list_around_the_reply",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is JSON, but \
             not an object",
            ok(format!("[{good}]")),
        ),
        always(
            "a_function_around_the_reply",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 1",
            ok(format!("callback({good})")),
        ),
        always(
            "a_comma_too_many",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 16",
            ok(r#"{"error":false,}"#),
        ),
        always(
            "single_quotes",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 2",
            ok("{'error':false}"),
        ),
        always(
            "python_false",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 10",
            ok(r#"{"error":False}"#),
        ),
        always(
            "not_a_number",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 30",
            ok(r#"{"error":false,"phonecallId":NaN}"#),
        ),
        always(
            "infinity",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 34",
            ok(r#"{"error":false,"phonecallId":1e999}"#),
        ),
        always(
            "a_lone_surrogate",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 27",
            ok(r#"{"error":false,"x":"\ud800"}"#),
        ),
        always(
            "a_line_end_within_a_text",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 2 column 0",
            ok("{\"error\":false,\"x\":\"a\nb\"}"),
        ),
        always(
            "invalid_utf_8",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 21",
            bytes(b"{\"error\":false,\"x\":\"\xff\xfe\"}"),
        ),
        always(
            "utf_16",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 2",
            bytes(&utf16),
        ),
        always(
            "two_byte_order_marks",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 1",
            ok(format!("\u{feff}\u{feff}{good}")),
        ),
        always(
            "nested_without_end",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 146",
            ok("{\"error\":false,\"x\":".to_owned() + &"[".repeat(60_000)),
        ),
        always(
            "a_gzip_file",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 1",
            zipped(0),
        ),
        always(
            "a_gzip_bomb",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 1",
            zipped(10),
        ),
        always(
            "plain_text",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: \
             the syntax is wrong, line 1 column 1",
            ok("OK"),
        ),
        always(
            "a_web_page_again_and_again",
            "cdrelay: the CRM answered with a web page instead of JSON again and again: \
             the CRM answered 200, but the reply is an HTML page; check `target.url` and \
             whether a login page stands in front of the web service",
            raw(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: \
             36\r\n\r\n<!DOCTYPE html><title>Log in</title>",
            ),
        )
        .ends(6, "pending 2")
        .requests(5..=5),
        always(
            "a_notice_in_html_before_the_reply",
            "cdrelay: the CRM answered with a web page instead of JSON again and again: \
             the CRM answered 200, but the reply is an HTML page; check `target.url` and \
             whether a login page stands in front of the web service",
            ok(format!("<br />\n<b>Notice</b>: Undefined index\n{good}")),
        )
        .ends(6, "pending 2")
        .requests(5..=5),
        case("a_web_page_once", "", |stage| {
            let honest = stage.honest.addr;
            Unruly::start(move |n, line| {
                if n == 0 {
                    ok("<html>one moment</html>")
                } else {
                    pass_on(honest, line)
                }
            })
        })
        .ends(0, "delivered 2")
        .requests(3..=3),
        // Odd, and yet strict.
        reshaped("a_byte_order_mark", "", |_, _, body| {
            ok(format!("\u{feff}{body}"))
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        reshaped("blanks_around_the_reply", "", |_, _, body| {
            ok(format!("\r\n {body} \t\n"))
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        reshaped("huge_ids", "", |_, _, _| {
            ok(format!(
                r#"{{"error":false,"contactId":{n},"phonecallId":-{n}}}"#,
                n = "9".repeat(40)
            ))
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        reshaped("ids_of_other_types", "", |_, _, _| {
            ok(r#"{"error":false,"contactId":[1],"phonecallId":{"id":1.5}}"#)
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
    ]
}
