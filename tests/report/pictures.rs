//! The pictures at the head of README: the demonstration as a terminal shows it, and the page that it leaves.
//!
//! `contrib/pictures/make` makes them anew; what the first one shows is held against what the demonstration prints.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::chromium::{Chromium, Look};
use super::shown::{blocks, printed_as_shown, shape};

/// Characters of a line, before it is broken.
const COLUMNS: usize = 104;

/// Units of a line and of a character, and the room around the text.
const LINE: usize = 20;
const CHARACTER: f64 = 8.4;
const MARGIN: usize = 22;
const BAR: usize = 38;

/// Most bytes of a picture.
const LARGEST: u64 = 200 * 1024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn picture(name: &str) -> PathBuf {
    root().join("contrib/pictures").join(name)
}

/// Runs the demonstration in a directory of its own, and gives what it prints.
fn demonstration(directory: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cdrelay"))
        .args(["demo", "--dir", "demo"])
        .current_dir(directory)
        .env_remove("CDRELAY_CONFIG")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The lines that README shows of it, as it printed them now; `[…]` where some are left out.
fn excerpt(printed: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let shown = blocks(&readme, "console")
        .into_iter()
        .find(|block| block.starts_with("$ cargo run --release -- demo\n"))
        .expect("README shows the demonstration");
    let mut lines = printed.lines();
    let mut shown_lines = shown.lines();
    let mut excerpt = vec![shown_lines.next().unwrap().to_owned()];
    for line in shown_lines {
        if line == "[…]" {
            excerpt.push(line.to_owned());
            continue;
        }
        let found = lines.find(|printed| shape(printed) == shape(line));
        excerpt.push(
            found
                .unwrap_or_else(|| panic!("not printed: {line}"))
                .to_owned(),
        );
    }
    excerpt
}

/// Breaks a line at blanks; what follows is set in by what the line itself is set in, and two more.
fn broken(line: &str) -> Vec<String> {
    let mut rest = line;
    let mut lines = Vec::new();
    let margin = " ".repeat(line.len() - line.trim_start().len() + 2);
    loop {
        let indent = if lines.is_empty() { "" } else { &margin };
        let room = COLUMNS - indent.len();
        if rest.chars().count() <= room {
            lines.push(format!("{indent}{rest}"));
            return lines;
        }
        let end = rest
            .char_indices()
            .nth(room)
            .map_or(rest.len(), |(at, _)| at);
        let at = rest[..end].rfind(' ').unwrap_or(end);
        lines.push(format!("{indent}{}", &rest[..at]));
        rest = rest[at..].trim_start();
    }
}

/// A terminal with these lines, as an SVG.
fn terminal(lines: &[String]) -> String {
    let broken: Vec<(&'static str, String)> = lines
        .iter()
        .flat_map(|line| {
            let class = match line {
                line if line.starts_with("$ ") => "c",
                line if line.starts_with("# ") || line == "[…]" => "s",
                line if line.starts_with("Everything ") || line.starts_with("The CRM now") => "g",
                _ => "t",
            };
            broken(line).into_iter().map(move |line| (class, line))
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a hundred columns")]
    let width = (COLUMNS as f64)
        .mul_add(CHARACTER, 2.0 * MARGIN as f64)
        .ceil();
    let height = BAR + LINE * broken.len() + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"t\">\n\
         <title id=\"t\">What `cdrelay demo` prints</title>\n\
         <style>text{{font:14px ui-monospace,\"SF Mono\",Menlo,Consolas,\"DejaVu Sans Mono\",\"Liberation Mono\",monospace;white-space:pre;fill:#d5dde5}}\
         .c{{fill:#7cc4ff;font-weight:600}}.s{{fill:#8b98a5}}.g{{fill:#7fd8a4}}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"10\" fill=\"#12171d\"/>\n"
    );
    for (n, colour) in ["#e0685c", "#dfb04a", "#5fb878"].iter().enumerate() {
        let _ = writeln!(
            svg,
            "<circle cx=\"{}\" cy=\"19\" r=\"6\" fill=\"{colour}\"/>",
            MARGIN + 4 + 20 * n
        );
    }
    for (n, (class, line)) in broken.iter().enumerate() {
        if line.is_empty() {
            continue;
        }
        let escaped = line.replace('&', "&amp;").replace('<', "&lt;");
        let y = BAR + LINE * n + 15;
        let _ = writeln!(
            svg,
            "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{escaped}</text>"
        );
    }
    svg + "</svg>\n"
}

/// The lines of the terminal in a picture, broken as they are.
fn lines_of(svg: &str) -> Vec<String> {
    svg.lines()
        .filter_map(|line| line.strip_prefix("<text ")?.strip_suffix("</text>"))
        .map(|line| line.split_once('>').unwrap().1)
        .map(|line| line.replace("&lt;", "<").replace("&amp;", "&"))
        .collect()
}

#[test]
fn the_picture_of_the_demonstration_shows_what_it_prints() {
    let directory = tempfile::tempdir().unwrap();
    let printed = demonstration(directory.path());
    let svg = std::fs::read_to_string(picture("demo.svg")).unwrap();
    let drawn = terminal(&excerpt(&printed));
    // A line can break elsewhere where its numbers have more digits: all of them together are compared.
    let text = |svg: &str| shape(&lines_of(svg).join(" "));
    assert_eq!(text(&svg), text(&drawn));
    assert!(lines_of(&svg).len() > 15, "{svg}");
    assert_eq!(
        svg.lines().next().map(shape),
        drawn.lines().next().map(shape)
    );
}

#[test]
#[should_panic(expected = "not printed: The CRM now holds")]
fn a_line_that_the_demonstration_does_not_print_is_not_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let printed = demonstration(directory.path());
    excerpt(&printed.replace("The CRM now holds", "Somebody holds"));
}

#[test]
fn readme_shows_the_pictures_and_they_are_small() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for name in ["demo.svg", "report.png", "report-dark.png"] {
        let metadata = std::fs::metadata(picture(name)).unwrap();
        assert!(metadata.len() < LARGEST, "{name}: {} bytes", metadata.len());
        assert!(
            readme.contains(&format!("contrib/pictures/{name}")),
            "{name}"
        );
    }
    let svg = std::fs::read_to_string(picture("demo.svg")).unwrap();
    for word in ["<script", "href", "@import", "url(", "<image"] {
        assert!(!svg.contains(word), "{word}");
    }
}

#[test]
#[ignore = "makes the pictures anew: contrib/pictures/make"]
fn the_pictures_are_made() {
    let directory = tempfile::tempdir().unwrap();
    let printed = demonstration(directory.path());
    let lines = excerpt(&printed);
    printed_as_shown(&lines[1..].join("\n"), &printed);
    std::fs::create_dir_all(picture("")).unwrap();
    std::fs::write(picture("demo.svg"), terminal(&lines)).unwrap();
    let mut browser = Chromium::start();
    for (name, dark) in [("report.png", false), ("report-dark.png", true)] {
        let look = Look {
            width: 1_160,
            height: 900,
            dark,
        };
        browser.look(look);
        browser.open(&directory.path().join("demo/report.html"));
        browser.screenshot(&picture(name), Some(1_100));
    }
}
