#!/usr/bin/env python3
"""Speaks to a running `rearank serve` as clients do, good ones and bad ones. Standard library only.

usage: serve_client.py PORT CHECK …     exit status 1 if a check failed
CHECKs: pages, shapes, extension, stream, hostile, disconnects, repeats, busy, same
"""
import http.client, json, random, socket, struct, sys, threading, time

PORT = int(sys.argv[1])
TEXTS = ["Bees collect nectar.", "Honey badgers live in Africa.", "A hive holds many bees.", "Maple syrup is sap.", "Queues are lines."]
failed = 0


def check(what, good, found=""):
    global failed
    if not good:
        failed += 1
        print(f"failed: {what}: {str(found)[:300]}", file=sys.stderr)


def ask(method, path, body=None, headers=None, timeout=120):
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=timeout)
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    c.request(method, path, data, headers or {})
    r = c.getresponse()
    text = r.read()
    c.close()
    return r.status, dict((k.lower(), v) for k, v in r.getheaders()), text


def rank(path="/v1/rerank", **more):
    status, head, text = ask("POST", path, dict({"query": "how do bees make honey", "documents": TEXTS}, **more))
    return status, json.loads(text)


def metric(name):
    text = ask("GET", "/metrics")[2].decode()
    return sum(float(x.rsplit(" ", 1)[1]) for x in text.splitlines() if x.startswith(name))


def falls(scores):
    return all(0 < s <= 1 for s in scores) and all(a > b for a, b in zip(scores, scores[1:]))


def pages():
    for path, key in (("/health", "status"), ("/ready", "status"), ("/v1/models", "data"), ("/info", "model_id"), ("/openapi.json", "paths")):
        status, head, text = ask("GET", path)
        check(path, status == 200 and key in json.loads(text) and head["content-type"] == "application/json", text)
    status, head, text = ask("GET", "/metrics")
    check("/metrics", status == 200 and b"\nrearank_ready 1\n" in text, text)
    status, head, text = ask("HEAD", "/health")
    check("HEAD", status == 200 and text == b"", text)
    status, head, text = ask("POST", "/v3/rerank", {})
    check("404 lists the paths", status == 404 and "/v1/rerank" in json.loads(text)["message"], text)
    status, head, text = ask("GET", "/v1/rerank")
    check("405 says what is allowed", status == 405 and "POST" in head["allow"], head)


def shapes():
    for path in ("/v1/rerank", "/v2/rerank", "/rerank", "/reranking", "/v1/reranking", "/v1/rerank/"):
        status, j = rank(path, top_n=3)
        check(path, status == 200 and len(j["results"]) == 3 and falls([r["relevance_score"] for r in j["results"]]), j)
    status, head, text = ask("POST", "/rerank", {"query": "q", "texts": TEXTS, "return_text": True})
    j = json.loads(text)
    check("texts", status == 200 and sorted(r["index"] for r in j) == list(range(5)) and all(r["text"] == TEXTS[r["index"]] for r in j), j)
    status, j = rank(top_k=2)
    check("top_k", status == 200 and len(j["data"]) == 2, j)
    documents = [f"word {i}" for i in range(45)] + ["", "word 7"]
    status, j = rank(documents=documents, return_documents=True)
    check("windows", status == 200 and sorted(r["index"] for r in j["results"]) == list(range(47)), j)
    check("blank last", j["results"][-1]["index"] == 45, j["results"][-1])
    check("texts come back", all(r["document"]["text"] == documents[r["index"]] for r in j["results"]))


def extension():
    status, j = rank(rearank={"explain": True})
    r = j.get("rearank", {})
    check("explained", status == 200 and len(r["windows"]) == 1 and sorted(r["windows"][0]["documents"]) == list(range(5)), j)
    for mode in ("strict", "logits", "reason"):
        status, j = rank(rearank={"mode": mode})
        check(mode, status == 200 and j["rearank"]["mode"] == mode and len(j["results"]) == 5, j)
    status, j = rank(rearank={"window": 2, "step": 1, "schedule": "topdown", "explain": True})
    check("topdown", status == 200 and len(j["rearank"]["windows"]) > 1, j)
    status, j = rank(rearank={"deadline": 0.001, "mode": "strict"}, documents=[f"word {i}" for i in range(60)])
    check("a deadline gives a whole ranking", status == 200 and len(j["results"]) == 60 and j["rearank"]["late"] is True, j)
    status, j = rank(rearank={"mode": "guess"})
    check("no such mode", status == 400 and "rearank.mode" in j["detail"], j)


def events(body):
    s = socket.create_connection(("127.0.0.1", PORT), timeout=120)
    data = json.dumps(body).encode()
    s.sendall(b"POST /v1/rank/stream HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    text = b""
    while True:
        piece = s.recv(65536)
        if not piece:
            break
        text += piece
    head, _, text = text.partition(b"\r\n\r\n")
    out = []
    if b"text/event-stream" not in head:
        return head, out
    for block in text.decode().split("\n\n"):
        lines = [x for x in block.split("\n") if x and not x.startswith(":")]
        if lines:
            out.append((lines[0][7:], json.loads(lines[1][6:])))
    return head, out


def stream():
    head, found = events({"query": "q", "documents": [f"word {i}" for i in range(30)], "rearank": {"mode": "strict"}})
    names = [n for n, _ in found]
    check("the stream's type", b"text/event-stream" in head, head)
    check("begins and ends", names[0] == "start" and names[-1] == "ranking", names)
    check("windows, text, orders", all(x in names for x in ("window", "text", "done", "order")), set(names))
    last = [j["order"] for n, j in found if n == "order"][-1]
    check("the last order is the ranking", last == [r["index"] for r in found[-1][1]["results"]], last)
    for wish in ({"schedule": "topdown", "window": 4, "step": 2}, {"depth": 12}):
        head, found = events({"query": "q", "documents": [f"word {i}" for i in range(30)], "rearank": dict(wish, mode="logits")})
        orders = [j["order"] for n, j in found if n == "order"]
        check(f"{wish}: an order a window", len(orders) == sum(n == "done" for n, _ in found) > 0, len(orders))
        check(f"{wish}: orders hold each document once", all(sorted(x) == list(range(30)) for x in orders), orders)
        check(f"{wish}: the last order is the ranking", orders[-1:] == [[r["index"] for r in found[-1][1]["results"]]], orders[-1:])
    head, found = events({"query": "q", "documents": []})
    check("a fault is an answer, no stream", b"400" in head.split(b"\r\n")[0], head)


def raw(data, wait=5.0):
    s = socket.create_connection(("127.0.0.1", PORT), timeout=wait)
    s.sendall(data)
    try:
        out = s.recv(65536)
    except (socket.timeout, ConnectionResetError):
        out = b""
    s.close()
    return out


def hostile():
    for line in (b"GARBAGE\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n"):
        out = raw(line)
        check(f"refused: {line[:30]}", out == b"" or b" 400 " in out or b" 505 " in out, out)
    out = raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200000 + b"\r\n\r\n")
    check("a long header", out == b"" or b" 431 " in out or b" 413 " in out or b" 414 " in out or b" 400 " in out, out[:100])
    status, head, text = ask("POST", "/rerank", {"query": "q", "documents": ["a"]}, {"Host": "evil.example"})
    check("a foreign Host", status == 403, text)
    status, head, text = ask("POST", "/rerank", {"query": "q", "documents": ["a"]}, {"Origin": "https://evil.example"})
    check("a foreign Origin", status == 403 and "access-control-allow-origin" not in head, text)
    status, head, text = ask("OPTIONS", "/rerank", None, {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})
    check("a foreign preflight", status == 403 and "access-control-allow-origin" not in head, head)
    status, head, text = ask("POST", "/rerank", b"[" * 300000)
    check("deep", status == 400, text)
    status, head, text = ask("POST", "/rerank", b"x" * (33 << 20))
    check("a long body", status == 413, text)
    for path in ("/../etc/passwd", "/%2e%2e/etc/passwd", "//", "/v1/rerank%00"):
        check(path, ask("GET", path)[0] in (400, 404, 405), path)
    idle = [socket.create_connection(("127.0.0.1", PORT), timeout=20) for _ in range(500)]
    half = [socket.create_connection(("127.0.0.1", PORT), timeout=20) for _ in range(100)]
    for s in half:
        s.sendall(b"POST /rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    check("others are served meanwhile", rank()[0] == 200)
    for s in idle + half:
        s.close()


def post_bytes(path, body):
    data = json.dumps(body).encode()
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def hang_up(seed):
    r = random.Random(seed)
    body = {"query": f"q{seed}", "documents": [f"word {i}" for i in range(40)], "rearank": {"mode": "strict"}}
    s = socket.create_connection(("127.0.0.1", PORT), timeout=60)
    data = post_bytes(r.choice(("/v1/rerank", "/v1/rank/stream")), body)
    if r.random() < 0.3:
        data = data[: r.randrange(1, len(data))]
    s.sendall(data)
    time.sleep(r.random() * 0.3)
    if r.random() < 0.5:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def idle_again(seconds=60):
    end = time.time() + seconds
    while time.time() < end and metric("rearank_running") + metric("rearank_queued") > 0:
        time.sleep(0.1)
    return metric("rearank_running") + metric("rearank_queued") == 0


def disconnects():
    before = metric("rearank_clients_gone_total")
    threads = [threading.Thread(target=hang_up, args=(i,)) for i in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check("what nobody waits for ends", idle_again())
    check("clients that went away were noticed", metric("rearank_clients_gone_total") > before)
    check("nothing is held", metric("rearank_held_bytes") == 0, metric("rearank_held_bytes"))
    check("it still ranks", rank()[0] == 200)


def repeats():
    body = {"query": "a long one", "documents": [f"word {i}" for i in range(40)], "rearank": {"mode": "strict"}}
    before = metric("rearank_repeats_total")
    s = socket.create_connection(("127.0.0.1", PORT), timeout=60)
    s.sendall(post_bytes("/v1/rerank", body))
    time.sleep(0.3)
    s.close()
    time.sleep(0.3)
    status, head, text = ask("POST", "/v1/rerank", body)
    check("a repeat is answered", status == 200 and len(json.loads(text)["results"]) == 40, text)
    check("by the ranking that went on", metric("rearank_repeats_total") == before + 1)


def busy():
    found = []

    def one(i):
        body = {"query": f"q{i}", "documents": [f"word {i} {k}" for k in range(30)], "rearank": {"mode": "strict"}}
        status, head, text = ask("POST", "/v1/rerank", body)
        found.append((status, head.get("retry-after"), json.loads(text)))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    statuses = sorted(s for s, _, _ in found)
    check("answers and refusals only", set(statuses) == {200, 429}, statuses)
    check("when to come again", all(int(r) > 0 for s, r, _ in found if s == 429))
    check("429 says why", all("wait" in j["message"] for s, _, j in found if s == 429))


def same():
    """Many at once get the bytes that each gets alone, but for its id and times."""
    bodies = [{"query": f"q{i}", "documents": [f"word {i} {k}" for k in range(6)]} for i in range(12)]

    def text(body):
        j = json.loads(ask("POST", "/v1/rerank", body)[2])
        return j["results"]

    alone = [text(b) for b in bodies]
    together = [None] * len(bodies)

    def one(i):
        together[i] = text(bodies[i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(bodies))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check("the same together as alone", alone == together, (alone, together))


for name in sys.argv[2:]:
    {f.__name__: f for f in (pages, shapes, extension, stream, hostile, disconnects, repeats, busy, same)}[name]()
sys.exit(failed > 0)
