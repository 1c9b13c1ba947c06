"""Runs the commands of docs/agent.md, sections "First steps" and "Examples", as they stand there.

Usage: run_agent_page.py SOURCE_FOLDER FOLDER_OF_PROGRAMS FOLDER_OF_LIBRARIES

What is changed, so that the page can be run beside others: backends and services listen on a free
port and keep nothing, `check` runs at 600 ms, spans leave every 200 ms, and
build/release/lib is the folder of the build under test. Every endpoint that comes up is invoked with
the page's own curl line; its result must be right, and all of its spans linked.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

source, programs, libraries = (os.path.abspath(folder) for folder in sys.argv[1:4])
WAIT_S = 30
EXPECTED = {"answer": "HELLO", "answer_lines": "HELLO", "greet": "Hello, world!", "chat": "HELLO"}


class Program:
    """A command in the background, whose lines can be waited for."""

    def __init__(self, command):
        self.command = command
        self.lines = []
        self.news = threading.Condition()
        self.has_ended = False
        self.process = subprocess.Popen(
            "exec " + command, shell=True, cwd=source, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.has_ended = True
            self.news.notify_all()

    def wait_for(self, pattern):
        def find():
            return next((m for m in map(re.compile(pattern).search, self.lines) if m), None)

        with self.news:
            self.news.wait_for(lambda: find() or self.has_ended, WAIT_S)
            match = find()
        if not match:
            raise SystemExit(f"{self.command}\nnever said '{pattern}', but:\n" + "\n".join(self.lines))
        return match

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reader.join()


def commands_of(page, title):
    """The indented lines of a section; a backslash at the end joins the next."""
    section = page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    joined = re.sub(r"\\\n\s*", "", section)
    return [line.strip() for line in joined.splitlines() if line.startswith("    ")]


def get(path):
    request = urllib.request.Request(
        os.environ["RHESIS_BASE_URL"] + path,
        headers={"Authorization": "Bearer " + os.environ["RHESIS_API_KEY"]})
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return json.load(answer)


def invoke(curl, name):
    """The page's curl line, for any of the endpoints."""
    command = curl.replace('"function_name":"answer"', f'"function_name":"{name}"')
    if name == "greet":
        command = command.replace('{"input":"hello"}', "{}")
    answer = subprocess.run(command, shell=True, cwd=source, check=True, capture_output=True, text=True)
    run = json.loads(answer.stdout)["test_run_id"]
    assert get(f"/mock/runs/{run}/wait?timeout_ms={WAIT_S * 1000}")["finished"], name
    result = get(f"/mock/runs/{run}")["results"][0]
    if result["status"] != "Pass" or result["output"]["output"] != EXPECTED[name]:
        raise SystemExit(f"{name}: unexpected result {result}")
    return run


def await_links(run, name, agent):
    """Ends the agent, which posts its last spans before it goes: then all of them are there. They are
    linked soon after."""
    agent.stop()
    deadline = time.monotonic() + WAIT_S
    result = get(f"/mock/runs/{run}")["results"][0]
    while result["spans"] != result["linked"] and time.monotonic() < deadline:
        time.sleep(0.05)
        result = get(f"/mock/runs/{run}")["results"][0]
    if result["spans"] == 0 or result["spans"] != result["linked"]:
        raise SystemExit(f"{name}: {result['linked']} of {result['spans']} spans linked")
    print(f"{name}: {EXPECTED[name]!r}, {result['linked']} spans linked")


def start_backend(command):
    backend = Program(command + " --listen 127.0.0.1:0 --store sqlite::memory:")
    for name in ("RHESIS_BASE_URL", "RHESIS_PROJECT_ID", "RHESIS_API_KEY"):
        os.environ[name] = backend.wait_for(rf"export {name}=(\S+)").group(1)
    return backend


def start_service(command, folder):
    """Returns it, and a copy of its agent.yaml that knows the port."""
    service = Program(command + " 0")
    url = service.wait_for(r"listening on http://(\S+)").group(1)
    with open(os.path.join(source, "examples/http-service/agent.yaml"), encoding="utf-8") as file:
        text = file.read()
    assert "127.0.0.1:9000" in text
    path = os.path.join(folder, "agent.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("127.0.0.1:9000", url))
    return service, path


def serve_and_invoke(command, names, curl):
    agent = Program(command.replace("build/release/lib", libraries))
    try:
        agent.wait_for("ready for tests")
        runs = [(name, invoke(curl, name)) for name in names]
        for name, run in runs:
            await_links(run, name, agent)
    finally:
        agent.stop()


def names_of(command):
    if "plugin-greet" in command:
        return ["greet"]
    if "exec-python/agent.yaml" in command:
        return ["answer", "answer_lines"]
    return ["chat"] if "agent.yaml" in command else ["answer"]


def run_page(commands, folder, running):
    curl = next(c for c in commands if c.startswith("curl "))
    config = None
    for command in commands:
        if command.startswith("marline-agent check"):
            subprocess.run(command + " --export-interval-ms 600", shell=True, cwd=source, check=True,
                           stdout=subprocess.DEVNULL)
            print("check: passed")
        elif command.startswith("marline-backend-mock serve"):
            running.append(start_backend(command))
        elif command.startswith("python3 examples/http-service/"):
            service, config = start_service(command, folder)
            running.append(service)
        elif command.startswith("marline-agent run"):
            names = names_of(command)
            if config:
                command = command.replace("examples/http-service/agent.yaml", config)
            if "node " in command and not shutil.which("node"):
                print("node is not installed: its example was NOT tried")
            else:
                serve_and_invoke(command, names, curl)
        elif command != curl:
            raise SystemExit(f"the page has a command that this test does not know: {command}")


def main():
    with open(os.path.join(source, "docs/agent.md"), encoding="utf-8") as file:
        page = file.read()
    commands = commands_of(page, "First steps") + commands_of(page, "Examples")
    assert len(commands) >= 9, commands
    os.environ["PATH"] = programs + os.pathsep + os.environ["PATH"]
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"
    for name in ("RHESIS_BASE_URL", "RHESIS_PROJECT_ID", "RHESIS_API_KEY"):
        os.environ.pop(name, None)
    running = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            run_page(commands, folder, running)
        finally:
            for program in running:
                program.stop()


main()
