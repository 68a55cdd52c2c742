package sandbox

import (
	"fmt"
	"strings"
)

const sqlNow = `strftime('%Y-%m-%dT%H:%M:%fZ','now')`

// erpTriggers is the SQL of all triggers: numbering, versions, references and the log of who wrote what.
func erpTriggers() string {
	var b strings.Builder
	for _, t := range erpTables {
		t.triggers(&b)
	}
	b.WriteString(`
CREATE TRIGGER IF NOT EXISTS sales_orders_status_bu BEFORE UPDATE OF status ON sales_orders
WHEN NEW.status = 'NEW' AND OLD.status <> 'NEW' BEGIN
  SELECT RAISE(ABORT, 'sales_orders: a confirmed order cannot become NEW again');
END;
`)
	return b.String()
}

// names are the columns that somebody sets, without those that triggers fill.
func names(fields []field) []string {
	var out []string
	for _, f := range fields {
		switch f.Name {
		case "id", "created_at", "updated_at", "updated_by", "row_version":
		default:
			out = append(out, f.Name)
		}
	}
	return out
}

func (t *erpTable) triggers(b *strings.Builder) {
	number := ""
	if t.Number != "" {
		fmt.Fprintf(b, "INSERT OR IGNORE INTO _seq VALUES ('%s', 0);\n", t.Name)
		number = fmt.Sprintf(", %s = COALESCE(%s, printf('%s', (SELECT value FROM _seq WHERE name = '%s')))", t.Number, t.Number, t.Format, t.Name)
	}
	cols := names(t.Fields)
	business := make([]string, 0, len(cols)) // those whose change is a change: the number is given by the trigger itself
	for _, c := range cols {
		if c != t.Number {
			business = append(business, c)
		}
	}
	for _, when := range []string{"INSERT", "UPDATE"} {
		on := "AFTER INSERT ON " + t.Name
		if when == "UPDATE" {
			on, number = "AFTER UPDATE OF "+strings.Join(business, ", ")+" ON "+t.Name, ""
		}
		fmt.Fprintf(b, "CREATE TRIGGER IF NOT EXISTS %s_%s %s BEGIN\n", t.Name, strings.ToLower(when), on)
		if number != "" {
			fmt.Fprintf(b, "  UPDATE _seq SET value = value + 1 WHERE name = '%s';\n", t.Name)
		}
		b.WriteString(stampSQL(t.Name, "NEW.id", number))
		b.WriteString(logSQL(when, t.Name, "NEW", cols, true) + "END;\n")
	}
	fmt.Fprintf(b, "CREATE TRIGGER IF NOT EXISTS %s_delete AFTER DELETE ON %s BEGIN\n%sEND;\n", t.Name, t.Name, logSQL("DELETE", t.Name, "OLD", cols, true))
	for _, f := range t.Fields {
		if f.Ref != "" {
			referenceSQL(b, t.Name, f.Name, f.Ref, "id")
		}
	}
	if t.Child == "" {
		return
	}
	lines := append([]string{t.Parent}, names(t.Lines)...)
	for _, when := range []string{"INSERT", "UPDATE", "DELETE"} {
		row := "NEW"
		if when == "DELETE" {
			row = "OLD"
		}
		fmt.Fprintf(b, "CREATE TRIGGER IF NOT EXISTS %s_%s AFTER %s ON %s BEGIN\n%s%sEND;\n", t.Child, strings.ToLower(when), when, t.Child,
			stampSQL(t.Name, row+"."+t.Parent, ""), logSQL(when, t.Child, row, lines, false))
	}
	referenceSQL(b, t.Child, t.Parent, t.Name, "id")
	referenceSQL(b, t.Child, "sku", "items", "sku")
}

// stampSQL gives a row a new version.
func stampSQL(table, id, more string) string {
	return "  UPDATE _seq SET value = value + 1 WHERE name = 'row_version';\n" +
		fmt.Sprintf("  UPDATE %s SET row_version = (SELECT value FROM _seq WHERE name = 'row_version'), updated_at = %s, updated_by = (SELECT name FROM _actor)%s WHERE id = %s;\n",
			table, sqlNow, more, id)
}

func logSQL(op, table, row string, cols []string, external bool) string {
	ext := "NULL"
	if external {
		ext = row + ".external_ref"
	}
	doc := make([]string, len(cols))
	for i, c := range cols {
		doc[i] = "'" + c + "', " + row + "." + c
	}
	return fmt.Sprintf("  INSERT INTO _log(actor, op, tbl, row_id, external_ref, doc) VALUES ((SELECT name FROM _actor), '%s', '%s', %s.id, %s, json_object(%s));\n",
		op, table, row, ext, strings.Join(doc, ", "))
}

// referenceSQL refuses rows that point nowhere, whatever the writer's PRAGMA foreign_keys.
func referenceSQL(b *strings.Builder, table, column, other, key string) {
	for _, when := range []string{"INSERT", "UPDATE OF " + column} {
		fmt.Fprintf(b, "CREATE TRIGGER IF NOT EXISTS %s_%s_%s BEFORE %s ON %s WHEN NEW.%s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %s WHERE %s = NEW.%s) BEGIN\n"+
			"  SELECT RAISE(ABORT, 'FOREIGN KEY constraint failed: %s.%s');\nEND;\n",
			table, column, strings.ToLower(when[:6]), when, table, column, other, key, column, table, column)
	}
}
