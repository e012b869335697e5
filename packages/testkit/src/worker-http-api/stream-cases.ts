import { expect } from "vitest";
import type { DeclareApiCase } from "./api-case.ts";

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
    "a job that nobody reads runs, and its whole story is there for who comes late (F21)",
    async ({ api, operations, submit }) => {
      const jobId = await submit(operations.echo);
      expect((await api.call("GET", `/jobs/${jobId}/result?wait=30s`)).status).toBe(200);
      const first = await api.stream(`/jobs/${jobId}/events`);
      expect(await api.stream(`/jobs/${jobId}/events`)).toEqual(first);
      expect(first.at(0)).toMatchObject({ id: "0", data: { phase: "queued" } });
      const last = String(first.at(-2)?.id);
      const rest = await api.stream(`/jobs/${jobId}/events`, {
        headers: { "last-event-id": last },
      });
      expect(rest).toEqual(first.slice(-1));
      const beyond = await api.stream(`/jobs/${jobId}/events?last_event_id=999999`);
      expect(beyond).toEqual(first.slice(-1));
    },
  );

  check("HEAD of a stream has its headers and ends", async ({ api, operations, submit }) => {
    const jobId = await submit(operations.endless);
    for (const path of ["events", "logs?follow=true"]) {
      const head = await api.call("HEAD", `/jobs/${jobId}/${path}`);
      expect(head).toMatchObject({ status: 200, text: "" });
    }
    await api.call("DELETE", `/jobs/${jobId}`);
  });

  check(
    "many readers see the same, and reading starts nothing (F21)",
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
      for (const query of ["follow=true", "follow=true&stream=stderr&tail=1"]) {
        const lines = await api.stream(`/jobs/${jobId}/logs?${query}`);
        expect(lines.at(-1)).toMatchObject({ event: "done" });
        expect(lines.slice(0, -1).filter(({ event }) => event !== "log")).toEqual([]);
      }
    },
  );
}
