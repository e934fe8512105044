/** The worker's global scope, by its type. */
export const worker = self as unknown as ServiceWorkerGlobalScope;
