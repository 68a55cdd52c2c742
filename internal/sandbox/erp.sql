-- The ERP's tables. Amounts are decimals in TEXT, dates and times are ISO 8601 in TEXT. The columns id, <number>,
-- created_at, updated_at, updated_by and row_version are filled by triggers (erp_triggers.go): whoever writes leaves them out.

CREATE TABLE IF NOT EXISTS customers (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  external_ref  TEXT UNIQUE,
  customer_no   TEXT UNIQUE,
  created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_by    TEXT NOT NULL DEFAULT 'api',
  row_version   INTEGER NOT NULL DEFAULT 0,
  name          TEXT NOT NULL CHECK (length(trim(name)) BETWEEN 1 AND 255),
  tax_no        TEXT NOT NULL CHECK (length(tax_no) BETWEEN 1 AND 18),
  street        TEXT,
  city          TEXT,
  region        TEXT,
  postal_code   TEXT,
  country       TEXT NOT NULL CHECK (length(country) = 3),
  email         TEXT,
  phone         TEXT,
  contact_name  TEXT,
  contact_email TEXT,
  contact_phone TEXT,
  currency      TEXT NOT NULL CHECK (length(currency) = 3),
  credit_limit  TEXT NOT NULL DEFAULT '10000.00' CHECK (credit_limit NOT GLOB '*[^0-9.]*' AND length(credit_limit) > 0),
  payment_terms TEXT NOT NULL DEFAULT 'N30' CHECK (payment_terms IN ('COD','PRE') OR payment_terms GLOB 'N[0-9][0-9]'),
  status        TEXT NOT NULL DEFAULT 'A' CHECK (status IN ('A','H','B'))
);

CREATE TABLE IF NOT EXISTS items (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  external_ref  TEXT UNIQUE,
  created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_by    TEXT NOT NULL DEFAULT 'api',
  row_version   INTEGER NOT NULL DEFAULT 0,
  sku           TEXT NOT NULL UNIQUE CHECK (length(sku) BETWEEN 1 AND 40),
  description   TEXT NOT NULL,
  long_text     TEXT,
  family        TEXT,
  uom           TEXT NOT NULL CHECK (uom IN ('EA','BX','KG')),
  list_price    TEXT NOT NULL CHECK (list_price NOT GLOB '*[^0-9.]*' AND length(list_price) > 0),
  currency      TEXT NOT NULL CHECK (length(currency) = 3),
  weight_kg     TEXT,
  blocked       INTEGER NOT NULL DEFAULT 0 CHECK (blocked IN (0, 1))
);

CREATE TABLE IF NOT EXISTS sales_orders (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  external_ref     TEXT UNIQUE,
  order_no         TEXT UNIQUE,
  created_at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_by       TEXT NOT NULL DEFAULT 'api',
  row_version      INTEGER NOT NULL DEFAULT 0,
  source_order_no  TEXT NOT NULL,
  customer_id      INTEGER NOT NULL REFERENCES customers(id),
  customer_po      TEXT,
  order_date       TEXT NOT NULL CHECK (order_date GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  currency         TEXT NOT NULL CHECK (currency IN ('CNY','EUR','USD','JPY','SGD')),
  shipping_method  TEXT NOT NULL CHECK (shipping_method IN ('STD','EXP','PUP')),
  ship_street      TEXT,
  ship_city        TEXT,
  ship_postal_code TEXT,
  ship_country     TEXT CHECK (length(ship_country) = 3),
  note             TEXT,
  net_amount       TEXT NOT NULL CHECK (net_amount NOT GLOB '*[^0-9.]*' AND length(net_amount) > 0),
  status           TEXT NOT NULL DEFAULT 'NEW' CHECK (status IN ('NEW','CONF','PART','SHIP','INV','PAID','CANC')),
  confirmed_at     TEXT,
  tracking_no      TEXT
);
CREATE INDEX IF NOT EXISTS sales_orders_status ON sales_orders(status);
CREATE INDEX IF NOT EXISTS sales_orders_source ON sales_orders(source_order_no);

CREATE TABLE IF NOT EXISTS sales_order_lines (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  order_id    INTEGER NOT NULL REFERENCES sales_orders(id),
  line_no     INTEGER NOT NULL CHECK (line_no > 0),
  sku         TEXT NOT NULL,
  description TEXT,
  quantity    TEXT NOT NULL CHECK (quantity NOT GLOB '*[^0-9.]*' AND CAST(quantity AS REAL) > 0),
  uom         TEXT NOT NULL CHECK (uom IN ('EA','BX','KG')),
  unit_price  TEXT NOT NULL CHECK (unit_price NOT GLOB '*[^0-9.]*' AND length(unit_price) > 0),
  line_amount TEXT NOT NULL CHECK (line_amount NOT GLOB '*[^0-9.]*' AND length(line_amount) > 0),
  UNIQUE (order_id, line_no)
);

CREATE TABLE IF NOT EXISTS quotes (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  external_ref    TEXT UNIQUE,
  quote_no        TEXT UNIQUE,
  created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_by      TEXT NOT NULL DEFAULT 'api',
  row_version     INTEGER NOT NULL DEFAULT 0,
  source_quote_no TEXT NOT NULL,
  customer_id     INTEGER NOT NULL REFERENCES customers(id),
  title           TEXT NOT NULL,
  valid_until     TEXT,
  currency        TEXT NOT NULL CHECK (currency IN ('CNY','EUR','USD','JPY','SGD')),
  status          TEXT NOT NULL CHECK (status IN ('DRAFT','SENT','WON','LOST')),
  total_amount    TEXT NOT NULL CHECK (total_amount NOT GLOB '*[^0-9.]*' AND length(total_amount) > 0)
);

CREATE TABLE IF NOT EXISTS quote_lines (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  quote_id    INTEGER NOT NULL REFERENCES quotes(id),
  line_no     INTEGER NOT NULL CHECK (line_no > 0),
  sku         TEXT NOT NULL,
  description TEXT,
  quantity    TEXT NOT NULL CHECK (quantity NOT GLOB '*[^0-9.]*' AND CAST(quantity AS REAL) > 0),
  uom         TEXT NOT NULL CHECK (uom IN ('EA','BX','KG')),
  unit_price  TEXT NOT NULL CHECK (unit_price NOT GLOB '*[^0-9.]*' AND length(unit_price) > 0),
  line_amount TEXT NOT NULL CHECK (line_amount NOT GLOB '*[^0-9.]*' AND length(line_amount) > 0),
  UNIQUE (quote_id, line_no)
);

CREATE TABLE IF NOT EXISTS shipments (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  external_ref TEXT UNIQUE,
  delivery_no  TEXT UNIQUE,
  created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_by   TEXT NOT NULL DEFAULT 'api',
  row_version  INTEGER NOT NULL DEFAULT 0,
  shipment_no  TEXT NOT NULL,
  order_id     INTEGER NOT NULL REFERENCES sales_orders(id),
  carrier      TEXT,
  tracking_no  TEXT NOT NULL,
  shipped_at   TEXT NOT NULL,
  posted       INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS shipments_order ON shipments(order_id);
CREATE INDEX IF NOT EXISTS shipments_posted ON shipments(posted) WHERE posted = 0;

CREATE TABLE IF NOT EXISTS shipment_lines (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  shipment_id INTEGER NOT NULL REFERENCES shipments(id),
  line_no     INTEGER NOT NULL CHECK (line_no > 0),
  sku         TEXT NOT NULL,
  quantity    TEXT NOT NULL CHECK (quantity NOT GLOB '*[^0-9.]*' AND CAST(quantity AS REAL) > 0),
  UNIQUE (shipment_id, line_no)
);

CREATE TABLE IF NOT EXISTS invoices (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  external_ref TEXT UNIQUE,
  invoice_no   TEXT UNIQUE,
  created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_by   TEXT NOT NULL DEFAULT 'api',
  row_version  INTEGER NOT NULL DEFAULT 0,
  order_id     INTEGER NOT NULL REFERENCES sales_orders(id),
  customer_id  INTEGER NOT NULL REFERENCES customers(id),
  invoice_date TEXT NOT NULL,
  due_date     TEXT NOT NULL,
  currency     TEXT NOT NULL,
  net_amount   TEXT NOT NULL,
  tax_amount   TEXT NOT NULL,
  gross_amount TEXT NOT NULL,
  open_amount  TEXT NOT NULL,
  status       TEXT NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN','PART','PAID'))
);
CREATE INDEX IF NOT EXISTS invoices_order ON invoices(order_id);
CREATE INDEX IF NOT EXISTS invoices_status ON invoices(status) WHERE status <> 'PAID';

CREATE TABLE IF NOT EXISTS invoice_lines (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  invoice_id  INTEGER NOT NULL REFERENCES invoices(id),
  line_no     INTEGER NOT NULL,
  sku         TEXT NOT NULL,
  description TEXT,
  quantity    TEXT NOT NULL,
  uom         TEXT NOT NULL,
  unit_price  TEXT NOT NULL,
  line_amount TEXT NOT NULL,
  UNIQUE (invoice_id, line_no)
);

CREATE TABLE IF NOT EXISTS payments (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  external_ref TEXT UNIQUE,
  payment_no   TEXT UNIQUE,
  created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_by   TEXT NOT NULL DEFAULT 'api',
  row_version  INTEGER NOT NULL DEFAULT 0,
  invoice_id   INTEGER NOT NULL REFERENCES invoices(id),
  paid_on      TEXT NOT NULL,
  amount       TEXT NOT NULL,
  currency     TEXT NOT NULL,
  method       TEXT NOT NULL CHECK (method IN ('T','C','K'))
);
CREATE INDEX IF NOT EXISTS payments_invoice ON payments(invoice_id);

CREATE TABLE IF NOT EXISTS stock (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  external_ref    TEXT UNIQUE,
  created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  updated_by      TEXT NOT NULL DEFAULT 'api',
  row_version     INTEGER NOT NULL DEFAULT 0,
  sku             TEXT NOT NULL,
  warehouse       TEXT NOT NULL,
  on_hand         TEXT NOT NULL CHECK (on_hand NOT GLOB '*[^0-9.]*' AND length(on_hand) > 0),
  reserved        TEXT NOT NULL DEFAULT '0' CHECK (reserved NOT GLOB '*[^0-9.]*' AND length(reserved) > 0),
  counted_at      TEXT,
  source_sequence INTEGER,
  UNIQUE (sku, warehouse)
);

-- What the ERP keeps for itself.
CREATE TABLE IF NOT EXISTS _seq (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS _actor (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS _log (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  at           TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  actor        TEXT NOT NULL,
  op           TEXT NOT NULL,
  tbl          TEXT NOT NULL,
  row_id       INTEGER NOT NULL,
  external_ref TEXT,
  doc          TEXT NOT NULL
);
INSERT OR IGNORE INTO _actor VALUES (1, 'api');
INSERT OR IGNORE INTO _seq VALUES ('row_version', 0);
