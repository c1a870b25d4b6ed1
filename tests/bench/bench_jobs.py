"""errand jobs with 100,000 jobs stored: 20 ms."""
import sqlite3
import time

from bench import row

COUNT = 100000


def fill(path):
    """Copies of the one run that is there."""
    db = sqlite3.connect(path)
    now = int(time.time() * 1000)

    def columns(table, skip):
        return [c[1] for c in db.execute(f"PRAGMA table_info({table})") if c[1] not in skip]
    with db:
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {COUNT})"
        changed = {"run": {"id": "i", "name": "'work-' || i", "number": "i", "created_ms": f"{now} - (100001 - i) * 60000"},
                   "job": {"id": "i", "run_id": "i", "name": "'work-' || i || '.0'", "created_ms": f"{now} - (100001 - i) * 60000",
                           "ended_ms": f"{now} - (100001 - i) * 60000 + 5000", "started_ms": f"{now} - (100001 - i) * 60000"},
                   "spec": {"job_id": "i"}, "attempt": {"id": "i", "job_id": "i"}}
        for table, values in changed.items():
            rest = columns(table, values)
            names = ", ".join(f'"{c}"' for c in [*values, *rest])
            chosen = ", ".join([*values.values(), *(f't."{c}"' for c in rest)])
            db.execute(f"{numbers} INSERT INTO {table}({names}) SELECT {chosen} FROM n, (SELECT * FROM {table} LIMIT 1) t")
        assert db.execute("SELECT count(*) FROM job").fetchone()[0] == COUNT
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def rows(bench):
    bench.run("--quiet", "--", "true")
    fill(bench.world.state / "store.db")
    ours, narrow = bench.in_turn(lambda: bench.spawn([bench.errand, "jobs"], check=True), lambda: bench.spawn([bench.errand, "show", "work-50000"], check=True), pairs=30)
    return [row("`errand jobs`, 100,000 stored", ours, "", None, 0.020), row("`errand show JOB`, 100,000 stored", narrow, "", None, 0.020)]
