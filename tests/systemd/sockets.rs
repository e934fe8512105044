//! Socket activation: systemd listens, we serve.

use std::thread;

use crate::booted::machine::{eventually, property, sh, write};
use crate::harness::Ask;
use crate::house::{House, UNIT, ask, make_project, projects};

pub fn the_first_connection_starts_it_and_none_is_refused_while_it_restarts() {
    let house = House::new();
    house.configure("[listen]\nport = 3999\n"); // not used: the socket unit says where
    sh("systemctl start maestro.socket").well();
    assert_eq!(property(UNIT, "ActiveState"), "inactive");
    make_project("First"); // answered, though nothing ran yet
    is_active();
    let status = sh("maestroctl status --wait ready").well();
    assert!(status.contains("127.0.0.1:3000 [::1]:3000"), "{status}");
    house.journal_says("-u maestro -o cat", &["listen.host and listen.port are not used"]);

    let restart = thread::spawn(|| sh("systemctl restart maestro").well());
    while !restart.is_finished() {
        // `Ask` fails the story if the connection is refused; an answer may be a 503 of a hub that stops.
        let answer = ask(Ask::new("GET", "/health"));
        assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
    }
    restart.join().expect("restarted");
    assert_eq!(projects(), ["First"]);

    sh("systemctl stop maestro.service").well();
    assert_eq!(projects(), ["First"], "the next connection starts it anew");
    is_active();
}

/// It answers before it is ready.
fn is_active() {
    eventually("it is active", || {
        (property(UNIT, "ActiveState") == "active").then_some(())
    });
}

pub fn a_socket_that_other_machines_reach_is_refused() {
    let house = House::new();
    write(
        "/run/systemd/system/maestro.socket.d/story.conf",
        "[Socket]\nListenStream=\nListenStream=0.0.0.0:3000\n",
    );
    sh("systemctl daemon-reload && systemctl start maestro.socket").well();
    sh("systemctl start maestro.service");
    eventually("it has given up", || {
        (property(UNIT, "ActiveState") == "failed").then_some(())
    });
    assert_eq!(property(UNIT, "ExecMainStatus"), "78");
    let said = ["`hub`", "0.0.0.0:3000", "listen.allow_insecure_lan"];
    house.journal_says("-u maestro -p err -o cat", &said);
}
