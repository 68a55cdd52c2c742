"""What others make of Parquet.

files.py write DIR          files of pyarrow, DuckDB and polars, and what pyarrow reads of each: NAME.parquet and NAME.jsonl
files.py read FILE ENGINE   what pyarrow or duckdb reads of a file: a document a line
"""
import base64, datetime, decimal, json, os, random, sys

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

D = decimal.Decimal
UTC = datetime.timezone.utc
PER = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def fraction(rest, unit):
    text = str(rest).zfill(len(str(PER[unit])) - 1).rstrip("0") if rest else ""
    return "." + text if text else ""


def document(s):
    """A scalar of Arrow as JSON. Nothing goes through a float that is none."""
    if not s.is_valid or pa.types.is_null(s.type):
        return "null"
    t = s.type
    if pa.types.is_dictionary(t):
        return document(s.value)
    if pa.types.is_map(t):
        return "[" + ",".join('{"key":%s,"value":%s}' % (document(e["key"]), document(e["value"])) for e in s.values) + "]"
    if pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t):
        return "[" + ",".join(document(e) for e in s.values) + "]"
    if pa.types.is_struct(t):
        return "{" + ",".join(json.dumps(k, ensure_ascii=False) + ":" + document(v) for k, v in s.items()) + "}"
    if pa.types.is_timestamp(t):
        seconds, rest = divmod(s.value, PER[t.unit])
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
        return json.dumps(at.isoformat() + fraction(rest, t.unit) + ("Z" if t.tz else ""))
    if pa.types.is_time(t):
        seconds, rest = divmod(s.value, PER[t.unit])
        return json.dumps((datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).strftime("%H:%M:%S") + fraction(rest, t.unit))
    v = s.as_py()
    if isinstance(v, D):
        return format(v, "f")
    if isinstance(v, datetime.date):
        return json.dumps(v.isoformat())
    if isinstance(v, bytes):
        return json.dumps(base64.b64encode(v).decode())
    return json.dumps(v, ensure_ascii=False)


def documents(table, to):
    names = [json.dumps(n, ensure_ascii=False) for n in table.column_names]
    columns = [[document(s) for s in c] for c in table.columns]
    for row in zip(*columns):
        to.write("{" + ",".join(n + ":" + v for n, v in zip(names, row)) + "}\n")


def kinds():
    return pa.table({
        "no": pa.array(["0042", "", None]),
        "d9": pa.array([D("1.50"), D("-12345.67"), None], pa.decimal128(9, 2)),
        "d18": pa.array([D("0.000001"), D("-123456789012.345678"), None], pa.decimal128(18, 6)),
        "d38": pa.array([D("12345678901234567890123456789012345.678"), D("-0.001"), None], pa.decimal128(38, 3)),
        "d76": pa.array([D("1" * 70 + ".5"), D("-1.5"), None], pa.decimal256(76, 1)),
        "ms": pa.array([datetime.datetime(2026, 2, 1, 9, 30, 0, 123000, tzinfo=UTC), datetime.datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), None], pa.timestamp("ms", "Europe/Berlin")),
        "us": pa.array([datetime.datetime(2026, 2, 1, 9, 30, 0, 123456), datetime.datetime(1, 1, 1), None], pa.timestamp("us")),
        "ns": pa.array([1769938200123456789, -1, None], pa.timestamp("ns")),
        "day": pa.array([datetime.date(2026, 2, 1), datetime.date(9999, 12, 31), None]),
        "tm": pa.array([datetime.time(9, 30, 0, 5000), datetime.time(23, 59, 59), None], pa.time64("us")),
        "t32": pa.array([datetime.time(9, 30, 0, 5000), datetime.time(23, 59, 59), None], pa.time32("ms")),
        "i8": pa.array([-128, 127, None], pa.int8()),
        "u32": pa.array([0, 4294967295, None], pa.uint32()),
        "u64": pa.array([0, 18446744073709551615, None], pa.uint64()),
        "i64": pa.array([-9223372036854775808, 9223372036854775807, None], pa.int64()),
        "f32": pa.array([0.5, -0.0, None], pa.float32()),
        "f64": pa.array([0.1, 1e300, None], pa.float64()),
        "ok": pa.array([True, False, None]),
        "bin": pa.array([b"\xff\x00", b"abc", None]),
        "null": pa.nulls(3),
        "tags": pa.array([["a", None, "b"], [], None], pa.list_(pa.string())),
        "ship": pa.array([{"city": "Größe", "geo": {"lat": 1}}, {"city": None, "geo": None}, None], pa.struct([("city", pa.string()), ("geo", pa.struct([("lat", pa.int32())]))])),
        "lines": pa.array([[{"sku": "007", "qty": D("1.50"), "lots": [{"lot": "a", "ns": [1, 2]}, {"lot": "b", "ns": []}]}, {"sku": "x", "qty": None, "lots": None}, None], [], None],
                          pa.list_(pa.struct([("sku", pa.string()), ("qty", pa.decimal128(12, 2)), ("lots", pa.list_(pa.struct([("lot", pa.string()), ("ns", pa.list_(pa.int64()))])))]))),
        "attrs": pa.array([[("k", "v"), ("l", None)], [], None], pa.map_(pa.string(), pa.string())),
        "mat": pa.array([[[1, 2], [], None, [3]], [[]], None], pa.list_(pa.list_(pa.int32()))),
    })


def many(n=30000):
    r = random.Random(7)
    return pa.table({
        "id": pa.array(range(n)),
        "sku": pa.array([f"SKU-{r.randrange(500):05d}" if i % 7 else None for i in range(n)]),
        "note": pa.array([("note %d " % i) * r.randrange(5) for i in range(n)]),
        "qty": pa.array([D(r.randrange(-10**6, 10**6)) / 100 if i % 5 else None for i in range(n)], pa.decimal128(11, 2)),
        "at": pa.array([r.randrange(-10**15, 10**15) for _ in range(n)], pa.timestamp("us")),
        "ok": pa.array([r.random() < 0.3 if i % 3 else None for i in range(n)]),
        "f": pa.array([r.randrange(-10**9, 10**9) / 8 for _ in range(n)]),
        "lines": pa.array([[{"n": j, "sku": None if j % 3 == 2 else f"L{r.randrange(50)}", "t": [r.randrange(9) for _ in range(r.randrange(3))]} for j in range(r.randrange(4))] if i % 11 else None
                           for i in range(n)], pa.list_(pa.struct([("n", pa.int32()), ("sku", pa.string()), ("t", pa.list_(pa.int8()))]))),
    })


def write(into):
    at = lambda name: os.path.join(into, name + ".parquet")
    t, m = kinds(), many()
    pq.write_table(t, at("pyarrow-snappy"), store_decimal_as_integer=True, write_page_checksum=True)
    pq.write_table(t, at("pyarrow-zstd-v2"), compression="zstd", data_page_version="2.0", use_dictionary=False, store_schema=False)
    pq.write_table(pa.concat_tables([t] * 2), at("pyarrow-gzip-groups"), compression="gzip", row_group_size=2, use_compliant_nested_type=False)
    pq.write_table(t, at("pyarrow-encodings"), compression="none", use_dictionary=False, data_page_version="2.0", column_encoding={
        "no": "DELTA_BYTE_ARRAY", "tags.list.element": "DELTA_LENGTH_BYTE_ARRAY", "i64": "DELTA_BINARY_PACKED", "u32": "DELTA_BINARY_PACKED", "f64": "BYTE_STREAM_SPLIT", "d38": "BYTE_STREAM_SPLIT",
        "d76": "DELTA_BYTE_ARRAY", "ok": "RLE", "us": "DELTA_BINARY_PACKED", "day": "BYTE_STREAM_SPLIT"})
    pq.write_table(t.select(["no", "ns"]), at("pyarrow-int96"), use_deprecated_int96_timestamps=True)  # pyarrow itself reads the year 1 there as 1754
    pq.write_table(m, at("pyarrow-many"), data_page_size=3000, dictionary_pagesize_limit=2000, write_page_index=True)
    pq.write_table(m, at("pyarrow-many-encodings"), data_page_size=3000, use_dictionary=False, compression="zstd", data_page_version="2.0", row_group_size=7001, column_encoding={
        "id": "DELTA_BINARY_PACKED", "sku": "DELTA_BYTE_ARRAY", "note": "DELTA_LENGTH_BYTE_ARRAY", "qty": "BYTE_STREAM_SPLIT", "at": "DELTA_BINARY_PACKED", "ok": "RLE", "f": "BYTE_STREAM_SPLIT",
        "lines.list.element.n": "DELTA_BINARY_PACKED", "lines.list.element.sku": "DELTA_BYTE_ARRAY"})
    few = t.drop(["d76", "null"])  # which DuckDB and polars do not have
    con = duckdb.connect()
    con.register("few", few)
    con.register("many", m)
    con.execute("COPY few TO '%s' (FORMAT parquet)" % at("duckdb"))
    con.execute("COPY many TO '%s' (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION V2, ROW_GROUP_SIZE 6000)" % at("duckdb-many"))
    polars.from_arrow(few.drop(["attrs"])).write_parquet(at("polars"), compression="snappy")
    polars.from_arrow(m).write_parquet(at("polars-many"), compression="zstd", row_group_size=7000, data_page_size=4000)
    for name in sorted(os.listdir(into)):
        with open(os.path.join(into, name[: -len("parquet")] + "jsonl"), "w", encoding="utf-8") as out:
            documents(pq.read_table(os.path.join(into, name)), out)


def read(file, engine):
    if engine == "pyarrow":
        table = pq.read_table(file)
    else:
        con = duckdb.connect()
        con.execute("SET TimeZone = 'UTC'")
        table = con.execute("SELECT * FROM read_parquet('%s')" % file).to_arrow_table()
    documents(table, sys.stdout)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
