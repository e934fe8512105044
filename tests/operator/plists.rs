//! The plists are what launchd reads: strictly parsed, and held against the keys it knows.

use std::process::Command;

use crate::{Desk, code, text};

/// launchd.plist(5). plistlib is strict; launchd ignores what it does not know, so a slip would pass there unseen.
const CHECK: &str = r#"
import pathlib, plistlib, sys

KNOWN = {
    "Label": str, "UserName": str, "ProgramArguments": list, "RunAtLoad": bool, "KeepAlive": dict, "ThrottleInterval": int,
    "ExitTimeOut": int, "AbandonProcessGroup": bool, "EnvironmentVariables": dict, "SoftResourceLimits": dict,
    "HardResourceLimits": dict, "WorkingDirectory": str, "StandardOutPath": str, "StandardErrorPath": str,
    "Disabled": bool, "GroupName": str, "Program": str, "RootDirectory": str, "Umask": int, "ProcessType": str,
    "Nice": int, "StandardInPath": str, "SessionCreate": bool, "LimitLoadToSessionType": (str, list),
}
LIMITS = {"Core", "CPU", "Data", "FileSize", "MemoryLock", "NumberOfFiles", "NumberOfProcesses", "ResidentSetSize", "Stack"}
CONDITIONS = {"SuccessfulExit", "Crashed", "PathState", "OtherJobEnabled", "AfterInitialDemand", "NetworkState"}

def texts(value):
    if isinstance(value, str): yield value
    elif isinstance(value, dict):
        for one in value.values(): yield from texts(one)
    elif isinstance(value, list):
        for one in value: yield from texts(one)

path = pathlib.Path(sys.argv[1])
plist = plistlib.loads(path.read_bytes())
for key, value in plist.items():
    assert key in KNOWN, f"launchd knows no {key}"
    expected = KNOWN[key] if isinstance(KNOWN[key], tuple) else (KNOWN[key],)
    assert type(value) in expected, f"{key} is {value!r}"
assert plist["Label"] == path.name.removesuffix(".plist") == "dev.maestro.maestrod"
assert plist["ProgramArguments"][0].startswith("/") and plist["ProgramArguments"][1:] == ["run"]
assert set(plist["KeepAlive"]) <= CONDITIONS and plist["KeepAlive"] == {"SuccessfulExit": False}
assert plist["RunAtLoad"] is True and plist["AbandonProcessGroup"] is False
assert plist["ThrottleInterval"] == 5
assert plist["ExitTimeOut"] > 20, "a stop may take 20 s"
for limits in ("SoftResourceLimits", "HardResourceLimits"):
    assert set(plist[limits]) <= LIMITS and plist[limits]["NumberOfFiles"] >= 8192
assert plist["WorkingDirectory"].startswith("/") and plist["StandardErrorPath"].startswith(plist["WorkingDirectory"])
search = plist["EnvironmentVariables"]["PATH"].split(":")
for place in ("/opt/homebrew/bin", "/opt/homebrew/sbin", "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"):
    assert place in search, place
assert "ProcessType" not in plist, "Background is throttled"
for text in texts(plist):
    assert "~" not in text and "$" not in text, f"launchd expands nothing: {text}"
if "daemon" in str(path.parent):
    assert plist["UserName"] not in ("", "root")
print("good")
"#;

fn check(file: &str) {
    let checked = Command::new("python3")
        .args(["-c", CHECK, file])
        .output()
        .expect("python3 runs");
    assert!(checked.status.success(), "{file}: {}", text(&checked));
}

#[test]
fn launchd_reads_both_plists_and_knows_every_key_in_them() {
    for name in [
        "launchd/dev.maestro.maestrod.plist",
        "launchd/daemon/dev.maestro.maestrod.plist",
    ] {
        check(&format!("{}/{name}", env!("CARGO_MANIFEST_DIR")));
    }
}

#[test]
fn what_is_installed_is_as_good_as_what_lies_in_the_repository() {
    let desk = Desk::new();
    let installed = desk.ctl(&["service", "install", "--manager", "launchd-agent"]);
    assert_eq!(code(&installed), 0, "{}", text(&installed));
    let file = desk
        .home()
        .join("Library/LaunchAgents/dev.maestro.maestrod.plist");
    check(&file.display().to_string());
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        !text.contains(">USER<") && !text.contains("/Users/USER"),
        "{text}"
    );
    assert_eq!(
        code(&desk.ctl(&["service", "uninstall", "--manager", "launchd-agent"])),
        0
    );
}
