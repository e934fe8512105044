/** By which of the hub's doors this page came; the hub says so in the page itself. */

function said(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";
}

/** True on the hub's own machine, where nobody needs to pair. */
export const LOCAL = said("maestro-door") === "local";

declare const __BUILD__: string;

/** Of which build this page is. */
export const BUILD = __BUILD__;
