#!/usr/bin/env python3
"""Runs a command in a terminal of 80 columns and writes what it showed as an animated SVG.

    record_terminal.py OUTPUT.svg 'COMMAND AS SHOWN' COMMAND [ARGUMENT]...

The text, its colours and the order are those of the run; waits are shortened. Without animation (and with
prefers-reduced-motion) the picture is the last screen. Exits with the exit code of the command.
"""

import codecs
import fcntl
import os
import pty
import re
import struct
import sys
import termios
import time
from html import escape

COLUMNS = 80
# What follows is cut off: the verdict and the tables are at the top.
MAX_ROWS = 40
# Of the animation: how long the prompt stands alone, the longest wait, and how long the last screen stays.
TYPING, LONGEST_WAIT, LAST_SCREEN = 1.0, 0.2, 12.0
# Screens that follow each other within this time of the run are shown as one.
SHORTEST_SCREEN = 0.9
CHARACTER, LINE, MARGIN = 8.4, 19, 16
COLOURS = {
    30: "#6e7681", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea", 37: "#c9d1d9",
    90: "#8b949e", 91: "#ffa198", 92: "#7ee787", 93: "#f2cc60", 94: "#a5d6ff", 95: "#e2c5ff", 96: "#b3f0ff", 97: "#f0f6fc",
}
PLAIN = (37, False, False)  # colour, bold, dim
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|\x1b.")


class Screen:
    """The cells of a terminal that never scrolls: as many lines as the output needs."""

    def __init__(self):
        self.lines, self.row, self.column, self.style = [[]], 0, 0, PLAIN

    def write(self, text):
        position = 0
        while position < len(text):
            found = ESCAPE.match(text, position)
            if found:
                if found.group(2):
                    self.control(found.group(1), found.group(2))
                position = found.end()
                continue
            self.put(text[position])
            position += 1

    def put(self, character):
        if character == "\n":
            self.row += 1
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character >= " ":
            if self.column == COLUMNS:
                self.row, self.column = self.row + 1, 0
            line = self.line()
            line.extend([(" ", PLAIN)] * (self.column + 1 - len(line)))
            line[self.column] = (character, self.style)
            self.column += 1

    def line(self):
        while len(self.lines) <= self.row:
            self.lines.append([])
        return self.lines[self.row]

    def control(self, parameters, command):
        numbers = [int(number) for number in re.findall(r"\d+", parameters)]
        count = numbers[0] if numbers else 0
        if command == "m":
            for number in numbers or [0]:
                colour, bold, dim = self.style
                if number == 0:
                    self.style = PLAIN
                elif number == 1:
                    self.style = (colour, True, dim)
                elif number == 2:
                    self.style = (colour, bold, True)
                elif number == 22:
                    self.style = (colour, False, False)
                elif number == 39:
                    self.style = (37, bold, dim)
                elif number in COLOURS:
                    self.style = (number, bold, dim)
        elif command == "A":
            self.row = max(0, self.row - max(1, count))
        elif command == "B":
            self.row += max(1, count)
        elif command == "G":
            self.column = max(0, count - 1)
        elif command == "K":
            line = self.line()
            del line[0 if count == 2 else self.column :]
        elif command == "J":
            del self.line()[self.column :]
            del self.lines[self.row + 1 :]

    def snapshot(self):
        return [tuple(line) for line in self.lines]


def record(command):
    """Returns the screens with their times, and the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES="50")
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    screen, screens, started_at = Screen(), [], time.monotonic()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = ""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        text = pending + decoder.decode(data)
        # An escape sequence may be in two parts.
        cut = text.rfind("\x1b")
        complete = cut < 0 or ESCAPE.match(text, cut)
        text, pending = (text, "") if complete else (text[:cut], text[cut:])
        screen.write(text)
        now = time.monotonic() - started_at
        if screens and now - screens[-1][0] < SHORTEST_SCREEN:
            screens[-1] = (screens[-1][0], screen.snapshot())
        else:
            screens.append((now, screen.snapshot()))
    _, status = os.waitpid(pid, 0)
    return screens, os.waitstatus_to_exitcode(status)


def segments(screens):
    """Returns (row, cells, start, end or None) of everything shown, and the length of the animation."""
    at, previous, timed = TYPING, 0.0, []
    for now, lines in screens:
        at += min(now - previous, LONGEST_WAIT) if timed else 0
        previous = now
        timed.append((at, lines))
    rows = max(len(lines) for _, lines in timed)
    found = []
    for row in range(rows):
        shown, since = (), 0.0
        for when, lines in timed:
            cells = lines[row] if row < len(lines) else ()
            if cells != shown:
                if any(character != " " for character, _ in shown):
                    found.append((row, shown, since, when))
                shown, since = cells, when
        if any(character != " " for character, _ in shown):
            found.append((row, shown, since, None))
    return found, at + LAST_SCREEN


def spans(cells):
    """Returns the cells as elements of a text, one for each run of the same style."""
    parts, start = [], 0
    for index in range(1, len(cells) + 1):
        if index == len(cells) or cells[index][1] != cells[start][1]:
            text = "".join(character for character, _ in cells[start:index])
            colour, bold, dim = cells[start][1]
            if text.strip():
                look = f' fill="{COLOURS[colour]}"' if colour != 37 else ""
                look += ' font-weight="bold"' if bold else ""
                look += ' opacity=".65"' if dim else ""
                place = f'x="{MARGIN + start * CHARACTER:.1f}" textLength="{len(text) * CHARACTER:.1f}"'
                parts.append(f"<tspan {place}{look}>{escape(text)}</tspan>")
            start = index
    return "".join(parts)


def render(shown_command, screens):
    found, length = segments(screens)
    rows = min(max(row for row, *_ in found) + 1, MAX_ROWS)
    width, height = 2 * MARGIN + COLUMNS * CHARACTER, 2 * MARGIN + 44 + rows * LINE
    style, texts, names = [], [], {}
    top = MARGIN + 28

    def name_of(since, until):
        """Returns the class of everything that is shown from one time to another."""
        if (since, until) not in names:
            name = names[since, until] = f"k{len(names)}"
            start, end = 100 * since / length, 100 * (length if until is None else until) / length
            hidden = "" if until is None else f"{min(end + 0.01, 100):.2f}%,100%{{visibility:hidden}}"
            style.append(
                f"@keyframes {name}{{0%,{start:.2f}%{{visibility:hidden}}{start + 0.01:.2f}%,{end:.2f}%{{visibility:visible}}{hidden}}}"
                f".{name}{{visibility:{'visible' if until is None else 'hidden'};animation:{name} {length:.1f}s step-end infinite}}"
            )
        return names[since, until]

    def text(row, content, name=""):
        texts.append(f'<text{name} y="{top + (row + 1) * LINE}" xml:space="preserve">{content}</text>')

    text(0, f'<tspan x="{MARGIN}" fill="#7ee787">$</tspan><tspan x="{MARGIN + 2 * CHARACTER}">{escape(shown_command)}</tspan>')
    for row, cells, since, until in found:
        if row < MAX_ROWS:
            text(row + 1, spans(cells), f' class="{name_of(since, until)}"')
    dots = "".join(
        f'<circle cx="{MARGIN + 6 + 20 * i}" cy="{MARGIN + 4}" r="6" fill="{colour}"/>'
        for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" '
        f'role="img" aria-label="Terminal: {escape(shown_command, quote=True)}">\n'
        "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#c9d1d9;"
        "white-space:pre}@media (prefers-reduced-motion:reduce){text{animation:none!important}}\n"
        + "\n".join(style)
        + f'</style>\n<rect width="100%" height="100%" rx="8" fill="#0d1117"/>{dots}\n'
        + "\n".join(texts)
        + "\n</svg>\n"
    )


def main():
    output, shown_command, *command = sys.argv[1:]
    screens, code = record(command)
    if not screens:
        sys.exit(f"{command[0]} printed nothing (exit code {code})")
    with open(output, "w", encoding="utf-8") as file:
        file.write(render(shown_command, screens))
    sys.exit(code)


main()
