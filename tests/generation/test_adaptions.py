"""What servers refuse is found in their words, and asked for once."""

import json

import pytest

from speechcue_hf.generation.adaptions import folded
from speechcue_hf.generation.request import GenerationRequest, request_key
from speechcue_hf.generation.server import ServerGenerator
from tests.generation.openai_server import text_for

REFUSALS = {
    "max_tokens": {
        "message": "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
        "param": "max_tokens",
        "code": "unsupported_parameter",
    },
    "temperature": {
        "message": "Unsupported value: 'temperature' does not support 0.0 with this model.",
        "param": "temperature",
        "code": "unsupported_value",
    },
    "system": {"message": "System role not supported", "type": "BadRequestError", "code": 400},
}


def asked(*messages):
    said = tuple({"role": role, "content": content} for role, content in messages)
    return GenerationRequest(request_key(said), said, "one")


def test_refused_fields_are_changed_once_for_all_requests(serve, caplog):
    questions = ["Who is Ann?", "Who is Ben?", "Who is Cem?"]
    faults = [f"400 {json.dumps({'error': REFUSALS[name]})}" for name in ("max_tokens", "temperature")]
    server = serve(faults={questions[0]: faults})
    writer = ServerGenerator("tiny", base_url=server.base_url, concurrency=1)
    answers = list(writer.generate([asked(("user", question)) for question in questions]))
    assert [answer.text for answer in answers] == [text_for(question) for question in questions]
    # Three for the first, which was refused twice, and one for each other.
    assert len(server.bodies) == 5
    assert server.bodies[-1].keys() == {"model", "messages", "max_completion_tokens", "stream"}
    assert writer._client.adaptions.made == ["max_completion_tokens instead of max_tokens", "no temperature"]
    assert [record.message.split(": ")[1] for record in caplog.records] == [
        "max_completion_tokens instead of max_tokens.",
        "no temperature.",
    ]


@pytest.mark.parametrize(
    "said",
    ["System role not supported", "Conversation roles must alternate user/assistant/user/assistant/..."],
)
def test_a_refused_system_message_is_told_by_the_user(serve, said):
    server = serve(faults={"Who is Ann?": ["400 " + json.dumps({"error": {"message": said}})]})
    writer = ServerGenerator("tiny", base_url=server.base_url)
    [answer] = writer.generate([asked(("system", "Be short."), ("user", "Who is Ann?"))])
    assert answer.text == text_for("Be short.\n\nWho is Ann?")
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": "Be short.\n\nWho is Ann?"}]


def test_demonstrations_keep_their_place_when_a_system_message_is_folded():
    turns = [("system", "S"), ("user", "1"), ("assistant", "sad"), ("user", "2")]
    messages = [{"role": role, "content": content} for role, content in turns]
    assert [message["content"] for message in folded(messages)] == ["S\n\n1", "sad", "2"]


def test_other_refusals_are_not_taken_for_these(serve):
    error = {"message": "temperature must be at most 2", "param": "temperature", "code": "invalid_value"}
    server = serve(faults={"Who is Ann?": ["400 " + json.dumps({"error": error})]})
    [answer] = ServerGenerator("tiny", base_url=server.base_url).generate([asked(("user", "Who is Ann?"))])
    assert answer.text is None and answer.reason == "the server answered 400: temperature must be at most 2"
    assert len(server.bodies) == 1
