//! The program's own source text, read far enough to say which paths a file names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// One file of `src`, without the parts that only tests see.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// From the crate's root, such as `src/cdr/clock.rs`.
    pub(crate) path: String,
    /// As it stands.
    pub(crate) text: String,
    /// Without tests, comments and the contents of literals; line breaks are kept.
    pub(crate) code: String,
    /// Every path of two segments or more and every import, `self` and `super` resolved.
    pub(crate) paths: BTreeSet<String>,
}

impl SourceFile {
    /// Whether it names `wanted`: one segment is a crate, several stand anywhere in a path.
    pub(crate) fn names(&self, wanted: &str) -> Option<&str> {
        let wanted: Vec<&str> = wanted.split("::").collect();
        self.paths.iter().map(String::as_str).find(|path| {
            let segments: Vec<&str> = path.split("::").collect();
            match wanted[..] {
                [one] => segments[0] == one,
                _ => segments
                    .windows(wanted.len())
                    .any(|window| window == wanted),
            }
        })
    }

    /// Lines of code: neither blank nor a comment, before the tests.
    pub(crate) fn lines(&self) -> usize {
        let code = self.code.lines();
        code.filter(|line| !line.trim().is_empty()).count()
    }
}

/// Every file of `src` that is not for tests alone.
pub(crate) fn files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut read = BTreeMap::new();
    let mut for_tests = BTreeSet::new();
    for path in rust_files(&root.join("src")) {
        let text = fs::read_to_string(&path).expect("readable");
        let (code, children) = without_tests(&blank_out(&text));
        for child in children {
            for_tests.insert(submodules(&path).join(format!("{child}.rs")));
        }
        read.insert(path, (text, code));
    }
    read.into_iter()
        .filter(|(path, _)| !for_tests.contains(path))
        .map(|(path, (text, code))| {
            let inside = path.strip_prefix(root).expect("below the root");
            let paths = paths(&code, &module(inside));
            let path = inside.to_str().expect("UTF-8").to_owned();
            SourceFile {
                path,
                text,
                code,
                paths,
            }
        })
        .collect()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Where the files of a file's submodules lie.
fn submodules(path: &Path) -> PathBuf {
    let directory = path.parent().expect("a directory");
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") => directory.to_owned(),
        Some(stem) => directory.join(stem),
        None => panic!("{}", path.display()),
    }
}

/// `src/cdr/clock.rs` is `crate::cdr::clock`.
fn module(path: &Path) -> Vec<String> {
    let mut segments = vec!["crate".to_owned()];
    let named = path.with_extension("");
    let parts = named
        .iter()
        .skip(1)
        .map(|part| part.to_str().expect("UTF-8"));
    segments.extend(
        parts
            .filter(|part| !matches!(*part, "mod" | "lib" | "main"))
            .map(str::to_owned),
    );
    segments
}

/// Comments and the contents of literals become blanks, so that words in them are no code.
pub(crate) fn blank_out(text: &str) -> String {
    let tokens = Regex::new(concat!(
        r"(?s)//[^\n]*",
        r"|/\*.*?\*/",
        r####"|\bb?r"[^"]*"|\bb?r#".*?"#|\bb?r##".*?"##"####,
        r#"|"(?:\\.|[^"\\])*""#,
        r"|'(?:\\u\{[0-9a-fA-F]+\}|\\x[0-9a-fA-F]{2}|\\.|[^'\\\n])'",
    ))
    .expect("an expression");
    let blank = |found: &regex::Captures<'_>| -> String {
        let keep = |c: char| if c == '\n' { '\n' } else { ' ' };
        found[0].chars().map(keep).collect()
    };
    tokens.replace_all(text, blank).into_owned()
}

/// Cuts every item under `#[cfg(test)]` out; also the names of modules that are files for tests alone.
pub(crate) fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let attribute = Regex::new(r"^\s*#!?\[[^\]]*\]").expect("an expression");
    let child = Regex::new(r"^\s*(?:pub(?:\([^)]*\))? )?mod (\w+)\s*;").expect("an expression");
    let (mut left, mut rest, mut children) = (String::new(), code, Vec::new());
    while let Some(at) = rest.find(MARK) {
        left.push_str(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        while let Some(found) = attribute.find(rest) {
            rest = &rest[found.end()..];
        }
        if let Some(found) = child.captures(rest) {
            children.push(found[1].to_owned());
        }
        rest = &rest[end_of_item(rest)..];
    }
    left.push_str(rest);
    (left, children)
}

/// Behind the first `;` outside braces, or the brace that closes the first one.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Every path that the code of `module` names, resolved.
pub(crate) fn paths(code: &str, module: &[String]) -> BTreeSet<String> {
    let import = Regex::new(r"\buse\s+([^;]+);").expect("an expression");
    let inline = Regex::new(r"[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+").expect("an expression");
    let mut found = Vec::new();
    for tree in import.captures_iter(code) {
        expand(&tree[1], &[], &mut found);
    }
    let body = import.replace_all(code, "");
    for path in inline.find_iter(&body) {
        found.push(path.as_str().split("::").map(str::to_owned).collect());
    }
    found
        .into_iter()
        .map(|path| resolve(path, module).join("::"))
        .collect()
}

/// `a::{b, c::{self, d}}` is `a::b`, `a::c` and `a::c::d`.
fn expand(tree: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (head, branches) = match tree.split_once('{') {
        Some((head, branches)) => (head, branches.strip_suffix('}')),
        None => (tree, None),
    };
    let head = head.split(" as ").next().unwrap_or_default();
    let mut path = before.to_vec();
    path.extend(
        head.split("::")
            .map(str::trim)
            .filter(|segment| !segment.is_empty())
            .map(str::to_owned),
    );
    let Some(branches) = branches else {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        found.push(path);
        return;
    };
    let (mut depth, mut from) = (0, 0);
    for (at, c) in branches.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&branches[from..at], &path, found);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !branches[from..].trim().is_empty() {
        expand(&branches[from..], &path, found);
    }
}

fn resolve(path: Vec<String>, module: &[String]) -> Vec<String> {
    let up = path
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    if up > 0 {
        let mut resolved = module[..module.len().saturating_sub(up)].to_vec();
        resolved.extend(path.into_iter().skip(up));
        return resolved;
    }
    if path.first().is_some_and(|first| first == "self") {
        let mut resolved = module.to_vec();
        resolved.extend(path.into_iter().skip(1));
        return resolved;
    }
    path
}
