"""Reads a beancount file as bean-check does and prints each account's balance as JSON.

Anything that the loader complains about ends it with that complaint."""

import json
import sys
from collections import defaultdict
from decimal import Decimal

from beancount import loader
from beancount.core import data

entries, errors, _ = loader.load_file(sys.argv[1])
if errors:
    sys.exit("\n".join(f"{error.source['lineno']}: {error.message}" for error in errors))

balances = defaultdict(Decimal)
orders = set()
for entry in data.filter_txns(entries):
    orders.add(entry.meta.get("order"))
    for posting in entry.postings:
        balances[f"{posting.account} {posting.units.currency}"] += posting.units.number
print(json.dumps({
    "balances": {account: str(sum) for account, sum in balances.items()},
    "orders": sorted(order for order in orders if order),
}))
