//! Broken framing: what came is no reply, or nobody can tell where it ends.

use super::stage::{Case, always};
use super::tricks::{chunked, created, framed, ok, raw, reshaped, then_flood};
use super::unruly::{Act, Reply, reply};

pub fn cases() -> Vec<Case> {
    let good = created(0);
    let length = good.len();
    vec![
        always(
            "half_a_status_line",
            "cdrelay: 2 calls pending: no complete reply: connection closed before message \
             completed",
            raw("HTTP/1.1 20"),
        ),
        always(
            "half_a_head",
            "cdrelay: 2 calls pending: no complete reply: connection closed before message \
             completed",
            raw("HTTP/1.1 200 OK\r\nContent-Le"),
        ),
        always(
            "noise_instead_of_http",
            "cdrelay: 2 calls pending: no complete reply: invalid HTTP version parsed",
            raw("\0\u{1}\u{2}\u{3}\r\n\r\n"),
        ),
        always(
            "http_0_9",
            "cdrelay: 2 calls pending: no complete reply: invalid HTTP version parsed",
            raw(good.clone()),
        ),
        always(
            "http_2_0",
            "cdrelay: 2 calls pending: no complete reply: invalid HTTP version parsed",
            raw(format!(
                "HTTP/2.0 200 OK\r\nContent-Length: {length}\r\n\r\n{good}"
            )),
        ),
        always(
            "a_status_that_is_no_number",
            "cdrelay: 2 calls pending: no complete reply: invalid HTTP status-code parsed",
            raw(format!(
                "HTTP/1.1 2x0 OK\r\nContent-Length: {length}\r\n\r\n{good}"
            )),
        ),
        always(
            "an_ssh_server",
            "cdrelay: 2 calls pending: no complete reply: invalid HTTP version parsed",
            raw("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        ),
        always(
            "content_length_too_long",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: end of file before message length \
             reached",
            framed(&format!("Content-Length: {}\r\n", length + 1), &good),
        ),
        always(
            "content_length_that_cuts_the_reply",
            "cdrelay: 2 calls pending: the CRM answered 200, but the reply is not JSON: it \
             ends too early, line 1 column 20",
            framed("Content-Length: 20\r\n", &good),
        ),
        always(
            "content_length_twice",
            "cdrelay: 2 calls pending: no complete reply: invalid content-length parsed",
            framed(
                &format!(
                    "Content-Length: {length}\r\nContent-Length: {}\r\n",
                    length - 1
                ),
                &good,
            ),
        ),
        always(
            "content_length_negative",
            "cdrelay: 2 calls pending: no complete reply: invalid content-length parsed",
            framed("Content-Length: -1\r\n", &good),
        ),
        always(
            "content_length_no_number",
            "cdrelay: 2 calls pending: no complete reply: invalid content-length parsed",
            framed("Content-Length: 0x3b\r\n", &good),
        ),
        always(
            "content_length_beyond_all_numbers",
            "cdrelay: 2 calls pending: no complete reply: invalid content-length parsed",
            framed("Content-Length: 99999999999999999999999\r\n", &good),
        ),
        always(
            "content_length_of_a_list",
            "cdrelay: 2 calls pending: no complete reply: invalid content-length parsed",
            framed(
                &format!("Content-Length: {length}, {}\r\n", length - 1),
                &good,
            ),
        ),
        always(
            "chunk_size_that_is_no_number",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: Invalid chunk size line: missing size \
             digit",
            chunked(&format!("zz\r\n{good}\r\n0\r\n\r\n")),
        ),
        always(
            "chunks_without_an_end",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: unexpected EOF during chunk size line",
            chunked(&format!("{length:x}\r\n{good}\r\n")),
        ),
        always(
            "chunk_longer_than_it_says",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: Invalid chunk body CR",
            chunked(&format!("{:x}\r\n{good}\r\n0\r\n\r\n", length - 1)),
        ),
        always(
            "chunk_shorter_than_it_says",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: Invalid chunk body CR",
            chunked(&format!("{:x}\r\n{good}\r\n0\r\n\r\n", length + 1)),
        ),
        always(
            "chunk_size_beyond_all_numbers",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: invalid chunk size: overflow",
            chunked(&format!("fffffffffffffffff\r\n{good}\r\n0\r\n\r\n")),
        ),
        always(
            "chunk_size_negative",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: Invalid chunk size line: missing size \
             digit",
            chunked(&format!("-1\r\n{good}\r\n0\r\n\r\n")),
        ),
        always(
            "chunks_with_half_a_last_one",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: unexpected EOF during chunk size line",
            chunked(&format!("{length:x}\r\n{good}\r\n0\r\n")),
        ),
        always(
            "endless_chunk_extension",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: chunk extensions over limit",
            then_flood(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3b;",
                "extension",
            ),
        ),
        always(
            "endless_trailers",
            "cdrelay: 2 calls pending: no complete reply: error reading a body from connection: chunk trailers count overflow",
            then_flood(
                &format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: \
             chunked\r\n\r\n{length:x}\r\n{good}\r\n0\r\n"
                ),
                "a: b\r\n",
            ),
        ),
        always(
            "endless_header",
            "cdrelay: 2 calls pending: no complete reply: message head is too large",
            then_flood("HTTP/1.1 200 OK\r\nx: ", "yyyyyyyy"),
        ),
        always(
            "endless_headers",
            "cdrelay: 2 calls pending: no complete reply: message head is too large",
            then_flood("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        ),
        always(
            "a_thousand_cookies",
            "cdrelay: 2 calls pending: no complete reply: message head is too large",
            raw(format!(
                "HTTP/1.1 200 OK\r\n{}\r\n",
                "Set-Cookie: a=b\r\n".repeat(1000)
            )),
        ),
        always(
            "endless_interim_replies_at_full_speed",
            "cdrelay: 2 calls pending: no complete reply within 1s",
            then_flood("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ),
        always(
            "switching_protocols",
            "cdrelay: 2 calls pending: the CRM answered 101 (not a status of this service)",
            raw(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: \
             websocket\r\n\r\n",
            ),
        ),
        always(
            "a_gibibyte_in_chunks",
            "cdrelay: 2 calls pending: the reply is longer than 64 KiB",
            then_flood(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                &format!("1000\r\n{}\r\n", "x".repeat(4096)),
            ),
        ),
        always(
            "a_gibibyte_declared",
            "cdrelay: 2 calls pending: the reply is longer than 64 KiB",
            then_flood(
                "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n",
                "xxxxxxxx",
            ),
        ),
        always(
            "a_gibibyte_until_the_end",
            "cdrelay: 2 calls pending: the reply is longer than 64 KiB",
            then_flood("HTTP/1.1 200 OK\r\n\r\n", "        "),
        ),
        // What is whole counts, however it is framed.
        reshaped("http_1_0", "", |_, _, body| {
            raw(format!(
                "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n{body}"
            ))
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        reshaped("chunk_by_chunk", "", |_, _, body| {
            let mut chunks = String::new();
            for c in body.chars() {
                chunks.push_str(&format!("{:x};x=y\r\n{c}\r\n", c.len_utf8()));
            }
            Reply::Send(
                format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\nTrailer: \
             x\r\n\r\n"
                )
                .into_bytes(),
            )
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        reshaped(
            "interim_replies_and_then_an_answer",
            "",
            |_, status, body| {
                let interim =
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
                Reply::Send(
                    format!(
                        "{interim}HTTP/1.1 {status} OK\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    )
                    .into_bytes(),
                )
            },
        )
        .ends(0, "delivered 2")
        .requests(2..=2),
        reshaped("content_length_twice_and_the_same", "", |_, _, body| {
            let length = format!("Content-Length: {}\r\n", body.len());
            Reply::Send(format!("HTTP/1.1 200 OK\r\n{length}{length}\r\n{body}").into_bytes())
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        // RFC 9112, section 6.3: the chunks decide, whatever the length says.
        reshaped("content_length_beside_chunks", "", |_, _, body| {
            framed(
                "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
            )
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        // What stands behind a whole reply is no answer to the next call.
        reshaped("two_replies_at_once", "", |n, status, body| {
            let mut both = reply(status, &[], body);
            both.extend(reply(200, &[], &created(100 + n)));
            Reply::Acts(vec![Act::Write(both), Act::Mute])
        })
        .calls(6)
        .ends(0, "delivered 6")
        .requests(6..=6)
        .retried(0),
        reshaped("content_length_too_short", "", |_, _, body| {
            let mut long = reply(200, &[], body);
            long.extend(b"{\"error\":false}");
            Reply::Acts(vec![Act::Write(long), Act::Mute])
        })
        .calls(6)
        .ends(0, "delivered 6")
        .requests(6..=6)
        .retried(0),
        reshaped("a_reply_in_many_pieces", "", |_, _, body| {
            let whole = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            Reply::Acts(whole.bytes().map(|byte| Act::Write(vec![byte])).collect())
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
        always(
            "a_body_of_a_megabyte",
            "cdrelay: 2 calls pending: the reply is longer than 64 KiB",
            ok(format!("{}{good}", " ".repeat(1_000_000))),
        ),
        always(
            "a_body_one_byte_too_long",
            "cdrelay: 2 calls pending: the reply is longer than 64 KiB",
            ok(format!("{good}{}", " ".repeat(65_537 - length))),
        ),
        reshaped("a_body_of_64_kib", "", |_, _, body| {
            ok(format!("{body}{}", " ".repeat(65_536 - body.len())))
        })
        .ends(0, "delivered 2")
        .requests(2..=2),
    ]
}
