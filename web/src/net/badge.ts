/** The number on the app's icon: questions that are open. */
export async function badge(open: number): Promise<void> {
  try {
    if (open > 0) await navigator.setAppBadge(open);
    else await navigator.clearAppBadge();
  } catch {
    // Not everywhere there is such a number.
  }
}
