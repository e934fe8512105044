//! What is in the package.

use crate::booted::machine::sh;
use crate::booted::share;
use crate::life::{install, purge};

pub fn the_programs_link_nothing_but_the_c_library() {
    purge();
    install("first.deb");
    for program in ["maestrod", "maestroctl"] {
        let linked = sh(&format!("ldd /usr/bin/{program}")).well();
        let names = linked.lines().filter_map(|line| line.split_whitespace().next());
        let names = names.map(|name| name.rsplit('/').next().unwrap_or(name));
        for name in names {
            let plain = ["linux-vdso.so", "libc.so", "libm.so", "libgcc_s.so", "ld-linux"];
            assert!(
                plain.iter().any(|plain| name.starts_with(plain)),
                "{program} links {name}:\n{linked}"
            );
        }
    }
    let depends = sh(&format!(
        "dpkg-deb -f {} Depends",
        share().join("first.deb").display()
    ))
    .well();
    let names = depends
        .split(',')
        .map(|one| one.split_whitespace().next().unwrap_or_default());
    assert_eq!(names.collect::<Vec<_>>(), ["libc6", "systemd"], "{depends}");

    // Every shell can read what it is given, and the manual has its pages.
    sh("bash -n /usr/share/bash-completion/completions/maestroctl").well();
    sh("test -s /usr/share/zsh/vendor-completions/_maestroctl -a -s /usr/share/fish/vendor_completions.d/maestroctl.fish").well();
    let pages = sh("zcat /usr/share/man/man1/maestroctl.1.gz /usr/share/man/man8/maestrod.8.gz").well();
    assert!(pages.contains("SYNOPSIS"));
    sh("systemd-analyze verify --recursive-errors=yes --man=no maestro.service maestro.socket").well();
}

/// Answered: there is no bug of Debian's to close, no address of a maintainer, and the programs are stripped for the test.
const ANSWERED: &str = "initial-upload-closes-no-bugs,bogus-mail-host,bogus-mail-host-in-debian-changelog";

pub fn lintian_has_no_complaint_that_is_not_answered() {
    if sh("command -v lintian").code != Some(0) {
        return; // said by tests/install-deps.sh, which installs it where it can
    }
    let package = share().join("first.deb");
    let line = format!(
        "lintian --allow-root --no-tag-display-limit --suppress-tags {ANSWERED} {}",
        package.display()
    );
    let said = sh(&line).said;
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("E:") || line.starts_with("W:"))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
