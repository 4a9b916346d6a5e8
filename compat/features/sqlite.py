"""A long query of sqlite3 does not stop the others' heartbeat (on a native thread of its own)."""

import sqlite3

from _runtime import Heart, answer, patch

patch(offload=["sqlite3"])
heart = Heart()
connection = sqlite3.connect(":memory:")
query = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 6000000) select count(*) from n"
count = connection.execute(query).fetchone()[0]
answer(count == 6000000 and heart.longest_gap() < 0.2)
