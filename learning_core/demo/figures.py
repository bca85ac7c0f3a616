"""The clients, dates and amounts of the demo story: drawn at random, consistent within one conversation.

Amounts are in euros unless the name says otherwise. ``_old`` marks what an outdated rate gives, ``_wrong``
what a wrong calculation gives.
"""

from __future__ import annotations

from calendar import month_name
from collections.abc import Callable
from datetime import datetime
from math import ceil
from random import Random

FORMS = (
    "sole trader",
    "limited company",
    "partnership",
    "limited partnership",
    "cooperative",
)
COMPANY_FORMS = ("limited company", "stock corporation", "family-owned limited company")
TRADES = (
    "bakery",
    "dental practice",
    "carpentry workshop",
    "online shop",
    "haulage firm",
    "architecture office",
    "vineyard",
    "physiotherapy practice",
    "software start-up",
    "printing house",
    "garden centre",
    "machine builder",
    "hotel",
    "driving school",
)
ASSETS = {"delivery van": 6, "milling machine": 8, "server rack": 5, "shop fitting": 10, "forklift": 8}
"""Useful lives in years."""

_Values = dict[str, str | int | float]


class Figures(dict[str, str]):
    """Values, ready to print, for the names in braces of one conversation: drawn when first asked for."""

    def __init__(self, rng: Random, moment: datetime, about: str) -> None:
        super().__init__(_dates(moment), about=about)
        self._rng = rng

    def __missing__(self, name: str) -> str:
        drawn = _PART_WITH[name](self._rng)
        self.update({name: _printed(value) for name, value in drawn.items()})
        return self[name]


def _printed(value: str | int | float) -> str:
    if isinstance(value, float):
        value = int(value) if round(value, 2).is_integer() else round(value, 2)
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _dates(moment: datetime) -> dict[str, str]:
    month = moment.month
    return {
        "year": str(moment.year),
        "last_year": str(moment.year - 1),
        "next_year": str(moment.year + 1),
        "last_year_plus_10": str(moment.year + 9),
        "month": month_name[month],
        "last_month": month_name[(month - 2) % 12 + 1],
        "next_month": month_name[month % 12 + 1],
    }


def _client(rng: Random) -> _Values:
    form, trade = rng.choice(FORMS), rng.choice(TRADES)
    company_form = rng.choice(COMPANY_FORMS)
    return {
        "form": form,
        "trade": trade,
        "client": _described(rng, form, trade),
        "company_form": company_form,
        "company": _described(rng, company_form, trade),
        "client_no": str(rng.randrange(10_200, 48_999)),
        "invoice_no": f"{rng.choice(('R', 'INV', 'A'))}-{rng.randrange(1_000, 99_999)}",
    }


def _described(rng: Random, form: str, trade: str) -> str:
    article = "an" if trade[0] in "aeiou" else "a"
    return rng.choice(
        (f"our {trade} client", f"the {trade} ({form})", f"a {form} ({trade})", f"{article} {trade}")
    )


def _vat(rng: Random) -> _Values:
    net = 50 * rng.randrange(6, 360)
    gross = 120 * rng.randrange(4, 150)
    return {
        "net": net,
        "vat_standard": net * 0.20,
        "vat_standard_old": net * 0.19,
        "gross_standard": net * 1.20,
        "gross_standard_old": net * 1.19,
        "gross": gross,
        "gross_net": gross / 1.2,
        "gross_vat": gross / 6,
        "gross_net_old": gross / 1.19,
        "gross_vat_old": gross - gross / 1.19,
        "gross_wrong_vat": gross * 0.2,
        "gross_wrong_net": gross * 0.8,
    }


def _bill(rng: Random) -> _Values:
    bill = 5 * rng.randrange(9, 76)
    return {
        "bill": bill,
        "bill_vat": bill * 0.10,
        "bill_vat_old": bill * 0.07,
        "bill_gross": bill * 1.10,
        "bill_gross_old": bill * 1.07,
    }


def _limits(rng: Random) -> _Values:
    km, days = 10 * rng.randrange(12, 240), rng.randrange(2, 9)
    return {
        "turnover": 100 * rng.randrange(502, 548),
        "gadget": 5 * rng.randrange(163, 198),
        "gift": rng.randrange(51, 60),
        "km": km,
        "km_claim": km * 0.42,
        "km_claim_old": km * 0.38,
        "days": days,
        "meals": days * 30,
        "meals_old": days * 28,
    }


def _tax(rng: Random) -> _Values:
    profit = 1_000 * rng.randrange(20, 900)
    loss = profit + 1_000 * rng.randrange(5, 600)
    dividend, research = 1_000 * rng.randrange(10, 500), 1_000 * rng.randrange(20, 300)
    list_price, owed = 100 * rng.randrange(280, 820), 50 * rng.randrange(40, 900)
    months_late, loan, rate = rng.randrange(2, 15), 5_000 * rng.randrange(4, 80), rng.choice((4, 4.5, 5, 5.5))
    return {
        "profit": profit,
        "loss": loss,
        "loss_used": profit * 0.7,
        "loss_left": loss - profit * 0.7,
        "taxable": profit * 0.3,
        "tax": profit * 0.3 * 0.24,
        "dividend": dividend,
        "withheld": dividend * 0.25,
        "treaty_tax": dividend * 0.15,
        "refund": dividend * 0.10,
        "research": research,
        "research_credit": research * 0.25,
        "list_price": list_price,
        "car_benefit": list_price * 0.01,
        "car_commute": list_price * 0.0003 * 18,
        "owed": owed,
        "months_late": months_late,
        "late_interest": owed * 0.005 * months_late,
        "late_interest_wrong": owed * 0.01 * months_late,
        "loan": loan,
        "rate": str(rate),
        "loan_interest": loan * rate / 100,
    }


def _audit(rng: Random) -> _Values:
    pbt = 20_000 * rng.randrange(15, 400)
    population = 1_000 * rng.randrange(600, 9_000)
    tolerable = 1_000 * round(population / rng.randrange(9, 25) / 1_000)
    sampled, error_rate = 1_000 * rng.randrange(80, 500), rng.randrange(5, 40) / 10
    return {
        "pbt": pbt,
        "materiality": pbt * 0.05,
        "materiality_wrong": pbt * 0.10,
        "performance": pbt * 0.05 * 0.75,
        "trivial": pbt * 0.05 * 0.05,
        "population": population,
        "tolerable": tolerable,
        "sample_size": ceil(population * 3.0 / tolerable),
        "sample_size_wrong": ceil(population * 2.3 / tolerable),
        "sampled": sampled,
        "error_rate": str(error_rate),
        "misstated": sampled * error_rate / 100,
        "projected": population * error_rate / 100,
    }


def _evidence(rng: Random) -> _Values:
    sent = rng.randrange(20, 61)
    returned = round(sent * rng.uniform(0.55, 0.85))
    return {
        "sent": sent,
        "returned": returned,
        "missing": sent - returned,
        "journals": rng.randrange(4_000, 90_000),
        "cutoff_items": rng.choice((5, 10, 15, 20)),
        "count_items": rng.choice((10, 15, 20, 25)),
        "revenue": 100_000 * rng.randrange(122, 149),
        "assets": 100_000 * rng.randrange(62, 74),
        "rent": 100 * rng.randrange(12, 90),
        "provision": 1_000 * rng.randrange(40, 600),
        "payment_limit": 1_000 * rng.randrange(5, 40),
    }


def _closing(rng: Random) -> _Values:
    bank, outstanding, transit = (rng.randrange(*ends) / 100 for ends in _BANK)
    month_of_premium, prepaid_months = rng.randrange(20, 400), rng.randrange(1, 12)
    cash_book, cash_short = rng.randrange(12_000, 90_000) / 100, rng.randrange(150, 4_500) / 100
    return {
        "bank": bank,
        "outstanding": outstanding,
        "transit": transit,
        "ledger": bank - outstanding + transit,
        "ledger_wrong": bank + outstanding - transit,
        "premium": month_of_premium * 12,
        "prepaid_months": prepaid_months,
        "prepaid": month_of_premium * prepaid_months,
        "premium_expense": month_of_premium * (12 - prepaid_months),
        "cash_book": cash_book,
        "cash_short": cash_short,
        "cash_counted": cash_book - cash_short,
    }


_BANK = ((900_000, 9_000_000), (20_000, 600_000), (10_000, 400_000))
"""Balance, outstanding payments and deposits in transit: from, to (cents)."""


def _postings(rng: Random) -> _Values:
    discounted = rng.randrange(6, 150)
    usd, fx_invoice = 100 * rng.randrange(8, 300), rng.randrange(104, 112)
    fx_paid = fx_invoice + rng.randrange(1, 5)
    booked, paid = round(usd * 100 / fx_invoice, 2), round(usd * 100 / fx_paid, 2)
    return {
        "invoice": 120 * discounted,
        "discount": 2.4 * discounted,
        "discount_net": 2.0 * discounted,
        "discount_vat": 0.4 * discounted,
        "discount_paid": 117.6 * discounted,
        "usd": usd,
        "fx_invoice": f"{fx_invoice / 100:.2f}",
        "fx_paid": f"{fx_paid / 100:.2f}",
        "fx_booked": booked,
        "fx_payment": paid,
        "fx_gain": booked - paid,
    }


def _assets(rng: Random) -> _Values:
    asset, life = rng.choice(list(ASSETS.items()))
    by_month, months = rng.randrange(40, 900), rng.randrange(1, 12)
    return {
        "asset": asset,
        "life": life,
        "cost": by_month * 12 * life,
        "depreciation": by_month * 12,
        "months": months,
        "first_depreciation": by_month * months,
        "purchase_month": month_name[13 - months],
    }


def _payroll(rng: Random) -> _Values:
    pay = 100 * rng.randrange(80, 900)
    return {
        "pay": pay,
        "wage_tax": pay * 0.15,
        "social_employee": pay * 0.18,
        "pay_net": pay * 0.67,
        "social_employer": pay * 0.21,
        "pay_cost": pay * 1.21,
    }


_PARTS = (_client, _vat, _bill, _limits, _tax, _audit, _evidence, _closing, _postings, _assets, _payroll)
_PART_WITH: dict[str, Callable[[Random], _Values]] = {
    name: part for part in _PARTS for name in part(Random(0))
}
