package collector

import (
	"bytes"
	"errors"
	"math"
)

// errMalformed says that a kernel file does not look as it has looked since its beginning; the file's name is added by
// the reader.
var errMalformed = errors.New("not in the form the kernel writes")

// number reads a decimal number at the start of b and returns what follows. Leading blanks are skipped. Counters are
// unsigned and 64 bits wide; a minus sign stands before MaxConn alone (-1: no limit).
func number(b []byte) (v float64, rest []byte, err error) {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	u, rest, err := integer(b)
	if err != nil || len(rest) > 0 && rest[0] != ' ' && rest[0] != '\t' {
		return 0, nil, errMalformed
	}
	if negative {
		return -float64(u), rest, nil
	}
	return float64(u), rest, nil
}

// parseNumbers reads a file of one line of n numbers.
func parseNumbers(file []byte, n int) (numbers []float64, err error) {
	for rest := bytes.TrimSpace(file); len(rest) > 0; {
		var v float64
		if v, rest, err = number(rest); err != nil {
			return nil, err
		}
		numbers = append(numbers, v)
	}
	if len(numbers) != n {
		return nil, errMalformed
	}
	return numbers, nil
}

// integer reads the decimal digits at the start of b.
func integer(b []byte) (u uint64, rest []byte, err error) {
	i := 0
	for ; i < len(b); i++ {
		d := uint64(b[i] - '0')
		if d > 9 {
			break
		}
		if i >= 19 && u > (math.MaxUint64-d)/10 { // 19 digits always fit
			return 0, nil, errMalformed
		}
		u = u*10 + d
	}
	if i == 0 {
		return 0, nil, errMalformed
	}
	return u, b[i:], nil
}

// hexadecimal reads a hexadecimal number of at most 16 digits at the start of b, as number does.
func hexadecimal(b []byte) (v uint64, rest []byte, err error) {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	i := 0
	for ; i < len(b) && b[i] != ' '; i++ {
		d := hexDigit(b[i])
		if d > 15 || i == 16 {
			return 0, nil, errMalformed
		}
		v = v<<4 | uint64(d)
	}
	if i == 0 {
		return 0, nil, errMalformed
	}
	return v, b[i:], nil
}

// hexDigit returns the value of a hexadecimal digit, 255 for anything else.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// line cuts the first line off b.
func line(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// blank tells whether only spaces are left.
func blank(b []byte) bool { return len(bytes.TrimLeft(b, " \t")) == 0 }
