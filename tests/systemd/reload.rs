//! `systemctl reload`.

use crate::booted::machine::{eventually, property, sh};
use crate::house::{House, UNIT, main_pid, status_says};

pub fn a_good_file_takes_effect_at_once_and_a_bad_one_changes_nothing() {
    let house = House::new();
    house.start();
    let daemon = main_pid();

    house.configure("[log]\nlevel = \"debug\"\n");
    sh("systemctl reload maestro").well();
    house.journal_says("-u maestro -o cat", &["the configuration is reloaded"]);
    status_says("ready; redis ready");
    let level = || sh("maestroctl config show --json").well();
    assert!(level().contains("debug"), "{}", level());

    house.configure("[log]\nlevel = \"loud\"\n[clients]\nqueue_evnts = 5\n");
    sh("systemctl reload maestro").well();
    status_says("running with the old configuration");
    assert_eq!(property(UNIT, "ActiveState"), "active");
    assert!(level().contains("debug"), "{}", level());
    let mistake = ["nothing has changed", "queue_events"]; // and the key that was meant
    house.journal_says("-u maestro -p err -o cat", &mistake);

    house.configure("");
    sh("systemctl reload maestro").well();
    eventually("the complaint is gone", || {
        (!crate::house::status_text().contains("old configuration")).then_some(())
    });
    assert_eq!(main_pid(), daemon, "it was never restarted");
}
