/** The half of the credential that the page holds, in IndexedDB: the worker needs it too. The other half lies in a cookie
 * that no script can read. */

function withStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
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
      transaction.onabort = transaction.onerror = () => {
        db.close();
        reject(transaction.error);
      };
    };
  });
}

export async function token(): Promise<string | null> {
  try {
    const found: unknown = await withStore("readonly", (store) => store.get("token"));
    return typeof found === "string" && found ? found : null;
  } catch {
    return null; // A browser that keeps nothing cannot be paired; it is told so when it tries.
  }
}

export const remember = (half: string) => withStore("readwrite", (store) => store.put(half, "token"));

export const forget = () => withStore("readwrite", (store) => store.delete("token")).catch(() => undefined);
