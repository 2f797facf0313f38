"""Drives a page in headless Chromium by its developer tools.

Needs the package websocket-client, which Locust installs.
"""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT = 60


def program():
    """Returns the path of Chromium; None if it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser with one page."""

    def __init__(self, folder):
        profile = os.path.join(folder, "profile")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-allow-origins=*"]
        command = [program(), *options, f"--user-data-dir={profile}", "--remote-debugging-port=0", "--window-size=1280,900"]
        with open(os.path.join(folder, "chromium.log"), "wb") as log:
            self.process = subprocess.Popen([*command, "about:blank"], stdout=log, stderr=log)
        port = self.port(os.path.join(profile, "DevToolsActivePort"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=TIMEOUT) as response:
            pages = [page for page in json.load(response) if page["type"] == "page"]
        self.socket = websocket.create_connection(pages[0]["webSocketDebuggerUrl"], timeout=TIMEOUT)
        self.commands = 0

    def port(self, path):
        started = time.monotonic()
        while time.monotonic() - started < TIMEOUT:
            try:
                with open(path) as file:
                    return int(file.readline())
            except (OSError, ValueError):
                time.sleep(0.1)
        raise OSError("Chromium does not start")

    def command(self, method, **parameters):
        self.commands += 1
        self.socket.send(json.dumps({"id": self.commands, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.commands:
                return message["result"]

    def open(self, url):
        self.command("Page.navigate", url=url)

    def evaluate(self, expression):
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def text(self):
        return self.evaluate("document.body ? document.body.innerText : ''") or ""

    def has_button(self, text):
        return self.evaluate(f"[...document.querySelectorAll('button')].some({same_text(text)})")

    def click(self, text):
        """Clicks the last button with this text: that of a dialog, if one is open."""
        self.evaluate(f"[...document.querySelectorAll('button')].filter({same_text(text)}).pop().click()")

    def fill(self, name, value):
        """Types into the last field with this name."""
        self.evaluate(f"{{const field = [...document.getElementsByName({json.dumps(name)})].pop(); field.focus(); field.select()}}")
        self.command("Input.insertText", text=str(value))

    def screenshot(self, path):
        data = self.command("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def end(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()


def same_text(text):
    return f"button => button.innerText.trim().toLowerCase() === {json.dumps(text.lower())} && !button.disabled"
