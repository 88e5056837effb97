"""Reads series as JSON lines, and prints the next due date of each, calculated by python-dateutil."""

import json
import sys
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

UTC = timezone.utc


def instant(local, zone):
    """In the gap of a change, the offset before it: the time moves behind the gap. Of two times, the first."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def parse(moment):
    return datetime.fromisoformat(moment.replace("Z", "+00:00"))


def next_due(series):
    zone = ZoneInfo(series["zone"])
    now = parse(series["now"])
    is_day = len(series["due"]) == 10
    if is_day:
        start = datetime.combine(date.fromisoformat(series["due"]), datetime.min.time())
    else:
        start = parse(series["due"]).astimezone(zone).replace(tzinfo=None, fold=0)
    if series["from"] == "completion":
        today = now.astimezone(zone).date()
        start = datetime.combine(today, start.time())
    rule = rrulestr(series["rrule"], dtstart=start)
    if "COUNT" in series["rrule"] and next(iter(rule), None) != start:
        return "start does not count"
    for local in rule:
        if local <= start or local.year > 9999:
            continue
        if is_day:
            if local.date() > now.astimezone(zone).date():
                return local.date().isoformat()
        elif instant(local, zone) > now:
            return text(instant(local, zone))
    return None


for line in sys.stdin:
    print(json.dumps(next_due(json.loads(line))))
