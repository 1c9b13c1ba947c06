"""A TCP proxy on a free loopback port that shows every byte to an observer, then passes it on."""

import socket
import threading


class Proxy:
    """observe(sender) makes what is called with the bytes of one side of one connection; sender is
    "sdk" or "backend". Bytes are shown before they are passed on: causes come before effects."""

    def __init__(self, upstream_port, observe):
        self._upstream_port = upstream_port
        self._observe = observe
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Takes no more connections; those that are open live on."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(("127.0.0.1", self._upstream_port))
            self._pass_on(client, server, self._observe("sdk"))
            self._pass_on(server, client, self._observe("backend"))

    @staticmethod
    def _pass_on(source, target, show):
        def pump():
            try:
                while data := source.recv(65536):
                    show(data)
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                target.close()  # the other end sees what this end saw

        threading.Thread(target=pump, daemon=True).start()
