// A push service, and the browsers that subscribe to it: it takes what the hub sends as the real ones do, and is strict
// about it. Nothing of the hub's own code is used to check the hub: signatures are verified by Node, contents decrypted
// by npm `http_ece`.
//
//   {"subscribe": name, "key": publicKey}     a browser that subscribes; what it gives its page is reported
//   {"answer": name, "status", "headers", "times"}   how the next `times` pushes to it are answered; else 201
// and reported of every push: {"push": name, "status", "wrong": [...], "claims", "ttl", "urgency", "topic", "bytes",
// "payload"}. With TLS_CERT and TLS_KEY in the environment it speaks https.
import { createECDH, createPublicKey, randomBytes, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createInterface } from "node:readline";
import ece from "http_ece";

const report = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const { TLS_CERT, TLS_KEY } = process.env;
const browsers = new Map();
let origin;

/** What is wrong with `Authorization` by RFC 8292, and what its token claims. */
function vapid(header, key) {
  const wrong = [];
  const [, token, used] = /^vapid t=([^,]+), ?k=([^,]+)$/.exec(header ?? "") ?? [];
  if (!token) return { wrong: ["no vapid"], claims: null };
  if (used !== key) wrong.push("another key than the subscription's");
  const [head, body, signature] = token.split(".");
  const point = Buffer.from(used, "base64url");
  const jwk = {
    kty: "EC",
    crv: "P-256",
    x: point.subarray(1, 33).toString("base64url"),
    y: point.subarray(33, 65).toString("base64url"),
  };
  const pub = createPublicKey({ key: jwk, format: "jwk" });
  const signed = Buffer.from(`${head}.${body}`);
  const ok = verify("sha256", signed, { key: pub, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url"));
  if (!ok) wrong.push("the signature");
  const { alg } = JSON.parse(Buffer.from(head, "base64url"));
  if (alg !== "ES256") wrong.push(`alg ${alg}`);
  const claims = JSON.parse(Buffer.from(body, "base64url"));
  const now = Date.now() / 1000;
  if (claims.aud !== origin) wrong.push(`aud ${claims.aud}`);
  if (!(claims.exp > now && claims.exp <= now + 24 * 3600)) wrong.push(`exp ${claims.exp}`);
  if (!/^(https:\/\/[^/]+\.[^/]+|mailto:[^@]+@.+\..+)/.test(claims.sub ?? "")) wrong.push(`sub ${claims.sub}`);
  return { wrong, claims };
}

function take(request, body) {
  const name = decodeURIComponent(request.url.replace(/^\/push\//, ""));
  const browser = browsers.get(name);
  if (!browser) return { push: name, status: 404, wrong: ["nobody is called so"] };
  const { headers } = request;
  const { wrong, claims } = vapid(headers.authorization, browser.key);
  if (request.method !== "POST") wrong.push(request.method);
  if (headers["content-encoding"] !== "aes128gcm") wrong.push("content-encoding");
  if (!/^\d+$/.test(headers.ttl ?? "")) wrong.push("ttl");
  if (!["very-low", "low", "normal", "high"].includes(headers.urgency)) wrong.push("urgency");
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(headers.topic ?? "")) wrong.push("topic");
  if (body.length > 4096) wrong.push("too long");
  let payload = null;
  try {
    const secret = { version: "aes128gcm", privateKey: browser.ecdh, authSecret: browser.auth.toString("base64url") };
    payload = JSON.parse(ece.decrypt(body, secret).toString("utf8").replace(/\0+$/, ""));
  } catch (error) {
    wrong.push(`content: ${error.message}`);
  }
  const told = {
    push: name,
    wrong,
    claims,
    ttl: Number(headers.ttl),
    urgency: headers.urgency,
    topic: headers.topic,
    bytes: body.length,
    payload,
  };
  const planned = browser.answers[0];
  if (planned) {
    if (--planned.times <= 0) browser.answers.shift();
    return { ...told, status: planned.status, headers: planned.headers };
  }
  return { ...told, status: wrong.length > 0 ? 400 : 201 };
}

const serve = (request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { headers, ...told } = take(request, Buffer.concat(parts));
    response.writeHead(told.status, headers ?? {});
    response.end(told.wrong.join("; "));
    report(told);
  });
};

const server = TLS_CERT
  ? https.createServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) }, serve)
  : http.createServer(serve);
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address();
  origin = TLS_CERT ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
  report({ origin });
});

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    if (command.subscribe) {
      const ecdh = createECDH("prime256v1");
      const p256dh = ecdh.generateKeys().toString("base64url");
      const auth = randomBytes(16);
      browsers.set(command.subscribe, { ecdh, auth, key: command.key, answers: [] });
      const endpoint = `${origin}/push/${encodeURIComponent(command.subscribe)}`;
      const keys = { p256dh, auth: auth.toString("base64url") };
      report({ subscribed: command.subscribe, subscription: { endpoint, expirationTime: null, keys } });
    }
    if (command.answer) {
      const { status, headers, times = 1 } = command;
      browsers.get(command.answer).answers.push({ status, headers, times });
      report({ answering: command.answer });
    }
  })
  .on("close", () => process.exit(0));
