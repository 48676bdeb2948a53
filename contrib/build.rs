//! Says how the program is linked: Cargo.toml has no word for it.

fn main() {
    println!("cargo::rerun-if-changed=contrib/build.rs");
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        // Tables of pointers, those of the time zones' names above all, need 73,000 relocations: 1.7 MB in the usual form,
        // 8 kB in this one. glibc reads it since 2.36 (Debian 12); a linker that does not know it warns and goes on.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
