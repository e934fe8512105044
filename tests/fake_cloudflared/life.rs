//! `tunnel run`: from the first line of the log to the end, following the script.

use std::{
    fs,
    future::Future,
    io::Write,
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};

use crate::{
    VERSION,
    args::Args,
    control::{Control, EdgeState, End, PACE, Script},
    edge::Edge,
    ingress::{self, Config},
    log::Log,
    metrics,
};

/// What all tasks see.
pub struct Shared {
    pub log: Log,
    pub config: Config,
    pub connector: String,
    pub quick_host: Option<String>,
    script: Mutex<Script>,
    pub connections: AtomicUsize,
    pub was_connected: AtomicBool,
    in_flight: Arc<AtomicUsize>,
    pub cut: watch::Sender<u64>,
}

/// One request or socket under way.
pub struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    pub fn script(&self) -> Script {
        self.script.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn was_connected(&self) -> bool {
        self.was_connected.load(Ordering::SeqCst)
    }

    pub fn in_flight(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(self.in_flight.clone())
    }

    /// Completes when the edge is lost.
    pub fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut cut = self.cut.subscribe();
        async move {
            let _ended = cut.changed().await;
        }
    }
}

fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).unwrap();
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn uuid() -> String {
    let hex = random_hex(16);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

pub fn run(args: &Args, run: bool, control: Control, argv: &[String]) -> ExitCode {
    let log = Log {
        json: args.flag("output") == Some("json"),
    };
    let before = control.note_start(argv);
    match start(args, run, &control, log, before) {
        Ok(shared) => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(live(args, control, Arc::new(shared), before)),
        Err((code, last)) => {
            log.last(&last);
            ExitCode::from(code)
        }
    }
}

/// What can fail before anything is tried: status and last words.
fn start(args: &Args, run: bool, control: &Control, log: Log, before: usize) -> Result<Shared, (u8, String)> {
    let script = control.script().unwrap_or_default();
    if let Some(End::Exit(code)) = script.end
        && script.end_after == 0
    {
        return Err((code, "ended by the script".into()));
    }
    let config = match args.flag("config") {
        Some(path) => ingress::load(path).map_err(|why| (1, why))?,
        None => Config::default(),
    };
    if grace(args) > Duration::from_secs(180) {
        return Err((1, "grace-period must be equal or less than 3m0s".into()));
    }
    let tunnel = identity(args, run, &config)?;
    log.info("Starting tunnel", &[("tunnelID", tunnel.clone())]);
    let quick_host = match run {
        true => None,
        false => Some(quick(log, &script)?),
    };
    log.info(&format!("Version {VERSION} (Checksum {})", random_hex(8)), &[]);
    log.info("GOOS: linux, GOVersion: go1.24, GoArch: amd64", &[]);
    log.info("Settings: map[token:*****]", &[]);
    let connector = uuid();
    log.info(&format!("Generated Connector ID: {connector}"), &[]);
    log.info("Initial protocol quic", &[]);
    config
        .check()
        .map_err(|why| (1, format!("Couldn't start tunnel error={why:?}")))?;
    if script.state == EdgeState::DnsDead {
        std::thread::sleep(Duration::from_millis(script.lookup_time));
        return Err((
            1,
            "Could not lookup srv records on _v2-origintunneld._tcp.argotunnel.com: lookup _v2-origintunneld._tcp.argotunnel.com: server misbehaving".into(),
        ));
    }
    if before < script.metrics_taken {
        return Err((1, taken(args.flag("metrics").unwrap_or_default())));
    }
    Ok(Shared {
        log,
        config,
        connector,
        quick_host,
        script: Mutex::new(script),
        connections: AtomicUsize::new(0),
        was_connected: AtomicBool::new(false),
        in_flight: Arc::default(),
        cut: watch::Sender::new(0),
    })
}

fn taken(address: &str) -> String {
    format!("Error opening metrics server listener: listen tcp {address}: bind: address already in use")
}

fn grace(args: &Args) -> Duration {
    let text = args.flag("grace-period").unwrap_or("30s");
    let number = |unit: &str| {
        text.strip_suffix(unit)
            .and_then(|number| number.parse::<f64>().ok())
    };
    let secs = match (number("ms"), number("m"), number("s")) {
        (Some(ms), _, _) => ms / 1e3,
        (_, Some(minutes), _) => minutes * 60.0,
        (_, _, Some(secs)) => secs,
        _ => 30.0,
    };
    Duration::from_secs_f64(secs)
}

/// Which tunnel it is to be.
fn identity(args: &Args, run: bool, config: &Config) -> Result<String, (u8, String)> {
    if !run {
        return match args.flag("url") {
            Some(_) => Ok(uuid()),
            None => Err((
                1,
                "You did not specify any valid additional argument to the cloudflared tunnel command.".into(),
            )),
        };
    }
    let help = "See 'cloudflared tunnel run --help'.";
    let invalid = || (255, format!("Provided Tunnel token is not valid.\n{help}"));
    let token = match (args.flag("token"), args.flag("token-file")) {
        (Some(token), _) => Some(token.to_owned()),
        (None, Some(file)) => Some(
            fs::read_to_string(file)
                .map_err(|err| (255, format!("Failed to read token file: {err}\n{help}")))?,
        ),
        (None, None) => None,
    };
    if let Some(token) = token {
        let token = token.trim();
        return match token.starts_with("eyJ") {
            true => Ok(uuid()),
            false => Err(invalid()),
        };
    }
    let named = args.words.get(2).cloned().or(config.tunnel.clone());
    let Some(id) = named else {
        return Err((
            255,
            format!(
                "\"cloudflared tunnel run\" requires the ID or name of the tunnel to run as the last command line argument or in the configuration file.\n{help}"
            ),
        ));
    };
    match &config.credentials_file {
        Some(file) if ingress::exists(file) => Ok(id),
        Some(file) => Err((
            1,
            format!("Tunnel credentials file '{file}' doesn't exist or is not a file"),
        )),
        None => Err((1, format!("tunnel credentials file not found for {id}"))),
    }
}

/// Asks for a quick tunnel, and says so in a box.
fn quick(log: Log, script: &Script) -> Result<String, (u8, String)> {
    log.info("Requesting new quick Tunnel on trycloudflare.com...", &[]);
    if script.state == EdgeState::RateLimited {
        log.error(
            "Error unmarshaling QuickTunnel response: error code: 1015",
            &[("status_code", "429 Too Many Requests".into())],
        );
        return Err((
            1,
            "failed to unmarshal quick Tunnel: invalid character 'e' looking for beginning of value".into(),
        ));
    }
    let words = || format!("{}-{}-{}", random_hex(3), random_hex(2), random_hex(3));
    let host = script
        .quick_host
        .clone()
        .unwrap_or_else(|| format!("{}.trycloudflare.com", words()));
    let border = format!("+{}+", "-".repeat(92));
    let row = |text: &str| format!("|  {text:<90}|");
    for line in [
        border.clone(),
        row("Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):"),
        row(&format!("https://{host}")),
        border,
    ] {
        log.info(&line, &[]);
    }
    Ok(host)
}

async fn live(args: &Args, control: Control, shared: Arc<Shared>, _before: usize) -> ExitCode {
    let began = Instant::now();
    let log = shared.log;
    let mut term = signal(SignalKind::terminate()).unwrap();
    let mut int = signal(SignalKind::interrupt()).unwrap();
    let mut usr1 = signal(SignalKind::user_defined1()).unwrap();
    tokio::spawn(async move { while usr1.recv().await.is_some() {} });
    let script = shared.script();
    oddities(&script);
    let metrics_at = began + Duration::from_millis(script.metrics_after);
    let address = args.flag("metrics").unwrap_or("localhost:0").to_owned();
    let mut opened = false;
    let mut edge = Edge::default();
    loop {
        if let Some(script) = control.script() {
            *shared.script.lock().unwrap() = script;
        }
        let script = shared.script();
        if !opened && Instant::now() >= metrics_at {
            let Ok(listener) = TcpListener::bind(&address).await else {
                log.last(&taken(&address));
                return ExitCode::from(1);
            };
            log.info(
                &format!(
                    "Starting metrics server on {}/metrics",
                    listener.local_addr().unwrap()
                ),
                &[],
            );
            tokio::spawn(metrics::serve(listener, shared.clone()));
            opened = true;
        }
        if let Some(end) = script.end
            && began.elapsed() >= Duration::from_millis(script.end_after)
        {
            match end {
                End::Exit(code) => return ExitCode::from(code),
                End::Crash => die_of("SEGV"),
            }
        }
        if opened && let Some(code) = edge.follow(&script, &control, &shared, args) {
            return code;
        }
        tokio::select! {
            _ = term.recv(), if !script.ignore_term => {
                log.info("Initiating graceful shutdown due to signal terminated ...", &[]);
                break;
            }
            _ = int.recv() => {
                log.info("Initiating graceful shutdown due to signal interrupt ...", &[]);
                break;
            }
            () = sleep(PACE) => {}
        }
    }
    drain(args, &shared, &mut edge, async {
        tokio::select! {
            _ = term.recv() => "TERM",
            _ = int.recv() => "INT",
        }
    })
    .await;
    edge.close();
    ExitCode::SUCCESS
}

/// The first signal was taken: no connection for new requests, those under way have the grace period.
async fn drain(args: &Args, shared: &Shared, edge: &mut Edge, again: impl Future<Output = &'static str>) {
    shared.connections.store(0, Ordering::SeqCst);
    let was_connected = edge.serving.is_some();
    edge.unregister();
    let until = Instant::now() + grace(args);
    let stays = shared.script().never_closes || (!was_connected && shared.was_connected());
    let done = async {
        while Instant::now() < until && (stays || shared.in_flight.load(Ordering::SeqCst) > 0) {
            sleep(PACE).await;
        }
    };
    tokio::select! {
        () = done => {}
        name = again => die_of(name),
    }
}

fn die_of(name: &str) -> ! {
    // The default action of a signal is what the shell's kill gives a process that has not asked for another.
    use nix::sys::signal::{SigHandler, Signal, raise};
    let signal: Signal = format!("SIG{name}").parse().unwrap();
    #[allow(unsafe_code, reason = "the default action is valid for every signal")]
    unsafe {
        nix::sys::signal::signal(signal, SigHandler::SigDfl).unwrap();
    }
    raise(signal).unwrap();
    std::process::abort()
}

fn oddities(script: &Script) {
    if script.grandchild {
        let _left = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn();
    }
    if script.odd_lines {
        let mut out = std::io::stderr().lock();
        let _ = out.write_all("z".repeat(1 << 20).as_bytes());
        let _ = out.write_all(b"\nhalf a line");
    }
}
