// Pairs this phone with its hub. The code is redeemed when the button is pressed, never by opening the page.
// One half of the credential comes back in a cookie that no script can read, the other is kept here, in IndexedDB.
"use strict";

const byId = (id) => document.getElementById(id);

/** Runs `act` on the one object store this page has; resolves with the result of the request it returns. */
function store(mode, act) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("maestro", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("device");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const db = opening.result;
      const transaction = db.transaction("device", mode);
      const request = act(transaction.objectStore("device"));
      transaction.oncomplete = () => {
        db.close();
        resolve(request.result);
      };
      transaction.onerror = () => {
        db.close();
        reject(transaction.error);
      };
    };
  });
}

const remember = (token) => store("readwrite", (device) => device.put(token, "token"));
const remembered = () => store("readonly", (device) => device.get("token"));
const forget = () => store("readwrite", (device) => device.delete("token"));

function say(text, bad = false) {
  const said = byId("said");
  said.textContent = text;
  said.classList.toggle("bad", bad);
}

/** Asks the hub. Resolves with `{ok, status, body}`; rejects only when there is no network or no hub. */
async function ask(method, path, { token, body } = {}) {
  const headers = {};
  if (token) headers["X-Maestro-Device"] = token;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    credentials: "same-origin",
    cache: "no-store",
    body: body ? JSON.stringify(body) : undefined,
  });
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // A proxy in between may answer with a page of its own.
  }
  return { ok: response.ok, status: response.status, body: answer };
}

function show(section) {
  for (const id of ["paired", "pairing"]) byId(id).hidden = id !== section;
}

function showPaired(device) {
  byId("paired-name").textContent = device.name;
  byId("paired-scopes").textContent = device.scopes.join(", ");
  show("paired");
}

/** The code of `/pair/<code>`, if the page was opened by one. */
function codeOfAddress() {
  const found = /^\/pair\/([0-9A-Za-z-]{1,16})\/?$/.exec(location.pathname);
  return found ? found[1].toUpperCase() : "";
}

function guessName() {
  const agent = navigator.userAgent;
  const kinds = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android phone"], ["Macintosh", "Mac"]];
  const kind = kinds.find(([word]) => agent.includes(word));
  return kind ? kind[1] : "Browser";
}

async function pair(event) {
  event.preventDefault();
  const code = byId("code").value.replace(/[\s-]/g, "").toUpperCase();
  const name = byId("name").value.trim() || guessName();
  if (!code) {
    say("Type the code that the computer shows.", true);
    byId("code").focus();
    return;
  }
  byId("pair").disabled = true;
  say("Pairing …");
  try {
    const answer = await ask("POST", "/pair", { body: { code, name } });
    if (!answer.ok) {
      say(answer.body.message || `The hub did not answer as expected (${answer.status}).`, true);
      return;
    }
    await remember(answer.body.token);
    history.replaceState(null, "", "/");
    say("Paired.");
    showPaired(answer.body.device);
  } catch {
    say("The hub cannot be reached. Is this phone online?", true);
  } finally {
    byId("pair").disabled = false;
  }
}

async function signOut() {
  const token = await remembered();
  byId("sign-out").disabled = true;
  try {
    await ask("DELETE", "/api/devices/me", { token });
    await forget();
    show("pairing");
    say("This phone is signed out.");
  } catch {
    say("The hub cannot be reached. Is this phone online?", true);
  } finally {
    byId("sign-out").disabled = false;
  }
}

async function begin() {
  byId("form").addEventListener("submit", pair);
  byId("sign-out").addEventListener("click", signOut);
  byId("code").value = codeOfAddress();
  byId("name").value = guessName();
  try {
    const token = await remembered();
    if (token) {
      const me = await ask("GET", "/api/devices/me", { token });
      if (me.ok) {
        showPaired(me.body);
        return;
      }
      if (me.body.message) say(me.body.message, true);
    }
  } catch {
    say("The hub cannot be reached. Is this phone online?", true);
  }
  show("pairing");
}

begin();
