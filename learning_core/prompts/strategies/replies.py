"""What is usable of a model's answer: an instruction, one line, or the sections of an instruction.

Weak models chat around what they were asked for, repeat the question, open code fences and stop in the
middle. What cannot be told apart from such remnants is no answer.
"""

from __future__ import annotations

import json
import re
from typing import Any

from learning_core.prompts.evidence import words
from learning_core.prompts.strategies.layout import one_line

OPENING, CLOSING = "<instruction>", "</instruction>"
DIAGNOSIS = "Diagnosis:"

FEWEST_WORDS = 4
"""An instruction of fewer words is none."""

_PAIR = re.compile(rf"{OPENING}(.*?)(?={CLOSING}|{OPENING}|\Z)", re.DOTALL | re.IGNORECASE)
_FENCED_WHOLE = re.compile(r"\A```[\w-]*[ \t]*\n(.*?)\n?```\Z", re.DOTALL)
_FENCE = re.compile(r"```|~~~")
_JSON_VALUE = re.compile(r'"instruction"\s*:\s*"((?:[^"\\]|\\.)*)("?)', re.DOTALL)
_CHATTER = (
    r"(?:(?:sure|certainly|of course|absolutely|okay|ok|great)(?=[!,.:])|"
    r"here(?:'s|\u2019s| is| are)\b|below (?:is|are)\b|"
    r"(?:the|my|a) (?:new|revised|improved|rewritten|updated|clarified) (?:instruction|prompt|version)\b|"
    r"i(?:'ve|\u2019ve| have) (?:rewritten|revised|updated|improved)\b|"
    r"(?:diagnosis|analysis|explanation)\s*:)"
)
_CHATTER_LINE = re.compile(rf"\A\W*{_CHATTER}[^\n]*(?:\n+|\Z)", re.IGNORECASE)
_CHATTER_BEFORE_COLON = re.compile(rf"\A\W*{_CHATTER}[^\n:]*:[ \t]*(?=\S)", re.IGNORECASE)
_HEADING = re.compile(
    r"\A[#*\s]*(?:(?:new|revised|improved|rewritten|updated) )?(?:instruction|prompt)s?[*\s]*:[*\s]*",
    re.IGNORECASE,
)
_CLOSING_CHATTER = re.compile(
    r"(?:\n\n|\A)[^\w\n]*(?:let me know\b|i hope\b|feel free\b|i (?:made|changed|added)\b|"
    r"by (?:following|making)\b|if you (?:need|want|have)\b|(?:key )?(?:changes|explanation|note)\b[^\n]*:|"
    r"this (?:(?:new|revised|improved|rewritten|updated) )?(?:instruction|prompt|version)\b).*\Z",
    re.IGNORECASE | re.DOTALL,
)
_LINE_START = re.compile(r"^(?:[-*•>#]+|\d{1,2}[.)]|\*\*)\s*")
_LINE_NAME = re.compile(
    r"^\W*(?:definition|description|meaning|rule|guideline|answer|line)\W*:\W*", re.IGNORECASE
)
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def instruction_in(answer: str) -> str:
    """Return the instruction that an answer holds; nothing where there is none that can be trusted.

    It is looked for between the markers, then in a JSON object; failing these the whole answer counts, less
    the chatter around it, unless there is a code fence somewhere inside.
    """
    text = clean(answer)
    found = _between_markers(text) or _in_json(text) or _whole(text)
    return found if _is_sentence(found) else ""


def line_in(answer: str, name: str = "", *, most_words: int = 24) -> str:
    """Return the one line that was asked for; nothing where the answer holds none.

    Args:
        answer: What the model said.
        name: What the line is about; a model often repeats it first.
        most_words: A longer line ends after its last full clause, or there.
    """
    lines = (_bare_line(line, name) for line in _without_chatter(clean(answer)).splitlines())
    line = next((line for line in lines if len(words(line)) > 1), "")
    if _FENCE.search(line) or _says_nothing(line, name):
        return ""
    return _clipped(line, most_words)


def object_in(answer: str) -> dict[str, Any]:
    """Return the JSON object that an answer holds, whatever stands around it; empty where there is none."""
    start, end = answer.find("{"), answer.rfind("}")
    try:
        told = json.loads(answer[start : end + 1])
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def diagnosis_in(answer: str) -> str:
    """Return why a model said answers were wrong: its line before the instruction."""
    found = re.search(rf"^\W*{DIAGNOSIS}\W*(\S.*)", clean(answer), re.IGNORECASE | re.MULTILINE)
    return one_line(found[1])[:300] if found and OPENING not in found[1] else ""


def clean(text: str) -> str:
    """Return a text without what a prompt cannot hold."""
    lines = (line.rstrip() for line in _UNSTORABLE.sub("", text).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def whole_sentences(text: str) -> str:
    """Return a text that broke off up to where its last sentence or line is complete."""
    if not text or text[-1] in ".!?:)]}\"'`\u3002\uff01\uff1f":
        return text
    ends = [found.end() for found in re.finditer(r"[.!?](?=\s)|[\u3002\uff01\uff1f]|\n", text)]
    return text[: ends[-1]].strip() if ends else ""


def _between_markers(text: str) -> str:
    """The last pair that says something: a model may first repeat what it was told about the markers."""
    for found in reversed(list(_PAIR.finditer(text))):
        is_closed = text[found.end() :].lower().startswith(CLOSING)
        inside = _unwrapped(found[1].strip())
        inside = inside if is_closed else whole_sentences(inside)
        if _is_sentence(inside):
            return inside
    return ""


def _in_json(text: str) -> str:
    told = object_in(text).get("instruction")
    if isinstance(told, str):
        return _unwrapped(told.strip())
    found = _JSON_VALUE.search(text)
    if found is None:
        return ""
    try:
        value = str(json.loads(f'"{found[1]}"', strict=False)).strip()
    except ValueError:
        return ""
    return value if found[2] else whole_sentences(value)


def _whole(text: str) -> str:
    if text.startswith("{"):
        return ""
    bare = _unwrapped(_without_chatter(text))
    return "" if _FENCE.search(bare) else whole_sentences(bare)


def _without_chatter(text: str) -> str:
    text = _CHATTER_BEFORE_COLON.sub("", text)
    text = _CHATTER_LINE.sub("", text)
    return _CLOSING_CHATTER.sub("", _HEADING.sub("", text)).strip()


def _unwrapped(text: str) -> str:
    """Less a fence or quotes around all of it, and a heading that only says what it is."""
    fenced = _FENCED_WHOLE.match(text)
    bare = _HEADING.sub("", (fenced[1] if fenced else text).strip())
    if len(bare) > 1 and bare[0] == bare[-1] == '"' and '"' not in bare[1:-1]:
        bare = bare[1:-1]
    return bare.strip()


def _is_sentence(text: str) -> bool:
    return len(words(text)) >= FEWEST_WORDS


def _bare_line(line: str, name: str) -> str:
    bare = _LINE_NAME.sub("", _LINE_START.sub("", line.strip()).replace("**", ""))
    if name:
        bare = re.sub(
            rf"^\W*(?:the )?(?:label )?{re.escape(name)}\W*(?::|=|\u2013|\u2014|-|\bmeans\b|\bis\b)\W*",
            "",
            bare,
            flags=re.IGNORECASE,
        )
    return one_line(bare.strip(" \"'`*"))


def _says_nothing(line: str, name: str) -> bool:
    """Whether there are fewer than two words beside those of the name."""
    return len(set(words(line)) - set(words(name))) < 2


def _clipped(line: str, most_words: int) -> str:
    first = re.match(r".+?[.!?](?=\s+[A-Z]|$)", line)
    said = (first[0] if first else line).rstrip(".").split()
    if len(said) <= most_words:
        return " ".join(said)
    kept = " ".join(said[:most_words])
    clause = re.match(r"(.+)[,;:(]", kept)
    return (clause[1] if clause and len(clause[1].split()) >= most_words // 2 else kept).rstrip(" ,;:(-")
