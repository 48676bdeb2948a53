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
        always("an_empty_200", ok("")),
        always("blanks", ok(" \r\n\t")),
        always("half_a_json", ok(r#"{"error":false"#)),
        always("error_as_a_text", ok(r#"{"error":"false","phonecallId":1}"#)),
        always("error_as_a_number", ok(r#"{"error":0,"phonecallId":1}"#)),
        always("error_as_null", ok(r#"{"error":null,"phonecallId":1}"#)),
        always("no_error_at_all", ok(r#"{"phonecallId":1}"#)),
        always("error_in_capitals", ok(r#"{"Error":false,"phonecallId":1}"#)),
        always("error_twice", ok(r#"{"error":true,"error":false}"#)),
        always("error_twice_once_escaped", ok("{\"error\":true,\"\\u0065rror\":false}")),
        always("any_key_twice", ok(r#"{"error":false,"x":{"a":1,"a":2}}"#)),
        always("junk_behind_the_reply", ok(format!("{good}<!-- 12 ms -->"))),
        always("two_objects", ok(format!("{good}{good}"))),
        always("a_nul_behind_the_reply", ok(format!("{good}\0"))),
        always("a_warning_before_the_reply", ok(format!("Warning: mysql_connect(): denied\n{good}"))),
        always("a_list_around_the_reply", ok(format!("[{good}]"))),
        always("a_function_around_the_reply", ok(format!("callback({good})"))),
        always("a_comma_too_many", ok(r#"{"error":false,}"#)),
        always("single_quotes", ok("{'error':false}")),
        always("python_false", ok(r#"{"error":False}"#)),
        always("not_a_number", ok(r#"{"error":false,"phonecallId":NaN}"#)),
        always("infinity", ok(r#"{"error":false,"phonecallId":1e999}"#)),
        always("a_lone_surrogate", ok(r#"{"error":false,"x":"\ud800"}"#)),
        always("a_line_end_within_a_text", ok("{\"error\":false,\"x\":\"a\nb\"}")),
        always("invalid_utf_8", bytes(b"{\"error\":false,\"x\":\"\xff\xfe\"}")),
        always("utf_16", bytes(&utf16)),
        always("two_byte_order_marks", ok(format!("\u{feff}\u{feff}{good}"))),
        always("nested_without_end", ok("{\"error\":false,\"x\":".to_owned() + &"[".repeat(60_000))),
        always("a_gzip_file", zipped(0)),
        always("a_gzip_bomb", zipped(10)),
        always("plain_text", ok("OK")),
        always("a_web_page_again_and_again", raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 36\r\n\r\n<!DOCTYPE html><title>Log in</title>"))
            .ends(6, "pending 2").requests(5..=5),
        always("a_notice_in_html_before_the_reply", ok(format!("<br />\n<b>Notice</b>: Undefined index\n{good}")))
            .ends(6, "pending 2").requests(5..=5),
        case("a_web_page_once", |stage| {
            let honest = stage.honest.addr;
            Unruly::start(move |n, line| if n == 0 { ok("<html>one moment</html>") } else { pass_on(honest, line) })
        }).ends(0, "delivered 2").requests(3..=3),
        // Odd, and yet strict.
        reshaped("a_byte_order_mark", |_, _, body| ok(format!("\u{feff}{body}"))).ends(0, "delivered 2").requests(2..=2),
        reshaped("blanks_around_the_reply", |_, _, body| ok(format!("\r\n {body} \t\n"))).ends(0, "delivered 2").requests(2..=2),
        reshaped("huge_ids", |_, _, _| ok(format!(r#"{{"error":false,"contactId":{n},"phonecallId":-{n}}}"#, n = "9".repeat(40))))
            .ends(0, "delivered 2").requests(2..=2),
        reshaped("ids_of_other_types", |_, _, _| ok(r#"{"error":false,"contactId":[1],"phonecallId":{"id":1.5}}"#))
            .ends(0, "delivered 2").requests(2..=2),
    ]
}
