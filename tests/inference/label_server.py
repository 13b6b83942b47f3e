"""An OpenAI-shaped server that computes with a tiny model in this process and knows what it is told to know.

Independent of the package: logits of whole forward passes, nothing shared and nothing cached.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

KNOWN = {"model", "messages", "prompt", "max_tokens", "temperature", "stream", "chat_template_kwargs"}
"""Fields that every server takes; what a server knows beyond them is named by ``knows``."""

FIELDS = {
    "prompt_logprobs": {"prompt_logprobs"},
    "echo": {"echo", "logprobs"},
    "top_logprobs": {"logprobs", "top_logprobs"},
    "json_schema": {"response_format"},
    "structured_outputs": {"structured_outputs"},
    "guided_choice": {"guided_choice"},
    "grammar": {"grammar"},
}


class LabelServer(ThreadingHTTPServer):
    """The server.

    Args:
        model: Computes.
        tokenizer: Renders.
        knows: Names of :data:`FIELDS`.
        ignores: Fields that it takes and does nothing with.
        says: What it writes to each prompt, in free text; a callable on the last message.
        faults: Contents of last messages, or of decoded prompts, that are answered by a status, each once.
        die_after: Answers after which no connection is answered any more.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, model, tokenizer, knows: Sequence[str] = (), **plan: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model, self.tokenizer, self.knows = model, tokenizer, set(knows)
        self.ignores: set[str] = set(plan.get("ignores", ()))
        self.says = plan.get("says", lambda question: "I cannot tell.")
        self.fails = plan.get("fails", lambda content: None)
        self.die_after: int | None = plan.get("die_after")
        self.extra_tokens: int = plan.get("extra_tokens", 0)
        self.answered: list[dict[str, Any]] = []
        self.bodies: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address) -> None:
        """Say nothing about clients that went away."""

    def logprobs(self, ids: Sequence[int]) -> torch.Tensor:
        """After each token, of each next one; shape ``(tokens, vocabulary)``."""
        with self.lock, torch.no_grad():
            return self.model(input_ids=torch.tensor([list(ids)])).logits[0].double().log_softmax(-1)

    def completions(self, body: dict[str, Any]) -> dict[str, Any]:
        prompts = body["prompt"]
        choices = []
        for index, ids in enumerate(prompts):
            likely = self.logprobs(ids)
            own = [None, *(likely[place, token].item() for place, token in enumerate(ids[1:]))]
            choice: dict[str, Any] = {"index": index, "text": "x", "finish_reason": "length"}
            if "prompt_logprobs" in body:
                choice["prompt_logprobs"] = [
                    value if value is None else {str(token): {"logprob": value, "rank": 1, "decoded_token": "?"}}
                    for token, value in zip(ids, own, strict=True)
                ]
            if body.get("echo"):
                choice["logprobs"] = {"token_logprobs": [*own, likely[-1].max().item()]}
            choices.append(choice)
        sent = sum(map(len, prompts))
        usage = {
            "prompt_tokens": sent,
            "completion_tokens": len(prompts),
            "prompt_tokens_details": {"cached_tokens": 3},
        }
        return {"object": "text_completion", "choices": choices[::-1], "usage": usage}

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        messages = body["messages"]
        ids = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        labels = self.labels(body)
        said = labels[len(ids) % len(labels)] if labels else self.says(messages[-1]["content"])
        if "response_format" in body and labels:
            said = json.dumps({"emotion": said})
        choice["message"] = {"role": "assistant", "content": said}
        if body.get("logprobs") and "top_logprobs" in self.knows:
            values, tokens = self.logprobs(ids)[-1].topk(body["top_logprobs"])
            listed = [
                {"token": self.tokenizer.decode([token]), "logprob": value}
                for token, value in zip(tokens.tolist(), values.tolist(), strict=True)
            ]
            choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
        usage = {"prompt_tokens": len(ids) + self.extra_tokens, "completion_tokens": 2}
        return {"object": "chat.completion", "choices": [choice], "usage": usage}

    def labels(self, body: dict[str, Any]) -> list[str] | None:
        """To which an answer is constrained, where the server knows how."""
        if "structured_outputs" in body and "structured_outputs" in self.knows:
            return body["structured_outputs"]["choice"]
        if "guided_choice" in body and "guided_choice" in self.knows:
            return body["guided_choice"]
        if "response_format" in body and "json_schema" in self.knows:
            return body["response_format"]["json_schema"]["schema"]["properties"]["emotion"]["enum"]
        if "grammar" in body and "grammar" in self.knows:
            return [json.loads(part) for part in body["grammar"].removeprefix("root ::= ").split(" | ")]
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LabelServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.bodies.append(body)
        if server.die_after is not None and len(server.answered) >= server.die_after:
            self.close_connection = True
            return
        content = body["messages"][-1]["content"] if "messages" in body else server.tokenizer.decode(body["prompt"][0])
        taken = KNOWN.union(server.ignores, *(FIELDS[name] for name in server.knows))
        if unknown := sorted(set(body) - taken):
            self.send(422, {"detail": f"Unexpected fields in the request: {unknown}"})
        elif status := server.fails(content):
            self.send(status, {"error": {"message": "out of luck"}})
        elif self.path == "/v1/completions":
            self.send(200, server.completions(body))
        else:
            self.send(200, server.chat(body))

    def send(self, status: int, values: dict[str, Any]) -> None:
        content = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(content)
        if status == 200:
            self.server.answered.append(values)


@contextmanager
def serving(*arguments: Any, **plan: Any) -> Iterator[LabelServer]:
    with LabelServer(*arguments, **plan) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
