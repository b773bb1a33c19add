"""The modern API's writes; functions/gate/modern_write.py has the function that answers them."""

from __future__ import annotations

from functions.api.http_api import Contract
from functions.modern.read import store_of

app = Contract(store_of).writes()
