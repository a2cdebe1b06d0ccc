"""INTERIM in-memory broker."""
import argparse, asyncio, os, sys
from pathlib import Path
import httpcore, uvicorn
from starlette.responses import Response
from starlette.requests import Request
from common.events.envelope import from_http
from infra.local.manifests import load_manifests
from infra.local.plan import read_plan
parser = argparse.ArgumentParser(); parser.add_argument("--plan"); a = parser.parse_args()
plan = read_plan(Path(a.plan)); m = load_manifests(Path(plan.project_dir))
pool = httpcore.AsyncConnectionPool(max_connections=40)
path = f"/{plan.namespace}/{plan.broker}"
async def deliver(trigger, headers, body):
    url = plan.subscribers.get(trigger.subscriber.service)
    if not url: return
    for n in range(200):
        try:
            r = await pool.request("POST", url + "/", headers=headers, content=body, extensions={"timeout": {"read": 60.0}})
            if r.status < 300:
                if r.content:
                    h = {k.decode(): v.decode() for k, v in r.headers}
                    await dispatch({k: v for k, v in h.items() if k.startswith("ce-") or k == "content-type"}, r.content)
                return
            if r.status < 500: print("dead", r.status, r.content[:200], file=sys.stderr); return
        except Exception as e: print(repr(e), file=sys.stderr)
        await asyncio.sleep(0.5 * n)
async def dispatch(headers, body):
    ev = from_http(headers, body)
    await asyncio.gather(*(deliver(t, list(headers.items()), body) for t in m.triggers if all(f.matches(ev.attributes) for f in t.filters)))
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            msg = await receive()
            await send({"type": msg["type"] + ".complete"})
            if msg["type"].endswith("shutdown"): return
    req = Request(scope, receive)
    if scope["path"] != path: await Response(b"{}", 200 if scope["path"] in ("/healthz", "/readyz", "/metrics") else 404)(scope, receive, send); return
    body = await req.body()
    headers = {k: v for k, v in req.headers.items() if k.startswith("ce-") or k == "content-type"}
    await dispatch(headers, body)
    await Response(status_code=202)(scope, receive, send)
uvicorn.run(app, host="127.0.0.1", port=plan.broker_port, access_log=False, log_level="warning")
