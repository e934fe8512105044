/** What is shown, as the address says it. */

export type Route =
  | { screen: "sessions" }
  | { screen: "session"; id: string; request: string | null }
  | { screen: "mail" }
  | { screen: "thread"; id: string }
  | { screen: "write"; to: string | null; project: string | null }
  | { screen: "start"; project: string | null; task: string | null }
  | { screen: "tasks"; project: string | null }
  | { screen: "settings" }
  | { screen: "pair" };

/** Reads the part of an address after `#`; what is unknown is the list of sessions. */
export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const params = new URLSearchParams(query);
  const [screen, id] = path.split("/").map(decoded);
  switch (screen) {
    case "session":
      return id ? { screen, id, request: params.get("request") } : { screen: "sessions" };
    case "mail":
      return id ? { screen: "thread", id } : { screen };
    case "write":
      return { screen, to: params.get("to"), project: params.get("project") };
    case "start":
      return { screen, project: params.get("project"), task: params.get("task") };
    case "tasks":
      return { screen, project: params.get("project") };
    case "settings":
    case "pair":
      return { screen };
    default:
      return { screen: "sessions" };
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** The address of a route. */
export function href(route: Route): string {
  switch (route.screen) {
    case "sessions":
      return "#/";
    case "session":
      return `#/session/${encodeURIComponent(route.id)}${query({ request: route.request })}`;
    case "thread":
      return `#/mail/${encodeURIComponent(route.id)}`;
    case "write":
      return `#/write${query({ to: route.to, project: route.project })}`;
    case "start":
      return `#/start${query({ project: route.project, task: route.task })}`;
    case "tasks":
      return `#/tasks${query({ project: route.project })}`;
    default:
      return `#/${route.screen}`;
  }
}

function query(params: Record<string, string | null>): string {
  const given = Object.entries(params).filter((pair): pair is [string, string] => pair[1] !== null);
  return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
}

/** The tab a route belongs to. */
export function tabOf(route: Route): "sessions" | "mail" | "tasks" | "settings" | null {
  switch (route.screen) {
    case "sessions":
    case "session":
    case "start":
      return "sessions";
    case "mail":
    case "thread":
    case "write":
      return "mail";
    case "tasks":
    case "settings":
      return route.screen;
    case "pair":
      return null;
  }
}

/** The code of `/pair/<code>`. */
export function codeOf(path: string): string | null {
  return /^\/pair\/([0-9A-Za-z-]{1,16})\/?$/.exec(path)?.[1]?.toUpperCase() ?? null;
}
