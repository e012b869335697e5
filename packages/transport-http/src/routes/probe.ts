import { jsonAnswer, type ApiRoute } from "../api-route.ts";
import { json } from "./descriptions.ts";

export interface ProbeOptions {
  /** Whose probes they are, as in the API's description */
  readonly tag: "worker" | "master";
  /** What it is ready for */
  readonly readySummary: string;
  isReady(): Promise<boolean>;
}

/** `GET /live` and `/ready`, which everybody may ask. */
export function probeRoutes({ tag, readySummary, isReady }: ProbeOptions): readonly ApiRoute[] {
  const probe = (
    path: "/live" | "/ready",
    texts: { readonly operationId: string; readonly summary: string },
    isUp: () => Promise<boolean>,
  ): ApiRoute => ({
    method: "GET",
    path,
    access: "public",
    description: {
      ...texts,
      tag,
      responses: {
        "200": { description: "Yes", content: json("Probe") },
        "405": { description: "It is only asked", content: json("ErrorAnswer") },
        "503": { description: "No", content: json("Probe") },
      },
    },
    async handle() {
      const isGood = await isUp();
      return jsonAnswer(isGood ? 200 : 503, { status: isGood ? "ok" : "unavailable" });
    },
  });

  return [
    probe(
      "/live",
      { operationId: "isLive", summary: "Whether the process answers at all" },
      async () => true,
    ),
    probe("/ready", { operationId: "isReady", summary: readySummary }, isReady),
  ];
}
