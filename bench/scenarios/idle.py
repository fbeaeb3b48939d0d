# SPDX-License-Identifier: Apache-2.0
"""10,000 connections that wait: what memory they take, before and after each has asked once"""
import select
import socket

from lib import machine, models, report, servers

FULL, QUICK = 10_000, 1_000
ROOM = 200  # descriptors beside the connections


def open_all(port, count):
    found = []
    try:
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", port), timeout=30)
            found.append(s)
    except OSError as why:
        close_all(found)
        raise machine.Failed(f"{len(found)} connections are open, one more is not: {why}") from None
    return found


def close_all(sockets):
    for s in sockets:
        s.close()


def ask_all(sockets, request):
    """Each asks once, a hundred at a time, and reads its answer."""
    data = request.bytes()
    for at in range(0, len(sockets), 100):
        some = sockets[at:at + 100]
        for s in some:
            s.sendall(data)
        for s in some:
            answer = s.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise machine.Failed(f"an answer is {answer[:200]!r}")


def ended(sockets):
    """How many the server has closed meanwhile."""
    poll = select.poll()
    for s in sockets:
        poll.register(s, select.POLLIN)
    return len(poll.poll(0))


def run(context):
    count = context.pick(FULL, QUICK)
    machine.allow_files(count + ROOM)
    result = report.Result("idle", __doc__.strip())
    request = models.oip_json(models.SMALL)
    with servers.galley(models.SMALL, "--max-connections", str(count + ROOM)) as s:
        s.post(request)
        before = s.memory_mb()
        sockets = open_all(s.port, count)
        try:
            opened = s.memory_mb()
            ask_all(sockets, request)
            asked = s.memory_mb()
            gone = ended(sockets)
            share = s.idle_share(1)
            if gone:
                raise machine.Failed(f"{gone} of {count} connections were closed")
        finally:
            close_all(sockets)
    result.table(f"galley with {count:,} connections", ["", "RSS MiB", "KiB a connection"],
                 [["none", f"{before:.1f}", ""],
                  ["open, nothing asked", f"{opened:.1f}", f"{(opened - before) * 1024 / count:.2f}"],
                  ["each has asked once", f"{asked:.1f}", f"{(asked - before) * 1024 / count:.2f}"]])
    result.target(f"{FULL:,} idle connections of HTTP/1.1 under 100 MB" if count == FULL else f"{count:,} connections under 100 MB",
                  f"{asked * 1.048576:.1f} MB", asked * 1.048576 < 100)
    result.note(f"they take {share:.1%} of a core while nobody asks; the kernel's own memory is not counted")
    result.data = {"connections": count, "before_mb": before, "opened_mb": opened, "asked_mb": asked, "idle_share": share}
    return result
