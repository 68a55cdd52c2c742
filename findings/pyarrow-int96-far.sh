#!/bin/bash
# pyarrow reads days that are far away out of old Parquet timestamps as other days, without an error: "for ever", 9999-12-31, is a day of 1816.
#
# Seen with pyarrow 26.0.1 on 2026-11-30: INT96, which Hive, Impala and older Spark write, has the day as a number and the time of the day beside it, and holds the year 9999 well. pyarrow makes nanoseconds of
# 64 bits out of it, which end in 2262 and wrap around. ERPs write 9999-12-31 for prices and contracts without an end and 0001-01-01 for no day: both come out as days of the past that look right.
# coerce_int96_timestamp_unit="us" gives what was written. Its own writer makes such a file here.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv python && python/bin/pip install -q --disable-pip-version-check pyarrow==26.0.1
out=$(python/bin/python - <<'PYTHON'
import datetime, pyarrow as pa, pyarrow.parquet as pq
days = [datetime.datetime(9999, 12, 31), datetime.datetime(1, 1, 1), datetime.datetime(2026, 2, 1)]
pq.write_table(pa.table({"until": pa.array(days, pa.timestamp("us"))}), "prices.parquet", use_deprecated_int96_timestamps=True)
read = lambda **how: pq.read_table("prices.parquet", **how)["until"].cast(pa.string()).to_pylist()
for day, plain, asked in zip(days, read(), read(coerce_int96_timestamp_unit="us")):
    print(day.date().isoformat(), plain[:10], asked[:10])
PYTHON
)
echo "written read read-with-us"
echo "$out"
[ "$out" = "9999-12-31 1816-03-29 9999-12-31
0001-01-01 1754-08-30 0001-01-01
2026-02-01 2026-02-01 2026-02-01" ] || exit 1
echo "days that are far away have become others"
