"""A small Hugging Face Hub on loopback, for tests with the real clients: repositories, commits, LFS, and faults."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_" + "t" * 34
USER = "tester"
DATE = "2026-01-01T00:00:00.000Z"
LFS_SUFFIXES = (".parquet", ".safetensors", ".png", ".ogg", ".wav", ".bin")


@dataclass
class Commit:
    sha: str
    title: str
    files: dict[str, bytes]


@dataclass
class Repository:
    kind: str
    name: str
    private: bool
    gated: bool | str = False
    commits: list[Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commit("initial commit", {".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"})

    def commit(self, title: str, files: dict[str, bytes]) -> Commit:
        content = json.dumps([title, len(self.commits), sorted((path, git_oid(data)) for path, data in files.items())])
        made = Commit(hashlib.sha1(content.encode()).hexdigest(), title, files)
        self.commits.append(made)
        return made

    def at(self, revision: str) -> Commit | None:
        if revision == "main":
            return self.commits[-1]
        return next((commit for commit in self.commits if commit.sha == revision), None)


@dataclass
class Fault:
    """What goes wrong: requests of this method whose path matches are answered so, this many times."""

    method: str
    path: str
    status: int = 500
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=lambda: {"error": "made up by the test"})
    cut: bool = False
    """Close the connection without an answer, after reading half of what was sent."""
    late: bool = False
    """Do what was asked, then answer with the fault: the client does not know that it was done."""
    wait: float = 0.0
    """Seconds until the answer."""


class Hub:
    """The state of the server; tests look into it and tell it what goes wrong."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.RLock()
        hub = self

        class Bound(Handler):
            pass

        Bound.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def clear(self) -> None:
        with self.lock:
            self.repositories.clear()
            self.objects.clear()
            self.faults.clear()
            self.requests.clear()

    def files(self, kind: str, name: str) -> dict[str, bytes]:
        """The files at the head of a repository, ``.gitattributes`` left out."""
        head = self.repositories[kind, name].commits[-1].files
        return {path: data for path, data in head.items() if path != ".gitattributes"}

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None


class Refusal(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
        fault = self.hub.take_fault(self.command, path)
        if fault is not None and fault.wait:
            threading.Event().wait(fault.wait)
        length = int(self.headers.get("Content-Length") or 0)
        if fault is not None and fault.cut:
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return
        body = self._chunked() if "chunked" in self.headers.get("Transfer-Encoding", "") else self.rfile.read(length)
        if fault is not None and fault.late:
            self._answer_to(path, parse_qs(parts.query), body)
        if fault is not None and not (fault.wait and fault.status == 500):
            self._json(fault.status, fault.body, fault.headers)
            return
        try:
            status, answer, headers = self._answer_to(path, parse_qs(parts.query), body)
        except Refusal as refusal:
            code = {"X-Error-Code": refusal.code} if refusal.code else {}
            self._json(refusal.status, {"error": str(refusal)}, {"X-Error-Message": str(refusal), **code})
            return
        if isinstance(answer, bytes):
            self._send(status, answer, {"Content-Type": "application/octet-stream", **headers})
        else:
            self._json(status, answer, headers)

    def _chunked(self) -> bytes:
        pieces = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _json(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        self._send(status, json.dumps(answer).encode(), {"Content-Type": "application/json", **headers})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _answer_to(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any, dict[str, str]]:
        with self.hub.lock:
            for method, pattern, answer in ROUTES:
                found = re.fullmatch(pattern, path)
                if found and self.command in method.split("|"):
                    return answer(self, found.groupdict(), query, body)
        raise Refusal(404, f"no such endpoint: {self.command} {path}")

    # What the routes use

    def user(self) -> str | None:
        return USER if self.headers.get("Authorization") == f"Bearer {TOKEN}" else None

    def signed_in(self) -> None:
        if self.user() is None:
            raise Refusal(401, "Invalid username or password.")

    def repository(self, kind: str, name: str) -> Repository:
        found = self.hub.repositories.get((kind.rstrip("s"), name))
        if found is None or (found.private and self.user() is None):
            raise Refusal(404 if self.user() else 401, "Repository not found", "RepoNotFound")
        return found

    def commit_of(self, repository: Repository, revision: str) -> Commit:
        found = repository.at(revision)
        if found is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return found


Answer = Callable[[Handler, dict[str, str], dict[str, list[str]], bytes], tuple[int, Any, dict[str, str]]]


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_lfs(path: str) -> bool:
    return path.endswith(LFS_SUFFIXES)


def entry(path: str, data: bytes) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": git_oid(data)}
    if is_lfs(path):
        described["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return described


def entries(commit: Commit, folder: str, recursive: bool) -> Iterator[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    folders = set()
    for path, data in sorted(commit.files.items()):
        if not path.startswith(prefix):
            continue
        inner = path[len(prefix) :]
        for depth in range(1, inner.count("/") + 1):
            parent = prefix + "/".join(inner.split("/")[:depth])
            if parent not in folders and (recursive or depth == 1):
                folders.add(parent)
                oid = hashlib.sha1(parent.encode()).hexdigest()
                yield {"type": "directory", "path": parent, "size": 0, "oid": oid}
        if recursive or "/" not in inner:
            yield entry(path, data)


def who(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    handler.signed_in()
    rights = {"type": "access_token", "accessToken": {"role": "write", "displayName": "test"}}
    return 200, {"name": USER, "type": "user", "orgs": [], "auth": rights}, {}


def create(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    handler.signed_in()
    asked = json.loads(body)
    kind = asked.get("type") or "model"
    name = f"{asked.get('organization') or USER}/{asked['name']}"
    url = {"url": f"{handler.hub.endpoint}/{'' if kind == 'model' else kind + 's/'}{name}", "name": name}
    if (kind, name) in handler.hub.repositories:
        return 409, {"error": "You already created this repo", **url}, {}
    private = asked.get("private") or asked.get("visibility") == "private"
    handler.hub.repositories[kind, name] = Repository(kind, name, bool(private))
    return 200, url, {}


def settings(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    handler.signed_in()
    repository = handler.repository(names["kind"], names["name"])
    asked = json.loads(body)
    repository.private = asked.get("private", repository.private)
    if "gated" in asked:
        repository.gated = asked["gated"]
    return 200, {}, {}


def information(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    repository = handler.repository(names["kind"], names["name"])
    commit = handler.commit_of(repository, names["revision"] or "main")
    siblings = [{"rfilename": path, "size": len(data), "blobId": git_oid(data)} for path, data in commit.files.items()]
    facts = {"id": repository.name, "sha": commit.sha, "private": repository.private, "gated": repository.gated}
    return 200, {**facts, "tags": [], "siblings": siblings, "downloads": 0, "likes": 0, "lastModified": DATE}, {}


def references(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    head = handler.repository(names["kind"], names["name"]).commits[-1].sha
    return 200, {"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": head}], "tags": []}, {}


def validate(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    return 200, {"errors": [], "warnings": []}, {}


def preupload(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    handler.signed_in()
    head = handler.repository(names["kind"], names["name"]).commits[-1].files
    files = [
        {
            "path": it["path"],
            "uploadMode": "lfs" if is_lfs(it["path"]) else "regular",
            "shouldIgnore": False,
            "oid": git_oid(head[it["path"]]) if it["path"] in head else None,
        }
        for it in json.loads(body)["files"]
    ]
    return 200, {"files": files}, {}


def lfs_batch(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    handler.signed_in()
    objects = []
    for asked in json.loads(body)["objects"]:
        answer = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in handler.hub.objects:
            answer["actions"] = {"upload": {"href": f"{handler.hub.endpoint}/lfs/{asked['oid']}", "header": {}}}
        objects.append(answer)
    return 200, {"transfer": "basic", "objects": objects}, {"Content-Type": "application/vnd.git-lfs+json"}


def store(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    if hashlib.sha256(body).hexdigest() != names["oid"]:
        raise Refusal(400, "the object's hash differs")
    handler.hub.objects[names["oid"]] = body
    return 200, {}, {"ETag": names["oid"]}


def commit(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    handler.signed_in()
    repository = handler.repository(names["kind"], names["name"])
    files, title, parent = dict(repository.commits[-1].files), "", None
    for line in filter(None, body.split(b"\n")):
        operation = json.loads(line)
        value = operation["value"]
        if operation["key"] == "header":
            title, parent = value["summary"], value.get("parentCommit")
        elif operation["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif operation["key"] == "lfsFile":
            if value["oid"] not in handler.hub.objects:
                raise Refusal(400, f"LFS object of {value['path']} was not uploaded")
            files[value["path"]] = handler.hub.objects[value["oid"]]
        elif operation["key"] == "deletedFile":
            files.pop(value["path"], None)
        elif operation["key"] == "deletedFolder":
            files = {path: data for path, data in files.items() if not path.startswith(value["path"])}
    if parent is not None and parent != repository.commits[-1].sha:
        raise Refusal(412, "A commit has happened since. Please refresh and try again.")
    made = repository.commit(title, files)
    url = f"{handler.hub.endpoint}/{repository.name}/commit/{made.sha}"
    return 200, {"commitOid": made.sha, "commitUrl": url, "success": True, "hookOutput": ""}, {}


def tree(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    found = handler.commit_of(handler.repository(names["kind"], names["name"]), names["revision"])
    folder = (names["path"] or "").strip("/")
    recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
    listed = list(entries(found, folder, recursive))
    if folder and not listed:
        raise Refusal(404, f"{folder} does not exist", "EntryNotFound")
    return 200, listed, {}


def paths(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    found = handler.commit_of(handler.repository(names["kind"], names["name"]), names["revision"])
    form = parse_qs(body.decode())
    asked = json.loads(body)["paths"] if body.startswith(b"{") else form.get("paths", [])
    whole = {it["path"]: it for it in entries(found, "", recursive=True)}
    return 200, [whole[path.strip("/")] for path in asked if path.strip("/") in whole], {}


def history(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    commits = handler.repository(names["kind"], names["name"]).commits
    listed = [
        {"id": it.sha, "title": it.title, "message": "", "date": DATE, "authors": [{"user": USER}]}
        for it in reversed(commits)
    ]
    return 200, listed, {"X-Total-Count": str(len(listed))}


def resolve(handler: Handler, names: dict[str, str], query: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
    repository = handler.repository(names["kind"] or "model", names["name"])
    if repository.gated and handler.user() is None:
        raise Refusal(401, "Access to this repository is restricted.", "GatedRepo")
    found = handler.commit_of(repository, names["revision"])
    if names["path"] not in found.files:
        raise Refusal(404, f"{names['path']} does not exist", "EntryNotFound")
    data = found.files[names["path"]]
    headers = {"X-Repo-Commit": found.sha, "ETag": f'"{git_oid(data)}"', "Accept-Ranges": "bytes"}
    if is_lfs(names["path"]):
        sha256 = hashlib.sha256(data).hexdigest()
        headers |= {"ETag": f'"{sha256}"', "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data))}
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
    if wanted is None:
        return 200, data, headers
    start, end = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
    return 206, data[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(data)}"}


_API = r"/api/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("GET", r"/api/whoami-v2", who),
    ("POST", r"/api/repos/create", create),
    ("POST", r"/api/validate-yaml", validate),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", store),
    ("POST", r"/(?:(?P<kind>datasets|spaces)/)?(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", lfs_batch),
    ("PUT", _API + r"/settings", settings),
    ("GET", _API + r"(?:/revision/(?P<revision>[^/]+))?", information),
    ("GET", _API + r"/refs", references),
    ("POST", _API + r"/preupload/(?P<revision>[^/]+)", preupload),
    ("POST", _API + r"/commit/(?P<revision>[^/]+)", commit),
    ("GET", _API + r"/tree/(?P<revision>[^/]+)(?P<path>/.*)?", tree),
    ("POST", _API + r"/paths-info/(?P<revision>[^/]+)", paths),
    ("GET", _API + r"/commits/(?P<revision>[^/]+)", history),
    (
        "GET|HEAD",
        r"/(?:(?P<kind>datasets|spaces)/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
        resolve,
    ),
)
