#!/bin/bash
# The text that SQLite makes of a REAL depends on the library's version: a reader that casts, concatenates or compares the text has another value.
#
# Seen with SQLite 3.51.3 and 3.54.1 (apsw 3.51.3.0 and 3.54.1.0) on 2026-11-29, over one and the same file: CAST(0.1 + 0.2 AS TEXT) is 0.3 in the older
# and 0.30000000000000004 in the newer one, 123456789.12345679 loses its last two digits, and json_array cuts as well. 3.51 and before write 15 digits, so
# the text of a value is not the value; since 3.53 they tell each value from every other (and JSON's since 3.54). A hash, ETag or cursor made of such texts
# changes when a driver is updated, although no row has.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for version in 3.51.3.0 3.54.1.0; do
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "apsw-$version" "apsw==$version"
done
look() {
  PYTHONPATH="apsw-$1" python3 - <<'PYTHON'
import apsw
db = apsw.Connection("prices.db")
db.execute("CREATE TABLE IF NOT EXISTS price (id INTEGER PRIMARY KEY, amount REAL)")
db.execute("INSERT OR IGNORE INTO price VALUES (1, 0.1 + 0.2), (2, 123456789.12345679)")
for row in db.execute("SELECT id, amount, CAST(amount AS TEXT), '' || amount, json_array(amount), CAST(CAST(amount AS TEXT) AS REAL) = amount FROM price"):
    print(apsw.sqlitelibversion(), *row)
PYTHON
}
old=$(look 3.51.3.0)
new=$(look 3.54.1.0)
echo "version id value CAST concatenated json same-again"
echo "$old"
echo "$new"
[ "$old" = "3.51.3 1 0.30000000000000004 0.3 0.3 [0.3] 0
3.51.3 2 123456789.12345679 123456789.123457 123456789.123457 [123456789.123457] 0" ] || exit 1
[ "$new" = "3.54.1 1 0.30000000000000004 0.30000000000000004 0.30000000000000004 [0.30000000000000004] 1
3.54.1 2 123456789.12345679 123456789.12345679 123456789.12345679 [123456789.12345679] 1" ] || exit 1
echo "one file, two versions of the library, two texts of one value"
