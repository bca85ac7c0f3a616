"""Two tasks and a model that stands in for a small one: its answers follow stated rules from the prompt.

It never guesses at random: whether it gets a question right follows from the question's own difficulty and
from what the prompt tells it. The rules, in the order in which they are applied:

* Without the names of the labels in the prompt it answers with prose.
* Without an order to answer with the label alone, and without shown answers, it wraps four answers in ten in
  chatter.
* It knows a label by 0.45; a definition of the label in the prompt adds 0.25, each shown example of it 0.12
  (two count), general care ("read carefully", "most specific") 0.04. It is right where this exceeds the
  question's difficulty (0-1), and otherwise names a label that is easily confused with the right one.
* A prompt of more than 6,000 characters confuses it: 0.15 less.

Asked to write, it behaves like a weak writer: definitions come out short and right, free rewrites are a
lottery that may lose the labels.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

Messages = Sequence[Mapping[str, str]]

KNOWN, DEFINED, SHOWN, CARE, LONG = 0.45, 0.25, 0.12, 0.04, 0.15
CHATTER = 0.4
TOO_LONG = 6_000


@dataclass(frozen=True)
class Task:
    """A classification task: its labels with what they mean, and questions with their label and group."""

    name: str
    seed_prompt: str
    meanings: Mapping[str, str]
    questions: tuple[tuple[str, str, str], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels in their order."""
        return tuple(self.meanings)


def answer(messages: Messages) -> str:
    """Return what the stand-in says to a request."""
    asked = messages[-1]["content"].strip().splitlines()[-1]
    for task in (INTENTS, CLASSES):
        if (label := _labels_of(task).get(asked)) is not None:
            return _classify(task, messages, asked, label)
    return _write(messages)


# ---------------------------------------------------------------- answering like the agent


def _classify(task: Task, messages: Messages, question: str, label: str) -> str:
    prompt = "\n".join(message["content"] for message in messages)
    told = prompt.casefold()
    named = sum(name in told for name in task.labels)
    if named < len(task.labels) / 2:
        return f"Thank you for your message. You are asking about this: {question}"
    said = label if _skill(task, messages, prompt, label) > _difficulty(question) else _confused(task, label)
    if not _is_strict(told) and not _is_shown(messages) and _share(f"chatter {question}") < CHATTER:
        return f"I think this is about {said.replace('_', ' ')}, because of what was asked."
    return said


def _skill(task: Task, messages: Messages, prompt: str, label: str) -> float:
    shown = sum(message["content"].strip() == label for message in messages if message["role"] == "assistant")
    shown += len(re.findall(rf"(?:->|=>|Answer:|Output:)\s*{re.escape(label)}\s*$", prompt, re.M))
    defined = re.search(rf"{re.escape(label)}\W{{0,6}}[:=\u2013-]\s*(?:\w+\W+){{2,}}", prompt)
    careful = re.search(r"carefully|most specific|main (?:point|request|purpose)", prompt, re.I)
    return (
        KNOWN
        + (DEFINED if defined else 0)
        + SHOWN * min(shown, 2)
        + (CARE if careful else 0)
        - (LONG if len(prompt) > TOO_LONG else 0)
    )


def _is_strict(told: str) -> bool:
    return bool(re.search(r"nothing else|exactly one|only the (?:label|name|word)|label only|no other", told))


def _is_shown(messages: Messages) -> bool:
    return any(message["role"] == "assistant" for message in messages)


def _confused(task: Task, label: str) -> str:
    return task.labels[(task.labels.index(label) + 1) % len(task.labels)]


@lru_cache(maxsize=10_000)
def _difficulty(question: str) -> float:
    return _share(f"difficulty {question}")


def _share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


# ---------------------------------------------------------------- writing prompts


def _write(messages: Messages) -> str:
    asked = "\n".join(message["content"] for message in messages)
    task = max((INTENTS, CLASSES), key=lambda task: sum(name in asked for name in task.labels))
    wanted = messages[-1]["content"]
    named = [name for name in task.labels if name in wanted]
    if len(named) == 1 or re.search(r"\bdefine\b|\bdefinition\b|one short line", wanted, re.I):
        mentioned = sorted(named, key=wanted.index) or list(task.labels[:1])
        return task.meanings[mentioned[0]]
    rng = random.Random(asked)
    rewritten = rng.choice(
        [
            f"{task.seed_prompt} Read the message carefully and answer with exactly one label.",
            f"You are a helpful assistant. {task.seed_prompt}",
            "Help the customer in a friendly way and explain your reasoning.",
            f"{task.seed_prompt} Think about the main purpose of the message.",
        ]
    )
    return json.dumps({"diagnosis": "Answers were wrapped in prose.", "instruction": rewritten})


# ---------------------------------------------------------------- the tasks


def _questions(
    patterns: Mapping[str, Sequence[str]], fillers: Sequence[Sequence[str]]
) -> list[tuple[str, str, str]]:
    made = []
    for label, texts in patterns.items():
        for number, pattern in enumerate(texts):
            for opening, ending in product(*fillers):
                made.append((f"{opening}{pattern}{ending}", label, f"{label} {number}"))
    return made


def _labels_of(task: Task) -> dict[str, str]:
    return _by_question(task.name)


@lru_cache(maxsize=2)
def _by_question(name: str) -> dict[str, str]:
    task = INTENTS if name == INTENTS.name else CLASSES
    return {question: label for question, label, _ in task.questions}


OPENINGS = ("", "Hello, ", "One question: ", "Sorry to bother you, ")
ENDINGS = ("", " Thanks.", " It is urgent.")

INTENT_PATTERNS = {
    "invoice_copy": (
        "can you send me last month's invoice again?",
        "I need a duplicate of invoice 4711.",
        "our bill from March is missing in the mailbox.",
        "please resend the receipt for the annual plan.",
        "where do I download older invoices?",
    ),
    "payment_status": (
        "has our transfer of 1,200 arrived?",
        "is the payment from Friday booked yet?",
        "did you receive what we paid last week?",
        "does the open item still show after our remittance?",
        "when will the money we sent be credited?",
    ),
    "refund": (
        "I was charged twice and want the money back.",
        "please return the fee for the cancelled seat.",
        "how do I get reimbursed for the double booking?",
        "the credit note was never paid out to us.",
        "we overpaid, kindly send the difference back.",
    ),
    "tax_deadline": (
        "when is the VAT return for the quarter due?",
        "until which day can we file the annual statement?",
        "what is the last date for the payroll tax report?",
        "is there an extension for the corporate tax filing?",
        "by when do we hand in the advance return?",
    ),
    "change_address": (
        "we have moved to Harbour Street 5.",
        "please use our new office location from now on.",
        "the street in our records is outdated.",
        "update the postal code of the company, please.",
        "our seat is now in another town.",
    ),
    "user_access": (
        "our new colleague needs a login.",
        "please remove the account of Ms Berg.",
        "I cannot see the ledgers of client 12, grant me the right.",
        "who of us may approve postings in the portal?",
        "make Tom an administrator of our workspace.",
    ),
    "password_reset": (
        "I forgot how to sign in and am locked out.",
        "the code for my second factor does not work.",
        "send me a link to set new credentials.",
        "too many wrong attempts blocked me.",
        "my authenticator phone is lost.",
    ),
    "report_export": (
        "how do I get the balance list as a spreadsheet?",
        "we need the journal as CSV for the auditor.",
        "can the cost centre figures be downloaded?",
        "please produce the trial balance as a file.",
        "where is the button that saves the analysis to Excel?",
    ),
    "cancel_contract": (
        "we want to end the subscription at year's end.",
        "please terminate our agreement.",
        "how do we give notice for the package?",
        "stop the renewal of our plan.",
        "we are leaving for another provider.",
    ),
    "speak_to_person": (
        "let me talk to somebody of your team.",
        "I want a call back from an adviser.",
        "this bot does not help, give me a human.",
        "who is our contact, and on which number?",
        "please arrange a meeting with our accountant.",
    ),
}

INTENT_MEANINGS = {
    "invoice_copy": "The customer wants an invoice or receipt sent or shown again.",
    "payment_status": "The customer asks whether money they paid has arrived.",
    "refund": "The customer wants money back that was charged or overpaid.",
    "tax_deadline": "The customer asks by when a return or filing is due.",
    "change_address": "The customer says that their place of business has changed.",
    "user_access": "The customer wants accounts or rights of people changed.",
    "password_reset": "The customer cannot sign in and needs new credentials.",
    "report_export": "The customer wants figures or lists as a file.",
    "cancel_contract": "The customer wants to end the subscription or agreement.",
    "speak_to_person": "The customer wants to talk to a human being.",
}

INTENTS = Task(
    "10 intents",
    f"Classify the customer's message as one of: {', '.join(INTENT_PATTERNS)}.",
    INTENT_MEANINGS,
    tuple(_questions(INTENT_PATTERNS, (OPENINGS, ENDINGS))),
)

CLASS_PATTERNS = {
    "amount": (
        "how much is the allowance for meals?",
        "what does the licence cost a year?",
        "up to which sum may we pay in cash?",
        "how many shares were issued?",
        "what is the rate for late payment?",
    ),
    "date": (
        "when does the fiscal year end?",
        "on which day was the ruling published?",
        "since what year has the threshold applied?",
        "by when must objections be filed?",
        "in which month is the inventory taken?",
    ),
    "person": (
        "who signs the annual statement?",
        "which partner audits the group?",
        "whom do we name as liquidator?",
        "who represents the heirs?",
        "which of the managers is liable?",
    ),
    "place": (
        "in which country is the profit taxed?",
        "where is the register kept?",
        "at what office do we file the deed?",
        "to which address goes the notice?",
        "where does a rail carrier pay?",
    ),
    "rule": (
        "which section covers travel expenses?",
        "what standard governs leases?",
        "under which article is the supply exempt?",
        "what law sets the retention period?",
        "which decree applies to small parcels?",
    ),
    "explanation": (
        "why is goodwill written off?",
        "what does materiality mean?",
        "how come the reserve is not taxed?",
        "what is meant by substance over form?",
        "why do the two balances differ?",
    ),
}
SUBJECTS = (
    "",
    "For a small company, ",
    "In our case, ",
    "Since last year's change, ",
    "Just to be sure, ",
    "Hi, ",
)
MANNERS = ("", " Please be brief.", " Our auditor asks.", " I could not find it.", " It is for the board.")

CLASSES = Task(
    "6 classes",
    f"Say what kind of answer the question asks for: {', '.join(CLASS_PATTERNS)}.",
    {
        "amount": "The question asks for a sum of money or a number.",
        "date": "The question asks for a point in time.",
        "person": "The question asks for a human being or a function.",
        "place": "The question asks for a location or a country.",
        "rule": "The question asks for a law, section or standard.",
        "explanation": "The question asks for a reason or a meaning.",
    },
    tuple(_questions(CLASS_PATTERNS, (SUBJECTS, MANNERS))),
)
