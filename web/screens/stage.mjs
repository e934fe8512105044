// The stage for screenshots and measurements: a real maestrod with directories of its own, a public address that leads to
// its ingress socket (a proxy of a few lines, which can also play a tunnel that is down), and a scene on it.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BIN = process.env.MAESTRO_BIN ?? join(ROOT, "target", "debug");

/** Asks `probe` until it answers something. */
export async function eventually(what, probe, patience = 30_000) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export class Stage {
  static async open() {
    const stage = new Stage();
    stage.dir = mkdtempSync(join(tmpdir(), "maestro-stage-"));
    for (const name of ["home", "data", "sessions", "state", "run", "work"]) mkdirSync(join(stage.dir, name));
    stage.agents = [];
    stage.visitors = new Set();
    stage.tunnel = "up";
    stage.edge = net.createServer((visitor) => stage.visit(visitor));
    await new Promise((resolve) => stage.edge.listen(0, "127.0.0.1", resolve));
    stage.url = `http://localhost:${stage.edge.address().port}`;
    stage.config = join(stage.dir, "maestro.toml");
    writeFileSync(stage.config, `[tunnel]\nmode = "external"\nurl = "${stage.url}"\n`);
    await stage.start();
    return stage;
  }

  env() {
    const at = (name) => join(this.dir, name);
    return {
      PATH: process.env.PATH,
      HOME: at("home"),
      DATA_DIR: at("data"),
      SESSION_DIR: at("sessions"),
      MAESTRO_STATE_DIR: at("state"),
      MAESTRO_RUNTIME_DIR: at("run"),
      PORT: "0",
      REDIS_ENABLED: "false",
    };
  }

  async start() {
    rmSync(join(this.dir, "data", "server-url"), { force: true });
    this.daemon = spawn(join(BIN, "maestrod"), ["run", "--config", this.config], { env: this.env(), stdio: "ignore" });
    this.home = await eventually("the hub says where it is", () => {
      try {
        return readFileSync(join(this.dir, "data", "server-url"), "utf8")
          .trim()
          .replace(/\/$/, "");
      } catch {
        return null;
      }
    });
    await eventually("the hub answers", () =>
      fetch(`${this.home}/health`).then(
        (answer) => answer.ok,
        () => false,
      ),
    );
    await eventually("the ingress answers", () =>
      fetch(`${this.url}/health`).then(
        (answer) => answer.ok,
        () => false,
      ),
    );
  }

  async stop() {
    const ended = new Promise((resolve) => this.daemon.once("exit", resolve));
    this.daemon.kill("SIGTERM");
    await ended;
  }

  async close() {
    for (const agent of this.agents) agent.kill("SIGKILL");
    if (this.daemon.exitCode === null) await this.stop();
    this.edge.closeAllConnections?.();
    this.edge.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Bytes both ways, or what Cloudflare says when nobody is connected. */
  visit(visitor) {
    visitor.on("error", () => visitor.destroy());
    if (this.tunnel === "down") {
      const body = "error code: 1033";
      visitor.once("data", () =>
        visitor.end(
          `HTTP/1.1 530 <none>\r\nserver: cloudflare\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
        ),
      );
      return;
    }
    const hub = net.connect(join(this.dir, "run", "ingress.sock"));
    this.visitors.add(visitor);
    hub.on("error", () => visitor.end("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    visitor.on("close", () => {
      hub.destroy();
      this.visitors.delete(visitor);
    });
    hub.on("close", () => visitor.destroySoon());
    visitor.pipe(hub).pipe(visitor);
  }

  /** The tunnel loses its connections, or gets them back. */
  setTunnel(state) {
    this.tunnel = state;
    if (state === "down") for (const visitor of this.visitors) visitor.destroy();
  }

  ctl(...args) {
    return execFileSync(join(BIN, "maestroctl"), args, { env: this.env(), encoding: "utf8" });
  }

  code(scopes = "view,answer,mail,prompt,spawn", name = null) {
    const named = name ? ["--name", name] : [];
    return JSON.parse(this.ctl("pair", "--no-wait", "--json", "--scopes", scopes, ...named)).code.replace("-", "");
  }

  async ask(method, path, body) {
    const answer = await fetch(this.home + path, {
      method,
      ...(body ? { headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {}),
    });
    const told = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(told)}`);
    return told;
  }

  post(path, body) {
    return this.ask("POST", path, body);
  }

  patch(path, body) {
    return this.ask("PATCH", path, body);
  }

  say(session, type, message) {
    return this.post(`/api/sessions/${session}/timeline`, { type, message });
  }

  question(session, message, options) {
    return this.patch(`/api/sessions/${session}`, {
      needsInput: { active: true, message, since: Date.now(), ...(options ? { options } : {}) },
    });
  }

  /** A process that plays a session's agent: watched by the hub, or (with a short time to live) soon silent. */
  async agent(session, { silent = false } = {}) {
    const agent = spawn("sleep", ["3600"], { stdio: "ignore" });
    this.agents.push(agent);
    const beat = silent ? { pid: agent.pid, ttl: 200 } : { pid: agent.pid, watch: true };
    await this.post(`/api/sessions/${session}/heartbeat`, beat);
    return agent;
  }
}

/** Two projects at work: who asks, who works, who failed, who is done; mail both ways. */
export async function scene(stage) {
  const project = (name, description) =>
    stage.post("/api/projects", { name, description, workingDir: join(stage.dir, "work") });
  const atlas = await project("Atlas API", "Billing and accounts");
  const site = await project("Website", "The public site");
  const member = (projectId, name, role, avatar, agentTool) =>
    stage.post("/api/team-members", { projectId, name, role, avatar, agentTool, identity: role });
  const ada = await member(atlas.id, "Ada", "Backend engineer", "🦉", "claude-code");
  const rex = await member(atlas.id, "Rex", "Reviewer", "🦖", "codex");
  const mira = await member(site.id, "Mira", "Designer", "🦊", "claude-code");
  const task = (projectId, title, description, status, priority = "medium") =>
    stage.post("/api/tasks", { projectId, title, description, priority }).then(async (made) => {
      if (status) await stage.patch(`/api/tasks/${made.id}`, { status });
      return made;
    });
  const invoices = await task(
    atlas.id,
    "Move invoices to the new ledger",
    "Keep the old numbers. Run `make migrate` on the staging copy first.\n\nPlan: https://example.com/ledger",
    "in_progress",
    "high",
  );
  const retry = await task(atlas.id, "Retry failed webhooks", "With backoff, at most a day.", "in_progress");
  const audit = await task(atlas.id, "Audit log for refunds", "", "completed");
  await task(atlas.id, "Rate limits per customer", "", null);
  await task(atlas.id, "Upgrade the payment library", "Waits for their fix.", "blocked");
  const hero = await task(site.id, "New landing page", "", "in_progress");
  /** As the desktop starts one, so that it has the face of its member; then it is at work. */
  const spawned = async (projectId, name, taskIds, memberId, parent) => {
    const from = parent ? { spawnSource: "session", sessionId: parent } : { spawnSource: "ui" };
    const wish = { projectId, taskIds, teamMemberIds: [memberId], sessionName: name, ...from };
    const { sessionId } = await stage.post("/api/sessions/spawn", wish);
    return stage.patch(`/api/sessions/${sessionId}`, { status: "working" });
  };
  const session = (projectId, name, status, taskIds) =>
    stage.post("/api/sessions", { projectId, name, status, taskIds });
  const lead = await spawned(atlas.id, "Ledger migration", [invoices.id], ada.id);
  const review = await spawned(atlas.id, "Review of the ledger", [invoices.id], rex.id, lead.id);
  const hooks = await spawned(atlas.id, "Webhook retries", [retry.id], ada.id, lead.id);
  const refunds = await session(atlas.id, "Refund audit", "working", [audit.id]);
  const landing = await spawned(site.id, "Landing page", [hero.id], mira.id);
  const copy = await session(site.id, "Copy editing", "idle", [hero.id]);
  const crashed = await session(atlas.id, "Load test", "working", [retry.id]);
  await stage.say(lead.id, "progress", "Read the old ledger: 48,112 invoices, 3 currencies");
  await stage.say(lead.id, "milestone", "Schema of the new ledger stands");
  await stage.say(lead.id, "progress", "Staging copy migrated in 41 s, sums equal to the cent");
  await stage.say(hooks.id, "progress", "Backoff of 1 s to 1 h with jitter");
  await stage.say(landing.id, "progress", "Three drafts of the first screen");
  await stage.say(refunds.id, "task_completed", "Every refund has its line in the audit");
  await stage.patch(`/api/sessions/${refunds.id}`, { status: "completed" });
  for (const one of [lead, hooks, landing, copy, review]) await stage.agent(one.id);
  const dying = await stage.agent(crashed.id);
  dying.kill("SIGKILL");
  await eventually(
    "the crash is seen",
    async () => (await stage.ask("GET", `/api/sessions/${crashed.id}`)).status === "failed",
  );
  await stage.question(
    review.id,
    "May I run this on the staging database?\n\n```sql\n- ALTER TABLE invoice ALTER COLUMN total TYPE integer;\n+ ALTER TABLE invoice ALTER COLUMN total TYPE numeric(14,2);\n```\n\nIt locks `invoice` for about 40 s.",
    [
      { id: "yes", label: "Yes, run it", description: "On staging only" },
      { id: "later", label: "Tonight", description: "I remind you at 22:00" },
      { id: "no", label: "No" },
    ],
  );
  await stage.question(landing.id, "Which of the three drafts shall I finish?", ["Calm", "Bold", "Playful"]);
  const mail = (body) => stage.post("/api/mail", { projectId: atlas.id, type: "query", ...body });
  const first = await mail({
    fromSessionId: lead.id,
    toSessionId: "human",
    subject: "Old invoice numbers",
    body: {
      message:
        "Two customers share the number 2019-0042. Shall the newer one get a suffix? Both are paid, so only the statements would change.",
    },
    priority: "high",
  });
  await mail({
    fromSessionId: "human",
    toSessionId: lead.id,
    subject: "Re: Old invoice numbers",
    replyToMailId: first.id,
    body: { message: "Yes, a suffix, and a line in the changelog." },
  });
  await mail({
    fromSessionId: lead.id,
    toSessionId: "human",
    type: "response",
    subject: "Re: Old invoice numbers",
    replyToMailId: first.id,
    body: { message: "Done: `2019-0042-B`. The statements of March are right again." },
  });
  await mail({
    fromSessionId: hooks.id,
    toSessionId: "human",
    type: "status_update",
    subject: "Webhooks by noon",
    body: { message: "The retry queue survives a restart now. What is left is the page for support." },
  });
  return { atlas, site, ada, rex, invoices, retry, hero, lead, review, hooks, refunds, landing, copy, crashed };
}
