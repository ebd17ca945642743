#!/usr/bin/env python3
"""Compares greedy text with llama.cpp's on real windows: the same prompt tokens, the first tokens of both answers.

    peer_check.py [OPTION]... --model MODEL.gguf --candidates FILE.jsonl -- LLAMA_SERVER [ARGUMENT]...

LLAMA_SERVER is llama.cpp's llama-server with what selects its back end, such as `llama-server -ngl 0 -t 4`; model, context
and address are added. Each of the first queries of FILE gives one window, its first passages. Where the answers differ, the
difference in log-probability of the two tokens on our side is shown: below --near-tie two engines may choose either.
Exit status: 0 when all windows agree or end in near ties, 1 when one does not. Run by developers; Python's library only.
"""
import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def options():
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(usage=__doc__.splitlines()[2].strip(), description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--model", required=True)
    parser.add_argument("--candidates", required=True)
    parser.add_argument("--rearank", default=os.path.join(here, "../../../build/release/rearank"))
    parser.add_argument("--device", help="as for `rearank rank`")
    parser.add_argument("--exact", action="store_true",
                        help="as for `rearank rank`; differences are judged with it in any case")
    parser.add_argument("--queries", type=int, default=10, help="windows to compare (default 10)")
    parser.add_argument("--window", type=int, default=20, help="passages a window (default 20)")
    parser.add_argument("--tokens", type=int, default=16, help="tokens to compare (default 16)")
    parser.add_argument("--near-tie", type=float, default=0.1, help="log-probability (default 0.1)")
    parser.add_argument("--context", type=int, default=8192)
    found = parser.parse_args(sys.argv[1:split])
    found.server = sys.argv[split + 1:]
    if not found.server:
        parser.error("LLAMA_SERVER is missing: -- and its command line stand at the end")
    return found


FORCED = ("\n<", "</") # how the tags begin that finish an answer by force


class Ours:
    """The `rearank` program."""

    def __init__(self, opt):
        self.opt = opt
        self.device = ["--device", opt.device] if opt.device else []
        self.exact = ["--exact"] if opt.exact else []

    def run(self, *arguments, text=None):
        done = subprocess.run([self.opt.rearank, *arguments], input=text, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"rearank {' '.join(arguments)}: exit status {done.returncode}")
        return done.stdout

    def prompt_ids(self, candidates, qid):
        messages = self.run("prompt", "--candidates", candidates, "--qid", qid, "--window", str(self.opt.window),
                            "--format", "json")
        return json.loads(self.run("tokenize", "-m", self.opt.model, "--chat", "--format", "json", text=messages))

    def answers(self, candidates, folder):
        """qid -> text; a text goes on after --tokens, because a cut answer is finished by force."""
        log = os.path.join(folder, "log.jsonl")
        self.run("rank", "-m", self.opt.model, *self.device, *self.exact, "--candidates", candidates,
                 "--window", str(self.opt.window), "--no-strict", "--max-tokens", str(self.opt.tokens),
                 "--context", str(self.opt.context), "--log", log, "--format", "jsonl")
        with open(log, encoding="utf-8") as lines:
            return {line["qid"]: line["responses"][0] for line in map(json.loads, lines)}

    def ids(self, text):
        return json.loads(self.run("tokenize", "-m", self.opt.model, "--special", "--format", "json", text=text))

    def choices(self, prompt, answer, exact):
        """For each token of the answer what our path makes of its place: id -> log-probability, the likeliest first."""
        rows = self.run("logits", "-m", self.opt.model, *self.device, *(["--exact"] if exact else []),
                        "--context", str(self.opt.context), "--tokens", "-", "--top", "100", text=json.dumps(prompt + answer))
        rows = rows.splitlines()[len(prompt) - 1:-1]
        return [{entry["id"]: entry["logprob"] for entry in json.loads(row)["top"]} for row in rows]


class Peer:
    """A llama-server of our own."""

    def __init__(self, opt, folder, end):
        self.end = end
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.log_path = os.path.join(folder, "server.log")
        command = [*opt.server, "-m", opt.model, "-c", str(opt.context), "-np", "1", "--host", "127.0.0.1", "--port", str(port)]
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_until_ready(self):
        while self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.address + "/health", timeout=10):
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.5)
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            sys.exit("the server did not start; its last lines:\n" + "".join(log.readlines()[-10:]))

    def ask(self, what, request):
        data = urllib.request.Request(f"{self.address}/{what}", json.dumps(request).encode(),
                                      {"Content-Type": "application/json"})
        with urllib.request.urlopen(data, timeout=3600) as reply:
            return json.load(reply)

    def answer(self, prompt, n_tokens):
        found = self.ask("completion", {"prompt": prompt, "n_predict": n_tokens, "temperature": 0,
                                        "samplers": ["temperature"], "cache_prompt": False, "return_tokens": True})
        if found["tokens_evaluated"] != len(prompt):
            sys.exit(f"the server read {found['tokens_evaluated']} prompt tokens, expected {len(prompt)}")
        tokens = found["tokens"]
        ended = found["stop_type"] == "eos"
        if ended and tokens[-1:] != self.end:
            tokens += self.end # what ended the text is part of the choice
        return tokens, found["content"], ended

    def text(self, tokens):
        """Without a character that is cut at the end."""
        return self.ask("detokenize", {"tokens": tokens})["content"].rstrip("\ufffd")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def read_queries(opt):
    with open(opt.candidates, encoding="utf-8") as lines:
        queries = [query for query in map(json.loads, lines) if len(query["hits"]) >= opt.window][:opt.queries]
    for query in queries:
        query["qid"] = str(query["qid"])
        query["hits"] = query["hits"][:opt.window]
    if not queries:
        sys.exit(f"{opt.candidates}: no query has {opt.window} passages")
    return queries


def begins(answer, theirs, mine, peer):
    """Whether our answer may begin with some of their tokens and then this one of ours."""
    start = peer.text(theirs) if theirs else ""
    if mine in peer.end:
        return answer.startswith(start) and answer[len(start):].startswith(FORCED)
    return answer.startswith(peer.text(theirs + [mine]))


def part(ours, peer, prompt, theirs, answer):
    """Where our answer leaves theirs, and by how much the log-probabilities of the two tokens differ there in our float path;
    infinite when one is far away. The ids of our answer are in no log, and a model need not write a text in the ids that a
    tokenizer gives it: so the place is the first where our path, led along their tokens, prefers one that our answer shows."""
    led = ours.choices(prompt, theirs, ours.opt.exact)
    for i, choice in enumerate(led):
        mine = next(iter(choice))
        if mine != theirs[i] and begins(answer, theirs[:i], mine, peer):
            exact = led[i] if ours.opt.exact else ours.choices(prompt, theirs, True)[i]
            both = mine in exact and theirs[i] in exact
            return i, abs(exact[mine] - exact[theirs[i]]) if both else float("inf")
    return 0, float("inf")


def compare(opt, folder, peer):
    queries = read_queries(opt)
    candidates = os.path.join(folder, "candidates.jsonl")
    with open(candidates, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(query) + "\n" for query in queries)
    ours = Ours(opt)
    answers = ours.answers(candidates, folder)
    peer.wait_until_ready()
    n_same = n_near = 0
    print(f"{'qid':>10}  {'prompt':>6}  {'agree':>8}  {'gap':>8}  text of the peer | ours where it differs", flush=True)
    for query in queries:
        prompt = ours.prompt_ids(candidates, query["qid"])
        theirs, text, ended = peer.answer(prompt, opt.tokens)
        answer = answers[query["qid"]]
        agree, between, ending = len(theirs), "", ""
        # where ours ended or was cut, forced tags follow: they may share a token with the text before them
        if answer.startswith(text) and (not ended or answer[len(text):].startswith(FORCED)):
            n_same += 1
        else:
            agree, between = part(ours, peer, prompt, theirs, answer)
            n_near += between < opt.near_tie
            between, ending = f"{between:.4f}", " | " + repr(answer[:len(text)])
        print(f"{query['qid']:>10}  {len(prompt):6}  {agree:4}/{len(theirs):<3}  {between:>8}  {text!r}{ending}", flush=True)
    print(f"{n_same} of {len(queries)} windows share their first {opt.tokens} tokens, {n_near} more part at a near tie")
    return n_same + n_near == len(queries)


def main():
    opt = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated")) # so that the server is stopped
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(opt, folder, Ours(opt).ids("<|im_end|>"))
        try:
            fine = compare(opt, folder, peer)
        finally:
            peer.stop()
    sys.exit(0 if fine else 1)


main()
