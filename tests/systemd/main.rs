//! maestro as a service of a real systemd: the units of `systemd/` as they lie in the repository, the real programs, the
//! real redis-server. The machine is booted once (`tests/booted`); cloudflared is the stand-in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is how a test fails")]

#[path = "../booted/mod.rs"]
mod booted;
mod ends;
#[path = "../harness/mod.rs"]
mod harness;
mod house;
mod journal;
mod life;
mod reload;
mod sandbox;
mod sockets;
mod token;
mod user;

use std::process::ExitCode;

fn main() -> ExitCode {
    let stories = stories![
        life::it_is_up_when_systemctl_start_returns_and_says_how_it_is_doing,
        life::without_a_redis_server_it_starts_and_works_all_the_same,
        life::neither_a_stuck_redis_nor_an_unreachable_tunnel_keeps_it_from_starting,
        life::killed_it_comes_back_with_its_data_and_exactly_one_redis,
        life::frozen_it_is_ended_by_the_watchdog_and_started_again,
        life::trouble_of_redis_is_no_reason_for_the_watchdog,
        life::a_stop_ends_in_time_though_a_child_hangs_and_redis_is_asked_not_killed,
        reload::a_good_file_takes_effect_at_once_and_a_bad_one_changes_nothing,
        ends::a_bad_configuration_is_shown_by_systemctl_status_and_not_tried_again,
        ends::a_place_that_cannot_be_written_is_not_tried_again,
        ends::a_port_that_is_taken_is_tried_until_it_is_free,
        journal::lines_have_their_fields_and_priorities,
        sockets::the_first_connection_starts_it_and_none_is_refused_while_it_restarts,
        sockets::a_socket_that_other_machines_reach_is_refused,
        token::the_token_of_a_tunnel_is_roots_alone_and_reaches_cloudflared_in_memory,
        sandbox::everything_works_within_the_sandbox,
        sandbox::its_directories_are_closed_to_everybody_else,
        sandbox::it_can_write_nowhere_else,
        user::a_users_own_service_outlives_the_login,
        user::one_command_installs_a_users_service_and_one_removes_it,
    ];
    booted::main(stories, house::prepare, || {
        vec![
            ("maestrod", env!("CARGO_BIN_EXE_maestrod").into()),
            ("maestroctl", env!("CARGO_BIN_EXE_maestroctl").into()),
            ("cloudflared", harness::tunnel::fake_cloudflared().to_owned()),
        ]
    })
}
