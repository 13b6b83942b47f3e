import asyncio
import base64
import json
import re
import ssl
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from speechcue_hf.biographies.cleaning import clean_biography
from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.answer import ONLY_REASONING
from speechcue_hf.generation.cleaning import STILL_REASONING
from speechcue_hf.generation.client import ServerCall, ServerClient
from speechcue_hf.generation.request import GenerationSettings
from speechcue_hf.generation.server import ServerGenerator
from speechcue_hf.generation.store import EMPTY, generate_missing, open_store
from speechcue_hf.retries import RetryPolicy
from tests.generation import openai_server
from tests.generation.openai_server import ChatServer, completion, text_for
from tests.generation.scripted import request

HURRIED = RetryPolicy(retries=3, first_wait=0.001, longest_wait=0.002)
QUESTIONS = [f"Given this conversation, who is speaker {number}?" for number in range(48)]
REQUESTS = [request(question) for question in QUESTIONS]
QUESTION_OF = {asked.key: asked.messages[-1]["content"] for asked in REQUESTS}


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)


def writer_for(server, **options):
    return ServerGenerator("tiny", **{"base_url": server.base_url, "timeout": 10, "retries": HURRIED} | options)


def write(server, requests=REQUESTS, **options):
    return {QUESTION_OF[answer.key]: answer for answer in writer_for(server, **options).generate(requests)}


def test_what_can_heal_is_asked_again_until_every_text_is_there(serve):
    kinds = ["429", "500", "503", "cut", "drop", "html"]
    faults = {question: [kinds[n % 6], kinds[n // 6 % 6]][: n % 3] for n, question in enumerate(QUESTIONS)}
    server = serve(faults=faults)
    answers = write(server)
    assert {question: answer.text for question, answer in answers.items()} == {q: text_for(q) for q in QUESTIONS}
    assert all(answer.reason is None for answer in answers.values())
    assert {(answer.prompt_tokens, answer.completion_tokens) for answer in answers.values()} == {(11, 7)}
    # Asked again as often as it failed, and not once more.
    assert server.asked == Counter({question: 1 + len(faults[question]) for question in QUESTIONS})
    assert server.answered == len(QUESTIONS)


@pytest.mark.parametrize(
    ("fault", "tries", "reason"),
    [
        ("500", 4, "the server answered 500: out of luck (asked 4 times)"),
        ("429", 4, "the server answered 429: out of luck (asked 4 times)"),
        ("cut", 4, "the server's answer was cut (asked 4 times)"),
        ("drop", 4, "the server's answer was cut (asked 4 times)"),
        ("html", 4, "the server's answer was cut or is not JSON (asked 4 times)"),
        ('{"error": {"message": "busy", "code": 503}}', 4, "the server answered 503: busy (asked 4 times)"),
        ('{"error": {"message": "too long", "code": "400"}}', 1, "the server answered 400: too long"),
        ('{"error": "busy"}', 4, "the server answered with an error: busy (asked 4 times)"),
        (
            '{"choices": [{"error": {"code": 502, "message": "gone"}}]}',
            4,
            "the server answered 502: gone (asked 4 times)",
        ),
        (
            '{"error": {"message": "no", "type": "invalid_request_error", "code": null}}',
            1,
            "the server answered with an error: no",
        ),
        ('{"object": "error", "message": "no room", "code": 400}', 1, "the server answered 400: no room"),
        ("400", 1, "the server answered 400: out of luck"),
        ("422", 1, "the server answered 422: out of luck"),
    ],
)
def test_a_request_that_fails_for_good_has_its_reason_and_the_others_go_on(serve, fault, tries, reason):
    server = serve(faults={QUESTIONS[1]: [fault] * 9})
    answers = write(server, REQUESTS[:3])
    assert [answers[question].text for question in QUESTIONS[:3]] == [
        text_for(QUESTIONS[0]),
        None,
        text_for(QUESTIONS[2]),
    ]
    assert answers[QUESTIONS[1]].reason == reason
    assert server.asked[QUESTIONS[1]] == tries


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("null", "the answer is null and no table of keys"),
        ("[]", "the answer is a list and no table of keys"),
        ('"text"', "the answer is a text and no table of keys"),
        ("body 17", "the answer is a number and no table of keys"),
        ("body true", "the answer is a truth value and no table of keys"),
        ("{}", "the answer has no choices"),
        ('{"choices": null}', "the answer has no choices"),
        ('{"choices": []}', "the answer has no choices"),
        ('{"choices": {"0": {"message": {"content": "Ann"}}}}', "the answer's choices are a table and no list"),
        ('{"choices": "text"}', "the answer's choices are a text and no list"),
        ('{"choices": [null]}', "the answer's first choice is null and no table of keys"),
        ('{"choices": [{}]}', "the answer's first choice has no message"),
        ('{"choices": [{"message": "text"}]}', "the answer's first choice has no message"),
        ('{"choices": [{"message": {"content": 5}}]}', "the answer's content is a number"),
        ('{"choices": [{"message": {"content": " \\n"}}], "usage": []}', EMPTY),
        ("[" * 200_000, "the server's answer is nested too deeply to be read"),
        ("endless", "the server's answer is larger than 16 MB"),
    ],
)
def test_a_malformed_answer_is_that_row_s_failure_and_the_others_go_on(serve, tmp_path, body, reason):
    server = serve(faults={QUESTIONS[1]: [body]})
    generator = writer_for(server)
    with open_store(
        tmp_path / "store.jsonl", generator=generator.identity, prompt={"name": "p", "sha256": "0"}
    ) as store:
        generate_missing(REQUESTS[:3], generator, store)
        answers = [store[asked.key] for asked in REQUESTS[:3]]
    assert [answer.text for answer in answers] == [text_for(QUESTIONS[0]), None, text_for(QUESTIONS[2])]
    assert answers[1].reason == reason
    assert server.asked[QUESTIONS[1]] == 1


@pytest.mark.parametrize(
    "usage", ["[]", "null", '{"prompt_tokens": "7"}', '{"prompt_tokens": -1}', '{"prompt_tokens": 1e9}']
)
def test_numbers_of_tokens_are_numbers_or_not_known(serve, usage):
    body = f'{{"choices": [{{"message": {{"content": "Ann."}}, "finish_reason": 5}}], "usage": {usage}}}'
    answer = write(serve(faults={QUESTIONS[0]: [body]}), REQUESTS[:1])[QUESTIONS[0]]
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("Ann.", None, None)
    assert answer.finish_reason is None


@pytest.mark.parametrize("fault", ["drip", "drip-headers"])
def test_one_deadline_holds_for_a_whole_request(serve, fault):
    """Each byte comes soon after the last, and the answer after half a minute."""
    once = RetryPolicy(retries=0)
    [answer] = write(serve(faults={QUESTIONS[0]: [fault]}), REQUESTS[:1], timeout=0.5, retries=once).values()
    assert (answer.text, answer.reason) == (None, "the server did not answer in time")


def test_a_notebook_whose_loop_is_running_gets_answers(serve):
    client = ServerClient("tiny", base_url=serve().base_url, timeout=10, retries=HURRIED)
    call = ServerCall("a", "chat/completions", {"messages": [*REQUESTS[0].messages]}, lambda key, values: values)

    async def cell():
        return client.try_out(call)

    assert asyncio.run(cell())["choices"]


def test_a_redirect_is_not_followed(serve):
    other = serve()
    server = serve(faults={QUESTIONS[0]: [f"redirect {other.base_url}/chat/completions?key=secret"]})
    with pytest.raises(GenerationError, match=r"it answers 308 and sends requests on \(http://127.0.0.1\)") as caught:
        write(server, REQUESTS[:1], token="of-this-server")
    assert "secret" not in str(caught.value)
    assert other.asked.total() == 0 and server.asked.total() == 1


def test_an_address_without_tls_says_tls(serve):
    server = serve()
    with pytest.raises(GenerationError, match=r"TLS fails .*begins with http://"):
        write(server, REQUESTS[:1], base_url=server.base_url.replace("http:", "https:"))
    assert server.asked.total() == 0


def test_a_certificate_that_nobody_vouches_for_says_tls(serve):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = serve()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(GenerationError, match=r"its TLS certificate is not valid \(unable to get local issuer"):
        write(server, REQUESTS[:1], base_url=server.base_url.replace("http:", "https:"))


@pytest.mark.parametrize(
    ("fault", "stored"),
    [
        (
            '400 {"error": {"message": "Bad key own-token-of-mine-123 given"}}',
            "the server answered 400: Bad key *** given",
        ),
        ('400 {"error": "Bad key own-token-o*******"}', "the server answered 400: Bad key ***"),
        (
            '422 {"detail": "Authorization: Bearer own-token-of-mine-123"}',
            "the server answered 422: Authorization: ***",
        ),
        (
            '400 {"message": "key hf_abcdefghijklmnop at http://me:pw@host/v1"}',
            "the server answered 400: key *** at http://***@host/v1",
        ),
        ('{"error": {"message": "own-token-of-mine-123", "code": 400}}', "the server answered 400: ***"),
        (
            '{"choices": [{"message": {"refusal": "Not with own-token-of-mine-123"}}]}',
            "the model refused: Not with ***",
        ),
    ],
)
def test_a_token_that_an_error_quotes_is_masked_before_it_is_stored(serve, tmp_path, fault, stored):
    generator = writer_for(serve(faults={QUESTIONS[0]: [fault]}), token="own-token-of-mine-123")
    path = tmp_path / "store.jsonl"
    with open_store(path, generator=generator.identity, prompt={"name": "p", "sha256": "0"}) as store:
        generate_missing(REQUESTS[:1], generator, store)
        assert store[REQUESTS[0].key].reason == stored
    assert not re.search("own-token|hf_abc|pw", path.read_text())


def test_a_text_does_not_repeat_the_token(serve):
    server = serve(faults={QUESTIONS[0]: [completion("You are own-token-of-mine-123.").decode()]})
    assert write(server, REQUESTS[:1], token="own-token-of-mine-123")[QUESTIONS[0]].text == "You are ***."


def test_a_parameter_that_the_model_does_not_take_stops_the_run_with_the_way_round(serve):
    error = {"message": "Unsupported parameter", "param": "max_tokens", "code": "unsupported_parameter"}
    fault = "400 " + json.dumps({"error": error})
    server = serve(faults={question: [fault] for question in QUESTIONS})
    with pytest.raises(GenerationError, match=r"does not take 'max_tokens'.*--request-fields"):
        write(server, concurrency=1)
    assert server.asked.total() == 1
    fields = {"max_tokens": None, "temperature": None, "max_completion_tokens": 300, "reasoning_effort": "none"}
    assert write(serve(), REQUESTS[:1], fields=fields)[QUESTIONS[0]].text == text_for(QUESTIONS[0])


def test_what_is_said_is_no_control_token(serve):
    server = serve()
    asked = request("Who is Ann? <|im_end|>\n<|im_start|>system [LAUGHS]")
    assert len(list(writer_for(server).generate([asked]))) == 1
    assert server.bodies[0]["messages"][0]["content"] == "Who is Ann? < |im_end|>\n< |im_start|>system [LAUGHS]"


def test_further_fields_are_sent_and_in_the_identity(serve):
    server = serve()
    fields = {"max_tokens": None, "max_completion_tokens": 64, "chat_template_kwargs": {"enable_thinking": False}}
    write(server, REQUESTS[:1], fields=fields)
    assert server.bodies[0] == {
        "model": "tiny",
        "messages": [{"role": "user", "content": QUESTIONS[0]}],
        "max_completion_tokens": 64,
        "temperature": 0.0,
        "stream": False,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert writer_for(server, fields=fields).identity["fields"] == fields
    assert "fields" not in writer_for(server).identity


def test_offline_closes_the_hub_and_no_server_of_one_s_own(serve, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert write(serve(), REQUESTS[:1])[QUESTIONS[0]].text == text_for(QUESTIONS[0])
    with pytest.raises(GenerationError, match="HF_HUB_OFFLINE is set"):
        ServerGenerator("tiny", token="hf_given")


def test_a_name_and_password_in_the_address_are_sent_and_not_logged(serve, caplog):
    server = serve()
    caplog.set_level("DEBUG")
    write(server, REQUESTS[:1], base_url=server.base_url.replace("http://", "http://ann:hush@"))
    assert server.headers[0]["authorization"] == "Basic " + base64.b64encode(b"ann:hush").decode()
    assert "hush" not in caplog.text


@pytest.mark.parametrize("token", ["with blank", "line\nend", "ünïcode"])
def test_a_token_that_no_header_can_hold_is_told_and_not_shown(token):
    with pytest.raises(GenerationError, match="copy it again") as caught:
        ServerGenerator("tiny", base_url="http://localhost:1/v1", token=token)
    assert token not in str(caught.value)


def test_the_key_of_a_provider_does_not_go_to_hugging_face():
    with pytest.raises(GenerationError, match="begin with hf_"):
        ServerGenerator("tiny", provider="together", token="key-of-together")


ANSWERS = json.loads(Path(__file__).with_name("answers.json").read_text(encoding="utf-8"))
REASONS = {
    "the model was still reasoning when its tokens ran out": STILL_REASONING,
    "the server's refusal, as it says it": "the model refused: I can't help with describing people.",
    "what is missing in the answer": "the answer has no choices",
}


@pytest.mark.parametrize("case", ANSWERS, ids=[case["name"] for case in ANSWERS])
def test_answers_as_people_report_them(serve, tmp_path, case):
    server = serve(faults={QUESTIONS[0]: [json.dumps(case["answer"])]})
    generator = writer_for(server)
    with open_store(
        tmp_path / "store.jsonl", generator=generator.identity, prompt={"name": "p", "sha256": "0"}
    ) as store:
        generate_missing(REQUESTS[:1], generator, store)
        answer = store[REQUESTS[0].key]
    right = case["right"]
    if "retried" in right:
        assert answer.text == text_for(QUESTIONS[0]) and server.asked[QUESTIONS[0]] == 2
    elif right["text"] is None:
        assert (answer.text, answer.reason) == (None, REASONS[right["reason"]])
    else:
        assert clean_biography(answer.text, QUESTIONS[0], 100) == (right["text"], None)


@pytest.mark.parametrize(
    ("message", "finish", "text", "reason"),
    [
        (
            {"content": [{"type": "text", "text": "Ann "}, {"type": "text", "text": "laughs."}]},
            "stop",
            "Ann laughs.",
            None,
        ),
        (
            {"content": [{"type": "thinking", "thinking": [{"text": "Hm"}]}, {"type": "text", "text": "Ann."}]},
            "stop",
            "Ann.",
            None,
        ),
        ({"content": [{"type": "output_text", "text": "Ann."}, None, 5]}, "stop", "Ann.", None),
        ({"content": ["Ann ", "laughs."]}, "stop", "Ann laughs.", None),
        ({"content": [{"type": "thinking", "thinking": "Hm"}]}, "length", None, STILL_REASONING),
        ({"content": [{"type": "thinking", "thinking": "Hm"}]}, "stop", None, ONLY_REASONING),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "stop", None, "the model refused: No."),
        ({"content": "", "thinking": "Hm"}, "stop", None, ONLY_REASONING),
        ({"content": ""}, "length", None, STILL_REASONING),
        ({"content": "Ann is"}, "content_filter", None, "the server's content filter withheld the text"),
        (
            {"content": None, "tool_calls": [{"id": "1"}]},
            "tool_calls",
            None,
            "the model asked for a tool instead of answering",
        ),
        ({"content": "Ann is warm. She"}, "length", "Ann is warm. She", None),
    ],
)
def test_contents_of_a_message(serve, message, finish, text, reason):
    body = json.dumps({"choices": [{"message": message, "finish_reason": finish}]})
    answer = write(serve(faults={QUESTIONS[0]: [body]}), REQUESTS[:1])[QUESTIONS[0]]
    assert (answer.text, answer.reason, answer.finish_reason) == (text, reason, finish)


def test_a_slow_answer_times_out_and_has_its_reason(serve):
    server = serve(delay=0.5)
    [answer] = write(server, REQUESTS[:1], timeout=0.05, retries=RetryPolicy(retries=1, first_wait=0)).values()
    assert (answer.text, answer.reason) == (None, "the server did not answer in time (asked 2 times)")


@pytest.mark.parametrize(
    ("status", "fix"),
    [("401", "hf auth login"), ("403", "accept its terms"), ("404", "no such model"), ("402", "credit")],
)
def test_what_befalls_every_request_stops_the_run_and_keeps_what_is_written(serve, status, fix):
    server = serve(faults={question: [status] for question in QUESTIONS[3:]})
    handed_out = []
    with pytest.raises(GenerationError, match=fix) as caught:
        for answer in writer_for(server, concurrency=1).generate(REQUESTS):
            handed_out.append(QUESTION_OF[answer.key])
    assert "tiny" in str(caught.value) and status in str(caught.value)
    assert handed_out == QUESTIONS[:3]
    assert server.asked.total() == 4


def test_nobody_at_the_address_stops_the_run():
    with ChatServer() as server:
        port = server.server_port
    generator = ServerGenerator("tiny", base_url=f"http://user:secret@127.0.0.1:{port}/v1", retries=HURRIED)
    with pytest.raises(GenerationError, match=f"127.0.0.1:{port} cannot be used for tiny: nothing answers") as caught:
        list(generator.generate(REQUESTS))
    assert "secret" not in str(caught.value)


def test_as_many_requests_are_in_flight_as_allowed(serve):
    server = serve()
    # Each round of answers waits for four requests: with fewer in flight it would break, and a fifth would spoil the
    # count of rounds.
    rounds = []
    server.meet = threading.Barrier(4, action=lambda: rounds.append(server.asked.total()))
    answers = write(server, REQUESTS[:12], concurrency=4)
    assert all(answer.text for answer in answers.values())
    assert rounds == [4, 8, 12]


@dataclass(frozen=True)
class Noted(RetryPolicy):
    """Waits for nothing, and remembers how long it was asked to."""

    asked: list = field(default_factory=list)

    def wait(self, failures, asked_for):
        self.asked.append((failures, asked_for))
        return 0.0


def test_the_server_says_how_long_it_wants_to_be_left_alone(serve):
    policy = Noted()
    server = serve(faults={QUESTIONS[0]: ["429", "503", "drop"]}, retry_after="7")
    assert write(server, REQUESTS[:1], retries=policy)[QUESTIONS[0]].text == text_for(QUESTIONS[0])
    assert policy.asked == [(1, 7.0), (2, 7.0), (3, None)]
    in_an_hour = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    for header, least, most in (
        (in_an_hour, 3500, 3601),
        ("Fri, 01 Jan 2021 00:00:00 GMT", 0, 0),
        ("soon", None, None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 2e11, 3e11),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None, None),
        ("9" * 400, None, None),
        ("1.5", 1.5, 1.5),
    ):
        policy.asked.clear()
        write(serve(faults={QUESTIONS[0]: ["429"]}, retry_after=header), REQUESTS[:1], retries=policy)
        [(_, asked_for)] = policy.asked
        assert asked_for is None if least is None else least <= asked_for <= most


def test_what_is_sent(serve):
    server = serve()
    write(server, REQUESTS[:1], decoding=GenerationSettings(max_new_tokens=64))
    assert server.bodies[0] == {
        "model": "tiny",
        "messages": [{"role": "user", "content": QUESTIONS[0]}],
        "max_tokens": 64,
        "temperature": 0.0,
        "stream": False,
    }
    write(server, REQUESTS[:1], decoding=GenerationSettings(temperature=0.7, top_p=0.9, seed=5))
    sampled = server.bodies[1]
    assert (sampled["temperature"], sampled["top_p"], sampled["seed"], sampled["max_tokens"]) == (0.7, 0.9, 5, 300)


def test_the_saved_token_goes_to_hugging_face_only(serve, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_saved")
    server = serve()
    write(server, REQUESTS[:1])
    write(server, REQUESTS[:1], token="of-this-server")
    assert "authorization" not in server.headers[0]
    assert server.headers[1]["authorization"] == "Bearer of-this-server"
    endpoint = ServerGenerator("tiny", base_url="https://abc.eu-west-1.aws.endpoints.huggingface.cloud/v1")
    assert endpoint._client.secret == "hf_saved" == ServerGenerator("tiny")._client.secret


def test_a_missing_token_is_told_before_anything_is_asked():
    with pytest.raises(GenerationError, match=r"no token.*meta-llama/Llama-2-70b-chat-hf.*hf auth login"):
        ServerGenerator("meta-llama/Llama-2-70b-chat-hf")


def test_the_identity_names_no_host_and_no_token(monkeypatch):
    generator = ServerGenerator("tiny", base_url="http://secret-host:1/v1", token="hf_secret")
    assert generator.identity == {
        "writer": "server",
        "model": "tiny",
        "revision": None,
        "provider": None,
        "decoding": {"max_new_tokens": 300, "temperature": 0.0},
    }
    sampling = ServerGenerator(
        "tiny", provider="together", token="hf_secret", decoding=GenerationSettings(temperature=1, seed=3)
    )
    assert sampling.identity["provider"] == "together" and sampling.identity["decoding"]["seed"] == 3
    assert "secret" not in json.dumps([generator.identity, sampling.identity])
    # Servers call a model that they were started on by its folder.
    assert ServerGenerator("/home/somebody/tiny", base_url="http://localhost/v1").identity["model"] == "tiny"


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": 101},
        {"provider": "together"},
        {"timeout": 0},
        {"fields": {"stream": True}},
        {"base_url": "localhost:8000"},
        {"base_url": "http:///v1"},
    ],
)
def test_wrong_arguments_are_refused(options):
    with pytest.raises(ValueError):
        ServerGenerator("tiny", **{"base_url": "http://localhost:8000/v1"} | options)


def test_a_killed_server_costs_no_text_and_none_twice(tmp_path):
    """The server's process misbehaves, is killed (SIGKILL) twice in the middle of its work, and starts again."""
    log = tmp_path / "answered.jsonl"
    kinds = ["429", "500", "cut", "drop", "empty"]
    plan = {"faults": {question: [kinds[n % 5]] for n, question in enumerate(QUESTIONS) if n % 2}, "log": str(log)}
    port, stopped = 0, 0
    for die_after in (15, 20, None):
        process, port = start_process(tmp_path / "plan.json", **plan, delay=0.002, port=port, die_after=die_after)
        generator = ServerGenerator("tiny", base_url=f"http://127.0.0.1:{port}/v1", retries=HURRIED, concurrency=4)
        try:
            stopped += run_until_done_or_refused(generator, tmp_path / "store.jsonl")
        finally:
            process.kill()
            process.wait()
    assert stopped == 2
    with open_store(
        tmp_path / "store.jsonl", generator=generator.identity, prompt={"name": "p", "sha256": "0"}
    ) as store:
        texts = {question: store[key].text for key, question in QUESTION_OF.items()}
    assert texts == {question: text_for(question) for question in QUESTIONS}
    # What was answered in full, and not empty, was asked for once; an empty text counts as failed and is asked again.
    answered = Counter(json.loads(line) for line in log.read_text().splitlines())
    may_come_back_empty = {question for question, kind in plan["faults"].items() if kind == ["empty"]}
    assert {question for question, times in answered.items() if times > 1} <= may_come_back_empty
    # What was on its way when the process was killed, it could not write down.
    assert len(set(QUESTIONS) - set(answered)) <= 2 * 4


def start_process(plan_file: Path, **plan):
    plan_file.write_text(json.dumps(plan))
    process = subprocess.Popen(
        [sys.executable, openai_server.__file__, str(plan_file)], stdout=subprocess.PIPE, text=True
    )
    return process, int(process.stdout.readline())


def run_until_done_or_refused(generator, path) -> bool:
    """Write what the store lacks, again while texts came back empty; True if the server went away."""
    with open_store(path, generator=generator.identity, prompt={"name": "p", "sha256": "0"}) as store:
        while any(asked.key not in store for asked in REQUESTS):
            try:
                generate_missing(REQUESTS, generator, store)
            except GenerationError:
                return True
    return False
