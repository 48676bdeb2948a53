//! The subscriber of asterCC's nginx push channel, against a real nginx with a push module (Nchan).

use std::path::Path;
use std::time::Duration;

use crate::stage::{Stage, ask, inbound, outbound, post, wait};
use crate::support::{Daemon, directory, free_port, program};
use crate::{INBOUND, OUTBOUND};

/// Where Debian's libnginx-mod-nchan puts it.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

struct Nginx {
    port: u16,
    _daemon: Daemon,
}

fn nginx() -> Nginx {
    assert!(
        Path::new(MODULE).exists(),
        "{MODULE} is not installed: run contrib/test, which installs the servers that the tests need"
    );
    let root = directory("nginx");
    let port = free_port();
    let config = format!(
        "load_module {MODULE};\ndaemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/error.log;\n\
         events {{ worker_connections 64; }}\nhttp {{\n access_log off;\n client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
         server {{\n listen 127.0.0.1:{port};\n\
         location /pub {{ nchan_publisher; nchan_channel_id $arg_id; nchan_message_timeout 1h; nchan_message_buffer_length 100; }}\n\
         location /sub {{ nchan_subscriber longpoll; nchan_channel_id $arg_id; nchan_subscriber_first_message oldest; nchan_subscriber_timeout 2s; }}\n\
         }}\n}}\n",
        root.display()
    );
    let file = root.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let command = [
        program("nginx", &[]).display().to_string(),
        "-p".to_owned(),
        root.display().to_string(),
        "-e".to_owned(),
        root.join("error.log").display().to_string(),
        "-c".to_owned(),
        file.display().to_string(),
    ];
    let daemon = Daemon::start(&command, "KILL", &root, &root.join("log"));
    daemon.wait("nginx", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    Nginx {
        port,
        _daemon: daemon,
    }
}

impl Nginx {
    fn publish(&self, message: &str) {
        let addr = ([127, 0, 0, 1], self.port).into();
        let reply = ask(addr, &post("/pub?id=team-20", "", message));
        assert!(matches!(reply.status, 201 | 202), "{reply:?}");
    }
}

/// Waits until the collector counts so many events of this outcome.
#[track_caller]
fn until_counted(stage: &Stage, outcome: &str, events: u64) {
    let line = format!(
        "cdrelay_collector_events_total{{job=\"cdrelay\",dialect=\"astercc\",outcome=\"{outcome}\"}} {events}\n"
    );
    let metrics = || stage.get("/metrics").body;
    wait(|| metrics().contains(&line), metrics);
}

#[test]
fn events_of_a_push_channel_become_rows_and_a_restart_goes_on_where_it_was() {
    let nginx = nginx();
    // Before anybody listens, and all within one second: the channel numbers such messages.
    for message in &OUTBOUND[..4] {
        nginx.publish(message);
    }
    let mut stage = Stage::new(&format!(
        "settle = \"300ms\"\n[collector.astercc]\nsubscribe = \"http://127.0.0.1:{}/sub?id=team-20\"",
        nginx.port
    ));
    stage.start();
    nginx.publish("what is no event is passed over");
    for message in &OUTBOUND[4..] {
        nginx.publish(message);
    }
    nginx.publish("nor is this, which comes last");
    stage.wait_for_rows(&[outbound()]);
    // The row is there before the last message is; this one, once all before it are kept.
    until_counted(&stage, "refused", 2);
    // While it is down, more comes.
    stage.kill();
    for message in &INBOUND[..3] {
        nginx.publish(message);
    }
    stage.start();
    // Longer than the channel lets a poll wait: it is asked again.
    std::thread::sleep(Duration::from_secs(3));
    for message in &INBOUND[3..] {
        nginx.publish(message);
    }
    stage.wait_for_rows(&[outbound(), inbound()]);
    // What was taken before the kill was not asked for again.
    until_counted(&stage, "taken", 6);
    assert_eq!(stage.stop().code, 0);
}
