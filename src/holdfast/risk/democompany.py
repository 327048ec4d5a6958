"""The demo company: how its clients, their activity and their exits come about, as a known ground truth.

Two periods lie two years apart, and the world moves between them: **each client moves to a new platform two months
before its later snapshot, which counts twice as many events, and a competitor begins to court small firms.** A
model that learned in the earlier period then takes doubled counts for health and overlooks many exits.

Below, N is a standard normal draw and U a uniform one from [0, 1), each a draw of its own.

Clients: size and usual activity are log-normal.

    number_of_employees = 1 + floor(40 exp(1.3 N))
    level               = 30 (number_of_employees / 40)^0.5 exp(0.9 N)            events in a usual month

Activity: counts are Poisson draws around the client's level. In the last month, half of the clients are fading (only
a share U of their activity is left) and 2 % happen to be silent. A steady client's last month counts c times its
level and its last year y times: c = 1 and y = 12, or c = 2 and y = 14 with two months on the new platform.

    lastmonth_activity = Poisson(c level exp(0.2 N) [U if fading] [0 if silent])
    lastyear_activity  = lastmonth_activity + Poisson((y - c) level exp(0.1 N))

Exits: the probability depends on the row's own columns alone, so a good enough model can find it. The early warning
is the last month against its usual share of the last year, a twelfth in the earlier period, a seventh in the later.

    fade     = ln((lastyear_activity c / y + 1) / (lastmonth_activity + 1))
    log-odds = base + 4 fade - size ln(number_of_employees / 40)

    earlier period: base = -2.7, size = 0.2          later period: base = -2.2, size = 0.6

The extended table's contract_value is around 6000 (number_of_employees / 40)^0.6, times exp(0.7 N), and its
tenure_months is 12 and an exponential draw of mean 36. It adds to the log-odds (segment and snapshot_date do not):

    effect of region - 0.5 ln(tenure_months / 36) + 0.5 ln(contract_value / (6000 (number_of_employees / 40)^0.6))

    effect of region: north -0.3, south 0, east 0.1, west 0.2, overseas 0.6

Between the periods, clients that exited are gone, each replaced by a new client with a new number. Survivors keep
their number, while their level drifts by exp(0.3 N - 0.05) and their size by exp(0.15 N + 0.02).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]
"""Arrays of one length by name: `number` (the client's), the delivered columns, `probability`, and hidden state."""

REGIONS = ("north", "south", "east", "west", "overseas")
SEGMENTS = ("small_business", "mid_market", "enterprise")

_REGION_SHARES = (0.3, 0.25, 0.2, 0.15, 0.1)
_REGION_EFFECTS = np.array([-0.3, 0.0, 0.1, 0.2, 0.6])
_SEGMENT_BOUNDS = (30, 300)  # employees
_FIRST_MONTH = 53 * 12  # January 2023, in months since January 1970
_NULL = ((13 * 26 + 20) * 26 + 11) * 26 + 11  # the letters n, u, l, l as digits of base 26

_EARLIER_CLIENTS, _EARLIER_ACTIVITY, _LATER_CLIENTS, _LATER_GROWTH, _LATER_ACTIVITY, _MIXTURE = range(6)
"""What the random numbers of a chunk are for: each has a generator of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The world in one period: the module's c (`month_count`), y (`year_count`), `base` and `size`."""

    first_month: int
    month_count: int
    year_count: int
    base: float
    size: float


EARLIER = Period(first_month=0, month_count=1, year_count=12, base=-2.7, size=0.2)
LATER = Period(first_month=24, month_count=2, year_count=14, base=-2.2, size=0.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """`size` clients followed through both periods, `chunk_rows` of them at a time, so that memory is bounded.

    The cohort owns the client numbers from `first_number` to `first_number + 2 size - 1`: the first half for its
    clients, the second for those that replace them. `stream` sets a company's cohorts apart.
    """

    seed: int
    stream: int
    size: int
    first_number: int
    chunk_rows: int
    extended: bool = False

    def generator(self, purpose: int, chunk: int) -> np.random.Generator:
        """The random numbers of one chunk for one purpose: the same each time, and unlike all others."""
        return np.random.default_rng([self.seed, self.stream, purpose, chunk])

    def numbers(self, chunk: int) -> npt.NDArray[np.int64]:
        """The numbers of a chunk's first clients: `chunk_rows` of them, fewer in the last chunk."""
        start = chunk * self.chunk_rows
        return self.first_number + np.arange(start, min(start + self.chunk_rows, self.size))


def earlier_rows(cohort: Cohort, chunk: int) -> Columns:
    """One row per client of a chunk, as it stood in the earlier period.

    >>> company = Cohort(seed=1, stream=0, size=1000, first_number=0, chunk_rows=600)
    >>> rows = earlier_rows(company, 1)
    >>> len(rows["exited"]), int(rows["number"][0])
    (400, 600)
    """
    clients = _new_clients(cohort, _EARLIER_CLIENTS, chunk)
    clients["number"] = cohort.numbers(chunk)
    return _observed(clients, EARLIER, cohort.generator(_EARLIER_ACTIVITY, chunk))


def later_rows(cohort: Cohort, chunk: int) -> Columns:
    """The chunk a period later, row by row: the same client if it survived, a new one in its place if it exited."""
    before = earlier_rows(cohort, chunk)
    exited = before["exited"] == 1
    rng = cohort.generator(_LATER_GROWTH, chunk)
    arrived = _new_clients(cohort, _LATER_CLIENTS, chunk)
    arrived["number"] = before["number"] + cohort.size
    if cohort.extended:
        arrived["tenure_months"] = rng.integers(12, LATER.first_month, len(exited))
    clients = _either(exited, arrived, _grown_older(before, rng))
    return _observed(clients, LATER, cohort.generator(_LATER_ACTIVITY, chunk))


def mixed_rows(cohort: Cohort, chunk: int) -> Columns:
    """One row per client of a chunk: half of them, chosen at random, in the later period, the others in the earlier."""
    order = cohort.generator(_MIXTURE, chunk).permutation(len(cohort.numbers(chunk)))
    return _either(order % 2 == 1, later_rows(cohort, chunk), earlier_rows(cohort, chunk))


def exit_probability(rows: Columns, period: Period) -> npt.NDArray[np.float64]:
    """Each row's true probability of exit (n,), by the module's formula, to six decimals.

    Tenure, contract value and region count where `rows` has them.
    """
    usual = rows["lastyear_activity"] * (period.month_count / period.year_count)
    fade = np.log((usual + 1) / (rows["lastmonth_activity"] + 1))
    size = np.log(rows["number_of_employees"] / 40)
    log_odds = period.base + 4 * fade - period.size * size
    if "region" in rows:
        log_odds += _REGION_EFFECTS[rows["region"]] - 0.5 * np.log(rows["tenure_months"] / 36)
        log_odds += 0.5 * (np.log(rows["contract_value"] / 6000) - 0.6 * size)
    probability: npt.NDArray[np.float64] = np.round(1 / (1 + np.exp(-log_odds)), 6)
    return probability


def client_codes(numbers: npt.NDArray[np.int64], width: int, seed: int) -> npt.NDArray[np.uint8]:
    """Codes of `width` lowercase letters as ASCII (n, width), different ones for different numbers.

    A number is cut into two halves, each of which is twice shifted by a hash of the other (a Feistel network), so that
    neighbours look unrelated. Numbers run from 0 to 26^width - 2: the last one's code stands in for "null", which many
    readers of CSV take for a missing value.

    >>> [code.tobytes().decode() for code in client_codes(np.arange(3), 4, seed=1)]
    ['zoqp', 'ldya', 'ewwq']
    """
    mixed = _shuffled(numbers, width, seed)
    if width == 4:
        mixed[mixed == _NULL] = _shuffled(np.array([26**width - 1]), width, seed)[0]
    letters = np.empty((len(mixed), width), dtype=np.uint8)
    for position in reversed(range(width)):
        mixed, letters[:, position] = np.divmod(mixed, 26)
    return letters + np.uint8(ord("a"))


def code_width(numbers: int) -> int:
    """Letters in a client code when there are `numbers` of them: four, as in the brief, or as many as it takes.

    >>> code_width(22_000), code_width(456_976), code_width(240_000_000)
    (4, 5, 6)
    """
    width = 4
    while 26**width <= numbers:
        width += 1
    return width


def snapshot_dates(months: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
    """The last day of each month, months counted from 0, the first of the earlier period.

    >>> snapshot_dates(np.array([0, 1, 24])).astype(str).tolist()
    ['2023-01-31', '2023-02-28', '2025-01-31']
    """
    following = (_FIRST_MONTH + months + 1).astype("datetime64[M]")
    days = following.astype("datetime64[D]").astype(np.int64) - 1
    return days.astype("datetime64[D]")


def _new_clients(cohort: Cohort, purpose: int, chunk: int) -> Columns:
    rng = cohort.generator(purpose, chunk)
    n = len(cohort.numbers(chunk))
    employees = 1 + np.floor(40 * np.exp(1.3 * rng.standard_normal(n)))
    level = 30 * (employees / 40) ** 0.5 * np.exp(0.9 * rng.standard_normal(n))
    clients: Columns = {"number_of_employees": employees.astype(np.int64), "level": level}
    if cohort.extended:
        contract = 6000 * (employees / 40) ** 0.6 * np.exp(0.7 * rng.standard_normal(n))
        clients |= {
            "region": rng.choice(len(REGIONS), n, p=_REGION_SHARES),
            "segment": np.digitize(employees * np.exp(0.4 * rng.standard_normal(n)), _SEGMENT_BOUNDS),
            "contract_value": 1 + contract.astype(np.int64),
            "tenure_months": 12 + rng.exponential(36, n).astype(np.int64),
            "month": rng.integers(0, 12, n),
        }
    return clients


def _grown_older(clients: Columns, rng: np.random.Generator) -> Columns:
    n = len(clients["number"])
    employees = clients["number_of_employees"] * np.exp(0.15 * rng.standard_normal(n) + 0.02)
    later = clients | {
        "number_of_employees": np.maximum(np.rint(employees), 1).astype(np.int64),
        "level": clients["level"] * np.exp(0.3 * rng.standard_normal(n) - 0.05),
    }
    if "tenure_months" in clients:
        later["tenure_months"] = clients["tenure_months"] + LATER.first_month
    return later


def _observed(clients: Columns, period: Period, rng: np.random.Generator) -> Columns:
    """The clients with what was counted in the period, what became of them, and how probable that was."""
    n = len(clients["number"])
    share_left = np.where(rng.random(n) < 0.5, rng.random(n), 1.0) * (rng.random(n) >= 0.02)
    month = period.month_count * clients["level"] * np.exp(0.2 * rng.standard_normal(n)) * share_left
    before = (period.year_count - period.month_count) * clients["level"] * np.exp(0.1 * rng.standard_normal(n))
    lastmonth = rng.poisson(month)
    rows = clients | {"lastmonth_activity": lastmonth, "lastyear_activity": lastmonth + rng.poisson(before)}
    rows["probability"] = exit_probability(rows, period)
    rows["exited"] = (rng.random(n) < rows["probability"]).astype(np.int64)
    if "month" in clients:
        rows["snapshot_month"] = clients["month"] + period.first_month
    return rows


def _either(choice: npt.NDArray[np.bool_], one: Columns, other: Columns) -> Columns:
    return {name: np.where(choice, one[name], other[name]) for name in one}


def _shuffled(numbers: npt.NDArray[np.int64], width: int, seed: int) -> npt.NDArray[np.int64]:
    """The place of each number in a permutation of 0 .. 26^width - 1 that `seed` selects."""
    sizes = (26 ** (width - width // 2), 26 ** (width // 2))
    halves = list(np.divmod(numbers, sizes[1]))
    for turn, key in enumerate(np.random.default_rng(seed).integers(0, 2**63, 4, dtype=np.uint64)):
        this, that = turn % 2, 1 - turn % 2
        # large odd multipliers spread every bit of the half upwards, the shifts bring the high bits down again
        hashed = (halves[that].astype(np.uint64) + key) * np.uint64(0x9E3779B97F4A7C15)
        hashed = (hashed ^ (hashed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
        halves[this] = (halves[this] + (hashed >> np.uint64(33)).astype(np.int64)) % sizes[this]
    shuffled: npt.NDArray[np.int64] = halves[0] * sizes[1] + halves[1]
    return shuffled
