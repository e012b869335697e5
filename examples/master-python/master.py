"""A master in Python, with nothing but its standard library: submits jobs, follows them, cancels one.

    longshore worker --http 127.0.0.1:9000
    python3 examples/master-python/master.py http://127.0.0.1:9000
"""

import json
import os
import sys
import uuid
from urllib.error import HTTPError
from urllib.request import Request, urlopen


class Worker:
    """A worker's HTTP API."""

    def __init__(self, url, token=None):
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method, path, body=None):
        """Sends a request and gives back status and JSON; errors are answers like others."""
        headers = dict(self.headers)
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            return error.code, json.load(error)

    def events(self, job_id):
        """What happens to a job until it has ended; goes on where it was when the stream breaks off."""
        last_id = None
        while True:
            headers = dict(self.headers)
            if last_id is not None:
                headers["Last-Event-ID"] = last_id
            request = Request(f"{self.url}/jobs/{job_id}/events", headers=headers)
            try:
                with urlopen(request, timeout=60) as stream:
                    event, event_id, data = "message", None, ""
                    for raw in stream:
                        line = raw.decode().rstrip("\n")
                        if line.startswith("event: "):
                            event = line[7:]
                        elif line.startswith("id: "):
                            event_id = line[4:]
                        elif line.startswith("data: "):
                            data = line[6:]
                        elif line == "" and data:
                            last_id = event_id or last_id
                            yield event, json.loads(data)
                            if event == "done":
                                return
                            event, event_id, data = "message", None, ""
            except HTTPError:
                raise
            except OSError:
                continue


def run_v1(worker):
    """A job of version 1: submit, follow, read the result."""
    job_id = f"py-{uuid.uuid4()}"
    status, answer = worker.call(
        "POST",
        "/jobs",
        {
            "version": "1.0",
            "job_id": job_id,
            "operation": "system.echo",
            "payload": {"data": {"from": "python"}},
        },
    )
    print("v1", status, answer["state"])
    for event, data in worker.events(job_id):
        if event == "state":
            print("v1", data["phase"])
    status, result = worker.call("GET", f"/jobs/{job_id}/result")
    print("v1", status, result["status"], json.dumps(result["data"]["echo"]))


def run_v0(worker):
    """A job of version 0, as older masters write it; its answers have the names of version 0."""
    job_id = f"py-{uuid.uuid4()}"
    status, answer = worker.call(
        "POST",
        "/jobs",
        {
            "protocol_version": 1,
            "job_id": job_id,
            "task": {"type": "greet", "payload": {"name": "Ada"}},
            "runtime": {"mode": "image", "image": "alpine:3", "cmd": ["cat"]},
        },
    )
    print("v0", status, answer["accepted"], answer["state"])
    if not answer["accepted"]:
        print("v0", answer["error"]["code"])
        return
    for event, data in worker.events(job_id):
        if event == "done":
            print("v0", data["state"])
    status, record = worker.call("GET", f"/jobs/{job_id}")
    print("v0", status, record["state"], record["exit_code"])


def cancel(worker):
    """A job that waits for tomorrow, and is not wanted any more."""
    job_id = f"py-{uuid.uuid4()}"
    worker.call(
        "POST",
        "/jobs",
        {
            "version": "1.0",
            "job_id": job_id,
            "operation": "system.echo",
            "execution": {"not_before": "2999-01-01T00:00:00Z"},
        },
    )
    status, answer = worker.call("DELETE", f"/jobs/{job_id}")
    print("cancel", status, answer["state"])


def main():
    worker = Worker(sys.argv[1], os.environ.get("LONGSHORE_TOKEN"))
    status, info = worker.call("GET", "/info")
    print("worker", status, info["worker_id"])
    run_v1(worker)
    run_v0(worker)
    cancel(worker)


if __name__ == "__main__":
    main()
