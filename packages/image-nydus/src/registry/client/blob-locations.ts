/** Where redirects for blobs led, so that the next part of a blob need not ask the registry again. */
export interface BlobLocations {
  get(digest: string): URL | undefined;
  set(digest: string, location: URL): void;
  forget(digest: string): void;
}

const maxLocations = 1_024;

export function createBlobLocations(): BlobLocations {
  const locations = new Map<string, URL>();
  return {
    get: (digest) => locations.get(digest),
    set(digest, location) {
      locations.delete(digest);
      locations.set(digest, location);
      const [oldest] = locations.keys();
      if (locations.size > maxLocations && oldest !== undefined) locations.delete(oldest);
    },
    forget(digest) {
      locations.delete(digest);
    },
  };
}
