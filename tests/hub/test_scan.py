import base64
import getpass
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.reading import as_text, readings
from speechcue_hf.hub.scan import check_files
from tests.hub.hub_server import TOKEN

HOME = "/home/ann/corpora/x.wav"


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_token_is_found_and_not_shown(tmp_path):
    path = written(tmp_path, "training.json", f'{{"token": "{TOKEN}"}}')
    with pytest.raises(PublishingError, match=r"training\.json holds an access token") as refusal:
        check_files([path])
    assert TOKEN not in str(refusal.value)


TOKENS = {
    "of the Hub": TOKEN,
    "of an organisation of the Hub": "api_org_" + "a1" * 17,
    "of OpenAI": "sk-proj-" + "aB3_" * 12,
    "of Anthropic": "sk-ant-api03-" + "aB3-" * 12,
    "of GitHub": "ghp_" + "aB3d" * 9,
    "of GitHub, fine-grained": "github_pat_" + "aB3d_" * 10,
    "of GitLab": "glpat-" + "aB3d" * 5,
    "of Amazon": "AKIA" + "ABCD" * 4,
    "of Google": "AIza" + "aB3d5" * 7,
    "of Slack": "xoxb-123456789012-abcdefghijkl",
    "of npm": "npm_" + "aB3d" * 9,
    "of PyPI": "pypi-AgEIcHlwaS5vcmc" + "aB3d" * 20,
    "of Stripe": "sk_live_" + "aB3d" * 6,
    "of SendGrid": "SG." + "a" * 22 + "." + "b" * 43,
    "of Telegram": "123456789:" + "aB3d5" * 7,
    "of NVIDIA": "nvapi-" + "aB3d" * 12,
    "of a web server": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefABCDEF0123",
    "in a header": "Authorization: Bearer aB3daB3daB3daB3daB3d",
    "in an address": "https://ann:s3cretpass@example.org/data",
    "as a private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n",
    "as a password": 'password = "hunter2hunter2"',
    "as an api key": '{"api_key": "9f8e7d6c5b4a39281706"}',
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
def test_secrets_of_many_kinds_are_found_and_not_shown(tmp_path, token):
    with pytest.raises(PublishingError, match=r"README\.md holds (an access token|a secret)") as refusal:
        check_files([written(tmp_path, "README.md", f"It was trained with {token} .")])
    assert token not in str(refusal.value)


def test_secrets_of_this_machine_are_found_whatever_their_form(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_SERVER_TOKEN", "correct horse battery")
    with pytest.raises(PublishingError, match="the value of LAB_SERVER_TOKEN") as refusal:
        check_files([written(tmp_path, "seeds.json", '{"note": "correct horse battery"}')])
    assert "horse" not in str(refusal.value)


WRITINGS: dict[str, Callable[[str], str | bytes]] = {
    "escaped JSON": lambda text: json.dumps({"a": text}).replace("_", "\\u005f").replace("/", "\\/"),
    "JSON in JSON in JSON": lambda text: json.dumps({"a": json.dumps({"b": json.dumps({"c": text})})}),
    "all letters escaped": lambda text: '{"a": "' + "".join(f"\\u{ord(it):04x}" for it in text) + '"}',
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "UTF-8 with a mark": lambda text: text.encode("utf-8-sig"),
    "another encoding around it": lambda text: b"caf\xe9 " + text.encode(),
    "an address": lambda text: "https://example.org/?q=" + text.replace("_", "%5f").replace("/", "%2F"),
    "HTML": lambda text: text.replace("_", "&#95;").replace("/", "&#x2f;"),
    "base64": lambda text: base64.b64encode(f"key {text} end".encode()).decode(),
    "lines and other letters in base64": lambda text: base64.b64encode(f"clé:\n\n{text}\n".encode()).decode(),
    "escapes in base64": lambda text: base64.b64encode(
        json.dumps({"a": text}).replace("_", "\\u005f").encode()
    ).decode(),
    "base64 in base64": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "other letters in UTF-16 in base64": lambda text: base64.b64encode(f"日本 {text}".encode("utf-16")).decode(),
    "UTF-16 in base64": lambda text: base64.b64encode(text.encode("utf-16")).decode(),
    "JSON after a new line": lambda text: json.dumps({"a": f"\n{text}"}),
    "zeros in JSON": lambda text: json.dumps({"a": text.encode("utf-16-le").decode("latin-1")}),
    "UTF-16 in JSON": lambda text: json.dumps({"a": text.encode("utf-16").decode("latin-1")}),
    "characters that nobody sees": lambda text: "\u200b".join(text),
    "full width": lambda text: "".join(chr(ord(it) + 0xFEE0) if "!" <= it <= "~" else it for it in text),
    "far into a long file": lambda text: "word " * 100_000 + text + " word" * 1000,
    "across the border of two windows": lambda text: "x" * (2**16 - 10) + " " + text,
}


@pytest.mark.parametrize("secret", [TOKEN, HOME], ids=["token", "path"])
@pytest.mark.parametrize("writing", WRITINGS.values(), ids=WRITINGS.keys())
def test_it_is_found_however_it_is_written(tmp_path, writing, secret):
    with pytest.raises(PublishingError, match=r"training\.json holds"):
        check_files([written(tmp_path, "training.json", writing(secret))])


def arrow_columns(secret: str) -> dict[str, pa.Table]:
    text = [f"say {secret}", None]
    array = pa.array(text)
    lists = pa.array([[secret], []])
    return {
        "text": pa.table({"a": array}),
        "large text": pa.table({"a": pa.array(text, pa.large_string())}),
        "a view of text": pa.table({"a": pa.array(text, pa.string_view())}),
        "a dictionary": pa.table({"a": array.dictionary_encode()}),
        "bytes": pa.table({"a": pa.array([secret.encode(), None])}),
        "large bytes": pa.table({"a": pa.array([secret.encode(), None], pa.large_binary())}),
        "bytes of one length": pa.table({"a": pa.array([secret.encode()], pa.binary(len(secret.encode())))}),
        "bytes with a comment at the end": pa.table({"a": pa.array([bytes(9000) + secret.encode() + bytes(9)])}),
        "lists": pa.table({"a": lists}),
        "large lists": pa.table({"a": pa.array([[secret], []], pa.large_list(pa.string()))}),
        "lists of one length": pa.table({"a": pa.array([[secret, "b"]], pa.list_(pa.string(), 2))}),
        "lists of lists": pa.table({"a": pa.array([[[secret]]])}),
        "tables": pa.table({"a": pa.array([{"b": {"c": secret}}])}),
        "lists of tables": pa.table({"a": pa.array([[{"role": "user", "content": secret}]])}),
        "maps, keys": pa.table({"a": pa.array([[(secret, "b")]], pa.map_(pa.string(), pa.string()))}),
        "maps, values": pa.table({"a": pa.array([[("b", secret)]], pa.map_(pa.string(), pa.string()))}),
        "the name of a column": pa.table({secret: pa.array([1])}),
        "the name of a field": pa.table({"a": pa.array([{secret: 1}])}),
        "metadata": pa.table({"a": pa.array([1])}).replace_schema_metadata({"note": secret}),
        "keys of metadata": pa.table({"a": pa.array([1])}).replace_schema_metadata({secret: "a"}),
        "metadata of a column": pa.table(
            [pa.array([1])], schema=pa.schema([pa.field("a", pa.int64(), metadata={"note": secret})])
        ),
    }


@pytest.mark.parametrize("secret", [TOKEN, HOME], ids=["token", "path"])
@pytest.mark.parametrize("kind", arrow_columns(TOKEN))
def test_parquet_is_looked_into_whatever_the_kind_of_column(tmp_path, kind, secret):
    path = tmp_path / "train-00000-of-00001.parquet"
    pq.write_table(arrow_columns(secret)[kind], path)
    with pytest.raises(PublishingError, match=r"parquet, (column|metadata).* holds"):
        check_files([path])
    pq.write_table(arrow_columns("nothing in particular")[kind], path)
    check_files([path])


def picture(kind: bytes, chunk: bytes, after: bytes = b"") -> bytes:
    def piece(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + piece(kind, chunk) + piece(b"IEND", b"") + after


PICTURES = {
    "tEXt": picture(b"tEXt", b"Comment\0" + TOKEN.encode()),
    "zTXt": picture(b"zTXt", b"Comment\0\0" + zlib.compress(TOKEN.encode())),
    "iTXt": picture(b"iTXt", b"Comment\0\0\0en\0\0" + TOKEN.encode()),
    "iTXt, compressed": picture(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(TOKEN.encode())),
    "eXIf": picture(b"eXIf", b"MM\0*" + TOKEN.encode()),
    "a chunk of one's own": picture(b"prVt", TOKEN.encode()),
    "after the end": picture(b"tIME", b"1234567", after=TOKEN.encode()),
}


@pytest.mark.parametrize("data", PICTURES.values(), ids=PICTURES.keys())
def test_metadata_of_pictures_is_looked_into(tmp_path, data):
    with pytest.raises(PublishingError, match=r"distributions\.png, metadata, holds an access token"):
        check_files([written(tmp_path, "distributions.png", data)])


def weights(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def test_metadata_of_weights_is_looked_into(tmp_path):
    for header in ({"__metadata__": {"note": HOME}}, {HOME: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}):
        with pytest.raises(PublishingError, match=r"model\.safetensors, metadata, holds a path"):
            check_files([written(tmp_path, "model.safetensors", weights(header))])
    check_files([written(tmp_path, "model.safetensors", weights({"__metadata__": {"format": "pt"}}))])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.safetensors", b"PK\x03\x04 a pickle in a zip"),
        ("model.safetensors", struct.pack("<Q", 2**60) + b"{}"),
        ("model.safetensors", b""),
        ("confusion_matrix.png", b"my notes"),
        ("train-00000-of-00001.parquet", b"PAR1 my notes"),
    ],
)
def test_what_is_not_what_its_name_says_stays_here(tmp_path, name, data):
    with pytest.raises(PublishingError, match=name):
        check_files([written(tmp_path, name, data)])


@pytest.mark.parametrize(
    "place",
    [
        *("/home/ann/corpora/x.wav", "/Users/ann/x", "C:\\\\Users\\\\ann\\\\x", "C:\\Users\\ann", "c:/Users/ann/x"),
        *("file:///home/ann/x", "/root/work", "/scratch/ann/run1", "/mnt/data/ann", "\\\\server\\share\\ann"),
    ],
)
def test_a_home_of_any_system_is_found(tmp_path, place):
    with pytest.raises(PublishingError, match=r"README\.md holds a path of this machine"):
        check_files([written(tmp_path, "README.md", f"trained on {place}")])


def test_folders_of_this_machine_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "config.json", f'{{"base": "{tmp_path}/base_model"}}')
    with pytest.raises(PublishingError, match="path of this machine"):
        check_files([path])
    data = tmp_path / "elsewhere" / "data"
    monkeypatch.chdir("/")
    with pytest.raises(PublishingError, match="path of this machine"):
        check_files([written(tmp_path, "seeds.json", f"{data}")], folders=[data])


def test_the_users_name_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "annabel")
    with pytest.raises(PublishingError, match="user"):
        check_files([written(tmp_path, "README.md", "made by annabel")])
    check_files([written(tmp_path, "README.md", "made by annabella")])


def test_clips_are_not_taken_for_text(tmp_path):
    path = tmp_path / "train-00000-of-00001.parquet"
    noise = bytes((place * 7919) % 251 for place in range(100_000))
    Dataset.from_dict({"audio": [{"path": "a.wav", "bytes": noise}]}).to_parquet(path)
    check_files([path])


@pytest.mark.parametrize(
    "text",
    [
        '{"settings": {"learning_rate": 0.1}, "source": "speechcue/demo", "what": "root of the matter, /etc, a/b"}',
        "See https://example.org/home/ann and https://example.org/Users/ann.",
        json.dumps(
            {"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "pad_token": "<pad>"}
        ),
        json.dumps({"vocab": {"password": 1, "token": 2, "key": 3, "sk-": 4, "hf_": 5}, "secret": None}),
        "What is the password? I will not tell you. The key: be patient.",
    ],
)
def test_ordinary_texts_pass(tmp_path, text):
    check_files([written(tmp_path, "training.json", text)])


def test_what_a_release_of_this_package_wrote_passes():
    frozen = Path(__file__).parents[1] / "upgrade" / "0.1.0"
    kinds = {".json", ".jinja", ".md", ".py", ".parquet", ".safetensors"}
    check_files([path for path in sorted(frozen.rglob("*")) if path.suffix in kinds and path.is_file()])


def test_a_text_is_read_as_it_stands_first():
    assert readings("plain")[0] == "plain" and readings("plain") == ["plain"]
    assert "hf_" in as_text("hf_ü".encode("utf-16-le")) and "hf_" in as_text(b"a\0hf_\0b").split("\n")
