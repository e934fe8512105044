/** Notifications. */

/** Shows what is pushed, and leads to it. */
export function showPushes() {}
