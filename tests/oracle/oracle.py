"""An oracle of time: what the contract's section 5 says, worked out without holdback's code.

Zones are Python's zoneinfo over the PyPI package tzdata (never the machine's files), working days
and rolls numpy's busdays, weeks dateutil's rrule, China's working weekends the package
chinesecalendar. Written from the contract's text; the form of the output is in README.md beside it.

    oracle.py --seed 1 --agreements 4000 --out cases.txt.gz
"""

import argparse
import calendar as months
import datetime as dt
import gzip
import importlib.metadata
import multiprocessing
import random
import zoneinfo

import chinese_calendar
import numpy
import tzdata
from dateutil import rrule

zoneinfo.reset_tzpath(to=[])  # leaves the package tzdata alone

DAY = dt.timedelta(days=1)
MICRO = dt.timedelta(microseconds=1)
MIDNIGHT = dt.time(0, 0)
EPOCH = dt.date(1970, 1, 1)
FIRST, LAST = dt.date(1985, 1, 1), dt.date(2060, 1, 1)
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CASES = 30

# Half hours (Lord Howe), two hours (Troll), midnights that do not exist (Santiago, Havana, Beirut,
# Asuncion, Sao Paulo, Tehran, Amman, Gaza, Cairo), days that do not (Apia 2011), changes at 00:01
# (St Johns), winter time as the exception (Dublin), Ramadan (Casablanca), odd offsets (Chatham,
# Kathmandu), shifts that are no summer time (Caracas, Pyongyang, Kolkata never).
ZONES = """
    UTC Asia/Shanghai Asia/Kolkata Asia/Kathmandu America/New_York America/Los_Angeles Europe/Berlin
    Europe/London Europe/Dublin Australia/Lord_Howe Australia/Sydney America/Santiago America/Havana
    Asia/Beirut Africa/Cairo America/Asuncion America/Sao_Paulo Pacific/Apia Asia/Tehran Asia/Amman
    Asia/Gaza Africa/Casablanca America/Nuuk America/Scoresbysund Atlantic/Azores America/St_Johns
    Pacific/Chatham America/Caracas Asia/Pyongyang Antarctica/Troll
""".split()


# --- zones -------------------------------------------------------------------------------------


def utc(local, fold, zone):
    return local.replace(tzinfo=zone, fold=fold).astimezone(dt.timezone.utc)


def wall(instant, zone):
    """The clock on the wall at an instant, without zone."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def instant_of(date, time, zone):
    """The instant of a local time: the first of two, and the end of the gap when there is none."""
    local = dt.datetime.combine(date, time)
    first = utc(local, 0, zone)
    if wall(first, zone) == local:
        return first
    # In a gap fold 0 reads the old offset (an instant past the gap), fold 1 the new one.
    before, after = utc(local, 1, zone), first
    while after - before > MICRO:
        middle = before + (after - before) // 2
        if wall(middle, zone) > local:
            after = middle
        else:
            before = middle
    return after


def transitions(zone):
    """The instants at which the zone's offset changes, 2004 to 2040."""
    found = []
    step = dt.timedelta(hours=12)
    at = dt.datetime(2004, 1, 1, tzinfo=dt.timezone.utc)
    end = dt.datetime(2040, 1, 1, tzinfo=dt.timezone.utc)
    offset = at.astimezone(zone).utcoffset()
    while at < end:
        then = (at + step).astimezone(zone).utcoffset()
        if then != offset:
            low, high = at, at + step
            while high - low > dt.timedelta(seconds=1):
                middle = low + (high - low) // 2
                if middle.astimezone(zone).utcoffset() == offset:
                    low = middle
                else:
                    high = middle
            found.append(high.replace(microsecond=0))
        at, offset = at + step, then
    return found


# --- calendars ---------------------------------------------------------------------------------


class Calendar:
    """A calendar as it is published, and what it may turn out to be.

    Where it is bounded, nothing is known outside. `completions` are the two extremes: every day
    outside works; none does for more than a year on either side.
    """

    def __init__(self, name, weekend=(), holidays=(), works=(), start=None, until=None):
        self.name, self.weekend = name, weekend
        self.holidays, self.works = set(holidays), set(works)
        self.start, self.until = start, until
        low, high = (start or FIRST) - DAY * 450, (until or LAST) + DAY * 450
        extremes = [lambda _: True]
        if start or until:
            extremes.append(lambda day: not low <= day <= high)
        self.completions = [self.complete(outside) for outside in extremes]

    def knows(self, day):
        return (self.start or FIRST) <= day <= (self.until or LAST)

    def rests(self, day):
        if day in self.works:
            return False
        return day in self.holidays or WEEK[day.weekday()] in self.weekend

    def complete(self, outside):
        every = (FIRST + DAY * n for n in range((LAST - FIRST).days))
        rests = lambda day: self.rests(day) if self.knows(day) else not outside(day)
        resting = [day for day in every if rests(day)]
        return numpy.busdaycalendar(weekmask="1111111", holidays=resting)

    def line(self):
        days = lambda dates: ",".join(map(str, sorted(dates))) or "-"
        bounds = f"{self.start or '-'} {self.until or '-'}"
        return f"C {self.name} {','.join(self.weekend) or '-'} {days(self.holidays)} {days(self.works)} {bounds}"


EVERY_DAY = numpy.busdaycalendar(weekmask="1111111")


def china():
    """China's days off and working weekends of 2018 to 2026, known to the end of 2026 only."""
    start, until = dt.date(2018, 1, 1), dt.date(2026, 12, 31)
    off, works = [], []
    day = start
    while day <= until:
        weekend = day.weekday() >= 5
        if chinese_calendar.is_workday(day) and weekend:
            works.append(day)
        if chinese_calendar.is_holiday(day) and not weekend:
            off.append(day)
        day += DAY
    return Calendar("CN", ("sat", "sun"), off, works, start, until)


def invented(name, dice):
    weekend = dice.choice([(), ("sun",), ("sat", "sun"), ("sat", "sun"), ("fri", "sat"), ("thu", "fri")])
    start, until = dt.date(dice.randint(2009, 2023), 1, 1), None
    years = dice.randint(1, 12)
    holidays, works = set(), set()
    for _ in range(years * dice.randint(3, 14)):
        first = start + DAY * dice.randrange(365 * years)
        for n in range(dice.choice([1, 1, 1, 2, 3, 5, 7, 7, 9, 14])):
            holidays.add(first + DAY * n)
    for _ in range(years * dice.randint(0, 8)):
        day = start + DAY * dice.randrange(365 * years)
        for n in range(7):
            if WEEK[(day + DAY * n).weekday()] in weekend:
                works.add(day + DAY * n)
                break
    holidays -= works
    # No stretch of rest may reach 31 days: every tenth day of a longer one works.
    rest, day = 0, start - DAY * 40
    while day <= start + DAY * (365 * years + 60):
        resting = day not in works and (day in holidays or WEEK[day.weekday()] in weekend)
        rest = rest + 1 if resting else 0
        if rest > 25:
            holidays.discard(day)
            if WEEK[day.weekday()] in weekend:
                works.add(day)
            rest = 0
        day += DAY
    if dice.random() < 0.3:
        until = dt.date(start.year + years - 1, *dice.choice([(6, 30), (9, 17), (12, 31), (12, 31)]))
    bounds = (start if dice.random() < 0.3 else None, until)
    return Calendar(name, weekend, holidays, works, *bounds)


# --- section 5 ---------------------------------------------------------------------------------


def nth_working_day(day, n, days):
    """Only working days count, beginning with the day after; none counted is the day itself."""
    if n == 0:
        return day
    return numpy.busday_offset(day, n, roll="preceding", busdaycal=days).item()


def window_end(term, anchor, zone, calendar):
    """The end of the window; None where it depends on a day that the calendar does not know."""
    local = wall(anchor, zone)
    if term["kind"] == "business":
        last = nth_working_day(local.date(), term["days"], calendar.completions[0])
        if term["days"] and not (calendar.knows(local.date() + DAY) and calendar.knows(last)):
            return None
    else:
        last = local.date() + DAY * term["days"]
    if term["count"] == "instant":
        return anchor if term["days"] == 0 else instant_of(last, local.time(), zone)
    if term["count"] == "date":
        return instant_of(last, MIDNIGHT, zone)
    return instant_of(last + DAY, MIDNIGHT, zone)


def cycle_dates(cycle, effective, around):
    """The settlement dates before they are rolled, well beyond what can matter on both sides."""
    reach = 75 + 7 * cycle["every"]
    low, high = around - DAY * reach, around + DAY * reach
    midnight = lambda date: dt.datetime.combine(date, MIDNIGHT)
    if cycle["kind"] == "daily":
        dates = rrule.rrule(rrule.DAILY, dtstart=midnight(low), until=midnight(high))
    elif cycle["kind"] == "weekly":
        monday = effective - DAY * effective.weekday()
        period = 7 * cycle["every"]
        begin = monday + DAY * ((low - monday).days // period * period)
        dates = rrule.rrule(
            rrule.WEEKLY,
            interval=cycle["every"],
            wkst=rrule.MO,
            byweekday=[WEEK.index(day) for day in cycle["days"]],
            dtstart=midnight(begin),
            until=midnight(high),
        )
    else:
        dates = []
        year, month = low.year, low.month
        while (year, month) <= (high.year, high.month):
            last = months.monthrange(year, month)[1]
            for day in cycle["days"]:
                dates.append(midnight(dt.date(year, month, last if day == -1 else min(day, last))))
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return sorted({date.date() for date in dates})


def roll(dates, how, days):
    """Every date as it is rolled. numpy's own modifiedfollowing takes January for January, though
    a year of rest lies between them, so the months are compared here."""
    dates = numpy.array(dates, dtype="datetime64[D]")
    to = lambda way: numpy.busday_offset(dates, 0, roll=way, busdaycal=days)
    month = lambda of: of.astype("datetime64[M]")
    if how == "unadjusted":
        return dates.tolist()
    if how == "modified_following":
        after = to("following")
        return numpy.where(month(after) == month(dates), after, to("preceding")).tolist()
    return to(how).tolist()


def settlement(agreement, eligible, zone, days):
    """The first settlement at or after an instant, with these working days."""
    near = wall(eligible, zone).date() - 3 * DAY
    dates = cycle_dates(agreement["cycle"], agreement["effective_on"], near)
    rolled = roll(dates, agreement["roll"], days)
    # In the order of dates the instants are in order too, so the first that is late enough is it.
    for date in sorted({date for date in rolled if date >= near}):
        at = instant_of(date, agreement["cut_off"], zone)
        if at >= eligible:
            return at, wall(at, zone).date()
    return None  # a year of rest that rolls everything back


def settlement_as_known(agreement, eligible, zone):
    """The settlement, if it depends on no day that the calendar does not know.

    The first day that could be one must be known. Then only the days before `start` and after
    `until` are open, and a settlement that stands when all of them work and when none does stands
    whatever they are: a day that works can only take a roll's origin or its way, a day that rests
    can only lend one.
    """
    calendar = agreement["calendar"]
    if not calendar or agreement["roll"] == "unadjusted":
        return settlement(agreement, eligible, zone, EVERY_DAY)
    first = wall(eligible, zone).date() - DAY
    while instant_of(first, agreement["cut_off"], zone) < eligible:
        first += DAY
    if not calendar.knows(first):
        return None
    answers = {settlement(agreement, eligible, zone, days) for days in calendar.completions}
    return answers.pop() if len(answers) == 1 else None


def expected(agreement, anchor, cleared):
    """(window_ends_at, eligible_at, (release_at, settlement_date)), or None; and limit_at."""
    zone = agreement["zone"]
    limit = instant_of(wall(anchor, zone).date() + DAY * agreement["limit_days"], MIDNIGHT, zone)
    window = window_end(agreement, anchor, zone, agreement["calendar"])
    if not window:
        return None, limit
    eligible = max(filter(None, [anchor, window, cleared]))
    settled = settlement_as_known(agreement, eligible, zone)
    return settled and (window, eligible, settled), limit


# --- cases -------------------------------------------------------------------------------------


def an_agreement(dice, calendars, changes):
    name = dice.choice(ZONES)
    count = dice.choice(["instant", "date", "end_of_day"])
    kind = dice.choice(["calendar", "business"])
    # Business days without a calendar are refused in an agreement, though every day would work.
    calendar = dice.choice(calendars) if kind == "business" or dice.random() < 0.7 else None
    if calendar and dice.random() < 0.1:
        calendar = calendars[0]
    cycle = dice.choice(["daily", "weekly", "weekly", "monthly"])
    if cycle == "weekly":
        days = sorted(dice.sample(WEEK, dice.choice([1, 1, 2, 3, 7])), key=WEEK.index)
    elif cycle == "monthly":
        days = sorted({dice.choice([1, 2, 10, 15, 28, 29, 30, 31, 31, -1, -1]) for _ in range(dice.randint(1, 3))})
    else:
        days = []
    change = wall(dice.choice(changes[name]), zoneinfo.ZoneInfo(name)) if changes[name] else None
    minutes = dice.choice([0, 0, 0, 1, 30, 90, 120, 135, 150, 180, 720, 1020, 1410, 1439, None, None, None])
    if minutes is None:
        minutes = dice.randrange(1440)
        if change and dice.random() < 0.8:
            minutes = (change.hour * 60 + change.minute + dice.choice([-60, -45, -30, -15, -1, 0])) % 1440
    return {
        "zone": zoneinfo.ZoneInfo(name),
        "zone_name": name,
        "calendar": calendar,
        "count": count,
        "kind": kind,
        "days": dice.choice([0, 0, 1, 1, 2, 3, 7, 7, 10, 14, 15, 20, 30]) if kind == "business"
        else dice.choice([0, 0, 1, 1, 2, 3, 7, 7, 10, 14, 15, 30, 45, 90, 120, 180, 365]),
        "cycle": {"kind": cycle, "days": days, "every": dice.choice([1, 1, 2, 2, 3, 4, 5, 13, 52]) if cycle == "weekly" else 1},
        "roll": dice.choice(["following", "modified_following", "preceding", "unadjusted"]),
        "cut_off": dt.time(minutes // 60, minutes % 60),
        "limit_days": dice.choice([1, 7, 28, 30, 31, 90, 180, 180, 180, 730]),
    }


def a_moment(dice, agreement, changes):
    """An anchor: half of them so that the window ends near a change of the zone's offset."""
    near = changes[agreement["zone_name"]]
    calendar = agreement["calendar"]
    bounds = [day for day in (calendar.start, calendar.until) if day] if calendar else []
    if bounds and dice.random() < 0.5:
        at = dt.datetime.combine(dice.choice(bounds), MIDNIGHT, dt.timezone.utc)
        reach = dice.choice([4, 15, 40, 400])
        at += dt.timedelta(days=dice.randint(-reach, reach // 4) - agreement["days"], minutes=dice.randrange(1440))
    elif near and dice.random() < 0.6:
        days = agreement["days"] + (agreement["count"] == "end_of_day")
        if agreement["kind"] == "business":
            days = days * 7 // 5 + dice.randint(-2, 2)
        if dice.random() < 0.2:
            days = 0
        at = dice.choice(near) - DAY * days
        spread = dice.choice([0, 30, 60, 120, 120, 2160])
        at += dt.timedelta(seconds=dice.randint(-spread, spread) * 60)
    else:
        at = dt.datetime(2010, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=dice.randrange(30 * 365 * 86400))
    at = at.replace(second=0)
    if dice.random() < 0.3:
        at = at.replace(minute=0)
    if dice.random() < 0.2:
        at += dt.timedelta(seconds=dice.randrange(60))
    if dice.random() < 0.03:
        at += dt.timedelta(microseconds=dice.randrange(1_000_000))
    return at


def a_clearing(dice, agreement, anchor):
    """When the last block was cleared: never, at any time, or at a cut-off to the microsecond."""
    if dice.random() < 0.5:
        return None
    at = anchor + dt.timedelta(days=dice.randint(-3, agreement["days"] + 40), minutes=dice.randrange(1440))
    if dice.random() < 0.5:
        return at
    at = instant_of(wall(at, agreement["zone"]).date(), agreement["cut_off"], agreement["zone"])
    return at + dice.choice([-MICRO, 0 * MICRO, 0 * MICRO, MICRO, 1_000_000 * MICRO])


def moment(instant, day):
    """An instant as days after a day and time of day, both of UTC: 3T04:00."""
    time = instant.time()
    parts = "minutes" if not time.second and not time.microsecond else "auto"
    return f"{(instant.date() - day).days}T{time.isoformat(parts)}"


def lines(seed, number, calendars, changes):
    dice = random.Random(f"{seed} agreement {number}")
    agreement = an_agreement(dice, calendars, changes)
    anchors = [a_moment(dice, agreement, changes) for _ in range(CASES)]
    effective = min(anchors) - DAY * dice.randint(0, 800)
    if dice.random() < 0.1:
        effective = max(anchors) + DAY * dice.randint(0, 100)
    agreement["effective_on"] = wall(effective, agreement["zone"]).date()
    cycle, calendar = agreement["cycle"], agreement["calendar"]
    yield " ".join(
        [
            "A",
            agreement["zone_name"],
            calendar.name if calendar else "-",
            agreement["count"],
            agreement["kind"],
            str(agreement["days"]),
            cycle["kind"],
            ",".join(map(str, cycle["days"])) or "-",
            str(cycle["every"]),
            agreement["roll"],
            agreement["cut_off"].strftime("%H:%M"),
            moment(effective, EPOCH),
            str(agreement["limit_days"]),
        ]
    )
    for anchor in anchors:
        cleared = a_clearing(dice, agreement, anchor)
        dates, limit = expected(agreement, anchor, cleared)
        day = anchor.date()
        given = [moment(anchor, EPOCH), moment(cleared, day) if cleared else "-", moment(limit, day)]
        if dates:
            window, eligible, (release, settled) = dates
            which = {anchor: "a", window: "w", cleared: "c"}[eligible]
            given += [moment(window, day), which, moment(release, day), str((settled - day).days)]
        yield " ".join(given)


def block(job):
    seed, number = job
    return "\n".join(lines(seed, number, *WORLD)) + "\n"


def world(seed):
    dice = random.Random(f"{seed} calendars")
    calendars = [china()] + [invented(f"K{n}", dice) for n in range(59)]
    return calendars, {name: transitions(zoneinfo.ZoneInfo(name)) for name in ZONES}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", required=True)
    options.add_argument("--agreements", type=int, default=3500, help=f"with {CASES} cases each")
    options.add_argument("--out", required=True, help="a file, written with gzip")
    chosen = options.parse_args()
    global WORLD
    WORLD = world(chosen.seed)
    versions = [f"zone data {tzdata.IANA_VERSION}"]
    for package in ("numpy", "python-dateutil", "chinesecalendar"):
        versions.append(f"{package} {importlib.metadata.version(package)}")
    head = f"# seed {chosen.seed}, {', '.join(versions)}"
    print(head, flush=True)
    jobs = [(chosen.seed, number) for number in range(chosen.agreements)]
    with multiprocessing.get_context("fork").Pool() as pool, open(chosen.out, "wb") as raw:
        with gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
            out.write((head + "\n").encode())
            for calendar in WORLD[0]:
                out.write((calendar.line() + "\n").encode())
            for text in pool.imap(block, jobs, chunksize=20):
                out.write(text.encode())


if __name__ == "__main__":
    main()
