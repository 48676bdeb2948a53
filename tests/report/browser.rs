//! The page in a real browser: it renders, complains about nothing, asks for nothing, and fits a phone.

use std::net::TcpListener;

use cdrelay::ledger::Missing;

use super::chromium::{Chromium, DESK, Look, PHONE};
use super::program::Program;
use super::stage::{Entry, Fate, HOSTILE, Ran, fill, now, program};

const DAY: i64 = 86_400;

/// Runs and calls of a ledger, with its name and the window to look at.
type Case = (&'static str, Vec<Ran>, Vec<Entry>, Vec<&'static str>);

/// Ledgers of every size, each with its name and the window to look at.
fn ledgers() -> Vec<(&'static str, Program, Vec<&'static str>)> {
    let now = now();
    let spread = |count: i64, days: i64| -> Vec<Entry> {
        (0..count)
            .map(|n| {
                let fate = match n % 11 {
                    0 => Fate::Unmatched,
                    1 if n % 3 == 0 => Fate::Rejected("duration out of range".to_owned()),
                    _ => Fate::Delivered,
                };
                let entry = Entry::delivered(
                    now - days * DAY + n * days * DAY / count,
                    &format!("9{}", 2_000_000 + n % 97 * 1_013),
                );
                Entry {
                    duration: (n * 37 % 1_500).unsigned_abs(),
                    ..entry.with(fate)
                }
            })
            .collect()
    };
    let hourly = |days: i64| -> Vec<Ran> {
        (0..days * 4)
            .map(|n| {
                Ran::ended(
                    now - days * DAY + n * DAY / 4,
                    if n % 37 < 3 { 4 } else { 0 },
                )
            })
            .collect()
    };
    let mut killed = hourly(3);
    for run in &mut killed {
        run.end = None;
    }
    let outlier = vec![
        Entry {
            duration: u64::MAX,
            ..Entry::delivered(now - DAY, "92853348")
        },
        Entry::delivered(-60_000_000_000, "92853348"),
        Entry::delivered(now - 60, "92853348"),
    ];
    let cases: Vec<Case> = vec![
        ("empty", vec![], vec![], vec![]),
        ("only runs", hourly(9), vec![], vec![]),
        ("one call", hourly(1), spread(1, 1), vec![]),
        ("one day", hourly(1), spread(300, 1), vec![]),
        ("360 days", hourly(40), spread(4_000, 358), vec![]),
        (
            "ten years",
            hourly(2),
            spread(3_000, 3_650),
            vec!["--since", "2000-01-01"],
        ),
        (
            "an outlier",
            hourly(2),
            outlier,
            vec!["--since", "0001-01-01"],
        ),
        ("killed runs", killed, spread(40, 3), vec![]),
        ("hostile", hourly(2), hostile(now), vec![]),
    ];
    cases
        .into_iter()
        .map(|(name, runs, entries, window)| {
            let program = program();
            if !runs.is_empty() {
                fill(&program, &runs, &entries);
            }
            (name, program, window)
        })
        .collect()
}

/// Every hostile text in every place that the ledger has for one.
fn hostile(now: i64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (n, text) in HOSTILE.iter().enumerate() {
        let text = (*text).to_owned();
        for (m, fate) in [
            Fate::Unmatched,
            Fate::Rejected(text.clone()),
            Fate::Held(text.clone()),
            Fate::Pending(3, text.clone()),
            Fate::Delivered,
            Fate::InFlight,
        ]
        .into_iter()
        .enumerate()
        {
            let at = now - 900 - 10 * (n as i64) - m as i64;
            entries.push(Entry {
                source: text.clone(),
                sent: text.clone(),
                drift: fate == Fate::Delivered,
                missing: if fate == Fate::InFlight {
                    Missing::Row
                } else {
                    Missing::Nothing
                },
                ..Entry::delivered(at, &format!("9{text}{}", "0".repeat(80))).with(fate)
            });
        }
    }
    entries
}

#[track_caller]
fn page(program: &Program, window: &[&str]) -> std::path::PathBuf {
    let mut args = vec!["report", "--html", "report.html"];
    args.extend(window);
    let ran = program.run(&args);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    program.path("report.html")
}

#[test]
fn every_page_renders_silently_asks_for_nothing_and_fits_a_phone() {
    let mut browser = Chromium::start();
    for (name, program, window) in ledgers() {
        let file = page(&program, &window);
        for look in [DESK, PHONE, DESK.dark(), PHONE.dark()] {
            browser.look(look);
            browser.open(&file);
            let (requests, complaints) = browser.requests_and_complaints();
            assert_eq!(requests, [format!("file://{}", file.display())], "{name}");
            assert_eq!(complaints, Vec::<String>::new(), "{name}");
            let width = browser.evaluate("document.documentElement.scrollWidth");
            assert!(
                width.as_u64() <= Some(u64::from(look.width)),
                "{name}: {width} of {look:?}"
            );
            rendered(&mut browser, name, look);
            // Kept for as long as this test runs, or for somebody to look at where CDRELAY_SHOTS names a directory.
            let scheme = if look.dark { "dark" } else { "light" };
            let shot = format!("{}-{}-{scheme}.png", name.replace(' ', "-"), look.width);
            let shot = match std::env::var_os("CDRELAY_SHOTS") {
                Some(directory) => std::path::Path::new(&directory).join(shot),
                None => program.path(&shot),
            };
            browser.screenshot(&shot, None);
            let picture = std::fs::read(&shot).unwrap();
            assert!(
                picture.starts_with(b"\x89PNG\r\n") && picture.len() > 10_000,
                "{name}"
            );
        }
        let printed = browser.print();
        assert!(
            printed.starts_with(b"%PDF-") && printed.len() > 10_000,
            "{name}"
        );
    }
}

/// Style and charts are there, one size of each, and everything that is said stands on the page.
#[track_caller]
fn rendered(browser: &mut Chromium, name: &str, look: Look) {
    let background = browser.evaluate("getComputedStyle(document.body).backgroundColor");
    let expected = if look.dark {
        "rgb(15, 20, 25)"
    } else {
        "rgb(244, 246, 248)"
    };
    assert_eq!(background, expected, "{name}: the style sheet applies");
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().unwrap();
    for heading in [
        "Calls over time",
        "When calls are made",
        "How long calls last",
        "Numbers without a contact",
        "What the rules do",
        "Runs",
        "Worth a look",
        "America/Caracas",
    ] {
        assert!(text.contains(heading), "{name}: {heading} is not in {text}");
    }
    for word in ["NaN", "inf", "Some(", "None"] {
        assert!(
            !text.split_whitespace().any(|found| found == word),
            "{name}: {word}"
        );
    }
    let sizes = browser.evaluate(
        "[...document.querySelectorAll('svg.chart')].map(e => [e.classList[1], e.getBoundingClientRect().width > 0])",
    );
    for size in sizes.as_array().unwrap() {
        let wide = size[0] == "wide";
        assert_eq!(size[1], wide == (look.width > 760), "{name}: {sizes}");
    }
    let unnamed = browser.evaluate(
        "[...document.querySelectorAll('svg[role=img]')].filter(e => !e.getAttribute('aria-labelledby').split(' ').every(id => document.getElementById(id)?.textContent)).length",
    );
    assert_eq!(
        unnamed, 0,
        "{name}: each chart has a title and a description"
    );
    let twice = browser.evaluate(
        "{const ids = [...document.querySelectorAll('[id]')].map(e => e.id); ids.length - new Set(ids).size}",
    );
    assert_eq!(twice, 0, "{name}: no id stands twice");
}

#[test]
fn hostile_texts_stay_texts() {
    let mut browser = Chromium::start();
    let program = program();
    let now = now();
    let mut runs = vec![Ran::ended(now - 7_200, 0)];
    for text in HOSTILE {
        runs.push(Ran {
            started: now - 3_600,
            mode: "incremental",
            end: Some((4, text.to_owned())),
        });
    }
    fill(&program, &runs, &hostile(now));
    let config = super::golden::config("url = \"sqlite:cdr.db\"", "http://127.0.0.1:9");
    let config = config.replace("name = \"local\"", &format!("name = '''{}'''", HOSTILE[1]));
    program.configure(&format!("job = \"{}\"\n{config}", "cdrelay"));
    browser.look(DESK);
    browser.open(&page(&program, &[]));
    let (requests, complaints) = browser.requests_and_complaints();
    assert_eq!((requests.len(), complaints), (1, vec![]));
    let title = browser.evaluate("document.title");
    assert_eq!(title, "cdrelay: calls in the CRM");
    let foreign = browser.evaluate(
        "[document.scripts.length, document.images.length, document.links.length, document.styleSheets.length, \
         document.querySelectorAll('iframe,object,embed,form,input,base,[style],a').length, \
         [...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on') || /javascript:/i.test(a.value)).length]",
    );
    assert_eq!(foreign, serde_json::json!([0, 0, 0, 1, 0, 0]));
    let text = browser.evaluate("document.body.textContent");
    let text = text.as_str().unwrap();
    for hostile in &HOSTILE[..8] {
        // A number is shortened where it is none, and the reasons of runs are not.
        assert!(text.contains(hostile), "{hostile}");
    }
    assert!(
        text.contains("\\u{1b}[2J\\r\\n\\u{202e}\\u{2066}\\u{200b}\\u{feff}\\u{0}\\u{9b}FORGED")
    );
}

#[test]
fn the_policy_lets_nothing_in_even_where_escaping_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let program = program();
    fill(
        &program,
        &[Ran::ended(now() - 60, 0)],
        &[Entry::delivered(now() - 600, "92853348")],
    );
    let file = page(&program, &[]);
    let intruder = format!(
        "<script>document.title='owned'</script><img src=\"http://127.0.0.1:{port}/img\" onerror=\"document.title='owned'\">\
         <svg onload=\"document.title='owned'\"></svg><iframe src=\"http://127.0.0.1:{port}/frame\"></iframe>\
         <link rel=\"stylesheet\" href=\"http://127.0.0.1:{port}/style\"><style>h1{{display:none}}</style>\
         <p style=\"background:url(http://127.0.0.1:{port}/paint)\">intruder</p></body>"
    );
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("</body>", &intruder);
    std::fs::write(&file, text).unwrap();
    let mut browser = Chromium::start();
    browser.look(DESK);
    browser.open(&file);
    assert_eq!(
        browser.evaluate("document.title"),
        "cdrelay: calls in the CRM"
    );
    assert_eq!(
        browser.evaluate("document.querySelector('h1').getBoundingClientRect().height > 0"),
        true
    );
    let (_, complaints) = browser.requests_and_complaints();
    assert!(complaints.len() >= 5, "{complaints:#?}");
    for complaint in &complaints {
        assert!(complaint.contains("Content Security Policy"), "{complaint}");
    }
    let asked = listener.accept();
    assert!(asked.is_err(), "somebody connected: {asked:?}");
}
