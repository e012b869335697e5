import { expect } from "vitest";
import type { DeclareApiCase } from "./describe-worker-http-api.ts";

/** Following a job. */
export function declareStreams(check: DeclareApiCase): void {
  check(
    "GET /jobs/{id}/events tells everything in order, then done",
    async ({ api, operations, submit }) => {
      const jobId = await submit(operations.echo);
      const messages = await api.stream(`/jobs/${jobId}/events`);
      const events = messages.slice(0, -1);
      expect(events.map(({ id }) => Number(id))).toEqual(events.map((_, index) => index));
      expect(events.map(({ data }) => data["sequence"])).toEqual(events.map((_, index) => index));
      const states = events
        .filter(({ event }) => event === "state")
        .map(({ data }) => data["phase"]);
      expect(states).toEqual(["queued", "assigned", "running", "completed"]);
      expect(messages.at(-1)).toMatchObject({
        event: "done",
        data: { job_id: jobId, state: "completed" },
      });
    },
  );

  check("Last-Event-ID goes on behind that event", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.endless);
    const first = await api.stream(`/jobs/${jobId}/events`, { count: 4 });
    const lastId = String(first.at(-1)?.id);
    await api.call("DELETE", `/jobs/${jobId}`);
    const rest = await api.stream(`/jobs/${jobId}/events`, {
      headers: { "last-event-id": lastId },
    });
    const ids = [...first, ...rest].flatMap(({ id }) => (id === undefined ? [] : Number(id)));
    expect(ids).toEqual(ids.map((_, index) => index));
    expect(rest.at(-1)).toMatchObject({ event: "done", data: { state: "cancelled" } });
    const byQuery = await api.stream(`/jobs/${jobId}/events?last_event_id=${lastId}`);
    expect(byQuery).toEqual(rest);
  });

  check(
    "many readers see the same, and reading starts nothing",
    async ({ api, operations, submit }) => {
      const jobId = await submit(operations.endless);
      const readers = Array.from({ length: 8 }, () => api.stream(`/jobs/${jobId}/events`));
      await api.stream(`/jobs/${jobId}/events`, { count: 5 });
      await api.call("DELETE", `/jobs/${jobId}`);
      const [first, ...others] = await Promise.all(readers);
      expect(first?.filter(({ event }) => event === "progress").length).toBeGreaterThan(0);
      for (const other of others) expect(other).toEqual(first);
      const late = await api.stream(`/jobs/${jobId}/events`);
      expect(late).toEqual(first);
      expect(late.filter(({ data }) => data["phase"] === "running")).toHaveLength(1);
    },
  );

  check(
    "GET /jobs/{id}/logs is text, and a stream with follow",
    async ({ api, operations, submit }) => {
      const jobId = await submit(operations.echo);
      await api.call("GET", `/jobs/${jobId}/result?wait=30s`);
      const text = await api.call("GET", `/jobs/${jobId}/logs?stream=stdout&tail=10`);
      expect(text.status).toBe(200);
      expect(text.headers.get("content-type")).toMatch(/^text\/plain/);
      const lines = await api.stream(`/jobs/${jobId}/logs?follow=true`);
      expect(lines.at(-1)).toMatchObject({ event: "done" });
    },
  );
}
