"""A small WebSocket client (RFC 6455) over a plain socket, for tests: text and binary messages, pings answered."""
import base64
import json
import os
import select
import socket
import ssl
import struct
import time

from labtest import Failed

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Failed):
    """The handshake was answered by something else; .status and .body tell what."""

    def __init__(self, status, body):
        super().__init__(f"WebSocket refused with {status}: {body[:300]!r}")
        self.status, self.body = status, body


class WebSocket:
    def __init__(self, host, port, path, headers=None, timeout=60, tls=None):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.rest, self.closed = b"", None
        lines = {"Host": f"{host}:{port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), **(headers or {})}
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v is not None) + "\r\n"
        self.socket.sendall(head.encode())
        while b"\r\n\r\n" not in self.rest:
            self._more(timeout)
        answer, self.rest = self.rest.split(b"\r\n\r\n", 1)
        self.head = answer.decode(errors="replace")
        status = int(answer.split(b" ", 2)[1])
        if status != 101:
            time.sleep(0.1)
            try:
                self._more(1)
            except Failed:
                pass
            self.socket.close()
            raise Refused(status, self.rest)

    def _more(self, timeout):
        buffered = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()
        if not buffered and not select.select([self.socket], [], [], timeout)[0]:
            raise Failed(f"nothing came on the WebSocket within {timeout} s")
        chunk = self.socket.recv(65536)
        if not chunk:
            raise Failed("the WebSocket's connection ended")
        self.rest += chunk

    def _take(self, count, timeout):
        while len(self.rest) < count:
            self._more(timeout)
        out, self.rest = self.rest[:count], self.rest[count:]
        return out

    def frame(self, opcode, data):
        length = len(data)
        size = bytes([0x80 | length]) if length < 126 else struct.pack(">BH", 0x80 | 126, length) if length < 65536 \
            else struct.pack(">BQ", 0x80 | 127, length)
        mask = os.urandom(4)
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.socket.sendall(bytes([0x80 | opcode]) + size + mask + masked)

    def send(self, message):
        """Text for str and dict (as JSON), binary for bytes."""
        if isinstance(message, bytes):
            self.frame(BINARY, message)
        else:
            self.frame(TEXT, (message if isinstance(message, str) else json.dumps(message)).encode())

    def receive(self, timeout=60):
        """The next message: bytes, or text as str. None once the server has closed."""
        whole, kind = b"", None
        while True:
            first, second = self._take(2, timeout)
            length = second & 0x7F
            if length == 126:
                length = struct.unpack(">H", self._take(2, timeout))[0]
            elif length == 127:
                length = struct.unpack(">Q", self._take(8, timeout))[0]
            data, opcode = self._take(length, timeout), first & 0x0F
            if opcode == PING:
                self.frame(PONG, data)
            elif opcode == CLOSE:
                self.closed = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
                return None
            elif opcode != PONG:
                kind = kind or opcode
                whole += data
                if first & 0x80:
                    return whole if kind == BINARY else whole.decode()

    def until(self, what, found, timeout=120):
        """Receives JSON texts until found(message) gives something true, and returns that."""
        deadline, last = time.monotonic() + timeout, None
        while True:
            try:
                text = self.receive(max(0.1, deadline - time.monotonic()))
            except Failed as e:
                raise Failed(f"{what}: {e}; last message: {str(last)[:3000]}") from None
            if text is None:
                raise Failed(f"{what}: closed with {self.closed}; last message: {str(last)[:3000]}")
            if isinstance(text, str):
                last = json.loads(text)
                answer = found(last)
                if answer:
                    return answer

    def close(self):
        try:
            self.frame(CLOSE, struct.pack(">H", 1000))
        except OSError:
            pass
        self.socket.close()
