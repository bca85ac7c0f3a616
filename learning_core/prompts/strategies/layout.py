"""The fixed parts that instructions are put together from, and how an instruction is put into a prompt.

What comes from users or models is one line each in here, and names no variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from learning_core.datasets.content import DatasetExample
from learning_core.llm.templates import VARIABLE, Message, Prompt

EXAMPLES = "Examples:"
RULES = "Rules:"

SLOT_CHARACTERS = 120
"""Of a line that says where the input goes."""

_SLOT_LINE = re.compile(r"^\W*(?:[\w ]{1,30}[:>])?\W*\{\{\s*(\w+)\s*\}\}\W*(?:\w+>)?\W*$")
_CUE_LINE = re.compile(r"^\W*\w+(?: \w+){0,2}[:>]\W*$")
_SHOWN = r"Input: .*(?:\n  .*)*\nOutput: .*(?:\n  .*)*"
_EXAMPLES_BLOCK = re.compile(rf"(?:\A|\n\n){EXAMPLES}(?:\n\n{_SHOWN})+")
_RULES_BLOCK = re.compile(rf"(?:\A|\n\n)(?:{RULES}|# Rules)((?:\n- .+)+)")


def joined(*parts: str) -> str:
    """Return the parts that say something, a blank line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip())


def section(title: str, text: str) -> str:
    """Return a section of an instruction; nothing where it would be empty."""
    return f"# {title}\n{text.strip()}" if text.strip() else ""


def bullets(lines: Iterable[str]) -> str:
    """Return a list, one line each."""
    return "\n".join(f"- {line}" for line in lines)


def plain(text: str) -> str:
    """Return a text in which nothing is read as a variable.

    >>> plain("Is {{input}} a name?")
    'Is { {input} } a name?'
    """
    return VARIABLE.sub(lambda found: f"{{ {found[0][1:-1]} }}", text)


def one_line(text: str) -> str:
    """Return a text as one line in which nothing is read as a variable."""
    return plain(" ".join(text.split()))


# ---------------------------------------------------------------- a prompt's instruction


def instruction(prompt: Prompt) -> str:
    """Return the message that says what to do: the first of the system, else the first that is no example."""
    return prompt.messages[_instruction_at(prompt)].text


def open_text(prompt: Prompt) -> str:
    """Return all of a prompt but the examples that it shows."""
    return "\n\n".join(message.text for message in prompt.messages if not message.literal)


def task_of(prompt: Prompt) -> str:
    """Return what the instruction says, without lists that strategies write, and without places for input."""
    bare = without_rules(without_examples(instruction(prompt)))
    return without_places(bare, prompt.variables)


def without_places(text: str, variables: Sequence[str]) -> str:
    r"""Return an instruction without the lines that only say where the input goes; elsewhere it is named.

    >>> without_places("Sort {{input}} into two boxes.\n\nMessage: {{input}}\nBox:", ["input"])
    'Sort the input into two boxes.'
    """
    kept: list[str] = []
    after_place = False
    for line in text.splitlines():
        if found := _SLOT_LINE.match(line[:SLOT_CHARACTERS]):
            after_place = found[1] in variables
            if after_place:
                _drop_heading(kept)
                continue
        if after_place and _CUE_LINE.match(line[:SLOT_CHARACTERS]):
            continue
        after_place = after_place and not line.strip()
        kept.append(line)
    told = VARIABLE.sub(
        lambda found: f"the {found[1]}" if found[1] in variables else found[0], "\n".join(kept)
    )
    return re.sub(r"\n{3,}", "\n\n", told).strip()


def rewritten(prompt: Prompt, *parts: str) -> Prompt:
    """Return a prompt whose instruction says these parts, and that still passes on every variable.

    What the old instruction passed on by itself, such as a context, goes before the last part.
    """
    at = _instruction_at(prompt)
    old = prompt.messages[at]
    before, after = prompt.messages[:at], prompt.messages[at + 1 :]
    variables = Prompt((old,)).variables
    if old.role == "user" and variables:
        places = Message("user", _places(variables))
        return Prompt((Message("system", joined(*parts)), *before, places, *after))
    passed_on = {*Prompt((*before, *after)).variables, *VARIABLE.findall(joined(*parts))}
    mark = "# {}" if parts and parts[0].startswith("# ") else "{}:"
    missing = _places([name for name in variables if name not in passed_on], mark)
    said = joined(*parts[:-1], missing, parts[-1]) if len(parts) > 1 else joined(*parts, missing)
    return _with_text(prompt, said)


def asked(prompt: Prompt, example: DatasetExample) -> str:
    """Return an example's question in the form in which the prompt puts it to the model."""
    form = prompt.messages[-1]
    if (
        len(prompt.without_examples().messages) == 1
        or form.literal
        or "input" not in VARIABLE.findall(form.text)
    ):
        return example.input_text
    values = {"input": example.input_text, "context": example.context or ""}
    return VARIABLE.sub(lambda found: values.get(found[1], ""), form.text)


# ---------------------------------------------------------------- lists at the end of an instruction


def inline(question: str, answer: str) -> str:
    """Return an example as two lines; lines within are indented, so that none looks like one of ours."""
    return f"Input: {_indented(question)}\nOutput: {_indented(answer)}"


def with_inline_examples(prompt: Prompt, examples: Iterable[tuple[str, str]]) -> Prompt:
    """Return a prompt that shows questions and answers within its instruction, and no others."""
    return with_block(
        prompt.without_examples(),
        joined(EXAMPLES, *(inline(question, answer) for question, answer in examples)),
    )


def bare_of_examples(prompt: Prompt) -> Prompt:
    """Return a prompt that shows no examples, neither as messages nor within its instruction."""
    bare = prompt.without_examples()
    return _with_text(bare, without_examples(instruction(bare)))


def with_block(prompt: Prompt, block: str) -> Prompt:
    """Return a prompt with this list of examples in its instruction, in place of one before."""
    return _with_list(prompt, without_examples, block)


def without_examples(text: str) -> str:
    """Return an instruction without the examples in it."""
    return _EXAMPLES_BLOCK.sub("", text).strip("\n")


def examples_in(text: str) -> str:
    """Return the examples in an instruction, with their heading; nothing where there are none."""
    found = _EXAMPLES_BLOCK.search(text)
    return found[0].strip("\n") if found else ""


def with_rules(prompt: Prompt, rules: Iterable[str]) -> Prompt:
    """Return a prompt with these rules in a list of the instruction, after those that it lists already."""
    listed = dict.fromkeys((*rules_in(instruction(prompt)), *map(one_line, rules)))
    return _with_list(prompt, without_rules, f"{RULES}\n{bullets(listed)}")


def with_lists_of(old: Prompt, new: Prompt) -> Prompt:
    """Return the new prompt with the rules and examples that the old one lists within its instruction."""
    own = instruction(old)
    new = with_rules(new, rules_in(own)) if rules_in(own) else new
    return with_block(new, examples_in(own)) if examples_in(own) else new


def without_rules(text: str) -> str:
    """Return an instruction without the list of rules in it."""
    return _RULES_BLOCK.sub("", text).strip("\n")


def rules_in(text: str) -> list[str]:
    """Return the rules that an instruction lists."""
    found = _RULES_BLOCK.search(text)
    return [line[2:] for line in found[1].strip("\n").splitlines()] if found else []


def _with_list(prompt: Prompt, without: Callable[[str], str], block: str) -> Prompt:
    """After the instruction; before it where the same message passes the input on."""
    bare = without(instruction(prompt))
    is_form = "input" in VARIABLE.findall(bare)
    return _with_text(prompt, joined(block, bare) if is_form else joined(bare, block))


def _with_text(prompt: Prompt, text: str) -> Prompt:
    at = _instruction_at(prompt)
    changed = Message(prompt.messages[at].role, text)
    return Prompt((*prompt.messages[:at], changed, *prompt.messages[at + 1 :]))


def _instruction_at(prompt: Prompt) -> int:
    roles = [message.role for message in prompt.messages]
    if "system" in roles:
        return roles.index("system")
    return next((at for at, message in enumerate(prompt.messages) if not message.literal), 0)


def _places(variables: Sequence[str], mark: str = "{}:") -> str:
    """Where variables go: the input last, and bare where it is alone."""
    if list(variables) == ["input"]:
        return "{{input}}"
    ordered = sorted(variables, key=lambda name: name == "input")
    return joined(*(f"{mark.format(name.capitalize())}\n{{{{{name}}}}}" for name in ordered))


def _drop_heading(kept: list[str]) -> None:
    while kept and not kept[-1].strip():
        kept.pop()
    if kept and _CUE_LINE.match(kept[-1][:SLOT_CHARACTERS]):
        kept.pop()


def _indented(text: str) -> str:
    return plain("\n  ".join(line.strip() for line in text.strip().splitlines()))
