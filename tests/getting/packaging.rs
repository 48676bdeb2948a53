//! The Debian package: its list of files, its units, its maintainer scripts, and the package itself, unpacked into a
//! directory. Nothing is ever installed on the machine that runs this.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use super::here;

const SCRIPTS: &str = "contrib/packaging/debian";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `[package.metadata.deb]`, as cargo reads it.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    all["packages"][0]["metadata"]["deb"].clone()
});

/// One line of the list: a file or pattern, where it goes, its mode.
struct Asset {
    from: String,
    to: String,
    mode: u32,
}

fn assets() -> Vec<Asset> {
    METADATA["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asset| {
            let text = |n: usize| asset[n].as_str().unwrap().to_owned();
            Asset {
                from: text(0),
                to: text(1),
                mode: u32::from_str_radix(&text(2), 8).unwrap(),
            }
        })
        .collect()
}

/// What contrib/packaging/stage makes of the program that these tests run.
fn staged() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(root().join("contrib/packaging/stage"))
        .arg(env!("CARGO_BIN_EXE_cdrelay"))
        .arg(directory.path().join("packaging"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    directory
}

/// The files that an asset's pattern means; a star stands for a whole name or its start.
fn files(asset: &Asset, staged: &Path) -> Vec<PathBuf> {
    if asset.from == "target/release/cdrelay" {
        return vec![PathBuf::from(env!("CARGO_BIN_EXE_cdrelay"))];
    }
    let path = match asset.from.strip_prefix("target/") {
        Some(made) => staged.join(made),
        None => root().join(&asset.from),
    };
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let Some((_, ending)) = name.split_once('*') else {
        return vec![path];
    };
    let mut found: Vec<PathBuf> = fs::read_dir(path.parent().unwrap())
        .unwrap_or_else(|why| panic!("{}: {why}", asset.from))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(ending))
        .collect();
    found.sort();
    found
}

/// Where each file of the package goes, without the leading slash.
fn placed(staged: &Path) -> BTreeMap<String, (PathBuf, u32)> {
    let mut all = BTreeMap::new();
    for asset in assets() {
        let found = files(&asset, staged);
        assert!(!found.is_empty(), "{} means nothing", asset.from);
        for file in found {
            assert!(file.is_file(), "{} is no file", file.display());
            let to = match asset.to.strip_suffix('/') {
                Some(folder) => format!("{folder}/{}", file.file_name().unwrap().to_str().unwrap()),
                None => asset.to.clone(),
            };
            let twice = all.insert(to.clone(), (file, asset.mode));
            assert!(twice.is_none(), "{to} twice");
        }
    }
    all
}

#[test]
fn the_package_has_the_program_its_units_its_manual_and_its_completions() {
    let staged = staged();
    let all = placed(staged.path());
    let mut expected: BTreeSet<String> = [
        "usr/bin/cdrelay",
        "usr/share/bash-completion/completions/cdrelay",
        "usr/share/zsh/vendor-completions/_cdrelay",
        "usr/share/fish/vendor_completions.d/cdrelay.fish",
        "usr/share/man/man1/cdrelay.1",
        "usr/share/man/man1/cdrelay-sync.1",
        "usr/share/man/man5/cdrelay.toml.5",
        "usr/share/doc/cdrelay/README.md",
        "usr/share/doc/cdrelay/examples/quickstart-freepbx.toml",
        "usr/share/doc/cdrelay/examples/cron",
    ]
    .map(str::to_owned)
    .into();
    for unit in fs::read_dir(root().join("contrib/systemd")).unwrap() {
        let name = unit.unwrap().file_name().into_string().unwrap();
        expected.insert(format!("usr/lib/systemd/system/{name}"));
    }
    for path in expected {
        assert!(all.contains_key(&path), "{path} is missing");
    }
    for (path, (_, mode)) in &all {
        let wanted = if path.starts_with("usr/bin/") {
            0o755
        } else {
            0o644
        };
        assert_eq!(*mode, wanted, "{path}");
        // `init` writes the configuration: one from the package would be a conffile that nobody may have edited.
        assert!(path.starts_with("usr/"), "{path}");
    }
}

#[test]
fn its_units_are_those_of_contrib_and_call_its_own_program() {
    let staged = staged();
    let mut called = 0;
    for (path, (file, _)) in placed(staged.path()) {
        let Some(name) = path.strip_prefix("usr/lib/systemd/system/") else {
            continue;
        };
        let text = fs::read_to_string(file).unwrap();
        let original = fs::read_to_string(root().join("contrib/systemd").join(name)).unwrap();
        assert_eq!(text.lines().count(), original.lines().count(), "{name}");
        for (line, before) in text.lines().zip(original.lines()) {
            if before.starts_with("Exec") && before.contains("cdrelay") {
                let (_, command) = line.split_once('=').unwrap();
                assert!(command.starts_with("/usr/bin/cdrelay "), "{name}: {line}");
                assert_eq!(
                    line.replace("/usr/bin/cdrelay", "cdrelay"),
                    before
                        .replace("/usr/bin/", "")
                        .replace("/usr/local/bin/", ""),
                    "{name}"
                );
                called += 1;
            } else {
                assert_eq!(line, before, "{name}");
            }
        }
    }
    assert!(called >= 4, "{called}");
}

/// A machine in a directory, for the maintainer scripts, and stand-ins for what would change the real one.
struct Scratch {
    root: tempfile::TempDir,
    fakes: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let scratch = Self {
            root: tempfile::tempdir().unwrap(),
            fakes: tempfile::tempdir().unwrap(),
        };
        for folder in ["etc", "var/lib"] {
            fs::create_dir_all(scratch.root.path().join(folder)).unwrap();
        }
        // A user who is not there; users, and files of other users, which only the real root could make.
        scratch.fake("getent", "exit 2");
        scratch.fake("adduser", "echo \"adduser $*\" >> \"$LOG\"");
        scratch.fake("systemctl", "echo \"systemctl $*\" >> \"$LOG\"");
        scratch.fake(
            "install",
            "echo \"install $*\" >> \"$LOG\"; for last in \"$@\"; do :; done; mkdir -p \"$last\"",
        );
        scratch
    }

    fn fake(&self, name: &str, script: &str) {
        let path = self.fakes.path().join(name);
        // Not by this process: the child that another test starts in this moment would have the file open for writing for a
        // while, and such a file cannot be executed.
        let written = Command::new("/bin/sh")
            .args([
                "-c",
                "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"",
                "sh",
            ])
            .arg(&path)
            .arg(script)
            .status()
            .unwrap();
        assert!(written.success());
    }

    /// Runs a maintainer script as dpkg does with `--root`; gives what it said and what it called.
    fn run(&self, script: &str, arguments: &[&str]) -> (String, String) {
        let log = self.fakes.path().join("log");
        let _ = fs::remove_file(&log);
        let output = Command::new("/bin/sh")
            .arg(root().join(SCRIPTS).join(script))
            .args(arguments)
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.fakes.path().display()),
            )
            .env("DPKG_ROOT", self.root.path())
            .env("LOG", &log)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{script} {arguments:?}: {output:?}"
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "",
            "{script} {arguments:?}"
        );
        let called = fs::read_to_string(&log).unwrap_or_default();
        let plain = |text: &str| text.replace(self.root.path().to_str().unwrap(), "ROOT");
        (
            plain(&String::from_utf8_lossy(&output.stdout)),
            plain(&called),
        )
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }
}

#[test]
fn maintainer_scripts_make_what_is_missing_and_keep_what_is_there_until_a_purge() {
    assert_eq!(METADATA["maintainer-scripts"], SCRIPTS);
    for script in fs::read_dir(root().join(SCRIPTS)).unwrap() {
        let path = script.unwrap().path();
        let checked = Command::new("/bin/sh")
            .arg("-n")
            .arg(&path)
            .output()
            .unwrap();
        assert!(
            checked.status.success() && checked.stderr.is_empty(),
            "{checked:?}"
        );
        assert_ne!(
            path.metadata().unwrap().permissions().mode() & 0o111,
            0,
            "{}",
            path.display()
        );
    }
    let machine = Scratch::new();
    let (said, called) = machine.run("postinst", &["configure", ""]);
    assert_eq!(
        said,
        "cdrelay: nothing runs yet; `sudo cdrelay init` writes the configuration and says how to schedule it.\n"
    );
    // No unit is enabled or started.
    assert_eq!(
        called,
        "adduser --system --quiet --group --home /var/lib/cdrelay --no-create-home --shell /usr/sbin/nologin cdrelay\n\
         install -d -o root -g cdrelay -m 0750 ROOT/etc/cdrelay\n\
         install -d -o cdrelay -g cdrelay -m 0700 ROOT/var/lib/cdrelay\n"
    );
    fs::write(machine.path("etc/cdrelay/cdrelay.toml"), "mine").unwrap();
    fs::write(machine.path("var/lib/cdrelay/ledger.db"), "mine").unwrap();
    let wants = machine.path("etc/systemd/system/timers.target.wants");
    fs::create_dir_all(&wants).unwrap();
    for timer in ["cdrelay.timer", "other.timer"] {
        fs::write(wants.join(timer), "").unwrap();
    }
    let services = machine.path("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&services).unwrap();
    for service in [
        "cdrelay-collect.service",
        "cdrelay-agi.service",
        "other.service",
    ] {
        fs::write(services.join(service), "").unwrap();
    }
    machine.fake("getent", "exit 0");
    assert_eq!(
        machine.run("postinst", &["configure", "0.1.0"]),
        (String::new(), String::new())
    );
    machine.run("prerm", &["upgrade", "0.2.0"]);
    machine.run("prerm", &["remove"]);
    machine.run("postrm", &["remove"]);
    assert!(machine.path("etc/cdrelay/cdrelay.toml").exists());
    assert!(machine.path("var/lib/cdrelay/ledger.db").exists());
    machine.run("postrm", &["purge"]);
    assert!(!machine.path("etc/cdrelay").exists() && !machine.path("var/lib/cdrelay").exists());
    assert!(!wants.join("cdrelay.timer").exists() && wants.join("other.timer").exists());
    assert!(!services.join("cdrelay-collect.service").exists());
    assert!(!services.join("cdrelay-agi.service").exists());
    assert!(services.join("other.service").exists());
}

/// The package put together by dpkg-deb itself from the same list and scripts: what a package has to hold does not need
/// cargo-deb, which takes minutes to install.
#[test]
fn the_package_unpacks_to_what_the_list_says() {
    let Some(dpkg) = here("dpkg-deb") else { return };
    let staged = staged();
    let all = placed(staged.path());
    let tree = tempfile::tempdir().unwrap();
    for (path, (file, mode)) in &all {
        let to = tree.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        // A stripped program is a tenth of it; nothing here runs it.
        if path == "usr/bin/cdrelay" {
            fs::write(&to, "#!/bin/sh\n").unwrap();
        } else {
            fs::copy(file, &to).unwrap();
        }
        fs::set_permissions(&to, fs::Permissions::from_mode(*mode)).unwrap();
    }
    let control = tree.path().join("DEBIAN");
    fs::create_dir(&control).unwrap();
    let text = |key: &str| {
        METADATA[key]
            .as_str()
            .unwrap_or_else(|| panic!("{key}"))
            .to_owned()
    };
    let depends = text("depends").replace("$auto", "libc6");
    fs::write(
        control.join("control"),
        format!(
            "Package: cdrelay\nVersion: {}-1\nArchitecture: amd64\nMaintainer: {}\nSection: {}\nPriority: {}\nDepends: {depends}\n\
             Description: {}\n",
            env!("CARGO_PKG_VERSION"),
            text("maintainer"),
            text("section"),
            text("priority"),
            env!("CARGO_PKG_DESCRIPTION")
        ),
    )
    .unwrap();
    for script in ["postinst", "prerm", "postrm"] {
        fs::copy(root().join(SCRIPTS).join(script), control.join(script)).unwrap();
    }
    let package = tree.path().with_extension("deb");
    let run = |arguments: &[&str]| {
        let output = Command::new(&dpkg).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let package_name = package.to_str().unwrap();
    run(&[
        "--build",
        "--root-owner-group",
        "-Znone",
        tree.path().to_str().unwrap(),
        package_name,
    ]);
    let about = run(&["--info", package_name]);
    for line in [" Package: cdrelay", " Depends: libc6, adduser"] {
        assert!(about.contains(line), "{about}");
    }
    let listed = run(&["--contents", package_name]);
    let unpacked = tempfile::tempdir().unwrap();
    run(&[
        "--extract",
        package_name,
        unpacked.path().join("root").to_str().unwrap(),
    ]);
    run(&[
        "--control",
        package_name,
        unpacked.path().join("control").to_str().unwrap(),
    ]);
    fs::remove_file(&package).unwrap();
    for (path, (_, mode)) in &all {
        assert!(unpacked.path().join("root").join(path).is_file(), "{path}");
        let rights = if *mode == 0o755 {
            "-rwxr-xr-x"
        } else {
            "-rw-r--r--"
        };
        let line = listed
            .lines()
            .find(|line| line.ends_with(&format!("./{path}")));
        let line = line.unwrap_or_else(|| panic!("{path} is not in\n{listed}"));
        assert!(line.starts_with(&format!("{rights} root/root ")), "{line}");
    }
    for script in ["postinst", "prerm", "postrm"] {
        let packed = fs::read(unpacked.path().join("control").join(script)).unwrap();
        assert_eq!(packed, fs::read(root().join(SCRIPTS).join(script)).unwrap());
    }
}

#[test]
fn the_container_runs_as_nobody_special_on_a_named_release() {
    let text = fs::read_to_string(root().join("contrib/packaging/Dockerfile")).unwrap();
    let bases: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "))
        .collect();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let rust = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \""))
        .unwrap();
    assert_eq!(bases.len(), 2);
    assert_eq!(
        bases[0],
        format!("rust:{}-slim-trixie AS build", rust.trim_end_matches('"'))
    );
    assert_eq!(bases[1], "debian:trixie-slim");
    let (_, last) = text.rsplit_once("\nFROM ").unwrap();
    assert!(last.contains("\nUSER cdrelay\n") && last.contains("--uid 10001"));
}
