"""What a case may find."""

KINDS = ("traceback", "hang", "lost row", "leak", "request")


class Fault(Exception):
    """A fault of the package.

    Args:
        kind: ``traceback`` for an error that nobody foresaw, or a process that died; ``hang`` for a case beyond its
            deadline; ``lost row`` for rows, results or records that are gone or wrong; ``leak`` for what got out or
            in and must not; ``request`` for an address that was asked.
        said: What happened.
    """

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        assert kind in KINDS
        self.kind = kind
