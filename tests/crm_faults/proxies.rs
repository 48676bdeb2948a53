//! A proxy that the environment names is never used: it would see the token.

use super::stage::{Backstage, Patience, configured, run, scene};
use super::tls;

const NAMES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "FTP_PROXY",
    "socks_proxy",
];

#[test]
fn no_proxy_of_the_environment_sees_a_request() {
    let stage = Backstage::new();
    let trap = stage.trap.url();
    let socks = trap.replace("http:", "socks5:");
    for proxy in [
        trap.as_str(),
        socks.as_str(),
        stage.trap.addr.to_string().as_str(),
    ] {
        let mut env: Vec<(&str, &str)> = NAMES.iter().map(|name| (*name, proxy)).collect();
        env.extend([("NO_PROXY", ""), ("no_proxy", ""), ("REQUEST_METHOD", "")]);
        let scene = scene(3);
        scene.point_at_with(stage.honest.url.as_str(), |config| {
            configured(config, true, Patience::Usual)
        });
        let ran = run(&scene.program, &["sync"], &env);
        assert_eq!(ran.code, 0, "{ran:?}");
        let before = tls::good(&stage);
        scene.point_at_with(&before.url(), |config| {
            tls::with_ca(&configured(config, true, Patience::Usual), &stage)
        });
        let ran = run(&scene.program, &["sync", "--resend"], &env);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(before.seen().len(), 3);
    }
    assert_eq!(stage.trap.connections(), 0);
}
