//! What an operator is told about a tunnel that is not well: the reason in words, and what to do.

/// The reason and the remedy behind a code of this child that is not blocked (those bring their own remedy).
pub fn told(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "not_connected" => (
            "no connection to Cloudflare yet",
            "it goes on trying; if this stays, look at this machine's network (port 7844 must be open outwards)",
        ),
        "edge_lost" => (
            "the connection to Cloudflare is lost",
            "it comes back by itself with the network; a restart would not be faster",
        ),
        "not_listening" => (
            "it does not listen yet: it may be waiting for DNS",
            "look at this machine's network and DNS",
        ),
        "unauthorized" => (
            "Cloudflare does not accept this tunnel: it was deleted, or its secret has changed",
            "get a new token or new credentials (`maestroctl tunnel setup`), then: maestroctl restart tunnel",
        ),
        "registration_refused" => (
            "Cloudflare refused the tunnel's registration",
            "it is tried again; `maestroctl logs tunnel` has Cloudflare's words",
        ),
        "rate_limited" => (
            "Cloudflare gives no more quick tunnels to this address for now (429)",
            "wait for the next try; a named tunnel has no such limit: maestroctl tunnel setup",
        ),
        "quick_pause" => (
            "quick tunnels are not asked for more often than every few seconds",
            "it starts by itself",
        ),
        "quick_unreachable" => (
            "the service that gives quick tunnels cannot be reached",
            "look at this machine's network; it is tried again by itself",
        ),
        "dns_dead" => (
            "names cannot be looked up: DNS does not answer",
            "mend this machine's DNS; it is tried again by itself",
        ),
        "flooding" => (
            "cloudflared floods its log, and does nothing else",
            "it is replaced; often its only known way to Cloudflare is blocked: look at firewall and DNS",
        ),
        "hung" => ("cloudflared does not answer", "it is replaced by itself"),
        "exit_0_at_once" => (
            "cloudflared ends at once without saying why",
            "run `cloudflared --version`; reinstall it if that says nothing",
        ),
        "self_update" => (
            "cloudflared replaced itself, which it was told not to do",
            "it starts again by itself; report it",
        ),
        "wrong_answer" => (
            "the public address leads to another program or another hub",
            "end the other connector of this tunnel, or correct its service in Cloudflare's dashboard",
        ),
        "no_connector" => (
            "Cloudflare says that nobody is connected for the public address (530, 1033)",
            "check that the host name's DNS route names this tunnel: maestroctl tunnel setup",
        ),
        "ingress_dead" => (
            "the tunnel leads here, but the hub's ingress socket does not answer",
            "restart maestrod; if this stays, `maestroctl logs` says why",
        ),
        "foreign_answer" => (
            "the public address answers, but not from this hub",
            "if Cloudflare Access or another gate stands before it, let /health pass; else correct tunnel.url",
        ),
        "unreachable" => (
            "the public address cannot be reached from here",
            "a fresh name may take a minute; else check its DNS record",
        ),
        _ => return None,
    })
}
