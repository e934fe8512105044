//! What becomes of starts that fail.

use crate::booted::machine::{eventually, property, sh};
use crate::house::{House, UNIT};

pub fn a_bad_configuration_is_shown_by_systemctl_status_and_not_tried_again() {
    let house = House::new();
    house.configure("[listen]\nprot = 4000\n");
    assert_ne!(sh("systemctl start maestro").code, Some(0));
    assert_eq!(property(UNIT, "ActiveState"), "failed");
    assert_eq!(property(UNIT, "ExecMainStatus"), "78");
    assert_eq!(property(UNIT, "NRestarts"), "0");
    let shown = sh("systemctl status maestro --no-pager --full").said;
    for part in [
        "Status: \"cannot start: ",
        "/etc/maestro/maestro.toml:",
        "listen.port",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    let errors = "-u maestro -t maestrod -p err -o cat";
    house.journal_says(errors, &["listen.prot", "maestrod check"]);
}

pub fn a_place_that_cannot_be_written_is_not_tried_again() {
    let house = House::new();
    house.drop_in("[Service]\nEnvironment=MAESTRO_STATE_DIR=/etc/maestro/state\n");
    assert_ne!(sh("systemctl start maestro").code, Some(0));
    assert_eq!(property(UNIT, "ExecMainStatus"), "73");
    assert_eq!(property(UNIT, "ActiveState"), "failed");
    assert_eq!(property(UNIT, "NRestarts"), "0");
    assert!(property(UNIT, "StatusText").contains("/etc/maestro/state"));
}

pub fn a_port_that_is_taken_is_tried_until_it_is_free() {
    let house = House::new();
    let squatter = std::net::TcpListener::bind("127.0.0.1:3000").expect("free");
    sh("systemctl start --no-block maestro").well();
    eventually("it is tried again", || {
        property(UNIT, "NRestarts")
            .parse::<u32>()
            .ok()
            .filter(|tries| *tries >= 2)
    });
    house.journal_says("-u maestro -p err -o cat", &["is taken by another program"]);
    drop(squatter);
    eventually("it is up", || {
        (property(UNIT, "ActiveState") == "active").then_some(())
    });
}
