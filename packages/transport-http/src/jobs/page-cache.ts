import type { EventPage } from "./event-page.ts";

/** Pages that readers share, so many bytes of them; the one unused longest goes first. */
export interface PageCache {
  get(key: string): EventPage | undefined;
  set(key: string, page: EventPage): void;
}

/** What an entry costs besides its bytes, roughly */
const entryBytes = 256;

export function pageCache(maxBytes: number): PageCache {
  const pages = new Map<string, EventPage>();
  let byteLength = 0;

  function remove(key: string): EventPage | undefined {
    const page = pages.get(key);
    if (page === undefined) return undefined;
    pages.delete(key);
    byteLength -= page.bytes.byteLength + entryBytes;
    return page;
  }

  function add(key: string, page: EventPage): void {
    pages.set(key, page);
    byteLength += page.bytes.byteLength + entryBytes;
  }

  return {
    get(key) {
      const page = remove(key);
      if (page !== undefined) add(key, page);
      return page;
    },
    set(key, page) {
      remove(key);
      add(key, page);
      for (const oldest of pages.keys()) {
        if (byteLength <= maxBytes) break;
        remove(oldest);
      }
    },
  };
}
