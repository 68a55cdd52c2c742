package sandbox

import "strings"

// gbRunes are the characters beyond ASCII that the warehouse's files hold, gbCodes their two bytes in GB18030, in the
// same order. The standard library has no table of the encoding, and the warehouse prints few words.
const gbRunes = "、一上丝仓传伺位公六关力区压号司器堡库开感承有服机板架栓毫水汉泵海滚滤焊珠电米缆螺角货轮轴过钢铜锡阀限齿（），"

const gbCodes = "\xa1\xa2\xd2\xbb\xc9\xcf\xcb\xbf\xb2\xd6\xb4\xab\xcb\xc5\xce\xbb\xb9\xab\xc1\xf9\xb9\xd8\xc1\xa6\xc7\xf8\xd1\xb9\xba\xc5\xcb\xbe\xc6\xf7\xb1\xa4\xbf\xe2\xbf\xaa\xb8\xd0\xb3\xd0\xd3\xd0\xb7\xfe\xbb\xfa\xb0\xe5\xbc\xdc\xcb\xa8\xba\xc1\xcb\xae\xba\xba\xb1\xc3\xba\xa3\xb9\xf6\xc2\xcb\xba\xb8\xd6\xe9\xb5\xe7\xc3\xd7\xc0\xc2\xc2\xdd\xbd\xc7\xbb\xf5\xc2\xd6\xd6\xe1\xb9\xfd\xb8\xd6\xcd\xad\xce\xfd\xb7\xa7\xcf\xde\xb3\xdd\xa3\xa8\xa3\xa9\xa3\xac"

var gbTable = func() map[rune]string {
	t, i := map[rune]string{}, 0
	for _, r := range gbRunes {
		t[r] = gbCodes[i : i+2]
		i += 2
	}
	return t
}()

// gb18030 encodes text; a character that is not in the table becomes a question mark, as old warehouse software does.
func gb18030(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch code, ok := gbTable[r]; {
		case r < 0x80:
			b.WriteByte(byte(r))
		case ok:
			b.WriteString(code)
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}
