"""The server under test: a process of its own, which can be stopped and started again on the same port."""

import os
import queue
import socket
import subprocess
import tempfile
import threading

DEADLINE_SECONDS = 30


class Server:
    """A server with a data folder that goes away with it: the event store, or another subcommand of the binary."""

    def __init__(self, *subcommand):
        self._subcommand = subcommand or ("event-store", "serve", "--open")
        self._folder = tempfile.TemporaryDirectory(prefix="emporium-clients-")
        self.address = f"127.0.0.1:{free_port()}"
        self._process = None
        self._output = []

    @property
    def uri(self):
        return f"kurrentdb://{self.address}?Tls=false"

    def start(self):
        """Starts the process and waits until it says on which address it listens."""
        command = [os.environ["EMPORIUM"], *self._subcommand]
        command += ["--data-dir", self._folder.name, "--listen", self.address]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        listens = queue.SimpleQueue()
        threading.Thread(
            target=self._read_output, args=(self._process.stdout, listens), daemon=True
        ).start()
        try:
            started = listens.get(timeout=DEADLINE_SECONDS)
        except queue.Empty:
            started = False
        if not started:
            self.kill()
            raise AssertionError("the server does not listen; it said:\n" + "".join(self._output))

    def stop(self):
        """Asks the process to stop and waits until it has."""
        self._process.terminate()
        self._process.wait(DEADLINE_SECONDS)

    def kill(self):
        """Ends the process as a crash would."""
        self._process.kill()
        self._process.wait(DEADLINE_SECONDS)

    def discard(self):
        """Ends the process, if it still runs, and removes its data."""
        if self._process and self._process.poll() is None:
            self.kill()
        self._folder.cleanup()

    def _read_output(self, output, listens):
        with output:
            for line in output:
                self._output.append(line)
                if self.address in line:
                    listens.put(True)
        # At the end of the output nobody needs to wait any longer.
        listens.put(False)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
