import { expect } from "vitest";
import type { ApiFixture, DeclareApiCase } from "./api-case.ts";

const file = "out/digits.txt";

/** Artifacts. */
export function declareFiles(check: DeclareApiCase): void {
  async function withArtifact({ api, operations, submit }: ApiFixture): Promise<string> {
    const jobId = await submit(operations.artifact);
    await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
    return `/jobs/${jobId}/artifacts`;
  }

  check("GET /jobs/{id}/artifacts lists files and serves them", async (fixture) => {
    const { api } = fixture;
    const base = await withArtifact(fixture);
    const list = await api.call("GET", base);
    expect(list.json["artifacts"]).toMatchObject([
      {
        path: file,
        size: 10,
        sha256: "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882",
      },
    ]);
    const whole = await api.call("GET", `${base}/${file}`);
    expect(whole).toMatchObject({ status: 200, text: "0123456789" });
    expect(whole.headers.get("accept-ranges")).toBe("bytes");
    const head = await api.call("HEAD", `${base}/${file}`);
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers.get("content-length")).toBe("10");
  });

  check("an artifact is served in ranges", async (fixture) => {
    const { api } = fixture;
    const base = await withArtifact(fixture);
    const part = (range: string) => api.call("GET", `${base}/${file}`, { headers: { range } });
    const first = await part("bytes=0-3");
    expect(first).toMatchObject({ status: 206, text: "0123" });
    expect(first.headers.get("content-range")).toBe("bytes 0-3/10");
    expect(await part("bytes=7-")).toMatchObject({ status: 206, text: "789" });
    expect(await part("bytes=-2")).toMatchObject({ status: 206, text: "89" });
    expect(await part("bytes=5-500")).toMatchObject({ status: 206, text: "56789" });
    const beyond = await part("bytes=10-");
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get("content-range")).toBe("bytes */10");
    expect(await part("lines=1-2")).toMatchObject({ status: 200 });
  });

  check("no path leaves the job's artifacts", async (fixture) => {
    const { api } = fixture;
    const base = await withArtifact(fixture);
    for (const path of [
      "..%2f..%2f..%2fetc%2fpasswd",
      "%2e%2e/%2e%2e/etc/passwd",
      "out/..%2f..%2fjobs.db",
      "%252e%252e%252fetc",
      "/etc/passwd",
      "out%00/digits.txt",
      "out",
      "none.txt",
    ]) {
      const { status, text } = await api.call("GET", `${base}/${path}`);
      expect([400, 404], `${path}: ${status}`).toContain(status);
      expect(text).not.toContain("root:");
    }
  });
}
