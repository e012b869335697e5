import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { notFound, sendBlob, type Answer } from "../registry/fake-registry.ts";
import { blobFile } from "./oci-image.ts";

interface LayoutIndex {
  readonly manifests: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
}

/** Answers like a registry whose every repository has the images of an OCI layout as they are at that moment. */
export function serveLayout(layout: string): Answer {
  return async (request, response) => {
    const [kind, name = ""] = (request.url ?? "").split("/").slice(-2);
    if (kind === "blobs") {
      const bytes = await readFile(blobFile(layout, name)).catch(() => undefined);
      if (bytes === undefined) notFound(response);
      else sendBlob(request, response, bytes);
      return;
    }
    const { manifests } = JSON.parse(
      await readFile(join(layout, "index.json"), "utf8"),
    ) as LayoutIndex;
    const entry = manifests.find(
      ({ digest, annotations }) =>
        digest === name || annotations?.["org.opencontainers.image.ref.name"] === name,
    );
    if (kind !== "manifests" || entry === undefined) return notFound(response);
    response.writeHead(200, {
      "content-type": entry.mediaType,
      "docker-content-digest": entry.digest,
    });
    response.end(
      request.method === "HEAD" ? undefined : await readFile(blobFile(layout, entry.digest)),
    );
  };
}
