//! docs/INSTALL.md, carried out.

use crate::booted::machine::sh;
use crate::booted::share;
use crate::life::purge;

pub fn every_command_of_the_page_works() {
    purge();
    let page = include_str!("../../docs/INSTALL.md");
    let place = share().join("page");
    sh(&format!(
        "mkdir -p {0} && ln -f {1} {0}/maestro_0.1.0-1_amd64.deb",
        place.display(),
        share().join("first.deb").display()
    ))
    .well();
    let blocks: Vec<&str> = page
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().expect("the block ends"))
        .collect();
    assert!(blocks.len() >= 8, "the page has its commands");
    for block in blocks {
        let script = format!(
            "set -eu -o pipefail; cd {}; export DEBIAN_FRONTEND=noninteractive TOKEN=eyJhIjoieCJ9\n{block}",
            place.display()
        );
        sh(&script).well();
    }
    assert_eq!(
        sh("command -v maestrod").code,
        Some(1),
        "the last of them leaves nothing"
    );
}
