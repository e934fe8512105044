//! The unit's sandbox: it lets through what we need, and nothing more.

use serde_json::json;

use crate::booted::machine::{eventually, property, rights, sh, write};
use crate::harness::Ask;
use crate::house::{House, UNIT, ask, main_pid, make_project, projects, status_says};

pub fn everything_works_within_the_sandbox() {
    let house = House::new();
    house.configure(&house.edge("{}", "mode = \"quick\""));
    house.start();

    // REST and Socket.IO.
    make_project("Boxed");
    assert_eq!(projects(), ["Boxed"]);
    let hello = ask(Ask::new("GET", "/socket.io/?EIO=4&transport=polling"));
    assert!(
        hello.status == 200 && hello.text().starts_with("0{\"sid\""),
        "{}",
        hello.text()
    );

    // Redis, with what is kept in it.
    let project = ask(Ask::new("GET", "/api/projects")).expect(200)[0]["id"].clone();
    let session = |name: &str| {
        let body = json!({"projectId": project, "taskIds": [], "name": name});
        let made = ask(Ask::new("POST", "/api/sessions").json(&body)).expect(201);
        made["id"].as_str().expect("an id").to_owned()
    };
    let (from, to) = (session("From"), session("To"));
    let mail = json!({"projectId": project, "fromSessionId": from, "toSessionId": to, "type": "directive",
        "subject": "Hello", "body": {}});
    ask(Ask::new("POST", "/api/mail").json(&mail)).expect(201);
    let inbox = ask(Ask::new(
        "GET",
        format!("/api/mail/inbox/{to}?projectId={}", project.as_str().unwrap()),
    ));
    assert!(inbox.text().contains("Hello"), "{}", inbox.text());
    let keys = sh("redis-cli -s /run/maestro/redis.sock --scan --pattern 'maestro:mail:*'").well();
    assert!(!keys.trim().is_empty(), "the mail is in redis");

    // The tunnel, down to the pid of its program.
    sh("maestroctl pair --no-wait --json").well();
    status_says("tunnel ready");
    assert_eq!(house.edge_starts().len(), 1);

    // An agent of another user: the hub sees its process, and at once when it dies.
    sh("id worker 2>/dev/null || useradd --system worker").well();
    let agent = format!(
        "cd / && (MAESTRO_SERVER_URL=http://localhost:3000 setsid runuser -u worker -- \
         maestroctl agent run --session {to} -- sleep 4711 &) </dev/null >/dev/null 2>&1"
    );
    sh(&agent).well();
    status_says("1 agent");
    sh("pkill -KILL -u worker -f 'sleep 4711'").well();
    eventually("its session has failed", || {
        let now = ask(Ask::new("GET", format!("/api/sessions/{to}"))).expect(200);
        (now["status"] == "failed").then_some(())
    });
    status_says("no agents");

    // Our own remote control, and the kernel's word on the sandbox.
    sh("maestroctl status --wait ready").well();
    let status = sh(&format!("cat /proc/{}/status", main_pid())).well();
    for line in ["CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    assert_eq!(property(UNIT, "NRestarts"), "0");
}

pub fn its_directories_are_closed_to_everybody_else() {
    let house = House::new();
    house.start();
    for place in [
        "/var/lib/maestro",
        "/var/lib/maestro/data",
        "/run/maestro",
        "/var/log/maestro",
    ] {
        assert_eq!(rights(place), "maestro:maestro 700", "{place}");
    }
    let loose = "find /var/lib/maestro /run/maestro /var/log/maestro ! -type l -perm /077";
    assert_eq!(sh(loose).well(), "", "nothing below them is open to anybody");
    assert_eq!(
        rights("/etc/maestro"),
        "root:maestro 750",
        "root reads a secret from there"
    );
    sh("runuser -u nobody -- maestroctl --socket /run/maestro/control.sock status").ended(4);
}

pub fn it_can_write_nowhere_else() {
    let house = House::new();
    write("/root/secret", "x");
    // The same sandbox, another program: what would a maestrod taken over be able to do?
    let tries = "for file in /etc/maestro/x /usr/bin/x /home/x /root/secret /dev/sda /proc/sys/kernel/hostname; do \
                 (: >>$file) 2>/dev/null && echo \"$file is writable\"; done; \
                 cat /root/secret 2>/dev/null; unshare -U true 2>/dev/null && echo namespaces; \
                 : >>/var/lib/maestro/mine && : >>/run/maestro/mine && echo done";
    write("/opt/tries", &format!("#!/bin/sh\n{tries}\n"));
    sh("chmod 755 /opt/tries").well();
    house.drop_in("[Service]\nType=exec\nRestart=no\nExecStart=\nExecStart=/opt/tries\n");
    sh("systemctl start maestro").well();
    eventually("it is done", || {
        (property(UNIT, "ActiveState") == "inactive").then_some(())
    });
    let said = house.journal_says("-u maestro -t tries -o cat", &["done"]);
    assert_eq!(said.trim(), "done", "{said}");
}
