package einvoice

import (
	"embed"
	"path"
	"slices"
	"strings"
)

// The lists are those that the official rules name; `make test-systems` (row einvoice) holds them against the rules.
//
//go:embed codes/*.txt
var codeFiles embed.FS

var codes = readCodes()

func readCodes() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	entries, err := codeFiles.ReadDir("codes")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, e := range entries {
		data, err := codeFiles.ReadFile("codes/" + e.Name())
		if err != nil {
			panic(err)
		}
		_, text, _ := strings.Cut(string(data), "\n") // after the line that says what they are
		list := map[string]bool{}
		for _, code := range strings.Fields(text) {
			list[code] = true
		}
		all[strings.TrimSuffix(e.Name(), path.Ext(e.Name()))] = list
	}
	return all
}

// Currencies whose minor unit has other than two digits, as ISO 4217 has them.
var (
	noMinor    = strings.Fields("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF")
	threeMinor = strings.Fields("BHD IQD JOD KWD LYD OMR TND")
)

// mostDecimals is how many digits behind the point EN 16931 lets amounts have (BR-DEC), also those of currencies with more.
const mostDecimals = 2

// minorOf is how many digits a currency's minor unit has.
func minorOf(currency string) int {
	switch {
	case slices.Contains(noMinor, currency):
		return 0
	case slices.Contains(threeMinor, currency):
		return 3
	case currency == "CLF" || currency == "UYW":
		return 4
	}
	return 2
}

// digitsOf is how many digits amounts of a currency are written with.
func digitsOf(currency string) int { return min(minorOf(currency), mostDecimals) }

// unitHints are what systems send for units, and the codes of Recommendation 20 that mean the same.
var unitHints = map[string]string{
	"PCE": "H87 (piece) or EA (each)", "PCS": "H87 (piece) or EA (each)", "PC": "H87 (piece) or EA (each)", "ST": "H87 (piece), or SET", "STK": "H87 (piece)", "UN": "C62 (one)", "UNT": "C62 (one)",
	"KG": "KGM (kilogram)", "G": "GRM (gram)", "TO": "TNE (tonne)", "T": "TNE (tonne)", "L": "LTR (litre)", "LT": "LTR (litre)", "ML": "MLT (millilitre)",
	"M": "MTR (metre)", "CM": "CMT (centimetre)", "MM": "MMT (millimetre)", "M2": "MTK (square metre)", "M3": "MTQ (cubic metre)",
	"H": "HUR (hour)", "STD": "HUR (hour)", "HR": "HUR (hour)", "TAG": "DAY", "BX": "XBX (box)", "BOX": "XBX (box)", "CA": "XCS (case) or XCT (carton)", "CS": "XCS (case)", "CT": "XCT (carton)", "PAL": "XPX (pallet)", "PK": "XPK (package)",
}

// methods are the means of payment of canonical invoices, with the code that each is written as; other codes are read as them too.
var methods = []struct {
	method, code string
	others       []string
}{
	{"bank_transfer", "30", []string{"31", "42", "58"}},
	{"direct_debit", "49", []string{"59"}},
	{"card", "48", []string{"54", "55"}},
	{"cash", "10", nil},
	{"cheque", "20", nil},
	{"wallet", "68", nil},
	{"on_account", "97", nil},
	{"letter_of_credit", "", nil}, // there is no code for it
	{"other", "1", nil},
}

func codeOfMethod(method string) string {
	for _, m := range methods {
		if m.method == method {
			return m.code
		}
	}
	return ""
}

func methodOfCode(code string) string {
	for _, m := range methods {
		if m.code == code || slices.Contains(m.others, code) {
			return m.method
		}
	}
	return "other"
}

// typeCodes are BT-3 of the types of canonical invoices.
var typeCodes = map[string]string{"invoice": "380", "credit_note": "381", "debit_note": "383", "prepayment": "386", "correction": "384", "self_billed": "389"}

func typeOfCode(code string) string {
	for t, c := range typeCodes {
		if c == code {
			return t
		}
	}
	if codes["credits"][code] {
		return "credit_note"
	}
	if code == "84" {
		return "debit_note"
	}
	return "invoice"
}

// Schemes of identifiers that have a name in canonical documents.
const (
	schemeGLN  = "0088"
	schemeGTIN = "0160"
	// schemeEAS begins the scheme of an identifier that is an electronic address, such as EAS:0192.
	schemeEAS = "EAS:"
	// schemePlain is that of an identifier that is the sender's own, beside the party's number.
	schemePlain = "ID"
)

var schemeNames = map[string]string{"DUNS": "0060", "GLN": schemeGLN, "LEI": "0199"}

// schemeOf gives the code of a scheme; empty: EN 16931 knows none for it.
func schemeOf(name string) string {
	if code := schemeNames[name]; code != "" {
		return code
	}
	if codes["icd"][name] {
		return name
	}
	return ""
}

func nameOfScheme(code string) string {
	if code == "" {
		return schemePlain
	}
	for name, c := range schemeNames {
		if c == code {
			return name
		}
	}
	return code
}

// isVAT: a number begins with the country that it is of, as those for VAT do.
func isVAT(number string) bool {
	return len(number) > 2 && (codes["countries"][number[:2]] || number[:2] == "EL")
}
